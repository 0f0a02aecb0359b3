//! The sign socket's raw JSON: the body as it is, at the path of an operation.

use trading::Timestamp;

use super::auth::Http;
use super::encode;
use crate::error::Undecodable;
use crate::json::{self, Value};
use crate::native::Operation;

/// Makes the request that `operation` needs from a body, whose bytes stay as they are.
pub(crate) fn request(
    operation: Operation,
    body: &str,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Undecodable> {
    let name = match operation {
        Operation::Place => "order/create",
        Operation::Amend => "order/amend",
        Operation::Cancel => "order/cancel",
        Operation::CancelAll => "order/cancel-all",
        Operation::PlaceBatch => "order/create-batch",
        Operation::AmendBatch => "order/amend-batch",
        Operation::CancelBatch => "order/cancel-batch",
    };
    match json::parse(body)? {
        Value::Object(_) => Ok(encode::post(name, body.to_owned(), sent_at, recv_window_ms)),
        _ => Err(Undecodable::bad("body", "is not a JSON object")),
    }
}
