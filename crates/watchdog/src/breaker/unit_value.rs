//! What one unit of an account is worth, so that deposits and withdrawals neither trip nor hide anything.

use std::fmt;

use serde::{Deserialize, Serialize};
use trading::Decimal;

/// Digits of [`Money`] and [`UnitValue`] behind the point.
const NANO: u8 = 9;
/// Digits that a [`Precise`] value carries behind the point.
const PRECISE: u8 = 18;
/// 10^9.
pub(super) const BILLION: u128 = 1_000_000_000;
/// The largest amount that is believed: 10^18 of the currency.
const MOST_MONEY: i128 = 1_000_000_000_000_000_000_000_000_000;

/// An amount of the accounting currency, in billionths of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Money(i128);

impl Money {
    pub(super) const ZERO: Self = Self(0);

    /// The largest amount that is not above `exact`; `None` beyond ±10^18.
    pub(super) fn at_most(exact: Decimal) -> Option<Self> {
        let (mantissa, scale) = (exact.mantissa(), exact.scale());
        let nano = if scale <= NANO {
            mantissa.checked_mul(10_i128.pow(u32::from(NANO - scale)))?
        } else {
            mantissa.div_euclid(10_i128.pow(u32::from(scale - NANO)))
        };
        (nano.abs() <= MOST_MONEY).then_some(Self(nano))
    }

    /// The smallest amount that is not below `exact`; `None` beyond ±10^18.
    pub(super) fn at_least(exact: Decimal) -> Option<Self> {
        Some(Self(-Self::at_most(exact.negated()?)?.0))
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| sum.abs() <= MOST_MONEY).map(Self)
    }

    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self(-other.0))
    }

    pub(super) const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether the two are further apart than `bps` basis points of `self`.
    pub(super) fn differs(self, other: Self, bps: u16) -> bool {
        // Both are below 10^27, so neither product leaves an `i128`.
        (self.0 - other.0).abs() * 10_000 > self.0.abs() * i128::from(bps)
    }

    /// As a positive factor; `None` if it is not above zero.
    fn factor(self) -> Option<u128> {
        u128::try_from(self.0).ok().filter(|factor| *factor > 0)
    }
}

impl TryFrom<Decimal> for Money {
    type Error = &'static str;

    fn try_from(exact: Decimal) -> Result<Self, Self::Error> {
        let money = Self::at_most(exact).ok_or("is more than 10^18")?;
        (Decimal::from(money) == exact).then_some(money).ok_or("is finer than 10^-9")
    }
}

impl From<Money> for Decimal {
    fn from(money: Money) -> Self {
        Self::new(money.0, NANO).expect("nine digits are within a decimal's 38")
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::from(*self).fmt(formatter)
    }
}

/// The worth of one unit, in billionths; a new account's unit is worth one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct UnitValue(u64);

impl UnitValue {
    /// What a unit is worth at the start.
    pub const ONE: Self = Self(1_000_000_000);
    /// Worth nothing.
    pub(super) const ZERO: Self = Self(0);

    /// Billionths.
    #[must_use]
    pub const fn billionths(self) -> u64 {
        self.0
    }
}

impl TryFrom<Decimal> for UnitValue {
    type Error = &'static str;

    fn try_from(exact: Decimal) -> Result<Self, Self::Error> {
        u64::try_from(Money::try_from(exact)?.0).map(Self).map_err(|_| "is no worth of a unit")
    }
}

impl From<UnitValue> for Decimal {
    fn from(value: UnitValue) -> Self {
        Self::new(i128::from(value.0), NANO).expect("nine digits are within a decimal's 38")
    }
}

impl fmt::Display for UnitValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::from(*self).fmt(formatter)
    }
}

/// A unit's worth in 10^-18, always rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub(super) struct Precise(u128);

impl Precise {
    const ONE: Self = Self(BILLION * BILLION);

    /// Rounded down: what is judged must not look better than it is.
    pub(super) fn down(self) -> Option<UnitValue> {
        u64::try_from(self.0 / BILLION).ok().map(UnitValue)
    }

    /// Rounded up: what is compared with must not look worse than it was.
    pub(super) fn up(self) -> Option<UnitValue> {
        u64::try_from(self.0.div_ceil(BILLION)).ok().map(UnitValue)
    }
}

impl TryFrom<Decimal> for Precise {
    type Error = &'static str;

    fn try_from(exact: Decimal) -> Result<Self, Self::Error> {
        let missing = PRECISE.checked_sub(exact.scale()).ok_or("is finer than 10^-18")?;
        let raised = exact.mantissa().checked_mul(10_i128.pow(u32::from(missing)));
        raised.and_then(|raised| u128::try_from(raised).ok()).map(Self).ok_or("is no worth of a unit")
    }
}

impl From<Precise> for Decimal {
    fn from(value: Precise) -> Self {
        let mantissa = i128::try_from(value.0).expect("a worth is checked when it is made");
        Self::new(mantissa, PRECISE).expect("18 digits are within a decimal's 38")
    }
}

/// How many units an account has: `equity / value`, kept as this pair so that no division rounds it.
///
/// A flow `f` changes the number of units at the value just before it, `U += f / n`; in this form
/// `(E, n)` becomes `(E + f, n)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Units {
    equity: Money,
    value: Precise,
}

impl Units {
    /// Each currency unit of a positive `equity` is one unit.
    pub(super) fn start(equity: Money) -> Option<Self> {
        equity.is_positive().then_some(Self { equity, value: Precise::ONE })
    }

    /// What a unit is worth while all of them are worth `equity`: zero if that is not positive,
    /// `None` if it does not fit.
    pub(super) fn value_at(&self, equity: Money) -> Option<Precise> {
        let Some(equity) = equity.factor() else { return Some(Precise(0)) };
        let value = mul_div(self.value.0, equity, self.equity.factor()?)?;
        i128::try_from(value).ok().map(|_| Precise(value))
    }

    /// The units after `flow`, when all were worth `before` just before it. `None` if nothing is left.
    pub(super) fn after_flow(&self, before: Money, flow: Money) -> Option<Self> {
        let equity = before.plus(flow).filter(|equity| equity.is_positive())?;
        let value = self.value_at(before).filter(|value| value.0 > 0)?;
        Some(Self { equity, value })
    }

    /// The units after a `flow` that is already part of `equity`. `None` if nothing was left then.
    pub(super) fn after_late_flow(&self, equity: Money, flow: Money) -> Option<Self> {
        let without = equity.minus(flow)?;
        let value = self.value_at(without).filter(|value| value.0 > 0)?;
        equity.is_positive().then_some(Self { equity, value })
    }
}

/// `left × right / divisor`, rounded down; `None` if it does not fit or `divisor` is 0 or above 2^127.
fn mul_div(left: u128, right: u128, divisor: u128) -> Option<u128> {
    if divisor == 0 || divisor > 1 << 127 {
        return None;
    }
    if let Some(product) = left.checked_mul(right) {
        return Some(product / divisor);
    }
    let (high, low) = wide_product(left, right);
    if high >= divisor {
        return None;
    }
    // Long division, a bit at a time. The remainder stays below 2^127, so that a shift never loses a bit.
    let (mut remainder, mut quotient) = (high, 0_u128);
    for bit in (0..128).rev() {
        remainder = remainder << 1 | (low >> bit & 1);
        quotient <<= 1;
        if remainder >= divisor {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    Some(quotient)
}

/// Upper and lower half of the 256-bit product.
const fn wide_product(left: u128, right: u128) -> (u128, u128) {
    const HALF: u128 = u64::MAX as u128;
    let (left_high, left_low) = (left >> 64, left & HALF);
    let (right_high, right_low) = (right >> 64, right & HALF);
    let low = left_low * right_low;
    // Each of the three is below 2^64 when summed by halves, so the sum does not overflow.
    let first = left_low * right_high;
    let second = left_high * right_low;
    let middle = (low >> 64) + (first & HALF) + (second & HALF);
    let high = left_high * right_high + (first >> 64) + (second >> 64) + (middle >> 64);
    (high, middle << 64 | low & HALF)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        Money::at_most(text.parse().expect("a decimal")).expect("an amount")
    }

    fn value(units: &Units, equity: &str) -> String {
        units.value_at(money(equity)).and_then(Precise::down).expect("a value").to_string()
    }

    #[test]
    fn amounts_round_the_way_they_say() {
        let exact: Decimal = "-1.0000000005".parse().expect("a decimal");
        assert_eq!(Money::at_most(exact).map(|money| money.to_string()).as_deref(), Some("-1.000000001"));
        assert_eq!(Money::at_least(exact).map(|money| money.to_string()).as_deref(), Some("-1"));
        assert_eq!(Money::at_most("1e18".parse().expect("a decimal")).map(|money| money.0), Some(MOST_MONEY));
        assert_eq!(Money::at_most("1000000000000000000.1".parse().expect("a decimal")), None);
    }

    #[test]
    fn a_deposit_at_096_changes_no_value() {
        let units = Units::start(money("4000")).expect("positive");
        assert_eq!(value(&units, "3840"), "0.96");
        let units = units.after_flow(money("3840"), money("1000")).expect("positive");
        assert_eq!(value(&units, "4840"), "0.96");
        // 5 % of the start: 0.95 / 0.96 of what is there now.
        assert_eq!(value(&units, "4789.583333333"), "0.949999999");
        assert_eq!(value(&units, "4789.583333334"), "0.95");
    }

    #[test]
    fn half_withdrawn_changes_no_value_whenever_it_is_told() {
        let units = Units::start(money("4000")).expect("positive");
        let told_before = units.after_flow(money("4000"), money("-2000")).expect("positive");
        let told_after = units.after_late_flow(money("2000"), money("-2000")).expect("positive");
        assert_eq!(told_before, told_after);
        assert_eq!(value(&told_before, "2000"), "1");
        assert_eq!(value(&told_before, "1900"), "0.95");
    }

    #[test]
    fn nothing_left_has_no_units() {
        let units = Units::start(money("4000")).expect("positive");
        assert_eq!(units.after_flow(money("4000"), money("-4000")), None);
        assert_eq!(units.after_flow(money("0"), money("100")), None);
        assert_eq!(Units::start(money("0")), None);
        assert_eq!(value(&units, "-1"), "0");
    }

    proptest! {
        #[test]
        fn mul_div_agrees_with_numbers_without_bounds(left in any::<u128>(), right in any::<u128>(), divisor in 1..=1_u128 << 127, shift in 0_u32..128) {
            let right = right >> shift;
            let exact = BigUint::from(left) * right / divisor;
            prop_assert_eq!(mul_div(left, right, divisor), u128::try_from(exact).ok());
        }

        #[test]
        fn a_flow_moves_the_value_by_no_more_than_its_last_digit(start in 1_u32..1_000_000, now in 1_u32..1_000_000, flow in 0_u32..1_000_000) {
            let whole = |amount: u32| Money(i128::from(amount) * 1_000_000_000);
            let units = Units::start(whole(start)).expect("positive");
            let after = units.after_flow(whole(now), whole(flow)).expect("positive");
            let before = units.value_at(whole(now)).expect("fits");
            let later = after.value_at(whole(now + flow)).expect("fits");
            prop_assert_eq!(later, before, "the flow itself changes nothing");
        }
    }
}
