//! Binance: spot and USD-M futures, REST, streams and the WebSocket API.
//!
//! Written from developers.binance.com as of November 2026 and from what ccxt 4.5.90 and
//! binance-sdk-spot 13.2 send. Conditional USD-M orders live on `algoOrder` since 2025-12-09.

mod account;
pub(crate) mod events;
mod master;
mod orders;
pub(crate) mod params;
mod public;
mod render;
mod stream;

use serde_json::{Value, json};
use trading::Market;

use crate::auth::{Key, Scope};
use crate::server::{Raw, Reply};
use crate::state::{Front, ListenKey, count, lock};
use params::{Failure, Params, authenticate, known_key};
pub(crate) use stream::stream;

/// How long a listen key lives without a keep-alive, in milliseconds.
const LISTEN_KEY_MS: u64 = 3_600_000;
/// Most listen keys at once.
const MAX_LISTEN_KEYS: usize = 1_024;
/// Order requests per ten seconds and key.
const ORDERS_PER_10S: u32 = 300;

/// Answers one REST request.
pub(crate) fn answer(front: &Front, raw: &Raw) -> Reply {
    let futures = raw.path.starts_with("/fapi");
    let used = front.weigh(raw.peer, if futures { "fapi" } else { "api" }, weight(raw));
    let mut reply = if used > front.weight_per_minute {
        count(&front.stats.rate_limited);
        let words = "Too much request weight used; current limit is per IP per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.";
        let mut reply = Failure::new(-1003, words).into_reply();
        reply.headers.push(("retry-after", (60 - front.now_ms() / 1_000 % 60).to_string()));
        reply
    } else {
        route(front, raw).map_or_else(Failure::into_reply, Reply::ok)
    };
    reply.headers.push(("x-mbx-used-weight", used.to_string()));
    reply.headers.push(("x-mbx-used-weight-1m", used.to_string()));
    if raw.method != "GET" && raw.path.contains("rder") {
        let orders = front.count_order(raw.header("x-mbx-apikey"), 10_000, 0);
        reply.headers.push(("x-mbx-order-count-10s", orders.to_string()));
    }
    reply
}

/// Request weight, roughly as documented.
fn weight(raw: &Raw) -> u32 {
    match raw.path.rsplit('/').next().unwrap_or_default() {
        "exchangeInfo" | "account" | "myTrades" | "allOrders" => 20,
        "depth" | "trades" | "24hr" | "userTrades" | "positionRisk" | "openOrders" => 5,
        "klines" | "bookTicker" | "price" => 2,
        _ => 1,
    }
}

fn route(front: &Front, raw: &Raw) -> Result<Value, Failure> {
    let params = Params::parse(&[&raw.query, &raw.body])?;
    let (method, path) = (raw.method.as_str(), raw.path.as_str());
    if let Some(path) = path.strip_prefix("/api/v3/") {
        spot(front, raw, method, path, &params)
    } else if let Some(path) = path.strip_prefix("/sapi/v1/") {
        wallet(front, raw, method, path, &params)
    } else if let Some(path) = path.strip_prefix("/fapi/") {
        futures(front, raw, method, path, &params)
    } else if method == "GET" && (path == "/dapi/v1/exchangeInfo" || path == "/eapi/v1/exchangeInfo") {
        Ok(
            json!({ "timezone": "UTC", "serverTime": front.now_ms(), "rateLimits": [], "exchangeFilters": [], "symbols": [] }),
        )
    } else {
        Err(no_such_path())
    }
}

fn no_such_path() -> Failure {
    Failure { status: 404, ..Failure::new(-5000, "Path not found, Method not allowed") }
}

fn spot(front: &Front, raw: &Raw, method: &str, path: &str, params: &Params) -> Result<Value, Failure> {
    const SPOT: Market = Market::Spot;
    let now = front.now_ms();
    let signed = |scope| authenticate(front, raw, params, scope, now);
    let trading = || signed(Scope::Trade).and_then(|key| within_order_limit(front, key));
    match (method, path) {
        ("GET", "ping") => Ok(json!({})),
        ("GET", "time") => Ok(json!({ "serverTime": now })),
        ("GET", "exchangeInfo") => public::exchange_info(&front.exchange(), SPOT, params, now),
        ("GET", "depth") => public::depth(&front.exchange(), SPOT, params, now),
        ("GET", "trades" | "historicalTrades") => public::trades(&front.exchange(), SPOT, params),
        ("GET", "aggTrades") => public::agg_trades(&front.exchange(), SPOT, params),
        ("GET", "klines" | "uiKlines") => public::klines(&front.exchange(), SPOT, params),
        ("GET", "ticker/24hr" | "ticker") => public::day_ticker(&front.exchange(), SPOT, params, now),
        ("GET", "ticker/price") => public::prices(&front.exchange(), SPOT, params, now),
        ("GET", "ticker/bookTicker") => public::book_tickers(&front.exchange(), SPOT, params, now),
        ("GET", "avgPrice") => public::average_price(&front.exchange(), params, now),
        ("POST", "order") => orders::place(front, trading()?, SPOT, params, false),
        ("POST", "order/test") => orders::place(front, trading()?, SPOT, params, true),
        ("POST", "order/cancelReplace") => orders::cancel_replace(front, trading()?, params),
        ("DELETE", "order") => orders::cancel(front, signed(Scope::Trade)?, SPOT, params),
        ("DELETE", "openOrders") => orders::cancel_all(front, signed(Scope::Trade)?, SPOT, params),
        ("GET", "order") => orders::query(front, signed(Scope::Read)?, SPOT, params),
        ("GET", "openOrders") => orders::list(front, signed(Scope::Read)?, SPOT, params, true),
        ("GET", "allOrders") => orders::list(front, signed(Scope::Read)?, SPOT, params, false),
        ("GET", "myTrades") => account::fills(front, signed(Scope::Read)?, SPOT, params),
        ("GET", "account") => Ok(account::spot(front, signed(Scope::Read)?, params, now)),
        (_, "userDataStream") => {
            let key = known_key(front, raw.header("x-mbx-apikey"), raw.peer, Scope::Read)?;
            listen_key(front, key, method, params.get("listenKey"), now)
        }
        _ => Err(no_such_path()),
    }
}

fn wallet(front: &Front, raw: &Raw, method: &str, path: &str, params: &Params) -> Result<Value, Failure> {
    let signed = |scope| authenticate(front, raw, params, scope, front.now_ms());
    match (method, path) {
        ("GET", "capital/config/getall") => Ok(account::coins(front, signed(Scope::Read)?)),
        ("GET", "account/apiRestrictions") => Ok(account::restrictions(signed(Scope::Read)?)),
        ("GET", "account/status") => signed(Scope::Read).map(|_| json!({ "data": "Normal" })),
        ("GET", "system/status") => Ok(json!({ "status": 0, "msg": "normal" })),
        ("GET", "asset/tradeFee") => signed(Scope::Read).map(|_| account::trade_fees(front, params)),
        ("GET", "margin/allPairs" | "margin/isolated/allPairs") => signed(Scope::Read).map(|_| json!([])),
        ("GET", "capital/deposit/hisrec") => master::deposits(front, signed(Scope::Read)?, params),
        ("GET", "capital/withdraw/history") => master::withdrawals(front, signed(Scope::Read)?, params),
        ("GET", "asset/transfer") => signed(Scope::Read).and_then(|_| master::own_transfers(params)),
        ("GET", "sub-account/transfer/subUserHistory") => {
            master::sub_transfers(front, signed(Scope::Read)?, params)
        }
        // Documented as wanting trading allowed; here, as everywhere, a key that only trades must not do it.
        ("DELETE", "sub-account/subAccountApi") => {
            master::delete_sub_key(front, signed(Scope::Transfer)?, params)
        }
        ("GET", "sub-account/universalTransfer") => master::transfers(front, signed(Scope::Read)?, params),
        ("POST", "sub-account/universalTransfer") => {
            count(&front.stats.transfers);
            master::transfer(front, signed(Scope::Transfer)?, params)
        }
        ("POST", "capital/withdraw/apply" | "localentity/withdraw/apply") => {
            count(&front.stats.withdrawals);
            signed(Scope::Withdraw).and_then(|_| Err(Failure::new(-4019, "Withdrawals are not built here.")))
        }
        ("POST", "asset/transfer" | "futures/transfer" | "margin/transfer") => {
            count(&front.stats.transfers);
            signed(Scope::Transfer).and_then(|_| Err(Failure::new(-4019, "Transfers are not built here.")))
        }
        _ => Err(no_such_path()),
    }
}

fn futures(front: &Front, raw: &Raw, method: &str, path: &str, params: &Params) -> Result<Value, Failure> {
    const LINEAR: Market = Market::Linear;
    let now = front.now_ms();
    let signed = |scope| authenticate(front, raw, params, scope, now);
    let trading = || signed(Scope::Trade).and_then(|key| within_order_limit(front, key));
    match (method, path) {
        ("GET", "v1/ping") => Ok(json!({})),
        ("GET", "v1/time") => Ok(json!({ "serverTime": now })),
        ("GET", "v1/exchangeInfo") => public::exchange_info(&front.exchange(), LINEAR, params, now),
        ("GET", "v1/depth") => public::depth(&front.exchange(), LINEAR, params, now),
        ("GET", "v1/trades") => public::trades(&front.exchange(), LINEAR, params),
        ("GET", "v1/aggTrades") => public::agg_trades(&front.exchange(), LINEAR, params),
        ("GET", "v1/klines" | "v1/markPriceKlines" | "v1/indexPriceKlines") => {
            public::klines(&front.exchange(), LINEAR, params)
        }
        ("GET", "v1/ticker/24hr") => public::day_ticker(&front.exchange(), LINEAR, params, now),
        ("GET", "v1/ticker/price" | "v2/ticker/price") => {
            public::prices(&front.exchange(), LINEAR, params, now)
        }
        ("GET", "v1/ticker/bookTicker") => public::book_tickers(&front.exchange(), LINEAR, params, now),
        ("GET", "v1/premiumIndex") => public::premium_index(&front.exchange(), params, now),
        ("GET", "v1/fundingRate" | "v1/fundingInfo") => Ok(json!([])),
        ("POST", "v1/order") => orders::place(front, trading()?, LINEAR, params, false),
        ("POST", "v1/order/test") => orders::place(front, trading()?, LINEAR, params, true),
        ("PUT", "v1/order") => orders::modify(front, trading()?, params),
        ("POST" | "PUT" | "DELETE", "v1/batchOrders") => orders::batch(front, trading()?, method, params),
        ("DELETE", "v1/order") => orders::cancel(front, signed(Scope::Trade)?, LINEAR, params),
        ("DELETE", "v1/algoOpenOrders") => orders::cancel_conditional(front, signed(Scope::Trade)?, params),
        ("DELETE", "v1/allOpenOrders") => orders::cancel_all(front, signed(Scope::Trade)?, LINEAR, params),
        ("GET", "v1/order") => orders::query(front, signed(Scope::Read)?, LINEAR, params),
        ("GET", "v1/openOrder") => orders::query(front, signed(Scope::Read)?, LINEAR, params),
        ("GET", "v1/openOrders") => orders::list(front, signed(Scope::Read)?, LINEAR, params, true),
        ("GET", "v1/allOrders") => orders::list(front, signed(Scope::Read)?, LINEAR, params, false),
        ("POST", "v1/algoOrder") => orders::place_algo(front, trading()?, params),
        ("GET", "v1/algoOrder") => orders::query_algo(front, signed(Scope::Read)?, params),
        ("DELETE", "v1/algoOrder") => orders::cancel_algo(front, signed(Scope::Trade)?, params),
        ("GET", "v1/openAlgoOrders") => orders::list_algo(front, signed(Scope::Read)?, params),
        ("GET", "v1/userTrades") => account::fills(front, signed(Scope::Read)?, LINEAR, params),
        ("GET", "v2/account" | "v3/account") => {
            Ok(account::futures_account(front, signed(Scope::Read)?, now))
        }
        ("GET", "v2/balance" | "v3/balance") => {
            Ok(account::futures_balance(front, signed(Scope::Read)?, now))
        }
        ("GET", "v2/positionRisk") => account::position_risk(front, signed(Scope::Read)?, params, false),
        ("GET", "v3/positionRisk") => account::position_risk(front, signed(Scope::Read)?, params, true),
        ("POST", "v1/leverage") => account::set_leverage(front, signed(Scope::Trade)?, params),
        ("GET", "v1/leverageBracket") => signed(Scope::Read).map(|_| account::brackets(front, params)),
        ("GET", "v1/commissionRate") => signed(Scope::Read).and_then(|_| account::commission(front, params)),
        ("POST", "v1/marginType") => {
            signed(Scope::Trade)?;
            match params.require("marginType")? {
                "CROSSED" => Err(Failure::new(-4046, "No need to change margin type.")),
                _ => Err(Failure::new(-4168, "Unable to adjust to isolated-margin mode on this venue.")),
            }
        }
        ("GET", "v1/positionSide/dual") => signed(Scope::Read).map(|_| json!({ "dualSidePosition": false })),
        ("POST", "v1/positionSide/dual") => {
            signed(Scope::Trade)?;
            params.require("dualSidePosition")?;
            if params.flag("dualSidePosition") {
                return Err(Failure::new(-4067, "Position side cannot be changed on this venue."));
            }
            Err(Failure::new(-4059, "No need to change position side."))
        }
        ("GET", "v1/multiAssetsMargin") => signed(Scope::Read).map(|_| json!({ "multiAssetsMargin": false })),
        ("GET", "v1/income") => master::income(front, signed(Scope::Read)?, params),
        ("GET", "v1/symbolConfig") => signed(Scope::Read).map(|_| json!([])),
        ("POST", "v1/countdownCancelAll") => {
            let key = signed(Scope::Trade)?;
            let instrument = public::instrument(&front.exchange(), LINEAR, params)?;
            params.require("countdownTime")?;
            let silence = params.integer("countdownTime")?.unwrap_or(0);
            let mut countdowns = lock(&front.countdowns);
            if silence == 0 {
                countdowns.remove(&(key.account, instrument));
            } else {
                countdowns.insert((key.account, instrument), now.saturating_add(silence));
            }
            Ok(json!({ "symbol": params.get("symbol"), "countdownTime": silence.to_string() }))
        }
        (_, "v1/listenKey") => {
            let key = known_key(front, raw.header("x-mbx-apikey"), raw.peer, Scope::Read)?;
            listen_key(front, key, method, params.get("listenKey"), now)
        }
        _ => Err(no_such_path()),
    }
}

/// Counts an order request of a key.
fn within_order_limit<'a>(front: &Front, key: &'a Key) -> Result<&'a Key, Failure> {
    if front.count_order(&key.api_key, 10_000, 1) > ORDERS_PER_10S {
        count(&front.stats.rate_limited);
        let words = "Too many new orders; current limit is 300 orders per 10 SECOND.";
        return Err(Failure { status: 429, ..Failure::new(-1015, words) });
    }
    Ok(key)
}

fn listen_key(
    front: &Front,
    key: &Key,
    method: &str,
    named: Option<&str>,
    now: u64,
) -> Result<Value, Failure> {
    let mut keys = lock(&front.listen_keys);
    keys.retain(|_, live| live.expires_ms > now);
    let known = keys.iter().find(|(_, live)| live.account == key.account).map(|(name, _)| name.clone());
    let expires_ms = now + LISTEN_KEY_MS;
    match method {
        "POST" => {
            if known.is_none() && keys.len() >= MAX_LISTEN_KEYS {
                return Err(Failure::new(-1003, "Too many listen keys."));
            }
            // Not secret enough for the world, but this venue holds nothing.
            let name = known.unwrap_or_else(|| format!("paper{:016x}{:043x}", now, front.serial()));
            keys.insert(name.clone(), ListenKey { account: key.account, expires_ms });
            Ok(json!({ "listenKey": name }))
        }
        "PUT" | "DELETE" => {
            let name = named.map(str::to_owned).or(known).unwrap_or_default();
            let mine = keys.get(&name).is_some_and(|live| live.account == key.account);
            if !mine {
                return Err(Failure::new(-1125, "This listenKey does not exist."));
            }
            if method == "PUT" {
                keys.insert(name.clone(), ListenKey { account: key.account, expires_ms });
            } else {
                keys.remove(&name);
            }
            Ok(json!({ "listenKey": name }))
        }
        _ => Err(no_such_path()),
    }
}
