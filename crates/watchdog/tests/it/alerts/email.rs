//! Mail, as a submission server gets it.

use watchdog::alerts::{Alert, AlertsConfig, EmailConfig, EmailTls, Severity};

use super::http_sink::{Reaction, Sink};
use super::smtp_server::{Manner, Server};
use super::support::{PASSWORD, SOON, alert, email, start, until_idle, webhook};

fn config(server: &Server, tls: EmailTls) -> AlertsConfig {
    AlertsConfig { email: Some(email(server.address, tls)), ..AlertsConfig::default() }
}

/// With the server's certificate trusted.
fn trusting(server: &Server, tls: EmailTls, folder: &std::path::Path) -> AlertsConfig {
    let path = folder.join("root.pem");
    std::fs::write(&path, &server.root).expect("written");
    AlertsConfig { extra_roots: Some(path), ..config(server, tls) }
}

#[tokio::test]
async fn mail_goes_out_over_every_kind_of_connection() {
    let private = |starttls, implicit| Manner { starttls, implicit, ..Manner::default() };
    for (tls, manner) in [
        (EmailTls::None, Manner::default()),
        (EmailTls::StartTls, private(true, false)),
        (EmailTls::Implicit, private(false, true)),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Server::start(manner).await;
        let sender = start(&trusting(&server, tls, folder.path()), folder.path());
        sender.alert(alert("a:1", Severity::Critical));
        let mail = server.next(SOON).await;
        assert_eq!(mail.was_private, tls != EmailTls::None, "{tls:?}");
        assert_eq!(mail.user.as_deref(), Some("alerts"));
        assert_eq!(
            (mail.from.as_str(), mail.to.as_slice()),
            ("seawall@example.org", &["ann@example.org".to_owned()][..])
        );
        let headers = mail.headers();
        assert_eq!(headers["Subject"], "[seawall] [critical] about a:1");
        assert_eq!(headers["Message-ID"], "<a.1@example.org>");
        assert_eq!(headers["Auto-Submitted"], "auto-generated");
        assert!(headers["From"].contains("seawall@example.org") && headers["To"] == "ann@example.org");
        assert!(headers["Content-Type"].starts_with("text/plain"), "{headers:?}");
        assert!(mail.body().contains("equity: 3800.00"), "{}", mail.body());
        until_idle(&sender).await;
        assert!(server.try_next().is_none(), "once only");
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_cannot_be_trusted() {
    // It offers no STARTTLS; its certificate is unknown, at once and after STARTTLS.
    let plain = Manner::default();
    let starttls = Manner { starttls: true, ..Manner::default() };
    let implicit = Manner { implicit: true, ..Manner::default() };
    for (tls, manner) in
        [(EmailTls::StartTls, plain), (EmailTls::StartTls, starttls), (EmailTls::Implicit, implicit)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Server::start(manner).await;
        let mut sink = Sink::start([], Reaction::Reply(200, "")).await;
        let webhook = Some(webhook(&sink.url()));
        let sender = start(&AlertsConfig { webhook, ..config(&server, tls) }, folder.path());
        // Enough attempts for the report about the channel, which comes over the other one.
        sender.alert(alert("a", Severity::Critical));
        loop {
            let told = sink.next(SOON).await.json();
            if told["data"]["title"] == "alerts over email do not go out" {
                break;
            }
        }
        assert!(server.try_next().is_none());
        for command in ["AUTH", "MAIL", "RCPT", "DATA"] {
            assert_eq!(server.said(command), 0, "{command} was sent");
        }
    }
}

#[tokio::test]
async fn a_title_adds_no_header_and_a_text_ends_no_mail() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(Manner::default()).await;
    let sender = start(&config(&server, EmailTls::None), folder.path());
    let text = ".\n..\n.\r\nMAIL FROM:<x@example.org>\r\n.\r\nQUIT\n. end".to_owned();
    sender.alert(Alert {
        title: "x\r\nBcc: eve@example.org\r\n\r\nbody \u{202e} ü".into(),
        text,
        ..alert("a", Severity::Info)
    });
    sender.alert(alert("b", Severity::Info));
    let mail = server.next(SOON).await;
    let headers = mail.headers();
    assert!(!headers.contains_key("Bcc"), "{headers:?}");
    assert_eq!(mail.to, ["ann@example.org"]);
    let body = mail.body();
    for line in [".", "..", ". end"] {
        assert!(body.split("\r\n").any(|found| found == line), "{line:?} is missing in {body:?}");
    }
    assert!(mail.wire.contains("\r\n..\r\n...\r\n"), "dots are doubled on the wire: {:?}", mail.wire);
    assert!(server.next(SOON).await.body().contains("id: b"), "the next mail is whole");
    assert_eq!(server.said("MAIL FROM:<x@"), 0);
    assert!(server.said("RCPT") == 2);
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again() {
    for step in ["MAIL", "RCPT", "DATA", "(end of data)", "EHLO"] {
        let folder = tempfile::tempdir().expect("a folder");
        let refusals = vec![(step, "451 4.3.0 later", 1)];
        let mut server = Server::start(Manner { refusals, ..Manner::default() }).await;
        let sender = start(&config(&server, EmailTls::None), folder.path());
        sender.alert(alert("a", Severity::Warning));
        assert_eq!(server.next(SOON).await.headers()["Message-ID"], "<a@example.org>", "{step}");
        until_idle(&sender).await;
        assert!(server.try_next().is_none(), "{step}: once only");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_exist_costs_the_other_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let refusals = vec![("RCPT TO:<gone@", "550 5.1.1 no such user", usize::MAX)];
    let mut server = Server::start(Manner { refusals, ..Manner::default() }).await;
    let to = vec!["gone@example.org".into(), "ann@example.org".into()];
    let both = EmailConfig { to, ..email(server.address, EmailTls::None) };
    let config = AlertsConfig { email: Some(both), ..AlertsConfig::default() };
    let sender = start(&config, folder.path());
    sender.alert(alert("a", Severity::Info));
    assert_eq!(server.next(SOON).await.to, ["ann@example.org"]);
    until_idle(&sender).await;
}

#[tokio::test]
async fn a_refusal_for_good_and_a_wrong_password_are_told_over_another_channel() {
    let cases = [("RCPT", "550 5.1.1 no such user", "550"), ("AUTH", "535 5.7.8 wrong", "535")];
    for (step, reply, code) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server =
            Server::start(Manner { refusals: vec![(step, reply, usize::MAX)], ..Manner::default() }).await;
        let mut sink = Sink::start([], Reaction::Reply(200, "")).await;
        let webhook = Some(webhook(&sink.url()));
        let sender = start(&AlertsConfig { webhook, ..config(&server, EmailTls::None) }, folder.path());
        for name in ["a", "b", "c"] {
            sender.alert(alert(name, Severity::Critical));
        }
        let text = loop {
            let told = sink.next(SOON).await.json()["data"].clone();
            if told["title"] == "alerts over email do not go out" {
                break told["text"].as_str().expect("text").to_owned();
            }
        };
        assert!(text.contains(code) && !text.contains(PASSWORD), "{text}");
        assert!(server.try_next().is_none());
    }
}
