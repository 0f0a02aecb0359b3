//! What people are asked to approve: typed, in one canonical form, with one digest.
//!
//! The form is deterministic CBOR (RFC 8949 §4.2.1) with integer keys, as the records in the log
//! have it: it has exactly one spelling of each value, needs no escaping, and is what authenticators
//! speak themselves. A decoded directive is encoded again and must give the same bytes, so the
//! decoder need not know every way in which CBOR can be written twice.

use std::collections::BTreeSet;

use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{AccountName, Decimal, SizeFactor, Timestamp};

use crate::assertion::sha256;
use crate::bytes::{Digest, Nonce};
use crate::names::{Name, Reason, TextError};

/// Longest canonical form, in bytes: 64 accounts, 32 key ids and a reason of the longest fit.
pub const MAX_DIRECTIVE: usize = 8 * 1024;
/// Longest time between not-before and expiry, in milliseconds.
pub const MAX_VALIDITY_MS: u64 = 15 * 60 * 1000;
/// Most accounts that one directive names.
const MAX_ACCOUNTS: usize = 64;
/// Most new keys that one directive names.
const MAX_KEYS: usize = 32;
/// Version of the form.
const VERSION: u64 = 1;
/// What stands before the bytes in the digest. No other digest of ours begins so, and no JSON.
const DOMAIN: &[u8] = b"seawall directive v1\0";
/// End of the year 9999, in milliseconds: later times have no RFC 3339 form.
const END_OF_TIME_MS: u64 = 253_402_300_800_000;
/// Most of its limits on size that trading may start again with, in percent.
const START_PERCENT: i128 = 25;

/// Which accounts a directive is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accounts {
    /// All there are.
    All,
    /// These: 1 to 64.
    Only(BTreeSet<AccountName>),
}

/// With what trading starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The incident that is over.
    pub incident: Name,
    /// Digest of the report that log and venue agree.
    pub reconciliation: Digest,
    /// Share of the limits on size for the first hour: at most a quarter.
    pub size_factor: SizeFactor,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Level 1: no new risk.
    Pause,
    /// Level 2: and resting orders are cancelled.
    CancelAll,
    /// Level 3: and positions are closed, reduce-only.
    Flatten,
    /// Level 4: the kill switch.
    Kill {
        /// Whether the venue keys are revoked at the venue, too.
        revoke: bool,
    },
    /// Trading goes on after a stop that left the keys valid.
    Resume(Start),
    /// Trading goes on after rung 3 of the drawdown ladder.
    Restart(Start),
    /// Trading begins anew after a kill, with new keys.
    Recommission {
        /// With what.
        start: Start,
        /// Ids of the new keys, 1 to 32; none of the old ones comes back.
        keys: BTreeSet<Name>,
    },
    /// The high-water mark is set by hand.
    Rebase {
        /// As it is, in the accounting currency. Positive.
        old: Decimal,
        /// As it is to be. Positive.
        new: Decimal,
    },
    /// A policy that allows more takes the place of the one in force.
    LoosenPolicy {
        /// Hash of the policy in force.
        old: Digest,
        /// Hash of the policy to be.
        new: Digest,
    },
}

/// An action without its details: what a quorum is set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Action::Pause`].
    Pause,
    /// [`Action::CancelAll`].
    CancelAll,
    /// [`Action::Flatten`].
    Flatten,
    /// [`Action::Kill`].
    Kill,
    /// [`Action::Resume`].
    Resume,
    /// [`Action::Restart`].
    Restart,
    /// [`Action::Recommission`].
    Recommission,
    /// [`Action::Rebase`].
    Rebase,
    /// [`Action::LoosenPolicy`].
    LoosenPolicy,
}

impl Kind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Pause,
        Self::CancelAll,
        Self::Flatten,
        Self::Kill,
        Self::Resume,
        Self::Restart,
        Self::Recommission,
        Self::Rebase,
        Self::LoosenPolicy,
    ];

    /// Whether it lets more happen than before. What does not may never be harder to get than what does.
    #[must_use]
    pub const fn loosens(self) -> bool {
        !matches!(self, Self::Pause | Self::CancelAll | Self::Flatten | Self::Kill)
    }
}

impl Action {
    /// Which kind it is of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Pause => Kind::Pause,
            Self::CancelAll => Kind::CancelAll,
            Self::Flatten => Kind::Flatten,
            Self::Kill { .. } => Kind::Kill,
            Self::Resume(_) => Kind::Resume,
            Self::Restart(_) => Kind::Restart,
            Self::Recommission { .. } => Kind::Recommission,
            Self::Rebase { .. } => Kind::Rebase,
            Self::LoosenPolicy { .. } => Kind::LoosenPolicy,
        }
    }
}

/// What a directive says, before it is checked as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What people call it.
    pub id: Name,
    /// What is to be done.
    pub action: Action,
    /// To which accounts.
    pub accounts: Accounts,
    /// Hash of the policy in force; under another the directive is void.
    pub policy: Digest,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// From when on it holds no more: at most 15 minutes after.
    pub expires_at: Timestamp,
    /// Used once and never again. Drawn at random by whoever proposes.
    pub nonce: Nonce,
    /// Who of the approvers proposes, if one does; their own touch does not count towards loosening.
    pub proposer: Option<Name>,
    /// Why.
    pub reason: Reason,
}

/// Why a directive is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectiveError {
    /// Longer than [`MAX_DIRECTIVE`].
    #[error("a directive has at most {MAX_DIRECTIVE} bytes")]
    TooLong,
    /// Not the CBOR of a directive, or not in its one spelling.
    #[error("is not the canonical CBOR of a directive")]
    Malformed,
    /// A form of a later program.
    #[error("has version {0}; this program knows version {VERSION}")]
    Version(u64),
    /// A text that does not fit its field.
    #[error("{field} {error}")]
    Text {
        /// Which.
        field: &'static str,
        /// What is wrong.
        error: TextError,
    },
    /// A list with too few or too many entries.
    #[error("{field} must have 1 to {most} entries")]
    Count {
        /// Which.
        field: &'static str,
        /// The most that fit.
        most: usize,
    },
    /// A size factor above a quarter.
    #[error("size factor {0} is above the {START_PERCENT} % that trading starts again with")]
    StartTooLarge(SizeFactor),
    /// A high-water mark that is not above zero.
    #[error("a high-water mark must be above 0")]
    HighWaterMark,
    /// A change that changes nothing.
    #[error("old and new are the same")]
    NoChange,
    /// Judged under another policy than the one it replaces.
    #[error("the old policy is not the policy in force that the directive names")]
    OtherPolicy,
    /// Not-before after the expiry, or both too far apart.
    #[error("expiry must come after not-before, by at most {MAX_VALIDITY_MS} ms")]
    Validity,
    /// A time that cannot be written.
    #[error("the expiry lies beyond the year 9999")]
    Time,
}

/// A directive that holds together. Its canonical bytes are what is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Directive(Content);

impl Directive {
    /// Checks `content` as a whole.
    ///
    /// # Errors
    ///
    /// [`DirectiveError`] says what does not fit.
    pub fn new(content: Content) -> Result<Self, DirectiveError> {
        check(&content)?;
        let directive = Self(content);
        if directive.to_bytes().len() > MAX_DIRECTIVE { Err(DirectiveError::TooLong) } else { Ok(directive) }
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.0
    }

    /// Which kind of action it asks for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.0.action.kind()
    }

    /// Its one form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(256));
        encode(&mut encoder, &self.0).expect("a vector takes every byte");
        encoder.into_writer()
    }

    /// Reads a directive in its one form, and checks it as [`Self::new`] does.
    ///
    /// # Errors
    ///
    /// [`DirectiveError`] says what does not fit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DirectiveError> {
        if bytes.len() > MAX_DIRECTIVE {
            return Err(DirectiveError::TooLong);
        }
        let directive = Self::new(decode(bytes)?)?;
        if directive.to_bytes() == bytes { Ok(directive) } else { Err(DirectiveError::Malformed) }
    }

    /// What a token signs: SHA-256 of a prefix of our own and the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(sha256(&[DOMAIN, &self.to_bytes()].concat()))
    }
}

impl From<Directive> for String {
    fn from(directive: Directive) -> Self {
        hex::encode(directive.to_bytes())
    }
}

impl TryFrom<String> for Directive {
    type Error = DirectiveError;
    fn try_from(text: String) -> Result<Self, DirectiveError> {
        Self::from_bytes(&hex::decode(text).map_err(|_| DirectiveError::Malformed)?)
    }
}

fn check(content: &Content) -> Result<(), DirectiveError> {
    let counted = |field, count: usize, most| {
        if (1..=most).contains(&count) { Ok(()) } else { Err(DirectiveError::Count { field, most }) }
    };
    if let Accounts::Only(names) = &content.accounts {
        counted("accounts", names.len(), MAX_ACCOUNTS)?;
    }
    let validity = content.expires_at.as_ms().checked_sub(content.not_before.as_ms());
    if !validity.is_some_and(|ms| (1..=MAX_VALIDITY_MS).contains(&ms)) {
        return Err(DirectiveError::Validity);
    }
    if content.expires_at.as_ms() >= END_OF_TIME_MS {
        return Err(DirectiveError::Time);
    }
    match &content.action {
        Action::Pause | Action::CancelAll | Action::Flatten | Action::Kill { .. } => Ok(()),
        Action::Resume(start) | Action::Restart(start) => check_start(start),
        Action::Recommission { start, keys } => {
            counted("keys", keys.len(), MAX_KEYS)?;
            check_start(start)
        }
        Action::Rebase { old, new } if !old.is_positive() || !new.is_positive() => {
            Err(DirectiveError::HighWaterMark)
        }
        Action::Rebase { old, new } if old == new => Err(DirectiveError::NoChange),
        Action::LoosenPolicy { old, new } if old == new => Err(DirectiveError::NoChange),
        Action::LoosenPolicy { old, .. } if *old != content.policy => Err(DirectiveError::OtherPolicy),
        Action::Rebase { .. } | Action::LoosenPolicy { .. } => Ok(()),
    }
}

fn check_start(start: &Start) -> Result<(), DirectiveError> {
    let most = Decimal::new(START_PERCENT, 2).expect("two digits are within a decimal's 38");
    if start.size_factor.decimal() <= most {
        Ok(())
    } else {
        Err(DirectiveError::StartTooLarge(start.size_factor))
    }
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn encode(out: &mut Encoder<Vec<u8>>, content: &Content) -> Written {
    out.map(10)?.u8(0)?.u64(VERSION)?.u8(1)?.str(content.id.as_str())?.u8(2)?;
    encode_action(out, &content.action)?;
    out.u8(3)?;
    match &content.accounts {
        Accounts::All => out.bool(true)?.ok()?,
        Accounts::Only(names) => {
            out.array(names.len() as u64)?;
            names.iter().try_for_each(|name| out.str(name.as_str())?.ok())?;
        }
    }
    out.u8(4)?.bytes(&content.policy.0)?;
    out.u8(5)?.u64(content.not_before.as_ms())?.u8(6)?.u64(content.expires_at.as_ms())?;
    out.u8(7)?.bytes(&content.nonce.0)?.u8(8)?;
    match &content.proposer {
        None => out.null()?.ok()?,
        Some(name) => out.str(name.as_str())?.ok()?,
    }
    out.u8(9)?.str(content.reason.as_str())?.ok()
}

fn encode_action(out: &mut Encoder<Vec<u8>>, action: &Action) -> Written {
    let code = code_of(action.kind());
    match action {
        Action::Pause | Action::CancelAll | Action::Flatten => out.array(1)?.u8(code)?.ok(),
        Action::Kill { revoke } => out.array(2)?.u8(code)?.bool(*revoke)?.ok(),
        Action::Resume(start) | Action::Restart(start) => {
            out.array(4)?.u8(code)?;
            encode_start(out, start)
        }
        Action::Recommission { start, keys } => {
            out.array(5)?.u8(code)?;
            encode_start(out, start)?;
            out.array(keys.len() as u64)?;
            keys.iter().try_for_each(|key| out.str(key.as_str())?.ok())
        }
        Action::Rebase { old, new } => {
            out.array(3)?.u8(code)?.str(&old.to_string())?.str(&new.to_string())?.ok()
        }
        Action::LoosenPolicy { old, new } => out.array(3)?.u8(code)?.bytes(&old.0)?.bytes(&new.0)?.ok(),
    }
}

fn encode_start(out: &mut Encoder<Vec<u8>>, start: &Start) -> Written {
    out.str(start.incident.as_str())?.bytes(&start.reconciliation.0)?;
    out.str(&start.size_factor.to_string())?.ok()
}

fn code_of(kind: Kind) -> u8 {
    kind as u8 + 1
}

fn decode(bytes: &[u8]) -> Result<Content, DirectiveError> {
    let mut input = Input(Decoder::new(bytes));
    input.count(Decoder::map, 10)?;
    input.key(0)?;
    let version = input.take(Decoder::u64)?;
    if version != VERSION {
        return Err(DirectiveError::Version(version));
    }
    input.key(1)?;
    let id = input.name("id")?;
    input.key(2)?;
    let action = input.action()?;
    input.key(3)?;
    let accounts = input.accounts()?;
    input.key(4)?;
    let policy = input.digest()?;
    input.key(5)?;
    let not_before = Timestamp::from_ms(input.take(Decoder::u64)?);
    input.key(6)?;
    let expires_at = Timestamp::from_ms(input.take(Decoder::u64)?);
    input.key(7)?;
    let nonce = Nonce::from_slice(input.take(Decoder::bytes)?).map_err(|_| DirectiveError::Malformed)?;
    input.key(8)?;
    let proposer = if input.0.probe().null().is_ok() {
        input.take(Decoder::null)?;
        None
    } else {
        Some(input.name("proposer")?)
    };
    input.key(9)?;
    let reason = Reason::new(input.take(Decoder::str)?)
        .map_err(|error| DirectiveError::Text { field: "reason", error })?;
    Ok(Content { id, action, accounts, policy, not_before, expires_at, nonce, proposer, reason })
}

struct Input<'a>(Decoder<'a>);

impl<'a> Input<'a> {
    fn take<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, DirectiveError> {
        read(&mut self.0).map_err(|_| DirectiveError::Malformed)
    }

    fn count(
        &mut self,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<Option<u64>, minicbor::decode::Error>,
        expected: u64,
    ) -> Result<(), DirectiveError> {
        if self.take(read)? == Some(expected) { Ok(()) } else { Err(DirectiveError::Malformed) }
    }

    fn key(&mut self, expected: u8) -> Result<(), DirectiveError> {
        if self.take(Decoder::u8)? == expected { Ok(()) } else { Err(DirectiveError::Malformed) }
    }

    fn name(&mut self, field: &'static str) -> Result<Name, DirectiveError> {
        Name::new(self.take(Decoder::str)?).map_err(|error| DirectiveError::Text { field, error })
    }

    fn digest(&mut self) -> Result<Digest, DirectiveError> {
        Digest::from_slice(self.take(Decoder::bytes)?).map_err(|_| DirectiveError::Malformed)
    }

    fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, DirectiveError> {
        self.take(Decoder::str)?.parse().map_err(|_| DirectiveError::Malformed)
    }

    /// A list of 1 to `most` entries; order and repetition are judged by the second encoding.
    fn list<T: Ord>(
        &mut self,
        field: &'static str,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DirectiveError>,
    ) -> Result<BTreeSet<T>, DirectiveError> {
        let count = self.take(Decoder::array)?.ok_or(DirectiveError::Malformed)?;
        if count > most as u64 {
            return Err(DirectiveError::Count { field, most });
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn accounts(&mut self) -> Result<Accounts, DirectiveError> {
        if self.0.probe().bool().is_ok() {
            return if self.take(Decoder::bool)? {
                Ok(Accounts::All)
            } else {
                Err(DirectiveError::Malformed)
            };
        }
        self.list("accounts", MAX_ACCOUNTS, Self::parsed).map(Accounts::Only)
    }

    fn start(&mut self) -> Result<Start, DirectiveError> {
        Ok(Start {
            incident: self.name("incident")?,
            reconciliation: self.digest()?,
            size_factor: self.parsed()?,
        })
    }

    /// The length in front is judged by the second encoding.
    fn action(&mut self) -> Result<Action, DirectiveError> {
        self.take(Decoder::array)?;
        let code = self.take(Decoder::u8)?;
        let kind = Kind::ALL.into_iter().find(|kind| code_of(*kind) == code);
        Ok(match kind.ok_or(DirectiveError::Malformed)? {
            Kind::Pause => Action::Pause,
            Kind::CancelAll => Action::CancelAll,
            Kind::Flatten => Action::Flatten,
            Kind::Kill => Action::Kill { revoke: self.take(Decoder::bool)? },
            Kind::Resume => Action::Resume(self.start()?),
            Kind::Restart => Action::Restart(self.start()?),
            Kind::Recommission => Action::Recommission {
                start: self.start()?,
                keys: self.list("keys", MAX_KEYS, |input| input.name("keys"))?,
            },
            Kind::Rebase => Action::Rebase { old: self.parsed()?, new: self.parsed()? },
            Kind::LoosenPolicy => Action::LoosenPolicy { old: self.digest()?, new: self.digest()? },
        })
    }
}
