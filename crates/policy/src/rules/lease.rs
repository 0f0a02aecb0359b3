use trading::{Intent, TradingState};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies new risk without a live trading lease, where one is required, and whatever a live lease
/// forbids, required or not. Cancels, reads and arming the dead man's switch need no lease; nor do
/// new orders that can only reduce a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) required: bool,
}

impl Rule for Lease {
    const NAME: &'static str = "require_lease";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let lent = facts.state.lent();
        if lent.is_none() && !self.required {
            return None;
        }
        let leg = facts.leg();
        let always = leg.only_cancels_or_reads()
            || matches!(leg, Intent::DeadMansSwitch { timeout_ms, .. } if *timeout_ms > 0);
        let is_exit = facts.order.as_ref().is_some_and(|order| order.exit);
        match lent {
            _ if always => None,
            None => (!is_exit).then(|| Denial::LeaseMissing),
            Some(lent) => match lent.trading {
                TradingState::Active => None,
                TradingState::Reducing => {
                    (!is_exit).then(|| Denial::LeaseForbids { rung: lent.rung, state: lent.trading })
                }
                TradingState::Halted => Some(Denial::LeaseForbids { rung: lent.rung, state: lent.trading }),
            },
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let lent = facts.state.lent().map_or_else(
            || "none is live".to_owned(),
            |lent| format!("rung {}, {}, size factor {}", lent.rung, lent.trading, lent.size_factor),
        );
        Some(format!("required {}; {lent}", self.required))
    }
}
