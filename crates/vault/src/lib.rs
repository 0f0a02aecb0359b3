//! Decides, signs, records, releases.
//!
//! One thread owns the policy's counters and the venue keys. What comes in is a line of JSON on a
//! Unix socket; what goes out is a venue-ready request or the full list of denials, and only
//! after the record of it is durable. The process opens no network socket, executes nothing and
//! writes no file: its parent binds its sockets and hands it its secrets over standard input.
//!
//! The way of one order: [`request`](self) → `venue::decode` → `policy::evaluate` → `signer` →
//! `recorder` → journal → [`Recorded`] → [`Durable`] → out.

mod clock;
mod connection;
mod core;
mod detail;
mod journal_link;
mod onboarding;
mod outgoing;
mod place;
mod recorder;
pub mod rehearsal;
mod replay;
mod request;
mod resume;
mod serve;
mod signer;
#[cfg(feature = "sim")]
pub mod sim;
mod ticket;
mod turns;
pub mod vectors;
pub mod watch;

use std::io;
use std::path::PathBuf;

use keys::{RecordKey, RootSecret};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::Timestamp;
use transparency::Epoch;

pub use core::snapshot as counters;
pub use core::{Durability, Everywhere};
pub use detail::{Detail, Event};
pub use onboarding::{OnboardingError, permission_request};
pub use serve::Listeners;
pub use signer::BaseUrls;
pub use ticket::{Durable, DurableBelow, Recorded, Signed};

use crate::clock::Clock;
use crate::core::Core;
use crate::journal_link::{JournalLink, PastLog, Welcome};
use crate::recorder::{Recorder, Salt};
use crate::serve::Server;
use crate::signer::Signer;

/// Everything the vault needs to start that is not secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The sealed store, which holds the policy in force.
    pub store: String,
    /// The journal's socket.
    pub journal: PathBuf,
    /// Where signed requests are to be sent.
    pub bases: BaseUrls,
    /// When a signature may leave.
    pub durability: Durability,
}

/// What the vault says when it can decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Epoch of its record key.
    pub epoch: u64,
    /// Index of the next record.
    pub next_index: u64,
    /// Hash of the policy in force, hexadecimal.
    pub policy_hash: String,
    /// Venue keys it holds.
    pub keys: usize,
}

/// Why the vault does not run.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The store does not open, or its policy has mistakes.
    #[error("{0}")]
    Store(String),
    /// The journal or a socket failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// A record of the log is not what this vault would have written.
    #[error("record {index} of the log cannot be read back: {reason}; run `seawall log verify`")]
    Log {
        /// Which.
        index: u64,
        /// Why.
        reason: String,
    },
}

/// Runs until standard input ends. `ready` is told when requests are decided.
///
/// # Errors
///
/// [`VaultError`] if it cannot start, or cannot go on without risking an unrecorded signature.
pub fn run(
    root: RootSecret,
    config: Config,
    listeners: Listeners,
    ready: impl FnOnce(&Ready),
) -> Result<(), VaultError> {
    let (signer, policy) = Signer::open(root, &config.store, config.bases).map_err(VaultError::Store)?;
    let policy_hash = policy.hash();
    let keys = signer.keys().count();
    let mut journal = JournalLink::connect(&config.journal).map_err(io_error("cannot reach the journal"))?;
    let welcome = journal.welcome();
    let mut core = Core::new(policy, signer, recorder(&welcome, RecordKey::generate()), config.durability);
    begin(&mut journal, &mut core, Clock::start().now(), serve::fresh_salt())?;
    let epoch = welcome.epoch + 1;
    let said = Ready { epoch, next_index: welcome.next, policy_hash: hex::encode(policy_hash), keys };
    let mut server =
        Server::new(listeners, core, journal, config.journal).map_err(io_error("cannot start serving"))?;
    ready(&said);
    server.run().map_err(io_error("stopped"))
}

/// Continues the journal's log in the next epoch, under `key`.
fn recorder(welcome: &Welcome, key: RecordKey) -> Recorder {
    Recorder::new(welcome.epoch + 1, key, welcome.next, welcome.last_body_digest)
}

/// Rebuilds the counters from the log and opens the epoch; from here on requests are decided.
fn begin(journal: &mut impl PastLog, core: &mut Core, now: Timestamp, salt: Salt) -> Result<(), VaultError> {
    let detail = epoch_detail(journal, core)?;
    let gap = replay::replay(journal, core)?;
    core.begin_epoch(&detail, &gap, journal.welcome().torn_bytes, now, salt);
    Ok(())
}

/// The detail of the record that opens the epoch, with the statement that vouches for its key.
fn epoch_detail(journal: &mut impl PastLog, core: &mut Core) -> Result<Epoch, VaultError> {
    let welcome = journal.welcome();
    let policy_hash = core.policy_hash();
    let (epoch, public_key) = (core.recorder().epoch(), core.recorder().public_key());
    let statement = journal
        .vouch(epoch, &public_key, &policy_hash)
        .map_err(io_error("the journal does not vouch for the record key"))?;
    let adopted =
        (welcome.first_without_leaf < welcome.next).then_some((welcome.first_without_leaf, welcome.next));
    Ok(Epoch {
        epoch,
        isolation: "software".to_owned(),
        public_key,
        policy_hash,
        previous_size: welcome.first_without_leaf,
        adopted,
        statement,
    })
}

fn io_error(context: &'static str) -> impl FnOnce(io::Error) -> VaultError {
    move |source| VaultError::Io { context, source }
}

/// `value` as JSON, in a buffer that most lines fit in from the start.
///
/// # Panics
///
/// If `value` is not text, numbers and JSON that was parsed before.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(1024);
    serde_json::to_writer(&mut line, value).expect("text, numbers and JSON that was parsed before");
    line
}
