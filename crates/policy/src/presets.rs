//! Policies to start from, as commented files.

use trading::{AccountName, BotName, Venue};

use crate::edit;

/// A policy to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Only makes liquidity, in small size.
    Strict,
    /// Many small resting orders.
    Grid,
    /// Few orders that may take, with stops.
    Momentum,
}

impl Preset {
    /// Every preset, in the order in which they are listed to people.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Grid, Self::Momentum];

    /// The name used in arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Grid => "grid",
            Self::Momentum => "momentum",
        }
    }

    /// The policy file for one account and the bots that may use it.
    #[must_use]
    pub fn text(self, account: &AccountName, venue: Venue, bots: &[BotName]) -> String {
        let template = match self {
            Self::Strict => include_str!("presets/strict.toml"),
            Self::Grid => include_str!("presets/grid.toml"),
            Self::Momentum => include_str!("presets/momentum.toml"),
        };
        let settings = match venue {
            Venue::Binance => r#"["marginType", "dualSidePosition"]"#,
            Venue::Bybit => r#"["mode", "setMarginMode"]"#,
        };
        let text = template
            .replace("{account}", account.as_str())
            .replace("{venue}", venue.as_str())
            .replace("{settings}", settings);
        bots.iter()
            .fold(text, |text, bot| edit::add_bot(&text, bot, std::slice::from_ref(account)).unwrap_or(text))
    }
}

/// The maker-only policy file.
#[must_use]
pub fn strict(account: &AccountName, venue: Venue, bots: &[BotName]) -> String {
    Preset::Strict.text(account, venue, bots)
}

/// The policy file for grid bots.
#[must_use]
pub fn grid(account: &AccountName, venue: Venue, bots: &[BotName]) -> String {
    Preset::Grid.text(account, venue, bots)
}

/// The policy file for momentum bots.
#[must_use]
pub fn momentum(account: &AccountName, venue: Venue, bots: &[BotName]) -> String {
    Preset::Momentum.text(account, venue, bots)
}
