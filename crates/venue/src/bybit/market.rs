//! `/v5/market/instruments-info` and `/v5/market/tickers`.

use trading::{Instrument, Market, Price, Symbol, Venue};

use crate::error::UnreadableReply;
use crate::form;
use crate::json::Value;
use crate::market::{
    InstrumentPage, InstrumentRules, PublicRequest, decimal, instrument, middle, price, quantity,
};
use crate::unsigned::Surface;

const fn category(market: Market) -> &'static str {
    match market {
        Market::Spot | Market::Margin => "spot",
        Market::Linear => "linear",
        Market::Inverse => "inverse",
        Market::Option => "option",
    }
}

pub(crate) fn instruments_request(market: Market, cursor: Option<&str>) -> PublicRequest {
    let mut target = format!("/v5/market/instruments-info?category={}&limit=1000", category(market));
    if let Some(cursor) = cursor {
        // Bybit hands its cursors out percent-encoded already.
        target.push_str("&cursor=");
        target.push_str(cursor);
    }
    PublicRequest { surface: Surface::V5, target }
}

pub(crate) fn mark_prices_request(market: Market, symbol: Option<&Symbol>) -> PublicRequest {
    let mut target = format!("/v5/market/tickers?category={}", category(market));
    if let Some(symbol) = symbol {
        target.push_str("&symbol=");
        form::encode_into(&mut target, symbol.as_str());
    }
    PublicRequest { surface: Surface::V5, target }
}

fn list<'v, 'a>(body: &'v Value<'a>) -> Result<&'v [Value<'a>], UnreadableReply> {
    if body.get("retCode").and_then(Value::as_text) != Some("0") {
        let text = body.get("retMsg").and_then(Value::as_text).unwrap_or("is not zero");
        return Err(UnreadableReply::new("retCode", text));
    }
    body.get("result")
        .and_then(|result| result.get("list")?.as_array())
        .ok_or_else(|| UnreadableReply::new("result.list", "is not a list"))
}

pub(crate) fn read_instruments(market: Market, body: &Value<'_>) -> Result<InstrumentPage, UnreadableReply> {
    let instruments = list(body)?.iter().filter_map(|symbol| rules(market, symbol)).collect();
    let next = body
        .get("result")
        .and_then(|result| result.get("nextPageCursor")?.as_text())
        .filter(|cursor| !cursor.is_empty())
        .map(ToOwned::to_owned);
    Ok(InstrumentPage { instruments, next })
}

fn rules(market: Market, symbol: &Value<'_>) -> Option<InstrumentRules> {
    let lot = symbol.get("lotSizeFilter")?;
    Some(InstrumentRules {
        instrument: instrument(Venue::Bybit, market, symbol)?,
        trading: symbol.get("status")?.as_text()? == "Trading",
        tick: price(symbol.get("priceFilter")?, "tickSize"),
        lot: quantity(lot, "qtyStep").or_else(|| quantity(lot, "basePrecision")),
        market_lot: None,
        min_quantity: quantity(lot, "minOrderQty"),
        max_quantity: quantity(lot, "maxLimitOrderQty").or_else(|| quantity(lot, "maxOrderQty")),
        min_notional: decimal(lot, "minNotionalValue").or_else(|| decimal(lot, "minOrderAmt")),
        contract_size: None,
    })
}

pub(crate) fn read_mark_prices(
    market: Market,
    body: &Value<'_>,
) -> Result<Vec<(Instrument, Price)>, UnreadableReply> {
    let one = |value: &Value<'_>| {
        let price = match market {
            Market::Spot | Market::Margin => middle(price(value, "bid1Price")?, price(value, "ask1Price")?)?,
            _ => price(value, "markPrice")?,
        };
        Some((instrument(Venue::Bybit, market, value)?, price))
    };
    Ok(list(body)?.iter().filter_map(one).collect())
}
