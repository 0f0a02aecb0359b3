//! `oracles judge`: everybody accepts the honest log; every kind of tampering is caught.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::bundles::BUNDLE;
use crate::judges::{self, Judges, Own, Proof, Verdict};
use crate::kinds::{Case, FOLDER, Honest, Named, REASONS, Seen, copy_folder, public};
use crate::made;
use crate::segments::Segment;

/// The programs that judge.
pub(crate) struct Programs {
    pub(crate) seawall: PathBuf,
    pub(crate) go: PathBuf,
    pub(crate) sigsum: PathBuf,
}

/// What everybody said of one kind.
struct Row {
    name: String,
    own: Own,
    named: String,
    /// Go, `sigsum-verify`, the `sigsum` crate.
    outside: [Verdict; 3],
    seen: Seen,
    problems: Vec<String>,
}

/// Makes a log in `folder`, has it judged, damages it in every way, and has that judged.
pub(crate) fn run(programs: Programs, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let honest = Rc::new(made::make(&programs.seawall, folder)?);
    let key = transparency::LogKey::new(public(&honest.log_key));
    let Programs { seawall, go, sigsum } = programs;
    let judges = Judges { seawall, go, sigsum, scratch: folder.to_owned(), key };
    accepted_by_all(&judges, &honest)?;
    let mut rows = Vec::new();
    for kind in FOLDER {
        let dir = folder.join("case");
        copy_folder(&honest.dir, &dir)?;
        let segment = honest.segment.clone();
        let mut case = Case { honest: Rc::clone(&honest), dir, segment, earlier: honest.past.clone() };
        (kind.make)(&mut case).with_context(|| kind.name.to_owned())?;
        let own = judges.own_folder(&case.dir, &case.earlier)?;
        let outside = outside_folder(&judges, &case)?;
        let expected = index_of(kind.named, &honest);
        let mut row = Row::new(format!("folder, {}", kind.name), own, outside, kind.seen);
        if row.own.first_bad != expected {
            row.problems.push(format!("names {:?}, not {expected:?}", row.own.first_bad));
        }
        row.named = expected.map_or("–".to_owned(), |index| index.to_string());
        rows.push(row);
        fs::remove_dir_all(&case.dir)?;
    }
    rows.extend(bundle_rows(&judges, &honest)?);
    print(&rows)
}

/// The honest log and proofs of its records: nobody finds fault.
fn accepted_by_all(judges: &Judges, honest: &Honest) -> Result<()> {
    let keys = judges.vouched_keys(&honest.segment);
    ensure!(keys.len() == 2, "{} epoch keys are vouched for, not 2", keys.len());
    let own = judges.own_folder(&honest.dir, &honest.past)?;
    ensure!(own.accepted, "our verifier refuses the honest log: {}", own.says);
    ensure!(judges.go_folder(&honest.dir, &keys, &honest.past)?, "Go refuses the honest log");
    let mut by_program = 0;
    for index in 0..honest.size {
        let text = prove(judges, &honest.dir, index)?;
        let bundle: Value = serde_json::from_str(&text)?;
        let proof = judges::bundle_proof(&bundle).context("a bundle without a proof")?;
        let ours = transparency::Bundle::from_json(&text)?.to_sigsum()?;
        ensure!(ours == proof.text, "record {index}: `to_sigsum` writes another proof");
        ensure!(judges.sigsum_crate(&proof, &keys)?, "the sigsum crate refuses record {index}");
        // The programs are started anew for each record, so they get every eighth.
        if index.is_multiple_of(8) || index + 1 == honest.size {
            let file = judges.scratch.join("bundle.json");
            fs::write(&file, &text)?;
            ensure!(judges.own_bundle(&file)?.accepted, "our verifier refuses the proof of record {index}");
            ensure!(judges.go_bundle(&file, &keys)?, "Go refuses the proof of record {index}");
            ensure!(judges.sigsum_program(&proof, &keys)?, "sigsum-verify refuses record {index}");
            by_program += 1;
        }
    }
    println!(
        "honest log of {} records in 2 epochs: root, tiles, every inclusion and consistency accepted by Go; \
         {} proofs by the sigsum crate; {by_program} by sigsum-verify, Go and `seawall log verify-proof`",
        honest.size, honest.size
    );
    Ok(())
}

/// A proof as the journal's code makes it.
fn prove(judges: &Judges, dir: &Path, index: u64) -> Result<String> {
    let bundle = journal::Folder::open_read_only(dir)?.prove(index)?;
    ensure!(bundle.log_key == judges.key.to_string(), "a proof of another log");
    Ok(bundle.to_json())
}

fn index_of(named: Named, honest: &Honest) -> Option<u64> {
    match named {
        Named::Target(offset) => Some(honest.target + offset),
        Named::Epoch => Some(honest.epoch),
        Named::At(index) => Some(index),
        Named::BeforeEnd(count) => Some(honest.size - count),
        Named::NoRecord => None,
    }
}

/// Go judges the folder; Sigsum's tools the proofs of the first, the last and the records concerned.
fn outside_folder(judges: &Judges, case: &Case) -> Result<[Verdict; 3]> {
    let segment = Segment::read(&case.dir)?;
    let mut keys = judges.vouched_keys(&segment);
    keys.dedup();
    let go = judges.go_folder(&case.dir, &keys, &case.earlier)?;
    let (target, epoch) = (case.honest.target, case.honest.epoch);
    let near = [0, epoch, target - 1, target, target + 1, case.honest.size - 1];
    let proofs = near
        .into_iter()
        .filter_map(|index| judges::folder_proof(&case.dir, &segment, index, case.honest.size));
    let (mut program, mut library) = (None, None);
    for proof in proofs {
        let (by_program, by_library) = sigsum(judges, &proof, &keys)?;
        program = Some(program.unwrap_or(true) && by_program);
        library = Some(library.unwrap_or(true) && by_library);
    }
    Ok([Some(go), program, library])
}

fn sigsum(judges: &Judges, proof: &Proof, keys: &[[u8; 32]]) -> Result<(bool, bool)> {
    Ok((judges.sigsum_program(proof, keys)?, judges.sigsum_crate(proof, keys)?))
}

fn bundle_rows(judges: &Judges, honest: &Honest) -> Result<Vec<Row>> {
    let honest_bundle: Value = serde_json::from_str(&prove(judges, &honest.dir, honest.target)?)?;
    let file = judges.scratch.join("bundle.json");
    let mut rows = Vec::new();
    for kind in BUNDLE {
        let mut bundle = honest_bundle.clone();
        (kind.make)(&mut bundle, honest).with_context(|| kind.name.to_owned())?;
        ensure!(bundle != honest_bundle, "{}: nothing was changed", kind.name);
        fs::write(&file, serde_json::to_vec_pretty(&bundle)?)?;
        let keys = judges.vouched_in_bundle(&bundle);
        let own = judges.own_bundle(&file)?;
        let go = judges.go_bundle(&file, &keys)?;
        let (program, library) = match judges::bundle_proof(&bundle) {
            Some(proof) => sigsum(judges, &proof, &keys)?,
            None => bail!("{}: no proof is left to judge", kind.name),
        };
        let outside = [Some(go), Some(program), Some(library)];
        rows.push(Row::new(format!("proof, {}", kind.name), own, outside, kind.seen));
    }
    Ok(rows)
}

impl Row {
    fn new(name: String, own: Own, outside: [Verdict; 3], seen: Seen) -> Self {
        let mut problems = Vec::new();
        if own.accepted {
            problems.push("our verifier accepts it".to_owned());
        }
        let [go, program, library] = outside;
        if go != Some(false) {
            problems.push("Go accepts it".to_owned());
        }
        for (who, verdict) in [("sigsum-verify", program), ("the sigsum crate", library)] {
            match (seen, verdict) {
                (Seen::ByAll, Some(false)) | (Seen::ByGo(_), Some(true) | None) => {}
                (Seen::ByAll, _) => problems.push(format!("{who} accepts it")),
                (Seen::ByGo(_), Some(false)) => problems.push(format!("{who} sees it after all")),
            }
        }
        Self { name, own, named: "–".to_owned(), outside, seen, problems }
    }
}

/// The table, the reasons, and the sum.
fn print(rows: &[Row]) -> Result<()> {
    println!("\n| kind | seawall | first bad | Go | sigsum-verify | sigsum crate | why not |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let word = |verdict: &Verdict| match verdict {
            Some(false) => "rejects",
            Some(true) => "cannot see",
            None => "no proof",
        };
        let [go, program, library] = row.outside.each_ref().map(word);
        let why = match row.seen {
            Seen::ByAll => String::new(),
            Seen::ByGo(letter) => letter.to_string(),
        };
        let own = if row.own.accepted { "ACCEPTS" } else { "rejects" };
        println!("| {} | {own} | {} | {go} | {program} | {library} | {why} |", row.name, row.named);
    }
    println!();
    for (letter, reason) in REASONS {
        println!("{letter}: {reason}");
    }
    let missed: Vec<_> = rows.iter().filter(|row| !row.problems.is_empty()).collect();
    for row in &missed {
        println!("NOT as it must be: {}: {} (says: {})", row.name, row.problems.join("; "), row.own.says);
    }
    ensure!(missed.is_empty(), "{} of {} kinds were not caught as they must be", missed.len(), rows.len());
    println!("\n{} kinds, all caught", rows.len());
    Ok(())
}
