//! An exact decimal number: an integer mantissa and a count of fractional digits.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Most fractional digits that text may carry; the finest unit any supported venue uses is 1e-18.
const MAX_TEXT_SCALE: u8 = 18;
/// Most fractional digits a computed value may carry: 10^38 is the last power of ten in an `i128`.
const MAX_SCALE: u8 = 38;

/// An exact decimal: `mantissa × 10^-scale`.
///
/// Arithmetic is exact or it fails: there is no rounding, no infinity and no float anywhere. The
/// mantissa never ends in a zero while there are fractional digits, so equal numbers are equal
/// bytes (`0.50` and `0.5` compare, hash and print the same).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

/// Why a text is not a [`Decimal`], or why a result does not fit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// The text is empty, or holds something else than digits, one point, a sign or an exponent.
    #[error("is not a decimal number")]
    Malformed,
    /// The number is finer than 18 fractional digits or needs more than 38 digits.
    #[error("has more digits than can be held exactly")]
    TooManyDigits,
    /// The exact result does not fit.
    #[error("arithmetic overflow")]
    Overflow,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };
    /// One.
    pub const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// Returns `mantissa × 10^-scale`, in lowest terms.
    ///
    /// # Errors
    ///
    /// [`DecimalError::TooManyDigits`] if `scale` exceeds 38.
    pub fn new(mantissa: i128, scale: u8) -> Result<Self, DecimalError> {
        if scale > MAX_SCALE {
            return Err(DecimalError::TooManyDigits);
        }
        Ok(Self { mantissa, scale }.reduced())
    }

    /// Returns the whole number `value`.
    #[must_use]
    pub const fn from_integer(value: i64) -> Self {
        Self { mantissa: value as i128, scale: 0 }
    }

    /// The digits without their point.
    #[must_use]
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many of the digits stand behind the point.
    #[must_use]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Whether this is exactly zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether this is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    /// Whether this is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The exact product, or `None` if it does not fit.
    #[must_use]
    #[inline]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let scale = self.scale + other.scale;
        let mantissa = match (i64::try_from(self.mantissa), i64::try_from(other.mantissa)) {
            // The product of two 64-bit numbers always fits and takes one instruction.
            (Ok(left), Ok(right)) => i128::from(left) * i128::from(right),
            _ => self.mantissa.checked_mul(other.mantissa)?,
        };
        let product = Self { mantissa, scale }.reduced();
        (product.scale <= MAX_SCALE).then_some(product)
    }

    /// The exact sum, or `None` if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (left, right, scale) = align(self, other)?;
        Some(Self { mantissa: left.checked_add(right)?, scale }.reduced())
    }

    /// The exact difference, or `None` if it does not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.negated()?)
    }

    /// The same number with the other sign, or `None` for the one mantissa that has no opposite.
    #[must_use]
    pub fn negated(self) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_neg()?, scale: self.scale })
    }

    /// The distance from zero, or `None` for the one mantissa that has no opposite.
    #[must_use]
    pub fn checked_abs(self) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_abs()?, scale: self.scale })
    }

    /// Whether this is a whole multiple of `step`; `None` if `step` is not positive or the two
    /// cannot be brought to one scale.
    #[must_use]
    #[inline]
    pub fn is_multiple_of(self, step: Self) -> Option<bool> {
        if !step.is_positive() {
            return None;
        }
        let (value, step, _) = align(self, step)?;
        // Most numbers fit 64 bits, in which a division is many times faster.
        if let (Ok(value), Ok(step)) = (i64::try_from(value), i64::try_from(step)) {
            return Some(value % step == 0);
        }
        Some(value % step == 0)
    }

    #[inline]
    fn reduced(mut self) -> Self {
        if self.mantissa == 0 {
            return Self::ZERO;
        }
        // Most numbers fit 64 bits, in which a division is many times faster.
        if let Ok(mut small) = i64::try_from(self.mantissa) {
            while self.scale > 0 && small % 10 == 0 {
                small /= 10;
                self.scale -= 1;
            }
            return Self { mantissa: i128::from(small), scale: self.scale };
        }
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }
}

/// Both mantissas at the larger of the two scales.
#[inline]
fn align(left: Decimal, right: Decimal) -> Option<(i128, i128, u8)> {
    let scale = left.scale.max(right.scale);
    Some((raised(left, scale)?, raised(right, scale)?, scale))
}

#[inline]
fn raised(value: Decimal, scale: u8) -> Option<i128> {
    if value.scale == scale {
        return Some(value.mantissa);
    }
    let power = POWERS[usize::from(scale - value.scale)];
    match (i64::try_from(value.mantissa), i64::try_from(power)) {
        // The product of two 64-bit numbers always fits and takes one instruction.
        (Ok(mantissa), Ok(power)) => Some(i128::from(mantissa) * i128::from(power)),
        _ => power.checked_mul(value.mantissa),
    }
}

/// 10^0 to 10^38.
const POWERS: [i128; MAX_SCALE as usize + 1] = {
    let mut powers = [1; MAX_SCALE as usize + 1];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

impl Ord for Decimal {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        if self.mantissa.signum() != other.mantissa.signum() {
            return self.mantissa.signum().cmp(&other.mantissa.signum());
        }
        if let Some((left, right, _)) = align(*self, *other) {
            return left.cmp(&right);
        }
        // One side does not fit the other's scale, so it is the larger in magnitude.
        let left_is_larger = raised(*self, self.scale.max(other.scale)).is_none();
        if left_is_larger == (self.mantissa > 0) { Ordering::Greater } else { Ordering::Less }
    }
}

impl PartialOrd for Decimal {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `-12.50`, `1e-8`, `.5` and `5.`, as venues and their libraries write them.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits),
        };
        let mut mantissa: i128 = 0;
        let mut scale: i32 = 0;
        let mut seen_digit = false;
        let mut seen_point = false;
        for byte in digits.bytes() {
            match byte {
                b'0'..=b'9' => {
                    seen_digit = true;
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|shifted| shifted.checked_add(i128::from(byte - b'0')))
                        .ok_or(DecimalError::TooManyDigits)?;
                    scale += i32::from(seen_point);
                }
                b'.' if !seen_point => seen_point = true,
                _ => return Err(DecimalError::Malformed),
            }
        }
        if !seen_digit {
            return Err(DecimalError::Malformed);
        }
        let signed = if negative { -mantissa } else { mantissa };
        with_exponent(signed, scale - exponent)
    }
}

fn parse_exponent(text: &str) -> Result<i32, DecimalError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let value: i32 = digits.parse().map_err(|_| DecimalError::Malformed)?;
    Ok(if text.starts_with('-') { -value } else { value })
}

fn with_exponent(mantissa: i128, scale: i32) -> Result<Decimal, DecimalError> {
    if mantissa == 0 {
        return Ok(Decimal::ZERO);
    }
    if scale <= 0 {
        let mantissa = 10_i128
            .checked_pow(scale.unsigned_abs())
            .and_then(|power| mantissa.checked_mul(power))
            .ok_or(DecimalError::TooManyDigits)?;
        return Ok(Decimal { mantissa, scale: 0 });
    }
    let (mut mantissa, mut scale) = (mantissa, scale);
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    match u8::try_from(scale) {
        Ok(scale) if scale <= MAX_TEXT_SCALE => Ok(Decimal { mantissa, scale }),
        _ => Err(DecimalError::TooManyDigits),
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // From the right: the fraction with all its zeros, the point, and at least one digit before it.
        let mut text = [b'0'; MAX_SCALE as usize + 3];
        let (mut start, mut rest) = (text.len(), self.mantissa.unsigned_abs());
        let mut digits = 0;
        while rest > 0 || digits <= self.scale {
            if digits == self.scale && digits > 0 {
                start -= 1;
                text[start] = b'.';
            }
            start -= 1;
            let (others, last) = match u64::try_from(rest) {
                Ok(small) => (u128::from(small / 10), (small % 10) as u8),
                Err(_) => (rest / 10, (rest % 10) as u8),
            };
            text[start] = b'0' + last;
            rest = others;
            digits += 1;
        }
        let text = std::str::from_utf8(&text[start..]).map_err(|_| fmt::Error)?;
        formatter.pad_integral(self.mantissa >= 0, "", text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// Reads a decimal from a string; a bare number would already have passed through a float.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}` {error}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<Decimal>().expect(text).to_string(), expected);
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().expect(text)
    }

    #[test]
    fn reads_what_venues_write() {
        check("0.00100000", "0.001");
        check("65432.10", "65432.1");
        check("1e-8", "0.00000001");
        check("1E3", "1000");
        check("2.50e+2", "250");
        check("-0", "0");
        check(".5", "0.5");
        check("5.", "5");
        check("100", "100");
    }

    #[test]
    fn refuses_what_is_not_a_number() {
        for text in
            ["", "-", ".", "1.2.3", "0x10", "1e", "1e1234", "NaN", "inf", " 1", "1 ", "1_0", "٣", "+1"]
        {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn refuses_digits_it_cannot_hold() {
        for text in ["1e-19", "1e39", "0.0000000000000000001", "1000000000000000000000000000000000000000"] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::TooManyDigits), "{text}");
        }
    }

    #[test]
    fn multiplies_exactly_or_not_at_all() {
        assert_eq!(decimal("65432.1").checked_mul(decimal("0.001")), Some(decimal("65.4321")));
        let huge = Decimal::new(i128::MAX, 0).expect("scale 0");
        assert_eq!(huge.checked_mul(decimal("2")), None);
    }

    #[test]
    fn knows_multiples_of_a_tick() {
        assert_eq!(decimal("60000.5").is_multiple_of(decimal("0.1")), Some(true));
        assert_eq!(decimal("60000.55").is_multiple_of(decimal("0.1")), Some(false));
        assert_eq!(decimal("1").is_multiple_of(Decimal::ZERO), None);
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_identity(mantissa in -(1_i128 << 100)..(1_i128 << 100), scale in 0_u8..=18) {
            let value = Decimal::new(mantissa, scale).expect("scale in range");
            prop_assert_eq!(value.to_string().parse::<Decimal>(), Ok(value));
        }

        #[test]
        fn order_agrees_with_subtraction(a in any::<i64>(), b in any::<i64>(), s in 0_u8..=18, t in 0_u8..=18) {
            let left = Decimal::new(i128::from(a), s).expect("scale");
            let right = Decimal::new(i128::from(b), t).expect("scale");
            let difference = left.checked_sub(right).expect("small numbers");
            prop_assert_eq!(left.cmp(&right), difference.cmp(&Decimal::ZERO));
        }

        #[test]
        fn order_is_total_at_the_edges(a in any::<i128>(), s in 0_u8..=38, b in any::<i128>(), t in 0_u8..=38) {
            let left = Decimal::new(a, s).expect("scale");
            let right = Decimal::new(b, t).expect("scale");
            prop_assert_eq!(left.cmp(&right), right.cmp(&left).reverse());
            prop_assert_eq!(left == right, left.cmp(&right) == Ordering::Equal);
        }
    }
}
