//! WebSocket API calls: `{"id":…,"method":"order.place","params":{…}}`.
//!
//! The client's text survives but for the values of `apiKey` and `signature`. Signed are all other
//! parameters and `apiKey`, sorted by name, as `k=v&k=v` without percent-encoding (ccxt) or with
//! (binance-common): see [`crate::Spelling::Encoded`].

use std::fmt::Write as _;
use std::ops::Range;

use trading::{Intent, Market, StreamChannel, Timestamp, Venue};

use super::decode;
use super::endpoints::Kind;
use crate::error::{Malformed, Undecodable};
use crate::fields::{Fields, from_object};
use crate::form;
use crate::json::{self, Value};
use crate::unsigned::{Algorithm, MAX_BODY, Presented, Spelling, Surface, read_timestamp, read_whole};

/// A call without key and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The frame; the values of `apiKey` and `signature` are empty strings.
    text: String,
    pub(crate) surface: Surface,
    /// The call's id as JSON text.
    pub(crate) id: Option<String>,
    pub(crate) method: String,
    /// Where the key goes in `text`.
    key: Option<usize>,
    /// Where the signature goes in `text`.
    pub(crate) signature: Option<usize>,
    pub(crate) spelling: Spelling,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) recv_window_ms: Option<u64>,
}

fn malformed(field: &str, problem: &'static str) -> Malformed {
    Malformed::new(field, problem)
}

/// What a method does; `None` for what may not be signed.
fn find(surface: Surface, method: &str) -> Option<(Kind, Market)> {
    let market = match surface {
        Surface::Spot => Market::Spot,
        Surface::UsdMargined => Market::Linear,
        Surface::CoinMargined => Market::Inverse,
        Surface::V5 => return None,
    };
    let futures = market != Market::Spot;
    let kind = match (method, futures) {
        ("order.place", _) | ("order.test" | "sor.order.place" | "sor.order.test", false) => Kind::Order,
        ("order.cancel", _) => Kind::Cancel,
        ("order.modify", true) => Kind::Amend,
        ("algoOrder.place", true) => Kind::AlgoOrder,
        ("algoOrder.cancel", true) => Kind::AlgoCancel,
        ("order.cancelReplace", false) => Kind::CancelReplace,
        ("order.amend.keepPriority", false) => Kind::AmendKeepPriority,
        ("openOrders.cancelAll", false) => Kind::CancelAll,
        ("order.status" | "account.status", _)
        | (
            "openOrders.status"
            | "allOrders"
            | "myTrades"
            | "account.commission"
            | "account.rateLimits.orders"
            | "openOrderLists.status"
            | "orderList.status"
            | "allOrderLists"
            | "myAllocations"
            | "myPreventedMatches",
            false,
        )
        | (
            "account.balance"
            | "account.position"
            | "v2/account.balance"
            | "v2/account.status"
            | "v2/account.position",
            true,
        ) => Kind::Read,
        (
            "session.logon"
            | "userDataStream.start"
            | "userDataStream.ping"
            | "userDataStream.stop"
            | "userDataStream.subscribe.signature"
            | "userDataStream.subscribe",
            _,
        ) => Kind::ListenKey,
        _ => return None,
    };
    Some((kind, market))
}

/// Calls that ask for market data or end something; they carry neither key nor signature.
pub(crate) fn is_harmless(method: &str) -> bool {
    matches!(
        method,
        "ping"
            | "time"
            | "exchangeInfo"
            | "depth"
            | "trades.recent"
            | "trades.historical"
            | "trades.aggregate"
            | "klines"
            | "uiKlines"
            | "avgPrice"
            | "ticker"
            | "ticker.24hr"
            | "ticker.price"
            | "ticker.book"
            | "ticker.tradingDay"
            | "session.status"
            | "session.logout"
            | "userDataStream.unsubscribe"
            | "session.subscriptions"
    ) || is_stream_method(method)
}

/// The methods of market streams, which take a list of stream names.
fn is_stream_method(method: &str) -> bool {
    matches!(method, "SUBSCRIBE" | "UNSUBSCRIBE" | "LIST_SUBSCRIPTIONS" | "GET_PROPERTY" | "SET_PROPERTY")
}

/// The range of a text in `frame`, from which it must be borrowed.
fn range_in(frame: &str, value: &Value<'_>) -> Option<Range<usize>> {
    let Value::Text(std::borrow::Cow::Borrowed(part)) = value else { return None };
    let start = part.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
    let range = start..start + part.len();
    (frame.get(range.clone())? == *part).then_some(range)
}

/// Reads a frame. `Ok(None)` means that it is harmless and can be relayed as it is.
pub(crate) fn split(surface: Surface, text: &str) -> Result<Option<(Presented, Call)>, Malformed> {
    if text.len() > MAX_BODY {
        return Err(malformed("frame", "is too long"));
    }
    let frame = json::parse(text).map_err(|error| Malformed::json("frame", error))?;
    let Value::Object(members) = &frame else { return Err(malformed("frame", "is not an object")) };
    if let Some((key, _)) = members.iter().find(|(key, _)| !matches!(&**key, "id" | "method" | "params")) {
        return Err(malformed(key, "is not a member of a call"));
    }
    let Some(Value::Text(method)) = frame.get("method") else {
        return Err(malformed("method", "is missing or no text"));
    };
    let params = match frame.get("params") {
        None => &[][..],
        Some(Value::Object(params)) => params,
        Some(Value::Array(_)) if is_stream_method(method) => return Ok(None),
        Some(_) => return Err(malformed("params", "is not an object")),
    };
    let find = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let (key, signature) = (find("apiKey"), find("signature"));
    if is_harmless(method) && key.is_none() && signature.is_none() {
        return Ok(None);
    }
    let span = |name: &'static str, value: Option<&Value<'_>>| {
        let Some(value) = value else { return Ok(None) };
        let Value::Text(part) = value else { return Err(malformed(name, "is no text")) };
        let range = range_in(text, value).ok_or(malformed(name, "has escapes"))?;
        Ok(Some((range, part.to_string())))
    };
    let (key, signature) = (span("apiKey", key)?, span("signature", signature)?);
    if signature.is_some() && key.is_none() {
        return Err(malformed("apiKey", "is missing"));
    }
    let presented = present(key.as_ref(), signature.as_ref())?;
    let number = |name: &str| find(name).and_then(Value::as_text);
    let call = Call {
        surface,
        id: frame.get("id").map(json::id_text),
        method: method.to_string(),
        sent_at: number("timestamp").and_then(read_timestamp),
        recv_window_ms: number("recvWindow").and_then(read_whole),
        spelling: Spelling::Wire,
        ..cut(text, key.as_ref().map(|(range, _)| range), signature.as_ref().map(|(range, _)| range))
    };
    Ok(Some((presented, call)))
}

fn present(
    key: Option<&(Range<usize>, String)>,
    signature: Option<&(Range<usize>, String)>,
) -> Result<Presented, Malformed> {
    let api_key = key.map(|(_, text)| text.clone()).unwrap_or_default();
    let Some((_, text)) = signature else {
        return Ok(Presented { api_key, signature: None, algorithm: None });
    };
    let (algorithm, bytes) =
        Algorithm::read_signature(text).ok_or(malformed("signature", "is neither hexadecimal nor base64"))?;
    Ok(Presented { api_key, signature: Some(bytes), algorithm: Some(algorithm) })
}

/// Empties the two values, and says where they were.
fn cut(text: &str, key: Option<&Range<usize>>, signature: Option<&Range<usize>>) -> Call {
    let mut rest = text.to_owned();
    let mut spans: Vec<Range<usize>> = key.into_iter().chain(signature).cloned().collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.start));
    for span in &spans {
        rest.replace_range(span.clone(), "");
    }
    let moved = |range: &Range<usize>| {
        let before =
            spans.iter().filter(|span| span.start < range.start).map(ExactSizeIterator::len).sum::<usize>();
        range.start - before
    };
    Call {
        text: rest,
        surface: Surface::Spot,
        id: None,
        method: String::new(),
        key: key.map(moved),
        signature: signature.map(moved),
        spelling: Spelling::Wire,
        sent_at: None,
        recv_window_ms: None,
    }
}

impl Call {
    /// The members of `params`; empty if there are none.
    fn params(&self) -> Result<json::Object<'_>, Undecodable> {
        match json::parse(&self.text)? {
            Value::Object(members) => Ok(members
                .into_iter()
                .find_map(|(key, value)| match value {
                    Value::Object(params) if key == "params" => Some(params),
                    _ => None,
                })
                .unwrap_or_default()),
            _ => Ok(Vec::new()),
        }
    }

    /// The parameters that are texts, by name.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        let text = |(key, value): (std::borrow::Cow<'_, str>, Value<'_>)| match value {
            Value::Text(value) => Some((key.into_owned(), value.into_owned())),
            _ => None,
        };
        self.params().unwrap_or_default().into_iter().filter_map(text).collect()
    }

    /// The parameters but `signature`, with `api_key` as `apiKey`, sorted by name.
    pub(crate) fn signing_input(&self, api_key: &str) -> Vec<u8> {
        let mut params = self.params().expect("the text was parsed when it was split");
        params.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut out = String::with_capacity(self.text.len() + api_key.len());
        for (key, value) in &params {
            if key == "signature" {
                continue;
            }
            if !out.is_empty() {
                out.push('&');
            }
            let encoded = self.spelling == Spelling::Encoded;
            write_value(&mut out, key, encoded);
            out.push('=');
            match value {
                _ if key == "apiKey" => write_value(&mut out, api_key, encoded),
                Value::Text(text) => write_value(&mut out, text, encoded),
                Value::Number(text) => out.push_str(text),
                Value::Bool(value) => write!(out, "{value}").expect("writing to a string does not fail"),
                // Refused by `decode`; the bytes only have to be stable.
                Value::Null | Value::Array(_) | Value::Object(_) => out.push_str("null"),
            }
        }
        out.into_bytes()
    }

    /// Puts key and signature in.
    pub(crate) fn attach(self, api_key: &str, algorithm: Algorithm, signature: &[u8]) -> String {
        let mut text = self.text;
        let mut parts =
            [(self.key, api_key.to_owned()), (self.signature, algorithm.signature_text(signature))];
        parts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        for (at, part) in &parts {
            if let Some(at) = at {
                text.insert_str(*at, part);
            }
        }
        text
    }

    /// Reads the call. A login and its keep-alive count as one.
    pub(crate) fn decode(&self) -> Result<Intent, Undecodable> {
        let (kind, market) = find(self.surface, &self.method)
            .ok_or_else(|| Undecodable::Endpoint(self.method.as_str().into()))?;
        let mut fields = from_object(self.params()?)?;
        for (key, value) in &fields {
            // Names and values are joined unescaped when signed: a separator inside one would let
            // the same signature stand for other parameters.
            if key.contains(['&', '=']) || value.text(key)?.contains(['&', '=']) {
                return Err(Undecodable::bad(key.clone(), "holds a separator"));
            }
        }
        decode::take(&mut fields, "apiKey");
        decode::take(&mut fields, "signature");
        if let Some((_, value)) = decode::take(&mut fields, "returnRateLimits") {
            value.flag("returnRateLimits")?;
        }
        if kind == Kind::ListenKey {
            return self.login(fields);
        }
        if self.sent_at.is_none() {
            return Err(Undecodable::MissingField("timestamp"));
        }
        decode::take_times(&mut fields)?;
        decode::intent(kind, market, fields, || self.method.clone())
    }

    fn login(&self, fields: Fields<'_>) -> Result<Intent, Undecodable> {
        crate::fields::known_fields! {
            RawLogin { timestamp = "timestamp", recv_window = "recvWindow", listen_key = "listenKey" }
        }
        let raw = RawLogin::fill(fields)?;
        let logon = self.method == "session.logon";
        if self.signature.is_some() || logon {
            crate::fields::required(&raw.timestamp, "timestamp")?.whole("timestamp")?;
        }
        if logon && self.signature.is_none() {
            return Err(Undecodable::MissingField("signature"));
        }
        let channel = if logon { StreamChannel::Trade } else { StreamChannel::Account };
        Ok(Intent::StreamLogin { venue: Venue::Binance, channel })
    }
}

/// Writes `text` as it is, or as a form value.
fn write_value(out: &mut String, text: &str, encoded: bool) {
    if encoded { form::encode_plus_into(out, text) } else { out.push_str(text) }
}
