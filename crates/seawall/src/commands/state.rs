//! `seawall halt` and `seawall resume`: the trading state; `seawall size-factor`: how much of its size
//! limits an account may use.

use std::process::ExitCode;

use clap::Args;
use protocol::admin::{AdminCommand, AdminReply};
use trading::{AccountName, SizeFactor, TradingState};

use crate::commands::say;
use crate::installation::Installation;
use crate::layout::Layout;

/// How to stop.
#[derive(Debug, Args)]
pub struct HaltOptions {
    /// Only this account; every account if absent.
    #[arg(long)]
    account: Option<AccountName>,
    /// Let orders pass that can only reduce a position.
    #[arg(long)]
    reducing: bool,
    /// Why, for the record.
    #[arg(long, default_value = "halted by an operator")]
    why: String,
}

/// How to go on.
#[derive(Debug, Args)]
pub struct ResumeOptions {
    /// Only this account; every account if absent.
    #[arg(long)]
    account: Option<AccountName>,
    /// Why, for the record.
    #[arg(long)]
    why: String,
}

/// How much of the limits on size new risk may use.
#[derive(Debug, Args)]
pub struct SizeOptions {
    /// Above 0 and at most 1, such as 0.5.
    factor: SizeFactor,
    /// Only this account; every account if absent.
    #[arg(long)]
    account: Option<AccountName>,
    /// Why, for the record.
    #[arg(long)]
    why: String,
}

/// Scales the limits on size.
pub fn size_factor(layout: Layout, options: SizeOptions) -> anyhow::Result<ExitCode> {
    let SizeOptions { factor, account, why } = options;
    let said = format!("size factor is {factor}");
    order(layout, &AdminCommand::SetSizeFactor { factor, account, why }, &said)
}

/// Stops new orders.
pub fn halt(layout: Layout, options: HaltOptions) -> anyhow::Result<ExitCode> {
    let state = if options.reducing { TradingState::Reducing } else { TradingState::Halted };
    set(layout, state, options.account, options.why)
}

/// Allows orders again.
pub fn resume(layout: Layout, options: ResumeOptions) -> anyhow::Result<ExitCode> {
    set(layout, TradingState::Active, options.account, options.why)
}

fn set(
    layout: Layout,
    state: TradingState,
    account: Option<AccountName>,
    why: String,
) -> anyhow::Result<ExitCode> {
    let said = format!("trading state is {state}");
    order(layout, &AdminCommand::SetState { state, account, why }, &said)
}

fn order(layout: Layout, command: &AdminCommand, said: &str) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(layout)?;
    let AdminReply::Done { record } = installation.ask_vault(command)? else {
        anyhow::bail!("the vault gave another answer than asked for");
    };
    say(format!("{said}; record {} (leaf {})", record.seq, record.leaf));
    Ok(ExitCode::SUCCESS)
}
