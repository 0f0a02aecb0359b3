//! The offline verifier: from nothing but a log's files, is every record what it claims to be?

mod pinned;
mod report;

use std::fmt::Display;
use std::num::NonZeroUsize;

use trading::Timestamp;

use crate::body::Body;
use crate::checkpoint::{Checkpoint, LogKey};
use crate::ed25519;
use crate::epoch::{Epoch, EpochError};
use crate::hash::{Hash, sha256};
use crate::leaf::{LEAF_BYTES, Leaf, LeafError, checksum};
use crate::tile::{Tile, tiles_of};
use crate::tree::{Completed, Tree};

use pinned::Pinned;

pub use report::{Fault, Place, Reason, Regression, Report};

/// Signatures checked together; one batch in memory is about half a megabyte.
const BATCH: usize = 4096;
/// Most leaves one epoch may adopt.
const MAX_ADOPTED: usize = 1 << 20;
/// Most clock regressions that are listed one by one.
const MAX_LISTED: usize = 100;

/// A log's files, read-only.
pub trait LogSource {
    /// Why something could not be read.
    type Error: Display;

    /// The log's verifier key, one line.
    ///
    /// # Errors
    ///
    /// If it is missing or unreadable.
    fn log_key(&self) -> Result<String, Self::Error>;

    /// The current checkpoint, a signed note.
    ///
    /// # Errors
    ///
    /// If it is missing or unreadable.
    fn checkpoint(&self) -> Result<String, Self::Error>;

    /// All records in order, from the first. An error stands for the record at its place; nothing
    /// is read after it.
    ///
    /// # Errors
    ///
    /// If the records cannot be read at all.
    fn records(&self) -> Result<impl Iterator<Item = Result<SourceRecord, Self::Error>>, Self::Error>;

    /// The bytes of a tile; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// If it is unreadable.
    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// One record as stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceRecord {
    /// The encoded body.
    pub body: Vec<u8>,
    /// What the body's detail digest is over.
    pub detail: Vec<u8>,
    /// The leaf, unless it is not signed yet.
    pub leaf: Option<[u8; LEAF_BYTES]>,
}

/// How to verify.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key the log must have; without it the log's own word is taken, which detects damage but
    /// not a wholly forged log.
    pub expected_key: Option<LogKey>,
    /// A signed checkpoint seen earlier, which the log must still contain.
    pub earlier: Option<String>,
    /// Threads that check signatures.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        Self { expected_key: None, earlier: None, threads: NonZeroUsize::MIN }
    }
}

/// Verifies a whole log and reports the first fault.
pub fn verify<S: LogSource>(source: &S, options: &Options) -> Report {
    let mut report = Report {
        log_key: None,
        checkpoint: None,
        records: 0,
        leaves: 0,
        covered: 0,
        epochs: 0,
        adopted: 0,
        regression_count: 0,
        regressions: Vec::new(),
        times: None,
        fault: None,
    };
    report.fault = check(source, options, &mut report).err();
    if let Some(Fault { place: Place::Record(index), .. }) = report.fault {
        // Signatures are checked in batches, so the walk may have gone past the fault.
        report.records = report.records.min(index);
        report.leaves = report.leaves.min(index);
        report.covered = report.covered.min(index);
    }
    report
}

fn check<S: LogSource>(source: &S, options: &Options, report: &mut Report) -> Result<(), Fault> {
    let key = read_key(source, options)?;
    report.log_key = Some(key.clone());
    let at_checkpoint = |reason| Fault { place: Place::Checkpoint, reason };
    let pinned = Pinned::read(source, &key)?;
    let earlier = match &options.earlier {
        None => None,
        Some(note) => Some(Checkpoint::open(note, &key).map_err(|error| at_checkpoint(error.into()))?.0),
    };
    report.checkpoint = Some(pinned.checkpoint.clone());
    let mut walk = Walk {
        source,
        key: *key.public_key(),
        pinned,
        earlier,
        threads: options.threads,
        report,
        previous: [0; 32],
        time: None,
        epoch: None,
        foreign: Vec::new(),
        batch: Vec::new(),
        tree: Tree::new(),
        bad_tile: None,
        judged: false,
    };
    let outcome = walk.run();
    // A bad signature waiting in the batch stands before whatever else was found.
    match walk.flush() {
        Err(earlier) => Err(earlier),
        Ok(()) => outcome,
    }
}

fn read_key<S: LogSource>(source: &S, options: &Options) -> Result<LogKey, Fault> {
    let at_key = |reason| Fault { place: Place::Key, reason };
    let text = source.log_key().map_err(|error| at_key(Reason::Unreadable(error.to_string())))?;
    let key: LogKey = text.trim_end().parse().map_err(|_| at_key(Reason::WrongKey))?;
    match &options.expected_key {
        Some(expected) if *expected != key => Err(at_key(Reason::WrongKey)),
        _ => Ok(key),
    }
}

/// The key in force.
#[derive(Debug, Clone, Copy)]
struct Current {
    number: u64,
    public_key: [u8; 32],
    key_hash: Hash,
}

struct Walk<'a, S> {
    source: &'a S,
    key: [u8; 32],
    pinned: Pinned,
    earlier: Option<Checkpoint>,
    threads: NonZeroUsize,
    report: &'a mut Report,
    previous: Hash,
    time: Option<Timestamp>,
    epoch: Option<Current>,
    /// Leaves that name another key than their epoch's: a later epoch must have adopted them.
    foreign: Vec<(u64, Leaf)>,
    /// Signatures to check.
    batch: Vec<(u64, Leaf, [u8; 32])>,
    tree: Tree,
    /// The lowest, first tile that differs from the records, and the first record it speaks for.
    bad_tile: Option<(Tile, u64)>,
    /// Whether the root has been compared with the checkpoint's.
    judged: bool,
}

fn at(index: u64, reason: impl Into<Reason>) -> Fault {
    Fault { place: Place::Record(index), reason: reason.into() }
}

impl<S: LogSource> Walk<'_, S> {
    fn run(&mut self) -> Result<(), Fault> {
        let unreadable = |index, error: S::Error| at(index, Reason::Unreadable(error.to_string()));
        self.judge_tree()?;
        let source = self.source;
        for record in source.records().map_err(|error| unreadable(0, error))? {
            let index = self.report.records;
            let record = record.map_err(|error| unreadable(index, error))?;
            self.record(index, &record)?;
            self.report.records += 1;
            if record.leaf.is_some() {
                self.report.leaves += 1;
            }
            self.judge_tree()?;
        }
        if let Some((first, _)) = self.foreign.first() {
            return Err(at(*first, LeafError::Key));
        }
        if self.tree.size() < self.pinned.checkpoint.size {
            let reason =
                if self.report.records > self.tree.size() { Reason::MissingLeaf } else { Reason::Missing };
            return Err(at(self.tree.size(), reason));
        }
        if let Some(earlier) = &self.earlier
            && earlier.size > self.pinned.checkpoint.size
        {
            return Err(Fault { place: Place::Checkpoint, reason: Reason::Contradicts(earlier.size) });
        }
        match self.bad_tile {
            Some((tile, first)) => Err(Fault { place: Place::Tile(tile, first), reason: Reason::Tile }),
            None => Ok(()),
        }
    }

    fn record(&mut self, index: u64, record: &SourceRecord) -> Result<(), Fault> {
        self.foreign_leaf_stays(record.leaf.as_ref())?;
        let body = Body::decode(&record.body).map_err(|error| at(index, error))?;
        if body.sequence != index {
            return Err(at(index, Reason::Sequence(body.sequence)));
        }
        if body.previous != self.previous {
            return Err(at(index, Reason::Previous));
        }
        if body.detail_digest != sha256(&record.detail) {
            return Err(at(index, Reason::Detail));
        }
        self.enter_epoch(index, &body, &record.detail)?;
        self.watch_clock(index, body.time);
        match record.leaf {
            Some(leaf) => self.leaf(index, &record.body, &Leaf::from_bytes(&leaf))?,
            None if index < self.pinned.checkpoint.size => return Err(at(index, Reason::MissingLeaf)),
            None => {}
        }
        self.previous = sha256(&record.body);
        Ok(())
    }

    /// A leaf by the epoch's own key shows that no later epoch adopts those before it: then the first
    /// foreign leaf is what is wrong, whatever else this record is.
    fn foreign_leaf_stays(&self, leaf: Option<&[u8; LEAF_BYTES]>) -> Result<(), Fault> {
        match (self.foreign.first(), self.epoch, leaf) {
            (Some((first, _)), Some(epoch), Some(leaf)) if leaf.ends_with(&epoch.key_hash) => {
                Err(at(*first, LeafError::Key))
            }
            _ => Ok(()),
        }
    }

    /// Takes over the key of an epoch's first record; checks that every other belongs to the epoch.
    fn enter_epoch(&mut self, index: u64, body: &Body, detail: &[u8]) -> Result<(), Fault> {
        let current = self.epoch.map_or(0, |epoch| epoch.number);
        if body.operation != Epoch::OPERATION {
            let ok = self.epoch.is_some() && body.epoch == current;
            let expected = current.max(1);
            return if ok { Ok(()) } else { Err(at(index, Reason::Epoch { found: body.epoch, expected })) };
        }
        if body.epoch != current + 1 {
            return Err(at(index, Reason::Epoch { found: body.epoch, expected: current + 1 }));
        }
        let epoch = Epoch::decode(detail).map_err(|error| at(index, Reason::EpochDetail(error)))?;
        epoch.verify_statement(&self.key).map_err(|error| at(index, Reason::Statement(error)))?;
        if epoch.epoch != body.epoch {
            return Err(at(index, Reason::Epoch { found: epoch.epoch, expected: body.epoch }));
        }
        if epoch.policy_hash != body.policy_hash {
            return Err(at(index, Reason::Statement(EpochError::Differs("policy"))));
        }
        self.adopt(index, &epoch)?;
        self.epoch = Some(Current {
            number: body.epoch,
            public_key: epoch.public_key,
            key_hash: sha256(&epoch.public_key),
        });
        self.report.epochs += 1;
        Ok(())
    }

    /// Resolves leaves that wait for an epoch to adopt them.
    ///
    /// Leaves are signed in order, so when an epoch begins the leaves still unsigned are the last
    /// ones, without a gap, up to its own record: it must adopt exactly these. Some of them may have
    /// been left to a yet later epoch.
    fn adopt(&mut self, index: u64, epoch: &Epoch) -> Result<(), Fault> {
        // Records without any leaf wait too, at the end of the log.
        let waiting = self.foreign.first().map_or(self.tree.size(), |(first, _)| *first);
        let range = (waiting < index).then_some((waiting, index));
        if epoch.adopted != range || epoch.previous_size != waiting {
            // If nothing is claimed for a leaf of a foreign key, the leaf is what is wrong.
            return Err(match (self.foreign.first(), epoch.adopted) {
                (Some((first, _)), None) => at(*first, LeafError::Key),
                (Some((first, _)), Some((from, _))) if *first < from => at(*first, LeafError::Key),
                _ => at(index, Reason::Adopted),
            });
        }
        let key_hash = sha256(&epoch.public_key);
        let own = self.foreign.iter().take_while(|(_, leaf)| leaf.key_hash == key_hash).count();
        let adopted: Vec<_> = self.foreign.drain(..own).collect();
        for (index, leaf) in adopted {
            self.report.adopted += 1;
            self.queue(index, leaf, epoch.public_key)?;
        }
        Ok(())
    }

    fn leaf(&mut self, index: u64, body: &[u8], leaf: &Leaf) -> Result<(), Fault> {
        if self.tree.size() != index {
            return Err(at(self.tree.size(), Reason::MissingLeaf));
        }
        if leaf.checksum != checksum(body) {
            return Err(at(index, LeafError::Checksum));
        }
        let current = self.epoch.expect("enter_epoch has passed");
        if leaf.key_hash == current.key_hash {
            self.queue(index, *leaf, current.public_key)?;
        } else {
            if self.foreign.len() == MAX_ADOPTED {
                return Err(at(self.foreign[0].0, LeafError::Key));
            }
            self.foreign.push((index, *leaf));
        }
        let (source, pinned, covered) = (self.source, &self.pinned, self.pinned.checkpoint.size);
        let mut differing = None;
        self.tree.append(leaf.hash(), |Completed { tile, bytes }| {
            if index < covered && differing.is_none() {
                differing = first_difference(pinned.tile(source, tile), tile, &bytes);
            }
        });
        self.note_tile(differing);
        Ok(())
    }

    fn note_tile(&mut self, differing: Option<(Tile, u64)>) {
        if let Some((tile, first)) = differing
            && self.bad_tile.is_none_or(|(known, index)| (tile.level, first) < (known.level, index))
        {
            self.bad_tile = Some((tile, first));
        }
    }

    /// Compares the tree with the checkpoints when it has their size.
    fn judge_tree(&mut self) -> Result<(), Fault> {
        let size = self.tree.size();
        if let Some(earlier) = &self.earlier
            && earlier.size == size
            && earlier.root != self.tree.root()
        {
            return Err(Fault { place: Place::Checkpoint, reason: Reason::Contradicts(size) });
        }
        if size != self.pinned.checkpoint.size || self.judged {
            return Ok(());
        }
        self.judged = true;
        self.report.covered = size;
        let differing: Vec<_> = self
            .tree
            .partial_tiles()
            .filter_map(|(tile, bytes)| first_difference(self.pinned.tile(self.source, tile), tile, &bytes))
            .collect();
        for difference in differing {
            self.note_tile(Some(difference));
        }
        if self.tree.root() == self.pinned.checkpoint.root {
            return Ok(());
        }
        self.report.covered = 0;
        // The records were replaced, or the checkpoint is of another tree. If the tiles are those
        // of the checkpoint, they show the first replaced record.
        match self.bad_tile {
            Some((Tile { level: 0, .. }, first)) if self.tiles_are_of_checkpoint() => {
                Err(at(first, Reason::Forked))
            }
            _ => Err(Fault { place: Place::Checkpoint, reason: Reason::Root }),
        }
    }

    fn tiles_are_of_checkpoint(&self) -> bool {
        let mut tree = Tree::new();
        for tile in tiles_of(self.pinned.checkpoint.size).take_while(|tile| tile.level == 0) {
            let Some(bytes) = self.pinned.tile(self.source, tile) else { return false };
            for hash in bytes.as_chunks::<32>().0 {
                tree.append(*hash, |_| ());
            }
        }
        tree.size() == self.pinned.checkpoint.size && tree.root() == self.pinned.checkpoint.root
    }

    fn watch_clock(&mut self, index: u64, time: Timestamp) {
        if let Some(before) = self.time
            && time < before
        {
            self.report.regression_count += 1;
            if self.report.regressions.len() < MAX_LISTED {
                self.report.regressions.push(Regression { index, before, after: time });
            }
        }
        self.time = Some(time);
        let first = self.report.times.map_or(time, |(first, _)| first);
        self.report.times = Some((first, time));
    }

    fn queue(&mut self, index: u64, leaf: Leaf, public_key: [u8; 32]) -> Result<(), Fault> {
        self.batch.push((index, leaf, public_key));
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Checks the signatures in the batch, over all threads.
    fn flush(&mut self) -> Result<(), Fault> {
        let batch = std::mem::take(&mut self.batch);
        let first_bad = |part: &[(u64, Leaf, [u8; 32])]| {
            let runs = part.chunk_by(|(.., one), (.., other)| one == other);
            runs.filter_map(|run| {
                let key = ed25519::ManyTimes::new(&run[0].2, run.len());
                run.iter().filter(|(_, leaf, _)| !leaf.is_signed_by(&key)).map(|(index, ..)| *index).min()
            })
            .min()
        };
        let share = batch.len().div_ceil(self.threads.get()).max(1);
        let bad = if share >= batch.len() {
            first_bad(&batch)
        } else {
            std::thread::scope(|scope| {
                let workers: Vec<_> =
                    batch.chunks(share).map(|part| scope.spawn(move || first_bad(part))).collect();
                let verdicts =
                    workers.into_iter().map(|worker| worker.join().expect("checking cannot panic"));
                verdicts.flatten().min()
            })
        };
        self.batch = batch;
        self.batch.clear();
        match bad {
            Some(index) => Err(at(index, LeafError::Signature)),
            None => Ok(()),
        }
    }
}

/// The first record for which the `stored` tile has another hash than `bytes`.
fn first_difference(stored: Option<Vec<u8>>, tile: Tile, bytes: &[u8]) -> Option<(Tile, u64)> {
    let stored = stored.unwrap_or_default();
    if stored == bytes {
        return None;
    }
    let same = stored.chunks(32).zip(bytes.chunks(32)).take_while(|(left, right)| left == right).count();
    Some((tile, ((tile.index << 8) + same as u64) << (8 * u32::from(tile.level))))
}
