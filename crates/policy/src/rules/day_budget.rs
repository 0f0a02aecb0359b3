use trading::Notional;

use super::{Rule, Tier, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::units::Units;

/// Denies an order that, with what was signed since midnight UTC, exceeds `limit`. What was
/// signed stays counted, cancelled or not. Exits count and are never denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DayBudget {
    pub(crate) limit: Notional,
    /// `limit`, as the counters count.
    units: Units,
}

impl DayBudget {
    /// `None` if the counters cannot hold `limit`.
    pub(crate) fn new(limit: Notional) -> Option<Self> {
        Some(Self { limit, units: Units::at_most(limit.decimal())? })
    }

    /// What would be signed with this order; `None` if the sum does not fit.
    fn was(facts: &Facts<'_>, charge: Units) -> Option<Units> {
        facts.state.day_spent(facts.now).plus(facts.before.notional)?.plus(charge)
    }
}

impl Rule for DayBudget {
    const NAME: &'static str = "notional_per_utc_day";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        if facts.order.as_ref()?.exit {
            return None;
        }
        // An order without a charge cannot be valued and is denied by the rule that says why.
        match Self::was(facts, facts.charge?) {
            None => Some(arithmetic::<Self>()),
            Some(was) => (was > self.units)
                .then(|| Denial::DayBudgetExceeded { was: was.decimal(), limit: self.limit }),
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let charge = facts.charge?;
        let was = Self::was(facts, charge).map_or("too large".to_owned(), |was| was.decimal().to_string());
        Some(format!("{was} of {}, {} of it this order", self.limit, charge.decimal()))
    }
}
