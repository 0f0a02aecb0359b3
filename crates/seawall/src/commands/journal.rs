//! `seawall journal`: the tables beside the log. Works on the files alone.

mod canvas;
mod cells;
mod export;
mod plot;
mod show;
mod since;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use journal::tables::Reader;

use crate::layout::Layout;

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the latest rows of a table; without one, what is open and what is missing.
    Show(show::Options),
    /// Write a table, or the whole journal with its proof, to a file.
    Export(export::Options),
    /// Draw equity over time with the rungs of the drawdown ladder.
    Plot(plot::Options),
    /// Check every row against the chain and the chain against the log. Exit code 3: the chain holds, but
    /// nothing vouches for its last rows yet.
    Verify(verify::Options),
}

/// Carries out `command`.
pub fn run(layout: &Layout, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show(options) => show::run(layout, options),
        Command::Export(options) => export::run(layout, options),
        Command::Plot(options) => plot::run(layout, options),
        Command::Verify(options) => verify::run(layout, options),
    }
}

/// The tables, which must be there.
fn open(layout: &Layout) -> anyhow::Result<Reader> {
    let path = layout.journal_tables();
    anyhow::ensure!(path.exists(), "there is no journal in {} yet", layout.data().display());
    Reader::open(&path).with_context(|| format!("{}", path.display()))
}
