//! Replies to order requests.

use trading::Intent;

use crate::acknowledgement::{Outcome, Transport, ack, first_text};
use crate::json::Value;

/// Codes after which the venue itself does not know: server timeout, server error (error codes page).
pub(crate) const UNKNOWN: [&str; 4] = ["10000", "10016", "10019", "170007"];

/// The outcomes of a reply, or `None` if it is not understood.
pub(crate) fn outcomes(body: &Value<'_>, intent: &Intent, transport: Transport) -> Option<Vec<Outcome>> {
    if matches!(transport, Transport::Http(500..)) {
        return None;
    }
    let code = first_text(body, &["retCode"])?;
    if code != "0" {
        let message = first_text(body, &["retMsg"]).unwrap_or_default();
        return Some(vec![outcome(code, message)]);
    }
    let result = body.get("result").or_else(|| body.get("data"))?;
    if !matches!(intent, Intent::Batch(_)) {
        return Some(vec![Outcome::Acknowledged(ack(result, &["orderId"], &["orderLinkId"]))]);
    }
    let orders = result.get("list")?.as_array()?;
    let codes = body.get("retExtInfo")?.get("list")?.as_array()?;
    if orders.len() != codes.len() {
        return None;
    }
    orders
        .iter()
        .zip(codes)
        .map(|(order, code)| match first_text(code, &["code"])? {
            "0" => Some(Outcome::Acknowledged(ack(order, &["orderId"], &["orderLinkId"]))),
            other => Some(outcome(other, first_text(code, &["msg"]).unwrap_or_default())),
        })
        .collect()
}

fn outcome(code: &str, message: &str) -> Outcome {
    if UNKNOWN.contains(&code) { Outcome::Unknown } else { Outcome::rejected(code, message) }
}
