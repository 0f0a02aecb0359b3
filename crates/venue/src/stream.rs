//! WebSocket messages from a client: which need a decision, and which may pass.

use trading::{StreamChannel, Timestamp};

use crate::error::Malformed;
use crate::unsigned::{Form, MAX_BODY, Presented, Surface, Unsigned};
use crate::{binance, bybit, json};

/// A WebSocket endpoint of a venue, by what clients send on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Binance's WebSocket API of a surface: calls, each with its own signature or after a logon.
    BinanceApi(Surface),
    /// Binance's market or user-data stream (`/ws`, `/stream`): subscriptions only.
    BinanceData(Surface),
    /// Bybit `/v5/private`: a login, then subscriptions.
    BybitPrivate,
    /// Bybit `/v5/trade`: a login, then order entry.
    BybitTrade,
    /// Bybit `/v5/public/…`: subscriptions only.
    BybitPublic,
}

/// A message that may pass as it is: it needs no key and changes nothing at the venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harmless {
    /// A heartbeat.
    Ping,
    /// Asks for topics; private ones flow only after a login.
    Subscribe(Vec<String>),
    /// Ends topics.
    Unsubscribe(Vec<String>),
    /// A public question, or the end of a session.
    Call,
}

/// A client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage {
    /// May pass.
    Harmless(Harmless),
    /// Needs a decision. `Presented` has an empty key where the connection's login stands for it.
    Request(Presented, Unsigned),
}

/// Reads a client's text frame on `stream`.
///
/// # Errors
///
/// Not strict JSON, unknown members, or authentication that is not readable.
pub fn split_message(stream: Stream, text: &str) -> Result<StreamMessage, Malformed> {
    match stream {
        Stream::BinanceApi(surface) => Ok(match binance::stream::split(surface, text)? {
            Some((presented, call)) => StreamMessage::Request(presented, Unsigned(Form::BinanceCall(call))),
            None => StreamMessage::Harmless(Harmless::Call),
        }),
        Stream::BinanceData(surface) => match binance::stream::split(surface, text)? {
            None => Ok(StreamMessage::Harmless(Harmless::Call)),
            Some(_) => Err(Malformed::new("method", "is not one of a data stream")),
        },
        Stream::BybitPrivate => bybit_message(StreamChannel::Account, text),
        Stream::BybitTrade => bybit_message(StreamChannel::Trade, text),
        Stream::BybitPublic => match bybit_message(StreamChannel::Account, text)? {
            StreamMessage::Request(..) => Err(Malformed::new("op", "is not one of a public stream")),
            harmless @ StreamMessage::Harmless(_) => Ok(harmless),
        },
    }
}

fn bybit_message(channel: StreamChannel, text: &str) -> Result<StreamMessage, Malformed> {
    Ok(match bybit::stream::split(channel, text)? {
        bybit::stream::Read::Harmless(harmless) => StreamMessage::Harmless(harmless),
        bybit::stream::Read::Request(presented, unsigned) => StreamMessage::Request(presented, unsigned),
    })
}

/// The client's id of the message that a venue's frame answers, as [`Unsigned::request_id`] has it;
/// `None` if the frame answers nothing.
#[must_use]
pub fn answered_id(stream: Stream, text: &str) -> Option<String> {
    let name = match stream {
        Stream::BinanceApi(_) | Stream::BinanceData(_) => "id",
        Stream::BybitPrivate | Stream::BybitTrade | Stream::BybitPublic => "reqId",
    };
    match json::parse(text).ok()?.get(name)? {
        id @ (json::Value::Text(_) | json::Value::Number(_)) => Some(json::id_text(id)),
        _ => None,
    }
}

/// The client's id of a message and what it asks for, also if the message cannot be read: for the
/// answer to it. What is not there once is absent.
#[must_use]
pub fn names_of(stream: Stream, text: &str) -> (Option<String>, String) {
    let (ids, operation): (&[&str], _) = match stream {
        Stream::BinanceApi(_) | Stream::BinanceData(_) => (&["id"], "method"),
        Stream::BybitPrivate | Stream::BybitTrade | Stream::BybitPublic => (&["reqId", "req_id"], "op"),
    };
    let frame = if text.len() > MAX_BODY { None } else { json::parse_with_duplicates(text).ok() };
    let Some(json::Value::Object(members)) = frame else { return (None, String::new()) };
    let once = |names: &[&str]| {
        let mut found = members.iter().filter(|(key, _)| names.contains(&&**key)).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    };
    let operation = once(&[operation]).and_then(json::Value::as_text).unwrap_or_default().to_owned();
    (once(ids).map(json::id_text), operation)
}

/// Whether a Bybit topic carries the account's own data.
#[must_use]
pub fn is_private_topic(topic: &str) -> bool {
    let first = topic.split('.').next().unwrap_or_default();
    matches!(first, "order" | "execution" | "position" | "wallet" | "greeks" | "dcp" | "spread" | "rfq")
}

/// The login that opens a Bybit private or trade connection until `expires_at`.
#[must_use]
pub fn bybit_login(channel: StreamChannel, expires_at: Timestamp) -> Unsigned {
    Unsigned(Form::BybitLogin(bybit::stream::Login::new(channel, expires_at)))
}
