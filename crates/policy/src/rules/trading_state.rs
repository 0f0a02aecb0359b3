use trading::{Intent, TradingState};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies what the account's trading state forbids. Cancels, reads and arming the dead man's
/// switch pass always; new orders that can only reduce a position pass while reducing.
pub(crate) struct TradingStateRule;

impl Rule for TradingStateRule {
    const NAME: &'static str = "trading_state";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let leg = facts.leg();
        let always = leg.only_cancels_or_reads()
            || matches!(leg, Intent::DeadMansSwitch { timeout_ms, .. } if *timeout_ms > 0);
        let is_exit = facts.order.as_ref().is_some_and(|order| order.exit);
        let allowed = match facts.state.trading_state() {
            TradingState::Active => true,
            TradingState::Reducing => always || is_exit,
            TradingState::Halted => always,
        };
        (!allowed).then(|| Denial::TradingStateForbids {
            state: facts.state.trading_state(),
            operation: leg.operation().into(),
        })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        Some(format!("{}, {}", facts.state.trading_state(), facts.leg().operation()))
    }
}
