//! `cargo xtask reference` and `cargo xtask mutants`: the long checks of the policy crate. CI runs a
//! sample of the first with all tests.

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Compares so many random orders with the second telling of the rules.
pub(crate) fn reference(workspace: &Workspace, cases: &str) -> Result<()> {
    if !matches!(cases.parse::<u64>(), Ok(1..)) {
        bail!("`{cases}` is not a number above zero");
    }
    let mut command = workspace.cargo(&[
        "test",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "policy",
        "--test",
        "it",
        "--",
        "--ignored",
        "--nocapture",
        "a_million_times",
    ]);
    process::run(command.env("SEAWALL_REFERENCE_CASES", cases))
}

/// Changes the policy crate one operator or function at a time and says which changes no test notices.
/// What is changed, and what is not, is in `.cargo/mutants.toml`; `arguments` go to cargo-mutants.
pub(crate) fn mutants(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    if !process::succeeds(&mut workspace.cargo(&["mutants", "--version"])) {
        println!("cargo-mutants: installing");
        process::run(&mut workspace.cargo(&["install", "cargo-mutants", "--locked"]))?;
    }
    let mut words = vec!["mutants", "--package", "policy", "--no-shuffle"];
    words.extend(arguments);
    let mut command = workspace.cargo(&words);
    process::run(command.arg("--output").arg(&workspace.target))
}
