//! What a venue says a key may do.

use serde::{Deserialize, Serialize};
use trading::{Timestamp, Venue};

use crate::error::UnreadableReply;
use crate::json;
use crate::unsigned::{Form, Unsigned};
use crate::{binance, bybit};

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyPermissions {
    /// Place orders somewhere.
    pub can_trade: bool,
    /// Take money out.
    pub can_withdraw: bool,
    /// Move money between accounts.
    pub can_transfer: bool,
    /// Nothing but ask.
    pub read_only: bool,
    /// Works only from listed addresses.
    pub ip_bound: bool,
    /// When the venue drops it, or its trading permission.
    pub expires_at: Option<Timestamp>,
    /// Permissions it has that are not known here; each counts as dangerous.
    pub unknown: Vec<String>,
}

impl KeyPermissions {
    /// Whether the key can do more than trade and ask, or something nobody here knows.
    #[must_use]
    pub const fn is_dangerous(&self) -> bool {
        self.can_withdraw || self.can_transfer || !self.unknown.is_empty()
    }
}

/// The signed question what the key may do.
#[must_use]
pub fn permissions_request(venue: Venue, sent_at: Timestamp, recv_window_ms: u64) -> Unsigned {
    Unsigned(match venue {
        Venue::Binance => Form::BinanceHttp(binance::permissions::request(sent_at, recv_window_ms)),
        Venue::Bybit => Form::BybitHttp(bybit::permissions::request(sent_at, recv_window_ms)),
    })
}

/// Reads the reply to [`permissions_request`].
///
/// # Errors
///
/// An error of the venue, or a reply in which what a key may do cannot be found.
pub fn read_permissions(venue: Venue, body: &str) -> Result<KeyPermissions, UnreadableReply> {
    let value = json::parse(body)?;
    match venue {
        Venue::Binance => binance::permissions::read(&value),
        Venue::Bybit => bybit::permissions::read(&value),
    }
}
