//! `cargo xtask oracles`: programs that others wrote judge a log that the real processes made, and
//! every kind of tampering with it. `cargo xtask biglog` shows how the log behaves at size.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, Watched};
use crate::workspace::Workspace;

/// The Go program that judges folders and proofs.
const JUDGE: &str = "tests/oracles/judge";
/// Where Debian's Go libraries lie.
const GOPATH: &str = "/usr/share/gocode";

/// Builds what judges and what is judged; returns the closing line.
pub(crate) fn run(workspace: &Workspace) -> Result<Option<String>> {
    let build = ["build", "--locked", "--quiet", "--package", "seawall", "--package", "oracles"];
    process::run(&mut workspace.cargo(&build))?;
    let judge = build_judge(workspace)?;
    let folder = scratch("seawall-oracles")?;
    let mut command = Command::new(workspace.target.join("debug/oracles"));
    command.arg("judge").arg(&folder).arg(workspace.target.join("debug/seawall")).arg(judge);
    let closing =
        process::run_remembering(command.arg("sigsum-verify"), &Watched::Stdout, "kinds, all caught")?;
    if closing.is_none() {
        bail!("the judges gave no closing line");
    }
    remove(&folder)?;
    Ok(closing)
}

/// Makes a log of `records` in release mode and measures it; the folder goes afterwards.
pub(crate) fn big(workspace: &Workspace, records: &str, folder: Option<&str>) -> Result<()> {
    let build = ["build", "--release", "--locked", "--quiet", "--package", "seawall", "--package", "oracles"];
    process::run(&mut workspace.cargo(&build))?;
    let kept = folder.map(PathBuf::from);
    let folder = kept.clone().map_or_else(|| scratch("seawall-biglog"), Ok)?;
    let mut command = Command::new(workspace.target.join("release/oracles"));
    command.arg("measure").arg(&folder).arg(workspace.target.join("release/seawall")).arg(records);
    process::run(&mut command)?;
    if kept.is_none() {
        remove(&folder)?;
    }
    Ok(())
}

fn build_judge(workspace: &Workspace) -> Result<PathBuf> {
    let judge = workspace.target.join("oracles-judge");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&judge).arg(".").current_dir(workspace.root.join(JUDGE));
    // Debian's libraries are found the old way, without modules and without a network.
    command.env("GO111MODULE", "off").env("GOPATH", GOPATH).env("GOFLAGS", "");
    command.env("GOCACHE", workspace.target.join("go-cache"));
    process::run(&mut command)?;
    Ok(judge)
}

fn scratch(name: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| folder.display().to_string())
}
