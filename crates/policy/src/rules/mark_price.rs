use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Mark;

/// Denies an order that nothing in it bounds (no limit price, an amount in quote currency, or a
/// sale that may take) when the mark price is missing or more than `limit` milliseconds from the
/// vault's clock. Exits of a stated base quantity pass without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkPriceAge {
    pub(crate) limit: u64,
}

impl Rule for MarkPriceAge {
    const NAME: &'static str = "max_mark_price_age_ms";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        match order.mark {
            _ if !order.needs_mark() => None,
            Mark::Fresh(_) => None,
            Mark::Stale { was_ms, .. } => Some(Denial::MarkPriceStale { was_ms, limit_ms: self.limit }),
            Mark::Missing => Some(Denial::MarkPriceMissing { instrument: order.instrument.clone() }),
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        let mark = match order.mark {
            Mark::Fresh(price) => format!("mark price {price}"),
            Mark::Stale { price, was_ms } => format!("mark price {price}, {was_ms} ms from now"),
            Mark::Missing => "no mark price".to_owned(),
        };
        let need = if order.needs_mark() { "needed" } else { "not needed" };
        Some(format!("{mark}, {need}; at most {} ms", self.limit))
    }
}
