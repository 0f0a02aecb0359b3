//! What the vault reads of the log when it starts: the last record of the counters and everything
//! behind it. Where there is no such record, everything.

use std::io;

use transparency::Body;

use crate::core::epoch::GapWatch;
use crate::core::{Core, Gathered, STATE_OPERATION};
use crate::journal_link::{PastLog, PastRecord, Welcome};
use crate::{VaultError, detail, io_error};

/// Rebuilds the counters from the log, and adopts the bodies that a crash left without a leaf. Says
/// whether the vault before may have left a gap.
pub(crate) fn replay(journal: &mut impl PastLog, core: &mut Core) -> Result<GapWatch, VaultError> {
    let welcome = journal.welcome();
    let every = core.block();
    let block = welcome.next.saturating_sub(1) / every * every;
    // The last block may be too young to have its record of the counters, or hold one that a crash cut
    // short; the one before it has one. Of older blocks nobody knows: then from the beginning.
    for from in [block, block.saturating_sub(every)] {
        if from > 0
            && let Some(gap) = Replay::new(&welcome, from).run(journal, core)?
        {
            return Ok(gap);
        }
    }
    let gap = Replay::new(&welcome, 0).run(journal, core)?;
    Ok(gap.expect("from the first record on everything is known"))
}

/// One reading of the log, from a record on.
struct Replay {
    /// The record whose counters, or whose effect on them, is wanted first.
    from: u64,
    /// The next record.
    index: u64,
    /// Digest of the last body, once there was one.
    previous: Option<[u8; 32]>,
    unleafed: u64,
    /// Whether the counters are those of the log up to here.
    known: bool,
    gathered: Gathered,
    gap: GapWatch,
    /// Bodies without a leaf.
    to_adopt: Vec<(u64, Vec<u8>)>,
}

impl Replay {
    fn new(welcome: &Welcome, from: u64) -> Self {
        let unleafed = welcome.first_without_leaf;
        let index = from.min(unleafed);
        let previous = (index == 0).then_some([0; 32]);
        let (gathered, to_adopt) = (Gathered::default(), Vec::new());
        let gap = GapWatch::default();
        Self { from, index, previous, unleafed, known: from == 0, gathered, gap, to_adopt }
    }

    /// Reads to the end; `None` if the counters are not known then.
    fn run(mut self, journal: &mut impl PastLog, core: &mut Core) -> Result<Option<GapWatch>, VaultError> {
        let welcome = journal.welcome();
        let mut fault = None;
        let replayed = journal.replay(self.index, |record| {
            self.take(&record, core).map_err(|reason| {
                fault = Some(VaultError::Log { index: self.index, reason });
                io::Error::other("stopped")
            })
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        replayed.map_err(io_error("the journal does not replay the log"))?;
        let ends_there = self.previous.is_none_or(|last| last == welcome.last_body_digest);
        if self.index != welcome.next || !ends_there {
            let reason = format!("the log was said to end with record {} and does not", welcome.next);
            return Err(VaultError::Log { index: self.index, reason });
        }
        if !self.known {
            return Ok(None);
        }
        for (index, body) in &self.to_adopt {
            core.recorder().adopt(*index, body);
        }
        Ok(Some(self.gap))
    }

    /// Takes the next record: it must continue the chain, whatever it says.
    fn take(&mut self, record: &PastRecord<'_>, core: &mut Core) -> Result<(), String> {
        let body = Body::decode(record.body).map_err(|error| error.to_string())?;
        if body.sequence != self.index {
            return Err(format!("it says it is record {}", body.sequence));
        }
        if self.previous.is_some_and(|previous| previous != body.previous) {
            return Err("it does not follow the record before it".to_owned());
        }
        if transparency::sha256(record.detail) != body.detail_digest {
            return Err("it has another detail than its body says".to_owned());
        }
        if self.known {
            let past = detail::past(&body, record.detail).map_err(|error| error.to_string())?;
            core.restore(&body, past);
            self.gap.observe(&body);
        } else if self.index >= self.from && body.operation == STATE_OPERATION {
            self.known = core.load_state(&mut self.gathered, &body, record.detail);
            self.gap = GapWatch::at(self.gathered.runs_ahead);
        }
        if self.index >= self.unleafed {
            self.to_adopt.push((self.index, record.body.to_vec()));
        }
        self.previous = Some(transparency::sha256(record.body));
        self.index += 1;
        Ok(())
    }
}
