use trading::{ClientOrderId, Intent};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Origin;
use crate::state::ORDER_TABLE;

/// Denies a client order id that already has a live signature, in the table or earlier in the
/// same batch, and a new order that the table has no room to remember.
pub(crate) struct OneLiveSignature;

impl Rule for OneLiveSignature {
    const NAME: &'static str = "one_live_signature";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        if let Some(id) = order.new_id {
            // An amendment may repeat the id of the very order it amends.
            let own = match order.origin {
                Origin::Amends(number) => Some(number),
                Origin::New | Origin::AmendsUnknown => None,
            };
            let live = facts.state.orders.live(id, facts.now);
            if live.is_some() && live != own {
                return Some(Denial::ClientOrderIdLive { id: id.clone() });
            }
            if facts.earlier().iter().any(|leg| new_id(leg) == Some(id)) {
                return Some(Denial::ClientOrderIdRepeated { id: id.clone() });
            }
        }
        let adds = u64::from(order.origin == Origin::New || order.new_id.is_some());
        let fits = adds == 0 || facts.state.orders.has_room(facts.before.entries + adds, facts.now);
        (!fits).then(|| Denial::OrderTableFull { limit: ORDER_TABLE })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        let id = order.new_id.map_or("none", ClientOrderId::as_str);
        Some(format!("id {id}; {} of {ORDER_TABLE} entries used", facts.state.orders.len()))
    }
}

fn new_id(leg: &Intent) -> Option<&ClientOrderId> {
    match leg {
        Intent::Place(order) => order.client_order_id.as_ref(),
        Intent::Amend(amendment) => amendment.new_client_order_id.as_ref(),
        _ => None,
    }
}
