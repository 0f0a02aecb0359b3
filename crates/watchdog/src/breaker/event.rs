//! What the breaker says: what happened, and what is to be done. Each is said once; what still holds is
//! in the [`Standing`](super::Standing).

use serde::{Deserialize, Serialize};
use trading::{SizeFactor, Timestamp};

use super::input::{Signed, Subject};
use super::rung::{Rung, Trigger};
use super::sample::{Discard, Source};
use super::standing::Reason;
use super::unit_value::{Money, UnitValue};

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// About whom; `None` for the machine itself.
    pub subject: Option<Subject>,
    /// The breaker's wall time.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened, or is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A rung was reached: the beginning of a halt, named by subject, rung and time.
    RungReached {
        /// Which.
        rung: Rung,
        /// Why, with the numbers.
        trigger: Trigger,
    },
    /// To be done: tell people.
    Alert {
        /// About which rung.
        rung: Rung,
    },
    /// To be done: open a task to review the positions.
    ReviewTask {
        /// About which rung.
        rung: Rung,
    },
    /// To be done: cancel resting orders above the reduced sizes.
    CancelOversized {
        /// What size limits are multiplied with.
        factor: SizeFactor,
    },
    /// To be done: cancel all orders.
    CancelAll,
    /// To be done: stop the bots.
    ScaleToZero,
    /// To be done: cancel, revoke the keys, zeroise.
    Kill,
    /// Nobody acknowledged rung 1 in time: sizes are reduced as on rung 2.
    ReviewOverdue {
        /// When rung 1 was reached.
        tripped_at: Timestamp,
    },
    /// Someone has seen a rung.
    Acknowledged {
        /// Which.
        rung: Rung,
        /// When it was reached.
        tripped_at: Timestamp,
        /// Who and why.
        signed: Signed,
    },
    /// A rung holds no more: the end of the halt that began at `tripped_at`.
    RungCleared {
        /// Which.
        rung: Rung,
        /// When it was reached.
        tripped_at: Timestamp,
    },
    /// People lifted rung 3.
    Resumed {
        /// Who and why.
        signed: Signed,
    },
    /// People began an account, or the group, or began it anew.
    Commissioned {
        /// Who and why.
        signed: Signed,
    },
    /// Units are counted from here: two sources agree on the equity.
    Begun {
        /// What all units are worth.
        equity: Money,
    },
    /// A baseline was set by people: the month's after a restart, the high-water mark's after a commission.
    Rebased {
        /// Of which rung.
        rung: Rung,
        /// The baseline until now.
        old: UnitValue,
        /// The baseline from now on, in the same units.
        new: UnitValue,
    },
    /// An answer of a source is not used. Said once until the source's next good one.
    SampleDiscarded {
        /// Which source.
        source: Source,
        /// Why.
        why: Discard,
    },
    /// An equity is not explained by any flow. Said once until the source's next good sample.
    SampleSuspect {
        /// Which source.
        source: Source,
        /// What it says.
        equity: Money,
        /// What was expected, flows included.
        expected: Money,
    },
    /// Two sources agree on it and the ledger knows no flow: a result of trading.
    JumpAccepted {
        /// What they say.
        equity: Money,
        /// What was expected.
        expected: Money,
    },
    /// A flow changed the number of units, or only the money under way for the group.
    FlowCounted {
        /// The ledger's id.
        id: Box<str>,
        /// Positive into the account.
        amount: Money,
        /// Whether a sample had shown it before.
        late: bool,
    },
    /// A withdrawal left nothing: to be commissioned again before it trades.
    Emptied,
    /// To be told to people: the last answer of a source is 10 s old.
    Stale {
        /// The older source.
        source: Source,
    },
    /// No new risk, and why.
    NewRiskStopped {
        /// All reasons.
        why: Vec<Reason>,
    },
    /// New risk is allowed again.
    NewRiskAllowed,
    /// To be told to people: wall time stepped.
    ClockStepped,
    /// The wall clock was accepted.
    ClockAccepted {
        /// Who and why.
        signed: Signed,
    },
    /// To be told to people: a transfer is under way for ten minutes.
    TransferLate {
        /// Which.
        id: Box<str>,
        /// What left and has not arrived; negative if it arrived and has not left.
        amount: Money,
    },
    /// A transfer's missing half was given up.
    TransferWrittenOff {
        /// Which.
        id: Box<str>,
        /// What left and did not arrive; negative if it arrived and never left.
        amount: Money,
        /// Who and why.
        signed: Signed,
    },
    /// An input was refused and changed nothing.
    Refused {
        /// Why.
        why: Refusal,
    },
}

/// Why an input changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not a configured account.
    UnknownAccount,
    /// No such rung, reached at that time, holds.
    NoSuchRung,
    /// Rungs 3 and 4 are not lifted by an acknowledgement.
    NotByAcknowledgement,
    /// Too few different people, or a name or reason that is empty or too long.
    Quorum {
        /// How many are needed.
        needed: u8,
    },
    /// The rung was reached less than 24 hours ago.
    CoolOff {
        /// How long it takes yet.
        remaining_ms: u64,
    },
    /// Rung 4 holds as well: it takes a commission.
    RungFour,
    /// It runs; only rung 4, or an emptied account, is commissioned anew.
    Running,
    /// No valid sample within 30 s, from which the month could be counted anew.
    NoSample,
    /// The flow's id is empty or too long, its amount zero or of the wrong sign, or it is its own counterparty.
    Malformed,
    /// The flow's time is more than 2 s ahead.
    FromTheFuture,
    /// The flow is older than what is remembered of flows.
    Forgotten,
    /// As many transfers are under way as can be kept.
    TooManyTransfers,
    /// The flow contradicts the equity so far.
    Impossible,
    /// No such transfer is under way.
    NoSuchTransfer,
}

/// Collects what is said in one step.
pub(super) struct Said {
    pub(super) at: Timestamp,
    pub(super) events: Vec<Event>,
}

impl Said {
    pub(super) const fn new(at: Timestamp) -> Self {
        Self { at, events: Vec::new() }
    }

    pub(super) fn say(&mut self, subject: &Subject, what: What) {
        self.events.push(Event { subject: Some(subject.clone()), at: self.at, what });
    }

    pub(super) fn say_of_all(&mut self, what: What) {
        self.events.push(Event { subject: None, at: self.at, what });
    }
}
