//! Counting: touches for one directive until its quorum is reached, once.
//!
//! The state is a value that the vault keeps with its records and takes up again after a restart. No
//! order of inputs, no repetition, no restart and no step of the clock reaches a quorum without its
//! distinct approvals:
//! - what was used is remembered until it has expired, and time here never runs backwards, so that
//!   what has expired stays so;
//! - people, groups and rules are looked up anew at every count, in the list of that moment;
//! - everything is bounded, and what is full refuses. A part of the room is kept for stopping.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::Timestamp;

use crate::approvers::{Approvers, Credential, MAX_CREDENTIALS};
use crate::assertion::{Assertion, AssertionError, Expected, Touch, verify_assertion};
use crate::bytes::{CredentialId, Digest, Nonce};
use crate::directive::{Directive, Kind};
use crate::independence::Dimension;
use crate::names::Name;

/// Most directives that wait for touches at a time; half of them may loosen.
pub const MAX_OPEN: usize = 16;
/// Most used nonces that are remembered; half of them may be of directives that loosen.
pub const MAX_USED: usize = 1024;
/// Most counters that are remembered.
const MAX_COUNTERS: usize = 16 * MAX_CREDENTIALS;

/// All directives that wait for touches, and what is remembered of those that had theirs.
///
/// Whoever uses it makes the state durable after every [`Self::touch`], refused ones too, and before
/// the effect of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "State", into = "State")]
pub struct Ballots {
    latest: Timestamp,
    counters: BTreeMap<CredentialId, u32>,
    open: Vec<Ballot>,
    used: BTreeMap<Nonce, Used>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ballot {
    directive: Directive,
    votes: BTreeMap<CredentialId, Vote>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vote {
    person: Name,
    user_verified: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Used {
    expires_at: Timestamp,
    loosened: bool,
}

/// A directive that has its quorum. Only [`Ballots::touch`] makes one, and it is not copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Approved {
    directive: Directive,
    people: BTreeSet<Name>,
}

impl Approved {
    /// What was approved.
    #[must_use]
    pub const fn directive(&self) -> &Directive {
        &self.directive
    }

    /// Who approved it.
    #[must_use]
    pub const fn people(&self) -> &BTreeSet<Name> {
        &self.people
    }
}

/// What a quorum still lacks, in distinct ones of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shortfall {
    /// People.
    pub people: u8,
    /// Organisations.
    pub organisations: u8,
    /// Sites.
    pub sites: u8,
    /// Models of token.
    pub makers: u8,
}

/// How things stand after a touch.
#[derive(Debug, PartialEq, Eq)]
pub enum Tally {
    /// More touches are needed.
    Waiting(Shortfall),
    /// It is approved, this once.
    Approved(Box<Approved>),
}

/// Why a touch does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BallotError {
    /// Made under another policy.
    #[error("the directive names another policy than the one in force; make a new one")]
    OtherPolicy,
    /// Too early.
    #[error("the directive holds from {0} on")]
    NotYet(Timestamp),
    /// Too late.
    #[error("the directive expired at {0}; make a new one")]
    Expired(Timestamp),
    /// Already approved once.
    #[error("the directive was used; make a new one")]
    Used,
    /// The nonce of another directive.
    #[error("the directive has the nonce of another; make a new one")]
    NonceTaken,
    /// Not on the list.
    #[error("credential {0} is not on the list of approvers")]
    UnknownCredential(CredentialId),
    /// No longer on the list.
    #[error("credential {0} ended at {1}")]
    CredentialEnded(CredentialId, Timestamp),
    /// The assertion itself.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    /// One's own proposal.
    #[error("{0} proposed this directive, and nobody approves their own")]
    OwnProposal(Name),
    /// A second touch.
    #[error("{0} has approved this directive already")]
    Again(Name),
    /// No room.
    #[error("too many directives or tokens are open; wait until some expire")]
    Full,
}

impl Ballots {
    /// Latest time seen. A directive is made for this or the maker's clock, whichever is later.
    #[must_use]
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Counts one touch for `directive`, under the list and the policy in force at `now`.
    ///
    /// # Errors
    ///
    /// [`BallotError`] if it does not count. Time and the token's counter are remembered all the same.
    pub fn touch(
        &mut self,
        approvers: &Approvers,
        policy: &Digest,
        directive: &Directive,
        assertion: &Assertion,
        now: Timestamp,
    ) -> Result<Tally, BallotError> {
        let now = self.advance(now);
        self.admit(policy, directive, now)?;
        let credential = self.authenticate(approvers, directive, assertion, now)?;
        let (credential, user_verified) = (credential.0, credential.1.user_verified());
        let kind = directive.kind();
        if kind.loosens() && directive.content().proposer.as_ref() == Some(&credential.person) {
            return Err(BallotError::OwnProposal(credential.person.clone()));
        }
        let at = self.ballot(directive)?;
        let ballot = &mut self.open[at];
        let person = &credential.person;
        if ballot.votes.contains_key(&credential.id)
            || ballot.votes.values().any(|vote| vote.person == *person)
        {
            return Err(BallotError::Again(person.clone()));
        }
        ballot.votes.insert(credential.id.clone(), Vote { person: person.clone(), user_verified });
        let (shortfall, people) = count(ballot, approvers, now);
        if shortfall != Shortfall::default() {
            return Ok(Tally::Waiting(shortfall));
        }
        let Ballot { directive, .. } = self.open.remove(at);
        let used = Used { expires_at: directive.content().expires_at, loosened: kind.loosens() };
        self.used.insert(directive.content().nonce, used);
        Ok(Tally::Approved(Box::new(Approved { directive, people })))
    }

    /// Moves time on, never back, and forgets what has expired by then.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        let now = self.latest;
        self.open.retain(|ballot| now < ballot.directive.content().expires_at);
        self.used.retain(|_, used| now < used.expires_at);
        now
    }

    fn admit(&self, policy: &Digest, directive: &Directive, now: Timestamp) -> Result<(), BallotError> {
        let content = directive.content();
        if content.policy != *policy {
            return Err(BallotError::OtherPolicy);
        }
        if now < content.not_before {
            return Err(BallotError::NotYet(content.not_before));
        }
        if now >= content.expires_at {
            return Err(BallotError::Expired(content.expires_at));
        }
        if self.used.contains_key(&content.nonce) {
            return Err(BallotError::Used);
        }
        let same_nonce = self.open.iter().find(|open| open.directive.content().nonce == content.nonce);
        if same_nonce.is_some_and(|open| open.directive != *directive) {
            return Err(BallotError::NonceTaken);
        }
        Ok(())
    }

    fn authenticate<'a>(
        &mut self,
        approvers: &'a Approvers,
        directive: &Directive,
        assertion: &Assertion,
        now: Timestamp,
    ) -> Result<(&'a Credential, Touch), BallotError> {
        let id = &assertion.credential;
        let credential =
            approvers.credential(id).ok_or_else(|| BallotError::UnknownCredential(id.clone()))?;
        if let Some(end) = credential.expires_at.filter(|_| !credential.counts_at(now)) {
            return Err(BallotError::CredentialEnded(id.clone(), end));
        }
        if !self.counters.contains_key(id) && self.counters.len() >= MAX_COUNTERS {
            return Err(BallotError::Full);
        }
        let expected = Expected {
            rp_id: approvers.rp_id(),
            origins: approvers.origins(),
            user_verification: approvers.quorums().rule(directive.kind()).user_verification,
            counter: self.counters.get(id).copied().unwrap_or(0),
        };
        let touch = verify_assertion(credential, &expected, &directive.digest(), assertion)?;
        self.counters.insert(id.clone(), touch.counter());
        Ok((credential, touch))
    }

    /// Where the directive's ballot is; opened if there is none and room for it.
    fn ballot(&mut self, directive: &Directive) -> Result<usize, BallotError> {
        if let Some(at) = self.open.iter().position(|open| open.directive == *directive) {
            return Ok(at);
        }
        let loosens = directive.kind().loosens();
        let loosening = self.open.iter().filter(|open| open.directive.kind().loosens()).count();
        let loosened = self.used.values().filter(|used| used.loosened).count();
        // A ballot that is open may yet take a place among the used.
        let full = self.open.len() >= MAX_OPEN || self.used.len() + self.open.len() >= MAX_USED;
        let full_of_loosening = loosening >= MAX_OPEN / 2 || loosened + loosening >= MAX_USED / 2;
        if full || loosens && full_of_loosening {
            return Err(BallotError::Full);
        }
        self.open.push(Ballot { directive: directive.clone(), votes: BTreeMap::new() });
        Ok(self.open.len() - 1)
    }
}

/// What `ballot` lacks by the list and rules of this moment, and whose votes count.
fn count(ballot: &Ballot, approvers: &Approvers, now: Timestamp) -> (Shortfall, BTreeSet<Name>) {
    let rule = approvers.quorums().rule(ballot.directive.kind());
    let counted: Vec<&Credential> = ballot
        .votes
        .iter()
        .filter(|(_, vote)| vote.user_verified || !rule.user_verification)
        .filter_map(|(id, vote)| {
            let credential = approvers.credential(id)?;
            (credential.person == vote.person && credential.counts_at(now)).then_some(credential)
        })
        .collect();
    let people: BTreeSet<Name> = counted.iter().map(|credential| credential.person.clone()).collect();
    let missing = |needed: u8, have: usize| needed.saturating_sub(u8::try_from(have).unwrap_or(u8::MAX));
    let of = |dimension: Dimension| {
        let groups: BTreeSet<String> = counted.iter().map(|own| dimension.group(own)).collect();
        missing(dimension.needed(rule), groups.len())
    };
    let shortfall = Shortfall {
        people: missing(rule.people, people.len()),
        organisations: of(Dimension::Organisation),
        sites: of(Dimension::Site),
        makers: of(Dimension::Maker),
    };
    (shortfall, people)
}

/// Why stored ballots are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BallotsError {
    /// More of something than is ever kept.
    #[error("stored ballots hold more than is ever kept")]
    TooMany,
    /// Two ballots with one nonce, one that is used, or one person twice.
    #[error("stored ballots hold something twice")]
    Twice,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    latest: Timestamp,
    counters: BTreeMap<CredentialId, u32>,
    open: Vec<Ballot>,
    used: BTreeMap<Nonce, Used>,
}

impl From<Ballots> for State {
    fn from(Ballots { latest, counters, open, used }: Ballots) -> Self {
        Self { latest, counters, open, used }
    }
}

impl TryFrom<State> for Ballots {
    type Error = BallotsError;

    fn try_from(State { latest, counters, open, used }: State) -> Result<Self, BallotsError> {
        if open.len() > MAX_OPEN || used.len() > MAX_USED || counters.len() > MAX_COUNTERS {
            return Err(BallotsError::TooMany);
        }
        let nonces: BTreeSet<Nonce> = open.iter().map(|ballot| ballot.directive.content().nonce).collect();
        let one_each = open.iter().all(|ballot| {
            let people: BTreeSet<&Name> = ballot.votes.values().map(|vote| &vote.person).collect();
            people.len() == ballot.votes.len() && ballot.votes.len() <= MAX_CREDENTIALS
        });
        if nonces.len() != open.len() || nonces.iter().any(|nonce| used.contains_key(nonce)) || !one_each {
            return Err(BallotsError::Twice);
        }
        Ok(Self { latest, counters, open, used })
    }
}

impl Ballots {
    /// Every directive that waits, with those who have touched for it.
    pub fn waiting(&self) -> impl Iterator<Item = (&Directive, Vec<&Name>)> {
        self.open.iter().map(|ballot| {
            (&ballot.directive, ballot.votes.values().map(|vote| &vote.person).collect::<Vec<_>>())
        })
    }

    /// Whether a directive of this kind waits.
    #[must_use]
    pub fn is_waiting(&self, kind: Kind) -> bool {
        self.open.iter().any(|ballot| ballot.directive.kind() == kind)
    }
}
