//! What the skim vault may sign: a transfer from the master account to a sub-account, and the question what
//! became of one.
//!
//! [`request`] says it in the venue's words, [`meaning`] takes the finished bytes apart again, [`read`] says
//! what became of it. None of this can be reached from a bot's request. That the destination is listed and
//! the day's budget lasts is the vault's to see to.
//!
//! A transfer carries an id of ours, so that one whose answer was lost can be asked for again without moving
//! the money twice: Bybit refuses an id that it knows, Binance documents `clientTranId` as unique.

use std::fmt;

use serde::{Deserialize, Serialize};
use trading::{Decimal, Timestamp, Venue};

use crate::admin::SubAccount;
use crate::answer::{Heard, Refusal, hear, shortened};
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::unsigned::{Form, Signed, Unsigned};
use crate::{binance, bybit};

/// A transfer out of the master account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The master account, and its wallet.
    pub from: Master,
    /// The sub-account that gets it.
    pub to: SubAccount,
    /// The wallet of it that gets it.
    pub to_wallet: Wallet,
    /// Of what.
    pub currency: Currency,
    /// How much; above zero.
    pub amount: Decimal,
    /// Ours; a new one for each transfer, the same for each attempt at it.
    pub id: TransferId,
}

/// The master account. There is no way to say a transfer out of a sub-account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Master {
    /// Bybit, by its number.
    Bybit {
        /// The account.
        uid: u64,
        /// Unified or funding.
        wallet: Wallet,
    },
    /// Binance, which takes the master account where no sender is named.
    Binance {
        /// Spot or USD-M.
        wallet: Wallet,
    },
}

/// Wallets that money is moved between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wallet {
    /// Bybit's unified account.
    Unified,
    /// Bybit's funding wallet.
    Funding,
    /// Binance spot.
    Spot,
    /// Binance USD-M.
    UsdMargined,
}

impl Wallet {
    /// The name at `venue`, if it has such a wallet.
    pub(crate) fn name(self, venue: Venue) -> Result<&'static str, Unencodable> {
        match (venue, self) {
            (Venue::Bybit, Self::Unified) => Ok("UNIFIED"),
            (Venue::Bybit, Self::Funding) => Ok("FUND"),
            (Venue::Binance, Self::Spot) => Ok("SPOT"),
            (Venue::Binance, Self::UsdMargined) => Ok("USDT_FUTURE"),
            _ => Err(Unencodable::new("wallet", "is of another venue")),
        }
    }

    pub(crate) fn read(name: &str, field: &'static str) -> Result<Self, Undecodable> {
        match name {
            "UNIFIED" => Ok(Self::Unified),
            "FUND" => Ok(Self::Funding),
            "SPOT" => Ok(Self::Spot),
            "USDT_FUTURE" => Ok(Self::UsdMargined),
            _ => Err(Undecodable::bad(field, "is not a wallet")),
        }
    }
}

/// A transfer's id: random, as a version 4 UUID has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransferId([u8; 16]);

impl TransferId {
    /// Makes one of random bytes; the six bits that tell a UUID's kind are set.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Reads a version 4 UUID with its hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.split('-').collect();
        let bytes: [u8; 16] = hex::decode(digits).ok()?.try_into().ok()?;
        let id = Self::from_random(bytes);
        (id.to_string() == text).then_some(id)
    }

    /// The 32 hexadecimal digits, as Binance gets them.
    pub(crate) fn digits(self) -> String {
        hex::encode(self.0)
    }

    pub(crate) fn from_digits(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = hex::decode(text).ok()?.try_into().ok()?;
        let id = Self::from_random(bytes);
        (id.digits() == text).then_some(id)
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        let part = |range: std::ops::Range<usize>| &digits[range];
        write!(formatter, "{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
    }
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkimRequest {
    /// Move money.
    Move(Transfer),
    /// Say what became of a transfer: whether it is there, and that it is the same.
    Status(Transfer),
}

/// What is known of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The money has moved.
    Done,
    /// The venue has taken it and is at it.
    Pending,
    /// The venue says that it failed; the money is where it was.
    Failed,
    /// The id is known: an earlier attempt got there. Ask for its status.
    Known,
    /// The venue lists no such transfer. Right after a lost answer that is no proof: ask again.
    Absent,
    /// The venue said no; nothing moved.
    Refused(Refusal),
    /// Nobody knows. Never a success and never a failure: the money counts as spent.
    Unknown {
        /// What the venue sent, as far as there are words for it.
        why: Box<str>,
    },
}

impl SkimRequest {
    /// The transfer it is about.
    #[must_use]
    pub const fn transfer(&self) -> &Transfer {
        match self {
            Self::Move(transfer) | Self::Status(transfer) => transfer,
        }
    }
}

impl Transfer {
    /// The venue.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        match self.from {
            Master::Bybit { .. } => Venue::Bybit,
            Master::Binance { .. } => Venue::Binance,
        }
    }
}

/// Says a request in its venue's words.
///
/// # Errors
///
/// An amount that is not above zero, an account or a wallet that the venue does not name so.
pub fn request(
    asked: &SkimRequest,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Unsigned, Unencodable> {
    if !asked.transfer().amount.is_positive() {
        return Err(Unencodable::new("amount", "must be above zero"));
    }
    Ok(Unsigned(match asked.transfer().venue() {
        Venue::Bybit => Form::BybitHttp(bybit::skim::request(asked, sent_at, recv_window_ms)?),
        Venue::Binance => Form::BinanceHttp(binance::skim::request(asked, sent_at, recv_window_ms)?),
    }))
}

/// Takes a finished message apart again: the transfer it makes, if it is one that [`request`] makes.
///
/// The question for a status names only the transfer's id; `asked` fills in the rest, which then is what the
/// answer is compared with. Of a transfer, all is in the bytes and nothing of `asked` is believed.
///
/// # Errors
///
/// The bytes are not exactly those of a request.
pub fn meaning(venue: Venue, finished: &Signed, asked: &SkimRequest) -> Result<SkimRequest, Undecodable> {
    let unsigned = crate::canonical::unsigned(venue, finished)?;
    let found = match &unsigned.0 {
        Form::BybitHttp(http) => bybit::skim::take_apart(http, asked)?,
        Form::BinanceHttp(http) => binance::skim::take_apart(http, asked)?,
        _ => return Err(Undecodable::Endpoint("a stream message".into())),
    };
    crate::canonical::same(&unsigned, |sent_at, window| request(&found, sent_at, window))?;
    Ok(found)
}

/// Says what is known of a transfer.
#[must_use]
pub fn read(asked: &SkimRequest, status: u16, body: &str) -> Status {
    let venue = asked.transfer().venue();
    match hear(venue, status, body) {
        Heard::Answer(value) => {
            let known = match venue {
                Venue::Bybit => bybit::skim::status(asked, &value),
                Venue::Binance => binance::skim::status(asked, &value),
            };
            known.unwrap_or_else(|| Status::Unknown { why: shortened(body) })
        }
        // "TransferId exist" (v5 error codes).
        Heard::Refused(refusal) if venue == Venue::Bybit && &*refusal.code == "131214" => Status::Known,
        // Not refusals: the venue's own part failed (v5 error codes "openapi svc error", "Internal error",
        // "Service error", "The system is busy").
        Heard::Refused(refusal)
            if venue == Venue::Bybit
                && matches!(&*refusal.code, "131001" | "131003" | "131200" | "131201" | "131230") =>
        {
            Status::Unknown { why: refusal.to_string().into() }
        }
        Heard::Refused(refusal) => Status::Refused(refusal),
        Heard::Unclear(why) => Status::Unknown { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_uuids_and_read_back() {
        let id = TransferId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(TransferId::parse(&id.to_string()), Some(id));
        assert_eq!(TransferId::from_digits(&id.digits()), Some(id));
        for text in [
            "",
            "ffffffff-ffff-1fff-bfff-ffffffffffff",
            "ffffffffffff4fffbfffffffffffffff",
            "FFFFFFFF-ffff-4fff-bfff-ffffffffffff",
        ] {
            assert_eq!(TransferId::parse(text), None, "{text}");
        }
    }
}
