//! Whether a quorum's members are independent of one another.
//!
//! Ronin's bridge took 5 signatures of 9, and lost 600 million dollars because one organisation held
//! four of the nine and had been lent a fifth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;
use trading::Timestamp;

use crate::approvers::{Approvers, Credential, Rule};
use crate::bytes::Aaguid;
use crate::directive::Kind;
use crate::names::Name;

/// What people may have in common that lets one hand move them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Whom they answer to.
    Organisation,
    /// Where their tokens are.
    Site,
    /// Who made their tokens.
    Maker,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 3] = [Self::Organisation, Self::Site, Self::Maker];

    /// The group `credential` is in.
    pub(crate) fn group(self, credential: &Credential) -> String {
        match self {
            Self::Organisation => credential.organisation.to_string(),
            Self::Site => credential.site.to_string(),
            Self::Maker => credential.aaguid.to_string(),
        }
    }

    /// How many distinct groups `rule` asks for.
    pub(crate) const fn needed(self, rule: &Rule) -> u8 {
        match self {
            Self::Organisation => rule.organisations,
            Self::Site => rule.sites,
            Self::Maker => rule.makers,
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Organisation => "organisation",
            Self::Site => "site",
            Self::Maker => "maker",
        })
    }
}

/// Returns the fewest groups whose members together reach `needed`: how many independent hands a
/// threshold really takes. `None` if all of them do not reach it.
///
/// `sizes` are the groups' members. Someone who is in two groups counts in both, so the answer is then
/// at most the true one.
#[must_use]
pub fn effective_threshold(sizes: impl IntoIterator<Item = usize>, needed: usize) -> Option<usize> {
    let mut sizes: Vec<usize> = sizes.into_iter().collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    let mut reached = 0_usize;
    for (index, size) in sizes.into_iter().enumerate() {
        reached = reached.saturating_add(size);
        if reached >= needed {
            return Some(index + 1);
        }
    }
    None
}

/// What is weak about a list of approvers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Weakness {
    /// A token that is none: for drills only.
    #[error("{person} is listed with a software token, which proves nothing about a person")]
    SoftwareToken {
        /// Whose.
        person: Name,
    },
    /// The quorum cannot be reached.
    #[error("{kind:?} takes {needed} people and {have} are on the list")]
    TooFewPeople {
        /// Of what.
        kind: Kind,
        /// People the rule asks for.
        needed: usize,
        /// People there are.
        have: usize,
    },
    /// Fewer hands than the rule asks for can reach it.
    #[error("{kind:?} asks for {needed} of each {dimension}, but {effective} can supply all its people")]
    NotIndependent {
        /// Of what.
        kind: Kind,
        /// In what.
        dimension: Dimension,
        /// Groups the rule asks for.
        needed: usize,
        /// Groups that suffice.
        effective: usize,
    },
    /// Whoever controls one group can keep others from stopping.
    #[error("without {dimension} {group} nobody could give {kind:?}")]
    StopCanBeBlocked {
        /// Which stop.
        kind: Kind,
        /// By a group of what.
        dimension: Dimension,
        /// Which.
        group: String,
    },
}

impl Approvers {
    /// Returns everything weak about this list at `now`, credentials that ended left out.
    ///
    /// A vault that trades real money refuses a list with [`Weakness::NotIndependent`] or
    /// [`Weakness::SoftwareToken`] in it. Counting a ballot does not rely
    /// on that: it asks for the distinct groups again.
    #[must_use]
    pub fn weaknesses(&self, now: Timestamp) -> Vec<Weakness> {
        let counted: Vec<&Credential> = self.credentials().filter(|own| own.counts_at(now)).collect();
        let people = distinct_people(counted.iter().copied());
        let software = counted.iter().filter(|own| own.aaguid == Aaguid::SOFTWARE);
        let mut found: Vec<Weakness> =
            software.map(|own| Weakness::SoftwareToken { person: own.person.clone() }).collect();
        for kind in Kind::ALL {
            let rule = self.quorums().rule(kind);
            let needed = usize::from(rule.people);
            if people < needed {
                found.push(Weakness::TooFewPeople { kind, needed, have: people });
                continue;
            }
            for dimension in Dimension::ALL {
                let groups = groups(dimension, &counted);
                let asked = usize::from(dimension.needed(rule));
                let effective = effective_threshold(groups.values().map(BTreeSet::len), needed).unwrap_or(0);
                if effective < asked {
                    found.push(Weakness::NotIndependent { kind, dimension, needed: asked, effective });
                }
                if kind.loosens() {
                    continue;
                }
                found.extend(groups.into_keys().filter_map(|group| {
                    let others = counted.iter().copied().filter(|own| dimension.group(own) != group);
                    let blocked = distinct_people(others) < needed;
                    blocked.then_some(Weakness::StopCanBeBlocked { kind, dimension, group })
                }));
            }
        }
        found
    }
}

fn distinct_people<'a>(credentials: impl Iterator<Item = &'a Credential>) -> usize {
    credentials.map(|own| &own.person).collect::<BTreeSet<_>>().len()
}

fn groups<'a>(dimension: Dimension, all: &[&'a Credential]) -> BTreeMap<String, BTreeSet<&'a str>> {
    let mut groups: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for credential in all {
        groups.entry(dimension.group(credential)).or_default().insert(credential.person.as_str());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ronin_took_one_hand() {
        // Five of nine; Sky Mavis held four and had been lent a fifth (March 2022).
        assert_eq!(effective_threshold([4 + 1, 1, 1, 1, 1], 5), Some(1));
        // Without the loan: the four and one more.
        assert_eq!(effective_threshold([4, 1, 1, 1, 1, 1], 5), Some(2));
    }

    #[test]
    fn five_organisations_make_three_of_five_three() {
        assert_eq!(effective_threshold([1; 5], 3), Some(3));
        assert_eq!(effective_threshold([2, 1], 2), Some(1));
        assert_eq!(effective_threshold([2, 1], 3), Some(2));
        assert_eq!(effective_threshold([2, 1], 4), None);
        assert_eq!(effective_threshold([], 1), None);
    }
}
