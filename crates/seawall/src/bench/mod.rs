//! `seawall bench`: what this machine does in one run, ours beside the least that could do the job and
//! beside what others offer.
//!
//! Every contender is asked the same by the same client, in blocks that take turns, so that whatever
//! else the machine does falls on all of them. Nothing here is timed with money in it: prices stay
//! decimals, only durations are divided.

mod algorithm;
mod bao;
mod bare;
mod contender;
mod endurance;
mod flood;
mod gateway;
mod http;
mod in_process;
mod machine;
mod memory;
mod open_loop;
mod orders;
mod plot;
mod python;
mod real_time;
mod report;
mod rig;
mod rows;
mod samples;
mod sockets;
mod throughput;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use crate::bench::bao::Bao;
use crate::bench::machine::Machine;
use crate::bench::report::Report;
use crate::bench::rig::Rig;
use crate::bench::rows::Row;
use crate::bench::sockets::Vaults;
use crate::layout::Layout;

pub use bare::{BareStartup, run as run_bare};

/// What to measure and where to write it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the rows as a Markdown table.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Also draw the distributions.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A look at whether everything works; too short for figures to go by.
    #[arg(long)]
    quick: bool,
    /// The `bao` server to compare with; by default the one on the path, if there is one.
    #[arg(long, value_name = "PROGRAM")]
    openbao: Option<PathBuf>,
    /// The Python whose ccxt to compare with; by default `python3`, if it has ccxt.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Measure the socket rows once more with real-time priority, for their tails.
    #[arg(long)]
    real_time: bool,
    /// Measure only these parts of the table.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Decisions and signatures, without a socket.
    InProcess,
    /// One request at a time through a socket.
    Sockets,
    /// A Python client beside ccxt.
    Python,
    /// Orders at a fixed rate.
    Rate,
    /// Orders per second of many clients.
    Clients,
    /// What the gateway adds.
    Gateway,
    /// An idle stack's memory.
    Idle,
    /// A million orders: memory, verification, proofs, restart.
    Endurance,
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

    /// Whether this only shows that everything works.
    const fn is_quick(self) -> bool {
        self.blocks <= Self::QUICK.blocks
    }
}

/// Measures, prints the table, and writes it wherever it was asked for.
pub fn run(layout: &Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot watch for signals")?;
    }
    let keep_going = || !stop.load(Ordering::Relaxed);
    let rig = Rig {
        keys: algorithm::Keys::generate()?,
        scratch: rig::Scratch::beside(layout)?,
        keep_going: &keep_going,
    };
    let machine = Machine::of(rig.scratch.path());
    let mut report = Report::default();
    measure(&rig, options, &mut report)?;
    drop(rig);
    crate::commands::say(&machine);
    crate::commands::say(report.table());
    write(options.json.as_deref(), || report.json(&machine))?;
    write(options.markdown.as_deref(), || Ok(format!("{machine}\n{}", report.markdown())))?;
    let foot = machine.to_string();
    let foot = foot.lines().next().unwrap_or_default();
    write(options.svg.as_deref(), || Ok(plot::svg(report.curves(), foot)))?;
    Ok(ExitCode::SUCCESS)
}

fn measure(rig: &Rig<'_>, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    if options.wants(Part::InProcess) {
        stage("decisions and signatures");
        in_process::measure(plan, rig, report)?;
    }
    if [Part::Sockets, Part::Python, Part::Rate, Part::Clients].into_iter().any(|part| options.wants(part)) {
        through_sockets(plan, rig, options, report)?;
    }
    if options.wants(Part::Gateway) {
        stage("the gateway");
        gateway::measure(plan, rig, report)?;
    }
    if options.wants(Part::Idle) {
        stage("an idle stack");
        memory::measure(rig, report)?;
    }
    if options.wants(Part::Endurance) {
        stage("a million orders and their log");
        endurance::measure(plan, rig, report)?;
    }
    Ok(())
}

/// Everything that asks the same two vaults.
fn through_sockets(plan: Plan, rig: &Rig<'_>, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    stage("servers");
    let vaults = Vaults::start(rig)?;
    if options.wants(Part::Sockets) {
        let bao = bao::find(options.openbao.as_deref());
        let bao = bao.map(|program| Bao::start(&program, rig)).transpose()?;
        stage("sockets");
        sockets::measure(plan, rig, &vaults, bao.as_ref(), false, report)?;
        if options.real_time {
            stage("sockets with real-time priority");
            tails(plan, rig, &vaults, bao.as_ref(), report)?;
        }
    }
    if options.wants(Part::Python) {
        stage("Python");
        python::measure(plan, rig, &vaults, options.python.as_deref(), report)?;
    }
    if options.wants(Part::Rate) {
        stage("a fixed rate");
        open_loop::measure(plan, rig, &vaults, report)?;
    }
    if options.wants(Part::Clients) {
        stage("many clients");
        throughput::measure(plan, rig, &vaults.durable, report)?;
    }
    Ok(())
}

/// Says what is measured now, to whoever waits; the table is what is said at the end.
fn stage(name: &str) {
    eprintln!("measuring: {name}");
}

/// The socket rows once more, while everybody who takes part has real-time priority.
fn tails(
    plan: Plan,
    rig: &Rig<'_>,
    vaults: &Vaults,
    bao: Option<&Bao>,
    report: &mut Report,
) -> anyhow::Result<()> {
    if let Err(why) = real_time::raise(&[]) {
        report.add(Row::skipped("real-time: socket rows", why.to_string()));
        return Ok(());
    }
    let measured = sockets::measure(plan, rig, vaults, bao, true, report);
    let kept: Vec<u32> = vaults.durable.pids().chain(vaults.pipelined.pids()).collect();
    real_time::lower(&kept)?;
    measured
}

fn write(path: Option<&Path>, text: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()?).with_context(|| format!("cannot write {}", path.display()))
}
