//! The counters, written into the log now and then, so that a restart reads the log's end and not
//! all of it.
//!
//! A record of its own like any other: chained, hashed, its leaf signed, under the checkpoint. Its
//! detail holds the counters as they stand after every record before it. In each block of
//! [`BLOCK`] records there is one, unless the block is older than this rule; a vault that
//! finds none counts from the first record on. See `docs/decisions/0009-state-in-the-log.md`.

use std::collections::BTreeMap;

use policy::State;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use trading::{AccountName, SizeFactor, TradingState};
use transparency::Body;

use super::{Core, Durability, Everywhere, Output};
use crate::recorder::{Heading, Salt, derived_salt};
use crate::ticket::Verdict;

/// Operation of the records that hold the counters.
pub const OPERATION: &str = "state";
/// Records in a block; in each the counters are written down once.
pub const BLOCK: u64 = 65_536;
/// Bytes of the counters' text in one record: escaped they are at most twice as long, and that fits a
/// detail.
const PART: usize = 48 * 1024;
/// Most parts: the tables of a hundred accounts, all full, take less.
const MAX_PARTS: usize = 65_536;

/// All counters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters<S> {
    everywhere: TradingState,
    /// The size factor of accounts that have no counters.
    #[serde(default, skip_serializing_if = "SizeFactor::is_one")]
    size_factor: SizeFactor,
    accounts: Vec<S>,
    /// Whether signatures may leave before their records are durable.
    runs_ahead: bool,
}

/// One record's share of the counters' text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    kind: String,
    /// From 0.
    part: usize,
    parts: usize,
    /// A piece of the JSON of [`Counters`].
    state: String,
}

/// Gathers the parts of the counters from records as they are replayed.
#[derive(Default)]
pub(crate) struct Gathered {
    text: String,
    next: usize,
    /// What the counters that were taken said of it.
    pub(crate) runs_ahead: bool,
}

impl Core {
    /// In each block of so many records the counters are written down once.
    pub(crate) const STATE_EVERY: u64 = BLOCK;

    /// Writes the counters down if a block of records has passed since the last time.
    pub(super) fn write_down_state_if_due(&mut self, salt: Salt, out: &mut Vec<Output>) {
        if self.recorder.next_index() >= self.state_due {
            self.write_down_state(salt, out);
        }
    }

    /// How many records a block has.
    pub(crate) const fn block(&self) -> u64 {
        self.state_every
    }

    /// Makes blocks shorter, so that tests see many.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) const fn set_block(&mut self, records: u64) {
        (self.state_every, self.state_due) = (records, records);
    }

    /// Writes the counters down, behind everything that was heard.
    pub(crate) fn write_down_state(&mut self, salt: Salt, out: &mut Vec<Output>) {
        self.write_down_heard(salt, out);
        let runs_ahead = self.durability == Durability::Pipelined;
        let (details, state_digest) = details(&self.states, self.everywhere, runs_ahead);
        for detail in details {
            let heading = Heading {
                time: self.context.now,
                actor: "vault",
                account: None,
                operation: OPERATION,
                policy_hash: self.policy.hash(),
                state_digest,
            };
            let salt = derived_salt(salt, self.recorder.next_index());
            let (frame, ticket) = self.recorder.record(&heading, detail, Verdict::Event, None, salt);
            out.push(frame);
            // Nobody waits for this record.
            drop(ticket);
        }
        self.state_due = (self.recorder.next_index() / self.state_every + 1) * self.state_every;
    }

    /// Takes a record that holds counters or a part of them; returns whether the counters are now
    /// those of the log up to it. Parts that do not belong together, or a text that this version
    /// does not read, are passed over: an earlier record, or the whole log, gives the counters too.
    pub(crate) fn load_state(&mut self, gathered: &mut Gathered, body: &Body, detail: &[u8]) -> bool {
        let Ok(part) = serde_json::from_slice::<Part>(detail) else { return false };
        if part.part == 0 {
            *gathered = Gathered::default();
        }
        if part.part != gathered.next || part.part >= part.parts || part.parts > MAX_PARTS {
            return false;
        }
        gathered.text.push_str(&part.state);
        gathered.next += 1;
        if gathered.next < part.parts {
            return false;
        }
        let Ok(counters) = serde_json::from_str::<Counters<State>>(&std::mem::take(&mut gathered.text))
        else {
            return false;
        };
        let states: BTreeMap<AccountName, State> =
            counters.accounts.into_iter().map(|state| (state.account().clone(), state)).collect();
        let everywhere = Everywhere { trading: counters.everywhere, size_factor: counters.size_factor };
        if digest(&states, everywhere) != body.state_digest {
            return false;
        }
        gathered.runs_ahead = counters.runs_ahead;
        #[cfg(feature = "sim")]
        let states = if self.forgets_counters { BTreeMap::new() } else { states };
        (self.states, self.everywhere) = (states, everywhere);
        self.context.now = self.context.now.max(body.time);
        self.state_due = (body.sequence / self.state_every + 1) * self.state_every;
        true
    }
}

/// The details of the records that hold these counters, in order, and the state digest of their
/// bodies. `runs_ahead` says whether signatures may leave before their records are durable.
#[must_use]
pub fn details(
    states: &BTreeMap<AccountName, State>,
    everywhere: Everywhere,
    runs_ahead: bool,
) -> (Vec<Vec<u8>>, [u8; 32]) {
    let Everywhere { trading, size_factor } = everywhere;
    let accounts = states.values().collect();
    let counters: Counters<&State> = Counters { everywhere: trading, size_factor, accounts, runs_ahead };
    let text = serde_json::to_string(&counters).expect("counters hold only text and numbers");
    let pieces = pieces(&text);
    let parts = pieces.len();
    let details = pieces.into_iter().enumerate().map(|(part, state)| {
        let part = Part { kind: OPERATION.to_owned(), part, parts, state: state.to_owned() };
        serde_json::to_vec(&part).expect("text and numbers")
    });
    (details.collect(), digest(states, everywhere))
}

/// Binds every account's digest and the state of those that have none.
fn digest(states: &BTreeMap<AccountName, State>, everywhere: Everywhere) -> [u8; 32] {
    let Everywhere { trading, size_factor } = everywhere;
    let mut digest = Sha256::new();
    if size_factor.is_one() {
        digest.update(b"seawall states v1\0");
    } else {
        digest.update(format!("seawall states v2\0{size_factor}\0"));
    }
    digest.update([trading as u8]);
    for (account, state) in states {
        digest.update(account.as_str());
        digest.update([0]);
        digest.update(state.digest());
    }
    digest.finalize().into()
}

/// Cuts a text into pieces of at most [`PART`] bytes; an empty one into one empty piece.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PART {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(PART));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}
