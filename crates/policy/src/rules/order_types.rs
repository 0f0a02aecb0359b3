use std::collections::BTreeSet;

use trading::OrderType;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies an order of a type that is not on the list. Holds for exits too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderTypes {
    pub(crate) allowed: BTreeSet<OrderType>,
}

impl Rule for OrderTypes {
    const NAME: &'static str = "order_types";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = facts.order.as_ref()?.order_type;
        (!self.allowed.contains(&was)).then(|| Denial::OrderTypeNotAllowed { was })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = facts.order.as_ref()?.order_type;
        Some(format!("{was}; allowed: {}", super::listed(&self.allowed)))
    }
}
