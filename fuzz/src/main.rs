//! Throws damaged and hostile bytes at every parser of bytes that come from somewhere else.
//!
//! `cargo xtask fuzz [--seconds N | --executions N] [--seed N] [TARGET…]`. A target starts from published
//! requests and from `fuzz/corpus/TARGET/`; the same seed does the same. A failing input is written to a file, which
//! `--input FILE TARGET` runs again.

mod engine;
mod mutate;
mod random;
mod seeds;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use crate::engine::{Budget, Failure, Outcome};
use crate::targets::{TARGETS, Target};

/// What to do.
struct Wanted {
    budget: Budget,
    seed: u64,
    /// Where failing inputs go.
    failures: PathBuf,
    /// Writes new behaviours' inputs, the shortest ones, into the corpus: so many for each target.
    keep: usize,
    input: Option<PathBuf>,
    targets: Vec<&'static Target>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    engine::expect_panics();
    match wanted(&arguments).and_then(|wanted| run(&wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(arguments: &[String]) -> Result<Wanted> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut wanted = Wanted {
        budget: Budget { time: None, executions: None, each: engine::TIME_LIMIT },
        seed: u64::try_from(now.as_millis()).unwrap_or(1),
        failures: PathBuf::from("target/fuzz-failures"),
        keep: 0,
        input: None,
        targets: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seconds" => wanted.budget.time = Some(Duration::from_secs(value()?.parse()?)),
            "--executions" => wanted.budget.executions = Some(value()?.parse()?),
            "--seed" => wanted.seed = value()?.parse()?,
            "--failures" => wanted.failures = value()?.into(),
            "--keep" => wanted.keep = value()?.parse()?,
            "--input" => wanted.input = Some(value()?.into()),
            name => wanted.targets.push(find(name)?),
        }
    }
    if wanted.targets.is_empty() {
        wanted.targets = TARGETS.iter().collect();
    }
    if wanted.budget.time.is_none() && wanted.budget.executions.is_none() {
        wanted.budget.time = Some(Duration::from_secs(60));
    }
    Ok(wanted)
}

fn find(name: &str) -> Result<&'static Target> {
    let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .with_context(|| format!("no target `{name}`; there are: {}", names()))
}

/// Runs the targets one after the other; whether all held.
fn run(wanted: &Wanted) -> Result<bool> {
    println!("seed {}", wanted.seed);
    let (mut executions, mut failed) = (0, 0);
    for target in &wanted.targets {
        let outcome = one(target, wanted)?;
        executions += outcome.executions;
        let rate = u128::from(outcome.executions) * 1_000 / outcome.took.as_millis().max(1);
        println!(
            "{:<14} {:>11} executions {:>8}/s {:>5} behaviours, slowest {:>5} ms: {}",
            target.name,
            outcome.executions,
            rate,
            outcome.behaviours,
            outcome.slowest.as_millis(),
            if outcome.failure.is_some() { "FAILED" } else { "held" },
        );
        if let Some(failure) = &outcome.failure {
            failed += 1;
            report(target, failure, wanted)?;
        }
        keep(target, &outcome, wanted.keep)?;
    }
    println!("fuzz: {} targets, {executions} executions, {failed} failed", wanted.targets.len());
    Ok(failed == 0)
}

fn one(target: &Target, wanted: &Wanted) -> Result<Outcome> {
    let mut attacked = (target.make)();
    if let Some(path) = &wanted.input {
        let input = fs::read(path).with_context(|| path.display().to_string())?;
        let once = Budget { time: None, executions: Some(1), each: engine::TIME_LIMIT * target.patience };
        return Ok(engine::run(&mut attacked, &[input], wanted.seed, once));
    }
    let mut inputs = seeds::committed(target.name)?;
    inputs.extend((target.seeds)());
    if inputs.is_empty() {
        bail!("{} has nothing to start from", target.name);
    }
    let budget = Budget { each: engine::TIME_LIMIT * target.patience, ..wanted.budget };
    Ok(engine::run(&mut attacked, &inputs, wanted.seed, budget))
}

fn report(target: &Target, failure: &Failure, wanted: &Wanted) -> Result<()> {
    fs::create_dir_all(&wanted.failures)?;
    let path = wanted.failures.join(format!("{}-{:016x}", target.name, engine::digest(&failure.input)));
    fs::write(&path, &failure.input)?;
    println!("  it must hold: {}", target.holds);
    println!("  instead: {}", failure.why);
    println!("  seed {}, input in {}", wanted.seed, path.display());
    Ok(())
}

/// Commits what a long run has found: for each target its shortest inputs that did something new.
fn keep(target: &Target, outcome: &Outcome, most: usize) -> Result<()> {
    if most == 0 || outcome.failure.is_some() {
        return Ok(());
    }
    let folder: &Path = &seeds::here().join("corpus").join(target.name);
    fs::create_dir_all(folder)?;
    let mut kept: Vec<&Vec<u8>> = outcome.kept.iter().filter(|input| input.len() <= 2_048).collect();
    kept.sort_by_key(|input| input.len());
    // Evenly from the short to the long.
    let step = kept.len().div_ceil(most).max(1);
    for input in kept.into_iter().step_by(step) {
        fs::write(folder.join(format!("found-{:016x}", engine::digest(input))), input)?;
    }
    Ok(())
}
