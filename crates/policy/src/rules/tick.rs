use trading::Price;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a price or trigger price that is not a multiple of `tick`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) tick: Price,
}

impl Tick {
    /// What cannot be compared is off the tick.
    fn is_off(&self, price: Price) -> bool {
        price.decimal().is_multiple_of(self.tick.decimal()) != Some(true)
    }
}

impl Rule for Tick {
    const NAME: &'static str = "tick";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let (order, tick) = (facts.order.as_ref()?, self.tick);
        let off = |price: Option<Price>| price.filter(|&price| self.is_off(price));
        off(order.price)
            .map(|was| Denial::PriceOffTick { was, tick })
            .or_else(|| off(order.trigger_price).map(|was| Denial::TriggerPriceOffTick { was, tick }))
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        let prices: Vec<Price> = [order.price, order.trigger_price].into_iter().flatten().collect();
        (!prices.is_empty()).then(|| format!("{} in steps of {}", super::listed(prices), self.tick))
    }
}
