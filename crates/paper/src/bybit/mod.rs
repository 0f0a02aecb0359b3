//! Bybit v5: spot and linear, REST and streams.
//!
//! Written from bybit-exchange.github.io/docs/v5 as of November 2026 and from what ccxt 4.5.90 and
//! pybit 5.17 send. Most refusals come with HTTP 200 and a `retCode`.

mod account;
mod market;
mod master;
mod orders;
pub(crate) mod request;
mod stream;

use serde_json::{Value, json};
use trading::Market;

use crate::auth::{Key, Scope};
use crate::server::{Raw, Reply};
use crate::state::{Front, count};
use request::{Failure, Fields, authenticate, reply};
pub(crate) use stream::stream;

/// Answers one REST request.
pub(crate) fn answer(front: &Front, raw: &Raw) -> Reply {
    let now = front.now_ms();
    let Some(path) = raw.path.strip_prefix("/v5/") else { return no_such_path() };
    let api_key = raw.header("x-bapi-api-key");
    let enters = raw.method == "POST" && path.starts_with("order/");
    let used = front.count_order(api_key, 1_000, u32::from(enters));
    let limited = enters && used > front.orders_per_second;
    let mut answered = if limited {
        count(&front.stats.rate_limited);
        reply(Err(Failure::new(10_006, "Too many visits. Exceeded the API Rate Limit.")), now)
    } else {
        match route(front, raw, path, now) {
            Ok(Some(result)) => reply(Ok(result), now),
            Ok(None) => return no_such_path(),
            Err(failure) => reply(Err(failure), now),
        }
    };
    let left = front.orders_per_second.saturating_sub(used);
    answered.headers.push(("x-bapi-limit", front.orders_per_second.to_string()));
    answered.headers.push(("x-bapi-limit-status", left.to_string()));
    answered.headers.push(("x-bapi-limit-reset-timestamp", (now - now % 1_000 + 1_000).to_string()));
    answered
}

fn no_such_path() -> Reply {
    Reply { status: 404, headers: Vec::new(), body: json!({ "retCode": 404, "retMsg": "Not found" }) }
}

/// `None` where there is no such endpoint.
fn route(front: &Front, raw: &Raw, path: &str, now: u64) -> Result<Option<Value>, Failure> {
    let found = if raw.method == "GET" {
        let fields = Fields::from_query(&raw.query);
        match public(front, path, &fields, now) {
            Some(result) => Some(result),
            None => private(front, raw, path, &fields, now),
        }
    } else if raw.method == "POST" {
        // The signature is over the bytes, so it is judged before they are read.
        entry(front, raw, path, now)
    } else {
        None
    };
    found.transpose()
}

/// What an endpoint does once the request is known to be its key's.
type Act = fn(&Front, &Key, &Fields) -> Result<Value, Failure>;
type Answer = Option<Result<Value, Failure>>;

fn public(front: &Front, path: &str, fields: &Fields, now: u64) -> Answer {
    let exchange = || front.exchange();
    Some(match path {
        "market/time" => Ok(json!({
            "timeSecond": (now / 1_000).to_string(), "timeNano": format!("{now}000000"),
        })),
        "market/instruments-info" => market::instruments_info(&exchange(), fields),
        "market/tickers" => market::tickers(&exchange(), fields),
        "market/orderbook" => market::orderbook(&exchange(), fields, now),
        "market/kline" | "market/mark-price-kline" | "market/index-price-kline" => {
            market::kline(&exchange(), fields)
        }
        "market/recent-trade" => market::recent_trades(&exchange(), fields),
        "market/risk-limit" => market::risk_limit(&exchange(), fields),
        "market/funding/history" => fields.market().map(|market| market::list(market, Vec::new())),
        "market/fee-group-info" => Ok(json!({ "list": [] })),
        _ => return None,
    })
}

fn private(front: &Front, raw: &Raw, path: &str, fields: &Fields, now: u64) -> Answer {
    let read: Act = match path {
        "order/realtime" => |front, key, fields| orders::query(front, key, fields, false),
        "order/history" => |front, key, fields| orders::query(front, key, fields, true),
        "execution/list" => orders::executions,
        "position/list" => account::positions,
        "position/closed-pnl" => {
            |_, _, fields| fields.market().map(|market| market::list(market, Vec::new()))
        }
        "account/wallet-balance" => account::wallet_balance,
        "account/info" => |_, _, _| Ok(account::info()),
        "account/fee-rate" => |front, _, fields| account::fee_rate(front, fields),
        "user/query-api" => |front, key, _| Ok(account::key_info(front, key)),
        "user/sub-apikeys" => master::list_keys,
        "account/transaction-log" => master::transaction_log,
        "account/query-dcp-info" => |front, key, _| Ok(master::dcp_info(front, key)),
        "asset/transfer/query-universal-transfer-list" => master::transfers,
        "asset/coin/query-info" => |front, _, _| Ok(account::coins(front)),
        "asset/withdraw/query-record"
        | "asset/deposit/query-record"
        | "asset/transfer/query-inter-transfer-list" => {
            |_, _, _| Ok(json!({ "rows": [], "list": [], "nextPageCursor": "" }))
        }
        _ => return None,
    };
    let key = authenticate(front, raw, &raw.query, Scope::Read, now);
    Some(key.and_then(|key| read(front, key, fields)))
}

fn entry(front: &Front, raw: &Raw, path: &str, now: u64) -> Answer {
    let (scope, act): (Scope, Act) = match path {
        "order/create" => (Scope::Trade, orders::create),
        "order/amend" => (Scope::Trade, orders::amend),
        "order/cancel" => (Scope::Trade, orders::cancel),
        "order/cancel-all" => (Scope::Trade, orders::cancel_all),
        "order/create-batch" => {
            (Scope::Trade, |front, key, fields| orders::batch(front, key, fields, orders::create))
        }
        "order/amend-batch" => {
            (Scope::Trade, |front, key, fields| orders::batch(front, key, fields, orders::amend))
        }
        "order/cancel-batch" => {
            (Scope::Trade, |front, key, fields| orders::batch(front, key, fields, orders::cancel))
        }
        "position/set-leverage" => (Scope::Trade, account::set_leverage),
        "position/switch-mode" => (Scope::Trade, |_, _, fields| match fields.require("mode")?.as_str() {
            "0" => Err(Failure::new(110_025, "Position mode is not modified")),
            _ => Err(Failure::new(10_001, "params error: only one-way mode is built here")),
        }),
        "account/set-margin-mode" => {
            (Scope::Trade, |_, _, fields| match fields.require("setMarginMode")?.as_str() {
                "REGULAR_MARGIN" => Ok(json!({ "reasons": [] })),
                _ => Err(Failure::new(10_001, "params error: only cross margin is built here")),
            })
        }
        "asset/withdraw/create" => {
            count(&front.stats.withdrawals);
            (Scope::Withdraw, |_, _, _| Err(Failure::new(131_001, "Withdrawals are not built here.")))
        }
        "order/disconnected-cancel-all" => (Scope::Trade, master::set_dcp),
        "user/delete-sub-api" => (Scope::Transfer, master::delete_sub_key),
        "user/delete-api" => (Scope::Transfer, master::delete_own_key),
        "user/update-sub-api" => (Scope::Transfer, master::update_sub_key),
        "user/frozen-sub-member" => (Scope::Transfer, master::freeze),
        "asset/transfer/universal-transfer" => {
            count(&front.stats.transfers);
            (Scope::Transfer, master::transfer)
        }
        "asset/transfer/inter-transfer" => {
            count(&front.stats.transfers);
            (Scope::Transfer, |_, _, _| Err(Failure::new(131_001, "Transfers are not built here.")))
        }
        _ => return None,
    };
    let key = authenticate(front, raw, &raw.body, scope, now);
    Some(key.and_then(|key| act(front, key, &Fields::from_body(&raw.body)?)))
}

/// The market a public stream's path names.
fn stream_market(path: &str) -> Option<Market> {
    match path {
        "/v5/public/spot" => Some(Market::Spot),
        "/v5/public/linear" => Some(Market::Linear),
        _ => None,
    }
}
