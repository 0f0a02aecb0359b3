//! Rungs, what reached them, and how they clear.

use serde::{Deserialize, Serialize};
use trading::{SizeFactor, Timestamp};

use super::unit_value::UnitValue;
use super::window::Span;

/// How long rung 1 waits for an acknowledgement before it has the effect of rung 2.
pub const REVIEW_MS: u64 = 900_000;
/// How long after rungs 3 and 4 the first directive may lift them.
pub const COOL_OFF_MS: u64 = 86_400_000;
/// How long limits stay reduced after a restart or a commission.
pub const REDUCED_MS: u64 = 3_600_000;
/// How many people a restart and a commission need.
pub const RESTART_QUORUM: usize = 2;

/// How far up the ladder: goes up by machine, and down only by signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Rung {
    /// Nothing is lost that matters.
    Zero,
    /// The daily loss: alert and review.
    One,
    /// The weekly loss: sizes are reduced.
    Two,
    /// The monthly loss: no new risk.
    Three,
    /// The loss from the high-water mark: the kill.
    Four,
}

impl Rung {
    /// All above zero, highest first: the order in which they are acted on.
    pub(super) const DOWN: [Self; 4] = [Self::Four, Self::Three, Self::Two, Self::One];

    /// 0 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The window whose loss reaches it; `None` for the high-water mark's.
    pub(super) const fn span(self) -> Option<Span> {
        match self {
            Self::Zero | Self::One => Some(Span::Day),
            Self::Two => Some(Span::Week),
            Self::Three => Some(Span::Month),
            Self::Four => None,
        }
    }
}

impl TryFrom<u8> for Rung {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::Zero),
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            4 => Ok(Self::Four),
            _ => Err("a rung is 0 to 4"),
        }
    }
}

impl From<Rung> for u8 {
    fn from(rung: Rung) -> Self {
        rung.number()
    }
}

/// What a loss is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The value when the UTC day, ISO week or month began.
    Calendar,
    /// The best value within 24 hours, 168 hours or 30 days.
    Rolling,
    /// The best confirmed value ever.
    HighWaterMark,
}

/// The numbers that reached a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// From what the loss is counted: the worse where there are two.
    pub basis: Basis,
    /// The unit value there.
    pub baseline: UnitValue,
    /// The unit value now.
    pub value: UnitValue,
    /// The threshold in basis points, inclusive.
    pub threshold_bps: u16,
    /// Whether one sample was enough, because the loss was one and a half times the threshold.
    pub alone: bool,
}

/// A rung that was reached and has not cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latch {
    /// When it was reached; with subject and rung, the name of this event.
    pub tripped_at: Timestamp,
    /// Why.
    pub trigger: Trigger,
    /// When someone acknowledged it.
    pub acknowledged_at: Option<Timestamp>,
    /// Rung 1 only: nobody did in time, so it has the effect of rung 2.
    pub escalated: bool,
    /// The running clock when it was reached.
    pub(super) since_ms: u64,
}

/// The rungs that hold. Each has its own way out, so that clearing one leaves those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Latches {
    one: Option<Latch>,
    two: Option<Latch>,
    three: Option<Latch>,
    four: Option<Latch>,
}

impl Latches {
    pub(super) const fn of(&self, rung: Rung) -> Option<&Latch> {
        match rung {
            Rung::Zero => None,
            Rung::One => self.one.as_ref(),
            Rung::Two => self.two.as_ref(),
            Rung::Three => self.three.as_ref(),
            Rung::Four => self.four.as_ref(),
        }
    }

    pub(super) const fn slot(&mut self, rung: Rung) -> Option<&mut Option<Latch>> {
        match rung {
            Rung::Zero => None,
            Rung::One => Some(&mut self.one),
            Rung::Two => Some(&mut self.two),
            Rung::Three => Some(&mut self.three),
            Rung::Four => Some(&mut self.four),
        }
    }

    /// The highest that holds.
    pub(super) fn rung(&self) -> Rung {
        Rung::DOWN.into_iter().find(|rung| self.of(*rung).is_some()).unwrap_or(Rung::Zero)
    }

    /// Whether sizes are reduced: rung 2 or above, or rung 1 that nobody looked at.
    pub(super) fn reduces_sizes(&self) -> bool {
        self.rung() >= Rung::Two || self.one.is_some_and(|latch| latch.escalated)
    }
}

/// What limits are multiplied with in the first hour after a restart: 25 %.
pub(super) fn reduced_factor() -> SizeFactor {
    "0.25".parse().expect("a quarter is a size factor")
}
