//! Our refusals in each venue's own error shape.
//!
//! The codes are chosen by reading `describe()['exceptions']`, `handle_errors` and
//! `handle_ws_error` of ccxt 4.5.90 for both venues, so that its users get the exception that fits
//! even though the base URL is the gateway's:
//!
//! | kind | ccxt raises | Binance | Bybit |
//! |---|---|---|---|
//! | `Order` | `InvalidOrder` | 400, -2010 | 200, 110003 |
//! | `UnknownKey` | `AuthenticationError` | 401, -2014 | 200, 10003 |
//! | `BadSignature` | `AuthenticationError` | 400, -1022 | 200, 10004 |
//! | `Forbidden` | `PermissionDenied` | 403, -1002 and a known phrase | 200, 10005 |
//! | `BadRequest` | `BadRequest` | 400, -1102 | 200, 10001 |
//! | `Clock` | `InvalidNonce` | 400, -1021 | 200, 10002 |
//! | `Unavailable` | `ExchangeNotAvailable` | 503, no code | 503, plain text |
//!
//! Binance's own `-2015` is not used: after a first success ccxt takes it for a temporary ban.

use serde::{Deserialize, Serialize};
use trading::Venue;

use crate::http::HttpReply;
use crate::json::write_string;
use crate::stream::Stream;

/// What every denial's message starts with.
pub const DENIED: &str = "seawall denied: ";
/// What the message starts with when nothing was decided.
pub const UNAVAILABLE: &str = "seawall unavailable: ";

/// Why we answer in the venue's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialKind {
    /// The policy denies what is asked.
    Order,
    /// No such stand-in key.
    UnknownKey,
    /// The stand-in's signature does not verify.
    BadSignature,
    /// The endpoint may not be signed at all.
    Forbidden,
    /// A field is unknown, doubled or not understood.
    BadRequest,
    /// The client's timestamp is too far from ours.
    Clock,
    /// Nothing was decided: the vault or the venue cannot be reached.
    Unavailable,
}

/// Binance's phrase for a missing permission, by which ccxt knows it.
const NO_PRIVILEGE: &str = " (this key has no operation privilege)";

const fn binance_code(kind: DenialKind) -> (u16, Option<i32>) {
    match kind {
        DenialKind::Order => (400, Some(-2010)),
        DenialKind::UnknownKey => (401, Some(-2014)),
        DenialKind::BadSignature => (400, Some(-1022)),
        DenialKind::Forbidden => (403, Some(-1002)),
        DenialKind::BadRequest => (400, Some(-1102)),
        DenialKind::Clock => (400, Some(-1021)),
        DenialKind::Unavailable => (503, None),
    }
}

const fn bybit_code(kind: DenialKind) -> i32 {
    match kind {
        DenialKind::Order => 110_003,
        DenialKind::UnknownKey => 10_003,
        DenialKind::BadSignature => 10_004,
        DenialKind::Forbidden => 10_005,
        DenialKind::BadRequest => 10_001,
        DenialKind::Clock => 10_002,
        DenialKind::Unavailable => 10_016,
    }
}

fn message(kind: DenialKind, reasons: &str) -> String {
    let prefix = if kind == DenialKind::Unavailable { UNAVAILABLE } else { DENIED };
    format!("{prefix}{reasons}")
}

fn binance_message(kind: DenialKind, reasons: &str) -> String {
    let suffix = if kind == DenialKind::Forbidden { NO_PRIVILEGE } else { "" };
    let mut out = String::new();
    write_string(&mut out, &(message(kind, reasons) + suffix));
    out
}

/// The HTTP reply that tells a client of `venue` why its request was refused.
#[must_use]
pub fn denial_reply(venue: Venue, kind: DenialKind, reasons: &str) -> HttpReply {
    let json =
        |status, body| HttpReply { status, content_type: "application/json;charset=UTF-8".into(), body };
    match (venue, kind) {
        (Venue::Binance, _) => {
            let (status, code) = binance_code(kind);
            let code = code.map(|code| format!("\"code\":{code},")).unwrap_or_default();
            json(status, format!("{{{code}\"msg\":{}}}", binance_message(kind, reasons)))
        }
        (Venue::Bybit, DenialKind::Unavailable) => {
            HttpReply { status: 503, content_type: "text/plain".into(), body: message(kind, reasons) }
        }
        (Venue::Bybit, _) => {
            let mut text = String::new();
            write_string(&mut text, &message(kind, reasons));
            let code = bybit_code(kind);
            json(200, format!("{{\"retCode\":{code},\"retMsg\":{text},\"result\":{{}},\"retExtInfo\":{{}}}}"))
        }
    }
}

/// The stream message that does the same; `request_id` is JSON text ([`crate::Unsigned::request_id`]).
#[must_use]
pub fn denial_message(
    stream: Stream,
    request_id: Option<&str>,
    operation: &str,
    kind: DenialKind,
    reasons: &str,
) -> String {
    let mut text = String::new();
    write_string(&mut text, &message(kind, reasons));
    match stream {
        Stream::BinanceApi(_) | Stream::BinanceData(_) => {
            let (status, code) = binance_code(kind);
            let id = request_id.unwrap_or("null");
            let code = code.unwrap_or(-1001);
            let text = binance_message(kind, reasons);
            format!("{{\"id\":{id},\"status\":{status},\"error\":{{\"code\":{code},\"msg\":{text}}}}}")
        }
        Stream::BybitTrade => {
            let id = request_id.unwrap_or("\"\"");
            let mut name = String::new();
            write_string(&mut name, operation);
            let code = bybit_code(kind);
            format!(
                "{{\"reqId\":{id},\"retCode\":{code},\"retMsg\":{text},\"op\":{name},\"data\":{{}},\"retExtInfo\":{{}},\"connId\":\"seawall\"}}"
            )
        }
        Stream::BybitPrivate | Stream::BybitPublic => {
            let id = request_id.map(|id| format!("\"req_id\":{id},")).unwrap_or_default();
            let mut name = String::new();
            write_string(&mut name, operation);
            format!(
                "{{{id}\"success\":false,\"ret_msg\":{text},\"op\":{name},\"conn_id\":\"seawall\",\"request\":{{\"op\":{name}}}}}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (kind, what ccxt 4.5.90 raises, Binance's status and body, Bybit's status and body)
    #[test]
    fn ccxt_raises_what_fits() {
        let reply = |venue, kind| {
            let reply = denial_reply(venue, kind, "x \"y\"");
            (reply.status, reply.body)
        };
        let binance = |kind| reply(Venue::Binance, kind);
        let bybit = |kind| reply(Venue::Bybit, kind);
        // exact -2010: InvalidOrder; exact 110003: InvalidOrder
        assert_eq!(
            binance(DenialKind::Order),
            (400, r#"{"code":-2010,"msg":"seawall denied: x \"y\""}"#.into())
        );
        assert_eq!(
            bybit(DenialKind::Order),
            (
                200,
                r#"{"retCode":110003,"retMsg":"seawall denied: x \"y\"","result":{},"retExtInfo":{}}"#.into()
            )
        );
        // exact -2014, -1022, 10003, 10004: AuthenticationError
        assert!(binance(DenialKind::UnknownKey).1.contains("-2014"));
        assert!(binance(DenialKind::BadSignature).1.contains("-1022"));
        assert!(bybit(DenialKind::UnknownKey).1.contains("10003"));
        assert!(bybit(DenialKind::BadSignature).1.contains("10004"));
        // broad "has no operation privilege", exact 10005: PermissionDenied
        assert!(binance(DenialKind::Forbidden).1.contains("has no operation privilege"));
        assert!(bybit(DenialKind::Forbidden).1.contains("10005"));
        // exact -1102, 10001: BadRequest; exact -1021, 10002: InvalidNonce
        assert!(binance(DenialKind::BadRequest).1.contains("-1102"));
        assert!(binance(DenialKind::Clock).1.contains("-1021"));
        // no code, no JSON: status 503 decides, ExchangeNotAvailable
        assert_eq!(
            binance(DenialKind::Unavailable),
            (503, r#"{"msg":"seawall unavailable: x \"y\""}"#.into())
        );
        assert_eq!(bybit(DenialKind::Unavailable), (503, "seawall unavailable: x \"y\"".into()));
    }

    #[test]
    fn stream_denials_are_json_with_the_callers_id() {
        for stream in [Stream::BinanceApi(crate::Surface::Spot), Stream::BybitTrade, Stream::BybitPrivate] {
            let text = denial_message(stream, Some("\"7\""), "order.create", DenialKind::Order, "a\nb");
            let value = crate::json::parse(&text).expect(&text);
            let id = value.get("id").or(value.get("reqId")).or(value.get("req_id"));
            assert_eq!(id.and_then(crate::json::Value::as_text), Some("7"), "{text}");
        }
    }
}
