use std::marker::PhantomData;

use trading::{Notional, Timestamp};

use super::{Rule, Tier, Whose, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::state::Counters;
use crate::units::Units;

/// Denies an order that, with what `W` signed within the period `P`, exceeds `limit`. What was
/// signed stays counted, cancelled or not. Exits count and are never denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget<P, W> {
    pub(crate) limit: Notional,
    /// `limit`, as the counters count.
    units: Units,
    of: PhantomData<(P, W)>,
}

/// Since midnight UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UtcDay;

/// Within the last 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rolling24h;

/// The time over which a budget counts.
pub(crate) trait Period<W> {
    /// Name of the rule.
    const NAME: &'static str;
    fn spent(counters: &Counters, now: Timestamp) -> Units;
    fn exceeded(was: Units, limit: Notional) -> Denial;
}

impl<W: Whose> Period<W> for UtcDay {
    const NAME: &'static str = W::DAY;

    #[inline]
    fn spent(counters: &Counters, now: Timestamp) -> Units {
        counters.day_spent(now)
    }

    fn exceeded(was: Units, limit: Notional) -> Denial {
        Denial::DayBudgetExceeded { was: was.decimal(), limit }
    }
}

impl<W: Whose> Period<W> for Rolling24h {
    const NAME: &'static str = W::ROLLING;

    #[inline]
    fn spent(counters: &Counters, now: Timestamp) -> Units {
        counters.rolling_spent(now)
    }

    fn exceeded(was: Units, limit: Notional) -> Denial {
        Denial::RollingBudgetExceeded { was: was.decimal(), limit }
    }
}

impl<P: Period<W>, W: Whose> Budget<P, W> {
    /// `None` if the counters cannot hold `limit`.
    pub(crate) fn new(limit: Notional) -> Option<Self> {
        Some(Self { limit, units: Units::at_most(limit.decimal())?, of: PhantomData })
    }

    /// What would be signed with this order; `None` if the sum does not fit.
    #[inline]
    fn was(facts: &Facts<'_>, charge: Units) -> Option<Units> {
        let spent = W::counters(facts).map_or(Units::ZERO, |counters| P::spent(counters, facts.now));
        spent.plus(facts.before.notional)?.plus(charge)
    }
}

impl<P: Period<W>, W: Whose> Rule for Budget<P, W> {
    const NAME: &'static str = P::NAME;
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        if facts.order.as_ref()?.exit {
            return None;
        }
        // An order without a charge cannot be valued and is denied by the rule that says why.
        match Self::was(facts, facts.charge?) {
            None => Some(arithmetic::<Self>()),
            Some(was) => (was > self.units).then(|| W::denial(P::exceeded(was, self.limit))),
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let charge = facts.charge?;
        let was = Self::was(facts, charge).map_or("too large".to_owned(), |was| was.decimal().to_string());
        Some(format!("{was} of {}, {} of it this order", self.limit, charge.decimal()))
    }
}
