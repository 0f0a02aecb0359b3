//! Listeners, connections, and the one way from bytes to a front and back.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use trading::Venue;

use crate::faults::Act;
use crate::state::{Front, count};
use crate::{binance, bybit};

/// Longest request body, and longest stream message, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_CONNECTIONS: usize = 512;
/// How long a connection may be idle between requests, or take to send a head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// How often a stream is pinged, so that a peer that is gone gives its place back.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(60);

/// A request, whole.
pub(crate) struct Raw {
    pub method: String,
    pub path: String,
    /// What follows `?`, as it came.
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
    pub peer: IpAddr,
}

impl Raw {
    /// A header's text; empty if absent or not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body.to_string()));
        *response.status_mut() = status(self.status);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn plain(code: u16, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status(code);
    response
}

/// Accepts connections for `answer` until dropped; no answer closes the connection.
pub(crate) async fn serve<F, A>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Option<Response>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await; // out of descriptors: let some close
            continue;
        };
        let _delayed_at_worst = stream.set_nodelay(true);
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answered = answer(request, peer);
                async move { answered.await.ok_or_else(|| std::io::Error::other("no answer")) }
            });
            let _client_gone = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_headers(MAX_HEADERS)
                .max_buf_size(MAX_BODY)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            drop(place);
        });
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes of text.
pub(crate) async fn read_body(body: Incoming) -> Option<String> {
    let bytes = Limited::new(body, MAX_BODY).collect().await.ok()?.to_bytes();
    String::from_utf8(bytes.to_vec()).ok()
}

/// Answers one request to a venue, or does not where a fault says so.
pub(crate) async fn answer(
    front: Arc<Front>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Option<Response> {
    if front.is_dead() {
        return None;
    }
    count(&front.stats.requests);
    let fault = front.take_fault(request.uri().path());
    match fault.as_ref().map(|fault| (fault.act, fault)) {
        Some((Act::Answer, fault)) => return Some(plain(fault.status, &fault.body)),
        Some((Act::Hang, fault)) => {
            tokio::time::sleep(Duration::from_millis(fault.ms)).await;
            return None;
        }
        Some((Act::Drop, _)) => return None,
        Some((Act::Lose | Act::PartialCancel, _)) | None => {}
    }
    let answered = really(front, request, peer).await;
    fault.is_none().then_some(answered)
}

async fn really(front: Arc<Front>, request: Request<Incoming>, peer: SocketAddr) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if parts.headers.contains_key(header::UPGRADE) {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => {
                count(&front.stats.streams);
                let upgrade = upgrade.max_message_size(MAX_BODY).max_frame_size(MAX_BODY);
                match front.venue {
                    Venue::Binance => binance::stream(front, upgrade, &path, &query, peer.ip()),
                    Venue::Bybit => bybit::stream(front, upgrade, &path, peer.ip()),
                }
            }
            Err(refused) => refused.into_response(),
        };
    }
    let Some(body) = read_body(body).await else {
        return plain(413, "request body too large or not text");
    };
    let method = parts.method.as_str().to_owned();
    let raw = Raw { method, path, query, headers: parts.headers, body, peer: peer.ip() };
    let reply = match front.venue {
        Venue::Binance => binance::answer(&front, &raw),
        Venue::Bybit => bybit::answer(&front, &raw),
    };
    reply.into_response()
}

/// A page that does not exist.
pub(crate) fn not_found() -> Response {
    plain(404, "not found")
}
