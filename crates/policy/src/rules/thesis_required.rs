use trading::Intent;

use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies new orders and amendments whose bot does not say why, where that is required. What it
/// says is recorded, never judged. Exits pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThesisRequired {
    pub(crate) required: bool,
}

impl Rule for ThesisRequired {
    const NAME: &'static str = "require_thesis";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Leg;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref()?;
        (self.required && facts.request.thesis.is_none() && !order.exit).then_some(Denial::ThesisMissing)
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let (Intent::Place(_) | Intent::Amend(_)) = facts.leg() else { return None };
        let given = if facts.request.thesis.is_some() { "given" } else { "not given" };
        Some(format!("required {}, {given}", self.required))
    }
}
