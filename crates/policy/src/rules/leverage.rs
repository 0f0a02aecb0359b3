use trading::{Decimal, Intent};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies setting a leverage above `limit`, or one that is not above zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaxLeverage {
    pub(crate) limit: Decimal,
}

impl Rule for MaxLeverage {
    const NAME: &'static str = "max_leverage";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let Intent::SetLeverage { leverage: was, .. } = *facts.leg() else { return None };
        let fits = was.is_positive() && was <= self.limit;
        (!fits).then(|| Denial::LeverageOverLimit { was, limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let Intent::SetLeverage { leverage, .. } = facts.leg() else { return None };
        Some(format!("{leverage} of {}", self.limit))
    }
}
