//! Requests that other people's libraries signed (`tests/vectors/signed-requests.json`): each is
//! accepted at its own time, and refused once any signed byte, the key or the time differs.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use trading::Venue;

use crate::auth::{Keys, Scope, Verifier};
use crate::binance::params::{Params, authenticate, authenticate_message};
use crate::bybit::request::authenticate as authenticate_bybit;
use crate::config::{KeyConfig, Permissions, Secret};
use crate::exchange::{Exchange, Rules};
use crate::num::constant;
use crate::server::Raw;
use crate::state::Front;

#[derive(Deserialize)]
struct Vector {
    id: String,
    venue: Venue,
    api_key: String,
    secret: Secret,
    clock_ms: u64,
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    body: Option<String>,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    ws_params: Option<Value>,
    ws_auth: Option<Vec<Value>>,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../tests/vectors/signed-requests.json"))
        .expect("the vectors are well formed")
}

fn front(vector: &Vector) -> Front {
    let fee = constant("0.001");
    let rules = Rules {
        unified: false,
        client_ids_once: false,
        spot_fee: fee,
        maker_fee: fee,
        taker_fee: fee,
        leverage: 1,
    };
    let mut exchange = Exchange::new(rules, Vec::new(), 1, 0);
    let account = exchange.open_account("main");
    let mut key = KeyConfig::demo(vector.venue, "x", Permissions::TRADE);
    key.api_key.clone_from(&vector.api_key);
    key.secret = vector.secret.clone();
    let mut keys = Keys::default();
    assert!(keys.insert(&key, account), "{}", vector.id);
    Front::new(vector.venue, exchange, keys, (1_000, 1_000), crate::state::Clock::Wall, 1)
}

fn raw(vector: &Vector) -> Option<Raw> {
    let mut headers = HeaderMap::new();
    for (name, value) in &vector.headers {
        let name = HeaderName::try_from(name).expect("header name");
        headers.insert(name, HeaderValue::try_from(value.as_str().unwrap_or_default()).expect("header"));
    }
    Some(Raw {
        method: vector.method.clone()?,
        path: vector.path.clone()?,
        query: vector.query.clone()?,
        headers,
        body: vector.body.clone()?,
        peer: std::net::IpAddr::from([127, 0, 0, 1]),
    })
}

/// The code a request is refused with, or zero.
fn judge(front: &Front, raw: &Raw, now_ms: u64) -> i64 {
    match front.venue {
        Venue::Binance => Params::parse(&[&raw.query, &raw.body])
            .and_then(|params| authenticate(front, raw, &params, Scope::Trade, now_ms).map(|_| ()))
            .map_or_else(|failure| i64::from(failure.code), |()| 0),
        Venue::Bybit => {
            let payload = if raw.method == "GET" { &raw.query } else { &raw.body };
            authenticate_bybit(front, raw, payload, Scope::Trade, now_ms)
                .map_or_else(|failure| failure.code, |_| 0)
        }
    }
}

#[test]
fn requests_of_other_libraries_are_accepted_and_their_forgeries_refused() {
    let (mut accepted, mut forged) = (0, 0);
    for vector in vectors() {
        let front = front(&vector);
        let Some(mut raw) = raw(&vector) else { continue };
        let signed = raw.query.contains("signature=")
            || raw.body.contains("signature=")
            || !raw.header("x-bapi-sign").is_empty();
        if !signed {
            continue;
        }
        assert_eq!(judge(&front, &raw, vector.clock_ms), 0, "{}", vector.id);
        accepted += 1;
        let late = judge(&front, &raw, vector.clock_ms + 70_000);
        assert!(late == -1021 || late == 10_002, "{}: {late}", vector.id);
        let target = if raw.body.is_empty() { &mut raw.query } else { &mut raw.body };
        if target.contains("BTCUSDT") {
            *target = target.replace("BTCUSDT", "ETHUSDT");
            let changed = judge(&front, &raw, vector.clock_ms);
            assert!(changed == -1022 || changed == 10_004, "{}: {changed}", vector.id);
            forged += 1;
        }
    }
    assert!(accepted >= 60 && forged >= 30, "{accepted} accepted, {forged} forged");
}

#[test]
fn stream_messages_of_other_libraries_are_accepted() {
    let mut seen = 0;
    for vector in vectors() {
        if let Some(params) = &vector.ws_params {
            let front = front(&vector);
            let params = Params::from_json(params);
            let peer = std::net::IpAddr::from([127, 0, 0, 1]);
            let judged = authenticate_message(&front, &params, peer, Scope::Trade, vector.clock_ms);
            assert!(judged.is_ok(), "{}", vector.id);
            seen += 1;
        }
        if let Some(arguments) = &vector.ws_auth {
            let verifier = Verifier::new(&vector.secret).expect("secret");
            let expires = arguments[1].as_str().map_or_else(|| arguments[1].to_string(), str::to_owned);
            let signature = arguments[2].as_str().expect("signature");
            assert!(verifier.verify(format!("GET/realtime{expires}").as_bytes(), signature), "{}", vector.id);
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
}
