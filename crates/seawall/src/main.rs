//! Seawall: a signing vault and risk firewall for trading bots.

#![allow(unreachable_pub, reason = "a program exports nothing; `pub` here means: beyond this module")]

mod bench;
mod commands;
mod config;
mod descriptor;
mod installation;
mod layout;
mod notices;
mod process;
mod svg;
mod token;
mod typed;
mod unrecorded;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::layout::Layout;
use crate::notices::Notices;

/// A signing vault and risk firewall for trading bots: your bot sends orders, not secrets.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true, max_term_width = 100)]
struct Arguments {
    /// Folder of the installation; by default seawall in the XDG data directory.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything here and show it working (the default).
    Up(up::Options),
    /// Write a commented seawall.toml and a policy from a preset.
    Init(commands::init::Options),
    /// Check machine, files, clock, sockets and venues; say how to mend each fault.
    Doctor(commands::doctor::Options),
    /// Add, list, remove and rotate venue keys.
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Give bots their stand-in keys, list and revoke them.
    #[command(subcommand)]
    Bot(commands::bot::Command),
    /// Check, explain, compare and apply policies.
    #[command(subcommand)]
    Policy(commands::policy::Command),
    /// Show, follow, verify and prove records.
    #[command(subcommand)]
    Log(commands::log::Command),
    /// Show, export, draw and verify the journal: trades, capital, halts, changes, incidents, equity.
    #[command(subcommand)]
    Journal(commands::journal::Command),
    /// Hardware keys of those who approve: add, list, test.
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Facts about venues.
    #[command(subcommand)]
    Venue(commands::venue::Command),
    /// Processes, addresses, trading state, policy, log and keys.
    Status(commands::status::Options),
    /// Stop new orders at once.
    Halt(commands::state::HaltOptions),
    /// Allow orders again.
    Resume(commands::state::ResumeOptions),
    /// Let new risk use only a part of the limits on size; 1 is all of them.
    SizeFactor(commands::state::SizeOptions),
    /// Measure this machine: ours beside the bare floor, in one run.
    Bench(bench::Options),
    /// One supervised process; started by `up`.
    #[command(hide = true)]
    Process {
        /// Which.
        name: process::ProcessName,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("SEAWALL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let notices = Notices::default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(notices.clone()).with_ansi(false).init();
    match run(arguments, &notices) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("seawall: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, notices: &Notices) -> anyhow::Result<ExitCode> {
    let command = arguments.command.unwrap_or_else(|| Command::Up(up::Options::default()));
    if let Command::Process { name } = command {
        process::run(name)?;
        return Ok(ExitCode::SUCCESS);
    }
    let layout = Layout::resolve(arguments.data_dir)?;
    match command {
        Command::Up(options) => up::run(layout, &options, notices),
        Command::Init(options) => commands::init::run(layout, &options),
        Command::Doctor(options) => commands::doctor::run(layout, &options),
        Command::Key(command) => commands::key::run(layout, command),
        Command::Bot(command) => commands::bot::run(layout, command),
        Command::Policy(command) => commands::policy::run(layout, command),
        Command::Log(command) => commands::log::run(&layout, command),
        Command::Journal(command) => commands::journal::run(&layout, &command),
        Command::Token(command) => commands::token::run(layout, command),
        Command::Venue(command) => commands::venue::run(&command),
        Command::Status(options) => commands::status::run(layout, &options),
        Command::Halt(options) => commands::state::halt(layout, options),
        Command::Resume(options) => commands::state::resume(layout, options),
        Command::SizeFactor(options) => commands::state::size_factor(layout, options),
        Command::Bench(options) => bench::run(&layout, &options),
        Command::Process { .. } => unreachable!("handled above"),
    }
}
