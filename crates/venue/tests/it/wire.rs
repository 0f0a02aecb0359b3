//! Requests as they left the socket of ccxt 4.5.90, pybit 5.17.0, binance-connector 3.13.0 and
//! binance-sdk-spot 13.2.0, after their HTTP libraries had had their way with the URL.
//!
//! `expected` is the operation that the request decodes to, `public`, or `refused:` and the field.

use serde_json::Value;
use trading::Venue;
use venue::{
    HttpRequest, Signed, Stream, StreamMessage, Surface, attach, decode, is_public, signing_input, split,
    split_message, without_credentials,
};

use crate::support::Key;

fn request(value: &Value) -> HttpRequest {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    HttpRequest {
        method: text(&value["method"]).parse().expect("a method"),
        target: text(&value["target"]),
        headers: value["headers"]
            .as_array()
            .expect("headers")
            .iter()
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect(),
        body: text(&value["body"]).into_bytes(),
    }
}

fn outcome(venue: Venue, key: &Key, request: &HttpRequest) -> String {
    if is_public(venue, request) {
        assert!(without_credentials(request.clone()).header("X-MBX-APIKEY").is_none());
        return "public".to_owned();
    }
    let (presented, unsigned) = match split(venue, request.clone()) {
        Ok(parts) => parts,
        Err(error) => return format!("malformed:{}", error.field()),
    };
    let api_key = presented.api_key.as_str();
    let Some(signature) = presented.signature.as_deref() else {
        let out = attach(unsigned.clone(), api_key, key.algorithm(), &[]);
        assert_eq!(out, Signed::Http(request.clone()));
        return describe(&unsigned);
    };
    let spelled = unsigned
        .spellings()
        .into_iter()
        .map(|spelling| unsigned.clone().spelled(spelling))
        .find(|unsigned| key.verifies(&signing_input(unsigned, api_key), signature))
        .unwrap_or_else(|| panic!("no spelling of {request:?} verifies"));
    let again = key.sign(&signing_input(&spelled, api_key));
    assert_eq!(attach(spelled.clone(), api_key, key.algorithm(), &again), Signed::Http(request.clone()));
    describe(&spelled)
}

fn describe(unsigned: &venue::Unsigned) -> String {
    match decode(unsigned) {
        Ok(intent) => intent.operation().to_owned(),
        Err(error) => format!("refused:{}", error.field().unwrap_or("endpoint")),
    }
}

#[test]
fn what_libraries_really_send() {
    let text = include_str!("../vectors/wire.json");
    let value: Value = serde_json::from_str(text).expect("vectors are JSON");
    let mut wrong = Vec::new();
    for entry in value["requests"].as_array().expect("a list") {
        let venue: Venue = entry["venue"].as_str().expect("a venue").parse().expect("known");
        let key = Key::read(entry["credentials"]["secret"].as_str().expect("a secret"));
        let request = request(&entry["request"]);
        let outcome = outcome(venue, &key, &request);
        if entry["expected"] != outcome.as_str() {
            wrong.push(format!("{outcome}\t{} {} {}", entry["source"], request.method, request.target));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// WebSocket API calls of ccxt.pro 4.5.90 and binance-common 4.6.0, with each kind of key.
#[test]
fn what_libraries_call() {
    let value: Value =
        serde_json::from_str(include_str!("../vectors/frames.json")).expect("vectors are JSON");
    for entry in value["frames"].as_array().expect("a list") {
        let surface = if entry["surface"] == "usdm" { Surface::UsdMargined } else { Surface::Spot };
        let frame = entry["frame"].as_str().expect("text");
        let key = Key::read(entry["credentials"]["secret"].as_str().expect("a secret"));
        let StreamMessage::Request(presented, unsigned) =
            split_message(Stream::BinanceApi(surface), frame).expect(frame)
        else {
            panic!("{frame} is harmless")
        };
        let signature = presented.signature.expect(frame);
        let spelled = unsigned
            .spellings()
            .into_iter()
            .map(|spelling| unsigned.clone().spelled(spelling))
            .find(|unsigned| key.verifies(&signing_input(unsigned, &presented.api_key), &signature))
            .unwrap_or_else(|| panic!("no spelling of {frame} verifies"));
        decode(&spelled).expect(frame);
        let again = key.sign(&signing_input(&spelled, &presented.api_key));
        let out = attach(spelled, &presented.api_key, key.algorithm(), &again).message();
        assert_eq!(out.as_deref(), Some(frame));
    }
}
