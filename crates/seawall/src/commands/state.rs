//! `seawall halt` and `seawall resume`: the trading state.

use std::process::ExitCode;

use clap::Args;
use protocol::admin::{AdminCommand, AdminReply};
use trading::{AccountName, TradingState};

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
    let installation = Installation::open(layout)?;
    let command = AdminCommand::SetState { state, account, why };
    let AdminReply::Done { record } = installation.ask_vault(&command)? else {
        anyhow::bail!("the vault gave another answer than asked for");
    };
    say(format!("trading state is {state}; record {} (SHA-256 {})", record.seq, record.record_digest));
    Ok(ExitCode::SUCCESS)
}
