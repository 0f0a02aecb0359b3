//! Mail by SMTP submission (RFC 6409), through lettre: plain text, one message a receiver.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use keys::SecretText;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rustls::pki_types::CertificateDer;

use super::{SetupError, later};
use crate::alerts::config::{ConfigError, EmailConfig, EmailTls};
use crate::alerts::{Offer, Outcome};

/// Longest wait for one reply of the server. Less than the attempt's own deadline, so that a server
/// that takes a mail and then forgets to say goodbye has taken it.
const REPLY_LIMIT: Duration = Duration::from_secs(4);

pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub(super) fn new(
        config: &EmailConfig,
        password: Option<&SecretText>,
        extra_roots: &[CertificateDer<'static>],
    ) -> Result<Self, SetupError> {
        let tls = match config.tls {
            EmailTls::None => Tls::None,
            EmailTls::Implicit => Tls::Wrapper(tls_parameters(&config.host, extra_roots)?),
            EmailTls::StartTls => Tls::Required(tls_parameters(&config.host, extra_roots)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port())
            .tls(tls)
            .timeout(Some(REPLY_LIMIT));
        if let Some((user, password)) = config.user.as_ref().zip(password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let mailbox = |field, address: &String| {
            address.parse().map_err(|_| ConfigError { field, problem: "must be a mail address" })
        };
        Ok(Self {
            transport: builder.build(),
            from: mailbox("email.from", &config.from)?,
            to: config.to.iter().map(|to| mailbox("email.to", to)).collect::<Result<_, _>>()?,
        })
    }

    /// Sends to every receiver apart: one whose address fails must not cost the others theirs. Taken
    /// as soon as the server takes one.
    pub(super) async fn send(&self, offer: &Offer) -> Outcome {
        let outcomes = join_all(self.to.iter().map(|to| self.send_to(to, offer))).await;
        if outcomes.contains(&Outcome::Delivered) {
            return Outcome::Delivered;
        }
        let hopeful = outcomes.iter().position(|outcome| matches!(outcome, Outcome::Later { .. }));
        outcomes.into_iter().nth(hopeful.unwrap_or(0)).unwrap_or_else(|| later("nobody to send to".into()))
    }

    async fn send_to(&self, to: &Mailbox, offer: &Offer) -> Outcome {
        let message = match self.message(to, offer) {
            Ok(message) => message,
            Err(error) => return Outcome::Refused { reason: format!("the mail cannot be written: {error}") },
        };
        match self.transport.send(message).await {
            Ok(_) => Outcome::Delivered,
            Err(error) => judge(&error),
        }
    }

    fn message(&self, to: &Mailbox, offer: &Offer) -> Result<Message, lettre::error::Error> {
        let alert = &offer.alert;
        // An id has no full stop, so two ids never become one.
        let local = alert.id.as_str().replace(':', ".");
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(format!("[seawall] [{}] {}", alert.severity, alert.title))
            .message_id(Some(format!("<{local}@{}>", self.from.email.domain())))
            .date(SystemTime::now())
            .singlepart(SinglePart::plain(alert.to_plain_text(offer.count)))?;
        // RFC 3834 §5: no out-of-office replies, please.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".into()));
        Ok(message)
    }
}

fn tls_parameters(host: &str, extra_roots: &[CertificateDer<'static>]) -> Result<TlsParameters, SetupError> {
    let failed = |error: lettre::transport::smtp::Error| SetupError::Email(error.to_string());
    let mut builder = TlsParameters::builder(host.to_owned());
    for root in extra_roots {
        builder = builder.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(failed)?);
    }
    builder.build().map_err(failed)
}

/// Codes of RFC 5321 §4.2 and RFC 4954 §6. The server's words are left out: they may repeat ours.
fn judge(error: &lettre::transport::smtp::Error) -> Outcome {
    let Some(code) = error.status() else {
        let what = if error.is_tls() {
            "TLS failed; is the server's certificate for the configured host?"
        } else if error.is_timeout() {
            "the server does not answer"
        } else if error.is_client() {
            "the server does not offer what is needed, STARTTLS or a way to log in"
        } else {
            "the server cannot be reached or does not speak SMTP"
        };
        return later(what.into());
    };
    let reason = format!("the mail server said {code}");
    match u16::from(code) {
        530 | 534 | 535 | 538 => Outcome::Unauthorised { reason },
        _ if error.is_permanent() => Outcome::Refused { reason },
        _ => later(reason),
    }
}
