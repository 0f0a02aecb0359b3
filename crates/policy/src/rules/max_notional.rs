use trading::Notional;

use super::{Rule, Tier, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Worth;

/// Denies an order that is worth more than `limit` at its worst price. Exits are bounded by
/// `max_quantity` and by the position itself instead: a price that ran away must not lock them. The
/// account's size factor scales the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaxNotional {
    pub(crate) limit: Notional,
}

impl Rule for MaxNotional {
    const NAME: &'static str = "max_notional";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref().filter(|order| !order.exit)?;
        match order.worth {
            Worth::Overflow => Some(arithmetic::<Self>()),
            // Nothing to judge by: the mark price, shape or amendment rule denies it.
            Worth::Unknown => None,
            Worth::Known(worth) => match Notional::new(worth) {
                Err(_) => Some(arithmetic::<Self>()),
                Ok(was) => match facts.state.size_factor().notional(self.limit) {
                    None => Some(arithmetic::<Self>()),
                    Some(limit) => (was > limit).then(|| Denial::NotionalOverLimit { was, limit }),
                },
            },
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        let worth = match order.worth {
            Worth::Known(worth) => worth.to_string(),
            Worth::Unknown => "unknown".to_owned(),
            Worth::Overflow => "too large".to_owned(),
        };
        let price = order.worst_price().map_or("none".to_owned(), |price| price.to_string());
        let exempt = if order.exit { ", exempt as an exit" } else { "" };
        let limit = facts.state.size_factor().notional(self.limit);
        let limit = limit.map_or("nothing".to_owned(), |limit| limit.to_string());
        Some(format!("{worth} of {limit} (worst price {price}){exempt}"))
    }
}
