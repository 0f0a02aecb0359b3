//! Raw JSON from the sign socket, in the venue's own words.

use serde::{Deserialize, Serialize};
use trading::{Market, Timestamp, Venue};

use crate::error::Undecodable;
use crate::unsigned::{Form, Unsigned};
use crate::{binance, bybit};

/// What the caller wants done with the body; the venue's path follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Place one order.
    #[default]
    Place,
    /// Change one order.
    Amend,
    /// Cancel one order.
    Cancel,
    /// Cancel all orders of a scope.
    CancelAll,
    /// Place several (Bybit).
    PlaceBatch,
    /// Change several (Bybit).
    AmendBatch,
    /// Cancel several (Bybit).
    CancelBatch,
}

/// Makes a request from a venue's native JSON body.
///
/// Binance: the members become form parameters in the object's order, numbers with the text they
/// have (`0.5` never passes through a float), then `recvWindow` and `timestamp` unless they are
/// there; `market` says which API. Bybit: the body's bytes stay as they are and name their own
/// category; `market` is not looked at.
///
/// # Errors
///
/// Not a JSON object, a duplicate key at any depth, an operation the market does not have. The
/// fields themselves are checked by [`crate::decode`], as for any other request.
pub fn from_native_json(
    venue: Venue,
    market: Market,
    operation: Operation,
    body: &str,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Unsigned, Undecodable> {
    match venue {
        Venue::Binance => binance::native::request(market, operation, body, sent_at, recv_window_ms)
            .map(|http| Unsigned(Form::BinanceHttp(http))),
        Venue::Bybit => bybit::native::request(operation, body, sent_at, recv_window_ms)
            .map(|http| Unsigned(Form::BybitHttp(http))),
    }
}
