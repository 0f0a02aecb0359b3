use trading::{Instrument, Intent};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::{Facts, Said};
use crate::state::{Content, within};

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

/// What the new order of this leg says, unless it is an exit.
#[inline]
fn judged<'f, 'a>(facts: &'f Facts<'a>) -> Option<&'f Said<'a>> {
    facts.said.as_ref().filter(|_| facts.order.as_ref().is_some_and(|order| !order.exit))
}

/// How many orders of this content the window holds, those of earlier legs included.
#[inline]
fn count(facts: &Facts<'_>, said: &Said<'_>, window_ms: u64, most: u64) -> u64 {
    let earlier = facts.earlier().iter().filter(|leg| match leg {
        Intent::Place(other) => Content::of(other) == said.content,
        _ => false,
    });
    within(said.before, window_ms, most, facts.now) + earlier.count() as u64
}

impl Rule for DuplicateWindow {
    const NAME: &'static str = "duplicate_window_ms";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let said = judged(facts)?;
        if !facts.state.recent.reaches(self.limit, facts.before.new_orders + 1, facts.now) {
            return Some(Denial::TooManyToRemember { window_ms: self.limit });
        }
        (count(facts, said, self.limit, 1) > 0).then_some(Denial::OrderDuplicate { window_ms: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let said = judged(facts)?;
        let was = count(facts, said, self.limit, 1_000);
        Some(format!("{was} of the same content within {} ms", self.limit))
    }
}

impl MaxRepeats {
    /// The instrument that an approval of this leg stops.
    pub(crate) fn stops<'a>(&self, facts: &Facts<'a>) -> Option<&'a Instrument> {
        let said = judged(facts)?;
        (count(facts, said, self.window_ms, self.limit) + 1 >= self.limit).then_some(&said.order.instrument)
    }
}

impl Rule for MaxRepeats {
    const NAME: &'static str = "max_repeats";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let said = judged(facts)?;
        if facts.state.is_stopped(&said.order.instrument) {
            return Some(Denial::StoppedByRepetition { instrument: said.order.instrument.clone() });
        }
        if !facts.state.recent.reaches(self.window_ms, facts.before.new_orders + 1, facts.now) {
            return Some(Denial::TooManyToRemember { window_ms: self.window_ms });
        }
        let was = count(facts, said, self.window_ms, self.limit) + 1;
        (was > self.limit).then_some(Denial::RepeatsOverLimit { was, limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let said = judged(facts)?;
        let stopped = if facts.state.is_stopped(&said.order.instrument) { ", stopped" } else { "" };
        let was = count(facts, said, self.window_ms, self.limit) + 1;
        Some(format!("{was} of {} within {} ms{stopped}", self.limit, self.window_ms))
    }
}
