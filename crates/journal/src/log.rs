//! The log's writing end: appends, syncs, and says what is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use transparency::{Checkpoint, Completed, Hash, Tile, Tree};

use crate::error::{JournalError, io_error};
use crate::key::LogSigner;
use crate::publish::{Publication, Publisher};
use crate::recover;
use crate::segment::{self, GROWTH, Kind, SEGMENT_BYTES};
use crate::state::{Header, State};
use crate::storage::{Storage, StoredFile};

/// A torn write that was moved aside at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// First sequence of the segment it was in.
    pub segment: u64,
    /// Where in the segment's file.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The file they are in now.
    pub moved_to: PathBuf,
}

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Durable records.
    pub records: u64,
    /// Durable leaves.
    pub leaves: u64,
    /// The last epoch; 0 if there is none.
    pub epoch: u64,
    /// A torn write, never acknowledged.
    pub torn: Option<Torn>,
    /// Records read to get here.
    pub read: u64,
}

/// The open log. All appends go through one of these.
pub struct Log {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: PathBuf,
    pub(crate) signer: Arc<LogSigner>,
    pub(crate) segment_bytes: u64,
    pub(crate) file: Box<dyn StoredFile>,
    pub(crate) nonce: u64,
    /// Where the next frame goes.
    pub(crate) tail: u64,
    /// How far the file is filled with zeros.
    pub(crate) allocated: u64,
    /// With everything appended, durable or not.
    pub(crate) state: State,
    /// Durable leaves only.
    pub(crate) tree: Tree,
    /// Durable records.
    pub(crate) durable: u64,
    /// Frames not written yet.
    pub(crate) pending: Vec<u8>,
    pub(crate) pending_leaves: Vec<Hash>,
    /// Tiles that became full since the last publication.
    pub(crate) completed: Vec<Completed>,
    /// Size of the last publication taken.
    pub(crate) published: Option<u64>,
    /// Unfinished tiles of the last publication and of the one before.
    pub(crate) partial: [Vec<Tile>; 2],
    pub(crate) failed: Option<String>,
}

impl Log {
    /// Opens the log in `dir`, or begins one; reads what a crash left and mends what may be mended.
    ///
    /// The caller holds the folder's [`crate::Lock`]. `now_ms` names the file a torn write is moved
    /// to.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if the folder holds what no crash can explain; nothing is changed
    /// then.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        signer: Arc<LogSigner>,
        now_ms: u64,
    ) -> Result<(Self, Recovered), JournalError> {
        Self::open_with(storage, dir, signer, now_ms, SEGMENT_BYTES)
    }

    /// [`Log::open`] with another segment length than 64 MiB.
    ///
    /// # Errors
    ///
    /// As [`Log::open`].
    pub fn open_with(
        storage: Arc<dyn Storage>,
        dir: &Path,
        signer: Arc<LogSigner>,
        now_ms: u64,
        segment_bytes: u64,
    ) -> Result<(Self, Recovered), JournalError> {
        let (mut log, recovered) = recover::open(storage, dir, signer, now_ms, segment_bytes)?;
        // Whatever the crash kept from being published is published now, so that a reader always
        // finds tiles and a checkpoint.
        log.checkpoint()?;
        Ok((log, recovered))
    }

    /// Sequence of the next record.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.state.next
    }

    /// Records `from..to` that have no leaf yet.
    #[must_use]
    pub fn unleafed(&self) -> (u64, u64) {
        (self.state.next_leaf(), self.state.next)
    }

    /// SHA-256 of the last body appended; zeros if there is none.
    #[must_use]
    pub const fn last_body_digest(&self) -> Hash {
        self.state.previous
    }

    /// The last epoch; 0 if there is none.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// Durable records: all below this sequence.
    #[must_use]
    pub const fn durable(&self) -> u64 {
        self.durable
    }

    /// Durable leaves.
    #[must_use]
    pub const fn leaves(&self) -> u64 {
        self.tree.size()
    }

    /// Whether something was appended that is not durable.
    #[must_use]
    pub const fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Appends a record. It is durable once [`Log::sync`] has returned.
    ///
    /// # Errors
    ///
    /// [`JournalError::Refused`] if it does not follow the last record or contradicts itself;
    /// nothing changes then.
    pub fn append_body(&mut self, sequence: u64, body: &[u8], detail: &[u8]) -> Result<(), JournalError> {
        self.check_alive()?;
        self.roll_over_if_full()?;
        self.state.body(sequence, body, detail, self.signer.public()).map_err(JournalError::Refused)?;
        let length = u32::try_from(body.len()).expect("bodies are bounded").to_le_bytes();
        self.put(Kind::Body, &[&sequence.to_le_bytes(), &length, body, detail]);
        Ok(())
    }

    /// Appends the leaf of a record. Leaves come in order, and may stand in the same batch as their
    /// records.
    ///
    /// # Errors
    ///
    /// [`JournalError::Refused`] if it is not the next, or of another body or key.
    pub fn append_leaf(&mut self, sequence: u64, leaf: &[u8; 128]) -> Result<(), JournalError> {
        self.check_alive()?;
        self.roll_over_if_full()?;
        let hash = self.state.leaf(sequence, leaf).map_err(JournalError::Refused)?;
        self.put(Kind::Leaf, &[&sequence.to_le_bytes(), leaf]);
        self.pending_leaves.push(hash);
        Ok(())
    }

    fn put(&mut self, kind: Kind, parts: &[&[u8]]) {
        let offset = self.tail + self.pending.len() as u64;
        segment::put_frame(&mut self.pending, self.nonce, offset, self.tail, kind, parts);
    }

    /// Makes everything appended durable with one write and one sync. Returns the number of durable
    /// records.
    ///
    /// # Errors
    ///
    /// [`JournalError::Stopped`] if the disk fails; the log then takes nothing more.
    pub fn sync(&mut self) -> Result<u64, JournalError> {
        self.check_alive()?;
        if self.pending.is_empty() {
            return Ok(self.durable);
        }
        let end = self.tail + self.pending.len() as u64;
        let written = self
            .allocate(end)
            .and_then(|()| self.file.write_at(&self.pending, self.tail))
            .and_then(|()| self.sync_file());
        if let Err(error) = written {
            return Err(self.stop(format!("writing records failed: {error}")));
        }
        self.tail = end;
        self.pending.clear();
        self.durable = self.state.next;
        for hash in self.pending_leaves.drain(..) {
            self.tree.append(hash, |tile| self.completed.push(tile));
        }
        Ok(self.durable)
    }

    /// Grows the file ahead of need; for moments when nobody waits.
    ///
    /// # Errors
    ///
    /// [`JournalError::Stopped`] if the disk fails.
    pub fn prepare(&mut self) -> Result<(), JournalError> {
        self.check_alive()?;
        if self.allocated >= self.tail + GROWTH / 2 || self.tail >= self.segment_bytes {
            return Ok(());
        }
        if let Err(error) = self.allocate(self.tail + GROWTH).and_then(|()| self.sync_file()) {
            return Err(self.stop(format!("growing the segment failed: {error}")));
        }
        Ok(())
    }

    /// The one place where records become durable. It is called once; a sync that failed is not
    /// called again, because the next would succeed without having written anything.
    fn sync_file(&self) -> std::io::Result<()> {
        #[cfg(test)]
        if let Some(instead) = crate::crash::mutants::instead_of_sync(&*self.file) {
            return instead;
        }
        self.file.sync()
    }

    fn allocate(&mut self, end: u64) -> std::io::Result<()> {
        if end > self.allocated {
            let to = end.next_multiple_of(GROWTH.min(self.segment_bytes));
            segment::preallocate(&*self.file, self.allocated, to)?;
            self.allocated = to;
        }
        Ok(())
    }

    /// Begins a new segment if this one is full and nothing waits in it.
    fn roll_over_if_full(&mut self) -> Result<(), JournalError> {
        if self.tail < self.segment_bytes || !self.pending.is_empty() || self.durable != self.state.next {
            return Ok(());
        }
        let header = Header {
            nonce: recover::random_number(),
            log: transparency::sha256(self.signer.public().public_key()),
            state: self.state.clone(),
            tree: self.tree.clone(),
        };
        match recover::create_segment(&*self.storage, &self.dir, &header, self.segment_bytes) {
            Ok((file, tail, allocated)) => {
                (self.file, self.tail, self.allocated, self.nonce) = (file, tail, allocated, header.nonce);
                Ok(())
            }
            Err(error) => Err(self.stop(format!("beginning a segment failed: {error}"))),
        }
    }

    /// What the next checkpoint has to write; `None` if nothing changed since the last one.
    ///
    /// Once taken it must be published, or the log given up: the tiles in it are not given twice.
    pub(crate) fn publication(&mut self) -> Option<Publication> {
        #[cfg(test)]
        crate::crash::mutants::before_publication(self);
        let size = self.tree.size();
        if self.published == Some(size) {
            return None;
        }
        self.published = Some(size);
        let mut tiles: Vec<_> = self.completed.drain(..).map(|done| (done.tile, done.bytes)).collect();
        tiles.extend(self.tree.partial_tiles());
        let partial: Vec<Tile> = self.tree.partial_tiles().map(|(tile, _)| tile).collect();
        let [last, before] = std::mem::take(&mut self.partial);
        let obsolete = before.into_iter().filter(|tile| !last.contains(tile)).collect::<Vec<_>>();
        let obsolete = without(obsolete, &partial);
        self.partial = [partial, last];
        Some(Publication { size, tiles, note: self.note(), obsolete })
    }

    fn note(&self) -> String {
        let key = self.signer.public();
        let checkpoint =
            Checkpoint { origin: key.origin().to_owned(), size: self.tree.size(), root: self.tree.root() };
        let Ok(note) = checkpoint.sign(key, |text| self.signer.sign(text));
        note
    }

    /// Writes tiles and checkpoint over all durable leaves, if there are new ones.
    ///
    /// # Errors
    ///
    /// [`JournalError::Stopped`] if the disk fails.
    pub fn checkpoint(&mut self) -> Result<(), JournalError> {
        self.check_alive()?;
        let Some(publication) = self.publication() else { return Ok(()) };
        let mut publisher = Publisher::new(Arc::clone(&self.storage), &self.dir);
        publisher.publish(&publication).map_err(|error| self.stop(error.to_string()))
    }

    /// The folder of the log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn check_alive(&self) -> Result<(), JournalError> {
        match &self.failed {
            Some(why) => Err(JournalError::Stopped(why.clone())),
            None => Ok(()),
        }
    }

    /// Notes that the disk failed; from here on nothing is taken.
    pub(crate) fn stop(&mut self, why: String) -> JournalError {
        self.failed = Some(why.clone());
        JournalError::Stopped(why)
    }
}

fn without(mut tiles: Vec<Tile>, kept: &[Tile]) -> Vec<Tile> {
    tiles.retain(|tile| !kept.contains(tile));
    tiles
}

/// Makes all tiles and the checkpoint again from the segments.
///
/// # Errors
///
/// As [`Log::open`].
pub fn rebuild(
    storage: Arc<dyn Storage>,
    dir: &Path,
    signer: Arc<LogSigner>,
    now_ms: u64,
) -> Result<Recovered, JournalError> {
    let checkpoint = dir.join("checkpoint");
    // Without its checkpoint the log is read from the first segment on.
    if let Some(old) = storage.read(&checkpoint).map_err(io_error("read", &checkpoint))? {
        let aside = dir.join("checkpoint.before-rebuild");
        storage.write(&aside, &old).map_err(io_error("write", &aside))?;
    }
    let (mut log, recovered) = recover::open_from_first(storage, dir, signer, now_ms)?;
    log.checkpoint()?;
    Ok(recovered)
}
