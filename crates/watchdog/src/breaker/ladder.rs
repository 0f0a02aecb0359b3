//! The thresholds of the ladder, and the one comparison that decides whether one is reached.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::SizeFactor;

use super::unit_value::{BILLION, UnitValue};

/// Basis points in one.
const WHOLE_BPS: u16 = 10_000;

/// Losses at which the rungs are reached, in basis points, inclusive: 500 is −5 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ThresholdBps", into = "ThresholdBps")]
pub struct Thresholds {
    bps: ThresholdBps,
}

/// The numbers of [`Thresholds`], by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdBps {
    /// Rung 1: loss of the UTC day, or of 24 hours.
    pub daily_bps: u16,
    /// Rung 2: loss of the ISO week, or of 168 hours.
    pub weekly_bps: u16,
    /// Rung 3: loss of the month, or of 30 days.
    pub monthly_bps: u16,
    /// Rung 4: loss from the high-water mark.
    pub from_high_water_mark_bps: u16,
}

/// Thresholds, and what rung 2 leaves of the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LadderFields", into = "LadderFields")]
pub struct Ladder {
    thresholds: Thresholds,
    weekly_size_factor: SizeFactor,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LadderFields {
    thresholds: Thresholds,
    weekly_size_factor: SizeFactor,
}

/// Why numbers are no ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LadderError {
    /// Zero would fire always, 10000 and more never.
    #[error("{field} is {was}; state 1 to 9999 basis points")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// What it is.
        was: u16,
    },
    /// A higher rung would be reached before a lower one.
    #[error("{field} is {was}, less than {lower} ({lower_bps}); a higher rung needs at least as much")]
    OutOfOrder {
        /// Which number.
        field: &'static str,
        /// What it is.
        was: u16,
        /// The number of the rung below.
        lower: &'static str,
        /// What that is.
        lower_bps: u16,
    },
    /// Rung 2 would leave every size as it is.
    #[error("weekly_size_factor is 1; state less, or rung 2 does nothing")]
    FactorOfOne,
}

impl Thresholds {
    /// Checks that each number is 1 to 9999, and none below the one before it.
    ///
    /// # Errors
    ///
    /// [`LadderError`] names the field.
    pub fn new(bps: ThresholdBps) -> Result<Self, LadderError> {
        let ThresholdBps { daily_bps, weekly_bps, monthly_bps, from_high_water_mark_bps } = bps;
        let rungs = [
            ("daily_bps", daily_bps),
            ("weekly_bps", weekly_bps),
            ("monthly_bps", monthly_bps),
            ("from_high_water_mark_bps", from_high_water_mark_bps),
        ];
        for (field, was) in rungs {
            if was == 0 || was >= WHOLE_BPS {
                return Err(LadderError::OutOfRange { field, was });
            }
        }
        for pair in rungs.windows(2) {
            let ((lower, lower_bps), (field, was)) = (pair[0], pair[1]);
            if was < lower_bps {
                return Err(LadderError::OutOfOrder { field, was, lower, lower_bps });
            }
        }
        Ok(Self { bps })
    }

    /// The numbers.
    #[must_use]
    pub const fn bps(&self) -> ThresholdBps {
        self.bps
    }
}

impl TryFrom<ThresholdBps> for Thresholds {
    type Error = LadderError;

    fn try_from(bps: ThresholdBps) -> Result<Self, LadderError> {
        Self::new(bps)
    }
}

impl From<Thresholds> for ThresholdBps {
    fn from(thresholds: Thresholds) -> Self {
        thresholds.bps
    }
}

impl Ladder {
    /// Checks that the factor is less than one.
    ///
    /// # Errors
    ///
    /// [`LadderError::FactorOfOne`].
    pub fn new(thresholds: Thresholds, weekly_size_factor: SizeFactor) -> Result<Self, LadderError> {
        if weekly_size_factor.is_one() {
            return Err(LadderError::FactorOfOne);
        }
        Ok(Self { thresholds, weekly_size_factor })
    }

    /// When the rungs are reached.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// What limits on size are multiplied with from rung 2 on.
    #[must_use]
    pub const fn weekly_size_factor(&self) -> SizeFactor {
        self.weekly_size_factor
    }
}

impl TryFrom<LadderFields> for Ladder {
    type Error = LadderError;

    fn try_from(fields: LadderFields) -> Result<Self, LadderError> {
        Self::new(fields.thresholds, fields.weekly_size_factor)
    }
}

impl From<Ladder> for LadderFields {
    fn from(ladder: Ladder) -> Self {
        Self { thresholds: ladder.thresholds, weekly_size_factor: ladder.weekly_size_factor }
    }
}

/// What is left of `baseline`, in billionths, rounded down.
fn remaining(value: UnitValue, baseline: UnitValue) -> u128 {
    let baseline = u128::from(baseline.billionths());
    // A baseline of zero is left by nothing: the loss is whole.
    (u128::from(value.billionths()) * BILLION).checked_div(baseline).unwrap_or(0)
}

/// Whether the loss from `baseline` to `value` is `bps` or more.
pub(super) fn reaches(value: UnitValue, baseline: UnitValue, bps: u16) -> bool {
    remaining(value, baseline) <= u128::from(WHOLE_BPS - bps) * (BILLION / 10_000)
}

/// Whether the loss is one and a half times `bps` or more: then one sample is enough. A loss of
/// everything always is.
pub(super) fn reaches_alone(value: UnitValue, baseline: UnitValue, bps: u16) -> bool {
    let enough = u128::from(bps) * (BILLION / 10_000) * 3 / 2;
    remaining(value, baseline) <= BILLION.saturating_sub(enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> UnitValue {
        UnitValue::try_from(text.parse::<trading::Decimal>().expect("a decimal")).expect("a value")
    }

    fn thresholds(numbers: [u16; 4]) -> Result<Thresholds, LadderError> {
        let [daily_bps, weekly_bps, monthly_bps, from_high_water_mark_bps] = numbers;
        Thresholds::new(ThresholdBps { daily_bps, weekly_bps, monthly_bps, from_high_water_mark_bps })
    }

    #[test]
    fn a_threshold_is_reached_at_it_and_not_a_billionth_before() {
        assert!(reaches(value("0.95"), UnitValue::ONE, 500));
        assert!(!reaches(value("0.950000001"), UnitValue::ONE, 500));
        assert!(reaches_alone(value("0.925"), UnitValue::ONE, 500));
        assert!(!reaches_alone(value("0.925000001"), UnitValue::ONE, 500));
    }

    #[test]
    fn what_is_left_rounds_down_and_so_fires_early() {
        // 2.85 of 3.000000001 are 0.94999999968; 2.850000002 are 0.95000000035, rounded to 0.95.
        assert!(reaches(value("2.850000002"), value("3.000000001"), 500));
        assert!(!reaches(value("2.850000004"), value("3.000000001"), 500));
    }

    #[test]
    fn a_whole_loss_reaches_every_threshold_alone() {
        assert!(reaches_alone(value("0"), UnitValue::ONE, 9999));
        assert!(!reaches_alone(value("0.000000001"), UnitValue::ONE, 9999));
        assert!(reaches(value("0"), value("0"), 1));
    }

    #[test]
    fn numbers_that_are_no_ladder_are_named() {
        assert!(thresholds([500, 800, 1500, 1800]).is_ok());
        assert!(thresholds([1, 1, 1, 1]).is_ok());
        assert!(thresholds([9999; 4]).is_ok());
        let of = |numbers| thresholds(numbers).expect_err("no ladder").to_string();
        assert_eq!(of([0, 800, 1500, 1800]), "daily_bps is 0; state 1 to 9999 basis points");
        assert_eq!(
            of([500, 800, 1500, 10_000]),
            "from_high_water_mark_bps is 10000; state 1 to 9999 basis points"
        );
        assert_eq!(
            of([500, 499, 1500, 1800]),
            "weekly_bps is 499, less than daily_bps (500); a higher rung needs at least as much"
        );
        let whole = thresholds([500, 800, 1500, 1800]).and_then(|fine| Ladder::new(fine, SizeFactor::ONE));
        assert_eq!(whole, Err(LadderError::FactorOfOne));
    }

    #[test]
    fn a_file_that_is_no_ladder_is_not_read() {
        let text = r#"{"thresholds":{"daily_bps":500,"weekly_bps":800,"monthly_bps":1500,"from_high_water_mark_bps":1800},"weekly_size_factor":"0.5"}"#;
        let ladder: Ladder = serde_json::from_str(text).expect("a ladder");
        assert_eq!(serde_json::to_string(&ladder).expect("text"), text);
        for (from, to) in [("1800", "1400"), ("0.5", "1"), ("500", "0"), ("daily", "dayly")] {
            assert!(serde_json::from_str::<Ladder>(&text.replace(from, to)).is_err(), "{from} → {to}");
        }
    }
}
