//! A log's folder, read-only: the one being written, or a copy of it anywhere.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transparency::{
    Body, Bundle, BundleRecord, Checkpoint, Epoch, Leaf, LogKey, LogSource, SourceRecord, Tile, TileHashes,
    inclusion_proof, sha256,
};

use crate::error::{JournalError, io_error};
use crate::index::Index;
use crate::recover::{list_segments, open_segment, split_body, split_leaf};
use crate::segment::{self, Found, Kind, Reader};
use crate::storage::{Disk, Storage};

/// Most epoch records a proof may need.
const MAX_EPOCHS: usize = 64;

/// Reads a log's folder without locking or changing anything.
#[derive(Clone)]
pub struct Folder {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
}

/// Where a record's body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// First sequence of the segment.
    pub segment: u64,
    /// Offset of the frame in the segment's file.
    pub offset: u64,
    /// Bytes of the frame's payload.
    pub length: u64,
}

/// A record with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its sequence.
    pub sequence: u64,
    /// Body, detail and leaf.
    pub record: SourceRecord,
    /// Where its body stands.
    pub location: Location,
}

impl Folder {
    /// Opens the log in `path`.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotFound`] if there is none.
    pub fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        Self::over(Arc::new(Disk), path)
    }

    /// Opens the log in `path` of a storage.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotFound`] if there is none.
    pub fn over(storage: Arc<dyn Storage>, path: &Path) -> Result<Self, JournalError> {
        let folder = Self { storage, dir: path.to_owned() };
        if folder.read("log.pub")?.is_none() {
            return Err(JournalError::NotFound(format!("there is no log in {}", path.display())));
        }
        Ok(folder)
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The log's public key, as `log.pub` states it.
    ///
    /// # Errors
    ///
    /// [`JournalError::Key`] if the file is missing or malformed.
    pub fn key(&self) -> Result<LogKey, JournalError> {
        let bad = |what: String| JournalError::Key { path: self.dir.join("log.pub"), what };
        let text = self.text("log.pub")?;
        text.trim_end().parse().map_err(|error: transparency::LogKeyError| bad(error.to_string()))
    }

    /// The current checkpoint, opened with the log's own key, and its text.
    ///
    /// # Errors
    ///
    /// If it is missing or does not hold.
    pub fn current_checkpoint(&self) -> Result<(Checkpoint, String), JournalError> {
        let note = self.text("checkpoint")?;
        let (checkpoint, _) = Checkpoint::open(&note, &self.key()?)
            .map_err(|error| JournalError::Damaged { dir: self.dir.clone(), what: error.to_string() })?;
        Ok((checkpoint, note))
    }

    fn text(&self, name: &str) -> Result<String, JournalError> {
        let damaged = |what: &str| JournalError::Damaged { dir: self.dir.clone(), what: what.to_owned() };
        let bytes = self.read(name)?.ok_or_else(|| damaged(&format!("{name} is missing")))?;
        String::from_utf8(bytes).map_err(|_| damaged(&format!("{name} is not text")))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let path = self.dir.join(name);
        self.storage.read(&path).map_err(io_error("read", &path))
    }

    /// Reads records from sequence `from` on.
    ///
    /// # Errors
    ///
    /// If the segments cannot be listed.
    pub fn records_from(&self, from: u64) -> Result<Records, JournalError> {
        let segments = list_segments(&*self.storage, &self.dir)?;
        let start = segments.partition_point(|first| *first <= from).saturating_sub(1);
        if segments.first().is_some_and(|first| *first != 0) {
            let what = format!("segments before record {} are missing", segments[0]);
            return Err(JournalError::Damaged { dir: self.dir.clone(), what });
        }
        Ok(self.walk(segments[start..].to_vec(), from, None))
    }

    /// Reads records from one on whose place is known.
    ///
    /// # Errors
    ///
    /// If the segments cannot be listed or the place is in none of them.
    pub fn records_at(&self, sequence: u64, location: Location) -> Result<Records, JournalError> {
        let segments = list_segments(&*self.storage, &self.dir)?;
        let start = segments
            .iter()
            .position(|first| *first == location.segment)
            .ok_or_else(|| JournalError::NotFound(format!("there is no segment {}", location.segment)))?;
        Ok(self.walk(segments[start..].to_vec(), sequence, Some(location.offset)))
    }

    /// How many records the segments hold. Reads the last segment only.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn size(&self) -> Result<u64, JournalError> {
        let segments = list_segments(&*self.storage, &self.dir)?;
        let Some(last) = segments.last() else { return Ok(0) };
        let mut size = *last;
        for record in self.walk(vec![*last], *last, None) {
            size = record?.sequence + 1;
        }
        Ok(size)
    }

    /// Reads one record, from its known location if that is right.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotFound`] if the log has no such record.
    pub fn record(&self, sequence: u64, hint: Option<Location>) -> Result<Located, JournalError> {
        let missing = || JournalError::NotFound(format!("the log has no record {sequence}"));
        if let Some(hint) = hint
            && let Ok(mut records) = self.records_at(sequence, hint)
            && let Some(Ok(found)) = records.next()
            && found.sequence == sequence
        {
            return Ok(found);
        }
        self.records_from(sequence)?.next().ok_or_else(missing)?
    }

    fn walk(&self, segments: Vec<u64>, from: u64, offset: Option<u64>) -> Records {
        Records {
            folder: self.clone(),
            segments: segments.into(),
            current: None,
            start_offset: offset,
            from,
            next_body: None,
            next_leaf: from,
            queue: VecDeque::new(),
            damage: None,
            gap: None,
            ended: false,
        }
    }

    /// Makes the proof bundle of a record under the current checkpoint.
    ///
    /// With the search index this reads a few frames and tiles; without it, the whole log, for the
    /// epoch records.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotFound`] if the checkpoint does not cover the record.
    pub fn prove(&self, sequence: u64) -> Result<Bundle, JournalError> {
        // The writer removes unfinished tiles two checkpoints later; then read the newer one.
        let mut attempt = self.prove_once(sequence);
        for _ in 0..3 {
            if !matches!(attempt, Err(JournalError::Damaged { .. })) {
                break;
            }
            attempt = self.prove_once(sequence);
        }
        attempt
    }

    fn prove_once(&self, sequence: u64) -> Result<Bundle, JournalError> {
        let (checkpoint, note) = self.current_checkpoint()?;
        if sequence >= checkpoint.size {
            return Err(JournalError::NotFound(format!(
                "the checkpoint covers {} records, not yet record {sequence}",
                checkpoint.size
            )));
        }
        let index = Index::open_read_only(&self.dir.join("index.sqlite")).ok();
        let locate = |sequence| index.as_ref().and_then(|index| index.location(sequence).ok().flatten());
        let found = self.record(sequence, locate(sequence))?;
        let known = index.as_ref().and_then(|index| index.epochs(checkpoint.size).ok().flatten());
        let mut epochs = known
            .into_iter()
            .flatten()
            .map(|sequence| self.record(sequence, locate(sequence)))
            .collect::<Result<Vec<_>, _>>()
            .unwrap_or_default();
        // The index is no witness: if its epochs do not do, the segments are asked.
        if self.needed_epochs(&found, &epochs).is_err() {
            epochs = self.epoch_records(checkpoint.size)?;
        }
        let needed = self.needed_epochs(&found, &epochs)?;
        let size = checkpoint.size;
        let record = self.bundle_record(found, size)?;
        let epochs = needed.into_iter().map(|epoch| self.bundle_record(epoch.clone(), size));
        let epochs = epochs.collect::<Result<_, _>>()?;
        Ok(Bundle { record, epochs, checkpoint: note, log_key: self.key()?.to_string() })
    }

    /// All epoch records below `size`, by reading the log.
    fn epoch_records(&self, size: u64) -> Result<Vec<Located>, JournalError> {
        let mut found = Vec::new();
        for record in self.records_from(0)?.take(usize::try_from(size).unwrap_or(usize::MAX)) {
            let record = record?;
            if Body::decode(&record.record.body).is_ok_and(|body| body.operation == Epoch::OPERATION) {
                found.push(record);
            }
        }
        Ok(found)
    }

    /// The record's own epoch, the one that signed its leaf, and so on for those epochs' records.
    fn needed_epochs<'a>(
        &self,
        found: &Located,
        epochs: &'a [Located],
    ) -> Result<Vec<&'a Located>, JournalError> {
        let damaged = |what: String| JournalError::Damaged { dir: self.dir.clone(), what };
        let mut by_key = Vec::new();
        for record in epochs {
            let epoch = Epoch::decode(&record.record.detail)
                .map_err(|error| damaged(format!("epoch record {}: {error}", record.sequence)))?;
            by_key.push((sha256(&epoch.public_key), epoch.epoch, record));
        }
        let body = Body::decode(&found.record.body)
            .map_err(|error| damaged(format!("record {}: {error}", found.sequence)))?;
        let mut needed: Vec<&Located> = Vec::new();
        let own = by_key.iter().find(|(_, number, _)| *number == body.epoch);
        let (_, _, own) = own.ok_or_else(|| damaged(format!("epoch {} has no record", body.epoch)))?;
        needed.push(own);
        let mut asked: Vec<Located> = vec![found.clone()];
        asked.extend(needed.iter().map(|record| (*record).clone()));
        while let Some(record) = asked.pop() {
            let Some(leaf) = record.record.leaf else { continue };
            let key_hash = Leaf::from_bytes(&leaf).key_hash;
            let signer = by_key.iter().find(|(key, _, _)| *key == key_hash);
            let (_, _, signer) =
                signer.ok_or_else(|| damaged(format!("no epoch has the key of leaf {}", record.sequence)))?;
            if !needed.iter().any(|known| known.sequence == signer.sequence) {
                if needed.len() == MAX_EPOCHS {
                    return Err(damaged("a proof would need more than 64 epochs".to_owned()));
                }
                needed.push(signer);
                asked.push((*signer).clone());
            }
        }
        Ok(needed)
    }

    fn bundle_record(&self, found: Located, size: u64) -> Result<BundleRecord, JournalError> {
        let damaged = |what: String| JournalError::Damaged { dir: self.dir.clone(), what };
        let fetch = |tile: Tile| self.tile(tile)?.ok_or_else(|| damaged(format!("{tile} is missing")));
        let mut hashes = TileHashes::new(size, fetch);
        let inclusion =
            inclusion_proof(found.sequence, size, &mut hashes).map_err(|error| damaged(error.to_string()))?;
        let leaf =
            found.record.leaf.ok_or_else(|| damaged(format!("record {} has no leaf", found.sequence)))?;
        Ok(BundleRecord {
            index: found.sequence,
            body: found.record.body,
            detail: Some(found.record.detail),
            leaf,
            inclusion,
        })
    }
}

impl LogSource for Folder {
    type Error = JournalError;

    fn log_key(&self) -> Result<String, JournalError> {
        self.text("log.pub")
    }

    fn checkpoint(&self) -> Result<String, JournalError> {
        self.text("checkpoint")
    }

    fn records(&self) -> Result<impl Iterator<Item = Result<SourceRecord, JournalError>>, JournalError> {
        Ok(self.records_from(0)?.map(|found| found.map(|found| found.record)))
    }

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(&tile.path())
    }
}

/// Reads records in order, each with its leaf, which stands further on.
///
/// Behind damage it looks for the next readable frame, so that the gap tells which record is hurt.
/// An error ends it.
pub struct Records {
    folder: Folder,
    segments: VecDeque<u64>,
    current: Option<(u64, Reader)>,
    /// Where to start in the first segment, if known.
    start_offset: Option<u64>,
    from: u64,
    /// The next body to come; unknown until the first.
    next_body: Option<u64>,
    next_leaf: u64,
    /// Records whose leaf has not come yet; the error, if any, is last.
    queue: VecDeque<Result<Located, JournalError>>,
    /// What was unreadable last, to be named if it leaves a gap.
    damage: Option<String>,
    /// A record that cannot be read. Those before it may still wait for their leaves.
    gap: Option<JournalError>,
    ended: bool,
}

impl Iterator for Records {
    type Item = Result<Located, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ready = match self.queue.front() {
                Some(Ok(located)) => located.record.leaf.is_some() || self.ended,
                Some(Err(_)) => true,
                None => false,
            };
            if ready {
                let item = self.queue.pop_front();
                if matches!(item, Some(Err(_))) {
                    self.queue.clear();
                    self.ended = true;
                }
                return item;
            }
            if self.queue.is_empty()
                && let Some(gap) = self.gap.take()
            {
                self.ended = true;
                return Some(Err(gap));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.read_on() {
                self.queue.push_back(Err(error));
                self.ended = true;
            }
        }
    }
}

impl Records {
    fn damaged(&mut self, what: &str) -> JournalError {
        let cause = self.damage.take().map(|cause| format!(" ({cause})")).unwrap_or_default();
        JournalError::Damaged { dir: self.folder.dir.clone(), what: format!("{what}{cause}") }
    }

    /// Takes one frame, or goes on to the next segment, or ends.
    fn read_on(&mut self) -> Result<(), JournalError> {
        let Some((first, mut reader)) = self.current.take() else { return self.open_next() };
        let path = segment::path(&self.folder.dir, first);
        let read_error = || io_error("read", path.clone());
        let taken = match reader.peek().map_err(read_error())? {
            Found::Frame(frame) => {
                let end = frame.end();
                let location =
                    Location { segment: first, offset: frame.offset, length: frame.payload.len() as u64 };
                Some((frame.kind, frame.payload.to_vec(), end, location))
            }
            Found::End | Found::Garbage => None,
        };
        if let Some((kind, payload, end, location)) = taken {
            reader.offset = end;
            self.current = Some((first, reader));
            return match kind {
                Kind::Header => Ok(()),
                Kind::Body => self.body(&payload, location),
                Kind::Leaf => self.leaf(&payload),
            };
        }
        let offset = reader.offset;
        if reader.last_nonzero(offset).map_err(read_error())? == offset {
            return Ok(());
        }
        // In a folder being written this may be a batch that was half there. Batches are written
        // from front to back, so once a later frame is seen, an undamaged one here is seen too.
        let later = reader.find_frame(offset + 1).map_err(read_error())?;
        if !reader.frame_appeared().map_err(read_error())? {
            self.damage = Some(format!("segment {first} is unreadable at byte {offset}"));
            match later {
                Some((found, _)) => reader.offset = found,
                None => return Ok(()),
            }
        }
        self.current = Some((first, reader));
        Ok(())
    }

    fn open_next(&mut self) -> Result<(), JournalError> {
        let Some(first) = self.segments.pop_front() else {
            self.ended = true;
            return Ok(());
        };
        if self.gap.is_none()
            && let Some(next) = self.next_body.filter(|next| *next != first)
        {
            self.gap = Some(self.damaged(&format!("record {next} cannot be read")));
        }
        let opened = open_segment(&*self.folder.storage, &self.folder.dir, first)?;
        let Some((mut reader, _)) = opened else {
            return Err(self.damaged(&format!("segment {first} has no readable header")));
        };
        if let Some(offset) = self.start_offset.take() {
            reader.offset = offset;
        } else if self.gap.is_none() {
            self.next_body = Some(first);
        }
        self.current = Some((first, reader));
        Ok(())
    }

    fn body(&mut self, payload: &[u8], location: Location) -> Result<(), JournalError> {
        let Some((sequence, body, detail)) = split_body(payload) else {
            return Err(self.damaged("a malformed record"));
        };
        if self.gap.is_some() {
            return Ok(());
        }
        let expected = *self.next_body.get_or_insert(sequence);
        if sequence != expected {
            self.gap = Some(self.damaged(&format!("record {expected} cannot be read")));
            return Ok(());
        }
        self.next_body = Some(sequence + 1);
        if sequence >= self.from {
            let record = SourceRecord { body: body.to_vec(), detail: detail.to_vec(), leaf: None };
            self.queue.push_back(Ok(Located { sequence, record, location }));
        }
        Ok(())
    }

    fn leaf(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        let Some((sequence, leaf)) = split_leaf(payload) else {
            return Err(self.damaged("a malformed leaf"));
        };
        if sequence < self.next_leaf {
            return Ok(());
        }
        let missing = self.next_leaf;
        match self
            .queue
            .iter_mut()
            .find(|queued| matches!(queued, Ok(queued) if queued.record.leaf.is_none()))
        {
            Some(Ok(waiting)) if waiting.sequence == sequence => {
                waiting.record.leaf = Some(*leaf);
                self.next_leaf += 1;
                Ok(())
            }
            // The gap is at the first waiting record: it is what cannot be read.
            Some(_) => {
                let error = self.damaged(&format!("the leaf of record {missing} cannot be read"));
                self.queue.clear();
                Err(error)
            }
            None => Err(self.damaged(&format!("record {sequence} cannot be read"))),
        }
    }
}
