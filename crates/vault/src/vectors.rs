//! Published and captured signed requests, taken through the vault's own code: stripped of their
//! authentication, decoded, signed again with the vector's key, put together.
//!
//! Format of a vector: `shared/vectors/README.md`; the fields used here are `venue`,
//! `credentials`, `clock_ms`, `expected` and `request.kind`.

use keys::{KeyDescription, KeyStage, Role, SecretText, SigningKey, VenueKey};
use protocol::sign::{HttpMessage, ReadyRequest, StreamFrame};
use serde_json::Value;
use thiserror::Error;
use trading::{AccountName, BotName, Timestamp, Venue};
use venue::Surface;

use crate::request::{self, Asked};
use crate::signer::{BaseUrls, Signer};

/// Most milliseconds between a vector's clock and its request's own time.
const MAX_SKEW_MS: u64 = 60_000;

/// What became of a vector that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The vault made the same request, byte for byte.
    Equal,
    /// The request is for an endpoint that is known and never signed (a withdrawal, a transfer; see
    /// [`venue::is_withheld`]): its signature was reproduced, as the gateway does to check a login, and
    /// the request was refused.
    Refused,
}

/// Why a vector failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// This venue is not built yet.
    #[error("venue {0} is not built yet")]
    NotBuilt(String),
    /// The vector is not what the format says.
    #[error("the vector has no usable `{0}`")]
    Format(&'static str),
    /// The vault gave up.
    #[error("{0}")]
    Vault(String),
    /// The result differs.
    #[error("{part} differs\n  expected {expected}\n  made     {made}")]
    Differs {
        /// Which part of the request.
        part: String,
        /// As in the vector.
        expected: String,
        /// As the vault made it.
        made: String,
    },
}

/// Takes one vector through the vault.
///
/// # Errors
///
/// [`Failure`] with what differs.
pub fn check(vector: &Value) -> Result<Passed, Failure> {
    let name = text(vector, "venue")?;
    let venue: Venue = name.parse().map_err(|_| Failure::NotBuilt(name.to_owned()))?;
    let clock = vector.get("clock_ms").and_then(Value::as_u64).ok_or(Failure::Format("clock_ms"))?;
    let clock = Timestamp::from_ms(clock);
    let signer = signer(vector, venue, clock)?;
    let expected = vector.get("expected").ok_or(Failure::Format("expected"))?;
    if expected.get("url").is_some() {
        check_http(vector, expected, venue, &signer, clock)
    } else {
        check_frame(vector, expected, venue, &signer, clock)
    }
}

/// The request's own time must be the vector's: at a venue, and at the policy's clock rule, a right
/// signature of another minute is worth nothing.
fn check_clock(unsigned: &venue::Unsigned, clock: Timestamp) -> Result<(), Failure> {
    if let Some(sent_at) = unsigned.sent_at()
        && sent_at.as_ms().abs_diff(clock.as_ms()) > MAX_SKEW_MS
    {
        return Err(differs("time", &clock.to_string(), &sent_at.to_string()));
    }
    match unsigned.expires_at() {
        Some(expires) if expires < clock => {
            Err(differs("expiry", &format!("not before {clock}"), &expires.to_string()))
        }
        _ => Ok(()),
    }
}

fn check_http(
    vector: &Value,
    expected: &Value,
    venue: Venue,
    signer: &Signer,
    clock: Timestamp,
) -> Result<Passed, Failure> {
    let mut http = http_message(expected)?;
    let (unsigned, spelling) = spelled_by_client(vector, venue, &http)?;
    http.spelling = Some(spelling);
    check_clock(&unsigned, clock)?;
    let unsigned = match venue::decode(&unsigned) {
        Err(error) if error.is_endpoint() && venue::is_withheld(venue, unsigned.path()) => {
            return Ok(Passed::Refused);
        }
        Err(error) => return Err(Failure::Vault(error.to_string())),
        Ok(_) => request::from_http(venue, &http).map_err(|error| Failure::Vault(error.message))?,
    };
    let ready = finish(signer, venue, request::Way::Http, unsigned)?;
    compare_http(expected, &http, &ready)
}

/// The request and the spelling that the client's own signature verifies with.
fn spelled_by_client(
    vector: &Value,
    venue: Venue,
    http: &HttpMessage,
) -> Result<(venue::Unsigned, String), Failure> {
    let key = signing_key(vector)?;
    let native = request::native_http(http).map_err(|error| Failure::Vault(error.message))?;
    let (presented, unsigned) =
        venue::split(venue, native).map_err(|error| Failure::Vault(error.to_string()))?;
    let signature = presented.signature.unwrap_or_default();
    let verifies = |unsigned: &venue::Unsigned| {
        !unsigned.takes_signature()
            || *key.sign(&venue::signing_input(unsigned, &presented.api_key)) == *signature
    };
    for spelling in unsigned.spellings() {
        let candidate = unsigned.clone().spelled(spelling);
        if verifies(&candidate) {
            let name = serde_json::to_value(spelling).ok();
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            return Ok((candidate, name));
        }
    }
    let made = key.sign(&venue::signing_input(&unsigned, &presented.api_key));
    Err(differs("signature", &hex::encode(signature), &hex::encode(made)))
}

fn compare_http(expected: &Value, original: &HttpMessage, ready: &ReadyRequest) -> Result<Passed, Failure> {
    same("method", text(expected, "method")?, &ready.method)?;
    same("url", text(expected, "url")?, &ready.url)?;
    same("body", &original.body, &ready.body)?;
    for (name, value) in &original.headers {
        let made = ready.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        let made = made.and_then(|(_, value)| value.as_str()).unwrap_or("(absent)");
        same(&format!("header {name}"), value, made)?;
    }
    for name in ready.headers.keys() {
        if !original.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
            return Err(differs(&format!("header {name}"), "(absent)", "present"));
        }
    }
    Ok(Passed::Equal)
}

fn check_frame(
    vector: &Value,
    expected: &Value,
    venue: Venue,
    signer: &Signer,
    clock: Timestamp,
) -> Result<Passed, Failure> {
    let (path, text) = if let Some(params) = expected.get("ws_params") {
        let kind = vector["request"]["kind"].as_str().ok_or(Failure::Format("request.kind"))?;
        let method = kind.rsplit(' ').next().unwrap_or(kind);
        let path = if kind.contains("fapi") { "/ws-fapi/v1" } else { "/ws-api/v3" };
        (path.to_owned(), serde_json::json!({ "id": "1", "method": method, "params": params }).to_string())
    } else {
        let message = expected.get("ws_message").ok_or(Failure::Format("expected"))?;
        let url = expected.get("ws_url").and_then(Value::as_str).ok_or(Failure::Format("expected.ws_url"))?;
        (target_of(url).to_owned(), message.to_string())
    };
    let frame = StreamFrame { path, text: text.clone(), spelling: None };
    let (way, unsigned) =
        request::from_frame(venue, &frame).map_err(|error| Failure::Vault(error.message))?;
    check_clock(&unsigned, clock)?;
    let ready = finish(signer, venue, way, unsigned)?;
    same("frame", &text, &ready.body)?;
    Ok(Passed::Equal)
}

fn finish(
    signer: &Signer,
    venue: Venue,
    way: request::Way,
    unsigned: venue::Unsigned,
) -> Result<ReadyRequest, Failure> {
    let intent = venue::decode(&unsigned).map_err(|error| Failure::Vault(error.to_string()))?;
    let asked =
        Asked { bot: bot(), account: account(), venue, unsigned, extras: Vec::new(), way, thesis: None };
    let (ready, _) = signer.finish(&intent, &asked).map_err(|error| Failure::Vault(error.message))?;
    Ok(ready)
}

fn signer(vector: &Value, venue: Venue, clock: Timestamp) -> Result<Signer, Failure> {
    let api_key = credential(vector, &["apiKey"])?.to_owned();
    let signing = signing_key(vector)?;
    let description = KeyDescription {
        key_id: KeyDescription::key_id(&api_key),
        venue,
        account: account(),
        role: Role::Trade,
        algorithm: String::new(),
        added_at: clock,
        stage: KeyStage::Active,
    };
    Ok(Signer::with_keys(vec![VenueKey { description, api_key, signing }], bases(vector, venue)))
}

fn signing_key(vector: &Value) -> Result<SigningKey, Failure> {
    let secret = credential(vector, &["secret", "privateKey", "pem"])?;
    SigningKey::parse(&SecretText::new(secret.to_owned())).map_err(|error| Failure::Vault(error.to_string()))
}

/// The vector's own host for every part of the venue, so that the URL comes out as it went in.
fn bases(vector: &Value, venue: Venue) -> BaseUrls {
    let url = vector["expected"]["url"].as_str().unwrap_or_default();
    let base = url.strip_suffix(target_of(url)).unwrap_or_default();
    let surfaces = [Surface::Spot, Surface::UsdMargined, Surface::CoinMargined, Surface::V5];
    let hosts = surfaces.into_iter().map(|surface| (surface, base.to_owned())).collect();
    BaseUrls([(venue, hosts)].into())
}

fn http_message(expected: &Value) -> Result<HttpMessage, Failure> {
    let headers = expected.get("headers").and_then(Value::as_object);
    let headers = headers
        .into_iter()
        .flatten()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<_>>()
        .ok_or(Failure::Format("expected.headers"))?;
    Ok(HttpMessage {
        method: text(expected, "method")?.to_owned(),
        target: target_of(text(expected, "url")?).to_owned(),
        headers,
        body: expected.get("body").and_then(Value::as_str).unwrap_or_default().to_owned(),
        spelling: None,
    })
}

fn target_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    url[after_scheme..].find('/').map_or("/", |at| &url[after_scheme + at..])
}

fn text<'a>(value: &'a Value, field: &'static str) -> Result<&'a str, Failure> {
    value.get(field).and_then(Value::as_str).ok_or(Failure::Format(field))
}

fn credential<'a>(vector: &'a Value, names: &[&str]) -> Result<&'a str, Failure> {
    let credentials = vector.get("credentials").ok_or(Failure::Format("credentials"))?;
    names
        .iter()
        .find_map(|name| credentials.get(name).and_then(Value::as_str))
        .ok_or(Failure::Format("credentials"))
}

fn same(part: &str, expected: &str, made: &str) -> Result<(), Failure> {
    if expected == made { Ok(()) } else { Err(differs(part, expected, made)) }
}

fn differs(part: &str, expected: &str, made: &str) -> Failure {
    Failure::Differs { part: part.to_owned(), expected: expected.to_owned(), made: made.to_owned() }
}

fn account() -> AccountName {
    AccountName::new("vector").expect("a plain name")
}

fn bot() -> BotName {
    BotName::new("vector").expect("a plain name")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYBIT: &str = include_str!("../../venue/tests/vectors/bybit.json");
    const BINANCE: &str = include_str!("../../venue/tests/vectors/binance.json");

    /// Ids of the vectors that were refused, and of those that failed.
    fn check_file(text: &str) -> (Vec<String>, Vec<String>) {
        let document: Value = serde_json::from_str(text).expect("JSON");
        let (mut refused, mut failed) = (Vec::new(), Vec::new());
        for vector in document["vectors"].as_array().expect("a list") {
            let id = vector["id"].as_str().expect("an id").to_owned();
            match check(vector) {
                Ok(Passed::Equal) => {}
                Ok(Passed::Refused) => refused.push(id),
                Err(_) => failed.push(id),
            }
        }
        (refused, failed)
    }

    #[test]
    fn only_a_withdrawal_is_refused() {
        assert_eq!(check_file(BINANCE), (vec!["binance-050".to_owned()], vec![]));
    }

    #[test]
    fn no_bybit_vector_is_refused() {
        assert_eq!(check_file(BYBIT), (vec![], vec![]));
    }

    fn vector(text: &str, id: &str) -> Value {
        let document: Value = serde_json::from_str(text).expect("JSON");
        let list = document["vectors"].as_array().expect("a list");
        list.iter().find(|vector| vector["id"] == id).expect("it is there").clone()
    }

    #[test]
    fn another_clock_than_the_request_s_fails() {
        let (mut orders, mut logins) = (0, 0);
        for text in [BINANCE, BYBIT] {
            let document: Value = serde_json::from_str(text).expect("JSON");
            for own in document["vectors"].as_array().expect("a list") {
                let with_clock = |clock: Value| {
                    let mut vector = own.clone();
                    vector["clock_ms"] = clock;
                    check(&vector).map_err(|failure| failure.to_string())
                };
                let at = own["clock_ms"].as_u64().expect("a clock");
                let Err(late) = with_clock((at + 999_999_999).into()) else {
                    // Only a listen key or a call after a logon has no time of its own.
                    panic!("{} passes a week late", own["id"]);
                };
                orders += u64::from(late.starts_with("time differs"));
                logins += u64::from(late.starts_with("expiry differs"));
                assert!(late.contains("differs"), "{late}");
                if late.starts_with("time") {
                    with_clock((at + 60_000).into()).expect("a minute");
                    with_clock((at - 60_000).into()).expect("a minute");
                    with_clock((at - 60_001).into()).expect_err("more than a minute");
                }
                assert!(with_clock(Value::Null).expect_err("no clock").contains("clock_ms"));
            }
        }
        assert!(orders > 50 && logins > 0, "{orders} and {logins}");
    }

    #[test]
    fn only_an_endpoint_known_by_name_counts_as_refused() {
        let order = vector(BINANCE, "binance-001");
        for (path, is_known) in
            [("orderz", false), ("nosuch", false), ("order/oco", true), ("orderList/oco", true)]
        {
            let mut vector = order.clone();
            vector["expected"]["url"] = format!("https://api.binance.com/api/v3/{path}").into();
            match (check(&vector), is_known) {
                (Ok(Passed::Refused), true) => {}
                (Err(Failure::Vault(text)), false) => assert!(text.contains(path), "{text}"),
                (outcome, _) => panic!("{path}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn an_order_that_is_not_understood_fails_and_is_not_called_refused() {
        let document: Value = serde_json::from_str(BYBIT).expect("JSON");
        let mut vector = document["vectors"][0].clone();
        let body = r#"{"category":"linear","symbol":"BTCUSDT","colour":"red"}"#;
        let clock = vector["clock_ms"].as_u64().expect("a clock").to_string();
        let api_key = vector["credentials"]["apiKey"].as_str().expect("a key").to_owned();
        let headers = vector["expected"]["headers"].as_object_mut().expect("headers");
        let (mut window, mut stamp) = (String::new(), clock);
        for (name, value) in headers.iter() {
            let text = value.as_str().unwrap_or_default().to_owned();
            match name.to_ascii_uppercase().as_str() {
                "X-BAPI-RECV-WINDOW" => window = text,
                "X-BAPI-TIMESTAMP" => stamp = text,
                _ => {}
            }
        }
        let signature =
            signing_key(&vector).expect("a key").sign(format!("{stamp}{api_key}{window}{body}").as_bytes());
        let headers = vector["expected"]["headers"].as_object_mut().expect("headers");
        for (name, value) in headers.iter_mut() {
            if name.eq_ignore_ascii_case("X-BAPI-SIGN") {
                *value = hex::encode(&signature).into();
            }
        }
        vector["expected"]["body"] = body.into();
        let failure = check(&vector).expect_err("not understood");
        assert!(matches!(&failure, Failure::Vault(text) if text.contains("colour")), "{failure}");
    }
}
