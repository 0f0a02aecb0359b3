//! What must hold after any fault, read from the files alone.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use journal::Folder;
use sha2::{Digest as _, Sha256};
use transparency::{Body, Checkpoint, Leaf, Options, Tree, verify};

use super::rig::Rig;

/// The log verifies, every word that was heard has its record, every signature that left too, and
/// every checkpoint that was seen is one of the log's past. Says what does not hold.
pub(crate) fn judge(rig: &Rig) -> Result<(), String> {
    let folder = Folder::open_read_only(&rig.log()).map_err(|error| error.to_string())?;
    let options = Options { expected_key: None, earlier: None, threads: NonZeroUsize::MIN };
    let report = verify(&folder, &options);
    if let Some(fault) = report.fault {
        return Err(fault.to_string());
    }
    let mut bodies = Vec::new();
    let mut tree = Tree::new();
    let mut roots = BTreeMap::from([(0, tree.root())]);
    for record in folder.records_from(0).map_err(|error| error.to_string())? {
        let found = record.map_err(|error| error.to_string())?;
        bodies.push(Body::decode(&found.record.body).map_err(|error| error.to_string())?);
        if let Some(leaf) = &found.record.leaf {
            tree.append(Leaf::from_bytes(leaf).hash(), drop);
            roots.insert(tree.size(), tree.root());
        }
    }
    let key = folder.key().map_err(|error| error.to_string())?;
    for note in &rig.checkpoints {
        let (seen, _) = Checkpoint::open(note, &key).map_err(|error| error.to_string())?;
        if roots.get(&seen.size) != Some(&seen.root) {
            return Err(format!("a checkpoint over {} was seen that is none of this log", seen.size));
        }
    }
    words(rig, &bodies)
}

fn words(rig: &Rig, bodies: &[Body]) -> Result<(), String> {
    let mut missing = 0_u64;
    for word in &rig.told {
        if word.durable > bodies.len() as u64 {
            return Err(format!("{} records were called durable, {} are there", word.durable, bodies.len()));
        }
        let digest: Option<[u8; 32]> =
            word.signature.as_ref().map(|signature| Sha256::digest(signature).into());
        let fits = |body: &Body| body.outcome.as_str() == word.outcome && body.signature_digest == digest;
        if !bodies.get(word.index as usize).is_some_and(fits) {
            missing += 1;
        }
    }
    // Where signatures run ahead of the disk and the vault died, some may be missing; then the log says so.
    let gaps = bodies.iter().filter(|body| body.actor == "vault" && body.operation == "possible_gap").count();
    let most = vault::Durability::WINDOW_RECORDS * gaps as u64;
    if missing > most {
        return Err(format!("{missing} words have no record; the log says that up to {most} may be missing"));
    }
    Ok(())
}
