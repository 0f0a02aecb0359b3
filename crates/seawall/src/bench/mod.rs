//! `seawall bench`: what this machine does in one run, ours beside the least that could do the job.
//!
//! Every contender is asked the same by the same client, in blocks that take turns, so that whatever
//! else the machine does falls on all of them. Nothing here is timed with money in it: prices stay
//! decimals, only durations are divided.

mod bare;
mod in_process;
mod machine;
mod rig;
mod rows;
mod samples;
mod sockets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use serde::Serialize;

use crate::bench::machine::Machine;
use crate::bench::rows::Row;
use crate::layout::Layout;

pub use bare::{BareStartup, run as run_bare};

/// What to measure and where to write it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A look at whether everything works; too short for figures to go by.
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Turns each contender gets.
    blocks: usize,
    /// Requests of one turn that count.
    requests: usize,
    /// Requests before them that do not.
    warm_up: usize,
}

impl Plan {
    const FULL: Self = Self { blocks: 30, requests: 200, warm_up: 20 };
    const QUICK: Self = Self { blocks: 3, requests: 20, warm_up: 2 };
}

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    rows: Vec<Row>,
    machine: Machine,
}

/// Measures, prints the table, and writes it as JSON if asked to.
pub fn run(layout: &Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot watch for signals")?;
    }
    let keep_going = || !stop.load(Ordering::Relaxed);
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    let scratch = rig::Scratch::beside(layout)?;
    let machine = Machine::of(scratch.path());
    let keys = rig::Keys::generate()?;
    let mut rows = in_process::measure(plan, &keys, &keep_going)?;
    rows.extend(sockets::measure(plan, &keys, &scratch, &keep_going)?);
    drop(scratch);
    crate::commands::say(&machine);
    crate::commands::say(rows::table(&rows));
    if let Some(path) = &options.json {
        let mut text = serde_json::to_vec_pretty(&Report { rows, machine })?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
