use std::collections::BTreeMap;

use trading::{Instrument, Intent};

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::policy::SymbolLimits;

/// Denies orders and leverage on an instrument that is not on the list. Market and symbol are
/// compared byte by byte. Cancels pass for any symbol.
pub(crate) struct SymbolList<'a> {
    pub(crate) symbols: &'a BTreeMap<Instrument, SymbolLimits>,
}

impl SymbolList<'_> {
    fn judged<'a>(facts: &Facts<'a>) -> Option<(&'a Instrument, bool)> {
        match facts.leg() {
            Intent::Place(order) => Some((&order.instrument, true)),
            Intent::Amend(amendment) => Some((&amendment.instrument, true)),
            Intent::SetLeverage { instrument, .. } => Some((instrument, false)),
            _ => None,
        }
    }
}

impl Rule for SymbolList<'_> {
    const NAME: &'static str = "symbols";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let (instrument, is_order) = Self::judged(facts)?;
        let listed = if is_order { facts.limits.is_some() } else { self.symbols.contains_key(instrument) };
        (!listed).then(|| Denial::SymbolNotAllowed { instrument: instrument.clone() })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let (instrument, _) = Self::judged(facts)?;
        Some(format!("{instrument}; allowed: {}", super::listed(self.symbols.keys())))
    }
}
