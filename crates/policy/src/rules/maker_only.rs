use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies an order that is not post-only, where that is required. New orders that can only reduce
/// a position are exempt: the way out stays open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakerOnly {
    pub(crate) required: bool,
}

impl Rule for MakerOnly {
    const NAME: &'static str = "maker_only";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        (self.required && !order.post_only && !order.exit).then(|| Denial::MakerOnly)
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        Some(format!("required {}, post-only {}, exit {}", self.required, order.post_only, order.exit))
    }
}
