//! An HTTP server that reacts as it is told and keeps what it was sent. Parsing is hyper's.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What happens to one connection.
#[derive(Clone)]
pub(super) enum Reaction {
    /// A whole reply.
    Reply(u16, &'static str),
    /// A reply with `Retry-After` in seconds.
    RetryAfter(u16, &'static str),
    /// Nothing, ever.
    Hang,
    /// The connection is reset.
    Reset,
    /// Bytes that are no HTTP.
    Garbage,
}

/// The Bot API's answer to a message taken.
pub(super) const TELEGRAM_OK: Reaction = Reaction::Reply(
    200,
    r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"}}}"#,
);

pub(super) struct Received {
    pub(super) at: Instant,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
    connections: Arc<Mutex<usize>>,
}

impl Sink {
    /// Reacts to its connections in the order of `script`, and then for ever as `rest` says.
    pub(super) async fn start(script: impl IntoIterator<Item = Reaction>, rest: Reaction) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = mpsc::unbounded_channel();
        let connections = Arc::<Mutex<usize>>::default();
        let counted = Arc::clone(&connections);
        let mut script: VecDeque<Reaction> = script.into_iter().collect();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                *counted.lock().expect("no panic before") += 1;
                let reaction = script.pop_front().unwrap_or_else(|| rest.clone());
                tokio::spawn(react(stream, reaction, sender.clone()));
            }
        });
        Self { address, requests, connections }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().expect("no panic before")
    }

    /// The next request that was answered.
    pub(super) async fn next(&mut self, limit: Duration) -> Received {
        tokio::time::timeout(limit, self.requests.recv()).await.expect("in time").expect("the sink runs")
    }

    pub(super) fn try_next(&mut self) -> Option<Received> {
        self.requests.try_recv().ok()
    }
}

async fn react(mut stream: TcpStream, reaction: Reaction, received: mpsc::UnboundedSender<Received>) {
    let (status, body, retry_after) = match reaction {
        Reaction::Reply(status, body) => (status, body, None),
        Reaction::RetryAfter(status, seconds) => (status, "", Some(seconds)),
        Reaction::Hang => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return;
        }
        Reaction::Reset => {
            // Unread bytes make the close a reset.
            stream.readable().await.expect("the client writes");
            return;
        }
        Reaction::Garbage => {
            stream.write_all(b"\x16\x03\x01 not HTTP at all\r\n\r\n").await.expect("written");
            return;
        }
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let received = received.clone();
        async move {
            let (head, incoming) = request.into_parts();
            let bytes = incoming.collect().await.expect("a whole body").to_bytes().to_vec();
            let path = head.uri.path().to_owned();
            let request = Received { at: Instant::now(), path, headers: head.headers, body: bytes };
            // A test that is over listens no more.
            let _ = received.send(request);
            let mut reply = Response::builder().status(status);
            if let Some(seconds) = retry_after {
                reply = reply.header("retry-after", seconds);
            }
            Ok::<_, Infallible>(reply.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a reply"))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // The client closes when it has its answer.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// A loopback address where nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}
