use std::marker::PhantomData;

use trading::Intent;

use super::{Rule, Tier, Whose};
use crate::denial::Denial;
use crate::facts::{Facts, is_message};

/// Denies a message that would be more than `limit` of `W` within one second, less the share that
/// is kept for cancels. Whatever changes something at the venue counts; cancels and the dead man's
/// switch count and are never denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRate<W> {
    pub(crate) limit: u64,
    /// Of the limit, what only cancels may use.
    pub(crate) kept_for_cancels: u64,
    of: PhantomData<W>,
}

impl<W: Whose> MessageRate<W> {
    /// `None` if nothing would be left for orders.
    pub(crate) fn new(limit: u64, kept_for_cancels: u64) -> Option<Self> {
        (kept_for_cancels < limit).then_some(Self { limit, kept_for_cancels, of: PhantomData })
    }

    /// What others than cancels may use.
    const fn for_orders(&self) -> u64 {
        self.limit - self.kept_for_cancels
    }

    fn was(facts: &Facts<'_>) -> u64 {
        let counted = W::counters(facts).map_or(0, |counters| counters.messages.count(facts.now));
        counted + facts.before.messages + 1
    }
}

impl<W: Whose> Rule for MessageRate<W> {
    const NAME: &'static str = W::MESSAGES;
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let leg = facts.leg();
        let exempt = leg.only_cancels_or_reads() || matches!(leg, Intent::DeadMansSwitch { .. });
        if exempt || !is_message(leg) {
            return None;
        }
        let (more, limit) = (facts.before.messages + 1, self.for_orders());
        let fits = match W::counters(facts) {
            Some(counters) => counters.messages.has_room(more, limit, facts.now),
            None => more <= limit,
        };
        (!fits).then(|| W::denial(Denial::MessageRateOverLimit { was: Self::was(facts), limit }))
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let kept = self.kept_for_cancels;
        is_message(facts.leg())
            .then(|| format!("{} of {}, {kept} of it for cancels only", Self::was(facts), self.limit))
    }
}
