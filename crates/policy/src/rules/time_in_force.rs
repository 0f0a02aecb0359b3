use std::collections::BTreeSet;

use trading::TimeInForce;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Judged;

/// Denies a limit order whose time in force is not on the list. Market orders never rest, so the
/// list has no say in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimesInForce {
    pub(crate) allowed: BTreeSet<TimeInForce>,
}

fn judged(order: &Judged<'_>) -> Option<TimeInForce> {
    order.order_type.is_limit().then_some(order.time_in_force)
}

impl Rule for TimesInForce {
    const NAME: &'static str = "time_in_force";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = judged(facts.order.as_ref()?)?;
        (!self.allowed.contains(&was)).then(|| Denial::TimeInForceNotAllowed { was })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = judged(facts.order.as_ref()?)?;
        Some(format!("{was}; allowed: {}", super::listed(&self.allowed)))
    }
}
