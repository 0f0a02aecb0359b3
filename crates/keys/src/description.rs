//! What may be said of a key: everything but the key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use trading::{AccountName, Timestamp, Venue};

/// What a key is for. Each role has its own vault and its own store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders only.
    Trade,
    /// Reads only.
    Watch,
    /// Revokes keys and cancels orders only.
    Admin,
    /// Transfers from the master account to listed sub-accounts only.
    Skim,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Trade, Self::Watch, Self::Admin, Self::Skim];

    /// The name used in files and arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Watch => "watch",
            Self::Admin => "admin",
            Self::Skim => "skim",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// A word that is no [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a role; there are: trade, watch, admin, skim")]
pub struct UnknownRole;

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStage {
    /// Signs.
    Active,
    /// Replaced; kept until nothing it signed can still be under way.
    Retiring,
}

/// What may be said of a key: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDescription {
    /// First 16 hexadecimal digits of SHA-256 over the venue's key id; names the key in records.
    pub key_id: String,
    /// The venue that issued it.
    pub venue: Venue,
    /// The account it trades.
    pub account: AccountName,
    /// What it is for.
    pub role: Role,
    /// `hmac-sha256`, `ed25519`, `rsa-pkcs1-sha256`, `ecdsa-p256-sha256` or
    /// `ecdsa-secp256k1-keccak256`.
    pub algorithm: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// Where it stands in its life.
    pub stage: KeyStage,
}

impl KeyDescription {
    /// Returns the id under which the venue's key `api_key` appears in records.
    #[must_use]
    pub fn key_id(api_key: &str) -> String {
        let digest = Sha256::digest(api_key.as_bytes());
        hex::encode(&digest[..8])
    }

    /// What the seal authenticates beside the secret; the stage may change without the secret.
    pub(crate) fn sealed_metadata(&self) -> Vec<u8> {
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}",
            self.key_id,
            self.venue,
            self.account,
            self.role,
            self.algorithm,
            self.added_at.as_ms()
        )
        .into_bytes()
    }
}
