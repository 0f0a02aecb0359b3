//! The way to the venue: HTTP/1.1, TLS by rustls, plain text only to loopback.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

/// Longest reply taken from a venue, in bytes. Binance's exchangeInfo is about 10 MiB.
const MAX_REPLY: usize = 32 * 1024 * 1024;
/// Longest wait for a venue's reply.
const REPLY_LIMIT: Duration = Duration::from_secs(15);

/// Why a venue did not answer. The request may still have reached it.
#[derive(Debug, Error)]
pub(crate) enum UpstreamError {
    /// The address is not one we would send a signature to.
    #[error("{0} is neither https nor loopback")]
    NotPrivate(String),
    /// The request cannot be written.
    #[error("the request cannot be sent: {0}")]
    Unsendable(#[from] http::Error),
    /// The connection failed.
    #[error("the venue cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// The reply broke off or was too long.
    #[error("the venue's reply broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// No reply in time.
    #[error("the venue did not answer within {} s", REPLY_LIMIT.as_secs())]
    TimedOut,
}

/// Pooled connections to venues.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Upstream {
    pub(crate) fn new() -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .pool_max_idle_per_host(16)
            .build(connector);
        Self { client }
    }

    /// Sends one request once. It is never repeated here: the venue may have acted on it.
    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, UpstreamError> {
        let uri: Uri = url.parse().map_err(http::Error::from)?;
        ensure_private(&uri)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(http::Error::from)?;
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body))?;
        *request.headers_mut() = headers;
        let exchange = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            let body = Limited::new(body, MAX_REPLY).collect().await.map_err(UpstreamError::Broken)?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::time::timeout(REPLY_LIMIT, exchange).await.map_err(|_| UpstreamError::TimedOut)?
    }
}

/// Refuses plain text to anywhere but this machine.
pub(crate) fn ensure_private(uri: &Uri) -> Result<(), UpstreamError> {
    let secure = matches!(uri.scheme_str(), Some("https" | "wss"));
    let host = uri.host().unwrap_or_default();
    let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if secure || loopback { Ok(()) } else { Err(UpstreamError::NotPrivate(uri.to_string())) }
}

/// Headers that belong to one connection and are never relayed (RFC 9110 §7.6.1), and those
/// that hyper writes itself.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether `name` travels from end to end.
pub(crate) fn is_end_to_end(name: &str) -> bool {
    !OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The header map of name and value pairs, in order.
pub(crate) fn header_map<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if is_end_to_end(name) {
            headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_goes_to_this_machine_only() {
        let check = |url: &str| ensure_private(&url.parse().expect("a URL")).is_ok();
        assert!(check("https://api.bybit.com/v5") && check("wss://stream.bybit.com"));
        assert!(check("http://127.0.0.1:80/") && check("ws://[::1]:80/"));
        assert!(!check("http://api.bybit.com/v5") && !check("ws://10.0.0.1/"));
        assert!(!check("http://127.0.0.1.example/") && !check("http://localhost.example/"));
    }
}
