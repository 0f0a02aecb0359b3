//! `seawall log`: show, follow, verify and prove records. Works on the files alone.

mod tail;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use journal::{Checked, Filter, Folder, Index, IndexState};
use serde_json::{Value, json};
use transparency::{Body, Bundle, LogKey, Options as VerifyOptions, Outcome, SourceRecord};

use crate::commands::say;
use crate::layout::{Layout, read_text};
use crate::up::OrderLine;
use tail::Tail;

/// Longest proof file, in bytes.
const MAX_PROOF: u64 = 1024 * 1024;

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one record with its detail.
    Show {
        /// Index of the record.
        index: u64,
        /// Another log folder than the installation's.
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
    },
    /// Show the latest records.
    Tail(TailOptions),
    /// Verify a log folder offline, from every leaf to the checkpoint.
    Verify {
        /// The folder; the installation's log if absent.
        folder: Option<PathBuf>,
        /// The log's public key as you know it from elsewhere; without it, the folder's own is taken.
        #[arg(long)]
        key: Option<String>,
        /// A checkpoint file kept from earlier: the log must still contain it.
        #[arg(long, value_name = "FILE")]
        earlier: Option<PathBuf>,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Write a self-contained proof of one record.
    Prove {
        /// Index of the record.
        index: u64,
        /// Where to write it; standard output if absent.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Another log folder than the installation's.
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
    },
    /// Verify a proof that `prove` wrote, on any machine.
    VerifyProof {
        /// The file.
        file: PathBuf,
        /// The log's public key as you know it from elsewhere.
        #[arg(long)]
        key: Option<String>,
    },
    /// Rebuild tiles, checkpoint and index from the segments. `seawall up` must not run.
    Rebuild,
    /// Move aside what of the log's folder can be made again from its segments, make it again, and say
    /// what was wrong. Deletes nothing; changes nothing if the segments are hurt. `seawall up` must not run.
    Repair,
}

/// Which records.
#[derive(Debug, Args)]
pub struct TailOptions {
    /// How many.
    #[arg(long, short = 'n', default_value_t = 20)]
    count: u32,
    /// Go on as records are made.
    #[arg(long, short)]
    follow: bool,
    /// Only of this bot or operator.
    #[arg(long)]
    actor: Option<String>,
    /// Only this outcome: approved, denied or event.
    #[arg(long)]
    outcome: Option<String>,
    /// Print each record as JSON.
    #[arg(long)]
    json: bool,
}

/// Carries out `command`.
pub fn run(layout: &Layout, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show { index, log } => show(&log.unwrap_or_else(|| layout.log()), index),
        Command::Tail(options) => tail(&layout.log(), &options),
        Command::Verify { folder, key, earlier, json } => {
            verify(&folder.unwrap_or_else(|| layout.log()), key.as_deref(), earlier.as_deref(), json)
        }
        Command::Prove { index, output, log } => {
            prove(&log.unwrap_or_else(|| layout.log()), index, output.as_deref())
        }
        Command::VerifyProof { file, key } => verify_proof(&file, key.as_deref()),
        Command::Rebuild => rebuild(layout),
        Command::Repair => repair(layout),
    }
}

fn show(log: &Path, index: u64) -> anyhow::Result<ExitCode> {
    let located = Folder::open_read_only(log)?.record(index, None)?;
    say(serde_json::to_string_pretty(&rendered(index, &located.record)?)?);
    Ok(ExitCode::SUCCESS)
}

/// A record as JSON for people: every field of the body, the detail, the leaf.
fn rendered(index: u64, record: &SourceRecord) -> anyhow::Result<Value> {
    let body = Body::decode(&record.body).with_context(|| format!("record {index}"))?;
    let denials = match &body.outcome {
        Outcome::Denied(denials) => {
            denials.iter().map(|denial| json!({ "code": denial.code, "text": denial.text })).collect()
        }
        Outcome::Approved | Outcome::Event => Vec::new(),
    };
    let detail = serde_json::from_slice(&record.detail)
        .unwrap_or_else(|_| Value::String(format!("0x{}", hex::encode(&record.detail))));
    let leaf = record.leaf.map(|leaf| transparency::Leaf::from_bytes(&leaf));
    Ok(json!({
        "index": index,
        "epoch": body.epoch,
        "time": body.time.to_string(),
        "actor": body.actor,
        "account": body.account,
        "operation": body.operation,
        "outcome": body.outcome.as_str(),
        "denials": denials,
        "detail": detail,
        "policy_hash": hex::encode(body.policy_hash),
        "state_digest": hex::encode(body.state_digest),
        "signed_digest": body.signed_digest.map(hex::encode),
        "signature_digest": body.signature_digest.map(hex::encode),
        "key_id": body.key_id,
        "detail_digest": hex::encode(body.detail_digest),
        "previous": hex::encode(body.previous),
        "salt": hex::encode(body.salt),
        "record_digest": hex::encode(transparency::sha256(&record.body)),
        "leaf": leaf.map(|leaf| hex::encode(leaf.hash())),
    }))
}

fn tail(log: &Path, options: &TailOptions) -> anyhow::Result<ExitCode> {
    let filter =
        Filter { actor: options.actor.clone(), outcome: options.outcome.clone(), ..Filter::default() };
    let mut tail = Tail::open(log, filter)?;
    let mut found = tail.last(options.count.clamp(1, 10_000))?;
    loop {
        for (index, record) in &found {
            if options.json {
                say(rendered(*index, record)?);
            } else {
                say(line_of(*index, record)?);
            }
        }
        if !options.follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_millis(200));
        found = tail.news()?;
    }
}

fn line_of(index: u64, record: &SourceRecord) -> anyhow::Result<String> {
    let body = Body::decode(&record.body).with_context(|| format!("record {index}"))?;
    Ok(in_words(index, body, &record.detail))
}

/// A record in one line, for people.
fn in_words(index: u64, body: Body, detail: &[u8]) -> String {
    let order = order_line(index, body, detail);
    format!("{} #{index} {} {} {}", order.time, order.bot, order.what, order.verdict())
}

fn order_line(index: u64, body: Body, raw_detail: &[u8]) -> OrderLine {
    let detail: Option<vault::Detail> = serde_json::from_slice(raw_detail).ok();
    let what = match detail.as_ref().map(|detail| (detail.intent(), detail.endpoint.as_str())) {
        Some((Some(intent), _)) => intent.to_string(),
        Some((None, endpoint)) => endpoint.to_owned(),
        None => event_text(&body, raw_detail),
    };
    let denied = match &body.outcome {
        Outcome::Denied(denials) => {
            Some(denials.iter().map(|denial| denial.text.as_str()).collect::<Vec<_>>().join("; "))
        }
        Outcome::Approved | Outcome::Event => None,
    };
    let time = body.time.to_string();
    let outcome = body.outcome.as_str().to_owned();
    OrderLine { index, time: time[11..23].to_owned(), bot: body.actor, what, outcome, denied }
}

fn event_text(body: &Body, detail: &[u8]) -> String {
    let text = serde_json::from_slice::<Value>(detail)
        .ok()
        .and_then(|event| event.get("text").and_then(Value::as_str).map(ToOwned::to_owned));
    text.map_or(body.operation.clone(), |text| format!("{}: {text}", body.operation))
}

/// The latest decisions about orders, oldest first. The index may be a moment behind.
pub fn latest_orders(log: &Path, count: usize) -> anyhow::Result<Vec<OrderLine>> {
    let folder = Folder::open_read_only(log)?;
    let index = Index::open_read_only(&log.join("index.sqlite"))?;
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    let entries = index.tail(&Filter::default(), limit)?;
    entries
        .iter()
        .filter(|entry| entry.operation != "read")
        .map(|entry| {
            let located = folder.record(entry.sequence, Some(entry.location))?;
            let body = Body::decode(&located.record.body)?;
            Ok(order_line(entry.sequence, body, &located.record.detail))
        })
        .collect()
}

/// Records in the log's files.
pub fn size(log: &Path) -> anyhow::Result<u64> {
    Ok(Folder::open_read_only(log)?.size()?)
}

/// Decisions in a range of the log.
pub struct Outcomes {
    pub approved: u64,
    pub denied: u64,
}

/// Counts the decisions from record `first` on.
pub fn count_outcomes(log: &Path, first: u64) -> anyhow::Result<Outcomes> {
    let mut outcomes = Outcomes { approved: 0, denied: 0 };
    for record in Folder::open_read_only(log)?.records_from(first)? {
        let located = record?;
        match Body::decode(&located.record.body)?.outcome {
            Outcome::Approved => outcomes.approved += 1,
            Outcome::Denied(_) => outcomes.denied += 1,
            Outcome::Event => {}
        }
    }
    Ok(outcomes)
}

/// What the verifier says of a folder, in short.
pub struct FolderVerdict {
    pub records: u64,
    /// Size and start of the root.
    pub checkpoint: String,
    /// The first thing that is wrong.
    pub fault: Option<String>,
}

/// Verifies a folder with its own key.
pub fn verify_folder(log: &Path) -> anyhow::Result<FolderVerdict> {
    let report = transparency::verify(&Folder::open_read_only(log)?, &options(None, None));
    Ok(FolderVerdict {
        records: report.records,
        checkpoint: short_checkpoint(report.checkpoint.as_ref()),
        fault: report.fault.map(|fault| fault.to_string()),
    })
}

pub fn options(expected_key: Option<LogKey>, earlier: Option<String>) -> VerifyOptions {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    VerifyOptions { expected_key, earlier, threads }
}

fn short_checkpoint(checkpoint: Option<&transparency::Checkpoint>) -> String {
    checkpoint.map_or("none".to_owned(), |found| format!("{}@{}", found.size, &hex::encode(found.root)[..16]))
}

fn verify(log: &Path, key: Option<&str>, earlier: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
    let key = key.map(parse_key).transpose()?;
    let earlier = earlier.map(read_text).transpose()?;
    let pinned = key.is_some();
    let folder = Folder::open_read_only(log)?;
    let checked = Checked::new(&folder);
    let report = transparency::verify(&checked, &options(key, earlier));
    let index = checked.state();
    let fault = report.fault.as_ref().map(ToString::to_string).or(match index {
        IndexState::Differs(first) => Some(format!(
            "the records are right, but the search index differs at record {first}; make it anew with `seawall log rebuild`"
        )),
        IndexState::Missing | IndexState::Unreadable(_) | IndexState::Agrees(_) => None,
    });
    let index = index_in_words(&index);
    if as_json {
        say(json!({
            "verified": fault.is_none(),
            "index": index,
            "records": report.records,
            "covered": report.covered,
            "epochs": report.epochs,
            "adopted": report.adopted,
            "clock_regressions": report.regression_count,
            "checkpoint": short_checkpoint(report.checkpoint.as_ref()),
            "log_key": report.log_key.as_ref().map(ToString::to_string),
            "key_pinned": pinned,
            "first_bad": report.fault.as_ref().and_then(transparency::Fault::first_bad),
            "fault": fault,
        }));
    } else {
        say(format!("{}", log.display()));
        say(format!("records     {} right, in {} epoch(s)", report.records, report.epochs));
        say(format!(
            "checkpoint  {}, covers {}",
            short_checkpoint(report.checkpoint.as_ref()),
            report.covered
        ));
        if report.uncovered() > 0 {
            say(format!("            {} more are durable and not covered yet", report.uncovered()));
        }
        if report.adopted > 0 {
            say(format!("adopted     {} leaves were signed by a later epoch after a crash", report.adopted));
        }
        if report.regression_count > 0 {
            say(format!("clock       went back {} times", report.regression_count));
        }
        say(format!("index       {index}"));
        if let Some(key) = &report.log_key {
            let word = if pinned { "as expected" } else { "the folder's own word; pin it with --key" };
            say(format!("log key     {key} ({word})"));
        }
        match &fault {
            None => say("verified"),
            Some(fault) => say(format!("NOT verified: {fault}")),
        }
    }
    Ok(if fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The search index is derived: a log without one is whole, one that says otherwise misleads.
fn index_in_words(state: &IndexState) -> String {
    match state {
        IndexState::Missing => "missing; make it anew with `seawall log rebuild`".into(),
        IndexState::Unreadable(why) => {
            format!("cannot be read ({why}); make it anew with `seawall log rebuild`")
        }
        IndexState::Agrees(rows) => format!("agrees in {rows} rows"),
        IndexState::Differs(first) => format!("differs at record {first}"),
    }
}

fn prove(log: &Path, index: u64, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let bundle = Folder::open_read_only(log)?.prove(index)?.to_json();
    match output {
        Some(path) => {
            std::fs::write(path, &bundle).with_context(|| format!("cannot write {}", path.display()))?;
            say(format!("wrote {}; check it anywhere with `seawall log verify-proof`", path.display()));
        }
        None => say(bundle.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

fn verify_proof(file: &Path, key: Option<&str>) -> anyhow::Result<ExitCode> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    anyhow::ensure!(size <= MAX_PROOF, "{} is too long for a proof", file.display());
    let key = key.map(parse_key).transpose()?;
    let checked = Bundle::from_json(&read_text(file)?)
        .and_then(|bundle| transparency::verify_proof(&bundle, key.as_ref()));
    match checked {
        Ok(found) => {
            let index = found.body.sequence;
            say(in_words(index, found.body, &found.detail.unwrap_or_default()));
            let word = if key.is_some() { "the expected log" } else { "the log it names; pin it with --key" };
            say(format!("verified: record {index} is in {word}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(format!("NOT verified: {error}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn rebuild(layout: &Layout) -> anyhow::Result<ExitCode> {
    let recovered = journal::rebuild_dir(&layout.log(), &layout.log_key())?;
    say(format!("rebuilt tiles, checkpoint and index of {} records", recovered.records));
    Ok(ExitCode::SUCCESS)
}

fn repair(layout: &Layout) -> anyhow::Result<ExitCode> {
    let log = layout.log();
    let before = Folder::open_read_only(&log).map(|folder| {
        transparency::verify(&folder, &options(None, None)).fault.map(|fault| fault.to_string())
    });
    match before {
        Ok(None) => say("before: the log verifies"),
        Ok(Some(fault)) => say(format!("before: {fault}")),
        Err(error) => say(format!("before: {error}")),
    }
    let repaired =
        journal::repair_dir(&log, &layout.log_key(), crate::installation::now()).map_err(|error| {
            let hurt = matches!(error, journal::JournalError::Damaged { .. });
            let error = anyhow::Error::new(error);
            if hurt { error.context(SEGMENTS_ARE_HURT) } else { error }
        })?;
    if let Some(torn) = &repaired.recovered.torn {
        say(format!(
            "cut off {} bytes of a torn write, never acknowledged; kept as {}, recorded at the next start",
            torn.bytes,
            torn.moved_to.display()
        ));
    }
    say(format!("moved to {}:", repaired.aside.display()));
    for name in &repaired.moved {
        say(format!("  {}", name.display()));
    }
    say(format!(
        "made again from {} records; README.txt there says what to do with the rest",
        repaired.recovered.records
    ));
    verify(&log, None, None, false)
}

/// What to do when records themselves are gone.
const SEGMENTS_ARE_HURT: &str = "the records themselves are hurt, and nothing was changed: acknowledged records \
    cannot be made again from anything here. Copy the whole folder, look at the disk (kernel log, SMART), then \
    restore the log from its last backup. Do not begin a new log under the same key: the vault would forget what \
    was spent, and witnesses would see two histories";

fn parse_key(text: &str) -> anyhow::Result<LogKey> {
    text.trim().parse().map_err(|error| anyhow::anyhow!("--key: {error}"))
}
