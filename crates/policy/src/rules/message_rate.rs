use trading::Intent;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::{Facts, is_message};

/// Denies a message that would be more than `limit` within one second. Whatever changes something
/// at the venue counts; cancels and the dead man's switch count and are never denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRate {
    pub(crate) limit: u64,
}

impl MessageRate {
    fn was(facts: &Facts<'_>) -> u64 {
        facts.state.messages().count(facts.now) + facts.before.messages + 1
    }
}

impl Rule for MessageRate {
    const NAME: &'static str = "messages_per_second";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let leg = facts.leg();
        let exempt = leg.only_cancels_or_reads() || matches!(leg, Intent::DeadMansSwitch { .. });
        if exempt || !is_message(leg) {
            return None;
        }
        let more = facts.before.messages + 1;
        let fits = facts.state.messages().has_room(more, self.limit, facts.now);
        (!fits).then(|| Denial::MessageRateOverLimit { was: Self::was(facts), limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        is_message(facts.leg()).then(|| format!("{} of {}", Self::was(facts), self.limit))
    }
}
