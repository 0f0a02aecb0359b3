use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Origin;

/// Denies a new order that may rest when more than `limit` would be open: all that were signed
/// and are not reported gone. Exits count and are never denied. Reports of closing come through
/// the gateway, hence tier O.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenOrders {
    pub(crate) limit: u64,
}

impl OpenOrders {
    /// How many would be open, if the order adds one.
    fn was(facts: &Facts<'_>, open: u64) -> Option<u64> {
        let order = facts.order.as_ref()?;
        (order.origin == Origin::New && order.rests()).then(|| open + facts.before.open_orders + 1)
    }
}

impl Rule for OpenOrders {
    const NAME: &'static str = "max_open_orders";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        if facts.order.as_ref()?.exit || Self::was(facts, facts.state.orders.open_at_most())? <= self.limit {
            return None;
        }
        let was = Self::was(facts, facts.state.orders.open(facts.now))?;
        (was > self.limit).then(|| Denial::OpenOrdersOverLimit { was, limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = Self::was(facts, facts.state.orders.open(facts.now))?;
        Some(format!("{was} of {}", self.limit))
    }
}
