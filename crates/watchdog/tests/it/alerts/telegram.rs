//! The Bot API, well and ill.

use std::time::Duration;

use serde_json::json;
use watchdog::alerts::{Alert, AlertsConfig, Severity};

use super::http_sink::{Reaction, Sink, TELEGRAM_OK};
use super::support::{SOON, TOKEN, alert, start, telegram, until_idle};

fn config(sink: &Sink) -> AlertsConfig {
    AlertsConfig { telegram: Some(telegram(sink.url())), ..AlertsConfig::default() }
}

#[tokio::test]
async fn a_message_is_plain_text_to_the_chat() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([], TELEGRAM_OK).await;
    let sender = start(&config(&sink), folder.path());
    let title = "*bold* _x_ <b>y</b> [z](tg://user?id=1)";
    sender.alert(Alert { title: title.into(), ..alert("a", Severity::Warning) });
    let request = sink.next(SOON).await;
    assert_eq!(request.path, format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(request.headers["content-type"], "application/json");
    let message = request.json();
    assert_eq!(message["chat_id"], json!(-1_001_234_567_890_i64));
    assert_eq!(
        message["text"],
        format!("[warning] {title}\n\naccount: main\nequity: 3800.00\nat: 2026-03-04T04:54:21.460Z\nid: a")
    );
    assert!(message.get("parse_mode").is_none() && message.get("entities").is_none(), "{message}");
    until_idle(&sender).await;
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn the_longest_alert_fits_a_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([], TELEGRAM_OK).await;
    let sender = start(&config(&sink), folder.path());
    let mut long = alert("a", Severity::Info);
    long.title = "t".repeat(10_000);
    long.text = "x".repeat(100_000);
    long.numbers = (0..1_000).map(|n| (format!("{n:050}"), "9".repeat(100))).collect();
    sender.alert(long);
    let message = sink.next(SOON).await.json();
    let text = message["text"].as_str().expect("text");
    assert!((2_000..=4_096).contains(&text.encode_utf16().count()));
}

#[tokio::test]
async fn too_many_requests_are_repeated_when_telegram_says() {
    const TOO_MANY: Reaction = Reaction::Reply(
        429,
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 2","parameters":{"retry_after":2}}"#,
    );
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sink::start([TOO_MANY], TELEGRAM_OK).await;
    let sender = start(&config(&sink), folder.path());
    sender.alert(alert("a", Severity::Info));
    let first = sink.next(SOON).await;
    let second = sink.next(SOON).await;
    assert!(second.at.duration_since(first.at) >= Duration::from_secs(2));
    assert_eq!(first.body, second.body);
    until_idle(&sender).await;
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn an_alert_gets_through_after_any_trouble() {
    let troubles = [
        Reaction::Reply(500, r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#),
        Reaction::Reply(502, "<html>Bad Gateway</html>"),
        Reaction::Reply(200, "{\"ok\":tru"),
        Reaction::Reply(200, ""),
        Reaction::Reset,
        Reaction::Garbage,
    ];
    let lives = troubles.into_iter().map(|trouble| async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sink = Sink::start([trouble], TELEGRAM_OK).await;
        let sender = start(&config(&sink), folder.path());
        sender.alert(alert("a", Severity::Critical));
        until_idle(&sender).await;
        assert_eq!(sink.connections(), 2, "once in vain, once well");
        while let Some(request) = sink.try_next() {
            assert!(request.json()["text"].as_str().expect("text").contains("id: a"));
        }
    });
    futures_util::future::join_all(lives).await;
}

#[tokio::test]
async fn a_wrong_token_is_told_over_another_channel_and_not_repeated_soon() {
    const WRONG: Reaction =
        Reaction::Reply(401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#);
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::start([], WRONG).await;
    let mut other = Sink::start([], Reaction::Reply(204, "")).await;
    let webhook = Some(super::support::webhook(&other.url()));
    let sender = start(&AlertsConfig { webhook, ..config(&sink) }, folder.path());
    sender.alert(alert("a", Severity::Info));
    let mut titles = Vec::new();
    for _ in 0..2 {
        let data = other.next(SOON).await.json()["data"].clone();
        titles.push((data["title"].as_str().expect("a title").to_owned(), data["text"].to_string()));
    }
    titles.sort();
    assert_eq!(titles[0].0, "about a");
    assert_eq!(titles[1].0, "alerts over telegram do not go out");
    assert!(titles[1].1.contains("401 Unauthorized"));
    until_idle(&sender).await;
    assert_eq!(sink.connections(), 1, "a wrong token stays wrong for minutes");
}
