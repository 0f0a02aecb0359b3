use std::collections::BTreeSet;

use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies what a client's library adds unasked, unless it is on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LibraryExtras {
    pub(crate) allowed: BTreeSet<Box<str>>,
}

impl Rule for LibraryExtras {
    const NAME: &'static str = "allow_library_extras";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let extras = facts.request.extras.iter();
        let names: Vec<_> = extras.filter(|&extra| !self.allowed.contains(extra)).cloned().collect();
        (!names.is_empty()).then(|| Denial::ExtrasNotAllowed { names })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let extras = &facts.request.extras;
        (!extras.is_empty())
            .then(|| format!("{}; allowed: {}", super::listed(extras), super::listed(&self.allowed)))
    }
}
