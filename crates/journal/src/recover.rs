//! Opening a log: what did the last run leave behind?
//!
//! Only one thing may be wrong after a crash: the last batch, which nobody was told is durable, may
//! be there in part. It is moved aside, reported, never deleted. Anything else means that the disk
//! lost or changed what it had promised to keep, and the log is not opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand;
use transparency::{Checkpoint, Completed, Hash, Tile, Tree, sha256, tiles_of};

use crate::error::{JournalError, io_error};
use crate::key::{LogSigner, write_once};
use crate::log::{Log, Recovered, Torn};
use crate::segment::{self, Found, GROWTH, HEAD, Kind, Reader, SEGMENT_BYTES};
use crate::state::{Header, State};
use crate::storage::{Storage, StoredFile};

pub(crate) fn open(
    storage: Arc<dyn Storage>,
    dir: &Path,
    signer: Arc<LogSigner>,
    now_ms: u64,
    segment_bytes: u64,
) -> Result<(Log, Recovered), JournalError> {
    let opening = Opening { storage, dir: dir.to_owned(), signer, now_ms, segment_bytes };
    opening.run(false)
}

/// Opens the log by reading all of it, whatever checkpoint and tiles there are.
pub(crate) fn open_from_first(
    storage: Arc<dyn Storage>,
    dir: &Path,
    signer: Arc<LogSigner>,
    now_ms: u64,
) -> Result<(Log, Recovered), JournalError> {
    let opening = Opening { storage, dir: dir.to_owned(), signer, now_ms, segment_bytes: SEGMENT_BYTES };
    opening.run(true)
}

pub(crate) fn random_number() -> u64 {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).expect("the system gives random bytes: it gave the log key");
    u64::from_le_bytes(bytes)
}

/// Writes and syncs a segment's header; returns the file, its tail and its allocation.
///
/// The file gets its name only when it is whole, so a segment always has a header.
pub(crate) fn create_segment(
    storage: &dyn Storage,
    dir: &Path,
    header: &Header,
    segment_bytes: u64,
) -> io::Result<(Box<dyn StoredFile>, u64, u64)> {
    let path = segment::path(dir, header.state.next);
    let folder = dir.join("segments");
    let temporary = path.with_extension("new");
    let mut frame = Vec::new();
    segment::put_frame(&mut frame, 0, 0, 0, Kind::Header, &[&header.encode()]);
    let tail = frame.len() as u64;
    let allocated = tail.next_multiple_of(GROWTH.min(segment_bytes));
    storage.remove(&temporary)?;
    let file = storage.create(&temporary)?;
    segment::preallocate(&*file, 0, allocated)?;
    file.write_at(&frame, 0)?;
    file.sync()?;
    storage.rename(&temporary, &path)?;
    #[cfg(test)]
    if crate::crash::mutants::skips_folder_sync() {
        return Ok((file, tail, allocated));
    }
    storage.sync_folder(&folder)?;
    Ok((file, tail, allocated))
}

/// The first sequences of all segments, ascending.
pub(crate) fn list_segments(storage: &dyn Storage, dir: &Path) -> Result<Vec<u64>, JournalError> {
    let folder = dir.join("segments");
    let names = storage.list(&folder).map_err(io_error("list", &folder))?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment::first_of(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Opens a segment and reads its header; `None` if the header is no header.
pub(crate) fn open_segment(
    storage: &dyn Storage,
    dir: &Path,
    first: u64,
) -> Result<Option<(Reader, Header)>, JournalError> {
    let path = segment::path(dir, first);
    let file = storage.open(&path).map_err(io_error("open", &path))?;
    let mut reader = Reader::new(file);
    let Found::Frame(frame) = reader.peek().map_err(io_error("read", &path))? else { return Ok(None) };
    let end = frame.end();
    let header = (frame.kind == Kind::Header).then(|| Header::decode(frame.payload)).flatten();
    let Some(header) = header.filter(|header| header.state.next == first) else { return Ok(None) };
    reader.offset = end;
    reader.nonce = header.nonce;
    Ok(Some((reader, header)))
}

/// Splits a body frame's payload into sequence, body and detail.
pub(crate) fn split_body(payload: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (sequence, rest) = payload.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (body, detail) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((u64::from_le_bytes(*sequence), body, detail))
}

/// Splits a leaf frame's payload into sequence and leaf.
pub(crate) fn split_leaf(payload: &[u8]) -> Option<(u64, &[u8; 128])> {
    let (sequence, leaf) = payload.split_first_chunk()?;
    Some((u64::from_le_bytes(*sequence), leaf.try_into().ok()?))
}

struct Opening {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    signer: Arc<LogSigner>,
    now_ms: u64,
    segment_bytes: u64,
}

/// The log as far as it is read.
struct Progress {
    state: State,
    tree: Tree,
    completed: Vec<Completed>,
    checkpoint: Option<Checkpoint>,
    read: u64,
    /// Where the batch of the last frame begins.
    batch: u64,
}

impl Opening {
    fn damaged(&self, what: impl Into<String>) -> JournalError {
        JournalError::Damaged { dir: self.dir.clone(), what: what.into() }
    }

    fn run(self, everything: bool) -> Result<(Log, Recovered), JournalError> {
        let folder = self.dir.join("segments");
        self.storage.create_folder(&folder).map_err(io_error("create", &folder))?;
        // A name that this process sees may be in memory only: the run before may have ended because
        // the sync of its folder failed. What is built on it must not outlive it.
        for folder in [&self.dir, &folder] {
            self.storage.sync_folder(folder).map_err(io_error("sync", folder))?;
        }
        let segments = list_segments(&*self.storage, &self.dir)?;
        let checkpoint = match self.read_checkpoint() {
            // A rebuild makes the checkpoint again, from the records alone if need be.
            Err(JournalError::Damaged { .. }) if everything => None,
            read => read?,
        };
        if segments.is_empty() {
            if checkpoint.is_some_and(|checkpoint| checkpoint.size > 0) {
                return Err(self.damaged("there is a checkpoint but no segment"));
            }
            return self.begin();
        }
        if segments[0] != 0 {
            return Err(self.damaged(format!("segments before record {} are missing", segments[0])));
        }
        let start = if everything { 0 } else { self.starting_segment(&segments, checkpoint.as_ref())? };
        self.read_from(&segments[start..], checkpoint.as_ref(), everything)
    }

    fn read_checkpoint(&self) -> Result<Option<Checkpoint>, JournalError> {
        let path = self.dir.join("checkpoint");
        let Some(bytes) = self.storage.read(&path).map_err(io_error("read", &path))? else { return Ok(None) };
        let note = String::from_utf8(bytes).map_err(|_| self.damaged("the checkpoint is not text"))?;
        match Checkpoint::open(&note, self.signer.public()) {
            Ok((checkpoint, _)) => Ok(Some(checkpoint)),
            Err(error) => Err(self.damaged(format!("{error}; a rebuild makes it again"))),
        }
    }

    fn begin(self) -> Result<(Log, Recovered), JournalError> {
        let header = Header {
            nonce: random_number(),
            log: sha256(self.signer.public().public_key()),
            state: State::default(),
            tree: Tree::new(),
        };
        let (file, tail, allocated) = create_segment(&*self.storage, &self.dir, &header, self.segment_bytes)
            .map_err(io_error("begin", segment::path(&self.dir, 0)))?;
        let progress = Progress {
            state: State::default(),
            tree: Tree::new(),
            completed: Vec::new(),
            checkpoint: None,
            read: 0,
            batch: 0,
        };
        Ok((self.log(progress, file, tail, allocated, header.nonce, None), Recovered::default()))
    }

    /// The last segment that begins no later than the checkpoint, so that the checkpoint's root is
    /// met on the way.
    fn starting_segment(
        &self,
        segments: &[u64],
        checkpoint: Option<&Checkpoint>,
    ) -> Result<usize, JournalError> {
        let Some(checkpoint) = checkpoint else { return Ok(0) };
        for (position, first) in segments.iter().enumerate().rev() {
            let opened = open_segment(&*self.storage, &self.dir, *first)?;
            let (_, header) =
                opened.ok_or_else(|| self.damaged(format!("segment {first} has no readable header")))?;
            if header.tree.size() <= checkpoint.size {
                return Ok(position);
            }
        }
        Ok(0)
    }

    fn read_from(
        self,
        segments: &[u64],
        checkpoint: Option<&Checkpoint>,
        everything: bool,
    ) -> Result<(Log, Recovered), JournalError> {
        let mut progress: Option<Progress> = None;
        let mut last = None;
        for (position, first) in segments.iter().enumerate() {
            let opened = open_segment(&*self.storage, &self.dir, *first)?;
            let (reader, header) =
                opened.ok_or_else(|| self.damaged(format!("segment {first} has no readable header")))?;
            if header.log != sha256(self.signer.public().public_key()) {
                return Err(self.damaged(format!("segment {first} belongs to another log")));
            }
            let progress = match &mut progress {
                None => progress.insert(Progress {
                    state: header.state.clone(),
                    tree: header.tree.clone(),
                    completed: Vec::new(),
                    checkpoint: checkpoint.cloned(),
                    read: 0,
                    batch: 0,
                }),
                Some(progress) if progress.state == header.state && progress.tree == header.tree => progress,
                Some(_) => {
                    return Err(self.damaged(format!("segment {first} does not follow the one before")));
                }
            };
            progress.batch = 0;
            self.judge(progress)?;
            let is_last = position + 1 == segments.len();
            let mut reader = self.read_segment(progress, reader, *first)?;
            let torn = self.torn_tail(progress, &mut reader, *first, is_last)?;
            last = Some((reader, *first, torn));
        }
        let (progress, (reader, first, torn)) = match (progress, last) {
            (Some(progress), Some(last)) => (progress, last),
            _ => return Err(self.damaged("there is no segment")),
        };
        if progress.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.size > progress.tree.size()) {
            return Err(self.damaged(format!(
                "the checkpoint covers {} leaves, the segments hold {}",
                progress.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size),
                progress.tree.size()
            )));
        }
        self.finish(progress, reader, first, torn, everything)
    }

    fn read_segment(
        &self,
        progress: &mut Progress,
        mut reader: Reader,
        first: u64,
    ) -> Result<Reader, JournalError> {
        let path = segment::path(&self.dir, first);
        loop {
            let Found::Frame(frame) = reader.peek().map_err(io_error("read", &path))? else {
                return Ok(reader);
            };
            let end = frame.end();
            if frame.batch < progress.batch {
                return Err(self.damaged(format!("segment {first} goes back at byte {}", frame.offset)));
            }
            progress.batch = frame.batch;
            let taken = match frame.kind {
                Kind::Header => Err("a header inside the segment".to_owned()),
                Kind::Body => match split_body(frame.payload) {
                    None => Err("a malformed record".to_owned()),
                    Some((sequence, body, detail)) => {
                        progress.read += 1;
                        progress.state.body(sequence, body, detail, self.signer.public())
                    }
                },
                Kind::Leaf => match split_leaf(frame.payload) {
                    None => Err("a malformed leaf".to_owned()),
                    Some((sequence, leaf)) => progress.state.leaf(sequence, leaf).map(|hash| {
                        let completed = &mut progress.completed;
                        progress.tree.append(hash, |tile| completed.push(tile));
                    }),
                },
            };
            let offset = frame.offset;
            taken.map_err(|what| self.damaged(format!("segment {first}, byte {offset}: {what}")))?;
            self.judge(progress)?;
            reader.offset = end;
        }
    }

    /// Compares the tree with the checkpoint when it has its size.
    fn judge(&self, progress: &Progress) -> Result<(), JournalError> {
        match &progress.checkpoint {
            Some(checkpoint)
                if checkpoint.size == progress.tree.size() && checkpoint.root != progress.tree.root() =>
            {
                Err(self.damaged(format!("the records differ from the checkpoint over {}", checkpoint.size)))
            }
            _ => Ok(()),
        }
    }

    /// Looks at what stands behind the last frame. A remainder of the last batch is moved aside;
    /// anything more is damage.
    fn torn_tail(
        &self,
        progress: &Progress,
        reader: &mut Reader,
        first: u64,
        is_last: bool,
    ) -> Result<Option<Torn>, JournalError> {
        let path = segment::path(&self.dir, first);
        let read_error = || io_error("read", path.clone());
        let offset = reader.offset;
        let end = reader.last_nonzero(offset).map_err(read_error())?;
        if end == offset {
            return Ok(None);
        }
        let what = format!("segment {first} is unreadable from byte {offset} on, behind record");
        let before = progress.state.next.checked_sub(1).map_or("none".to_owned(), |last| last.to_string());
        if !is_last {
            return Err(self.damaged(format!("{what} {before}, and later segments follow")));
        }
        // A frame whose batch begins behind this place was written after this place was on disk.
        let mut from = offset;
        while let Some((found, batch)) = reader.find_frame(from).map_err(read_error())? {
            if batch > offset {
                return Err(
                    self.damaged(format!("{what} {before}, and later records follow at byte {found}"))
                );
            }
            from = found + 1;
        }
        self.move_aside(reader, first, offset, end).map(Some)
    }

    fn move_aside(
        &self,
        reader: &mut Reader,
        first: u64,
        offset: u64,
        end: u64,
    ) -> Result<Torn, JournalError> {
        let path = segment::path(&self.dir, first);
        let length = (end - offset) as usize;
        let bytes = reader.bytes(offset, length).map_err(io_error("read", &path))?.to_vec();
        let name = format!("torn-{}-{first:020}-{offset}", self.now_ms);
        let moved_to = self.dir.join("segments").join(name);
        write_once(&*self.storage, &moved_to, &bytes)?;
        Ok(Torn { segment: first, offset, bytes: length as u64, moved_to })
    }

    /// Cleans the tail, makes sure the last batch is on disk, and hands over.
    fn finish(
        self,
        mut progress: Progress,
        reader: Reader,
        first: u64,
        torn: Option<Torn>,
        everything: bool,
    ) -> Result<(Log, Recovered), JournalError> {
        let path = segment::path(&self.dir, first);
        let tail = reader.offset;
        let nonce = reader.nonce;
        let mut reader = reader;
        // The last batch may be only in the page cache, and after a failed sync the cache may call
        // it clean. Writing the same bytes again makes the sync below mean something.
        let length = (tail - progress.batch) as usize;
        let again = reader.bytes(progress.batch, length).map_err(io_error("read", &path))?.to_vec();
        let file = reader.into_file();
        let allocated = file.size().map_err(io_error("measure", &path))?;
        let mended = file
            .write_at(&again, progress.batch)
            .and_then(|()| match &torn {
                Some(torn) => segment::preallocate(&*file, torn.offset, torn.offset + torn.bytes),
                None => Ok(()),
            })
            .and_then(|()| file.sync());
        mended.map_err(io_error("mend", &path))?;
        if !everything {
            self.skip_known_tiles(&mut progress)?;
        }
        let recovered = Recovered {
            records: progress.state.next,
            leaves: progress.tree.size(),
            epoch: progress.state.epoch,
            torn,
            read: progress.read,
        };
        let mut log = self.log(progress, file, tail, allocated, nonce, None);
        log.durable = log.state.next;
        Ok((log, recovered))
    }

    /// Leaves out the finished tiles that the checkpoint already covers; if one of the tiles of
    /// the checkpoint is missing, all are made again.
    fn skip_known_tiles(&self, progress: &mut Progress) -> Result<(), JournalError> {
        let Some(checkpoint) = &progress.checkpoint else { return Ok(()) };
        let size = checkpoint.size;
        let mut kept = Vec::new();
        let mut synced: Option<PathBuf> = None;
        for done in progress.completed.drain(..) {
            let covered = Tile::in_tree(size, done.tile.level, done.tile.index) == Some(done.tile);
            let path = self.dir.join(done.tile.path());
            if !covered
                || self.storage.read(&path).map_err(io_error("read", &path))?.as_ref() != Some(&done.bytes)
            {
                kept.push(done);
                continue;
            }
            // As with the segments: the tile's name may not be durable. Tiles come folder by folder.
            let folder = path.parent().expect("a tile's path has folders");
            if synced.as_deref() != Some(folder) {
                self.storage.sync_folder(folder).map_err(io_error("sync", folder))?;
                synced = Some(folder.to_owned());
            }
        }
        progress.completed = kept;
        Ok(())
    }

    fn log(
        self,
        progress: Progress,
        file: Box<dyn StoredFile>,
        tail: u64,
        allocated: u64,
        nonce: u64,
        published: Option<u64>,
    ) -> Log {
        debug_assert!(tail >= HEAD as u64);
        // Unfinished tiles of the last checkpoint become superfluous with the next but one.
        let partial: Vec<Tile> =
            progress.checkpoint.iter().flat_map(|checkpoint| tiles_of_edge(checkpoint.size)).collect();
        Log {
            storage: self.storage,
            dir: self.dir,
            signer: self.signer,
            segment_bytes: self.segment_bytes,
            file,
            nonce,
            tail,
            allocated,
            durable: progress.state.next,
            state: progress.state,
            tree: progress.tree,
            pending: Vec::new(),
            pending_leaves: Vec::<Hash>::new(),
            completed: progress.completed,
            published,
            partial: [partial, Vec::new()],
            failed: None,
        }
    }
}

/// The unfinished tiles of a tree, without walking all of its tiles.
fn tiles_of_edge(size: u64) -> impl Iterator<Item = Tile> {
    debug_assert!(size > 0 || tiles_of(size).next().is_none());
    (0..8_u8).filter_map(move |level| {
        let hashes = size >> (8 * u32::from(level));
        Tile::in_tree(size, level, hashes >> 8).filter(|tile| !tile.is_full())
    })
}
