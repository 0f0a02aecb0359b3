//! A signed POST, as Standard Webhooks 1.0.0 says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>,
//! "Webhook metadata", "Signature scheme", "Payload structure").

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, header};
use keys::SecretText;
use serde::Serialize;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::http::Http;
use super::later;
use crate::alerts::config::{ConfigError, WebhookConfig, webhook_key};
use crate::alerts::{Alert, Offer, Outcome};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

pub(super) struct Webhook {
    http: Http,
    uri: Uri,
    /// The present one first.
    keys: Vec<Zeroizing<Vec<u8>>>,
}

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'static str,
    /// When it happened, RFC 3339.
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    count: u32,
}

impl Webhook {
    pub(super) fn new(
        http: Http,
        config: &WebhookConfig,
        secret: &SecretText,
        old_secret: Option<&SecretText>,
    ) -> Result<Self, ConfigError> {
        let uri = config.url.parse();
        let uri = uri.map_err(|_| ConfigError { field: "webhook.url", problem: "must be an address" })?;
        let secrets = [Some(secret), old_secret].into_iter().flatten();
        let keys = secrets.map(|secret| webhook_key(secret).map(Zeroizing::new)).collect::<Result<_, _>>()?;
        Ok(Self { http, uri, keys })
    }

    pub(super) async fn send(&self, offer: &Offer) -> Outcome {
        let alert = &offer.alert;
        let payload = Payload {
            r#type: "seawall.alert",
            timestamp: alert.at.to_string(),
            data: Data { alert, count: offer.count },
        };
        let body = serde_json::to_vec(&payload).expect("text and numbers");
        // The time of this attempt: receivers refuse what is signed long ago.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let Some(headers) = self.headers(alert.id.as_str(), now, &body) else {
            return later("the headers cannot be written".into());
        };
        match self.http.post(self.uri.clone(), headers, body).await {
            Ok(reply) => judge(&reply),
            Err(reason) => later(reason),
        }
    }

    fn headers(&self, id: &str, now: u64, body: &[u8]) -> Option<HeaderMap> {
        let signatures: Vec<String> = self.keys.iter().map(|key| sign(key, id, now, body)).collect();
        let mut headers = HeaderMap::new();
        headers.insert(ID, HeaderValue::from_str(id).ok()?);
        headers.insert(TIMESTAMP, HeaderValue::from(now));
        headers.insert(SIGNATURE, HeaderValue::from_str(&signatures.join(" ")).ok()?);
        Some(headers)
    }
}

fn sign(key: &[u8], id: &str, now: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{now}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

fn judge<T>(reply: &Response<T>) -> Outcome {
    let status = reply.status();
    let reason = format!("status {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        // 410: the receiver asks us to stop.
        401 | 403 | 410 => Outcome::Unauthorised { reason },
        400 | 413 | 422 => Outcome::Refused { reason },
        _ => {
            let after = reply.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let seconds = after.and_then(|value| value.trim().parse::<u64>().ok());
            Outcome::Later { after_ms: seconds.map(|s| s.saturating_mul(1_000)), reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector with which the standard's own libraries test their `sign`.
    #[test]
    fn the_signature_is_that_of_the_standards_own_libraries() {
        let key = webhook_key(&SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()));
        let signature = sign(
            &key.expect("a key"),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_status_means_what_the_standard_says() {
        let check = |status: u16, after: &str| {
            let reply = Response::builder().status(status).header("retry-after", after).body(());
            judge(&reply.expect("a reply"))
        };
        assert_eq!(check(200, ""), Outcome::Delivered);
        assert_eq!(check(204, ""), Outcome::Delivered);
        let later = |after_ms, reason: &str| Outcome::Later { after_ms, reason: reason.into() };
        assert_eq!(check(302, ""), later(None, "status 302"), "no redirect is followed");
        assert_eq!(check(429, "7"), later(Some(7_000), "status 429"));
        assert_eq!(check(503, "Wed, 21 Oct 2026 07:28:00 GMT"), later(None, "status 503"));
        assert_eq!(check(410, ""), Outcome::Unauthorised { reason: "status 410".into() });
        assert_eq!(check(422, ""), Outcome::Refused { reason: "status 422".into() });
    }
}
