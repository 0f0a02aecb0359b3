//! Texts that people read on an approval, each checked once when it enters.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a [`Name`] or a [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing, or too much of it.
    #[error("must have 1 to {longest} bytes")]
    Length {
        /// The most that fits.
        longest: usize,
    },
    /// A name with another character.
    #[error("may hold only a-z, 0-9 and . _ @ -")]
    NotPlain,
    /// A reason with a character that is not seen, or that changes how its neighbours are shown.
    #[error("holds a character that is invisible or changes the order of others: U+{0:04X}")]
    Deceptive(u32),
    /// A reason that begins or ends with white space.
    #[error("begins or ends with white space")]
    Padded,
}

/// A person, an organisation, a site, an incident, a directive: 1 to 64 of `a-z 0-9 . _ @ -`.
///
/// So plain that no two of them look alike and none differs in case alone: whoever is counted once
/// must not be able to come back as a twin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

impl Name {
    /// Longest name, in bytes.
    pub const MAX: usize = 64;

    /// Checks `text` and takes it as a name.
    ///
    /// # Errors
    ///
    /// [`TextError`] says which rule the text breaks.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, TextError> {
        let text = text.into();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte);
        if text.is_empty() || text.len() > Self::MAX {
            Err(TextError::Length { longest: Self::MAX })
        } else if !text.bytes().all(is_plain) {
            Err(TextError::NotPlain)
        } else {
            Ok(Self(text))
        }
    }
}

/// Why a directive is given: one line of 1 to 512 bytes that shows exactly what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(Box<str>);

impl Reason {
    /// Longest reason, in bytes.
    pub const MAX: usize = 512;

    /// Checks `text` and takes it as a reason.
    ///
    /// # Errors
    ///
    /// [`TextError`] says which rule the text breaks.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, TextError> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX {
            return Err(TextError::Length { longest: Self::MAX });
        }
        if let Some(character) = text.chars().find(|character| is_deceptive(*character)) {
            return Err(TextError::Deceptive(character.into()));
        }
        if text.trim() != &*text { Err(TextError::Padded) } else { Ok(Self(text)) }
    }
}

/// Control characters, line ends, and the characters of Unicode that are not shown or that turn the
/// direction of writing (general categories Cf, Zl, Zp, and blanks wider than none; Unicode 16).
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

trading::text_conversions!(Name, TextError);
trading::text_conversions!(Reason, TextError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_twin() {
        for text in ["alice", "a.b@desk-1.example", "7", "x".repeat(64).as_str()] {
            assert_eq!(Name::new(text).expect(text).as_str(), text);
        }
        assert_eq!(Name::new(""), Err(TextError::Length { longest: 64 }));
        assert_eq!(Name::new("x".repeat(65)), Err(TextError::Length { longest: 64 }));
        for text in ["Alice", "аlice", "alice ", "al\u{200b}ice", "a/b", "a\nb"] {
            assert_eq!(Name::new(text), Err(TextError::NotPlain), "{text:?}");
        }
    }

    #[test]
    fn a_reason_shows_what_it_holds() {
        for text in ["Drill of 2026-11.", "заказ é 😀 — 5 %", "x".repeat(512).as_str()] {
            assert_eq!(Reason::new(text).expect(text).as_str(), text);
        }
        for text in [
            "a\nb",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200b}b",
            "\u{feff}a",
            "a\u{2028}b",
            "a\tb",
            "a\u{e0041}",
        ] {
            assert!(matches!(Reason::new(text), Err(TextError::Deceptive(_))), "{text:?}");
        }
        assert_eq!(Reason::new(" a"), Err(TextError::Padded));
        assert_eq!(Reason::new("x".repeat(513)), Err(TextError::Length { longest: 512 }));
        assert_eq!(Reason::new(""), Err(TextError::Length { longest: 512 }));
    }
}
