//! A venue's answer about an account, and why one is not believed.

use serde::{Deserialize, Serialize};
use trading::{AccountName, Decimal, Timestamp};

use super::clock::{Clock, OLDEST_ARRIVAL_MS};
use super::unit_value::Money;

/// From this age on of the older source: a warning.
pub const WARN_AGE_MS: u64 = 10_000;
/// From this age on of the older source: no new risk.
pub const STOP_AGE_MS: u64 = 30_000;
/// From this age on of the newer source: all orders are cancelled. Positions stay: nothing is flattened
/// for want of knowledge.
pub const CANCEL_AGE_MS: u64 = 120_000;
/// How close in time two sources must be to confirm each other.
pub const PAIR_MS: u64 = 3000;
/// A difference of equity that needs an explanation, beyond this many basis points: 0.5 %.
pub const JUMP_BPS: u16 = 50;
/// How far a venue's clock may be ahead.
const MAX_AHEAD_MS: u64 = 2000;

/// How an answer was got. The two ways of one account confirm each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Asked for.
    Rest,
    /// Sent by the venue, marked to market by the reader at least once a second while the stream is alive.
    Stream,
}

impl Source {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rest, Self::Stream];

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Rest => Self::Stream,
            Self::Stream => Self::Rest,
        }
    }
}

/// One answer about one account's equity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Whose.
    pub account: AccountName,
    /// How it was got.
    pub source: Source,
    /// The currency of the amounts; must be the configured one.
    pub currency: Box<str>,
    /// The venue's time of the answer.
    pub at: Timestamp,
    /// Wall time of its arrival here.
    pub received: Timestamp,
    /// Wallet + unrealised profit at the mark price + option value − borrowed − accrued interest − bonus.
    pub equity: Decimal,
    /// The same by the watchdog's own sum over positions and mark prices, where it can make one.
    pub cross_check: Option<Decimal>,
    /// Whether every part that the schema asks for was there.
    pub complete: bool,
    /// Until when the venue's ledger had been read, and its flows told here, before this sample.
    pub ledger_read_to: Timestamp,
}

/// Why an answer is as good as none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discard {
    /// A part is missing.
    Incomplete,
    /// In another currency than the configured one.
    OtherCurrency,
    /// Too large, or too fine, to be calculated with.
    OutOfRange,
    /// The own sum says something else.
    CrossCheck {
        /// The venue's equity.
        equity: Decimal,
        /// The own sum.
        cross_check: Decimal,
    },
    /// It was 30 s old or older when it came.
    TooOld {
        /// How old.
        age_ms: u64,
    },
    /// Its time is more than 2 s ahead.
    FromTheFuture {
        /// How far.
        ahead_ms: u64,
    },
    /// Not newer than the last of its source, or more than 3 s older than the last of the other.
    OutOfOrder,
    /// Older than the last flow: it cannot show it.
    BeforeFlow,
}

/// A sample of good form.
pub(super) struct Reading {
    pub(super) equity: Money,
    /// The running clock when its age was zero.
    pub(super) heard_ms: u64,
}

impl Sample {
    /// Checks what can be checked without the account's history.
    pub(super) fn read(&self, currency: &str, clock: &Clock) -> Result<Reading, Discard> {
        if !self.complete {
            return Err(Discard::Incomplete);
        }
        if *self.currency != *currency {
            return Err(Discard::OtherCurrency);
        }
        let equity = Money::at_most(self.equity).ok_or(Discard::OutOfRange)?;
        if let Some(cross_check) = self.cross_check {
            let own = Money::at_most(cross_check).ok_or(Discard::OutOfRange)?;
            if own.differs(equity, JUMP_BPS) {
                return Err(Discard::CrossCheck { equity: self.equity, cross_check });
            }
        }
        let now = clock.utc();
        let ahead_ms = self.at.since_ms(now).max(self.received.since_ms(now));
        if ahead_ms > MAX_AHEAD_MS {
            return Err(Discard::FromTheFuture { ahead_ms });
        }
        let age_ms = now.since_ms(self.at).max(now.since_ms(self.received));
        if age_ms >= OLDEST_ARRIVAL_MS {
            return Err(Discard::TooOld { age_ms });
        }
        Ok(Reading { equity, heard_ms: clock.running_ms() - age_ms })
    }
}
