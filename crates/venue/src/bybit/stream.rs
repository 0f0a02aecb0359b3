//! WebSocket messages: the login `{"op":"auth","args":[key,expires,signature]}` and order entry
//! `{"reqId":…,"header":{…},"op":"order.create","args":[{…}]}`, which no signature covers: the
//! connection's login stands for it, so each message is decided before it is relayed.

use std::borrow::Cow;

use trading::{Intent, StreamChannel, Timestamp, Venue};

use super::decode;
use super::endpoints::Kind;
use crate::error::{Malformed, Undecodable};
use crate::fields::from_object;
use crate::json::{self, Value};
use crate::stream::Harmless;
use crate::unsigned::{Algorithm, Form, MAX_BODY, Presented, Unsigned, read_timestamp, read_whole};

/// A login without key and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    text: String,
    /// The client's own id, as JSON text.
    pub(crate) id: Option<String>,
    channel: StreamChannel,
    key: usize,
    signature: usize,
    expires: String,
    pub(crate) expires_at: Timestamp,
}

/// An order-entry message; it carries no authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderMessage {
    text: String,
    /// The client's own id, as JSON text.
    pub(crate) id: Option<String>,
    pub(crate) operation: String,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) recv_window_ms: Option<u64>,
}

/// What a message turned out to be.
pub(crate) enum Read {
    Harmless(Harmless),
    Request(Presented, Unsigned),
}

fn member<'v, 'a>(frame: &'v Value<'a>, name: &str) -> Option<&'v Value<'a>> {
    frame.get(name)
}

/// Reads a message on a connection for `channel`.
pub(crate) fn split(channel: StreamChannel, text: &str) -> Result<Read, Malformed> {
    if text.len() > MAX_BODY {
        return Err(Malformed::new("message", "is too long"));
    }
    let frame = json::parse(text).map_err(|error| Malformed::json("message", error))?;
    let Value::Object(members) = &frame else { return Err(Malformed::new("message", "is not an object")) };
    let known = ["req_id", "reqId", "op", "args", "header"];
    if let Some((key, _)) = members.iter().find(|(key, _)| !known.contains(&&**key)) {
        return Err(Malformed::new(key.clone(), "is not a member of a message"));
    }
    let id = member(&frame, "reqId").or_else(|| member(&frame, "req_id")).map(json::id_text);
    let Some(Value::Text(operation)) = member(&frame, "op") else {
        return Err(Malformed::new("op", "is missing or no text"));
    };
    let args = member(&frame, "args").and_then(Value::as_array).unwrap_or_default();
    match &**operation {
        "ping" | "pong" => Ok(Read::Harmless(Harmless::Ping)),
        "subscribe" => topics(args).map(Harmless::Subscribe).map(Read::Harmless),
        "unsubscribe" => topics(args).map(Harmless::Unsubscribe).map(Read::Harmless),
        "auth" => login(text, id, channel, args),
        _ if channel == StreamChannel::Trade => {
            let header = |name: &str| member(&frame, "header").and_then(|header| header.get(name)?.as_text());
            let message = OrderMessage {
                text: text.to_owned(),
                id,
                operation: operation.to_string(),
                sent_at: header("X-BAPI-TIMESTAMP").and_then(read_timestamp),
                recv_window_ms: header("X-BAPI-RECV-WINDOW").and_then(read_whole),
            };
            let presented = Presented { api_key: String::new(), signature: None, algorithm: None };
            Ok(Read::Request(presented, Unsigned(Form::BybitMessage(message))))
        }
        _ => Err(Malformed::new("op", "is not an operation of this stream")),
    }
}

fn topics(args: &[Value<'_>]) -> Result<Vec<String>, Malformed> {
    args.iter()
        .map(|topic| match topic {
            Value::Text(topic) => Ok(topic.to_string()),
            _ => Err(Malformed::new("args", "has a topic that is no text")),
        })
        .collect()
}

fn login(
    text: &str,
    id: Option<String>,
    channel: StreamChannel,
    args: &[Value<'_>],
) -> Result<Read, Malformed> {
    let bad = |problem| Malformed::new("args", problem);
    let [Value::Text(key), expires, Value::Text(signature)] = args else {
        return Err(bad("must be key, expiry and signature"));
    };
    let (Cow::Borrowed(key), Cow::Borrowed(signature_text)) = (key, signature) else {
        return Err(bad("has escapes"));
    };
    let expires = expires.as_text().ok_or(bad("has no expiry"))?;
    let expires_at =
        read_whole(expires).map(Timestamp::from_ms).ok_or(bad("has an expiry that is no whole number"))?;
    let (algorithm, bytes) = Algorithm::read_signature(signature_text)
        .ok_or(bad("has a signature that is neither hexadecimal nor base64"))?;
    let start = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
    let (key_at, signature_at) = (start(key), start(signature_text));
    let mut rest = text.to_owned();
    rest.replace_range(signature_at..signature_at + signature_text.len(), "");
    rest.replace_range(key_at..key_at + key.len(), "");
    let login = Login {
        text: rest,
        id,
        channel,
        key: key_at,
        signature: signature_at - key.len(),
        expires: expires.to_owned(),
        expires_at,
    };
    let presented =
        Presented { api_key: (*key).to_owned(), signature: Some(bytes), algorithm: Some(algorithm) };
    Ok(Read::Request(presented, Unsigned(Form::BybitLogin(login))))
}

impl Login {
    /// A login made by us, that holds until `expires_at`.
    pub(crate) fn new(channel: StreamChannel, expires_at: Timestamp) -> Self {
        let expires = expires_at.as_ms().to_string();
        let head = "{\"op\":\"auth\",\"args\":[\"";
        let text = format!("{head}\",\"{expires}\",\"\"]}}");
        let signature = text.len() - 3;
        Self { text, id: None, channel, key: head.len(), signature, expires, expires_at }
    }

    pub(crate) fn signing_input(&self) -> Vec<u8> {
        format!("GET/realtime{}", self.expires).into_bytes()
    }

    pub(crate) fn attach(self, api_key: &str, algorithm: Algorithm, signature: &[u8]) -> String {
        let mut text = self.text;
        text.insert_str(self.signature, &algorithm.signature_text(signature));
        text.insert_str(self.key, api_key);
        text
    }

    pub(crate) const fn decode(&self) -> Intent {
        Intent::StreamLogin { venue: Venue::Bybit, channel: self.channel }
    }
}

impl OrderMessage {
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The texts of `header`, by name.
    pub(crate) fn header(&self) -> Vec<(String, String)> {
        let frame = json::parse(&self.text).expect("the text was parsed when it was split");
        match member(&frame, "header") {
            Some(Value::Object(members)) => members
                .iter()
                .filter_map(|(key, value)| Some((key.to_string(), value.as_text()?.to_owned())))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Reads the one argument, which is a body of the HTTP endpoint of the same name.
    pub(crate) fn decode(&self) -> Result<Intent, Undecodable> {
        let kind = match self.operation.as_str() {
            "order.create" => Kind::Order,
            "order.amend" => Kind::Amend,
            "order.cancel" => Kind::Cancel,
            "order.create-batch" => Kind::BatchPlace,
            "order.amend-batch" => Kind::BatchAmend,
            "order.cancel-batch" => Kind::BatchCancel,
            other => return Err(Undecodable::Endpoint(other.into())),
        };
        let Value::Object(members) = json::parse(&self.text)? else {
            return Err(Undecodable::bad("message", "is not an object"));
        };
        let (mut body, mut header) = (None, None);
        for (key, value) in members {
            match (&*key, value) {
                ("args", Value::Array(mut args)) if args.len() == 1 => body = args.pop(),
                ("header", Value::Object(members)) => header = Some(members),
                _ => {}
            }
        }
        for (key, _) in header.ok_or(Undecodable::MissingField("header"))? {
            if !matches!(&*key, "X-BAPI-TIMESTAMP" | "X-BAPI-RECV-WINDOW" | "Referer" | "X-Referer") {
                return Err(Undecodable::UnknownField(key.into()));
            }
        }
        if self.sent_at.is_none() {
            return Err(Undecodable::MissingField("X-BAPI-TIMESTAMP"));
        }
        if self.recv_window_ms.is_some_and(|window| window > crate::binance::decode::MAX_RECV_WINDOW_MS) {
            return Err(Undecodable::bad("X-BAPI-RECV-WINDOW", "is not between 0 and 60000 ms"));
        }
        match body {
            Some(Value::Object(body)) => decode::intent(kind, from_object(body)?),
            _ => Err(Undecodable::bad("args", "must be one object")),
        }
    }
}
