//! `exchangeInfo`, `ticker/bookTicker` and `premiumIndex`.

use trading::{Instrument, Market, Price, Symbol, Venue};

use crate::error::UnreadableReply;
use crate::form;
use crate::json::Value;
use crate::market::{
    InstrumentPage, InstrumentRules, PublicRequest, decimal, instrument, middle, price, quantity,
};
use crate::unsigned::Surface;

fn place(market: Market) -> Option<(Surface, &'static str)> {
    match market {
        Market::Spot | Market::Margin => Some((Surface::Spot, "/api/v3")),
        Market::Linear => Some((Surface::UsdMargined, "/fapi/v1")),
        Market::Inverse => Some((Surface::CoinMargined, "/dapi/v1")),
        Market::Option => None,
    }
}

pub(crate) fn instruments_request(market: Market) -> Option<PublicRequest> {
    let (surface, base) = place(market)?;
    Some(PublicRequest { surface, target: format!("{base}/exchangeInfo") })
}

pub(crate) fn mark_prices_request(market: Market, symbol: Option<&Symbol>) -> Option<PublicRequest> {
    let (surface, base) = place(market)?;
    let name = if surface == Surface::Spot { "ticker/bookTicker" } else { "premiumIndex" };
    let mut target = format!("{base}/{name}");
    if let Some(symbol) = symbol {
        target.push_str("?symbol=");
        form::encode_into(&mut target, symbol.as_str());
    }
    Some(PublicRequest { surface, target })
}

pub(crate) fn read_instruments(market: Market, body: &Value<'_>) -> Result<InstrumentPage, UnreadableReply> {
    let symbols = body
        .get("symbols")
        .and_then(Value::as_array)
        .ok_or_else(|| UnreadableReply::new("symbols", "is not a list"))?;
    let instruments = symbols.iter().filter_map(|symbol| rules(market, symbol)).collect();
    Ok(InstrumentPage { instruments, next: None })
}

fn rules(market: Market, symbol: &Value<'_>) -> Option<InstrumentRules> {
    let filters = symbol.get("filters")?.as_array()?;
    let filter = |kind: &str| {
        filters.iter().find(|filter| filter.get("filterType").and_then(Value::as_text) == Some(kind))
    };
    let lot = filter("LOT_SIZE")?;
    let status = symbol.get("status").or_else(|| symbol.get("contractStatus"))?.as_text()?;
    let notional = filter("NOTIONAL").or_else(|| filter("MIN_NOTIONAL"));
    Some(InstrumentRules {
        instrument: instrument(Venue::Binance, market, symbol)?,
        trading: status == "TRADING",
        tick: filter("PRICE_FILTER").and_then(|filter| price(filter, "tickSize")),
        lot: quantity(lot, "stepSize"),
        market_lot: filter("MARKET_LOT_SIZE").and_then(|filter| quantity(filter, "stepSize")),
        min_quantity: quantity(lot, "minQty"),
        max_quantity: quantity(lot, "maxQty"),
        min_notional: notional
            .and_then(|filter| decimal(filter, "minNotional").or_else(|| decimal(filter, "notional"))),
        contract_size: quantity(symbol, "contractSize"),
    })
}

pub(crate) fn read_mark_prices(
    market: Market,
    body: &Value<'_>,
) -> Result<Vec<(Instrument, Price)>, UnreadableReply> {
    let one = |value: &Value<'_>| {
        let price = match market {
            Market::Spot | Market::Margin => middle(price(value, "bidPrice")?, price(value, "askPrice")?)?,
            _ => price(value, "markPrice")?,
        };
        Some((instrument(Venue::Binance, market, value)?, price))
    };
    match body {
        Value::Array(values) => Ok(values.iter().filter_map(one).collect()),
        Value::Object(_) => Ok(one(body).into_iter().collect()),
        _ => Err(UnreadableReply::new("body", "is neither a list nor an object")),
    }
}
