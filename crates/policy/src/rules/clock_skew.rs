use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a request whose own time is more than `limit` milliseconds from the vault's clock. A
/// request without a time gets the vault's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClockSkew {
    pub(crate) limit: u64,
}

impl Rule for ClockSkew {
    const NAME: &'static str = "max_clock_skew_ms";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was_ms = facts.context.now.distance_ms(facts.request.sent_at?);
        (was_ms > self.limit).then(|| Denial::ClockSkewOverLimit { was_ms, limit_ms: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = facts.context.now.distance_ms(facts.request.sent_at?);
        Some(format!("{was} ms of {} ms", self.limit))
    }
}
