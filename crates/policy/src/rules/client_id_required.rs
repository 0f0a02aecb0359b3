use trading::Intent;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a new order without a client order id, where one is required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientIdRequired {
    pub(crate) required: bool,
}

impl Rule for ClientIdRequired {
    const NAME: &'static str = "require_client_order_id";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let Intent::Place(order) = facts.leg() else { return None };
        (self.required && order.client_order_id.is_none()).then(|| Denial::ClientOrderIdMissing)
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let Intent::Place(order) = facts.leg() else { return None };
        let id = order.client_order_id.as_ref().map_or("none", |id| id.as_str());
        Some(format!("required {}, id {id}", self.required))
    }
}
