//! Tells people: Telegram, e-mail, a signed webhook, and a log on this machine.
//!
//! [`Sender::alert`] hands an alert over and returns at once, whatever the network, the disk and the
//! other channels do. [`Queue`] decides what goes where and when; [`Store`] lets it survive a crash.
//! What is promised and what is not: `docs/alerts.md`.

mod alert;
mod channels;
mod config;
mod queue;
mod sender;
mod store;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use alert::{
    Alert, AlertId, AlertIdError, MAX_ACCOUNT, MAX_ID, MAX_NUMBER, MAX_NUMBERS, MAX_TEXT, MAX_TITLE,
    Severity, URGENT_RUNG,
};
pub use channels::SetupError;
pub use config::{AlertsConfig, ConfigError, EmailConfig, EmailTls, Secrets, TelegramConfig, WebhookConfig};
pub use queue::{
    Accepted, Entry, FIRST_WAIT_MS, FOLD_MS, FOLD_URGENT_MS, HEDGE_MS, IN_FLIGHT, Jitter, LONGEST_ASKED_MS,
    LONGEST_WAIT_MS, Losses, MAX_ESCALATIONS, MAX_REMEMBERED, MAX_REVIEWS, MAX_WAITING, Needed, NotOpen,
    Offer, Queue, REFUSED_WAIT_MS, REVIEW_AGAIN_MS, REVIEW_MS, Record, Review,
};
pub use sender::{AckError, Sender, StartError, Status, Unsettled};
pub use store::{Found, Store, StoreError};

/// A way to people. Earlier ones are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// `alerts.log` in the data folder. Always there; no channel to somebody who is away.
    Log,
    /// A chat, through the Bot API.
    Telegram,
    /// A POST to an address of the operator's, signed.
    Webhook,
    /// Mail, by SMTP submission.
    Email,
}

impl Channel {
    /// Whether it reaches somebody who is not at this machine.
    #[must_use]
    pub const fn is_remote(self) -> bool {
        !matches!(self, Self::Log)
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How one attempt ended. Reasons are short, and never hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has taken the alert over.
    Delivered,
    /// It may work later.
    Later {
        /// How long the server asks to be left alone, in milliseconds.
        after_ms: Option<u64>,
        /// What went wrong.
        reason: String,
    },
    /// The server understood and does not want this alert.
    Refused {
        /// Its words.
        reason: String,
    },
    /// The server does not accept our credentials.
    Unauthorised {
        /// Its words.
        reason: String,
    },
}

impl Outcome {
    /// What went wrong, if something did.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Later { reason, .. } | Self::Refused { reason } | Self::Unauthorised { reason } => {
                Some(reason)
            }
        }
    }
}
