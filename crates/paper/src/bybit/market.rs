//! `/v5/market`: public data.

use serde_json::{Value, json};
use trading::{Decimal, Market, Side};

use super::request::{Failure, Fields};
use crate::exchange::{Exchange, Listing, MAX_LEVERAGE, price_of};
use crate::num::{self, Round};

/// The category's name.
pub(crate) const fn category(market: Market) -> &'static str {
    match market {
        Market::Spot => "spot",
        Market::Inverse => "inverse",
        Market::Option => "option",
        Market::Linear | Market::Margin => "linear",
    }
}

pub(crate) fn instrument(exchange: &Exchange, market: Market, fields: &Fields) -> Result<usize, Failure> {
    let symbol = fields.require("symbol")?;
    exchange.instrument(market, &symbol).ok_or_else(|| {
        if market == Market::Spot {
            Failure::new(170_121, "Invalid symbol.")
        } else {
            Failure::new(10_001, format!("params error: symbol invalid {symbol}"))
        }
    })
}

/// The category's instruments, or the one named by `symbol`.
pub(crate) fn chosen(exchange: &Exchange, market: Market, fields: &Fields) -> Result<Vec<usize>, Failure> {
    if fields.get("symbol").is_some() {
        return instrument(exchange, market, fields).map(|at| vec![at]);
    }
    let listings = exchange.listings().iter().enumerate();
    Ok(listings.filter(|(_, listing)| listing.spec.market == market).map(|(at, _)| at).collect())
}

pub(crate) fn list(market: Market, rows: impl IntoIterator<Item = Value>) -> Value {
    json!({ "category": category(market), "list": Value::from_iter(rows), "nextPageCursor": "" })
}

pub(crate) fn instruments_info(exchange: &Exchange, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    if fields.get("status").is_some_and(|status| status != "Trading") {
        return Ok(list(market, Vec::new()));
    }
    let base = fields.get("baseCoin");
    let listings = chosen(exchange, market, fields)?.into_iter().map(|at| &exchange.listings()[at]);
    let listings = listings.filter(|listing| base.as_ref().is_none_or(|base| *base == listing.spec.base));
    let describe = if market == Market::Spot { spot_info } else { linear_info };
    Ok(list(market, listings.map(describe)))
}

fn spot_info(listing: &Listing) -> Value {
    let spec = &listing.spec;
    json!({
        "symbol": spec.symbol, "baseCoin": spec.base, "quoteCoin": spec.quote, "innovation": "0", "status": "Trading",
        "marginTrading": "none", "stTag": "0", "symbolId": 1, "symbolType": "",
        "lotSizeFilter": {
            "basePrecision": spec.lot, "quotePrecision": "0.0000001", "minOrderQty": spec.lot,
            "maxOrderQty": spec.max_quantity, "minOrderAmt": spec.min_notional, "maxOrderAmt": "8000000",
            "maxLimitOrderQty": spec.max_quantity, "maxMarketOrderQty": spec.max_quantity,
            "postOnlyMaxLimitOrderSize": spec.max_quantity,
        },
        "priceFilter": { "tickSize": spec.tick },
        "riskParameters": { "priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02" },
    })
}

fn linear_info(listing: &Listing) -> Value {
    let spec = &listing.spec;
    json!({
        "symbol": spec.symbol, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": spec.base,
        "quoteCoin": spec.quote, "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "",
        "priceScale": spec.tick.scale().to_string(),
        "leverageFilter": { "minLeverage": "1", "maxLeverage": MAX_LEVERAGE.to_string(), "leverageStep": "1" },
        "priceFilter": { "minPrice": spec.tick, "maxPrice": spec.max_price, "tickSize": spec.tick },
        "lotSizeFilter": {
            "maxOrderQty": spec.max_quantity, "minOrderQty": spec.lot, "qtyStep": spec.lot,
            "postOnlyMaxOrderQty": spec.max_quantity, "maxMktOrderQty": spec.max_quantity,
            "minNotionalValue": spec.min_notional,
        },
        "unifiedMarginTrade": true, "fundingInterval": 480, "settleCoin": spec.quote, "copyTrading": "none",
        "upperFundingRate": "0.00375", "lowerFundingRate": "-0.00375", "isPreListing": false, "preListingInfo": null,
        "riskParameters": { "priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02" }, "symbolType": "",
    })
}

pub(crate) fn tickers(exchange: &Exchange, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    let rows = chosen(exchange, market, fields)?;
    Ok(list(market, rows.into_iter().map(|at| ticker(&exchange.listings()[at]))))
}

pub(crate) fn ticker(listing: &Listing) -> Value {
    let (spec, day) = (&listing.spec, listing.tape.day());
    let price = |ticks| price_of(ticks, spec.tick);
    let change = Decimal::from_integer(day.close - day.open);
    let ratio = num::divide(change, Decimal::from_integer(day.open), 6, Round::Down);
    let (bid, ask) =
        (listing.book.best(Side::Buy).unwrap_or_default(), listing.book.best(Side::Sell).unwrap_or_default());
    let mut row = json!({
        "symbol": spec.symbol, "lastPrice": price(day.close), "prevPrice24h": price(day.open), "price24hPcnt": ratio,
        "highPrice24h": price(day.high), "lowPrice24h": price(day.low), "turnover24h": listing.value(day.value),
        "volume24h": num::of_units(day.volume, spec.lot),
        "bid1Price": price(bid.0), "bid1Size": num::of_units(bid.1, spec.lot),
        "ask1Price": price(ask.0), "ask1Size": num::of_units(ask.1, spec.lot),
    });
    if spec.market == Market::Spot {
        row["usdIndexPrice"] = json!(listing.mark());
    } else {
        for (name, value) in [
            ("indexPrice", json!(listing.mark())),
            ("markPrice", json!(listing.mark())),
            ("prevPrice1h", json!(price(day.open))),
            ("openInterest", json!("0")),
            ("openInterestValue", json!("0")),
            ("fundingRate", json!("0")),
            ("nextFundingTime", json!("0")),
            ("predictedDeliveryPrice", json!("")),
            ("basisRate", json!("")),
            ("deliveryFeeRate", json!("")),
            ("deliveryTime", json!("0")),
            ("basis", json!("")),
        ] {
            row[name] = value;
        }
    }
    row
}

/// `[price, quantity]` levels.
pub(crate) fn levels(listing: &Listing, side: Side, limit: usize) -> Value {
    let spec = &listing.spec;
    let level = |(price, lots)| json!([price_of(price, spec.tick), num::of_units(lots, spec.lot)]);
    listing.book.levels(side).take(limit).map(level).collect()
}

pub(crate) fn orderbook(exchange: &Exchange, fields: &Fields, now_ms: u64) -> Result<Value, Failure> {
    let market = fields.market()?;
    let listing = &exchange.listings()[instrument(exchange, market, fields)?];
    let limit = fields.limit(if market == Market::Spot { 1 } else { 25 }, 500)?;
    Ok(json!({
        "s": listing.spec.symbol, "b": levels(listing, Side::Buy, limit), "a": levels(listing, Side::Sell, limit),
        "ts": now_ms, "u": listing.book.version, "seq": listing.book.version, "cts": now_ms,
    }))
}

/// Length of a Bybit interval name, in milliseconds.
pub(crate) fn interval_ms(name: &str) -> Option<u64> {
    let minutes = match name {
        "D" => 1_440,
        "W" => 10_080,
        "M" => 43_200,
        _ => {
            name.parse().ok().filter(|minutes| [1, 3, 5, 15, 30, 60, 120, 240, 360, 720].contains(minutes))?
        }
    };
    Some(minutes * 60_000)
}

pub(crate) fn kline(exchange: &Exchange, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.get("category").map_or(Ok(Market::Linear), |_| fields.market())?;
    let listing = &exchange.listings()[instrument(exchange, market, fields)?];
    let interval = interval_ms(&fields.require("interval")?).ok_or_else(|| Failure::param("interval"))?;
    let (from, to) = (fields.integer("start")?, fields.integer("end")?);
    let mut candles = listing.tape.candles(interval, from, to, fields.limit(200, 1_000)?);
    candles.reverse(); // newest first
    let tick = listing.spec.tick;
    let row = |candle: &crate::exchange::Candle| {
        json!([
            candle.open_ms.to_string(),
            price_of(candle.open, tick),
            price_of(candle.high, tick),
            price_of(candle.low, tick),
            price_of(candle.close, tick),
            num::of_units(candle.volume, listing.spec.lot),
            listing.value(candle.value),
        ])
    };
    let rows: Vec<Value> = candles.iter().map(row).collect();
    Ok(json!({ "category": category(market), "symbol": listing.spec.symbol, "list": rows }))
}

pub(crate) fn recent_trades(exchange: &Exchange, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    let listing = &exchange.listings()[instrument(exchange, market, fields)?];
    let trades =
        listing.tape.trades().rev().take(fields.limit(if market == Market::Spot { 60 } else { 500 }, 1_000)?);
    let rows = trades.map(|trade| {
        json!({
            "execId": trade.id.to_string(), "symbol": listing.spec.symbol, "price": trade.price, "size": trade.quantity,
            "side": super::orders::side(trade.taker), "time": trade.time_ms.to_string(), "isBlockTrade": false,
            "isRPITrade": false, "seq": trade.id.to_string(),
        })
    });
    Ok(list(market, rows))
}

pub(crate) fn risk_limit(exchange: &Exchange, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    let rows = chosen(exchange, market, fields)?.into_iter().map(|at| {
        json!({
            "id": 1, "symbol": exchange.listings()[at].spec.symbol, "riskLimitValue": "100000000",
            "maintenanceMargin": "0.005", "initialMargin": "0.008", "isLowestRisk": 1,
            "maxLeverage": MAX_LEVERAGE.to_string(), "mmDeduction": "",
        })
    });
    Ok(list(market, rows))
}
