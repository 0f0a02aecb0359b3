//! Bounded texts of the tables, each checked once when it enters.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a value may not stand in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} {problem}")]
pub struct TextError {
    what: &'static str,
    problem: &'static str,
}

impl TextError {
    pub(crate) const fn new(what: &'static str, problem: &'static str) -> Self {
        Self { what, problem }
    }
}

/// Declares a text that is at most so many bytes long and of such characters only.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Most bytes.
            pub const MAX: usize = $longest;

            /// Checks `text` and takes it.
            ///
            /// # Errors
            ///
            /// [`TextError`] says which rule the text breaks.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, TextError> {
                let text = text.into();
                let allowed: fn(char) -> bool = $allowed;
                let problem = if text.trim().is_empty() {
                    "is empty"
                } else if text.len() > Self::MAX {
                    concat!("is longer than ", $longest, " bytes")
                } else if !text.chars().all(allowed) {
                    "holds a character that may not be in it"
                } else {
                    return Ok(Self(text));
                };
                Err(TextError::new($what, problem))
            }
        }

        trading::text_conversions!($name, TextError);
    };
}

text!(
    /// Names an event, or what several events are about: 1 to 64 of `A-Z a-z 0-9 . _ : -`.
    EventId, "id", 64, |letter| letter.is_ascii_alphanumeric() || "._:-".contains(letter)
);
text!(
    /// A name of something outside: 1 to 128 bytes on one line.
    Label, "label", 128, |letter| !letter.is_control()
);
text!(
    /// Sentences: 1 to 4096 bytes; of the control characters only line ends and tabs.
    Words, "text", 4096, |letter| !letter.is_control() || letter == '\n' || letter == '\t'
);

/// A hash as 64 hexadecimal digits.
pub(super) mod hex_hash {
    use std::borrow::Cow;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::tables) fn serialize<S: Serializer>(
        hash: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(hash))
    }

    pub(in crate::tables) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(text.as_bytes(), &mut hash)
            .map_err(|_| D::Error::custom("a hash has 64 hexadecimal digits"))?;
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_bytes_and_exact() {
        assert!(EventId::new("a".repeat(64)).is_ok() && EventId::new("a".repeat(65)).is_err());
        assert!(Label::new("é".repeat(64)).is_ok() && Label::new("é".repeat(65)).is_err());
        assert!(Words::new("a".repeat(4096)).is_ok() && Words::new("a".repeat(4097)).is_err());
    }

    #[test]
    fn what_a_terminal_would_obey_is_refused() {
        for text in ["", " ", "\u{1b}[2J", "nul\0", "bell\u{7}", "\u{9b}2J", "back\r"] {
            assert!(Words::new(text).is_err(), "{text:?}");
        }
        assert!(Words::new("two\nlines\tand a tab").is_ok());
        assert!(Label::new("two\nlines").is_err() && EventId::new("a/b").is_err());
    }
}
