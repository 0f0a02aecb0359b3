use trading::Intent;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a new order that would be more than `limit` within one second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRate {
    pub(crate) limit: u64,
}

impl OrderRate {
    fn was(facts: &Facts<'_>) -> u64 {
        facts.state.new_orders().count(facts.now) + facts.before.new_orders + 1
    }
}

impl Rule for OrderRate {
    const NAME: &'static str = "new_orders_per_second";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let Intent::Place(_) = facts.leg() else { return None };
        let more = facts.before.new_orders + 1;
        let fits = facts.state.new_orders().has_room(more, self.limit, facts.now);
        (!fits).then(|| Denial::OrderRateOverLimit { was: Self::was(facts), limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let Intent::Place(_) = facts.leg() else { return None };
        Some(format!("{} of {}", Self::was(facts), self.limit))
    }
}
