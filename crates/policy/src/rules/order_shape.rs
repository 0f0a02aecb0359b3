use trading::{Amount, Intent, OrderType, TimeInForce};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Judged;

/// Denies an order that contradicts itself, because the other rules read each part alone: a
/// post-only market order would pass as a maker.
pub(crate) struct OrderShape;

impl Rule for OrderShape {
    const NAME: &'static str = "order_shape";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        // What an amendment does not state of an unknown order is the amendment rule's to miss.
        let problem = contradiction(order, matches!(facts.leg(), Intent::Place(_)))?;
        Some(Denial::OrderContradictory { problem: problem.into() })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        Some(format!("{} {}", order.order_type, order.time_in_force))
    }
}

fn contradiction(order: &Judged<'_>, is_new: bool) -> Option<&'static str> {
    let needs_trigger = order.order_type.is_triggered() && order.order_type != OrderType::TrailingStop;
    let is_instant = matches!(order.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
    if order.price.is_some() && !order.order_type.has_limit_price() {
        Some("its type takes no price, and it states one")
    } else if is_new && order.price.is_none() && order.order_type.has_limit_price() {
        Some("its type needs a price")
    } else if order.trigger_price.is_some() && !order.order_type.is_triggered() {
        Some("its type takes no trigger price, and it states one")
    } else if is_new && order.trigger_price.is_none() && needs_trigger {
        Some("its type needs a trigger price")
    } else if order.post_only && (!order.order_type.is_limit() || is_instant) {
        Some("post-only needs a limit order that may rest")
    } else if matches!(order.amount, Some(Amount::WholePosition)) && !order.exit {
        Some("the whole position can only be the amount of a new order that reduces one")
    } else {
        None
    }
}
