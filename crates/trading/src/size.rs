//! How much of its size limits an account may use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Decimal, Notional, Quantity};

/// Digits of a factor behind the point.
const SCALE: u8 = 4;
/// One, in the smallest steps.
const WHOLE: u16 = 10_000;

/// What limits on size are multiplied with for new risk: above 0 and at most 1, in steps of 0.0001.
/// A smaller factor is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct SizeFactor(u16);

/// Why a number is not a [`SizeFactor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a size factor is above 0 and at most 1, with at most four digits behind the point")]
pub struct SizeFactorError;

impl SizeFactor {
    /// Every limit as it stands.
    pub const ONE: Self = Self(WHOLE);

    /// Whether limits stand as they are.
    #[must_use]
    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }

    /// The number itself.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::new(i128::from(self.0), SCALE).expect("four digits are within a decimal's 38")
    }

    /// This share of a limit, exact; `None` if it does not fit, which allows nothing.
    #[must_use]
    pub fn quantity(self, limit: Quantity) -> Option<Quantity> {
        if self.is_one() { Some(limit) } else { Quantity::new(self.of(limit.decimal())?).ok() }
    }

    /// As [`Self::quantity`].
    #[must_use]
    pub fn notional(self, limit: Notional) -> Option<Notional> {
        if self.is_one() { Some(limit) } else { Notional::new(self.of(limit.decimal())?).ok() }
    }

    fn of(self, limit: Decimal) -> Option<Decimal> {
        limit.checked_mul(self.decimal())
    }
}

impl Default for SizeFactor {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<Decimal> for SizeFactor {
    type Error = SizeFactorError;

    fn try_from(value: Decimal) -> Result<Self, SizeFactorError> {
        let missing = SCALE.checked_sub(value.scale()).ok_or(SizeFactorError)?;
        let steps = value.mantissa().checked_mul(10_i128.pow(u32::from(missing))).ok_or(SizeFactorError)?;
        let steps = u16::try_from(steps).map_err(|_| SizeFactorError)?;
        (1..=WHOLE).contains(&steps).then_some(Self(steps)).ok_or(SizeFactorError)
    }
}

impl From<SizeFactor> for Decimal {
    fn from(factor: SizeFactor) -> Self {
        factor.decimal()
    }
}

impl FromStr for SizeFactor {
    type Err = SizeFactorError;

    fn from_str(text: &str) -> Result<Self, SizeFactorError> {
        text.parse::<Decimal>().map_err(|_| SizeFactorError)?.try_into()
    }
}

impl fmt::Display for SizeFactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decimal().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_above_zero_and_at_most_one_in_steps() {
        for (text, said) in
            [("1", "1"), ("1.0000", "1"), ("0.5", "0.5"), ("0.0001", "0.0001"), ("0.9999", "0.9999")]
        {
            let factor: SizeFactor = text.parse().expect(text);
            assert_eq!(factor.to_string(), said);
            assert_eq!(SizeFactor::try_from(factor.decimal()), Ok(factor));
        }
        let most = "170141183460469231731687303715884105727";
        for text in ["0", "-0.5", "1.0001", "2", "0.00001", "0.50001", "", "half", "NaN", "6.5537", most] {
            assert_eq!(text.parse::<SizeFactor>(), Err(SizeFactorError), "{text}");
        }
    }

    #[test]
    fn every_factor_is_read_as_it_is_written() {
        for steps in 1..=WHOLE {
            let factor = SizeFactor(steps);
            assert_eq!(factor.to_string().parse(), Ok(factor));
        }
    }

    #[test]
    fn shares_are_exact_or_nothing() {
        let third: SizeFactor = "0.3333".parse().expect("a factor");
        let limit: Quantity = "0.05".parse().expect("a limit");
        assert_eq!(third.quantity(limit).map(|share| share.to_string()).as_deref(), Some("0.016665"));
        let most = Notional::new(Decimal::new(i128::MAX, 0).expect("scale")).expect("positive");
        assert_eq!(third.notional(most), None);
        assert_eq!(SizeFactor::ONE.notional(most), Some(most));
    }
}
