use trading::Timestamp;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::hours::Hours;

/// Denies new risk outside the symbol's hours, by the vault's clock in UTC. Exits and cancels pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TradingHours {
    pub(crate) hours: Hours,
}

impl Rule for TradingHours {
    const NAME: &'static str = "trading_hours";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        // The counters' clock never goes back, the wall clock may: both must be within the hours.
        let open = |at: Timestamp| self.hours.contains(at);
        let allowed = order.exit || (open(facts.now) && open(facts.context.now));
        (!allowed).then(|| Denial::OutsideTradingHours { hours: self.hours.to_string().into() })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        facts.order.as_ref()?;
        Some(self.hours.to_string())
    }
}
