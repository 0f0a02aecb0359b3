//! `cargo xtask sim`: simulations from seeds, as CI runs them; one that failed is replayed exactly.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Builds the simulator as CI does, and runs it with `arguments`.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    process::run(&mut workspace.cargo(&["build", "--locked", "--quiet", "--package", "sim"]))?;
    process::run(Command::new(workspace.target.join("debug/sim")).args(arguments))
}
