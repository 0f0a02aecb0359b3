//! Replies to order requests.

use trading::Intent;

use crate::acknowledgement::{Outcome, Transport, ack, first_text};
use crate::json::Value;

/// Codes after which the venue itself does not know: unexpected response, timeout (error codes page,
/// "-1006", "-1007"), and the general "-1000", "-1001".
pub(crate) const UNKNOWN: [&str; 4] = ["-1000", "-1001", "-1006", "-1007"];

/// The outcomes of a reply, or `None` if it is not understood.
pub(crate) fn outcomes(body: &Value<'_>, intent: &Intent, transport: Transport) -> Option<Vec<Outcome>> {
    let value = match transport {
        Transport::Http(500..) => return None,
        Transport::Http(_) => body,
        Transport::Stream => match (body.get("result"), body.get("error")) {
            (Some(result), _) => result,
            (None, Some(error)) => error,
            (None, None) => return None,
        },
    };
    if let Value::Array(elements) = value {
        if matches!(intent, Intent::CancelAll(_)) {
            return Some(vec![Outcome::Acknowledged(crate::Ack::default())]);
        }
        return elements.iter().map(one).collect();
    }
    if let (Intent::Batch(_), Some(both)) = (intent, replaced(value)) {
        return Some(both);
    }
    Some(vec![one(value)?])
}

fn one(value: &Value<'_>) -> Option<Outcome> {
    if let Some(code) = first_text(value, &["code"])
        && code != "200"
    {
        let message = first_text(value, &["msg"]).unwrap_or_default();
        return Some(if UNKNOWN.contains(&code) {
            Outcome::Unknown
        } else {
            Outcome::rejected(code, message)
        });
    }
    let known = ["orderId", "clientOrderId", "algoId", "code", "amendedOrder", "origClientOrderId"];
    if first_text(value, &known).is_none() && value.get("amendedOrder").is_none() {
        // `order/test` and an empty success.
        return matches!(value, Value::Object(members) if members.is_empty())
            .then(|| Outcome::Acknowledged(crate::Ack::default()));
    }
    let order = value.get("amendedOrder").unwrap_or(value);
    Some(Outcome::Acknowledged(ack(
        order,
        &["orderId", "algoId"],
        &["clientOrderId", "clientAlgoId", "origClientOrderId"],
    )))
}

/// Both legs of a cancel-replace, from its success or from its error's `data`.
fn replaced(value: &Value<'_>) -> Option<Vec<Outcome>> {
    let result = value.get("data").unwrap_or(value);
    let leg = |result_name: &str, response: &str| {
        let reply = result.get(response).and_then(one);
        match result.get(result_name)?.as_text()? {
            "NOT_ATTEMPTED" => Some(Outcome::rejected("NOT_ATTEMPTED", "not attempted")),
            _ => Some(reply.unwrap_or(Outcome::Unknown)),
        }
    };
    Some(vec![leg("cancelResult", "cancelResponse")?, leg("newOrderResult", "newOrderResponse")?])
}
