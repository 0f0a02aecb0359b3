//! Market data of spot and USD-M futures.
//!
//! Shapes: developers.binance.com, "Spot REST API" and "USD-M Futures", as read in November 2026.

use serde_json::{Value, json};
use trading::{Decimal, Market, Side};

use super::params::{Failure, Params};
use crate::exchange::{Candle, Exchange, Listing, PublicTrade, price_of};
use crate::num::{self, Round, fixed};

const DAY_MS: u64 = 86_400_000;

/// A price or amount as the market prints it: eight digits on spot, plain on futures.
pub(crate) fn text(market: Market, value: Decimal) -> String {
    if market == Market::Spot { fixed(value, 8) } else { value.to_string() }
}

/// The instrument a request names.
pub(crate) fn instrument(exchange: &Exchange, market: Market, params: &Params) -> Result<usize, Failure> {
    exchange
        .instrument(market, params.require("symbol")?)
        .ok_or_else(|| Failure::new(-1121, "Invalid symbol."))
}

/// The instruments a request names by `symbol`, `symbols`, or not at all.
fn instruments(exchange: &Exchange, market: Market, params: &Params) -> Result<Vec<usize>, Failure> {
    if params.get("symbol").is_some() {
        return instrument(exchange, market, params).map(|at| vec![at]);
    }
    let all = (0..exchange.listings().len()).filter(|at| exchange.listings()[*at].spec.market == market);
    let Some(list) = params.get("symbols") else { return Ok(all.collect()) };
    let names: Vec<String> = serde_json::from_str(list)
        .map_err(|_| Failure::new(-1100, "Illegal characters found in parameter 'symbols'."))?;
    names
        .iter()
        .map(|name| exchange.instrument(market, name).ok_or_else(|| Failure::new(-1121, "Invalid symbol.")))
        .collect()
}

/// One object for `symbol`, a list otherwise.
fn each(
    exchange: &Exchange,
    market: Market,
    params: &Params,
    one: impl Fn(&Listing) -> Value,
) -> Result<Value, Failure> {
    let chosen = instruments(exchange, market, params)?;
    let mut values: Vec<Value> = chosen.into_iter().map(|at| one(&exchange.listings()[at])).collect();
    match (params.get("symbol"), values.pop()) {
        (Some(_), Some(value)) => Ok(value),
        (_, last) => {
            values.extend(last);
            Ok(Value::Array(values))
        }
    }
}

pub(crate) fn exchange_info(
    exchange: &Exchange,
    market: Market,
    params: &Params,
    now_ms: u64,
) -> Result<Value, Failure> {
    let chosen = instruments(exchange, market, params)?;
    let describe = if market == Market::Spot { spot_symbol } else { futures_symbol };
    let symbols: Vec<Value> = chosen.into_iter().map(|at| describe(&exchange.listings()[at])).collect();
    let mut info = json!({
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000 },
            { "rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300 },
        ],
        "exchangeFilters": [],
        "symbols": symbols,
    });
    if market == Market::Linear {
        info["futuresType"] = "U_MARGINED".into();
        info["assets"] = json!([{ "asset": "USDT", "marginAvailable": true, "autoAssetExchange": "-10000" }]);
    }
    Ok(info)
}

fn spot_symbol(listing: &Listing) -> Value {
    let spec = &listing.spec;
    let text = |value| fixed(value, 8);
    json!({
        "symbol": spec.symbol, "status": "TRADING", "baseAsset": spec.base, "baseAssetPrecision": 8,
        "quoteAsset": spec.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": false, "ocoAllowed": false, "otoAllowed": false, "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": false, "cancelReplaceAllowed": true,
        "amendAllowed": false, "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "filters": [
            { "filterType": "PRICE_FILTER", "minPrice": text(spec.tick), "maxPrice": text(spec.max_price), "tickSize": text(spec.tick) },
            { "filterType": "LOT_SIZE", "minQty": text(spec.lot), "maxQty": text(spec.max_quantity), "stepSize": text(spec.lot) },
            { "filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": text(spec.max_quantity), "stepSize": "0.00000000" },
            { "filterType": "NOTIONAL", "minNotional": text(spec.min_notional), "applyMinToMarket": true, "maxNotional": "9000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 5 },
            { "filterType": "MAX_NUM_ORDERS", "maxNumOrders": crate::exchange::MAX_OPEN_ORDERS },
        ],
        "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE", "allowedSelfTradePreventionModes": ["NONE"],
    })
}

fn futures_symbol(listing: &Listing) -> Value {
    let spec = &listing.spec;
    json!({
        "symbol": spec.symbol, "pair": spec.symbol, "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000_u64, "onboardDate": 1_569_398_400_000_u64, "status": "TRADING",
        "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base, "quoteAsset": spec.quote, "marginAsset": spec.quote,
        "pricePrecision": spec.tick.scale(), "quantityPrecision": spec.lot.scale(),
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500", "liquidationFee": "0.012500", "marketTakeBound": "0.05", "maxMoveOrderLimit": 10_000,
        "filters": [
            { "filterType": "PRICE_FILTER", "minPrice": spec.tick, "maxPrice": spec.max_price, "tickSize": spec.tick },
            { "filterType": "LOT_SIZE", "minQty": spec.lot, "maxQty": spec.max_quantity, "stepSize": spec.lot },
            { "filterType": "MARKET_LOT_SIZE", "minQty": spec.lot, "maxQty": spec.max_quantity, "stepSize": spec.lot },
            { "filterType": "MAX_NUM_ORDERS", "limit": crate::exchange::MAX_OPEN_ORDERS },
            { "filterType": "MIN_NOTIONAL", "notional": spec.min_notional },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    })
}

/// Price levels as `[price, quantity]`.
pub(crate) fn levels(listing: &Listing, side: Side, limit: usize) -> Value {
    let spec = &listing.spec;
    let level = |(price, lots)| {
        json!([
            text(spec.market, price_of(price, spec.tick)),
            text(spec.market, num::of_units(lots, spec.lot))
        ])
    };
    listing.book.levels(side).take(limit).map(level).collect()
}

pub(crate) fn depth(
    exchange: &Exchange,
    market: Market,
    params: &Params,
    now_ms: u64,
) -> Result<Value, Failure> {
    let listing = &exchange.listings()[instrument(exchange, market, params)?];
    let limit = params.limit(100, 5_000)?;
    let (bids, asks) = (levels(listing, Side::Buy, limit), levels(listing, Side::Sell, limit));
    let mut depth = json!({ "lastUpdateId": listing.book.version, "bids": bids, "asks": asks });
    if market == Market::Linear {
        depth["E"] = now_ms.into();
        depth["T"] = now_ms.into();
    }
    Ok(depth)
}

pub(crate) fn trades(exchange: &Exchange, market: Market, params: &Params) -> Result<Value, Failure> {
    let listing = &exchange.listings()[instrument(exchange, market, params)?];
    let render = |trade: &PublicTrade| {
        json!({
            "id": trade.id, "price": text(market, trade.price), "qty": text(market, trade.quantity),
            "quoteQty": text(market, num::mul(trade.price, trade.quantity)), "time": trade.time_ms,
            "isBuyerMaker": trade.taker == Side::Sell, "isBestMatch": true,
        })
    };
    Ok(newest(listing, params.limit(500, 1_000)?, render))
}

pub(crate) fn agg_trades(exchange: &Exchange, market: Market, params: &Params) -> Result<Value, Failure> {
    let listing = &exchange.listings()[instrument(exchange, market, params)?];
    let render = |trade: &PublicTrade| {
        json!({
            "a": trade.id, "p": text(market, trade.price), "q": text(market, trade.quantity),
            "f": trade.id, "l": trade.id, "T": trade.time_ms, "m": trade.taker == Side::Sell, "M": true,
        })
    };
    Ok(newest(listing, params.limit(500, 1_000)?, render))
}

fn newest(listing: &Listing, limit: usize, render: impl Fn(&PublicTrade) -> Value) -> Value {
    let mut values: Vec<Value> = listing.tape.trades().rev().take(limit).map(render).collect();
    values.reverse();
    Value::Array(values)
}

/// Length of a Binance interval name, in milliseconds.
pub(crate) fn interval_ms(name: &str) -> Option<u64> {
    let (digits, unit) = name.split_at_checked(name.len().checked_sub(1)?)?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 1_440,
        "w" => 10_080,
        "M" => 43_200,
        _ => return None,
    };
    let count: u64 = digits.parse().ok().filter(|count| (1..=30).contains(count))?;
    Some(count * minutes * 60_000)
}

pub(crate) fn klines(exchange: &Exchange, market: Market, params: &Params) -> Result<Value, Failure> {
    let listing = &exchange.listings()[instrument(exchange, market, params)?];
    let interval =
        interval_ms(params.require("interval")?).ok_or_else(|| Failure::new(-1120, "Invalid interval."))?;
    let (from, to) = (params.integer("startTime")?, params.integer("endTime")?);
    let candles = listing.tape.candles(interval, from, to, params.limit(500, 1_500)?);
    Ok(candles.iter().map(|candle| kline(listing, candle, interval)).collect())
}

fn kline(listing: &Listing, candle: &Candle, interval: u64) -> Value {
    let (market, tick) = (listing.spec.market, listing.spec.tick);
    let price = |ticks| text(market, price_of(ticks, tick));
    let (volume, value) = (num::of_units(candle.volume, listing.spec.lot), listing.value(candle.value));
    let half = |amount| text(market, num::divide(amount, Decimal::from_integer(2), 8, Round::Down));
    json!([
        candle.open_ms,
        price(candle.open),
        price(candle.high),
        price(candle.low),
        price(candle.close),
        text(market, volume),
        candle.open_ms + interval - 1,
        text(market, value),
        candle.trades,
        half(volume),
        half(value),
        "0",
    ])
}

pub(crate) fn day_ticker(
    exchange: &Exchange,
    market: Market,
    params: &Params,
    now_ms: u64,
) -> Result<Value, Failure> {
    each(exchange, market, params, |listing| ticker(listing, now_ms))
}

/// The last 24 hours of an instrument.
pub(crate) fn ticker(listing: &Listing, now_ms: u64) -> Value {
    let (spec, day) = (&listing.spec, listing.tape.day());
    let price = |ticks| text(spec.market, price_of(ticks, spec.tick));
    let volume = num::of_units(day.volume, spec.lot);
    let value = listing.value(day.value);
    let change = Decimal::from_integer(day.close - day.open);
    let percent = num::divide(
        num::mul(change, Decimal::from_integer(100)),
        Decimal::from_integer(day.open),
        3,
        Round::Down,
    );
    let best = |side| listing.book.best(side).unwrap_or_default();
    let amount = |lots| text(spec.market, num::of_units(lots, spec.lot));
    let (bid, ask) = (best(Side::Buy), best(Side::Sell));
    json!({
        "symbol": spec.symbol, "priceChange": text(spec.market, num::mul(change, spec.tick)),
        "priceChangePercent": fixed(percent, 3),
        "weightedAvgPrice": text(spec.market, num::divide(value, volume, spec.tick.scale(), Round::Down)),
        "prevClosePrice": price(day.open), "lastPrice": price(day.close), "lastQty": amount(1),
        "bidPrice": price(bid.0), "bidQty": amount(bid.1), "askPrice": price(ask.0), "askQty": amount(ask.1),
        "openPrice": price(day.open), "highPrice": price(day.high), "lowPrice": price(day.low),
        "volume": text(spec.market, volume), "quoteVolume": text(spec.market, value),
        "openTime": now_ms - DAY_MS, "closeTime": now_ms,
        "firstId": 1, "lastId": day.trades, "count": day.trades,
    })
}

pub(crate) fn prices(
    exchange: &Exchange,
    market: Market,
    params: &Params,
    now_ms: u64,
) -> Result<Value, Failure> {
    each(exchange, market, params, |listing| {
        let mut price = json!({ "symbol": listing.spec.symbol, "price": text(market, listing.last()) });
        if market == Market::Linear {
            price["time"] = now_ms.into();
        }
        price
    })
}

pub(crate) fn book_tickers(
    exchange: &Exchange,
    market: Market,
    params: &Params,
    now_ms: u64,
) -> Result<Value, Failure> {
    each(exchange, market, params, |listing| {
        let amount = |lots| text(market, num::of_units(lots, listing.spec.lot));
        let price = |ticks| text(market, price_of(ticks, listing.spec.tick));
        let best = |side| listing.book.best(side).unwrap_or_default();
        let (bid, ask) = (best(Side::Buy), best(Side::Sell));
        let mut top = json!({
            "symbol": listing.spec.symbol, "bidPrice": price(bid.0), "bidQty": amount(bid.1),
            "askPrice": price(ask.0), "askQty": amount(ask.1),
        });
        if market == Market::Linear {
            top["time"] = now_ms.into();
        }
        top
    })
}

pub(crate) fn average_price(exchange: &Exchange, params: &Params, now_ms: u64) -> Result<Value, Failure> {
    let listing = &exchange.listings()[instrument(exchange, Market::Spot, params)?];
    Ok(json!({ "mins": 5, "price": fixed(listing.mark(), 8), "closeTime": now_ms }))
}

pub(crate) fn premium_index(exchange: &Exchange, params: &Params, now_ms: u64) -> Result<Value, Failure> {
    let eight_hours = DAY_MS / 3;
    each(exchange, Market::Linear, params, |listing| {
        json!({
            "symbol": listing.spec.symbol, "markPrice": listing.mark(), "indexPrice": listing.mark(),
            "estimatedSettlePrice": listing.mark(), "lastFundingRate": "0.00000000", "interestRate": "0.00010000",
            "nextFundingTime": now_ms - now_ms % eight_hours + eight_hours, "time": now_ms,
        })
    })
}
