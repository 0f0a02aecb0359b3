//! The vault without its sockets, for simulations: what comes in are lines and frames, what goes out
//! are lines and frames, and nothing leaves but by the way of [`crate::Durable`].
//!
//! Behind the feature `sim`, which nothing that ships turns on. A caller gets here what it would
//! get over the sockets, with the time, the salts and the record key's seed as arguments.

use std::collections::BTreeMap;
use std::io;

use keys::{RecordKey, RootSecret};
use policy::State;
use protocol::journal::split;
use trading::{AccountName, Timestamp, TradingState};

use crate::core::{Core, Durability, Input, Output};
use crate::journal_link::{PastLog, PastRecord, Welcome, acknowledged};
use crate::request::Caller;
use crate::signer::{BaseUrls, Signer};
use crate::ticket::DurableBelow;
use crate::{VaultError, begin, recorder, resume};

/// A fault planted on purpose, to see whether a simulation finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Replies leave although the journal has not acknowledged their records.
    ReleasesBeforeDurable,
    /// A restart does not read the counters from the log.
    ForgetsCounters,
    /// A signature counts only once it is out.
    CountsAtRelease,
}

/// Where the journal's log stands, as it says to a vault that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Index of the next record.
    pub next: u64,
    /// The first record without a leaf.
    pub first_without_leaf: u64,
    /// SHA-256 of the last body.
    pub last_body_digest: [u8; 32],
    /// The last epoch.
    pub epoch: u64,
}

impl From<Standing> for Welcome {
    fn from(standing: Standing) -> Self {
        let Standing { next, first_without_leaf, last_body_digest, epoch } = standing;
        Self { next, first_without_leaf, last_body_digest, epoch, torn_bytes: 0 }
    }
}

/// The log that a starting vault reads.
pub trait Past {
    /// Where it stands.
    fn standing(&self) -> Standing;

    /// Body and detail of every record from `from` on, in order.
    ///
    /// # Errors
    ///
    /// If the journal does not answer.
    fn records(&mut self, from: u64) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// The installation's statement about the vault's key.
    ///
    /// # Errors
    ///
    /// If the journal does not answer.
    fn vouch(&mut self, epoch: u64, public_key: &[u8; 32], policy_hash: &[u8; 32]) -> io::Result<Vec<u8>>;
}

struct Read<'a, P>(&'a mut P);

impl<P: Past> PastLog for Read<'_, P> {
    fn welcome(&self) -> Welcome {
        self.0.standing().into()
    }

    fn replay(
        &mut self,
        from: u64,
        mut take: impl FnMut(PastRecord<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let records = self.0.records(from)?;
        records.iter().try_for_each(|(body, detail)| take(PastRecord { body, detail }))
    }

    fn vouch(&mut self, epoch: u64, public_key: &[u8; 32], policy_hash: &[u8; 32]) -> io::Result<Vec<u8>> {
        self.0.vouch(epoch, public_key, policy_hash)
    }
}

/// What a vault starts with.
pub struct Startup<'a> {
    /// Opens the store.
    pub root: RootSecret,
    /// The sealed store.
    pub store: &'a str,
    /// Where signed requests are for.
    pub bases: BaseUrls,
    /// When a signature may leave.
    pub durability: Durability,
    /// Seed of this life's record key.
    pub record_key: [u8; 32],
    /// In each block of so many records the counters are written down.
    pub block: u64,
    /// A planted fault.
    pub mutant: Option<Mutant>,
}

/// What a step brought.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Frames for the journal, to be lost if there is no connection.
    pub frames: Vec<Vec<u8>>,
    /// Index, body and detail of each new record.
    pub records: Vec<(u64, Vec<u8>, Vec<u8>)>,
    /// What callers are told: who, about which record, the line.
    pub replies: Vec<(usize, Option<u64>, Vec<u8>)>,
}

/// One life of a vault.
pub struct Vault {
    core: Core,
    connected: bool,
    mutant: Option<Mutant>,
    out: Vec<Output>,
}

impl Vault {
    /// Starts: reads the log, opens the epoch. [`Vault::connect`] sends what follows from it.
    ///
    /// # Errors
    ///
    /// As [`crate::run`].
    pub fn start(
        startup: Startup<'_>,
        log: &mut impl Past,
        now: Timestamp,
        salt: [u8; 16],
    ) -> Result<Self, VaultError> {
        let Startup { root, store, bases, durability, record_key, block, mutant } = startup;
        let (signer, policy) = Signer::open(root, store, bases).map_err(VaultError::Store)?;
        let mut log = Read(log);
        let recorder = recorder(&log.welcome(), RecordKey::from_seed(&record_key));
        let mut core = Core::new(policy, signer, recorder, durability);
        core.set_block(block);
        core.forgets_counters = mutant == Some(Mutant::ForgetsCounters);
        core.counts_at_release = mutant == Some(Mutant::CountsAtRelease);
        begin(&mut log, &mut core, now, salt)?;
        Ok(Self { core, connected: false, mutant, out: Vec::new() })
    }

    /// A connection to the journal stands.
    ///
    /// # Errors
    ///
    /// If the log is not the one this vault wrote: it must end.
    pub fn connect(&mut self, standing: Standing, now: Timestamp) -> Result<Outcome, String> {
        let welcome = Welcome::from(standing);
        resume::check_same_log(self.core.recorder(), &welcome)?;
        let mut bytes = Vec::new();
        resume::put_missing(self.core.recorder(), &welcome, &mut bytes).map_err(|error| error.to_string())?;
        self.connected = true;
        let mut outcome = Outcome { frames: frames(&bytes), ..Outcome::default() };
        let durable = Input::Durable(DurableBelow::acknowledged(welcome.next));
        self.core.step(durable, now, &mut self.out);
        self.settle(&mut outcome);
        Ok(outcome)
    }

    /// The connection to the journal broke.
    pub fn disconnect(&mut self) {
        self.connected = false;
    }

    /// Whether there is a connection to the journal.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether no more lines should be brought until the disk has caught up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.core.is_full()
    }

    /// A frame of the journal's, without its length.
    ///
    /// # Errors
    ///
    /// If it is not an acknowledgement: the connection is to be given up.
    pub fn journal_says(&mut self, frame: &[u8], now: Timestamp) -> io::Result<Outcome> {
        let below = acknowledged(frame)?;
        Ok(self.step(Input::Durable(below), now))
    }

    /// A line on the sign socket, from a process of user `uid`.
    pub fn line(&mut self, from: usize, uid: u32, line: &[u8], now: Timestamp, salt: [u8; 16]) -> Outcome {
        self.step(Input::Line { from, caller: Caller::Direct { uid }, line, salt }, now)
    }

    /// A line on the gateway's socket.
    pub fn gateway_line(&mut self, from: usize, line: &[u8], now: Timestamp, salt: [u8; 16]) -> Outcome {
        self.step(Input::Line { from, caller: Caller::Gateway, line, salt }, now)
    }

    /// A line on the operators' socket.
    pub fn command(&mut self, from: usize, line: &[u8], now: Timestamp, salt: [u8; 16]) -> Outcome {
        self.step(Input::Command { from, uid: 0, line, salt }, now)
    }

    /// The counters of each account, and the state of accounts that have none.
    #[must_use]
    pub fn counters(&self) -> (&BTreeMap<AccountName, State>, TradingState) {
        self.core.counters()
    }

    /// Index, body and detail of each record whose arrival is not certain, also of those that nobody
    /// waits for; without details for what an earlier life left.
    pub fn kept(&mut self) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
        let kept = self.core.recorder().unsynced();
        kept.map(|record| (record.index, record.body.clone(), record.detail.clone())).collect()
    }

    /// Index of the next record.
    pub fn next_index(&mut self) -> u64 {
        self.core.recorder().next_index()
    }

    fn step(&mut self, input: Input<'_>, now: Timestamp) -> Outcome {
        self.core.step(input, now, &mut self.out);
        if self.mutant == Some(Mutant::ReleasesBeforeDurable) {
            let next = self.core.recorder().next_index();
            self.core.step(Input::Durable(DurableBelow::acknowledged(next)), now, &mut self.out);
        }
        let mut outcome = Outcome::default();
        self.settle(&mut outcome);
        outcome
    }

    /// Sorts what the core said, as the server does: records, replies, leaves.
    fn settle(&mut self, outcome: &mut Outcome) {
        let outputs = std::mem::take(&mut self.out);
        if self.connected {
            let mut bytes = Vec::new();
            let recorder = self.core.recorder();
            resume::put_records(&outputs, &mut bytes)
                .and_then(|()| resume::put_leaves(recorder, &mut bytes))
                .expect("records are bounded");
            outcome.frames.extend(frames(&bytes));
        }
        for output in outputs {
            match output {
                Output::Append { index, body, detail } => outcome.records.push((index, body, detail)),
                Output::Reply { to, index, line } => outcome.replies.push((to, index, line)),
            }
        }
    }
}

/// Cuts bytes into the frames they are made of.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Ok(Some((frame, used))) = split(bytes) {
        frames.push(frame.to_vec());
        bytes = &bytes[used..];
    }
    frames
}
