//! Sums of money as counters keep them: whole units of 10^-12 of the account's currency.

use trading::Decimal;

/// Fractional digits of a unit.
const SCALE: u8 = 12;

/// A sum of the account's currency in units of 10^-12, never negative. Conversion from a decimal
/// rounds up (towards caution); sums are exact or fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Units(u128);

impl Units {
    pub(crate) const ZERO: Self = Self(0);
    /// The largest sum that is kept.
    pub(crate) const MOST: Self = Self(i128::MAX.unsigned_abs());

    /// The smallest sum that is not less than `value`; `None` if negative or beyond what fits.
    #[inline]
    pub(crate) fn at_least(value: Decimal) -> Option<Self> {
        let mantissa = u128::try_from(value.mantissa()).ok()?;
        let units = if value.scale() <= SCALE {
            mantissa.checked_mul(power_of_ten(SCALE - value.scale())?)?
        } else {
            mantissa.div_ceil(power_of_ten(value.scale() - SCALE)?)
        };
        // Kept within i128 so that every sum can be shown as a decimal.
        i128::try_from(units).ok()?;
        Some(Self(units))
    }

    /// The number of units, to be written down.
    pub(crate) fn to_text(self) -> String {
        self.0.to_string()
    }

    /// Reads what [`Self::to_text`] wrote; `None` for anything else.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let units = text.parse().ok()?;
        (units <= Self::MOST.0 && u128::to_string(&units) == text).then_some(Self(units))
    }

    /// The largest sum that is not more than `value`: for limits.
    pub(crate) fn at_most(value: Decimal) -> Option<Self> {
        if value.scale() <= SCALE {
            return Self::at_least(value);
        }
        let mantissa = u128::try_from(value.mantissa()).ok()?;
        Some(Self(mantissa / power_of_ten(value.scale() - SCALE)?))
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        i128::try_from(sum).ok()?;
        Some(Self(sum))
    }

    /// The sum, or the largest there is: for what must be counted and cannot be denied.
    pub(crate) fn plus_saturating(self, other: Self) -> Self {
        self.plus(other).unwrap_or(Self::MOST)
    }

    /// The difference, or zero.
    pub(crate) const fn minus_saturating(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    #[inline]
    pub(crate) fn decimal(self) -> Decimal {
        // Sums below 18 million fit 64 bits, in which stripping zeros is many times faster.
        let (mantissa, scale) = match u64::try_from(self.0) {
            Ok(units) => stripped(units),
            Err(_) => (i128::try_from(self.0).expect("sums are kept within i128"), SCALE),
        };
        Decimal::new(mantissa, scale).expect("twelve digits are within a decimal's 38")
    }

    pub(crate) const fn to_be_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// Units without the zeros at the end of their fraction. Eight at once, then four, two and one: most
/// sums have many.
#[inline]
fn stripped(mut units: u64) -> (i128, u8) {
    let mut scale = SCALE;
    for (digits, power) in [(8, 100_000_000), (4, 10_000), (2, 100), (1, 10)] {
        if scale >= digits && units.is_multiple_of(power) {
            units /= power;
            scale -= digits;
        }
    }
    (i128::from(units), scale)
}

/// 10^0 to 10^38.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

fn power_of_ten(exponent: u8) -> Option<u128> {
    POWERS.get(usize::from(exponent)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let units = Units::at_least(text.parse().expect(text)).expect(text);
        assert_eq!(units.decimal().to_string(), expected);
    }

    #[test]
    fn keeps_twelve_digits_and_rounds_the_rest_up() {
        check("0", "0");
        check("1500", "1500");
        check("0.000000000001", "0.000000000001");
        check("0.0000000000011", "0.000000000002");
        check("1e-18", "0.000000000001");
        check("123456789012.5", "123456789012.5");
        for zeros in 0..=12 {
            let number = Decimal::new(7, zeros).expect("small");
            assert_eq!(Units::at_least(number).expect("small").decimal(), number);
        }
        let limit = Units::at_most("0.0000000000019".parse().expect("number")).expect("small");
        assert_eq!(limit.decimal().to_string(), "0.000000000001");
    }

    #[test]
    fn refuses_what_it_cannot_hold() {
        assert_eq!(Units::at_least("-1".parse().expect("number")), None);
        assert_eq!(Units::at_least("1e27".parse().expect("number")), None);
        let most = Units::MOST;
        assert_eq!(most.plus(Units(1)), None);
        assert_eq!(most.plus_saturating(Units(1)), most);
    }
}
