//! The control listener: what the venue has seen, and making it misbehave.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use trading::{Decimal, Market, Venue};

use crate::exchange::{Command, EntryKind};
use crate::faults::Fault;
use crate::server::{Reply, read_body};
use crate::state::Front;

/// Most steps one request may ask for.
const MAX_STEPS: u32 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    next: Option<Fault>,
    venue: Option<Venue>,
    #[serde(default)]
    clear: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    symbol: String,
    price: Decimal,
    venue: Option<Venue>,
    market: Option<Market>,
}

/// Money that comes to an account from outside, or goes there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    venue: Venue,
    account: String,
    kind: EntryKind,
    /// Negative takes away.
    amount: Decimal,
    asset: String,
    #[serde(default = "spot")]
    market: Market,
}

const fn spot() -> Market {
    Market::Spot
}

/// The whole venue: gone or there, and its clock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    venue: Option<Venue>,
    dead: Option<bool>,
    /// How far the venue's clock is ahead of the machine's.
    skew_ms: Option<i64>,
}

/// Farthest a clock may be off, in milliseconds.
const MAX_SKEW_MS: i64 = 3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    #[serde(default)]
    count: u32,
}

/// Answers one control request.
pub(crate) async fn answer(
    fronts: Arc<[Arc<Front>]>,
    request: Request<Incoming>,
    _peer: SocketAddr,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = read_body(body).await.unwrap_or_default();
    let result = match (parts.method.as_str(), parts.uri.path()) {
        ("GET", "/stats") => Ok(stats(&fronts)),
        ("POST", "/faults") => faults(&fronts, &body),
        ("POST", "/price") => price(&fronts, &body),
        ("POST", "/step") => step(&fronts, &body),
        ("POST", "/flow") => flow(&fronts, &body),
        ("POST", "/condition") => condition(&fronts, &body),
        _ => {
            let words =
                "one of GET /stats, POST /faults, POST /price, POST /step, POST /flow, POST /condition";
            Err((404, words.to_owned()))
        }
    };
    match result {
        Ok(body) => Reply::ok(body).into_response(),
        Err((status, error)) => {
            Reply { status, headers: Vec::new(), body: json!({ "error": error }) }.into_response()
        }
    }
}

type Answer = Result<Value, (u16, String)>;

fn parse<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, (u16, String)> {
    serde_json::from_str(body).map_err(|error| (400, error.to_string()))
}

fn chosen(fronts: &[Arc<Front>], venue: Option<Venue>) -> impl Iterator<Item = &Arc<Front>> {
    fronts.iter().filter(move |front| venue.is_none_or(|venue| front.venue == venue))
}

fn stats(fronts: &[Arc<Front>]) -> Value {
    let each: Vec<(String, Value)> =
        fronts.iter().map(|front| (front.venue.to_string(), front.stats.to_json())).collect();
    let mut total = serde_json::Map::new();
    for (name, _) in each.first().and_then(|(_, value)| value.as_object()).into_iter().flatten() {
        let sum: u64 = each.iter().filter_map(|(_, value)| value[name].as_u64()).sum();
        total.insert(name.clone(), sum.into());
    }
    for (venue, value) in each {
        total.insert(venue, value);
    }
    Value::Object(total)
}

fn faults(fronts: &[Arc<Front>], body: &str) -> Answer {
    let asked: Faults = parse(body)?;
    for front in chosen(fronts, asked.venue) {
        if asked.clear {
            front.clear_faults();
        }
        if let Some(fault) = &asked.next
            && !front.add_fault(fault.clone())
        {
            return Err((429, "too many faults wait already, or this one is out of bounds".to_owned()));
        }
    }
    Ok(json!({}))
}

fn price(fronts: &[Arc<Front>], body: &str) -> Answer {
    let asked: Price = parse(body)?;
    if !asked.price.is_positive() || asked.price > Decimal::from_integer(1_000_000) {
        return Err((400, "price must be above zero and at most 1000000".to_owned()));
    }
    let mut found = false;
    for front in chosen(fronts, asked.venue) {
        for market in [Market::Spot, Market::Linear] {
            if asked.market.is_some_and(|wanted| wanted != market) {
                continue;
            }
            let instrument = front.exchange().instrument(market, &asked.symbol);
            if let Some(instrument) = instrument {
                found = true;
                let _never_rejected = front.apply(Command::SetPrice { instrument, price: asked.price });
            }
        }
    }
    if found { Ok(json!({})) } else { Err((404, "no such instrument".to_owned())) }
}

fn flow(fronts: &[Arc<Front>], body: &str) -> Answer {
    let asked: Flow = parse(body)?;
    let most = Decimal::from_integer(1_000_000_000_000);
    let size = asked.amount.checked_abs().unwrap_or(most);
    let name_is_fine =
        (1..=20).contains(&asked.asset.len()) && asked.asset.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if size.is_zero() || size >= most || size.scale() > 8 || !name_is_fine {
        return Err((
            400,
            "the amount must not be zero, be below 10^12, have at most 8 digits, and name a currency"
                .to_owned(),
        ));
    }
    let signed_right = match asked.kind {
        EntryKind::Deposit | EntryKind::Airdrop => asked.amount.is_positive(),
        EntryKind::Withdrawal => asked.amount.is_negative(),
        EntryKind::Transfer | EntryKind::Bonus => true,
        EntryKind::Trade => false,
    };
    if !signed_right || !matches!(asked.market, Market::Spot | Market::Linear) {
        return Err((400, "that kind of flow does not go that way, or not there".to_owned()));
    }
    let front = chosen(fronts, Some(asked.venue)).next().ok_or((404, "no such venue".to_owned()))?;
    let account = front.exchange().find_account(&asked.account);
    let account = account.ok_or((404, "no such account".to_owned()))?;
    let (market, asset, amount, kind) = (asked.market, asked.asset, asked.amount, asked.kind);
    match front.apply(Command::Flow { account, market, asset, amount, kind }) {
        Ok(ids) => Ok(json!({ "id": ids.first() })),
        Err(reject) => Err((400, format!("{reject:?}"))),
    }
}

fn condition(fronts: &[Arc<Front>], body: &str) -> Answer {
    let asked: Condition = parse(body)?;
    if asked.skew_ms.is_some_and(|skew| !(-MAX_SKEW_MS..=MAX_SKEW_MS).contains(&skew)) {
        return Err((400, "skew_ms must be within an hour".to_owned()));
    }
    for front in chosen(fronts, asked.venue) {
        if let Some(dead) = asked.dead {
            front.set_dead(dead);
        }
        if let Some(skew_ms) = asked.skew_ms {
            front.set_skew(skew_ms);
        }
    }
    Ok(json!({}))
}

fn step(fronts: &[Arc<Front>], body: &str) -> Answer {
    let asked: Steps = if body.is_empty() { Steps { count: 1 } } else { parse(body)? };
    for _ in 0..asked.count.clamp(1, MAX_STEPS) {
        for front in fronts {
            front.step();
        }
    }
    Ok(json!({}))
}
