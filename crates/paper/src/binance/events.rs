//! What streams say: user events and market events, as Binance words them.

use serde_json::{Value, json};
use trading::{Decimal, Market, Side};

use super::public::{interval_ms, levels, text};
use super::render::{side, status, time_in_force};
use crate::exchange::{
    Cause, Event, Exchange, Fill, Listing, OrderState, PublicTrade, Size, Status, difference, price_of,
};
use crate::num;

/// The user event of `account` on `market` that an exchange event makes, if it makes one.
pub(crate) fn user_event(
    exchange: &Exchange,
    event: &Event,
    account: usize,
    market: Market,
    now_ms: u64,
) -> Option<Value> {
    match event {
        Event::Order { order, fill } => {
            let listing = &exchange.listings()[order.request.instrument];
            if order.request.account != account || listing.spec.market != market {
                return None;
            }
            let fill = fill.as_deref();
            let report = if market == Market::Spot { execution_report } else { order_trade_update };
            Some(report(listing, order, fill, now_ms))
        }
        Event::Balances { account: owner, market: Market::Spot, changed }
            if *owner == account && market == Market::Spot =>
        {
            let row = |(asset, balance): &(String, crate::exchange::Balance)| json!({ "a": asset, "f": text(market, balance.free), "l": text(market, balance.locked) });
            let rows: Vec<Value> = changed.iter().map(row).collect();
            Some(json!({ "e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows }))
        }
        Event::Position { account: owner, instrument, position }
            if *owner == account && market == Market::Linear =>
        {
            let spec = &exchange.listings()[*instrument].spec;
            let wallet = exchange.account(account).balance(market, &spec.quote).free;
            Some(json!({
                "e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms,
                "a": {
                    "m": "ORDER",
                    "B": [{ "a": spec.quote, "wb": wallet, "cw": wallet, "bc": "0" }],
                    "P": [{
                        "s": spec.symbol, "pa": position.quantity, "ep": position.entry_price(),
                        "bep": position.entry_price(), "cr": position.realised,
                        "up": exchange.unrealised(*instrument, position), "mt": "cross", "iw": "0", "ps": "BOTH",
                    }],
                },
            }))
        }
        _ => None,
    }
}

const fn execution(order: &OrderState, fill: Option<&Fill>) -> &'static str {
    match (fill, order.status, order.cause) {
        (Some(_), ..) => "TRADE",
        (None, Status::Cancelled, Some(Cause::User)) => "CANCELED",
        (None, Status::Cancelled, _) => "EXPIRED",
        (None, ..) if order.updated_ms > order.created_ms && order.request.trigger.is_none() => "AMENDMENT",
        (None, ..) => "NEW",
    }
}

fn execution_report(listing: &Listing, order: &OrderState, fill: Option<&Fill>, now_ms: u64) -> Value {
    let text = |value| text(Market::Spot, value);
    let zero = Decimal::ZERO;
    let request = &order.request;
    let quote = if let Size::Quote(amount) = request.size { amount } else { zero };
    let execution = execution(order, fill);
    json!({
        "e": "executionReport", "E": now_ms, "s": listing.spec.symbol, "c": request.client_id,
        "S": side(request.side), "o": request.type_name, "f": time_in_force(request), "q": text(order.quantity),
        "p": text(order.price), "P": text(request.trigger.map_or(zero, |trigger| trigger.price)), "F": text(zero),
        "g": -1, "C": if execution == "CANCELED" { &*request.client_id } else { "" },
        "x": execution, "X": status(order), "r": "NONE", "i": order.id,
        "l": text(fill.map_or(zero, |fill| fill.quantity)), "z": text(order.filled),
        "L": text(fill.map_or(zero, |fill| fill.price)), "n": text(fill.map_or(zero, |fill| fill.fee)),
        "N": fill.map(|fill| &fill.fee_asset), "T": order.updated_ms,
        "t": fill.map_or(json!(-1), |fill| fill.trade_id.into()), "v": 0, "I": order.id,
        "w": order.status.is_open() && order.status != Status::Untriggered, "m": fill.is_some_and(|fill| fill.maker),
        "M": false, "O": order.created_ms, "Z": text(order.value), "Y": text(fill.map_or(zero, |fill| fill.value)),
        "Q": text(quote), "W": order.created_ms, "V": "NONE",
    })
}

fn order_trade_update(listing: &Listing, order: &OrderState, fill: Option<&Fill>, now_ms: u64) -> Value {
    let request = &order.request;
    let zero = Decimal::ZERO;
    json!({
        "e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": order.updated_ms,
        "o": {
            "s": listing.spec.symbol, "c": request.client_id, "S": side(request.side), "o": request.type_name,
            "f": time_in_force(request), "q": order.quantity, "p": order.price, "ap": order.average_price(),
            "sp": request.trigger.map_or(zero, |trigger| trigger.price), "x": execution(order, fill),
            "X": status(order), "i": order.id, "l": fill.map_or(zero, |fill| fill.quantity), "z": order.filled,
            "L": fill.map_or(zero, |fill| fill.price), "N": listing.spec.quote, "n": fill.map_or(zero, |fill| fill.fee),
            "T": order.updated_ms, "t": fill.map_or(0, |fill| fill.trade_id), "b": "0", "a": "0",
            "m": fill.is_some_and(|fill| fill.maker), "R": request.reduce_only, "wt": "CONTRACT_PRICE",
            "ot": request.type_name, "ps": "BOTH", "cp": false, "rp": fill.map_or(zero, |fill| fill.realised),
            "pP": false, "si": 0, "ss": 0, "V": "NONE", "pm": "NONE", "gtd": 0,
        },
    })
}

/// A market stream: `btcusdt@depth20@100ms` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Channel {
    pub name: String,
    pub instrument: usize,
    kind: ChannelKind,
    last_version: u64,
    last_levels: [Vec<(i64, i64)>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelKind {
    BookTicker,
    Trade,
    AggTrade,
    Ticker,
    MiniTicker,
    MarkPrice,
    PartialDepth(usize),
    Depth,
    Kline(u64),
}

/// Levels that the diff stream compares.
const DIFF_LEVELS: usize = 200;

impl Channel {
    pub(crate) fn parse(exchange: &Exchange, market: Market, name: &str) -> Option<Self> {
        let (symbol, kind) = name.split_once('@')?;
        let instrument = exchange.instrument(market, &symbol.to_ascii_uppercase())?;
        let kind = match kind.split('@').next()? {
            "bookTicker" => ChannelKind::BookTicker,
            "trade" => ChannelKind::Trade,
            "aggTrade" => ChannelKind::AggTrade,
            "ticker" => ChannelKind::Ticker,
            "miniTicker" => ChannelKind::MiniTicker,
            "markPrice" => ChannelKind::MarkPrice,
            "depth" => ChannelKind::Depth,
            other => match (other.strip_prefix("depth"), other.strip_prefix("kline_")) {
                (Some(levels), _) => ChannelKind::PartialDepth(
                    levels.parse().ok().filter(|count| [5, 10, 20].contains(count))?,
                ),
                (_, Some(interval)) => ChannelKind::Kline(interval_ms(interval)?),
                _ => return None,
            },
        };
        let listing = &exchange.listings()[instrument];
        let last_levels = [snapshot(listing, Side::Buy), snapshot(listing, Side::Sell)];
        Some(Self {
            name: name.to_owned(),
            instrument,
            kind,
            last_version: listing.book.version,
            last_levels,
        })
    }

    /// What the stream says after a book change.
    pub(crate) fn on_book(&mut self, exchange: &Exchange, now_ms: u64) -> Option<Value> {
        let listing = &exchange.listings()[self.instrument];
        let spec = &listing.spec;
        let (market, symbol) = (spec.market, &spec.symbol);
        let price = |ticks| text(market, price_of(ticks, spec.tick));
        let amount = |lots| text(market, num::of_units(lots, spec.lot));
        match self.kind {
            ChannelKind::BookTicker => {
                let ((bid, bid_lots), (ask, ask_lots)) =
                    (listing.book.best(Side::Buy)?, listing.book.best(Side::Sell)?);
                let mut top = json!({
                    "u": listing.book.version, "s": symbol, "b": price(bid), "B": amount(bid_lots),
                    "a": price(ask), "A": amount(ask_lots),
                });
                if market == Market::Linear {
                    top["e"] = "bookTicker".into();
                    top["T"] = now_ms.into();
                    top["E"] = now_ms.into();
                }
                Some(top)
            }
            ChannelKind::PartialDepth(limit) => {
                let (bids, asks) = (levels(listing, Side::Buy, limit), levels(listing, Side::Sell, limit));
                Some(if market == Market::Spot {
                    json!({ "lastUpdateId": listing.book.version, "bids": bids, "asks": asks })
                } else {
                    let version = listing.book.version;
                    json!({
                        "e": "depthUpdate", "E": now_ms, "T": now_ms, "s": symbol, "U": version, "u": version,
                        "pu": version, "b": bids, "a": asks,
                    })
                })
            }
            ChannelKind::Depth => {
                let (first, last) = (self.last_version + 1, listing.book.version);
                if last < first {
                    return None;
                }
                let now_levels = [snapshot(listing, Side::Buy), snapshot(listing, Side::Sell)];
                let mut update =
                    json!({ "e": "depthUpdate", "E": now_ms, "s": symbol, "U": first, "u": last });
                if market == Market::Linear {
                    update["T"] = now_ms.into();
                    update["pu"] = self.last_version.into();
                }
                for (at, name) in ["b", "a"].into_iter().enumerate() {
                    let changed = difference(&self.last_levels[at], &now_levels[at]);
                    update[name] = changed
                        .into_iter()
                        .map(|(ticks, lots)| json!([price(ticks), amount(lots)]))
                        .collect();
                }
                self.last_levels = now_levels;
                self.last_version = last;
                Some(update)
            }
            ChannelKind::Ticker | ChannelKind::MiniTicker => {
                let day = super::public::ticker(listing, now_ms);
                let mut brief = json!({
                    "e": if self.kind == ChannelKind::Ticker { "24hrTicker" } else { "24hrMiniTicker" },
                    "E": now_ms, "s": symbol, "c": day["lastPrice"], "o": day["openPrice"], "h": day["highPrice"],
                    "l": day["lowPrice"], "v": day["volume"], "q": day["quoteVolume"],
                });
                if self.kind == ChannelKind::Ticker {
                    let names = [
                        ("p", "priceChange"),
                        ("P", "priceChangePercent"),
                        ("w", "weightedAvgPrice"),
                        ("x", "prevClosePrice"),
                        ("Q", "lastQty"),
                        ("b", "bidPrice"),
                        ("B", "bidQty"),
                        ("a", "askPrice"),
                        ("A", "askQty"),
                        ("O", "openTime"),
                        ("C", "closeTime"),
                        ("F", "firstId"),
                        ("L", "lastId"),
                        ("n", "count"),
                    ];
                    for (short, long) in names {
                        brief[short] = day[long].clone();
                    }
                }
                Some(brief)
            }
            ChannelKind::MarkPrice => Some(json!({
                "e": "markPriceUpdate", "E": now_ms, "s": symbol, "p": listing.mark(), "i": listing.mark(),
                "P": listing.mark(), "r": "0.00000000", "T": now_ms - now_ms % 28_800_000 + 28_800_000,
            })),
            ChannelKind::Kline(interval) => {
                let candle = *listing.tape.candles(interval, None, None, 1).last()?;
                let interval_name = self.name.split_once("kline_")?.1;
                let value = |units| text(market, listing.value(units));
                Some(json!({
                    "e": "kline", "E": now_ms, "s": symbol,
                    "k": {
                        "t": candle.open_ms, "T": candle.open_ms + interval - 1, "s": symbol, "i": interval_name,
                        "f": 1, "L": candle.trades, "o": price(candle.open), "c": price(candle.close),
                        "h": price(candle.high), "l": price(candle.low), "v": amount(candle.volume),
                        "n": candle.trades, "x": false, "q": value(candle.value), "V": amount(candle.volume / 2),
                        "Q": value(candle.value / 2), "B": "0",
                    },
                }))
            }
            ChannelKind::Trade | ChannelKind::AggTrade => None,
        }
    }

    /// What the stream says after a trade.
    pub(crate) fn on_trade(&self, exchange: &Exchange, trade: &PublicTrade, now_ms: u64) -> Option<Value> {
        let spec = &exchange.listings()[self.instrument].spec;
        let (price, quantity) = (text(spec.market, trade.price), text(spec.market, trade.quantity));
        let maker_bought = trade.taker == Side::Sell;
        match self.kind {
            ChannelKind::Trade => Some(json!({
                "e": "trade", "E": now_ms, "s": spec.symbol, "t": trade.id, "p": price, "q": quantity,
                "T": trade.time_ms, "m": maker_bought, "M": true, "X": "MARKET",
            })),
            ChannelKind::AggTrade => Some(json!({
                "e": "aggTrade", "E": now_ms, "s": spec.symbol, "a": trade.id, "p": price, "q": quantity,
                "f": trade.id, "l": trade.id, "T": trade.time_ms, "m": maker_bought, "M": true,
            })),
            _ => None,
        }
    }
}

fn snapshot(listing: &Listing, side: Side) -> Vec<(i64, i64)> {
    listing.book.levels(side).take(DIFF_LEVELS).collect()
}
