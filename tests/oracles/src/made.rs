//! A log made for the judges by the real processes: two runs of `seawall up` with a bot that sends
//! more than it may.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::Value;
use transparency::{Body, Checkpoint, Epoch, LogKey};

use crate::big;
use crate::kinds::{Honest, copy_folder, public};
use crate::segments::Segment;

/// Orders sent in each run; together more than two full tiles, and with some 170 of the demonstration bot
/// far from where a tile is full.
const ORDERS: usize = 310;
/// How long each run lasts: long enough to start and take the orders on a busy machine.
const RUN: &str = "8s";
const START: Duration = Duration::from_secs(60);

/// Makes a log in `folder`, and beside it the states an intruder may go back to.
pub(crate) fn make(seawall: &Path, folder: &Path) -> Result<Honest> {
    let data = folder.join("data");
    let dir = data.join("log");
    run(seawall, &data)?;
    let past_dir = folder.join("past");
    copy_folder(&dir, &past_dir)?;
    run(seawall, &data)?;
    let newest = folder.join("newest-checkpoint");
    fs::copy(dir.join("checkpoint"), &newest)?;
    let mut seed = [0; 32];
    hex::decode_to_slice(fs::read_to_string(data.join("keys/log.key"))?.trim(), &mut seed)?;
    let log_key = Ed25519KeyPair::from_seed_unchecked(&seed).ok().context("the log's key")?;
    let segment = Segment::read(&dir)?;
    let key = LogKey::new(public(&log_key));
    let (checkpoint, _) = Checkpoint::open(&fs::read_to_string(&newest)?, &key)?;
    let fork = folder.join("fork");
    big::grow(&fork, &data.join("keys/log.key"), checkpoint.size + 40)?;
    Ok(Honest {
        target: target(&segment, checkpoint.size)?,
        epoch: second_epoch(&segment)?,
        past: past_dir.join("checkpoint"),
        dir,
        segment,
        size: checkpoint.size,
        past_dir,
        newest,
        fork,
        log_key,
        stranger: Ed25519KeyPair::from_seed_unchecked(&[9; 32]).ok().context("a stranger's key")?,
    })
}

fn second_epoch(segment: &Segment) -> Result<u64> {
    let opens = |index: &u64| is_epoch(segment, *index);
    (1..segment.records()).find(opens).context("the log has only one epoch")
}

fn is_epoch(segment: &Segment, index: u64) -> bool {
    let body = segment.body(index).and_then(|(body, _)| Body::decode(body).ok());
    body.is_none_or(|body| body.operation == Epoch::OPERATION)
}

/// An even index in the second full tile, away from the beginning of an epoch.
fn target(segment: &Segment, size: u64) -> Result<u64> {
    ensure!(size >= 520, "the log has only {size} leaves");
    ensure!(size % 256 > 1, "the log has no unfinished tile");
    let fits =
        |index: &u64| index.is_multiple_of(2) && (index - 2..=index + 2).all(|near| !is_epoch(segment, near));
    (420..500).find(fits).context("no record in the second tile will do")
}

/// One life of the installation, with orders through the sign socket.
fn run(seawall: &Path, data: &Path) -> Result<()> {
    let mut up = Up::start(seawall, data)?;
    let socket = up.sign_socket(seawall, data)?;
    let mut stream = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(START))?;
    let mut lines = Vec::new();
    for number in 0..ORDERS {
        writeln!(
            lines,
            r#"{{"id":{number},"account":"demo","place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.001","price":"{}.5","time_in_force":"immediate_or_cancel"}}}}"#,
            50_000 + number
        )?;
    }
    stream.write_all(&lines)?;
    let replies = BufReader::new(stream).lines().take(ORDERS).collect::<Result<Vec<_>, _>>()?;
    let recorded = replies.iter().filter(|line| line.contains("\"seq\"")).count();
    ensure!(recorded == ORDERS, "only {recorded} of {ORDERS} orders were recorded: {:?}", replies.last());
    up.finish()
}

struct Up(Child);

impl Up {
    fn start(seawall: &Path, data: &Path) -> Result<Self> {
        let mut command = Command::new(seawall);
        command.args(["up", "--json", "--for", RUN, "--data-dir"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self(command.spawn().with_context(|| seawall.display().to_string())?))
    }

    fn sign_socket(&mut self, seawall: &Path, data: &Path) -> Result<PathBuf> {
        let began = Instant::now();
        while began.elapsed() < START {
            if let Some(status) = self.0.try_wait()? {
                bail!("`seawall up` ended early ({status})");
            }
            let done = Command::new(seawall).args(["status", "--json", "--data-dir"]).arg(data).output()?;
            let status: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
            if let (Some(true), Some(path)) =
                (status["healthy"].as_bool(), status["addresses"]["sign_socket"].as_str())
            {
                return Ok(PathBuf::from(path));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("`seawall up` was not ready in {} s", START.as_secs())
    }

    /// Waits for the end it was given, and checks its last word.
    fn finish(mut self) -> Result<()> {
        let stdout = self.0.stdout.take().context("its output")?;
        let last = BufReader::new(stdout).lines().last().context("`seawall up` said nothing")??;
        let status = self.0.wait()?;
        let summary: Value = serde_json::from_str(&last).with_context(|| last.clone())?;
        ensure!(status.success() && summary["verified"] == true, "`seawall up` ended with {status}: {last}");
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) && self.0.kill().is_ok() {
            self.0.wait().ok();
        }
    }
}
