use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a request that the venue may accept for longer than `limit` milliseconds. A request
/// that states no window has the venue's default, which is judged the same. A stream login states
/// until when it holds, by a clock that may be `skew_ms` ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    pub(crate) limit: u64,
    pub(crate) skew_ms: u64,
}

impl RecvWindow {
    fn was_ms(&self, facts: &Facts<'_>) -> Option<u64> {
        match facts.request.expires_at {
            Some(expires) => Some(expires.since_ms(facts.context.now).saturating_sub(self.skew_ms)),
            None => Some(facts.request.window_ms(facts.leg().venue()?)),
        }
    }
}

impl Rule for RecvWindow {
    const NAME: &'static str = "max_recv_window_ms";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was_ms = self.was_ms(facts)?;
        (was_ms > self.limit).then(|| Denial::RecvWindowOverLimit { was_ms, limit_ms: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        Some(format!("{} ms of {} ms", self.was_ms(facts)?, self.limit))
    }
}
