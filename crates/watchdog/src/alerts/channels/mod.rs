//! The ways to people, and one attempt over each.

mod email;
mod http;
mod log;
mod telegram;
mod webhook;

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

use super::config::{AlertsConfig, ConfigError, Secrets};
use super::{Channel, Offer, Outcome};
use email::Email;
use http::Http;
use log::Log;
use telegram::Telegram;
use webhook::Webhook;

/// Longest attempt.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// Longest reason taken from a server, in characters.
const MAX_REASON: usize = 160;

/// Why the channels cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The extra certificates cannot be used.
    #[error("alerts.extra_roots: {0}; it must be a readable file of certificates in PEM")]
    Roots(String),
    /// The mail channel's TLS cannot be set up.
    #[error("alerts.email: TLS cannot be set up: {0}")]
    Email(String),
}

/// Every channel there is.
pub(super) struct Channels {
    log: Log,
    telegram: Option<Telegram>,
    webhook: Option<Webhook>,
    email: Option<Email>,
}

impl Channels {
    pub(super) fn new(config: &AlertsConfig, secrets: Secrets, folder: &Path) -> Result<Self, SetupError> {
        config.check(&secrets)?;
        let roots = match &config.extra_roots {
            Some(path) => read_roots(path)?,
            None => Vec::new(),
        };
        let http = Http::new(&roots)?;
        let email = match &config.email {
            Some(email) => Some(Email::new(email, secrets.email_password.as_ref(), &roots)?),
            None => None,
        };
        let telegram = config.telegram.clone().zip(secrets.telegram_token);
        let webhook = config.webhook.clone().zip(secrets.webhook_secret);
        Ok(Self {
            log: Log::new(folder),
            telegram: telegram.map(|(config, token)| Telegram::new(http.clone(), config, token)),
            webhook: match webhook {
                Some((config, secret)) => {
                    Some(Webhook::new(http, &config, &secret, secrets.webhook_old_secret.as_ref())?)
                }
                None => None,
            },
            email,
        })
    }

    /// Makes one attempt, [`DEADLINE`] long at most.
    pub(super) async fn attempt(&self, offer: &Offer) -> Outcome {
        let attempt = async {
            match offer.channel {
                Channel::Log => self.log.write(offer).await,
                Channel::Telegram => match &self.telegram {
                    Some(telegram) => telegram.send(offer).await,
                    None => not_there(),
                },
                Channel::Webhook => match &self.webhook {
                    Some(webhook) => webhook.send(offer).await,
                    None => not_there(),
                },
                Channel::Email => match &self.email {
                    Some(email) => email.send(offer).await,
                    None => not_there(),
                },
            }
        };
        let late = || later(format!("no answer within {} s", DEADLINE.as_secs()));
        tokio::time::timeout(DEADLINE, attempt).await.unwrap_or_else(|_| late())
    }
}

fn not_there() -> Outcome {
    later("the channel is not set up".into())
}

const fn later(reason: String) -> Outcome {
    Outcome::Later { after_ms: None, reason }
}

/// What a server said, safe to show: one short line, with `secret` cut out.
fn quoted(text: &str, secret: &str) -> String {
    let text = if secret.is_empty() { text.to_owned() } else { text.replace(secret, "<secret>") };
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let failed = |what: String| SetupError::Roots(format!("{}: {what}", path.display()));
    let roots: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| failed(error.to_string()))?;
    if roots.is_empty() { Err(failed("holds no certificate".into())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_one_short_line_without_the_secret() {
        assert_eq!(quoted("a\r\n1:xyz b\u{1b}", "1:xyz"), "a<secret> b");
        assert_eq!(quoted(&"ü".repeat(1000), "").chars().count(), MAX_REASON);
    }
}
