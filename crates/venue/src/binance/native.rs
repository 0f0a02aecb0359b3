//! The sign socket's raw JSON: an object whose members become form parameters, in its order and with
//! its number text.

use trading::{Market, Timestamp};

use super::auth::Http;
use super::encode;
use crate::error::Undecodable;
use crate::fields::{Scalar, from_object};
use crate::form;
use crate::http::Method;
use crate::json::{self, Value};
use crate::native::Operation;

/// Makes the request that `operation` needs on `market` from a JSON object.
pub(crate) fn request(
    market: Market,
    operation: Operation,
    text: &str,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Undecodable> {
    let refused = || Undecodable::bad("operation", "does not exist on this market");
    let base = encode::base(market).map_err(|_| refused())?;
    let futures = matches!(market, Market::Linear | Market::Inverse);
    let (method, name) = match operation {
        Operation::Place => (Method::Post, "order"),
        Operation::Cancel => (Method::Delete, "order"),
        Operation::CancelAll if futures => (Method::Delete, "allOpenOrders"),
        Operation::CancelAll => (Method::Delete, "openOrders"),
        Operation::Amend if futures => (Method::Put, "order"),
        Operation::Amend if market == Market::Spot => (Method::Put, "order/amend/keepPriority"),
        Operation::PlaceBatch | Operation::AmendBatch | Operation::CancelBatch | Operation::Amend => {
            return Err(refused());
        }
    };
    let Value::Object(object) = json::parse(text)? else {
        return Err(Undecodable::bad("body", "is not a JSON object"));
    };
    let fields = from_object(object)?;
    let mut out = String::with_capacity(256);
    for (key, value) in &fields {
        if key == "signature" || key == "apiKey" {
            return Err(Undecodable::unknown(key));
        }
        append(&mut out, key, value)?;
    }
    let stated = |name: &str| fields.iter().any(|(key, _)| key == name);
    let recv_window = recv_window_ms.to_string();
    let timestamp = sent_at.as_ms().to_string();
    for (name, value) in [("recvWindow", recv_window), ("timestamp", timestamp)] {
        if !stated(name) {
            append(&mut out, name, &Scalar::Text(value.into()))?;
        }
    }
    Ok(encode::finish(method, format!("{base}/{name}"), out))
}

fn append(out: &mut String, key: &str, value: &Scalar<'_>) -> Result<(), Undecodable> {
    if !out.is_empty() {
        out.push('&');
    }
    form::encode_into(out, key);
    out.push('=');
    form::encode_into(out, value.text(key)?);
    Ok(())
}
