//! Public market data that rules need: what may be traded in which steps, and what it is worth now.

use serde::{Deserialize, Serialize};
use trading::{Decimal, Instrument, Market, Price, Quantity, Symbol, Venue};

use crate::error::UnreadableReply;
use crate::json::{self, Value};
use crate::unsigned::Surface;
use crate::{binance, bybit};

/// A public question: a GET of `target` at the host of `surface`, without any header of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicRequest {
    /// The part of the venue.
    pub surface: Surface,
    /// Path and query.
    pub target: String,
}

/// The steps and bounds in which an instrument trades; absent where the venue states none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentRules {
    /// Which instrument.
    pub instrument: Instrument,
    /// Whether the venue takes orders for it now.
    pub trading: bool,
    /// Prices are multiples of it.
    pub tick: Option<Price>,
    /// Quantities are multiples of it.
    pub lot: Option<Quantity>,
    /// Quantities of market orders are multiples of it, where the venue tells them apart.
    pub market_lot: Option<Quantity>,
    /// The smallest quantity.
    pub min_quantity: Option<Quantity>,
    /// The largest quantity of a limit order.
    pub max_quantity: Option<Quantity>,
    /// The smallest value in quote currency.
    pub min_notional: Option<Decimal>,
    /// What one contract stands for in quote currency, where the instrument counts in contracts (COIN-M).
    pub contract_size: Option<Quantity>,
}

/// One page of instruments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentPage {
    /// The instruments, in the venue's order.
    pub instruments: Vec<InstrumentRules>,
    /// What to ask for next, if this was not the last page.
    pub next: Option<String>,
}

/// The request for the instruments of a market; `cursor` is [`InstrumentPage::next`] of the page before.
/// `None` for a market that the venue's supported part does not have.
#[must_use]
pub fn instruments_request(venue: Venue, market: Market, cursor: Option<&str>) -> Option<PublicRequest> {
    match venue {
        Venue::Binance => binance::market::instruments_request(market),
        Venue::Bybit => Some(bybit::market::instruments_request(market, cursor)),
    }
}

/// Reads the reply to [`instruments_request`]. An instrument whose name or steps are not readable
/// is left out, so that orders for it are denied rather than rounded wrongly.
///
/// # Errors
///
/// The reply is not the expected JSON.
pub fn read_instruments(venue: Venue, market: Market, body: &str) -> Result<InstrumentPage, UnreadableReply> {
    let value = json::parse(body)?;
    match venue {
        Venue::Binance => binance::market::read_instruments(market, &value),
        Venue::Bybit => bybit::market::read_instruments(market, &value),
    }
}

/// The request for the present prices of a market, or of one symbol.
/// `None` for a market that the venue's supported part does not have.
#[must_use]
pub fn mark_prices_request(venue: Venue, market: Market, symbol: Option<&Symbol>) -> Option<PublicRequest> {
    match venue {
        Venue::Binance => binance::market::mark_prices_request(market, symbol),
        Venue::Bybit => Some(bybit::market::mark_prices_request(market, symbol)),
    }
}

/// Reads the reply to [`mark_prices_request`]: the mark price of derivatives, the middle of bid and ask
/// on spot. An instrument without both is left out.
///
/// # Errors
///
/// The reply is not the expected JSON.
pub fn read_mark_prices(
    venue: Venue,
    market: Market,
    body: &str,
) -> Result<Vec<(Instrument, Price)>, UnreadableReply> {
    let value = json::parse(body)?;
    match venue {
        Venue::Binance => binance::market::read_mark_prices(market, &value),
        Venue::Bybit => bybit::market::read_mark_prices(market, &value),
    }
}

pub(crate) fn decimal(value: &Value<'_>, name: &str) -> Option<Decimal> {
    value.get(name)?.as_text()?.parse().ok()
}

/// A positive decimal; zero means that the venue states none.
pub(crate) fn quantity(value: &Value<'_>, name: &str) -> Option<Quantity> {
    Quantity::new(decimal(value, name)?).ok()
}

pub(crate) fn price(value: &Value<'_>, name: &str) -> Option<Price> {
    Price::new(decimal(value, name)?).ok()
}

/// The middle of two prices, exactly.
pub(crate) fn middle(bid: Price, ask: Price) -> Option<Price> {
    let half = Decimal::new(5, 1).ok()?;
    Price::new(bid.decimal().checked_add(ask.decimal())?.checked_mul(half)?).ok()
}

pub(crate) fn instrument(venue: Venue, market: Market, value: &Value<'_>) -> Option<Instrument> {
    let symbol = Symbol::new(value.get("symbol")?.as_text()?).ok()?;
    Some(Instrument { venue, market, symbol })
}
