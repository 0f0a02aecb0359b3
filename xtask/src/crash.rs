//! `cargo xtask crash`: the full searches for a record that can be lost. Samples of them run with all
//! tests.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, Watched};
use crate::workspace::Workspace;

/// More than there are.
const ALL_POINTS: &str = "100000";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Search<'a> {
    /// Every operation of the journal and of the vault's core on a disk that fails.
    Storage { draws: &'a str },
    /// System calls of the real processes.
    Syscalls { points: &'a str },
    /// Real processes killed under load.
    Kills { cycles: &'a str },
}

/// Runs the search that `arguments` name, or all of them.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    for search in parse(arguments)? {
        match search {
            Search::Storage { draws } => storage(workspace, draws)?,
            Search::Syscalls { points } => {
                let found = ["--package", "seawall", "--test", "it", "--"];
                let mut command = ignored(workspace, &found, "crash::every_system_call");
                print(command.env("SEAWALL_CRASH_POINTS", points), "system calls: points ")?;
            }
            Search::Kills { cycles } => {
                let found = ["--package", "seawall", "--test", "it", "--"];
                let mut command = ignored(workspace, &found, "crash::a_thousand_kills");
                print(command.env("SEAWALL_CRASH_KILLS", cycles), "kills: ")?;
            }
        }
    }
    Ok(())
}

fn parse<'a>(arguments: &[&'a str]) -> Result<Vec<Search<'a>>> {
    let checked = |number: &'a str| match number.parse::<u32>() {
        Ok(1..) => Ok(number),
        _ => bail!("`{number}` is not a number above zero"),
    };
    Ok(match arguments {
        [] => vec![
            Search::Storage { draws: "30" },
            Search::Syscalls { points: ALL_POINTS },
            Search::Kills { cycles: "1000" },
        ],
        ["--storage"] => vec![Search::Storage { draws: "30" }],
        ["--storage", "--draws", draws] => vec![Search::Storage { draws: checked(draws)? }],
        ["--syscalls"] => vec![Search::Syscalls { points: ALL_POINTS }],
        ["--syscalls", "--points", points] => vec![Search::Syscalls { points: checked(points)? }],
        ["--kills", cycles] => vec![Search::Kills { cycles: checked(cycles)? }],
        other => bail!(
            "crash [--storage [--draws N] | --syscalls [--points N] | --kills N], not `{}`",
            other.join(" ")
        ),
    })
}

/// Both crates' searches, and the sum of what they say.
fn storage(workspace: &Workspace, draws: &str) -> Result<()> {
    let mut sum = Figures::default();
    for (package, name) in [("journal", "crash::every_point"), ("vault", "core::tests::crash::every_point")] {
        let mut command = ignored(workspace, &["--package", package, "--lib", "--"], name);
        let line = print(command.env("SEAWALL_CRASH_DRAWS", draws), "mutants caught ")?;
        sum.add(&line).with_context(|| format!("`{line}` is no report"))?;
    }
    println!("points {}, lost {}, mutants caught {}/{}", sum.points, sum.lost, sum.caught, sum.mutants);
    Ok(())
}

fn ignored(workspace: &Workspace, where_: &[&str], name: &str) -> Command {
    // Optimised: a process starts, and ten thousand of them start, in a fifth of the time.
    let mut command = workspace.cargo(&["test", "--release", "--locked", "--quiet"]);
    command.args(where_).args(["--ignored", "--exact", "--nocapture", name]);
    command
}

fn print(command: &mut Command, marker: &str) -> Result<String> {
    let line = process::run_remembering(command, &Watched::Stdout, marker)?;
    line.context("the search printed no figures; was it skipped?")
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    points: u64,
    lost: u64,
    caught: u64,
    mutants: u64,
}

impl Figures {
    /// Adds what `…: points P, lost L, mutants caught C/M` says.
    fn add(&mut self, line: &str) -> Option<()> {
        let (_, rest) = line.split_once("points ")?;
        let (points, rest) = rest.split_once(", lost ")?;
        let (lost, rest) = rest.split_once(", mutants caught ")?;
        let (caught, mutants) = rest.split_once('/')?;
        let numbers = [points, lost, caught, mutants].map(|text| text.trim().parse::<u64>().ok());
        let [Some(points), Some(lost), Some(caught), Some(mutants)] = numbers else { return None };
        *self = Self {
            points: self.points + points,
            lost: self.lost + lost,
            caught: self.caught + caught,
            mutants: self.mutants + mutants,
        };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up() {
        let mut sum = Figures::default();
        sum.add("journal: points 40, lost 0, mutants caught 5/5").expect("a report");
        sum.add("vault: points 2, lost 1, mutants caught 0/1").expect("a report");
        assert_eq!(sum, Figures { points: 42, lost: 1, caught: 5, mutants: 6 });
        assert_eq!(sum.add("points many, lost 0, mutants caught 1/1"), None);
    }

    #[test]
    fn a_search_is_named_with_its_size() {
        assert_eq!(parse(&["--kills", "15"]).expect("known"), [Search::Kills { cycles: "15" }]);
        assert_eq!(parse(&[]).expect("known").len(), 3);
        assert!(parse(&["--kills", "0"]).is_err());
        assert!(parse(&["--kill"]).is_err());
    }
}
