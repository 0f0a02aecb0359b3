use trading::{Intent, MAX_BATCH, OrderReference};

use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a batch that holds anything but place, amend and cancel, or two amendments of one order
/// (each could be harmless and both together not). Its size is judged before its legs.
pub(crate) struct BatchShape;

impl Rule for BatchShape {
    const NAME: &'static str = "batch";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let Intent::Batch(legs) = &facts.request.intent else { return None };
        let allowed =
            |leg: &Intent| matches!(leg, Intent::Place(_) | Intent::Amend(_) | Intent::Cancel { .. });
        if let Some(leg) = legs.iter().find(|leg| !allowed(leg)) {
            return Some(Denial::BatchLegNotAllowed { operation: leg.operation().into() });
        }
        let repeated = legs
            .iter()
            .enumerate()
            .any(|(index, leg)| legs[..index].iter().any(|earlier| amend_same(earlier, leg, facts)));
        repeated.then(|| Denial::AmendmentRepeated)
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let Intent::Batch(legs) = &facts.request.intent else { return None };
        Some(format!("{} legs of {MAX_BATCH}", legs.len()))
    }
}

/// Whether both legs amend one order, by whichever of its names.
fn amend_same(one: &Intent, other: &Intent, facts: &Facts<'_>) -> bool {
    let (Intent::Amend(one), Intent::Amend(other)) = (one, other) else { return false };
    if share_a_name(&one.target, &other.target) {
        return true;
    }
    let orders = &facts.state.orders;
    let known = orders.amendable(one, facts.now).zip(orders.amendable(other, facts.now));
    known.is_some_and(|(one, other)| one.number == other.number)
}

fn share_a_name(one: &OrderReference, other: &OrderReference) -> bool {
    let client = one.client().is_some() && one.client() == other.client();
    let venue = one.venue().is_some() && one.venue() == other.venue();
    client || venue
}

/// The denial of a batch whose size alone forbids to look at its legs.
pub(crate) fn size(legs: &[Intent]) -> Option<Denial> {
    let was = legs.len();
    (was == 0 || was > MAX_BATCH).then(|| Denial::BatchSize { was, limit: MAX_BATCH })
}
