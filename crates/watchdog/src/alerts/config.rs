//! `[alerts]` in `seawall.toml`: where alerts go. What proves us there is a secret and comes apart
//! from it, in the process's start-up message.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use keys::SecretText;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Channel;

/// Most receivers of a mail.
const MAX_RECEIVERS: usize = 8;
/// Secrets of a webhook have 24 to 64 bytes (Standard Webhooks, "Signature scheme").
const WEBHOOK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What stands before such a secret.
const WEBHOOK_PREFIX: &str = "whsec_";

/// Where alerts go. Everything may be absent; the log is always written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// A file of certificates (PEM) to trust beside the public ones, for servers of one's own.
    pub extra_roots: Option<PathBuf>,
    /// A Telegram chat.
    pub telegram: Option<TelegramConfig>,
    /// Mail.
    pub email: Option<EmailConfig>,
    /// Any address that takes a POST.
    pub webhook: Option<WebhookConfig>,
}

/// A Telegram chat. The secret is the bot's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The chat's number, negative for a group, or `@name` of a channel.
    pub chat_id: String,
    /// Where the Bot API is.
    #[serde(default = "telegram_api")]
    pub api: String,
}

/// Mail. The secret is the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The submission server's name.
    pub host: String,
    /// Its port; 465 for `implicit`, 587 for `starttls` unless said otherwise.
    pub port: Option<u16>,
    /// How the way there is protected.
    #[serde(default)]
    pub tls: EmailTls,
    /// The login; without one nobody logs in.
    pub user: Option<String>,
    /// The sender's address.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
}

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailTls {
    /// TLS from the first byte (RFC 8314).
    #[default]
    Implicit,
    /// TLS after `STARTTLS`; without it nothing is sent (RFC 3207).
    StartTls,
    /// None: to this machine only.
    None,
}

/// Any address that takes a POST. The secret signs it, as Standard Webhooks says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The address; `https`, or `http` to this machine.
    pub url: String,
}

/// What proves us to the channels. Prints no secret.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The Telegram bot's token, `<number>:<text>`.
    pub telegram_token: Option<SecretText>,
    /// The mail login's password.
    pub email_password: Option<SecretText>,
    /// The webhook's signing secret, `whsec_<base64>`.
    pub webhook_secret: Option<SecretText>,
    /// The webhook's secret before the last change, which still signs, so that receivers may change later.
    pub webhook_old_secret: Option<SecretText>,
}

/// What is wrong with `[alerts]` or the secrets that go with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("alerts.{field} {problem}")]
pub struct ConfigError {
    /// The field, below `alerts`.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub problem: &'static str,
}

fn telegram_api() -> String {
    "https://api.telegram.org".into()
}

const fn wrong(field: &'static str, problem: &'static str) -> ConfigError {
    ConfigError { field, problem }
}

fn ensure(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(wrong(field, problem)) }
}

impl AlertsConfig {
    /// The remote channels it names.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<Channel> {
        let named = [
            (Channel::Telegram, self.telegram.is_some()),
            (Channel::Email, self.email.is_some()),
            (Channel::Webhook, self.webhook.is_some()),
        ];
        named.into_iter().filter(|(_, is_named)| *is_named).map(|(channel, _)| channel).collect()
    }

    /// Checks every field, and that each channel has the secret it needs.
    ///
    /// # Errors
    ///
    /// The first field that is wrong, with what would be right.
    pub fn check(&self, secrets: &Secrets) -> Result<(), ConfigError> {
        if let Some(telegram) = &self.telegram {
            telegram.check()?;
            let token = secrets.telegram_token.as_ref();
            let token =
                token.ok_or(wrong("telegram", "has no bot token; give the one that @BotFather showed"))?;
            ensure(
                is_bot_token(token.expose()),
                "telegram",
                "has a bot token out of form; it is <number>:<letters, digits, - and _>",
            )?;
        }
        if let Some(email) = &self.email {
            email.check()?;
            let problem = "needs a password for its login; give one, or leave the login away";
            ensure(email.user.is_none() || secrets.email_password.is_some(), "email.user", problem)?;
        }
        if let Some(webhook) = &self.webhook {
            let problem = "must be an https address, or http to a loopback address such as 127.0.0.1";
            ensure(webhook.url.parse().is_ok_and(|url| is_private(&url)), "webhook.url", problem)?;
            let secret = secrets.webhook_secret.as_ref();
            let secret =
                secret.ok_or(wrong("webhook", "has no signing secret; make one of 32 random bytes"))?;
            for secret in [Some(secret), secrets.webhook_old_secret.as_ref()].into_iter().flatten() {
                webhook_key(secret)?;
            }
        }
        Ok(())
    }
}

impl TelegramConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let name = self.chat_id.strip_prefix('@');
        let is_name = name.is_some_and(|name| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        ensure(
            is_name || self.chat_id.parse::<i64>().is_ok_and(|number| number != 0),
            "telegram.chat_id",
            "must be a chat's number such as -1001234567890, or @name of a channel",
        )?;
        ensure(
            self.api
                .parse()
                .is_ok_and(|api: Uri| is_private(&api) && api.path() == "/" && api.query().is_none()),
            "telegram.api",
            "must be https://<host>, or http://<loopback address>, without a path",
        )
    }
}

impl EmailConfig {
    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            EmailTls::Implicit => 465,
            EmailTls::StartTls => 587,
            EmailTls::None => 25,
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let is_host = (1..=253).contains(&self.host.len())
            && self.host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
        ensure(is_host, "email.host", "must be a host's name or address, without a port")?;
        ensure(self.port != Some(0), "email.port", "must be 1 to 65535, mostly 465 or 587")?;
        ensure(
            self.tls != EmailTls::None || is_loopback(&self.host),
            "email.tls",
            "may be \"none\" for a loopback address only; use \"implicit\" or \"starttls\"",
        )?;
        ensure(self.from.parse::<Mailbox>().is_ok(), "email.from", "must be one mail address")?;
        ensure(
            (1..=MAX_RECEIVERS).contains(&self.to.len())
                && self.to.iter().all(|to| to.parse::<Mailbox>().is_ok()),
            "email.to",
            "must be a list of 1 to 8 mail addresses",
        )
    }
}

/// Whether what goes to `uri` is encrypted or stays on this machine.
pub(super) fn is_private(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback(host),
        _ => false,
    }
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_bot_token(token: &str) -> bool {
    let allowed = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    token.len() <= 128
        && token.split_once(':').is_some_and(|(number, text)| {
            !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
                && !text.is_empty()
                && allowed(text)
        })
}

/// The key of a webhook's secret.
pub(super) fn webhook_key(secret: &SecretText) -> Result<Vec<u8>, ConfigError> {
    let problem = "has a signing secret out of form; it is whsec_ and 24 to 64 bytes in base64";
    let text = secret.expose();
    let key = BASE64_STANDARD.decode(text.strip_prefix(WEBHOOK_PREFIX).unwrap_or(text));
    key.ok().filter(|key| WEBHOOK_SECRET_BYTES.contains(&key.len())).ok_or(wrong("webhook", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        [telegram]
        chat_id = "-1001234567890"
        [email]
        host = "mail.example.org"
        user = "alerts"
        from = "Seawall <seawall@example.org>"
        to = ["ann@example.org", "bob@example.org"]
        [webhook]
        url = "https://example.org/hook"
    "#;

    fn secrets() -> Secrets {
        Secrets {
            telegram_token: Some(SecretText::new("123456:AAF-x_y".into())),
            email_password: Some(SecretText::new("correct horse".into())),
            webhook_secret: Some(SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into())),
            webhook_old_secret: None,
        }
    }

    fn parse(text: &str) -> AlertsConfig {
        toml_edit::de::from_str(text).expect("TOML in form")
    }

    fn check(from: &str, to: &str, expected: Option<&str>) {
        assert!(FULL.contains(from), "{from} is not there to replace");
        let found = parse(&FULL.replace(from, to)).check(&secrets());
        assert_eq!(found.err().map(|error| error.field), expected, "{to}");
    }

    #[test]
    fn a_whole_configuration_holds_and_an_empty_one_too() {
        let full = parse(FULL);
        assert_eq!(full.check(&secrets()), Ok(()));
        assert_eq!(full.channels().len(), 3);
        assert_eq!(full.email.as_ref().map(EmailConfig::port), Some(465));
        assert_eq!(AlertsConfig::default().check(&Secrets::default()), Ok(()));
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for chat in ["", "0", "me", "@", "@a b", "12x"] {
            check("-1001234567890", chat, Some("telegram.chat_id"));
        }
        check("-1001234567890", "@my_channel", None);
        check("mail.example.org", "mail.example.org/x", Some("email.host"));
        check("[webhook]", "tls = \"none\"\n[webhook]", Some("email.tls"));
        check("[webhook]", "port = 0\n[webhook]", Some("email.port"));
        check("Seawall <seawall@example.org>", "nobody", Some("email.from"));
        check("bob@example.org", "a@b.c\\r\\nRCPT TO:<x@y.z>", Some("email.to"));
        for url in ["http://example.org/", "ftp://127.0.0.1/", "example.org", "http://localhost.example/"] {
            check("https://example.org/hook", url, Some("webhook.url"));
        }
        check("https://example.org/hook", "http://[::1]:8080/hook", None);
        for api in ["http://api.telegram.org", "https://api.telegram.org/x", "https://a?b"] {
            check("chat_id", &format!("api = \"{api}\"\nchat_id"), Some("telegram.api"));
        }
    }

    #[test]
    fn plain_mail_goes_to_this_machine_only() {
        let local = FULL.replace("mail.example.org", "127.0.0.1").replace("user =", "tls = \"none\"\nuser =");
        assert_eq!(parse(&local).check(&secrets()), Ok(()));
        assert_eq!(parse(&local).email.map(|email| email.port()), Some(25));
    }

    #[test]
    fn a_channel_without_its_secret_is_refused() {
        let without = |change: fn(&mut Secrets)| {
            let mut secrets = secrets();
            change(&mut secrets);
            parse(FULL).check(&secrets).err().map(|error| error.field)
        };
        assert_eq!(without(|secrets| secrets.telegram_token = None), Some("telegram"));
        assert_eq!(without(|secrets| secrets.email_password = None), Some("email.user"));
        assert_eq!(without(|secrets| secrets.webhook_secret = None), Some("webhook"));
        let text = |text: &str| Some(SecretText::new(text.into()));
        assert_eq!(
            parse(FULL).check(&Secrets { webhook_old_secret: text("whsec_c2hvcnQ="), ..secrets() }),
            Err(wrong(
                "webhook",
                "has a signing secret out of form; it is whsec_ and 24 to 64 bytes in base64"
            ))
        );
        for token in ["123456", ":x", "1:", "1:a/../b", "1:a b"] {
            let found = parse(FULL).check(&Secrets { telegram_token: text(token), ..secrets() });
            assert_eq!(found.err().map(|error| error.field), Some("telegram"), "{token}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_no_secret_is_printed() {
        for text in ["[telegram]\nchat_id = \"1\"\ntoken = \"x\"", "[sms]\nto = \"1\""] {
            assert!(toml_edit::de::from_str::<AlertsConfig>(text).is_err(), "{text}");
        }
        let printed = format!("{:?}", secrets());
        for secret in ["AAF-x_y", "horse", "MfKQ9"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
