//! What holds for an account now: what the watchdog's lease will say.

use serde::{Deserialize, Serialize};
use trading::{AccountName, SizeFactor, Timestamp};

use super::rung::{Latch, Rung};
use super::sample::Source;
use super::unit_value::{Money, UnitValue};

/// Share of the message rate for new risk from rung 1 on, in basis points.
pub(super) const REDUCED_RATE_BPS: u16 = 5000;
/// The whole message rate.
pub(super) const WHOLE_RATE_BPS: u16 = 10_000;

/// What an account may do, with the numbers it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Whose.
    pub account: AccountName,
    /// Breaker's wall time.
    pub at: Timestamp,
    /// The higher of the account's rung and the group's.
    pub rung: Rung,
    /// What size limits are multiplied with for new risk.
    pub size_factor: SizeFactor,
    /// How much of the message rate new risk may use, in basis points.
    pub message_rate_bps: u16,
    /// Whether new risk is allowed: exactly if `why` is empty.
    pub new_risk: bool,
    /// Whether all orders must be off the book. Exits stay allowed.
    pub cancel_all: bool,
    /// Whether the keys must be revoked.
    pub kill: bool,
    /// Every reason against new risk.
    pub why: Vec<Reason>,
    /// The account's own rungs that hold, highest first.
    pub latches: Vec<(Rung, Latch)>,
    /// The group's.
    pub group_latches: Vec<(Rung, Latch)>,
    /// The last believed equity, flows since included.
    pub equity: Option<Money>,
    /// The account's numbers; `None` before its units began.
    pub values: Option<Values>,
}

/// Unit values of an account or the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The last valid one, rounded up.
    pub value: UnitValue,
    /// The best confirmed one.
    pub high_water_mark: UnitValue,
    /// When that was.
    pub high_water_mark_at: Timestamp,
    /// Of day, week and month: the calendar's baseline.
    pub calendar: [UnitValue; 3],
    /// Of 24 hours, 168 hours and 30 days: the best value.
    pub rolling: [UnitValue; 3],
    /// Of day, week and month by the calendar: the lowest valid value.
    pub lowest: [UnitValue; 3],
}

/// A reason against new risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not an account of the configuration.
    UnknownAccount,
    /// Nobody has commissioned it: there is no state to go on from.
    NotCommissioned,
    /// Its units have not begun: no two sources agree yet.
    NotBegun,
    /// Rung 3 or 4 of the account.
    Rung(Rung),
    /// Rung 3 or 4 of the group.
    GroupRung(Rung),
    /// No good sample of a source since this process began to watch, or since the last commission.
    NoSample(Source),
    /// A source's last good sample is too old.
    Stale {
        /// Which source.
        source: Source,
        /// How old.
        age_ms: u64,
    },
    /// A source's last sample is not explained.
    Suspect(Source),
    /// Wall time stepped and nobody has accepted it.
    ClockStepped,
    /// The group's equity is not known, for want of this account's.
    GroupUnknown(AccountName),
    /// The group's units have not begun.
    GroupNotBegun,
    /// A transfer is under way for ten minutes or more.
    TransferLate(Box<str>),
}
