//! `cargo xtask isolation` and `cargo xtask secrets`: the long forms of two of the program's tests.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// One bot alone and in bad company, with the processes as they are shipped.
pub(crate) fn isolation(workspace: &Workspace) -> Result<()> {
    process::run(&mut test(workspace, "isolation::"))
}

/// The search of memories after `orders` orders.
pub(crate) fn secrets(workspace: &Workspace, orders: &str) -> Result<()> {
    process::run(test(workspace, "secrets::no_memory").env("SEAWALL_SECRETS_ORDERS", orders))
}

fn test(workspace: &Workspace, name: &str) -> Command {
    let words = ["test", "--release", "--locked", "--quiet", "--package", "seawall", "--test", "it", "--"];
    let mut command = workspace.cargo(&words);
    command.args(["--nocapture", name]);
    command
}
