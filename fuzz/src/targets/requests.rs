//! Requests as bots' libraries make them, through the venue's code and through the vault.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use trading::{Intent, Market, Timestamp, Venue};
use vault::rehearsal::Rehearsal;
use venue::{Algorithm, HttpRequest, Operation, Signed, Stream, StreamMessage, Surface, Unsigned};

use crate::engine::{Attacked, both, shape};
use crate::targets::meaning;

/// The vault's time. The vectors' times are near it, and the policy's tolerance is wide.
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_772_600_061_460);
/// What the vault may sign here: nearly everything.
const POLICY: &str = include_str!("../permissive.toml");
/// Records after which a vault is replaced, before its tables and budgets are full.
const RECORDS: u64 = 1_500;

/// A vault that never fills up.
pub(crate) struct Vault(Option<Rehearsal>);

impl Vault {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// One to ask.
    pub(crate) fn get(&mut self) -> &mut Rehearsal {
        if self.0.as_mut().is_some_and(|vault| vault.records() >= RECORDS) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| Rehearsal::new(POLICY, NOW).expect("the policy is sound"))
    }
}

/// The account of `venue` in [`POLICY`].
const fn account(venue: Venue) -> &'static str {
    match venue {
        Venue::Binance => "binance",
        Venue::Bybit => "bybit",
    }
}

/// Reads `METHOD target`, header lines, an empty line and a body: less strict than any HTTP server.
fn read_http(input: &[u8]) -> Option<HttpRequest> {
    let split = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let head = std::str::from_utf8(&input[..split]).ok()?;
    let mut lines = head.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into()));
    let body = input.get(split + 2..).unwrap_or_default().to_vec();
    Some(HttpRequest {
        method: method.parse().ok()?,
        target: target.into(),
        headers: headers.collect(),
        body,
    })
}

/// An HTTP request of `venue`.
pub(crate) fn http(venue: Venue) -> Attacked {
    let mut vault = Vault::new();
    Box::new(move |input| {
        let Some(request) = read_http(input) else { return 1 };
        let public = venue::is_public(venue, &request);
        let _ = venue::is_withheld(venue, request.path());
        let bare = venue::without_credentials(request.clone());
        assert!(bare.header("x-mbx-apikey").is_none() && bare.header("x-bapi-sign").is_none());
        let (_, unsigned) = match venue::split(venue, request.clone()) {
            Ok(parts) => parts,
            Err(error) => return both(shape(&error.to_string()), u64::from(public)),
        };
        let intent = venue::decode(&unsigned);
        look_at(&unsigned);
        if let Ok(intent) = &intent {
            assert!(!public || matches!(intent, Intent::Read(_)), "public, yet {intent:?}");
            attached(venue, &unsigned, intent);
            meaning::check_http(venue, &request, intent);
        }
        let Ok(body) = String::from_utf8(request.body.clone()) else { return 2 };
        // The vault is asked whenever there is something to sign, and now and then when there is not.
        let shape_of_intent = shape(&intent.as_ref().map_or_else(ToString::to_string, kind));
        if intent.is_err() && input.len() % 16 != 0 {
            return shape_of_intent;
        }
        let line = json!({"bot": "demo", "account": account(venue), "venue": venue, "http": {
            "method": request.method.as_str(), "target": request.target, "headers": request.headers, "body": body,
        }});
        let said = ask(vault.get(), &line, intent.as_ref().ok(), |ready| {
            let signed = ready_http(ready);
            assert_eq!(credentials_apart(venue, &signed), credentials_apart(venue, &request));
            signed_again(venue, signed)
        });
        both(shape_of_intent, said)
    })
}

/// A text frame on one of `venue`'s streams: its path, a line feed, the text.
pub(crate) fn frames(venue: Venue) -> Attacked {
    let mut vault = Vault::new();
    Box::new(move |input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        let Some((path, text)) = text.split_once('\n') else { return 2 };
        let stream = stream(venue, path);
        let _ = venue::names_of(stream, text);
        let _ = venue::answered_id(stream, text);
        let (unsigned, harmless) = match venue::split_message(stream, text) {
            Ok(StreamMessage::Request(_, unsigned)) => (unsigned, None),
            Ok(StreamMessage::Harmless(what)) => return shape(&format!("{what:?}")),
            Err(error) => return shape(&error.to_string()),
        };
        let _: Option<()> = harmless;
        let intent = venue::decode(&unsigned);
        look_at(&unsigned);
        if let Ok(intent) = &intent {
            attached_frame(stream, &unsigned, intent);
            meaning::check_frame(venue, text, intent);
        }
        let line = json!({"bot": "demo", "account": account(venue), "venue": venue, "frame": {
            "path": path, "text": text,
        }});
        let said = ask(vault.get(), &line, intent.as_ref().ok(), |ready| {
            match venue::split_message(stream, ready["body"].as_str().expect("a body")) {
                Ok(StreamMessage::Request(_, again)) => {
                    venue::decode(&again).expect("what is signed is understood")
                }
                other => panic!("signed {other:?}"),
            }
        });
        both(shape(&intent.as_ref().map_or_else(ToString::to_string, kind)), said)
    })
}

fn stream(venue: Venue, path: &str) -> Stream {
    match (venue, path) {
        (Venue::Binance, "/ws-fapi/v1") => Stream::BinanceApi(Surface::UsdMargined),
        (Venue::Binance, "/ws-api/v3") => Stream::BinanceApi(Surface::Spot),
        (Venue::Binance, _) => Stream::BinanceData(Surface::Spot),
        (Venue::Bybit, "/v5/private") => Stream::BybitPrivate,
        (Venue::Bybit, "/v5/trade") => Stream::BybitTrade,
        (Venue::Bybit, _) => Stream::BybitPublic,
    }
}

/// A venue's own order body as raw JSON, for both venues and every operation.
pub(crate) fn native() -> Attacked {
    Box::new(|input| {
        let Ok(body) = std::str::from_utf8(input) else { return 1 };
        let mut behaviour = 0;
        for venue in [Venue::Binance, Venue::Bybit] {
            for operation in [Operation::Place, Operation::Amend, Operation::Cancel, Operation::CancelAll] {
                for market in [Market::Spot, Market::Linear] {
                    let made = venue::from_native_json(venue, market, operation, body, NOW, 5_000);
                    let intent = made.as_ref().map(venue::decode);
                    behaviour = both(
                        behaviour,
                        match &intent {
                            Ok(Ok(intent)) => shape(&kind(intent)),
                            Ok(Err(error)) => shape(&error.to_string()),
                            Err(error) => shape(&error.to_string()),
                        },
                    );
                    if let (Ok(unsigned), Ok(Ok(intent))) = (&made, &intent) {
                        attached(venue, unsigned, intent);
                        meaning::check_native(venue, body, intent);
                    }
                }
            }
        }
        behaviour
    })
}

/// Everything that may be asked of a request, understood or not.
fn look_at(unsigned: &Unsigned) {
    for spelling in unsigned.spellings() {
        let _ = venue::signing_input(&unsigned.clone().spelled(spelling), "key");
    }
    let _ = venue::extras(unsigned);
    let _ = (unsigned.sent_at(), unsigned.expires_at(), unsigned.recv_window_ms(), unsigned.binding());
    let _ = (unsigned.surface(), unsigned.method(), unsigned.path().len(), unsigned.request_id());
}

/// A key and a signature put in and taken out again: the same request, and those very ones.
fn attached(venue: Venue, unsigned: &Unsigned, intent: &Intent) {
    let Signed::Http(http) = venue::attach(unsigned.clone(), "some-key", Algorithm::HmacSha256, &[0xab; 32])
    else {
        panic!("an HTTP request became a message");
    };
    let (presented, again) = venue::split(venue, http).expect("what we made can be taken apart");
    assert_eq!(presented.api_key, "some-key");
    if unsigned.takes_signature() {
        assert_eq!(presented.signature.as_deref(), Some(&[0xab; 32][..]));
    }
    assert_eq!(venue::decode(&again).as_ref(), Ok(intent), "signing changed the meaning");
    let input = venue::signing_input(unsigned, "some-key");
    assert_eq!(venue::signing_input(&again, "some-key"), input, "what was signed is not what was sent");
}

fn attached_frame(stream: Stream, unsigned: &Unsigned, intent: &Intent) {
    let signed = venue::attach(unsigned.clone(), "some-key", Algorithm::HmacSha256, &[0xab; 32]);
    let text = signed.message().expect("a message stays one");
    match venue::split_message(stream, &text) {
        Ok(StreamMessage::Request(_, again)) => {
            assert_eq!(venue::decode(&again).as_ref(), Ok(intent), "signing changed the meaning");
        }
        other => panic!("what we made is {other:?}"),
    }
}

/// Asks the vault. What it signs must mean `intent`, by its own word and by what `read` reads.
pub(crate) fn ask(
    vault: &mut Rehearsal,
    line: &Value,
    intent: Option<&Intent>,
    read: impl FnOnce(&Value) -> Intent,
) -> u64 {
    let replies = vault.gateway(line.to_string().as_bytes());
    let [reply] = &replies[..] else { panic!("{} replies to one question", replies.len()) };
    let reply = read_reply(reply);
    if reply["status"] == "approved" {
        let intent = intent.expect("approved what cannot be understood");
        let ready = &reply["request"];
        let own: Intent =
            serde_json::from_value(ready["intent"].clone()).expect("the gateway is told the intent");
        assert_eq!((&own, &read(ready)), (intent, intent), "what was signed does not mean what was approved");
    }
    outcome(&reply)
}

/// A reply of the vault's, but for the caller's own id: that is echoed as it came, whatever it is.
pub(crate) fn read_reply(line: &[u8]) -> Value {
    assert!(!line.contains(&b'\n'), "a reply of two lines");
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(line).expect("a reply is a JSON object");
    let known = members.into_iter().filter(|(name, _)| name != "id");
    known
        .map(|(name, value)| (name, serde_json::from_str::<Value>(value.get()).expect("JSON we wrote")))
        .collect()
}

/// What a reply says, without its numbers.
pub(crate) fn outcome(reply: &Value) -> u64 {
    let codes: Vec<&str> = reply["denials"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|denial| denial["code"].as_str())
        .collect();
    let status = reply["status"].as_str().unwrap_or_default();
    shape(&format!("{status} {} {}", codes.join(","), reply["error"]["code"]))
}

/// The finished request as it would go to the venue.
pub(crate) fn ready_http(ready: &Value) -> HttpRequest {
    let url = ready["url"].as_str().expect("a URL");
    let (_, rest) = url.split_once("://").expect("a scheme");
    let headers = ready["headers"].as_object().expect("headers").iter();
    HttpRequest {
        method: ready["method"].as_str().expect("a method").parse().expect("a method"),
        target: rest[rest.find('/').expect("a path")..].to_owned(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
            .collect(),
        body: ready["body"].as_str().expect("a body").as_bytes().to_vec(),
    }
}

/// What a signed request means to whoever receives it.
pub(crate) fn signed_again(venue: Venue, signed: HttpRequest) -> Intent {
    let (_, again) = venue::split(venue, signed).expect("what is signed can be taken apart");
    venue::decode(&again).expect("what is signed is understood")
}

/// What of a request is not authentication: method and path, query and body without the signature.
fn credentials_apart(venue: Venue, request: &HttpRequest) -> (String, String, String) {
    let plain = |text: &str| match venue {
        Venue::Bybit => text.to_owned(),
        Venue::Binance => {
            let own = text.split('&').filter(|pair| !pair.starts_with("signature="));
            own.collect::<Vec<_>>().join("&")
        }
    };
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    (format!("{} {path}", request.method.as_str()), plain(query), plain(&body))
}

/// What kind of thing an intent is.
pub(crate) fn kind(intent: &Intent) -> String {
    match intent {
        Intent::Place(order) => format!(
            "place {:?} {:?} {} {}",
            order.order_type, order.time_in_force, order.post_only, order.reduce_only
        ),
        Intent::Batch(legs) => format!("batch {}", legs.iter().map(kind).collect::<Vec<_>>().join("+")),
        other => format!("{other:?}").split(['(', ' ', '{']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;

    /// How many of `venue`'s requests the vault signs as they are: a target whose seeds are all refused
    /// would prove nothing.
    fn signed(venue: Venue) -> usize {
        let mut vault = Vault::new();
        let approved = |request: &HttpRequest| {
            let http = json!({
                "method": request.method.as_str(), "target": request.target, "headers": request.headers,
                "body": String::from_utf8_lossy(&request.body),
            });
            let line = json!({"bot": "demo", "account": account(venue), "venue": venue, "http": http});
            let replies = vault.get().gateway(line.to_string().as_bytes());
            read_reply(&replies[0])["status"] == "approved"
        };
        let requests = seeds::http(venue.as_str()).into_iter().filter_map(|seed| read_http(&seed));
        requests.collect::<Vec<_>>().iter().map(approved).filter(|approved| *approved).count()
    }

    #[test]
    fn most_seeds_get_as_far_as_the_signature() {
        let both = [Venue::Binance, Venue::Bybit].map(signed);
        assert!(both.iter().all(|count| *count >= 10), "{both:?} were signed");
    }
}
