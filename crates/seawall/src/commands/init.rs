//! `seawall init`: a commented seawall.toml and a policy from a preset.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use trading::{AccountName, Venue};

use crate::commands::say;
use crate::config::{Config, TEMPLATE};
use crate::installation::Installation;
use crate::layout::{Layout, write_private};

/// What to write.
#[derive(Debug, Args)]
pub struct Options {
    /// Which preset the policy starts from.
    #[arg(long, value_enum, default_value = "grid")]
    preset: Preset,
    /// The venue of the first account.
    #[arg(long, default_value = "bybit")]
    venue: Venue,
    /// Your name for the first account.
    #[arg(long, default_value = "main")]
    account: AccountName,
}

/// A policy to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Maker-only, small sizes, one symbol.
    Strict,
    /// Resting limit orders on both sides.
    Grid,
    /// Market orders within tight limits.
    Momentum,
}

impl Preset {
    /// The preset's text for one account.
    pub fn text(self, venue: Venue, account: &AccountName) -> String {
        let preset = match self {
            Self::Strict => policy::presets::strict,
            Self::Grid => policy::presets::grid,
            Self::Momentum => policy::presets::momentum,
        };
        preset(account, venue, &[])
    }
}

/// Writes the two files; nothing that is there is overwritten.
pub fn run(layout: Layout, options: &Options) -> anyhow::Result<ExitCode> {
    layout.create()?;
    for path in [layout.config(), layout.policy(), layout.trade_store()] {
        anyhow::ensure!(!path.exists(), "{} is there already; nothing was written", path.display());
    }
    write_private(&layout.config(), TEMPLATE.as_bytes())?;
    let text = options.preset.text(options.venue, &options.account);
    write_private(&layout.policy(), text.as_bytes())?;
    let installation = Installation { config: Config::load(&layout)?, layout };
    installation.first_policy(&text).context("the preset is not a valid policy")?;
    let layout = &installation.layout;
    say(format!("wrote {}", layout.config().display()));
    say(format!("wrote {}", layout.policy().display()));
    let (venue, account) = (options.venue, &options.account);
    for words in [
        format!("key add --venue {venue} --account {account} --role trade"),
        format!("bot add NAME --venue {venue} --account {account}"),
        "up".to_owned(),
    ] {
        say(format!("next: {}", crate::typed::command(layout, &words)));
    }
    Ok(ExitCode::SUCCESS)
}
