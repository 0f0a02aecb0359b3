//! What is judged, and what is known at that moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trading::{AccountName, BotName, Instrument, Intent, Price, Timestamp, Venue};

/// One request of one bot, decoded and stripped of its authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who asks.
    pub bot: BotName,
    /// For which account.
    pub account: AccountName,
    /// What is asked.
    pub intent: Intent,
    /// The time the client wrote into the request; `None` if the vault writes its own.
    pub sent_at: Option<Timestamp>,
    /// How long the venue may accept the request after that time, in milliseconds; `None` means
    /// the venue's default.
    pub recv_window_ms: Option<u64>,
    /// Until when a stream login holds, where the client says so.
    pub expires_at: Option<Timestamp>,
    /// What the client's library added unasked, by name (`broker-id`).
    pub extras: Vec<Box<str>>,
    /// Why, in the bot's words; recorded, never judged.
    pub thesis: Option<Box<str>>,
}

impl Request {
    /// A request without anything that a client's library adds.
    #[must_use]
    pub const fn new(bot: BotName, account: AccountName, intent: Intent) -> Self {
        Self {
            bot,
            account,
            intent,
            sent_at: None,
            recv_window_ms: None,
            expires_at: None,
            extras: Vec::new(),
            thesis: None,
        }
    }

    /// How long the venue will accept the request, in milliseconds.
    pub(crate) fn window_ms(&self, venue: Venue) -> u64 {
        self.recv_window_ms.unwrap_or(default_recv_window_ms(venue))
    }
}

/// The window a venue applies where the request states none, in milliseconds (Binance "Endpoint
/// security", Bybit v5 "Integration guidance": both 5000).
const fn default_recv_window_ms(venue: Venue) -> u64 {
    match venue {
        Venue::Binance | Venue::Bybit => 5000,
    }
}

/// What the outside is said to be at the moment of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The vault's clock.
    pub now: Timestamp,
    /// The last mark price of each instrument, as far as a feed has told (tier O).
    pub mark_prices: BTreeMap<Instrument, MarkPrice>,
}

/// A mark price and when it was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkPrice {
    /// The price.
    pub price: Price,
    /// When the feed saw it.
    pub at: Timestamp,
}
