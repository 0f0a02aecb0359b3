use std::collections::BTreeSet;

use trading::Intent;

use super::{Rule, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies changing an account setting (margin or position mode) that is not on the list, by the
/// venue's own name of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) allowed: BTreeSet<Box<str>>,
}

impl Rule for Settings {
    const NAME: &'static str = "allow_settings";
    const TIER: Tier = Tier::SelfContained;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let Intent::SetMode { setting, .. } = facts.leg() else { return None };
        (!self.allowed.contains(setting)).then(|| Denial::SettingNotAllowed { setting: setting.clone() })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let Intent::SetMode { setting, value, .. } = facts.leg() else { return None };
        Some(format!("{setting} = {value}; allowed: {}", super::listed(&self.allowed)))
    }
}
