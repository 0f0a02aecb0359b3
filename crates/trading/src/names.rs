//! Names that cross process boundaries, each checked once when it enters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} {problem}")]
pub struct NameError {
    kind: &'static str,
    problem: &'static str,
}

/// Declares a text newtype whose constructor applies `$check`.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `text` and takes it as a name.
            ///
            /// # Errors
            ///
            /// [`NameError`] says which rule the text breaks.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, NameError> {
                let text = text.into();
                let check: fn(&str) -> Option<&'static str> = $check;
                match check(&text) {
                    None => Ok(Self(text)),
                    Some(problem) => Err(NameError { kind: $kind, problem }),
                }
            }
        }

        crate::text_conversions!($name, NameError);
    };
}

name!(
    /// What an operator calls a bot: 1 to 32 of `a-z 0-9 - _`.
    BotName, "bot name", operator_name
);
name!(
    /// What an operator calls a venue account: 1 to 32 of `a-z 0-9 - _`.
    AccountName, "account name", operator_name
);
name!(
    /// The venue's own text for an instrument: 1 to 64 bytes, no control characters or spaces.
    ///
    /// Compared byte by byte: look-alike letters are different symbols.
    Symbol, "symbol", |text| venue_text(text, 64)
);
name!(
    /// The id the bot gave its order (`newClientOrderId`, `orderLinkId`): 1 to 128 bytes.
    ClientOrderId, "client order id", |text| printable(text, 128)
);
name!(
    /// The id the venue gave an order: 1 to 128 bytes.
    VenueOrderId, "venue order id", |text| printable(text, 128)
);

fn operator_name(text: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if text.is_empty() || text.len() > 32 {
        Some("must have 1 to 32 characters")
    } else if !text.bytes().all(plain) {
        Some("may hold only a-z, 0-9, - and _")
    } else {
        None
    }
}

fn venue_text(text: &str, longest: usize) -> Option<&'static str> {
    if text.contains(char::is_whitespace) { Some("holds white space") } else { printable(text, longest) }
}

fn printable(text: &str, longest: usize) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > longest {
        Some("is too long")
    } else if text.contains(char::is_control) {
        Some("holds a control character")
    } else {
        None
    }
}

/// A venue whose requests can be judged and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Venue {
    /// Binance: spot, margin, USD-M and COIN-M futures.
    Binance,
    /// Bybit v5.
    Bybit,
}

impl Venue {
    /// Every venue, in the order in which they are listed to people.
    pub const ALL: [Self; 2] = [Self::Binance, Self::Bybit];

    /// The name used in files, arguments and addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Bybit => "bybit",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Venue {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|venue| venue.as_str() == text)
            .ok_or(NameError { kind: "venue", problem: "is not one of: binance, bybit" })
    }
}

/// The part of a venue on which an instrument trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Market {
    /// Coins against coins.
    Spot,
    /// Spot with borrowed money.
    Margin,
    /// Derivatives settled in the quote currency (USD-M, linear).
    Linear,
    /// Derivatives settled in the base currency (COIN-M, inverse).
    Inverse,
    /// Options.
    Option,
}

impl Market {
    /// Every market, in the order in which they are listed to people.
    pub const ALL: [Self; 5] = [Self::Spot, Self::Margin, Self::Linear, Self::Inverse, Self::Option];

    /// The name used in files and arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Margin => "margin",
            Self::Linear => "linear",
            Self::Inverse => "inverse",
            Self::Option => "option",
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Market {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|market| market.as_str() == text).ok_or(NameError {
            kind: "market",
            problem: "is not one of: spot, margin, linear, inverse, option",
        })
    }
}

/// What is traded: one symbol on one market of one venue. Prints as `bybit:linear:BTCUSDT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instrument {
    /// The venue.
    pub venue: Venue,
    /// The venue's market.
    pub market: Market,
    /// The venue's symbol, as written there.
    pub symbol: Symbol,
}

impl fmt::Display for Instrument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.venue, self.market, self.symbol)
    }
}

impl FromStr for Instrument {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = text.splitn(3, ':');
        let (Some(venue), Some(market), Some(symbol)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NameError { kind: "instrument", problem: "must read venue:market:symbol" });
        };
        Ok(Self { venue: venue.parse()?, market: market.parse()?, symbol: symbol.parse()? })
    }
}

impl TryFrom<String> for Instrument {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Instrument> for String {
    fn from(instrument: Instrument) -> Self {
        instrument.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instrument_reads_as_it_prints() {
        let text = "binance:spot:币安人生USDT";
        assert_eq!(text.parse::<Instrument>().expect(text).to_string(), text);
    }

    #[test]
    fn an_operator_name_is_plain() {
        for text in ["", "Grid", "a b", "é", "x".repeat(33).as_str()] {
            assert!(BotName::new(text).is_err(), "{text:?}");
        }
        assert!(BotName::new("grid-1_a").is_ok());
    }

    #[test]
    fn control_characters_never_enter_an_id() {
        assert!(ClientOrderId::new("a\nb").is_err());
        assert!(ClientOrderId::new("заказ-é-😀").is_ok());
        assert!(Symbol::new("BTC USDT").is_err());
    }
}
