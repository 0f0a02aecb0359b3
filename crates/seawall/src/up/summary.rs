//! What `up` says at its end: counts from the log, and whether the log verifies from its files.

use std::fmt;

use serde::Serialize;

use crate::up::stack::Stack;

/// The last line of `up --json`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Requests signed in this run, from the log.
    pub approved: u64,
    /// Requests denied in this run, from the log.
    pub denied: u64,
    /// Orders the venue rejected, as the gateway saw it. A lower bound where a vault died: what it heard
    /// in its last half second is not known.
    pub rejected: u64,
    /// Signatures that left the vault. Of a vault that died, everything it approved that is in the
    /// log: nobody can say any more that it did not leave.
    pub released: u64,
    /// Records in the log, those of earlier runs included.
    pub log_size: u64,
    /// Size and root of the last checkpoint.
    pub checkpoint: String,
    /// From a request's arrival in the vault to its reply.
    pub latency_us: Latency,
    /// Whether the log verified from its files after everything had stopped.
    pub verified: bool,
}

/// Microseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
}

impl Summary {
    /// Reads the log that `stack` left behind.
    pub fn of(stack: &mut Stack) -> anyhow::Result<Self> {
        let log = stack.installation.layout.log();
        let verdict = crate::commands::log::verify_folder(&log)?;
        if let Some(fault) = &verdict.fault {
            eprintln!("seawall: the log does not verify: {fault}");
        }
        let counts = crate::commands::log::count_outcomes(&log, stack.first_record())?;
        stack.finish_tally()?;
        let [p50, p99, p999] = stack.latency_us();
        Ok(Self {
            approved: counts.approved,
            denied: counts.denied,
            rejected: stack.rejected(),
            released: stack.counts().released,
            log_size: verdict.records,
            checkpoint: verdict.checkpoint,
            latency_us: Latency { p50, p99, p999 },
            verified: verdict.fault.is_none(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p99, p999 } = self.latency_us;
        writeln!(
            formatter,
            "approved {}, denied {}, released {}",
            self.approved, self.denied, self.released
        )?;
        writeln!(formatter, "rejected by the venue {}", self.rejected)?;
        writeln!(formatter, "log {} records, checkpoint {}", self.log_size, self.checkpoint)?;
        writeln!(formatter, "latency p50 {p50} µs, p99 {p99} µs, p99.9 {p999} µs")?;
        write!(formatter, "log verified from its files: {}", if self.verified { "yes" } else { "NO" })
    }
}
