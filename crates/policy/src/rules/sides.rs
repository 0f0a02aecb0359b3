use std::collections::BTreeSet;

use trading::Side;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies an order on a side that is not on the list. Holds for exits too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) allowed: BTreeSet<Side>,
}

impl Rule for Sides {
    const NAME: &'static str = "sides";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        match facts.order.as_ref()?.side {
            Some(was) => (!self.allowed.contains(&was)).then(|| Denial::SideNotAllowed { was }),
            None => {
                let all = Side::ALL.iter().all(|side| self.allowed.contains(side));
                (!all).then(|| Denial::SideUnknown)
            }
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = facts.order.as_ref()?.side.map_or("unknown", Side::as_str);
        Some(format!("{was}; allowed: {}", super::listed(&self.allowed)))
    }
}
