use trading::{Instrument, Intent};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::{Facts, Said};
use crate::state::{Content, has_within, within};

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

/// How many earlier legs have this content.
#[inline]
fn earlier(facts: &Facts<'_>, said: &Said<'_>) -> u64 {
    let same = facts.earlier().iter().filter(|leg| match leg {
        Intent::Place(other) => Content::of(other) == said.content,
        _ => false,
    });
    same.count() as u64
}

/// Whether the window holds at least `least` orders of this content, those of earlier legs included.
#[inline]
fn has(facts: &Facts<'_>, said: &Said<'_>, window_ms: u64, least: u64) -> bool {
    has_within(said.before, window_ms, least.saturating_sub(earlier(facts, said)), facts.now)
}

/// How many orders of this content the window holds, those of earlier legs included.
fn count(facts: &Facts<'_>, said: &Said<'_>, window_ms: u64) -> u64 {
    within(said.before, window_ms, facts.now) + earlier(facts, said)
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
        has(facts, said, self.limit, 1).then_some(Denial::OrderDuplicate { window_ms: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let said = judged(facts)?;
        let was = count(facts, said, self.limit);
        Some(format!("{was} of the same content within {} ms", self.limit))
    }
}

impl MaxRepeats {
    /// The instrument that an approval of this leg stops.
    #[inline]
    pub(crate) fn stops<'a>(&self, facts: &Facts<'a>) -> Option<&'a Instrument> {
        let said = judged(facts)?;
        let is_last = has(facts, said, self.window_ms, self.limit.saturating_sub(1));
        is_last.then_some(&said.order.instrument)
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
        has(facts, said, self.window_ms, self.limit).then(|| Denial::RepeatsOverLimit {
            was: count(facts, said, self.window_ms) + 1,
            limit: self.limit,
        })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let said = judged(facts)?;
        let stopped = if facts.state.is_stopped(&said.order.instrument) { ", stopped" } else { "" };
        let was = count(facts, said, self.window_ms) + 1;
        Some(format!("{was} of {} within {} ms{stopped}", self.limit, self.window_ms))
    }
}
