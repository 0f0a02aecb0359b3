//! `seawall journal verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use journal::Folder;
use journal::tables::{Anchor, Chain, Report};
use protocol::tables::EventId;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use trading::Timestamp;
use transparency::{Bundle, Hash, LogKey};

use super::export::{Exported, FORMAT};
use crate::commands::say;
use crate::layout::Layout;

/// The chain holds, and nothing outside the file vouches for its last rows.
const NOT_VOUCHED_FOR: u8 = 3;
/// Longest export, in bytes.
const MAX_EXPORT: u64 = 1 << 30;

/// Against what.
#[derive(Debug, Args)]
pub struct Options {
    /// Check an export instead of the installation's own files; needs nothing else.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The log's public key as you know it from elsewhere; without it, the files' own word is taken.
    #[arg(long)]
    key: Option<LogKey>,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Verdict {
    report: Report,
    /// What is wrong with the log or its proof.
    log_fault: Option<String>,
}

/// Checks it.
pub fn run(layout: &Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let verdict = match &options.export {
        Some(file) => export(file, options.key.as_ref())?,
        None => files(layout, options.key.clone())?,
    };
    let Verdict { report, log_fault } = verdict;
    let mut faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    faults.extend(log_fault);
    if options.json {
        say(json!({
            "verified": faults.is_empty() && report.unanchored() == 0,
            "rows": report.rows,
            "anchored": report.anchored,
            "unanchored": report.unanchored(),
            "anchored_by": report.vouched_by,
            "first_bad": report.first_bad(),
            "head": report.head.map(|head| hex::encode(head.hash)),
            "key_pinned": options.key.is_some(),
            "faults": faults,
        }));
    } else {
        say_lines(&report, &faults, options.key.is_some());
    }
    Ok(match (faults.is_empty(), report.unanchored()) {
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(NOT_VOUCHED_FOR),
        (false, _) => ExitCode::FAILURE,
    })
}

fn say_lines(report: &Report, faults: &[String], pinned: bool) {
    say(format!("rows         {} right, in one chain", report.rows));
    match report.vouched_by {
        Some(record) => {
            say(format!("vouched for  rows 1 to {} by record {record} of the log", report.anchored));
        }
        None => say("vouched for  none"),
    }
    if !pinned {
        say("log key      the files' own word; pin it with --key");
    }
    match (faults, report.unanchored()) {
        ([], 0) => say("verified"),
        ([], _) => say(format!(
            "NOT vouched for yet: rows {} to {}; the chain holds, but who can write the file could have written them",
            report.anchored + 1,
            report.rows
        )),
        (faults, _) => faults.iter().for_each(|fault| say(format!("NOT verified: {fault}"))),
    }
}

/// The installation's tables against its log, and the log against itself.
fn files(layout: &Layout, key: Option<LogKey>) -> anyhow::Result<Verdict> {
    let path = layout.journal_tables();
    let (anchors, log_fault) = match Folder::open_read_only(&layout.log()) {
        Ok(folder) => {
            let options = crate::commands::log::options(key, None);
            let log = transparency::verify(&folder, &options);
            let fault = log.fault.map(|fault| format!("the log: {fault}"));
            match journal::tables::anchors(&folder) {
                Ok(anchors) => (anchors, fault),
                Err(error) => (Vec::new(), fault.or_else(|| Some(error.to_string()))),
            }
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let report = journal::tables::verify(&path, anchors).with_context(|| format!("{}", path.display()))?;
    Ok(Verdict { report, log_fault })
}

/// A file that `seawall journal export` wrote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    proof: Option<Box<RawValue>>,
    events: Vec<Exported>,
}

/// An export against the proof in it.
fn export(file: &Path, key: Option<&LogKey>) -> anyhow::Result<Verdict> {
    let length = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    anyhow::ensure!(length <= MAX_EXPORT, "{} is too long for an export", file.display());
    let text = crate::layout::read_text(file)?;
    let export: Export = serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
    anyhow::ensure!(export.format == FORMAT, "{} is no export of a whole journal", file.display());
    let (anchor, log_fault) = match export.proof.as_deref().map(|proof| proven(proof, key)) {
        Some(Ok(anchor)) => (Some(anchor), None),
        Some(Err(what)) => (None, Some(format!("the proof: {what}"))),
        None => (None, None),
    };
    let mut chain = Chain::new(anchor);
    for event in &export.events {
        let event_id = EventId::new(event.event_id.as_str()).with_context(|| format!("row {}", event.seq))?;
        let hashes = [hash(&event.previous)?, hash(&event.hash)?];
        chain.push(event.seq, &event_id, Timestamp::from_ms(event.time_ms), &event.payload, hashes);
    }
    Ok(Verdict { report: chain.finish(), log_fault })
}

fn proven(proof: &RawValue, key: Option<&LogKey>) -> Result<Anchor, String> {
    let bundle = Bundle::from_json(proof.get()).map_err(|error| error.to_string())?;
    let found = transparency::verify_proof(&bundle, key).map_err(|error| error.to_string())?;
    let detail = found.detail.unwrap_or_default();
    let anchor = Anchor::of(found.body.sequence, &found.body, &detail)?;
    anchor.ok_or_else(|| format!("record {} vouches for no row", found.body.sequence))
}

fn hash(text: &str) -> anyhow::Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).context("a hash has 64 hexadecimal digits")?;
    Ok(hash)
}
