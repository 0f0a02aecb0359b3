//! The admin socket: an operator's commands to the vault, one JSON object per line each way.

use serde::{Deserialize, Serialize};
use trading::{AccountName, SizeFactor, TradingState};

use crate::object;
use crate::sign::{ErrorText, RecordReference};

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminCommand {
    /// What the vault is and has done.
    Status,
    /// Change the trading state. Tightening is immediate; loosening is recorded with who and why.
    SetState {
        /// The new state.
        state: TradingState,
        /// Only this account; every account if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountName>,
        /// Why, in the operator's words; 1 to 500 bytes.
        why: String,
    },
    /// Change what limits on size are multiplied with for new risk. Holds until the next such command,
    /// over restarts too; recorded with who and why.
    SetSizeFactor {
        /// The new factor.
        factor: SizeFactor,
        /// Only this account; every account if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountName>,
        /// Why, in the operator's words; 1 to 500 bytes.
        why: String,
    },
    /// Replace policy and keys at once. Everything in flight keeps what it was judged by.
    Load {
        /// The sealed store's text, which holds the policy too.
        store: String,
        /// What changed, for the record.
        #[serde(deserialize_with = "object::required")]
        change: Change,
    },
    /// Record something an operator did elsewhere.
    Note {
        /// What changed.
        #[serde(deserialize_with = "object::required")]
        change: Change,
    },
}

/// Something an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// One word: `policy`, `key`, `bot`.
    pub kind: String,
    /// What, in one line; never holds a secret.
    pub text: String,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum AdminReply {
    /// The answer to [`AdminCommand::Status`].
    Status(VaultStatus),
    /// Done, and durable in the log.
    Done {
        /// Where in the log.
        #[serde(flatten)]
        record: RecordReference,
    },
    /// Not done.
    Error {
        /// Why not.
        error: ErrorText,
    },
}

/// What the vault is and has done since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// Its process id.
    pub pid: u32,
    /// `software`: what the attestation may claim of this process.
    pub isolation: String,
    /// Epoch of the record key.
    pub epoch: u64,
    /// Hash of the policy in force, hexadecimal.
    pub policy_hash: String,
    /// State of each account.
    pub states: Vec<(AccountName, TradingState)>,
    /// Size factor of each account.
    pub size_factors: Vec<(AccountName, SizeFactor)>,
    /// The trading lease of each account.
    pub leases: Vec<LeaseStatus>,
    /// Keys in memory: id, venue, account, stage, age in milliseconds.
    pub keys: Vec<KeyStatus>,
    /// Decisions since start.
    pub approved: u64,
    /// Refusals since start.
    pub denied: u64,
    /// Replies that left with a signature since start.
    pub released: u64,
    /// Orders the venue rejected since start, on the gateway's word.
    pub rejected: u64,
    /// Requests that were not understood since start.
    pub errors: u64,
    /// Records made, including those of earlier epochs.
    pub next_index: u64,
    /// Records below this are durable.
    pub durable: u64,
    /// Whether the journal is connected.
    pub journal_connected: bool,
    /// How many bots are connected.
    pub sign_socket: SocketUse,
    /// Microseconds from a request's arrival to its reply: p50, p99, p99.9 since start.
    pub latency_us: [u64; 3],
}

/// What one account needs and has of leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// Which account.
    pub account: AccountName,
    /// Whether new risk needs one.
    pub required: bool,
    /// What the live ones allow together; `None` without one.
    pub lent: Option<LentStatus>,
}

/// What live leases allow together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentStatus {
    /// The highest rung of the ladder.
    pub rung: u8,
    /// What the account may do.
    pub trading: TradingState,
    /// What limits on size are multiplied with.
    pub size_factor: SizeFactor,
    /// Until the first of them runs out, in milliseconds.
    pub left_ms: u64,
}

/// How full a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SocketUse {
    /// Connections now.
    pub open: u32,
    /// Connections at most; one more is closed at once.
    pub most: u32,
    /// Connections closed for that reason since start.
    pub refused: u64,
}

impl SocketUse {
    /// Whether the next caller would be turned away.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.open >= self.most
    }
}

/// One key in the vault's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// The id used in records.
    pub key_id: String,
    /// The venue.
    pub venue: String,
    /// The account.
    pub account: String,
    /// `active` or `retiring`.
    pub stage: String,
    /// Since it was added, in milliseconds.
    pub age_ms: u64,
}
