//! Bybit.
use crate::server::{Raw, Reply, not_found};
use crate::state::Front;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;
pub(crate) fn answer(_front: &Front, _raw: &Raw) -> Reply {
    Reply::ok(serde_json::Value::Null)
}
pub(crate) fn stream(_front: Arc<Front>, _upgrade: WebSocketUpgrade, _path: &str, _peer: IpAddr) -> Response {
    not_found()
}
