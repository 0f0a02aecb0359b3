use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a request that the venue may accept for longer than `limit` milliseconds. A request
/// that states no window has the venue's default, which is judged the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    pub(crate) limit: u64,
}

impl Rule for RecvWindow {
    const NAME: &'static str = "max_recv_window_ms";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was_ms = facts.request.window_ms(facts.leg().venue()?);
        (was_ms > self.limit).then(|| Denial::RecvWindowOverLimit { was_ms, limit_ms: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = facts.request.window_ms(facts.leg().venue()?);
        Some(format!("{was} ms of {} ms", self.limit))
    }
}
