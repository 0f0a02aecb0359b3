use trading::{Instrument, Intent, Order};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::state::Content;

/// Denies a new order that says exactly what one signed within `limit` milliseconds said, whatever
/// its client order id. Exits pass: they are bounded by the position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DuplicateWindow {
    pub(crate) limit: u64,
}

/// Lets at most `limit` orders of the same content be signed within `window_ms` milliseconds; the
/// last of them stops new orders on its instrument until someone sets the account to active. Exits
/// pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaxRepeats {
    pub(crate) limit: u64,
    pub(crate) window_ms: u64,
}

/// The new order of this leg, unless it is an exit.
fn judged<'a>(facts: &Facts<'a>) -> Option<&'a Order> {
    let Intent::Place(order) = facts.leg() else { return None };
    facts.order.as_ref().is_some_and(|judged| !judged.exit).then_some(order)
}

/// How many orders of this content the window holds, those of earlier legs included.
fn count(facts: &Facts<'_>, order: &Order, window_ms: u64, most: u64) -> u64 {
    let content = Content::of(order);
    let earlier = facts.earlier().iter().filter(|leg| match leg {
        Intent::Place(other) => Content::of(other) == content,
        _ => false,
    });
    facts.state.recent.count(content, window_ms, most, facts.now) + earlier.count() as u64
}

impl Rule for DuplicateWindow {
    const NAME: &'static str = "duplicate_window_ms";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = judged(facts)?;
        if !facts.state.recent.reaches(self.limit, facts.before.new_orders + 1, facts.now) {
            return Some(Denial::TooManyToRemember { window_ms: self.limit });
        }
        (count(facts, order, self.limit, 1) > 0).then_some(Denial::OrderDuplicate { window_ms: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = judged(facts)?;
        let was = count(facts, order, self.limit, 1_000);
        Some(format!("{was} of the same content within {} ms", self.limit))
    }
}

impl MaxRepeats {
    /// The instrument that an approval of this leg stops.
    pub(crate) fn stops<'a>(&self, facts: &Facts<'a>) -> Option<&'a Instrument> {
        let order = judged(facts)?;
        (count(facts, order, self.window_ms, self.limit) + 1 >= self.limit).then_some(&order.instrument)
    }
}

impl Rule for MaxRepeats {
    const NAME: &'static str = "max_repeats";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = judged(facts)?;
        if facts.state.is_stopped(&order.instrument) {
            return Some(Denial::StoppedByRepetition { instrument: order.instrument.clone() });
        }
        if !facts.state.recent.reaches(self.window_ms, facts.before.new_orders + 1, facts.now) {
            return Some(Denial::TooManyToRemember { window_ms: self.window_ms });
        }
        let was = count(facts, order, self.window_ms, self.limit) + 1;
        (was > self.limit).then_some(Denial::RepeatsOverLimit { was, limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = judged(facts)?;
        let stopped = if facts.state.is_stopped(&order.instrument) { ", stopped" } else { "" };
        let was = count(facts, order, self.window_ms, self.limit) + 1;
        Some(format!("{was} of {} within {} ms{stopped}", self.limit, self.window_ms))
    }
}
