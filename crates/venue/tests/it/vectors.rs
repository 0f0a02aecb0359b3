//! Every request that ccxt, pybit and Binance's SDKs made must come apart and together again.

use serde_json::Value;
use trading::{Amount, Intent, Order, Venue};
use venue::{
    Algorithm, HttpRequest, Presented, Signed, Stream, StreamMessage, Surface, Unsigned, attach, decode,
    signing_input, split, split_message,
};

use crate::support::{Key, wire};

/// Endpoints that take money out; the vectors have them to show that they are refused.
const NEVER: [&str; 5] = ["withdraw", "transfer", "sub-member", "sub-account", "convert"];

fn vectors(name: &str) -> Vec<Value> {
    let text = match name {
        "binance.json" => include_str!("../vectors/binance.json"),
        "bybit.json" => include_str!("../vectors/bybit.json"),
        other => panic!("no vectors called {other}"),
    };
    let value: Value = serde_json::from_str(text).expect("vectors are JSON");
    value["vectors"].as_array().expect("a list").clone()
}

/// Checks bytes and signature, and returns the unsigned request.
fn check(vector: &Value, presented: &Presented, unsigned: &Unsigned) -> (Unsigned, Option<Signed>) {
    let id = vector["id"].as_str().expect("an id");
    let api_key = vector["credentials"]["apiKey"].as_str().expect("a key");
    let key = Key::read(vector["credentials"]["secret"].as_str().expect("a secret"));
    assert_eq!(presented.api_key, api_key, "{id}");
    let signature = presented.signature.as_deref().expect(id);
    assert_eq!(presented.algorithm, Some(key.algorithm()), "{id}");
    let spelled = unsigned
        .spellings()
        .into_iter()
        .map(|spelling| unsigned.clone().spelled(spelling))
        .find(|unsigned| key.verifies(&signing_input(unsigned, api_key), signature))
        .unwrap_or_else(|| panic!("{id}: no spelling verifies"));
    let message = signing_input(&spelled, api_key);
    for signed in vector.get("signed").and_then(Value::as_array).into_iter().flatten() {
        assert_eq!(signed["message"].as_str().map(str::as_bytes), Some(message.as_slice()), "{id}");
    }
    assert_eq!(key.sign(&message), signature, "{id}");
    let out = attach(spelled.clone(), api_key, key.algorithm(), signature);
    (spelled, Some(out))
}

fn check_http(venue: Venue, vector: &Value, request: &HttpRequest) {
    let id = vector["id"].as_str().expect("an id");
    let path = request.path().to_owned();
    let (presented, unsigned) = split(venue, request.clone()).expect(id);
    let (unsigned, out) = check(vector, &presented, &unsigned);
    assert_eq!(out.and_then(Signed::http).as_ref(), Some(request), "{id}");
    if let Some(surface) = unsigned.surface() {
        let url = vector["expected"]["url"].as_str().expect("a URL");
        assert_eq!(url, format!("{}{}", surface.base_url(), request.target), "{id}");
    }
    let clock = vector["clock_ms"].as_u64().expect("a clock");
    assert_eq!(unsigned.sent_at().map(trading::Timestamp::as_ms), Some(clock), "{id}");
    match decode(&unsigned) {
        Ok(intent) => {
            assert!(!NEVER.iter().any(|word| path.contains(word)), "{id}: {path} decodes");
            check_meaning(id, vector, &intent);
        }
        Err(error) => {
            assert!(NEVER.iter().any(|word| path.contains(word)), "{id}: {error}");
        }
    }
}

/// Compares an order with the parameters that the caller gave to the library.
fn check_meaning(id: &str, vector: &Value, intent: &Intent) {
    let Intent::Place(order) = intent else { return };
    let Some(params) = vector["request"].get("params") else { return };
    let text = |names: &[&str]| names.iter().find_map(|name| params.get(*name)?.as_str());
    assert_eq!(Some(order.instrument.symbol.as_str()), text(&["symbol"]), "{id}");
    assert_eq!(Some(order.side.as_str()), text(&["side"]).map(str::to_lowercase).as_deref(), "{id}");
    let pegged = text(&["orderIv", "priceMatch", "pegPriceType", "bboSideType"]).is_some();
    let price = text(&["price"]).filter(|_| !pegged).map(|text| text.parse().expect("a price"));
    assert_eq!(order.price, price, "{id}");
    let trigger = text(&["stopPrice", "triggerPrice"]).map(|text| text.parse().expect("a price"));
    assert_eq!(order.trigger_price, trigger, "{id}");
    let client = text(&["newClientOrderId", "orderLinkId"]);
    assert_eq!(order.client_order_id.as_ref().map(trading::ClientOrderId::as_str), client, "{id}");
    let amount = match (text(&["quantity", "qty"]), text(&["quoteOrderQty"])) {
        (Some(text), _) => Amount::Base(text.parse().expect("a quantity")),
        (None, Some(text)) => Amount::Quote(text.parse().expect("an amount")),
        (None, None) => Amount::WholePosition,
    };
    assert_eq!(order.amount, amount, "{id}");
    let maker =
        text(&["type"]) == Some("LIMIT_MAKER") || matches!(text(&["timeInForce"]), Some("GTX" | "PostOnly"));
    assert_eq!(order.post_only, maker, "{id}");
}

#[test]
fn binance_vectors() {
    for vector in vectors("binance.json") {
        let expected = &vector["expected"];
        if let Some(request) = wire(expected) {
            check_http(Venue::Binance, &vector, &request);
            continue;
        }
        let id = vector["id"].as_str().expect("an id");
        let method = vector["request"]["kind"].as_str().and_then(|kind| kind.rsplit(' ').next()).expect(id);
        let frame =
            serde_json::json!({"id": "7", "method": method, "params": expected["ws_params"]}).to_string();
        let stream = Stream::BinanceApi(Surface::Spot);
        let StreamMessage::Request(presented, unsigned) = split_message(stream, &frame).expect(id) else {
            panic!("{id} is harmless")
        };
        let (unsigned, out) = check(&vector, &presented, &unsigned);
        assert_eq!(out.and_then(Signed::message), Some(frame), "{id}");
        assert_eq!(unsigned.request_id(), Some("\"7\""));
        let intent = decode(&unsigned).expect(id);
        assert!(matches!(intent, Intent::Place(Order { .. })), "{id}");
    }
}

#[test]
fn bybit_vectors() {
    for vector in vectors("bybit.json") {
        let expected = &vector["expected"];
        if let Some(request) = wire(expected) {
            check_http(Venue::Bybit, &vector, &request);
            continue;
        }
        let id = vector["id"].as_str().expect("an id");
        let frame = expected["ws_message"].to_string();
        let StreamMessage::Request(presented, unsigned) =
            split_message(Stream::BybitPrivate, &frame).expect(id)
        else {
            panic!("{id} is harmless")
        };
        let (unsigned, out) = check(&vector, &presented, &unsigned);
        assert_eq!(out.and_then(Signed::message), Some(frame), "{id}");
        assert!(matches!(decode(&unsigned), Ok(Intent::StreamLogin { .. })), "{id}");
    }
}

/// The stand-in is always HMAC, whatever the real key is: re-signing an HMAC request with the real
/// key of the same vector's twin gives the twin.
#[test]
fn a_stand_in_is_replaced_by_another_algorithm() {
    let all = vectors("binance.json");
    let by_id = |id: &str| all.iter().find(|vector| vector["id"] == id).expect(id);
    let (hmac, ed25519) = (by_id("binance-036"), by_id("binance-044"));
    let theirs = wire(&ed25519["expected"]).expect("HTTP");
    let clock = |vector: &Value| vector["clock_ms"].to_string();
    let mut ours = wire(&hmac["expected"]).expect("HTTP");
    ours.target = ours.target.replace(&clock(hmac), &clock(ed25519));
    let (_, unsigned) = split(Venue::Binance, ours).expect("well formed");
    let key = Key::read(ed25519["credentials"]["secret"].as_str().expect("a secret"));
    let api_key = ed25519["credentials"]["apiKey"].as_str().expect("a key");
    let signature = key.sign(&signing_input(&unsigned, api_key));
    let out = attach(unsigned, api_key, Algorithm::Ed25519, &signature).http().expect("HTTP");
    assert_eq!(out, theirs);
}
