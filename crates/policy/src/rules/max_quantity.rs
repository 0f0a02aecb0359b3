use trading::{Amount, Notional, Quantity};

use super::{Rule, Tier, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Mark;

/// Denies an order of more than `limit` of the base currency. An amount in quote currency is
/// compared with `limit` at the mark price. Holds for exits that state an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaxQuantity {
    pub(crate) limit: Quantity,
}

impl Rule for MaxQuantity {
    const NAME: &'static str = "max_quantity";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        match order.amount? {
            Amount::Base(was) => {
                (was > self.limit).then(|| Denial::QuantityOverLimit { was, limit: self.limit })
            }
            Amount::Quote(was) => self.check_quote(was, order.mark),
            Amount::WholePosition => None,
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let amount = facts.order.as_ref()?.amount?;
        Some(format!("{amount} of {}", self.limit))
    }
}

impl MaxQuantity {
    /// Without a fresh mark price, the mark price rule denies already.
    fn check_quote(&self, was: Notional, mark: Mark) -> Option<Denial> {
        let Mark::Fresh(mark) = mark else { return None };
        match mark.times(self.limit) {
            None => Some(arithmetic::<Self>()),
            Some(limit) => (was > limit).then(|| Denial::QuoteAmountOverQuantity { was, limit }),
        }
    }
}
