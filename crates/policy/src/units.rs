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

    #[test]
    fn every_small_number_is_rounded_as_stated() {
        for (mantissa, scale) in
            (-3..=1_100_i128).flat_map(|mantissa| (0..=16_u8).map(move |scale| (mantissa, scale)))
        {
            let value = Decimal::new(mantissa, scale).expect("scale");
            if mantissa < 0 {
                assert_eq!((Units::at_least(value), Units::at_most(value)), (None, None));
                continue;
            }
            // In units of 10^-16, in which every one of them is whole.
            let exact = mantissa.unsigned_abs() * power_of_ten(16 - scale).expect("small");
            let (floor, ceiling) = (exact / 10_000, exact.div_ceil(10_000));
            assert_eq!(Units::at_most(value), Some(Units(floor)), "{value}");
            assert_eq!(Units::at_least(value), Some(Units(ceiling)), "{value}");
            let shown = Units(ceiling).decimal();
            assert_eq!(shown, Decimal::new(i128::try_from(ceiling).expect("small"), SCALE).expect("scale"));
        }
    }

    #[test]
    fn sums_and_differences_of_small_numbers_and_at_the_edge() {
        let edge = Units::MOST.0 - 40;
        for (left, right) in (0..=40_u128).flat_map(|left| (0..=40_u128).map(move |right| (left, right))) {
            assert_eq!(Units(left).plus(Units(right)), Some(Units(left + right)));
            assert_eq!(Units(left).minus_saturating(Units(right)), Units(left.saturating_sub(right)));
            let fits = left + right <= 40;
            let sum = Units(edge + left).plus(Units(right));
            assert_eq!(sum, fits.then(|| Units(edge + left + right)));
            assert_eq!(Units(edge + left).plus_saturating(Units(right)), sum.unwrap_or(Units::MOST));
        }
        assert_eq!(Units(u128::MAX).plus(Units(1)), None);
    }

    #[test]
    fn the_edges_of_what_fits() {
        let units =
            |mantissa: i128, scale: u8| Units::at_least(Decimal::new(mantissa, scale).expect("scale"));
        assert_eq!(units(i128::MAX, 12), Some(Units::MOST));
        let most = i128::MAX / 1_000_000_000_000;
        assert_eq!(units(most, 0).map(|units| units.0), Some(most.unsigned_abs() * 1_000_000_000_000));
        assert_eq!(units(most + 1, 0), None);
        assert_eq!(units(i128::MAX, 0), None);
        assert_eq!(units(1, 38), Some(Units(1)));
        assert_eq!(Units::at_most(Decimal::new(1, 38).expect("scale")), Some(Units::ZERO));
        assert_eq!(Units::MOST.decimal(), Decimal::new(i128::MAX, 12).expect("scale"));
        for units in [u128::from(u64::MAX), u128::from(u64::MAX) + 1, 18_000_000_000_000_000_000, 1, 0] {
            let expected = Decimal::new(i128::try_from(units).expect("small"), 12).expect("scale");
            assert_eq!(Units(units).decimal(), expected, "{units}: on both sides of 64 bits");
        }
        assert_eq!(power_of_ten(38), Some(10_u128.pow(38)));
        assert_eq!(power_of_ten(39), None);
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for units in [0, 1, 10, u128::from(u64::MAX), Units::MOST.0] {
            assert_eq!(Units::from_text(&Units(units).to_text()), Some(Units(units)));
        }
        for text in ["", "-1", "+1", "01", "1.0", " 1", &(Units::MOST.0 + 1).to_string()] {
            assert_eq!(Units::from_text(text), None, "{text}");
        }
        assert_eq!(Units(0x0102).to_be_bytes()[14..], [1, 2]);
    }
}
