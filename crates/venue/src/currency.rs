//! The name of what an amount is counted in.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A currency as venues name it: `USDT`, `BTC`. At most 32 bytes of letters that are not lower case,
/// digits, `_`, `-` and `.`; Binance lists coins named in other scripts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(Box<str>);

/// The text is not the name of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not the name of a currency: up to 32 bytes of capital letters and digits")]
pub struct NotACurrency;

impl Currency {
    /// Checks `text` and takes it as a name.
    ///
    /// # Errors
    ///
    /// [`NotACurrency`].
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, NotACurrency> {
        let text = text.into();
        let fine = |letter: char| {
            (letter.is_alphanumeric() && !letter.is_lowercase()) || matches!(letter, '_' | '-' | '.')
        };
        if text.is_empty() || text.len() > 32 || !text.chars().all(fine) {
            return Err(NotACurrency);
        }
        Ok(Self(text))
    }
}

trading::text_conversions!(Currency, NotACurrency);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for text in ["USDT", "1INCH", "币安人生", "LDBTC", "A.B"] {
            assert!(Currency::new(text).is_ok(), "{text}");
        }
        for text in ["", "usdt", "US DT", "A&B", "A=B", "A\"B", &"A".repeat(33)] {
            assert!(Currency::new(text).is_err(), "{text}");
        }
    }
}
