//! One POST at a time: HTTP/1.1, TLS by rustls. Errors never show the address, which may hold a secret.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::SetupError;

/// Longest reply read, in bytes.
const MAX_REPLY: usize = 64 * 1024;

#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// Trusts the public certificates and `extra_roots`.
    pub(super) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, SetupError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra_roots {
            roots.add(root.clone()).map_err(|error| SetupError::Roots(error.to_string()))?;
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| SetupError::Roots(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        // A connection kept for hours would be dead when it is needed.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client })
    }

    /// Sends `json` once. The error says what went wrong, without the address.
    pub(super) async fn post(
        &self,
        uri: Uri,
        headers: HeaderMap,
        json: Vec<u8>,
    ) -> Result<Response<Bytes>, String> {
        let mut request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("seawall/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(json)))
            .map_err(|_| "the request cannot be written".to_owned())?;
        request.headers_mut().extend(headers);
        let reply = self.client.request(request).await.map_err(|error| {
            let what =
                if error.is_connect() { "the server cannot be reached" } else { "the connection broke" };
            what.to_owned()
        })?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, MAX_REPLY).collect().await;
        let body = body.map_err(|_| "the reply broke off or is too long".to_owned())?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
