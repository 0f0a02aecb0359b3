//! How much memory processes have: each page shared with others counts in part (PSS).

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::bench::report::Report;
use crate::bench::rig::Rig;
use crate::bench::rows::{Budget, Row};

/// Most memory of everything that `seawall up` starts, in MiB.
const STACK_BUDGET: f64 = 150.0;
/// Longest that it may take until it is ready.
const START: Duration = Duration::from_secs(60);
/// How long it idles before it is looked at.
const IDLE: Duration = Duration::from_secs(3);

/// Measures `seawall up` as people start it, without its demonstration bot.
pub fn measure(rig: &Rig<'_>, report: &mut Report) -> anyhow::Result<()> {
    let data = rig.scratch.join("idle");
    let program = std::env::current_exe()?;
    let mut command = Command::new(&program);
    command.args(["up", "--no-demo", "--json", "--data-dir"]).arg(&data);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut up = Up(child);
    let ready = || -> anyhow::Result<bool> {
        let mut asked = Command::new(&program);
        let reply = asked.args(["status", "--json", "--data-dir"]).arg(&data).output()?;
        let status: serde_json::Value = serde_json::from_slice(&reply.stdout).unwrap_or_default();
        Ok(status["healthy"] == true)
    };
    let started = Instant::now();
    while !ready()? {
        rig.check()?;
        anyhow::ensure!(up.0.try_wait()?.is_none(), "`seawall up` ended while starting");
        anyhow::ensure!(started.elapsed() < START, "`seawall up` is not ready in time");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(IDLE);
    let mut parts = Vec::new();
    let mut sum = 0;
    for pid in family(up.0.id()) {
        let (name, bytes) = (name(pid), pss(pid)?);
        parts.push(format!("{name} {:.1}", mebibytes(bytes)));
        sum += bytes;
    }
    let row = Row::figure("memory of the whole stack, idle (PSS)", "MiB", mebibytes(sum));
    report.add(row.within(Budget::Most(STACK_BUDGET)).noting(parts.join(", ")));
    Ok(())
}

/// A started `seawall up`; it stops with this.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            // One that is gone already needs no signal.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(self.0.wait());
    }
}

/// A process and all it has started that still run.
fn family(pid: u32) -> BTreeSet<u32> {
    let (mut all, mut unseen) = (BTreeSet::new(), vec![pid]);
    while let Some(next) = unseen.pop() {
        if !all.insert(next) {
            continue;
        }
        let threads = std::fs::read_dir(format!("/proc/{next}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            unseen.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    all
}

/// What a process is called: the name of its role if it has one.
fn name(pid: u32) -> String {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&str> = line.split('\0').collect();
    match words[..] {
        [_, "process", role, ..] => role.to_owned(),
        [_, role, ..] => role.to_owned(),
        _ => pid.to_string(),
    }
}

/// Bytes of a process's memory (proc(5): `smaps_rollup` counts in KiB).
pub fn pss(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).with_context(|| path.clone())?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| path.clone())?;
    Ok(kib * 1024)
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "memory for people, no money")]
pub fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / 1024.0 / 1024.0 * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_of_its_own_family_and_has_memory() {
        let own = std::process::id();
        assert!(family(own).contains(&own));
        assert!(pss(own).expect("Linux tells") > 100_000);
    }
}
