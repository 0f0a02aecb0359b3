//! Text that must not be seen.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret as a person or a venue writes it. Wiped when dropped; prints as `SecretText(..)`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Takes ownership of `text`; white space around it is a paste accident and is dropped.
    #[must_use]
    pub fn new(mut text: String) -> Self {
        let trimmed = text.trim().to_owned();
        text.zeroize();
        Self(trimmed)
    }

    /// The secret itself, for the code that makes a key of it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(..)")
    }
}
