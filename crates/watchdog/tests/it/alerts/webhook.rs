//! The webhook, judged as Standard Webhooks tells receivers to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use keys::SecretText;
use serde_json::json;
use watchdog::alerts::{AlertsConfig, Secrets, Sender, Severity};

use super::http_sink::{Reaction, Received, Sink};
use super::support::{SOON, WEBHOOK_SECRET, alert, secrets, start, until_idle, webhook};

/// "Verifying signatures" of the specification, with the HMAC of another library.
fn verify(request: &Received, secret: &str) -> bool {
    let header = |name: &str| request.headers[name].to_str().expect("ASCII");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let sent: u64 = header("webhook-timestamp").parse().expect("seconds");
    assert!(now.abs_diff(sent) <= 300, "the timestamp is of this attempt");
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let mut signed = format!("{}.{sent}.", header("webhook-id")).into_bytes();
    signed.extend_from_slice(&request.body);
    header("webhook-signature").split(' ').any(|signature| {
        let (version, signature) = signature.split_once(',').expect("version,signature");
        let signature = BASE64_STANDARD.decode(signature).expect("base64");
        version == "v1" && hmac::verify(&key, &signed, &signature).is_ok()
    })
}

fn config(sink: &Sink) -> AlertsConfig {
    AlertsConfig { webhook: Some(webhook(&sink.url())), ..AlertsConfig::default() }
}

#[tokio::test]
async fn a_receiver_verifies_what_it_gets() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([], Reaction::Reply(204, "")).await;
    let sender = start(&config(&sink), folder.path());
    let mut critical = alert("halt:7", Severity::Critical);
    critical.rung = Some(4);
    sender.alert(critical);
    let mut request = sink.next(SOON).await;
    assert!(verify(&request, WEBHOOK_SECRET));
    assert!(!verify(&request, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_eq!(request.path, "/hook");
    assert_eq!(request.headers["webhook-id"], "halt:7");
    let body = request.json();
    assert_eq!(body["type"], "seawall.alert");
    assert_eq!(body["timestamp"], "2026-03-04T04:54:21.460Z");
    assert_eq!(body["data"]["rung"], json!(4));
    assert_eq!(body["data"]["numbers"], json!({"equity": "3800.00"}));
    request.body[5] ^= 1;
    assert!(!verify(&request, WEBHOOK_SECRET), "a changed body does not verify");
}

#[tokio::test]
async fn while_a_secret_is_changed_both_sign() {
    const OLD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([], Reaction::Reply(200, "ok")).await;
    let secrets = Secrets { webhook_old_secret: Some(SecretText::new(OLD.into())), ..secrets() };
    let sender = Sender::start(&config(&sink), secrets, folder.path()).expect("alerts start");
    sender.alert(alert("a", Severity::Info));
    let request = sink.next(SOON).await;
    assert!(verify(&request, WEBHOOK_SECRET) && verify(&request, OLD));
}

#[tokio::test]
async fn a_repeated_attempt_has_the_same_id_and_a_signature_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([Reaction::RetryAfter(503, "2")], Reaction::Reply(200, "")).await;
    let sender = start(&config(&sink), folder.path());
    sender.alert(alert("a", Severity::Info));
    let (first, second) = (sink.next(SOON).await, sink.next(SOON).await);
    assert!(second.at.duration_since(first.at) >= Duration::from_secs(2));
    assert!(verify(&first, WEBHOOK_SECRET) && verify(&second, WEBHOOK_SECRET));
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
    assert_eq!(first.body, second.body);
    until_idle(&sender).await;
}
