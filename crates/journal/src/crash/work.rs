//! What the journal is made to do, and how what a crash left of it is judged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use transparency::{Checkpoint, Leaf, Options, Tree, verify};

use crate::disk::{Fate, Memory};
use crate::error::JournalError;
use crate::folder::Folder;
use crate::log::Log;
use crate::publish::Publisher;
use crate::storage::Storage;
use crate::support::{Vault, open_on, signer};

const DIR: &str = "/log";
/// Small, so that the work spans several segments.
const SEGMENT: u64 = 8 << 10;

/// What the outside was told, and what it was told about.
#[derive(Default)]
pub(super) struct Told {
    /// Records below this are durable.
    durable: u64,
    /// Every body handed over, by sequence.
    bodies: BTreeMap<u64, Vec<u8>>,
}

impl Told {
    fn sync(&mut self, log: &mut Log) -> Result<(), JournalError> {
        self.durable = self.durable.max(log.sync()?);
        Ok(())
    }

    fn place(&mut self, log: &mut Log, vault: &mut Vault) -> Result<(), JournalError> {
        vault.place(log)?;
        let (sequence, body) = vault.unleafed.last().expect("it was placed just now");
        self.bodies.insert(*sequence, body.clone());
        Ok(())
    }
}

/// Works a while: records, leaves a batch behind, checkpoints at once and beside the work, new
/// segments, a second epoch.
pub(super) fn work(disk: &Memory, told: &mut Told) -> Result<(), JournalError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    for _ in 0..2 {
        let (mut log, _) = open_on(Arc::clone(&storage), Path::new(DIR), SEGMENT)?;
        let folder = Folder::over(Arc::clone(&storage), Path::new(DIR))?;
        let mut vault = Vault::after(&log, &folder);
        let mut publisher = Publisher::new(Arc::clone(&storage), Path::new(DIR));
        vault.begin(&mut log)?;
        for round in 0..10 {
            for _ in 0..3 {
                told.place(&mut log, &mut vault)?;
            }
            told.sync(&mut log)?;
            let ready = vault.unleafed.len();
            vault.sign(&mut log, ready - usize::from(round == 9))?;
            match round % 4 {
                1 => {
                    told.sync(&mut log)?;
                    log.checkpoint()?;
                }
                // Leaves wait for the next batch: the checkpoint must not cover them.
                2 => log.checkpoint()?,
                // The publishing thread is slower than the next record.
                3 => {
                    let publication = log.publication();
                    told.place(&mut log, &mut vault)?;
                    told.sync(&mut log)?;
                    publication.map_or(Ok(()), |taken| publisher.publish(&taken))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Looks at the crashed folder as a mirror would, before the journal has mended anything: the
/// checkpoint that lies there has the tiles it speaks of.
pub(super) fn outsider(disk: &Memory) -> Result<(), String> {
    let Some(note) = disk.read(&Path::new(DIR).join("checkpoint")).map_err(|error| error.to_string())? else {
        return Ok(());
    };
    let checkpoint = opened(&note)?;
    for tile in transparency::tiles_of(checkpoint.size) {
        let path = Path::new(DIR).join(tile.path());
        if disk.read(&path).map_err(|error| error.to_string())?.is_none() {
            return Err(format!(
                "the checkpoint covers {}, its tile {} is not there",
                checkpoint.size,
                tile.path()
            ));
        }
    }
    Ok(())
}

/// Opens what a crash left, compares it with what was told, goes on, and has the power cut again.
pub(super) fn judge(disk: &Memory, told: &Told) -> Result<(), String> {
    let seen = disk.checkpoints();
    let (mut log, folder) = open(disk)?;
    compare(&folder, told, &seen)?;
    let mut vault = Vault::after(&log, &folder);
    let mut more = Told::default();
    let went_on: Result<(), JournalError> = (|| {
        vault.begin(&mut log)?;
        more.place(&mut log, &mut vault)?;
        vault.sign(&mut log, usize::MAX)?;
        more.sync(&mut log)?;
        log.checkpoint()
    })();
    went_on.map_err(|error| format!("it does not go on: {error}"))?;
    more.bodies.extend(told.bodies.range(..told.durable).map(|(at, body)| (*at, body.clone())));
    let after = disk.after_power_cut(Fate::Lost);
    outsider(&after)?;
    let (_, folder) = open(&after).map_err(|error| format!("after going on: {error}"))?;
    compare(&folder, &more, &after.checkpoints()).map_err(|error| format!("after going on: {error}"))
}

fn open(disk: &Memory) -> Result<(Log, Folder), String> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (log, recovered) =
        open_on(Arc::clone(&storage), Path::new(DIR), SEGMENT).map_err(|error| error.to_string())?;
    let folder = Folder::over(storage, Path::new(DIR)).map_err(|error| error.to_string())?;
    if recovered.records != log.durable() {
        return Err(format!("recovered {} records, {} are durable", recovered.records, log.durable()));
    }
    Ok((log, folder))
}

/// Every acknowledged record is there unchanged, the log verifies, and every checkpoint that was
/// ever seen is one of its past.
fn compare(folder: &Folder, told: &Told, seen: &[Vec<u8>]) -> Result<(), String> {
    let report = verify(folder, &Options::default());
    if let Some(fault) = report.fault {
        return Err(fault.to_string());
    }
    let mut tree = Tree::new();
    let mut roots = BTreeMap::from([(0, tree.root())]);
    let mut next = 0;
    for record in folder.records_from(0).map_err(|error| error.to_string())? {
        let found = record.map_err(|error| error.to_string())?;
        next = found.sequence + 1;
        if let Some(body) = told.bodies.get(&found.sequence)
            && found.sequence < told.durable
            && *body != found.record.body
        {
            return Err(format!("record {} is another than was acknowledged", found.sequence));
        }
        if let Some(leaf) = &found.record.leaf {
            tree.append(Leaf::from_bytes(leaf).hash(), drop);
            roots.insert(tree.size(), tree.root());
        }
    }
    if next < told.durable {
        return Err(format!("{next} records, {} were acknowledged", told.durable));
    }
    for note in seen {
        let checkpoint = opened(note)?;
        match roots.get(&checkpoint.size) {
            Some(root) if *root == checkpoint.root => {}
            Some(_) => return Err(format!("the checkpoint over {} has another root", checkpoint.size)),
            None => {
                return Err(format!(
                    "a checkpoint over {} was seen, {} are there",
                    checkpoint.size,
                    tree.size()
                ));
            }
        }
    }
    Ok(())
}

fn opened(note: &[u8]) -> Result<Checkpoint, String> {
    let text = std::str::from_utf8(note).map_err(|_| "the checkpoint is not text".to_owned())?;
    Checkpoint::open(text, signer().public())
        .map(|(checkpoint, _)| checkpoint)
        .map_err(|error| error.to_string())
}
