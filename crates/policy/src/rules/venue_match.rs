use trading::Venue;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies an intent for another venue than the account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VenueMatch {
    pub(crate) limit: Venue,
}

impl Rule for VenueMatch {
    const NAME: &'static str = "venue";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        // A scope may name an instrument besides its venue; both must be the account's.
        let instrument = instrument_of(facts).map(|instrument| instrument.venue);
        [facts.leg().venue(), instrument]
            .into_iter()
            .flatten()
            .find(|&was| was != self.limit)
            .map(|was| Denial::VenueNotAllowed { was, limit: self.limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let was = facts.leg().venue()?;
        Some(format!("{was}; account is at {}", self.limit))
    }
}

fn instrument_of<'a>(facts: &Facts<'a>) -> Option<&'a trading::Instrument> {
    use trading::Intent;
    match facts.leg() {
        Intent::CancelAll(scope) => scope.instrument.as_ref(),
        Intent::Read(read) => read.instrument.as_ref(),
        Intent::DeadMansSwitch { instrument, .. } => instrument.as_ref(),
        _ => None,
    }
}
