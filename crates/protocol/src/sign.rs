//! The sign socket: one JSON object per line each way. Reference: `docs/protocol.md`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trading::{
    AccountName, BotName, ClientOrderId, Decimal, Instrument, Intent, Market, Timestamp, Venue, VenueOrderId,
};

use crate::neutral::{NeutralOrder, NeutralScope, NeutralTarget};
use crate::object::{self, Object};

/// Longest `id` a caller may attach to a request, in bytes of JSON.
pub const MAX_ID: usize = 128;

/// Longest `thesis`, in bytes.
pub const MAX_THESIS: usize = 500;

/// One line from a bot or from the gateway. Exactly one of the bodies must be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignLine<'a> {
    /// Echoed in the reply; any JSON value up to [`MAX_ID`] bytes.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// Which bot asks; may be left out where the caller can be only one.
    #[serde(default)]
    pub bot: Option<BotName>,
    /// Which account; may be left out where the bot can use only one on that venue.
    #[serde(default)]
    pub account: Option<AccountName>,
    /// Which venue; may be left out where the account says it.
    #[serde(default)]
    pub venue: Option<Venue>,
    /// With `order`: which market the native body is for (Binance; default `spot`).
    #[serde(default)]
    pub market: Option<Market>,
    /// With `order`: what the native body asks for; default `place`.
    #[serde(default)]
    pub operation: Option<NativeOperation>,
    /// The venue's own order body, as its documentation writes it.
    #[serde(borrow, default)]
    pub order: Option<&'a RawValue>,
    /// A new order in neutral words.
    #[serde(default, deserialize_with = "object::optional")]
    pub place: Option<NeutralOrder>,
    /// A change to an order, in neutral words.
    #[serde(default, deserialize_with = "object::optional")]
    pub amend: Option<NeutralTarget>,
    /// A cancellation in neutral words.
    #[serde(default, deserialize_with = "object::optional")]
    pub cancel: Option<NeutralTarget>,
    /// A cancel-all in neutral words.
    #[serde(default, deserialize_with = "object::optional")]
    pub cancel_all: Option<NeutralScope>,
    /// A whole HTTP request as a client's library made it. Gateway only.
    #[serde(default, deserialize_with = "object::optional")]
    pub http: Option<HttpMessage>,
    /// A WebSocket frame as a client's library made it. Gateway only.
    #[serde(default, deserialize_with = "object::optional")]
    pub frame: Option<StreamFrame>,
    /// What the venue said of an order signed before. Gateway only; has no reply.
    #[serde(default, deserialize_with = "object::optional")]
    pub report: Option<Report>,
    /// Asks for the signed read that lists this instrument's open orders. Gateway only.
    #[serde(default)]
    pub open_orders: Option<Instrument>,
    /// Asks for the signed read that tells the position in this instrument. Gateway only.
    #[serde(default)]
    pub position: Option<Instrument>,
    /// The position that the venue told. Gateway only; has no reply.
    #[serde(default, deserialize_with = "object::optional")]
    pub held: Option<Held>,
    /// Why, in the bot's words, at most [`MAX_THESIS`] bytes; recorded, never judged.
    #[serde(default)]
    pub thesis: Option<String>,
    /// What the venue listed. Gateway only; has no reply.
    #[serde(default, deserialize_with = "object::optional")]
    pub listed: Option<Listed>,
    /// Mark prices. Gateway only; has no reply.
    #[serde(default, deserialize_with = "object::optional_list")]
    pub marks: Option<Vec<Mark>>,
}

impl<'a> SignLine<'a> {
    /// Reads a line, which must be one JSON object of objects.
    ///
    /// # Errors
    ///
    /// Names the unknown or duplicate field, or says what was expected.
    pub fn read(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line).map(|Object(line)| line)
    }
}

/// What a native order body asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NativeOperation {
    /// A new order.
    Place,
    /// A change to an order.
    Amend,
    /// A cancellation.
    Cancel,
    /// A cancel-all.
    CancelAll,
}

/// An HTTP request: what travels, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpMessage {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query as on the wire.
    pub target: String,
    /// Name and value in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body, UTF-8.
    pub body: String,
    /// How the signed text is spelled where it differs from the wire; the gateway found out which
    /// spelling the client's own signature verifies with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<String>,
}

/// One text frame of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamFrame {
    /// The path the client connected to, which tells the stream's kind.
    pub path: String,
    /// The frame's text.
    pub text: String,
    /// As [`HttpMessage::spelling`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<String>,
}

/// What the venue said of an order signed before, in our words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The account.
    pub account: AccountName,
    /// Which order, by the number its approval gave ([`ReadyRequest::first_order`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<u64>,
    /// Which order, by the bot's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<ClientOrderId>,
    /// Which order, by the venue's id; with an acknowledgement, the id the venue gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue_order_id: Option<VenueOrderId>,
    /// What happened.
    pub event: ReportEvent,
}

/// What the venue said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportEvent {
    /// The venue took it and gave it an id.
    Acknowledged,
    /// The venue refused it.
    Rejected,
    /// It is filled, cancelled or expired.
    Closed,
}

/// What rests on the venue's book, of everything signed before a question was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The account.
    pub account: AccountName,
    /// The market.
    pub market: Market,
    /// Only this instrument, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Instrument>,
    /// [`ReadyRequest::first_order`] of the question.
    pub below: u64,
    /// The venue's ids of what rests.
    pub open: Vec<VenueOrderId>,
}

/// The position that the venue told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The account.
    pub account: AccountName,
    /// In which instrument.
    pub instrument: Instrument,
    /// Base currency, positive for long.
    pub quantity: Decimal,
    /// The price that values it.
    pub price: Decimal,
    /// [`ReadyRequest::first_order`] of the question.
    pub below: u64,
}

/// A price to judge orders by that state none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// For which instrument.
    pub instrument: Instrument,
    /// The price, in quote currency.
    pub price: Decimal,
    /// When it was read.
    pub at: Timestamp,
}

/// One line back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// The request's `id`, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<RawValue>>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: ReplyOutcome,
}

/// What became of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ReplyOutcome {
    /// Signed, recorded, released.
    Approved {
        /// Where in the log.
        #[serde(flatten)]
        record: RecordReference,
        /// What to send to the venue, byte for byte.
        request: ReadyRequest,
    },
    /// Refused by the policy, recorded.
    Denied {
        /// Where in the log.
        #[serde(flatten)]
        record: RecordReference,
        /// Every reason.
        denials: Vec<DenialText>,
    },
    /// Not understood or not possible now; nothing was signed.
    Error {
        /// What is wrong.
        error: ErrorText,
        /// Where in the log, if the request got far enough to be recorded.
        #[serde(flatten)]
        record: Option<RecordReference>,
    },
}

/// Where a decision stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReference {
    /// Sequence number of its record; the index of its leaf.
    pub seq: u64,
    /// Records up to this one were on disk when the reply left; `None` while none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable_seq: Option<u64>,
    /// Hash of its leaf in the log's Merkle tree (RFC 6962), hexadecimal.
    pub leaf: String,
}

/// A venue-ready request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyRequest {
    /// `GET`, `POST`, …; `FRAME` for a WebSocket frame.
    pub method: String,
    /// Where to send it.
    pub url: String,
    /// Headers to send, in order.
    pub headers: serde_json::Map<String, serde_json::Value>,
    /// The body (or the frame), exactly.
    pub body: String,
    /// What was judged, in our words; lets the gateway report on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Box<Intent>>,
    /// Number of the first order in it; the legs of a batch count up from it. For reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_order: Option<u64>,
}

/// One reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialText {
    /// Stable name of the reason.
    pub code: String,
    /// The reason with its numbers.
    pub text: String,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorText {
    /// Stable name of the kind of error.
    pub code: ErrorCode,
    /// What is wrong and how to mend it; never holds a secret.
    pub message: String,
}

/// The kinds of errors a caller treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The line is not a JSON object, or too long; mend the client.
    Malformed,
    /// The caller may speak for nobody, or may not do this here.
    Forbidden,
    /// No key for this account and venue.
    NoKey,
    /// The journal cannot be reached or the vault is busy; try again.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_order_is_a_request() {
        let line = r#"{"id":[1,"a"],"venue":"binance","order":{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.5}}"#;
        let parsed = SignLine::read(line.as_bytes()).expect("the documented line");
        let order = parsed.order.expect("a native body").get();
        assert_eq!(order, r#"{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.5}"#);
        assert_eq!(parsed.id.map(RawValue::get), Some(r#"[1,"a"]"#));
    }

    #[test]
    fn unknown_and_duplicate_fields_are_refused_by_name() {
        for (line, name) in [(r#"{"bott":"a"}"#, "bott"), (r#"{"bot":"a","bot":"b"}"#, "bot")] {
            let error = SignLine::read(line.as_bytes()).expect_err(line).to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_documented_lines_are_requests() {
        let page = include_str!("../../../docs/protocol.md");
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(r#"{"bot""#)).collect();
        assert_eq!(lines.len(), 6, "two native bodies and four neutral ones");
        for line in lines {
            let read = SignLine::read(line.as_bytes()).expect(line);
            assert!(read.bot.is_some() && read.venue.is_some(), "{line}");
        }
    }

    #[test]
    fn nothing_is_read_by_position() {
        let order =
            r#"["linear","BTCUSDT","buy","limit","0.001",null,false,"60000",null,null,false,false,null]"#;
        let target = r#"["linear","BTCUSDT","a-1"]"#;
        for line in [
            format!(r#"[5,"byb",null,null,null,null,null,{order}]"#),
            format!(r#"{{"bot":"byb","place":{order}}}"#),
            format!(r#"{{"bot":"byb","amend":{target}}}"#),
            format!(r#"{{"bot":"byb","cancel":{target}}}"#),
            r#"{"bot":"byb","cancel_all":["linear"]}"#.into(),
            r#"{"bot":"byb","http":["GET","/",[],""]}"#.into(),
            r#"{"bot":"byb","frame":["/v5/trade","{}"]}"#.into(),
            r#"{"report":["main",0,null,null,"closed"]}"#.into(),
            r#"{"listed":["main","linear",null,0,[]]}"#.into(),
            r#"{"marks":[["bybit:linear:BTCUSDT","60000",1]]}"#.into(),
        ] {
            let error = SignLine::read(line.as_bytes()).expect_err(&line).to_string();
            assert!(error.contains("expected an object"), "{line}: {error}");
        }
    }

    #[test]
    fn a_reply_reads_as_it_was_written() {
        let reply = Reply {
            id: Some(RawValue::from_string("7".into()).expect("JSON")),
            outcome: ReplyOutcome::Denied {
                record: RecordReference { seq: 8, durable_seq: Some(9), leaf: "02".into() },
                denials: vec![DenialText { code: "x".into(), text: "y".into() }],
            },
        };
        let line = serde_json::to_string(&reply).expect("plain values");
        assert_eq!(
            line,
            r#"{"id":7,"status":"denied","seq":8,"durable_seq":9,"leaf":"02","denials":[{"code":"x","text":"y"}]}"#
        );
        let again: Reply = serde_json::from_str(&line).expect("its own form");
        assert_eq!(again.id.expect("an id").get(), "7");
        assert!(matches!(again.outcome, ReplyOutcome::Denied { record, .. } if record.seq == 8));
    }
}
