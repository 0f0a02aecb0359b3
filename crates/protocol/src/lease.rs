//! The trading lease: a watchdog's word, for a few seconds, on what an account may do. One JSON object per
//! line each way on the lease socket.
//!
//! A lease is signed by the watchdog's key over its text as it stands in the line, so nothing has to be
//! written again to check it.

use serde::{Deserialize, Serialize};
use trading::{AccountName, Decimal, Instrument, SizeFactor, Timestamp, TradingState};

use crate::object::{self, Object};
use crate::sign::Mark;

/// Longest life of a lease, in milliseconds, whatever it says of itself.
pub const LONGEST_MS: u64 = 5_000;
/// Most mark prices and most positions one lease holds.
pub const MOST_INSTRUMENTS: usize = 256;
/// Separates the signature from every other Ed25519 signature of ours.
const DOMAIN: &[u8] = b"seawall lease v1\0";

/// What one watchdog says of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Which account.
    pub account: AccountName,
    /// The ladder's rung, 0 to 4.
    pub rung: u8,
    /// What the account may do.
    pub trading: TradingState,
    /// What limits on size are multiplied with.
    pub size_factor: SizeFactor,
    /// Mark prices, as the watchdog read them.
    #[serde(deserialize_with = "object::list")]
    pub marks: Vec<Mark>,
    /// What the venue says is held.
    #[serde(deserialize_with = "object::list")]
    pub positions: Vec<Position>,
    /// When the sample was taken that all this follows from.
    pub sampled_at: Timestamp,
    /// Larger than that of every lease of this watchdog for this account before.
    pub issued_at: Timestamp,
    /// Until when (inclusive) it holds; the vault lets none live longer than [`LONGEST_MS`].
    pub expires_at: Timestamp,
    /// The policy it was made under, hexadecimal; under another it is worth nothing.
    pub policy_hash: String,
}

/// One position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// In which instrument.
    pub instrument: Instrument,
    /// Base currency, positive for long.
    pub quantity: Decimal,
}

/// A lease on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedLease {
    /// Ed25519 public key of the watchdog, hexadecimal.
    pub watchdog: String,
    /// The lease as JSON text.
    pub lease: String,
    /// Ed25519 signature over [`message`], hexadecimal.
    pub signature: String,
}

impl Lease {
    /// Reads a lease's text, which must be one JSON object of objects.
    ///
    /// # Errors
    ///
    /// Names the unknown or duplicate field, or says what was expected.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(|Object(lease)| lease)
    }
}

impl SignedLease {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// As [`Lease::read`].
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line).map(|Object(signed)| signed)
    }
}

/// What is signed for a lease of this text.
#[must_use]
pub fn message(text: &str) -> Vec<u8> {
    [DOMAIN, text.as_bytes()].concat()
}

/// The vault's answer to a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum LeaseReply {
    /// It counts.
    Taken {
        /// Until when.
        until: Timestamp,
    },
    /// It does not, and changes nothing.
    Refused {
        /// Why, and what to do.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            account: "main".parse().expect("a name"),
            rung: 2,
            trading: TradingState::Active,
            size_factor: "0.5".parse().expect("a factor"),
            marks: vec![Mark {
                instrument: "bybit:linear:BTCUSDT".parse().expect("an instrument"),
                price: "60000.5".parse().expect("a price"),
                at: Timestamp::from_ms(1),
            }],
            positions: vec![Position {
                instrument: "bybit:linear:BTCUSDT".parse().expect("an instrument"),
                quantity: "-0.5".parse().expect("a quantity"),
            }],
            sampled_at: Timestamp::from_ms(2),
            issued_at: Timestamp::from_ms(3),
            expires_at: Timestamp::from_ms(4),
            policy_hash: "ab".into(),
        }
    }

    #[test]
    fn a_lease_reads_as_it_was_written() {
        let text = serde_json::to_string(&lease()).expect("plain values");
        assert_eq!(Lease::read(&text).expect("its own form"), lease());
    }

    #[test]
    fn nothing_is_read_by_position_twice_or_beside() {
        let text = serde_json::to_string(&lease()).expect("plain values");
        for (from, to, part) in [
            (r#""rung":2"#, r#""rung":2,"rung":0"#, "rung"),
            (r#""rung":2"#, r#""rung":2,"why":0"#, "why"),
            (r#""rung":2,"#, "", "rung"),
            (r#""rung":2"#, r#""rung":-1"#, "-1"),
            (r#""rung":2"#, r#""rung":256"#, "256"),
            (r#""positions":[{"#, r#""positions":[["bybit:linear:BTCUSDT","1"],{"#, "object"),
        ] {
            let error = Lease::read(&text.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(part), "{to}: {error}");
        }
        assert!(SignedLease::read(br#"["a","b","c"]"#).is_err());
    }
}
