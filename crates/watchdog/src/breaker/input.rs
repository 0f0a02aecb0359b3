//! What the breaker is told. The inputs and their times, in order, are all that its state depends on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{AccountName, Decimal, Timestamp};

use super::clock::Now;
use super::ladder::Ladder;
use super::rung::Rung;
use super::sample::Sample;

/// Most accounts one breaker watches.
pub const MAX_ACCOUNTS: usize = 64;
/// Most bytes of a flow's id.
pub const MAX_FLOW_ID: usize = 128;
/// Most people under one directive, and most bytes of a name and of a reason.
const MAX_PEOPLE: usize = 16;
const MAX_NAME: usize = 64;
const MAX_WHY: usize = 500;

/// What is watched, by which ladders. It is the policy's; the breaker keeps the one it was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ConfigFields", into = "ConfigFields")]
pub struct Config {
    currency: Box<str>,
    accounts: BTreeMap<AccountName, Ladder>,
    group: Ladder,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFields {
    currency: Box<str>,
    accounts: BTreeMap<AccountName, Ladder>,
    group: Ladder,
}

/// Why a [`Config`] is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Nothing to watch, or too much.
    #[error("accounts has {0} entries; state 1 to {MAX_ACCOUNTS}")]
    Accounts(usize),
    /// No accounting currency.
    #[error("currency is empty or longer than 16 bytes; state one such as USDT")]
    Currency,
}

impl Config {
    /// `currency` is the accounting currency of all accounts, compared byte by byte: USDT is not USD.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field.
    pub fn new(
        currency: impl Into<Box<str>>,
        accounts: BTreeMap<AccountName, Ladder>,
        group: Ladder,
    ) -> Result<Self, ConfigError> {
        let currency = currency.into();
        if currency.is_empty() || currency.len() > 16 {
            return Err(ConfigError::Currency);
        }
        if accounts.is_empty() || accounts.len() > MAX_ACCOUNTS {
            return Err(ConfigError::Accounts(accounts.len()));
        }
        Ok(Self { currency, accounts, group })
    }

    /// The accounting currency.
    #[must_use]
    pub const fn currency(&self) -> &str {
        &self.currency
    }

    /// Each account's ladder.
    #[must_use]
    pub const fn accounts(&self) -> &BTreeMap<AccountName, Ladder> {
        &self.accounts
    }

    /// The ladder of all accounts together.
    #[must_use]
    pub const fn group(&self) -> &Ladder {
        &self.group
    }
}

impl TryFrom<ConfigFields> for Config {
    type Error = ConfigError;

    fn try_from(fields: ConfigFields) -> Result<Self, ConfigError> {
        Self::new(fields.currency, fields.accounts, fields.group)
    }
}

impl From<Config> for ConfigFields {
    fn from(config: Config) -> Self {
        Self { currency: config.currency, accounts: config.accounts, group: config.group }
    }
}

/// Whom a rung holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One account.
    Account(AccountName),
    /// All accounts together.
    Group,
}

/// One line of the breaker's journal: written, and durable, before what comes of it is acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// What.
    pub input: Input,
    /// When.
    pub now: Now,
}

/// One thing the breaker is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A process began to watch, with this configuration.
    Started(Config),
    /// Time passed. To be told at least once a second.
    Tick,
    /// A venue's complete answer about one account.
    Sample(Sample),
    /// A line of a venue's ledger that moved money in or out.
    Flow(Flow),
    /// Someone has seen a rung. Needed for rungs 1 and 2 to clear, of no effect on others.
    Acknowledge {
        /// Whose.
        subject: Subject,
        /// Which.
        rung: Rung,
        /// When it was reached, as its event said: an old directive lifts no newer rung.
        tripped_at: Timestamp,
        /// Who and why; the signatures are already verified.
        signed: Signed,
    },
    /// The restart after rung 3. Two people, 24 hours after the rung was reached.
    Resume {
        /// Whose.
        subject: Subject,
        /// When it was reached, as its event said.
        tripped_at: Timestamp,
        /// Who and why; the signatures are already verified.
        signed: Signed,
    },
    /// Begins an account, or begins it anew after rung 4 (two people, 24 hours after it) or after it was
    /// emptied. The high-water mark starts from the equity then.
    Commission {
        /// Whose.
        subject: Subject,
        /// When rung 4 was reached, if it was.
        tripped_at: Option<Timestamp>,
        /// Who and why; the signatures are already verified.
        signed: Signed,
    },
    /// Someone has looked at the wall clock after a step: it is right.
    AcceptClock {
        /// Who and why; the signatures are already verified.
        signed: Signed,
    },
    /// A transfer's missing half will not come: what left and did not arrive is lost.
    WriteOffTransfer {
        /// The transfer.
        id: Box<str>,
        /// Who and why; the signatures are already verified.
        signed: Signed,
    },
}

/// Money that came from outside or went there: not a result of trading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Whose ledger says so.
    pub account: AccountName,
    /// The ledger's id of it, 1 to 128 bytes; one id counts once. Both halves of a transfer share it.
    pub id: Box<str>,
    /// The venue's time of it.
    pub at: Timestamp,
    /// In the accounting currency, positive into the account; never zero.
    pub amount: Decimal,
    /// What it is.
    pub kind: FlowKind,
}

/// Kinds of flow. Fees, funding, interest, settlements and liquidations are results, not flows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowKind {
    /// From outside.
    Deposit,
    /// To outside.
    Withdrawal,
    /// From or to another account of the same owner.
    Transfer {
        /// The other account; counts for the group as outside if it is not watched.
        counterparty: AccountName,
    },
    /// Given by the venue.
    Airdrop,
    /// A bonus, or its recollection, where the equity includes it.
    Bonus,
}

/// Who signed a directive, and why. That the signatures are good was checked before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Names of the signers; the same name counts once.
    pub people: Vec<Box<str>>,
    /// What they say.
    pub why: Box<str>,
}

impl Signed {
    /// How many people there are; zero if a text is empty or too long.
    pub(super) fn quorum(&self) -> usize {
        let fits = |text: &str, most: usize| !text.is_empty() && text.len() <= most;
        let fine = fits(&self.why, MAX_WHY)
            && self.people.len() <= MAX_PEOPLE
            && self.people.iter().all(|name| fits(name, MAX_NAME));
        if fine { self.people.iter().collect::<BTreeSet<_>>().len() } else { 0 }
    }
}
