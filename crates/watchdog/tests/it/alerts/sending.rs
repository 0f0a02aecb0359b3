//! The sender as a whole: nobody waits for it, and nothing it has accepted is lost.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use watchdog::alerts::{
    AckError, Alert, AlertId, AlertsConfig, EmailTls, MAX_WAITING, Secrets, Sender, Severity, StartError,
    StoreError,
};

use super::http_sink::{Reaction, Sink, TELEGRAM_OK, nobody};
use super::smtp_server::{Manner, Server};
use super::support::{
    PASSWORD, SOON, TOKEN, WEBHOOK_SECRET, alert, email, secrets, start, telegram, until_idle, webhook,
};

/// Two channels of which the first is ill.
fn config(telegram_at: String, webhook_at: &str) -> AlertsConfig {
    AlertsConfig {
        telegram: Some(telegram(telegram_at)),
        webhook: Some(webhook(webhook_at)),
        ..AlertsConfig::default()
    }
}

const TAKES: Reaction = Reaction::Reply(204, "");

#[tokio::test]
async fn a_dead_and_a_hanging_channel_cost_less_than_five_seconds() {
    let dead = format!("http://{}", nobody().await);
    let hanging = Sink::start([], Reaction::Hang).await.url();
    for ill in [dead, hanging] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sink = Sink::start([], TAKES).await;
        let sender = start(&config(ill, &sink.url()), folder.path());
        let raised = Instant::now();
        sender.alert(alert("rung1", Severity::Warning));
        let request = sink.next(SOON).await;
        assert_eq!(request.headers["webhook-id"], "rung1");
        assert!(request.at.duration_since(raised) < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn whoever_raises_an_alert_never_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let hanging = Sink::start([], Reaction::Hang).await;
    let sender = start(&config(hanging.url(), &hanging.url()), folder.path());
    let alerts: Vec<Alert> = (0..50_000).map(|n| alert(&format!("a{n}"), Severity::Critical)).collect();
    let mut longest = Duration::ZERO;
    let raised = Instant::now();
    for alert in alerts {
        let start = Instant::now();
        sender.alert(alert);
        longest = longest.max(start.elapsed());
    }
    // An attempt takes ten seconds: whoever waited for one, or for the queue, would show.
    assert!(raised.elapsed() < Duration::from_secs(5), "{:?} for all", raised.elapsed());
    assert!(longest < Duration::from_secs(1), "{longest:?} for one");
    let status = sender.status().await.expect("it runs");
    assert!(status.waiting <= MAX_WAITING + 1, "{} wait", status.waiting);
}

#[tokio::test]
async fn every_alert_of_a_flood_is_delivered_or_counted_as_lost() {
    const RAISED: u64 = 5_000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([], TAKES).await;
    let config = AlertsConfig { webhook: Some(webhook(&sink.url())), ..AlertsConfig::default() };
    let sender = start(&config, folder.path());
    for number in 0..RAISED {
        sender.alert(alert(&format!("a{number}"), Severity::Info));
    }
    let (mut delivered, mut lost) = (0, 0);
    while delivered + lost < RAISED {
        let data = sink.next(SOON).await.json()["data"].clone();
        if data["title"] == "alerts were lost" {
            let number = |name: &str| data["numbers"][name].as_str().expect("text").parse::<u64>();
            assert_eq!((number("warning"), number("urgent")), (Ok(0), Ok(0)));
            lost += number("info").expect("a number");
        } else {
            delivered += 1;
        }
    }
    assert!(delivered > 0);
    until_idle(&sender).await;
    assert!(sink.try_next().is_none(), "no more than was raised");
    assert_eq!(delivered + lost, RAISED);
}

#[tokio::test]
async fn a_critical_alert_is_taken_by_two_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chat = Sink::start([], TELEGRAM_OK).await;
    let mut mail = Server::start(Manner::default()).await;
    let config = AlertsConfig {
        telegram: Some(telegram(chat.url())),
        email: Some(email(mail.address, EmailTls::None)),
        ..AlertsConfig::default()
    };
    let sender = start(&config, folder.path());
    sender.alert(alert("a", Severity::Critical));
    assert!(chat.next(SOON).await.json()["text"].as_str().expect("text").contains("id: a"));
    assert_eq!(mail.next(SOON).await.headers()["Message-ID"], "<a@example.org>");
    until_idle(&sender).await;
    sender.alert(alert("b", Severity::Info));
    until_idle(&sender).await;
    let taken = [chat.try_next().is_some(), mail.try_next().is_some()];
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "one is enough for an info");
}

#[tokio::test]
async fn what_was_not_delivered_goes_out_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let dead = format!("http://{}", nobody().await);
    let mut up = Sink::start([], TAKES).await;
    let sender = start(&config(dead.clone(), &dead), folder.path());
    sender.alert(alert("a", Severity::Critical));
    sender.alert(alert("b", Severity::Info));
    sender.settle(SOON).await.expect("on disk");
    assert!(
        matches!(
            Sender::start(&config(dead.clone(), &dead), secrets(), folder.path()),
            Err(StartError::Store(StoreError::InUse { .. }))
        ),
        "one process at a time"
    );
    drop(sender);
    let config = AlertsConfig { webhook: Some(webhook(&up.url())), ..AlertsConfig::default() };
    let sender = restart(&config, folder.path()).await;
    let mut ids = [up.next(SOON).await, up.next(SOON).await]
        .map(|request| request.headers["webhook-id"].to_str().expect("ASCII").to_owned());
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
    until_idle(&sender).await;
    sender.settle(SOON).await.expect("on disk");
    drop(sender);
    // And not once more after the next.
    let sender = restart(&config, folder.path()).await;
    sender.alert(alert("a", Severity::Critical));
    sender.alert(alert("c", Severity::Info));
    until_idle(&sender).await;
    assert_eq!(up.next(SOON).await.headers["webhook-id"], "c");
}

/// Starts as soon as the threads of the sender before have let go of the folder.
async fn restart(config: &AlertsConfig, folder: &std::path::Path) -> Sender {
    let end = Instant::now() + SOON;
    loop {
        match Sender::start(config, secrets(), folder) {
            Ok(sender) => return sender,
            Err(StartError::Store(StoreError::InUse { .. })) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn without_a_disk_alerts_go_out_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([], TAKES).await;
    let config = AlertsConfig { webhook: Some(webhook(&sink.url())), ..AlertsConfig::default() };
    let sender = start(&config, folder.path());
    sender.settle(SOON).await.expect("on disk");
    // A folder in the place of the file to come: no replacement succeeds, for root neither.
    std::fs::remove_dir_all(folder.path().join("alerts")).expect("removed");
    sender.alert(alert("a", Severity::Info));
    assert_eq!(sink.next(SOON).await.headers["webhook-id"], "a");
    std::fs::remove_dir_all(folder.path()).expect("removed");
    for name in ["b", "c"] {
        sender.alert(alert(name, Severity::Critical));
        assert_eq!(sink.next(SOON).await.headers["webhook-id"], name);
    }
}

#[tokio::test]
async fn a_review_is_open_until_somebody_acknowledges_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::start([], TAKES).await;
    let config = AlertsConfig { webhook: Some(webhook(&sink.url())), ..AlertsConfig::default() };
    let sender = start(&config, folder.path());
    let id = AlertId::new("rung1").expect("an id");
    assert!(matches!(sender.ack(id.clone(), "ann").await, Err(AckError::NotOpen(_))));
    sender.alert(Alert { review: true, ..alert("rung1", Severity::Warning) });
    until_idle(&sender).await;
    let open = sender.status().await.expect("it runs").reviews;
    assert_eq!(open.iter().map(|review| &review.id).collect::<Vec<_>>(), [&id]);
    sender.ack(id.clone(), "ann").await.expect("open");
    assert!(sender.status().await.expect("it runs").reviews.is_empty());
    assert!(matches!(sender.ack(id, "bob").await, Err(AckError::NotOpen(_))));
}

#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic before").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_reaches_a_log_a_file_or_another_channel() {
    let printed = Printed::default();
    let writer = printed.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    subscriber.with_writer(move || writer.clone()).init();
    let folder = tempfile::tempdir().expect("a folder");
    // A server that repeats the token, one that cannot be reached, and a login that is not taken.
    let echo =
        r#"{"ok":false,"error_code":404,"description":"no /bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"}"#;
    assert!(echo.contains(TOKEN));
    let refusals = vec![("AUTH", "535 5.7.8 wrong: correct-horse-battery", usize::MAX)];
    let mail = Server::start(Manner { refusals, ..Manner::default() }).await;
    let mut sink = Sink::start([], Reaction::Reply(200, "")).await;
    let dead = format!("http://{}", nobody().await);
    let mut told = Vec::new();
    for chat in [Sink::start([], Reaction::Reply(404, echo)).await.url(), dead] {
        let config =
            AlertsConfig { email: Some(email(mail.address, EmailTls::None)), ..config(chat, &sink.url()) };
        let place = tempfile::tempdir_in(folder.path()).expect("a folder").keep();
        let sender = start(&config, &place);
        sender.alert(alert("a", Severity::Critical));
        let mut reports = 0;
        while reports < 2 {
            let request = sink.next(SOON).await;
            let title = request.json()["data"]["title"].as_str().expect("a title").to_owned();
            reports += usize::from(title.ends_with("do not go out"));
            told.extend_from_slice(&request.body);
        }
        sender.settle(SOON).await.expect("on disk");
        for name in ["alerts.log", "alerts/queue", "alerts/lock"] {
            let path = place.join(name);
            told.extend(std::fs::read(&path).expect("there"));
            let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
        told.extend(format!("{sender:?}{config:?}{:?}", secrets()).into_bytes());
    }
    told.extend_from_slice(&printed.0.lock().expect("no panic before"));
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("an alert was not taken") && told.contains("about a"), "the logs were read");
    let secret = WEBHOOK_SECRET.strip_prefix("whsec_").expect("a prefix");
    for secret in [TOKEN, TOKEN.split_once(':').expect("a colon").1, PASSWORD, secret] {
        assert!(!told.contains(secret), "a secret was told");
    }
}

#[test]
fn what_is_wrong_is_named_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = |config: &AlertsConfig, secrets: Secrets| {
        Sender::start(config, secrets, folder.path()).expect_err("wrong").to_string()
    };
    let chat = AlertsConfig {
        telegram: Some(telegram("https://api.telegram.org".into())),
        ..AlertsConfig::default()
    };
    assert_eq!(
        named(&chat, Secrets::default()),
        "alerts.telegram has no bot token; give the one that @BotFather showed"
    );
    let path = folder.path().join("roots.pem");
    let roots = AlertsConfig { extra_roots: Some(path.clone()), ..AlertsConfig::default() };
    assert!(named(&roots, secrets()).starts_with("alerts.extra_roots: "));
    std::fs::write(path, "no certificate").expect("written");
    assert!(named(&roots, secrets()).contains("holds no certificate"));
}
