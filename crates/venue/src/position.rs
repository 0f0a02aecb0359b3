//! What position a venue says an account holds, so that the vault knows what may have filled.

use trading::{Decimal, Instrument, Market, Price, Read, Venue};

use crate::error::UnreadableReply;
use crate::json::{self, Value};

/// A position in one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Base currency, positive for long; in hedge mode long less short.
    pub quantity: Decimal,
    /// The venue's mark price.
    pub mark_price: Price,
}

/// The read that tells the position in one instrument; `None` where venues tell none.
#[must_use]
pub fn position_read(instrument: &Instrument) -> Option<Read> {
    let endpoint = match (instrument.venue, instrument.market) {
        (Venue::Binance, Market::Linear) => "GET /fapi/v2/positionRisk",
        (Venue::Bybit, Market::Linear) => "GET /v5/position/list",
        _ => return None,
    };
    Some(Read { venue: instrument.venue, endpoint: endpoint.into(), instrument: Some(instrument.clone()) })
}

/// Reads the reply to [`position_read`].
///
/// # Errors
///
/// The reply is not the expected JSON, or is not about `instrument`: then nothing is known.
pub fn read_position(instrument: &Instrument, body: &str) -> Result<Position, UnreadableReply> {
    let value = json::parse(body)?;
    let rows = match instrument.venue {
        Venue::Binance => value.as_array(),
        Venue::Bybit => {
            if value.get("retCode").and_then(Value::as_text) != Some("0") {
                return Err(UnreadableReply::new("retCode", "is not zero"));
            }
            value.get("result").and_then(|result| result.get("list")?.as_array())
        }
    };
    let rows = rows.ok_or_else(|| UnreadableReply::new("list", "is not there"))?;
    let mut quantity = Decimal::ZERO;
    let mut mark_price = None;
    for row in rows {
        if row.get("symbol").and_then(Value::as_text) != Some(instrument.symbol.as_str()) {
            return Err(UnreadableReply::new("symbol", "is not the one asked about"));
        }
        let held = match instrument.venue {
            Venue::Binance => decimal(row, "positionAmt")?,
            Venue::Bybit => signed(row)?,
        };
        quantity = quantity.checked_add(held).ok_or_else(|| UnreadableReply::new("size", "is too large"))?;
        mark_price = Some(price(row)?);
    }
    let mark_price = mark_price.ok_or_else(|| UnreadableReply::new("list", "is empty"))?;
    Ok(Position { quantity, mark_price })
}

/// Bybit states the side apart from the size; a flat position has no side (v5 "Get Position Info").
fn signed(row: &Value<'_>) -> Result<Decimal, UnreadableReply> {
    let size = decimal(row, "size")?;
    match row.get("side").and_then(Value::as_text) {
        Some("Buy") => Ok(size),
        Some("Sell") => size.negated().ok_or_else(|| UnreadableReply::new("size", "is too large")),
        Some("" | "None") if size.is_zero() => Ok(size),
        _ => Err(UnreadableReply::new("side", "is neither Buy nor Sell")),
    }
}

fn decimal(row: &Value<'_>, name: &'static str) -> Result<Decimal, UnreadableReply> {
    let text = row.get(name).and_then(Value::as_text);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| UnreadableReply::new(name, "is not a decimal"))
}

fn price(row: &Value<'_>) -> Result<Price, UnreadableReply> {
    Price::new(decimal(row, "markPrice")?).map_err(|_| UnreadableReply::new("markPrice", "is not above zero"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(instrument: &str, body: &str) -> Option<String> {
        let position = read_position(&instrument.parse().expect("instrument"), body).ok()?;
        Some(format!("{} at {}", position.quantity, position.mark_price))
    }

    #[test]
    fn both_venues_positions_are_read_with_their_sign() {
        let binance = "binance:linear:BTCUSDT";
        let row = r#"[{"symbol":"BTCUSDT","positionAmt":"-0.50","markPrice":"60000.1"}]"#;
        assert_eq!(read(binance, row).as_deref(), Some("-0.5 at 60000.1"));
        let hedged = r#"[{"symbol":"BTCUSDT","positionAmt":"2","markPrice":"9"},{"symbol":"BTCUSDT","positionAmt":"-0.5","markPrice":"9"}]"#;
        assert_eq!(read(binance, hedged).as_deref(), Some("1.5 at 9"));
        let bybit = "bybit:linear:BTCUSDT";
        let page = |row: &str| format!(r#"{{"retCode":0,"result":{{"list":[{row}]}}}}"#);
        let short = page(r#"{"symbol":"BTCUSDT","side":"Sell","size":"0.25","markPrice":"7"}"#);
        assert_eq!(read(bybit, &short).as_deref(), Some("-0.25 at 7"));
        let flat = page(r#"{"symbol":"BTCUSDT","side":"","size":"0","markPrice":"7"}"#);
        assert_eq!(read(bybit, &flat).as_deref(), Some("0 at 7"));
    }

    #[test]
    fn what_is_not_a_position_is_no_flat_position() {
        let binance = "binance:linear:BTCUSDT";
        assert_eq!(read(binance, r#"{"code":-1003,"msg":"slow down"}"#), None);
        assert_eq!(read(binance, "[]"), None);
        assert_eq!(read(binance, r#"[{"symbol":"ETHUSDT","positionAmt":"1","markPrice":"1"}]"#), None);
        assert_eq!(read(binance, r#"[{"symbol":"BTCUSDT","positionAmt":"x","markPrice":"1"}]"#), None);
        assert_eq!(read("bybit:linear:BTCUSDT", r#"{"retCode":10006,"result":{}}"#), None);
        let odd =
            r#"{"retCode":0,"result":{"list":[{"symbol":"BTCUSDT","side":"","size":"1","markPrice":"7"}]}}"#;
        assert_eq!(read("bybit:linear:BTCUSDT", odd), None);
    }
}
