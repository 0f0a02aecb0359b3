//! The repository's own commands, run as `cargo xtask COMMAND`.
//!
//! Everything that CI does is here and nowhere else, so a newcomer's machine and CI do the same.

mod bench;
mod clients;
mod crash;
mod fuzz;
mod hostile;
mod oracles;
mod policy;
mod process;
mod promises;
mod setup;
mod simulation;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--only STEP]   install what the tests need, then run every step; stops at the first failure
  setup                only install what the tests need (idempotent)
  tidy [--fix]         dependency directions, licences, words that do not belong in the repository
  licences             every dependency with its licence
  promises             docs/promises.toml against the tests that exist
  crash [--storage [--draws N] | --syscalls [--points N] | --kills N]
                       full searches for a record that can be lost; all of them if none is named
  clients [-- ARGS]    real clients (Python) against a stack started here; ARGS go to pytest
  oracles              programs of others judge a real log, and every kind of tampering with it
  biglog N [DIR]       a log of N records: verification, proofs, appending and restart, measured
  bench [-- ARGS]      everything measured beside others, in release mode: table and picture;
                       ARGS go to seawall bench instead
  reference [CASES]    random orders judged by the rules and by a second telling of them, in fractions;
                       a million if no number is given
  mutants [ARGS]       the policy crate with one operator or function changed at a time: which changes
                       no test notices; ARGS go to cargo-mutants, such as --shard 0/4
  fuzz [--seconds N | --executions N] [--seed N] [TARGET...]
                       hostile bytes at every parser of foreign bytes; a minute each if nothing is said
  isolation            what a bot has to wait for in bad company, measured in release mode
  secrets [ORDERS]     searches every process's memory for secrets after so many orders (10000)
  sim [ARGS]           simulations from seeds: --seeds N [--from SEED] [--turns N] for many,
                       --seed S [--trace] [--turns N] for one again";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = Workspace::find()?;
    match words.as_slice() {
        ["test"] => steps::run(&workspace, None),
        ["test", "--only", step] => steps::run(&workspace, Some(step)),
        ["setup"] => setup::run(&workspace),
        ["tidy"] => tidy::run(&workspace),
        ["tidy", "--fix"] => tidy::fix(&workspace),
        ["licences"] => tidy::licences::print(&workspace),
        ["promises"] => promises::run(&workspace).map(drop),
        ["crash", rest @ ..] => crash::run(&workspace, rest),
        ["clients"] => clients::run(&workspace, &[]).map(drop),
        ["clients", "--", rest @ ..] => clients::run(&workspace, rest).map(drop),
        ["oracles"] => oracles::run(&workspace).map(drop),
        ["fuzz", rest @ ..] => fuzz::run(&workspace, rest),
        ["isolation"] => hostile::isolation(&workspace),
        ["secrets"] => hostile::secrets(&workspace, "10000"),
        ["secrets", orders] => hostile::secrets(&workspace, orders),
        ["biglog", records] => oracles::big(&workspace, records, None),
        ["biglog", records, folder] => oracles::big(&workspace, records, Some(folder)),
        ["bench"] => bench::run(&workspace, &[]),
        ["bench", "--", rest @ ..] => bench::run(&workspace, rest),
        ["reference"] => policy::reference(&workspace, "1000000"),
        ["reference", cases] => policy::reference(&workspace, cases),
        ["mutants", rest @ ..] => policy::mutants(&workspace, rest),
        ["sim", rest @ ..] => simulation::run(&workspace, rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command `{}`\n\n{USAGE}", other.join(" ")),
    }
}
