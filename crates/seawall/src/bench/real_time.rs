//! Tails as the programs make them: everybody who takes part runs before whatever else the machine does.

use std::process::{Command, Stdio};

/// Of 1 to 99; below what the kernel's own threads have.
const PRIORITY: &str = "10";

/// Gives this process and `pids` real-time priority (`SCHED_FIFO`), all threads of each.
pub fn raise(pids: &[u32]) -> anyhow::Result<()> {
    for pid in pids.iter().copied().chain([std::process::id()]) {
        set(&["--fifo", "--all-tasks", "--pid", PRIORITY, &pid.to_string()])?;
    }
    Ok(())
}

/// Gives this process and `pids` their ordinary priority again.
pub fn lower(pids: &[u32]) -> anyhow::Result<()> {
    for pid in pids.iter().copied().chain([std::process::id()]) {
        set(&["--other", "--all-tasks", "--pid", "0", &pid.to_string()])?;
    }
    Ok(())
}

fn set(arguments: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("chrt").args(arguments).stdin(Stdio::null()).output();
    let done = done.map_err(|error| anyhow::anyhow!("chrt (util-linux) cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    anyhow::ensure!(done.status.success(), "not permitted here: {}", said.trim());
    Ok(())
}
