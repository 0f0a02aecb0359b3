//! Byte strings with a meaning; as text they are hexadecimal.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why bytes are not an identifier of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not two hexadecimal digits for each byte.
    #[error("is not hexadecimal")]
    NotHexadecimal,
    /// Too few or too many bytes.
    #[error("has {was} bytes; {least} to {most} fit")]
    Length {
        /// Bytes found.
        was: usize,
        /// The fewest that fit.
        least: usize,
        /// The most that fit.
        most: usize,
    },
}

macro_rules! hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl From<$name> for String {
            fn from(bytes: $name) -> Self {
                bytes.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::from_slice(&hex::decode(text).map_err(|_| IdError::NotHexadecimal)?)
            }
        }
    };
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Takes exactly as many bytes as it has.
            ///
            /// # Errors
            ///
            /// [`IdError::Length`].
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                let wrong = |_| IdError::Length { was: bytes.len(), least: $length, most: $length };
                bytes.try_into().map(Self).map_err(wrong)
            }
        }

        hexadecimal!($name);
    };
}

fixed!(
    /// A SHA-256 digest: of a directive, a policy, a report.
    Digest, 32
);
fixed!(
    /// What model of authenticator this is, by its own word (`WebAuthn` §6.5.1). All zero says nothing.
    Aaguid, 16
);

fixed!(
    /// A random number that is used once.
    Nonce, 16
);

impl Aaguid {
    /// What the token in software calls itself (`seawall token emulate`), in plain text. It proves nothing
    /// about a person.
    pub const SOFTWARE: Self = Self(*b"seawall-software");
}

/// What an authenticator calls one of its keys: 1 to 1023 bytes (`WebAuthn` §4).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(Box<[u8]>);

impl CredentialId {
    /// Longest id, in bytes.
    pub const MAX: usize = 1023;

    /// Checks the length and takes a copy.
    ///
    /// # Errors
    ///
    /// [`IdError::Length`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(IdError::Length { was: bytes.len(), least: 1, most: Self::MAX });
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

hexadecimal!(CredentialId);

/// Serde form of bounded byte vectors: hexadecimal.
pub(crate) mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map_err(|_| serde::de::Error::custom("is not hexadecimal"))
    }
}
