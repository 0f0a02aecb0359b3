//! Exact arithmetic on bounded amounts.
//!
//! Prices and quantities enter through the instrument filters (at most 10^7 with six decimals), and
//! configured balances are at most 10^12, so products of two and a fee rate stay within an `i128`.

use trading::Decimal;

const BOUNDED: &str = "amounts are bounded by the instrument filters and the configuration";

/// Reads a constant.
pub(crate) fn constant(text: &str) -> Decimal {
    text.parse().expect("constants are decimal numbers")
}

pub(crate) fn add(left: Decimal, right: Decimal) -> Decimal {
    left.checked_add(right).expect(BOUNDED)
}

pub(crate) fn sub(left: Decimal, right: Decimal) -> Decimal {
    left.checked_sub(right).expect(BOUNDED)
}

pub(crate) fn mul(left: Decimal, right: Decimal) -> Decimal {
    left.checked_mul(right).expect(BOUNDED)
}

pub(crate) fn negate(value: Decimal) -> Decimal {
    value.negated().expect(BOUNDED)
}

pub(crate) fn absolute(value: Decimal) -> Decimal {
    value.checked_abs().expect(BOUNDED)
}

/// Which way an inexact result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Down,
    Up,
}

/// `numerator / denominator` with at most `digits` fractional digits; zero for a zero denominator.
pub(crate) fn divide(numerator: Decimal, denominator: Decimal, digits: u8, round: Round) -> Decimal {
    if denominator.is_zero() {
        return Decimal::ZERO;
    }
    let shift = i32::from(digits) + i32::from(denominator.scale()) - i32::from(numerator.scale());
    let power = 10_i128.checked_pow(shift.unsigned_abs()).expect(BOUNDED);
    let (top, bottom) = if shift >= 0 {
        (numerator.mantissa().checked_mul(power).expect(BOUNDED), denominator.mantissa())
    } else {
        (numerator.mantissa(), denominator.mantissa().checked_mul(power).expect(BOUNDED))
    };
    let whole = top.div_euclid(bottom);
    let inexact = top.rem_euclid(bottom) != 0;
    let mantissa = whole + i128::from(inexact && round == Round::Up);
    Decimal::new(mantissa, digits).expect("few digits")
}

/// `value` with at most `digits` fractional digits.
pub(crate) fn round(value: Decimal, digits: u8, round: Round) -> Decimal {
    if value.scale() <= digits { value } else { divide(value, Decimal::ONE, digits, round) }
}

/// How many whole `step`s `value` is; `None` if it is not a whole number of them.
pub(crate) fn units(value: Decimal, step: Decimal) -> Option<i64> {
    if value.is_multiple_of(step)? {
        i64::try_from(divide(value, step, 0, Round::Down).mantissa()).ok()
    } else {
        None
    }
}

/// How many whole `step`s fit in `value`, at most `i64::MAX`.
pub(crate) fn whole_units(value: Decimal, step: Decimal) -> i64 {
    i64::try_from(divide(value, step, 0, Round::Down).mantissa()).unwrap_or(i64::MAX)
}

/// `count × step`.
pub(crate) fn of_units(count: i64, step: Decimal) -> Decimal {
    mul(Decimal::from_integer(count), step)
}

/// `value` with exactly `digits` fractional digits, as venues print; finer digits are cut.
pub(crate) fn fixed(value: Decimal, digits: u8) -> String {
    let value = round(value, digits, Round::Down);
    let text = value.to_string();
    let missing = usize::from(digits - value.scale());
    if missing == 0 {
        return text;
    }
    let point = if value.scale() == 0 { "." } else { "" };
    format!("{text}{point}{}", "0".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        constant(text)
    }

    #[test]
    fn divides_and_rounds() {
        assert_eq!(divide(decimal("1"), decimal("3"), 4, Round::Down), decimal("0.3333"));
        assert_eq!(divide(decimal("1"), decimal("3"), 4, Round::Up), decimal("0.3334"));
        assert_eq!(divide(decimal("0.00012"), decimal("0.4"), 8, Round::Up), decimal("0.0003"));
        assert_eq!(divide(decimal("1"), Decimal::ZERO, 4, Round::Down), Decimal::ZERO);
    }

    #[test]
    fn counts_steps() {
        assert_eq!(units(decimal("60000.5"), decimal("0.1")), Some(600_005));
        assert_eq!(units(decimal("60000.55"), decimal("0.1")), None);
        assert_eq!(whole_units(decimal("0.0019"), decimal("0.001")), 1);
        assert_eq!(of_units(600_005, decimal("0.1")), decimal("60000.5"));
    }

    #[test]
    fn prints_fixed_digits() {
        assert_eq!(fixed(decimal("0.001"), 8), "0.00100000");
        assert_eq!(fixed(decimal("5"), 2), "5.00");
        assert_eq!(fixed(decimal("5.129"), 2), "5.12");
        assert_eq!(fixed(decimal("7"), 0), "7");
    }
}
