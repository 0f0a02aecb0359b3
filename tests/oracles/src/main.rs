//! Outside judges of the log, and its behaviour at size. Run by `cargo xtask oracles` and
//! `cargo xtask biglog`; linked into nothing.

mod big;
mod bundles;
mod judges;
mod kinds;
mod made;
mod measure;
mod run;
mod segments;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oracles: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["grow", dir, key, size] => {
            let size = size.parse().context("SIZE is a number of records")?;
            big::grow(Path::new(dir), Path::new(key), size).map(drop)
        }
        ["measure", data, seawall, records] => {
            let records = records.parse().context("RECORDS is a number")?;
            measure::run(Path::new(data), Path::new(seawall), records)
        }
        ["judge", folder, seawall, go, sigsum] => {
            let programs = run::Programs { seawall: seawall.into(), go: go.into(), sigsum: sigsum.into() };
            run::run(programs, Path::new(folder))
        }
        _ => bail!(
            "usage: oracles grow DIR KEY SIZE | measure DATA SEAWALL RECORDS | judge FOLDER SEAWALL GO-JUDGE SIGSUM-VERIFY"
        ),
    }
}
