use trading::{Amount, Notional, Quantity, SizeFactor};

use super::{Rule, Tier, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Mark;

/// Denies an order of more than `limit` of the base currency. An amount in quote currency is
/// compared with `limit` at the mark price. Holds for exits that state an amount; the account's size
/// factor scales it for all others.
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
            Amount::Base(was) => match self.sized(facts) {
                None => Some(arithmetic::<Self>()),
                Some(limit) => (was > limit).then(|| Denial::QuantityOverLimit { was, limit }),
            },
            Amount::Quote(was) => Self::check_quote(was, order.mark, self.sized(facts)),
            Amount::WholePosition => None,
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let amount = facts.order.as_ref()?.amount?;
        let limit = self.sized(facts).map_or("nothing".to_owned(), |limit| limit.to_string());
        Some(format!("{amount} of {limit}"))
    }
}

impl MaxQuantity {
    /// The limit for this order: as it stands for exits.
    fn sized(&self, facts: &Facts<'_>) -> Option<Quantity> {
        let exit = facts.order.as_ref().is_some_and(|order| order.exit);
        let factor = if exit { SizeFactor::ONE } else { facts.state.size_factor() };
        factor.quantity(self.limit)
    }

    /// Without a fresh mark price, the mark price rule denies already.
    fn check_quote(was: Notional, mark: Mark, limit: Option<Quantity>) -> Option<Denial> {
        let Mark::Fresh(mark) = mark else { return None };
        match limit.and_then(|limit| mark.times(limit)) {
            None => Some(arithmetic::<Self>()),
            Some(limit) => (was > limit).then(|| Denial::QuoteAmountOverQuantity { was, limit }),
        }
    }
}
