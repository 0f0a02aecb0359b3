//! `cargo xtask fuzz`: hostile bytes at every parser of foreign bytes, for as long as one likes.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, Watched};
use crate::workspace::Workspace;

/// Executions of each target in CI: the same on every machine, and below a minute for all together.
const CI_EXECUTIONS: &str = "4000";
/// The seed in CI, so that a failure there is nobody's bad luck. Long runs take one of their own.
const CI_SEED: &str = "20260301";

/// A few thousand executions of each target; returns the closing line.
pub(crate) fn briefly(workspace: &Workspace) -> Result<Option<String>> {
    process::run(&mut workspace.cargo(&["build", "--locked", "--quiet", "--package", "fuzz"]))?;
    let words = ["--executions", CI_EXECUTIONS, "--seed", CI_SEED];
    finished(command(workspace, "debug").args(words))
}

/// As long as `words` say, in release mode.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<()> {
    process::run(&mut workspace.cargo(&["build", "--release", "--locked", "--quiet", "--package", "fuzz"]))?;
    finished(command(workspace, "release").args(words)).map(drop)
}

fn command(workspace: &Workspace, profile: &str) -> Command {
    let mut command = Command::new(workspace.target.join(profile).join("fuzz"));
    command.arg("--failures").arg(workspace.target.join("fuzz-failures")).current_dir(&workspace.root);
    command
}

fn finished(command: &mut Command) -> Result<Option<String>> {
    let closing = process::run_remembering(command, &Watched::Stdout, "fuzz: ")?;
    if closing.is_none() {
        bail!("the fuzz targets gave no closing line");
    }
    Ok(closing)
}
