//! `cargo xtask sim`: many seeds, or one with its trace.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sim::{Counts, Plan, Report, run};

const USAGE: &str =
    "usage: sim [--seeds N] [--from SEED] [--turns N] | sim --seed SEED [--trace] [--turns N]";

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<()> {
    let (mut seeds, mut from, mut only, mut trace, mut turns) = (100, 0, None, false, Plan::short(0).turns);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64> {
            let text = words.next().with_context(|| format!("{word} wants a number\n{USAGE}"))?;
            text.parse().with_context(|| format!("{word} wants a number, not {text}"))
        };
        match word.as_str() {
            "--seeds" => seeds = number()?,
            "--from" => from = number()?,
            "--seed" => only = Some(number()?),
            "--turns" => turns = number()?,
            "--trace" => trace = true,
            _ => bail!("{USAGE}"),
        }
    }
    match only {
        Some(seed) => one(Plan { trace, turns, ..Plan::short(seed) }),
        None => many(from, seeds, turns),
    }
}

fn one(plan: Plan) -> Result<()> {
    let report = run(plan);
    println!("seed {}: hash {}", report.seed, hex::encode(report.hash));
    println!("{:?}", report.counts);
    match report.violation {
        Some(violation) => bail!("seed {}: {violation}", report.seed),
        None => Ok(()),
    }
}

fn many(from: u64, seeds: u64, turns: u64) -> Result<()> {
    let started = Instant::now();
    let next = AtomicU64::new(from);
    let (total, failed) = (Mutex::new(Counts::default()), Mutex::new(Vec::<Report>::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let report = run(Plan { turns, ..Plan::short(seed) });
                    total.lock().expect("no thread panics").add(&report.counts);
                    if let Some(violation) = &report.violation {
                        println!("seed {seed}: {violation}\n  replay: cargo xtask sim --seed {seed} --turns {turns} --trace");
                        failed.lock().expect("no thread panics").push(report);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no thread panics");
    println!("{seeds} seeds in {} s, {} failed", started.elapsed().as_secs(), failed.len());
    println!("{:?}", total.into_inner().expect("no thread panics"));
    if failed.is_empty() { Ok(()) } else { bail!("{} of {seeds} seeds failed", failed.len()) }
}
