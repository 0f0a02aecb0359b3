//! `oracles measure`: how verification, proofs, appending and restarts behave as the log grows.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use journal::{Folder, Index};
use serde_json::Value;
use transparency::{Options, verify, verify_proof};

use crate::big;

const SIZES: &[u64] = &[10_000, 100_000, 1_000_000, 10_000_000];
/// Proofs made at each size, spread over the log.
const PROOFS: u64 = 200;
/// Longest that a start may take before it is called hanging.
const START: Duration = Duration::from_secs(600);

/// Grows the log in `data` to `records` and measures it at each power of ten that it passes.
pub(crate) fn run(data: &Path, seawall: &Path, records: u64) -> Result<()> {
    let (dir, key) = (data.join("log"), data.join("keys/log.key"));
    fs::create_dir_all(data.join("keys"))?;
    println!(
        "| records | append µs | verify records/s | prove p50 µs | prove p99 µs | journal opens in ms, records read | disk MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for size in SIZES.iter().copied().filter(|size| *size < records).chain([records]) {
        let append = match Folder::open_read_only(&dir).and_then(|folder| folder.current_checkpoint()) {
            Ok((checkpoint, _)) if checkpoint.size > size => continue,
            Ok((checkpoint, _)) if checkpoint.size == size => None,
            _ => Some(big::grow(&dir, &key, size)?),
        };
        let append = append.map_or("–".to_owned(), |micros| format!("{micros:.1}"));
        let (median, worst) = prove(&dir, size)?;
        let (opened, read) = open(&dir, &key)?;
        let rate = verified_per_second(&dir)?;
        let disk = bytes(&dir)? >> 20;
        println!("| {size} | {append} | {rate} | {median} | {worst} | {opened}, {read} | {disk} |");
    }
    let first = start(seawall, data)?;
    println!("first start, on a log without a record of the counters: decides after {first:.2?}");
    for _ in 0..3 {
        println!("start after a kill: decides after {:.2?}", start(seawall, data)?);
    }
    Ok(())
}

fn verified_per_second(dir: &Path) -> Result<u128> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let began = Instant::now();
    let report = verify(&Folder::open_read_only(dir)?, &Options { threads, ..Options::default() });
    ensure!(report.is_intact(), "{:?}", report.fault);
    Ok(u128::from(report.records) * 1_000_000 / began.elapsed().as_micros().max(1))
}

/// Makes and checks proofs all over the log; the median and the 99th percentile in microseconds.
fn prove(dir: &Path, size: u64) -> Result<(u128, u128)> {
    let folder = Folder::open_read_only(dir)?;
    Index::open(&dir.join("index.sqlite"))?.catch_up(&folder, size)?;
    let mut times = Vec::new();
    for number in 0..PROOFS {
        // A stride that is prime to every power of ten walks over all of the log.
        let index = number * 7_368_787 % size;
        let began = Instant::now();
        let bundle = folder.prove(index)?;
        times.push(began.elapsed().as_micros());
        verify_proof(&bundle, None)?;
    }
    times.sort_unstable();
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// How long the journal takes to open the log, and how many records it reads for that.
fn open(dir: &Path, key: &Path) -> Result<(u128, u64)> {
    let began = Instant::now();
    let (_lock, _log, recovered) = journal::open_dir(dir, key)?;
    Ok((began.elapsed().as_millis(), recovered.read))
}

fn bytes(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() { bytes(&entry.path())? } else { data.len() };
    }
    Ok(sum)
}

/// Starts the whole stack, waits until it says that it decides, and kills it.
fn start(seawall: &Path, data: &Path) -> Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new(seawall);
    command.args(["up", "--no-demo", "--json", "--data-dir"]).arg(data);
    let mut up =
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("cannot start the stack")?;
    let outcome = wait(seawall, data, began, &mut up);
    // The epoch's record and the counters behind it shall be on disk for the next start.
    std::thread::sleep(Duration::from_secs(2));
    up.kill()?;
    up.wait()?;
    // Its children end with it; the next start would find their lock.
    std::thread::sleep(Duration::from_secs(2));
    outcome
}

fn wait(seawall: &Path, data: &Path, began: Instant, up: &mut std::process::Child) -> Result<Duration> {
    while began.elapsed() < START {
        if let Some(status) = up.try_wait()? {
            bail!("`seawall up` ended early ({status})");
        }
        let done = Command::new(seawall).args(["status", "--json", "--data-dir"]).arg(data).output()?;
        let status: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        if status["healthy"] == true {
            return Ok(began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("`seawall up` does not decide after {} s", START.as_secs())
}
