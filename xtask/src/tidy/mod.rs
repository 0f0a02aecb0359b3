//! `cargo xtask tidy`: rules about the repository that no compiler knows.

mod crates;
pub(crate) mod licences;
mod pure;
mod spdx;
mod words;

use std::fs;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Rust files longer than this are listed, to ask which second idea moved in.
const LONG_FILE_LINES: usize = 600;

/// One rule broken at one place, as a person should read it.
pub(crate) struct Finding {
    place: String,
    problem: String,
}

impl Finding {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// Checks everything and lists every finding.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let packages = workspace.packages()?;
    let resolved = workspace.resolved()?;
    let mut findings = crates::check(&packages);
    findings.extend(pure::check(workspace, &packages, &resolved)?);
    findings.extend(licences::check(&resolved)?);
    findings.extend(words::check(workspace)?);
    report_long_files(workspace)?;
    for finding in &findings {
        println!("{}: {}", finding.place, finding.problem);
    }
    if findings.is_empty() {
        println!("tidy: {} crates and their dependencies, no findings", packages.len());
        return Ok(());
    }
    bail!("{} findings", findings.len())
}

/// Writes what tidy can write itself: the bans of the pure crates.
pub(crate) fn fix(workspace: &Workspace) -> Result<()> {
    pure::write_bans(workspace, &workspace.packages()?)
}

/// Lists long files; nothing fails, for a file may have one long idea.
fn report_long_files(workspace: &Workspace) -> Result<()> {
    let mut long = Vec::new();
    for file in workspace.tracked_files()? {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(workspace.root.join(&file))?.lines().count();
            if lines > LONG_FILE_LINES {
                long.push((lines, file));
            }
        }
    }
    long.sort_by(|left, right| right.cmp(left));
    for (lines, file) in &long {
        println!("note: {} has {lines} lines, over {LONG_FILE_LINES}", file.display());
    }
    Ok(())
}
