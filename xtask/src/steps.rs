//! `cargo xtask test`: every check of the repository, in order, cheapest first.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::{self, Watched};
use crate::workspace::Workspace;
use crate::{clients, fuzz, oracles, promises, setup, tidy};

/// What is worth repeating once all steps are through.
#[derive(Default)]
struct Closing {
    clients: RefCell<Option<String>>,
    fuzz: RefCell<Option<String>>,
    oracles: RefCell<Option<String>>,
    promises: RefCell<Option<String>>,
    tests: RefCell<Option<String>>,
}

type Step = fn(&Workspace, &Closing) -> Result<()>;

/// Every step by its name, in the order in which they run.
const STEPS: &[(&str, Step)] = &[
    ("setup", |workspace, _| setup::run(workspace)),
    ("format", |workspace, _| process::run(&mut workspace.cargo(&["fmt", "--all", "--check"]))),
    ("tidy", |workspace, _| tidy::run(workspace)),
    ("clippy", |workspace, _| {
        let words = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
        process::run(&mut workspace.cargo(&words))
    }),
    ("tests", tests),
    ("docs", |workspace, _| {
        let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
        process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("doctests", |workspace, _| {
        process::run(&mut workspace.cargo(&["test", "--doc", "--workspace", "--locked", "--quiet"]))
    }),
    ("promises", |workspace, closing| {
        closing.promises.replace(Some(promises::run(workspace)?));
        Ok(())
    }),
    ("fuzz", |workspace, closing| {
        closing.fuzz.replace(fuzz::briefly(workspace)?);
        Ok(())
    }),
    ("clients", |workspace, closing| {
        closing.clients.replace(clients::run(workspace, &[])?);
        Ok(())
    }),
    ("oracles", |workspace, closing| {
        closing.oracles.replace(oracles::run(workspace)?);
        Ok(())
    }),
];

/// Runs every step, or the one named `only`, and prints what came of it.
pub(crate) fn run(workspace: &Workspace, only: Option<&str>) -> Result<()> {
    let names = || STEPS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if only.is_some_and(|only| STEPS.iter().all(|(name, _)| *name != only)) {
        bail!("no such step; the steps are: {}", names());
    }
    let closing = Closing::default();
    let mut times = Vec::new();
    for (name, step) in STEPS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        println!("==> {name}");
        let start = Instant::now();
        let result = step(workspace, &closing);
        let took = start.elapsed();
        times.push((*name, took, result.is_ok()));
        println!("==> {name}: {} in {}\n", if result.is_ok() { "ok" } else { "FAILED" }, seconds(took));
        if let Err(error) = result {
            summary(&times, &closing);
            return Err(error.context(format!("step `{name}`")));
        }
    }
    summary(&times, &closing);
    Ok(())
}

/// All Rust tests but those in documentation.
fn tests(workspace: &Workspace, closing: &Closing) -> Result<()> {
    let words = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast"];
    let summary = process::run_remembering(&mut workspace.cargo(&words), &Watched::Stderr, "Summary [")?;
    if summary.is_none() {
        bail!("the test runner printed no summary");
    }
    closing.tests.replace(summary);
    Ok(())
}

fn summary(times: &[(&str, Duration, bool)], closing: &Closing) {
    for (name, took, passed) in times {
        println!("{:>9} {} {name}", seconds(*took), if *passed { "ok    " } else { "FAILED" });
    }
    for (what, line) in [
        ("promises", &closing.promises),
        ("fuzz", &closing.fuzz),
        ("oracles", &closing.oracles),
        ("clients", &closing.clients),
        ("tests", &closing.tests),
    ] {
        if let Some(line) = line.borrow().as_deref() {
            println!("{what}: {line}");
        }
    }
}

fn seconds(took: Duration) -> String {
    format!("{}.{} s", took.as_secs(), took.subsec_millis() / 100)
}
