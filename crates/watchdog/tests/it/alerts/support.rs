//! Configurations, secrets and alerts for the tests.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use keys::SecretText;
use trading::Timestamp;
use watchdog::alerts::{
    Alert, AlertId, AlertsConfig, EmailConfig, EmailTls, Secrets, Sender, Severity, TelegramConfig,
    WebhookConfig,
};

/// Long enough for any machine; nothing waits for it to pass.
pub(super) const SOON: Duration = Duration::from_secs(20);
pub(super) const TOKEN: &str = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
pub(super) const PASSWORD: &str = "correct-horse-battery";
pub(super) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(super) fn secrets() -> Secrets {
    let text = |text: &str| Some(SecretText::new(text.to_owned()));
    Secrets {
        telegram_token: text(TOKEN),
        email_password: text(PASSWORD),
        webhook_secret: text(WEBHOOK_SECRET),
        webhook_old_secret: None,
    }
}

pub(super) fn telegram(api: String) -> TelegramConfig {
    TelegramConfig { chat_id: "-1001234567890".into(), api }
}

pub(super) fn webhook(url: &str) -> WebhookConfig {
    WebhookConfig { url: format!("{url}/hook") }
}

pub(super) fn email(address: SocketAddr, tls: EmailTls) -> EmailConfig {
    EmailConfig {
        host: address.ip().to_string(),
        port: Some(address.port()),
        tls,
        user: Some("alerts".into()),
        from: "Seawall <seawall@example.org>".into(),
        to: vec!["ann@example.org".into()],
    }
}

pub(super) fn start(config: &AlertsConfig, folder: &Path) -> Sender {
    Sender::start(config, secrets(), folder).expect("alerts start")
}

pub(super) fn alert(id: &str, severity: Severity) -> Alert {
    let at = Timestamp::from_ms(1_772_600_061_460);
    let mut alert = Alert::new(AlertId::new(id).expect("an id"), at, severity, format!("about {id}"));
    alert.account = Some("main".into());
    alert.numbers.insert("equity".into(), "3800.00".into());
    alert
}

/// Waits until nothing waits for a channel.
pub(super) async fn until_idle(sender: &Sender) {
    let end = tokio::time::Instant::now() + SOON;
    while sender.status().await.expect("it runs").waiting > 0 {
        assert!(tokio::time::Instant::now() < end, "alerts still wait");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
