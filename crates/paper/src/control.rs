//! The control listener: what the venue has seen, and making it misbehave.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use trading::{Decimal, Market, Venue};

use crate::exchange::Command;
use crate::server::{Reply, read_body};
use crate::state::{Fault, Front};

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
        _ => Err((404, "one of GET /stats, POST /faults, POST /price, POST /step".to_owned())),
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
            return Err((429, "too many faults wait already".to_owned()));
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

fn step(fronts: &[Arc<Front>], body: &str) -> Answer {
    let asked: Steps = if body.is_empty() { Steps { count: 1 } } else { parse(body)? };
    for _ in 0..asked.count.clamp(1, MAX_STEPS) {
        for front in fronts {
            front.step();
        }
    }
    Ok(json!({}))
}
