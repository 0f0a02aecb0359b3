use std::marker::PhantomData;

use trading::Intent;

use super::{Rule, Tier, Whose};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a new order that would be more than `limit` of `W` within one second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRate<W> {
    pub(crate) limit: u64,
    of: PhantomData<W>,
}

impl<W: Whose> OrderRate<W> {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, of: PhantomData }
    }

    fn was(facts: &Facts<'_>) -> u64 {
        let counted = W::counters(facts).map_or(0, |counters| counters.new_orders.count(facts.now));
        counted + facts.before.new_orders + 1
    }
}

impl<W: Whose> Rule for OrderRate<W> {
    const NAME: &'static str = W::NEW_ORDERS;
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let Intent::Place(_) = facts.leg() else { return None };
        let more = facts.before.new_orders + 1;
        let fits = match W::counters(facts) {
            Some(counters) => counters.new_orders.has_room(more, self.limit, facts.now),
            None => more <= self.limit,
        };
        (!fits).then(|| W::denial(Denial::OrderRateOverLimit { was: Self::was(facts), limit: self.limit }))
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let Intent::Place(_) = facts.leg() else { return None };
        Some(format!("{} of {}", Self::was(facts), self.limit))
    }
}
