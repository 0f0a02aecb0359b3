use trading::Quantity;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a base quantity that is not a multiple of `lot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lot {
    pub(crate) lot: Quantity,
}

impl Rule for Lot {
    const NAME: &'static str = "lot";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = facts.order.as_ref()?.quantity()?;
        let fits = was.decimal().is_multiple_of(self.lot.decimal()) == Some(true);
        (!fits).then(|| Denial::QuantityOffLot { was, lot: self.lot })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = facts.order.as_ref()?.quantity()?;
        Some(format!("{was} in steps of {}", self.lot))
    }
}
