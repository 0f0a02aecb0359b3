use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Origin;

/// Denies an amendment of an order that is not known here, unless it states amount and price. The
/// order is then judged as neither post-only nor reduce-only. What a known order keeps is known
/// as far as the venue's reports about it are honest.
pub(crate) struct AmendmentComplete;

impl Rule for AmendmentComplete {
    const NAME: &'static str = "amendment";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        let has_price = order.price.is_some() || !order.order_type.has_limit_price();
        let missing = match (order.origin, order.amount.is_some(), has_price) {
            (Origin::New, ..) | (_, true, true) => return None,
            (_, false, true) => "the amount",
            (_, true, false) => "the price",
            (_, false, false) => "amount and price",
        };
        Some(Denial::AmendmentIncomplete { missing: missing.into() })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        match facts.order.as_ref()?.origin {
            Origin::New => None,
            Origin::Amends(number) => Some(format!("amends signed order {number}")),
            Origin::AmendsUnknown => Some("amends an order that is not known here".to_owned()),
        }
    }
}
