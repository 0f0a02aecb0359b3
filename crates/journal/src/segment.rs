//! Segment files: preallocated, append-only frames.
//!
//! A frame is `[crc u32][length u32][kind u8][batch u64][payload]`, little endian. The CRC32C covers
//! everything behind it and starts from the segment's random number and the frame's offset, so
//! bytes that merely look like a frame (inside a detail, or moved) are not taken for one. `batch` is
//! the offset at which the frame's batch begins. A batch is only written after the one before it is
//! on disk, so an unreadable place with a frame of a *later* batch behind it is damage, and one
//! without is a torn tail: harmless, never acknowledged.
//!
//! The first frame is the header: with it the log's state when the segment began, so that a restart
//! reads one segment, not all.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::StoredFile;

/// A new segment begins once one is this long.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 20;
/// The file grows in these steps, ahead of what is written.
pub(crate) const GROWTH: u64 = 1 << 20;
/// Zeros are written in pieces of this size: larger ones make the page cache keep the file in large
/// folios, and each later small write then costs twenty times as much (measured on ext4).
const ZEROS: [u8; 4096] = [0; 4096];
/// Bytes before a frame's payload.
pub(crate) const HEAD: usize = 17;
/// Most bytes of a payload.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;
/// How much of a file is read at once.
const WINDOW: usize = 256 << 10;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// State at the segment's start.
    Header,
    /// A record's body and detail.
    Body,
    /// A record's leaf.
    Leaf,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Body => 2,
            Self::Leaf => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Header),
            2 => Some(Self::Body),
            3 => Some(Self::Leaf),
            _ => None,
        }
    }
}

/// Where a segment with this first sequence lies.
pub(crate) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join("segments").join(format!("{first:020}.seg"))
}

/// The first sequence that a segment's file name states.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Appends a frame for `offset` to `out`.
pub(crate) fn put_frame(out: &mut Vec<u8>, nonce: u64, offset: u64, batch: u64, kind: Kind, parts: &[&[u8]]) {
    let start = out.len();
    let length: usize = parts.iter().map(|part| part.len()).sum();
    debug_assert!(length <= MAX_PAYLOAD);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u32::try_from(length).expect("payloads are bounded").to_le_bytes());
    out.push(kind.byte());
    out.extend_from_slice(&batch.to_le_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    let crc = checksum(nonce, offset, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(nonce: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&nonce.to_le_bytes());
    seed[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), bytes)
}

/// Writes zeros from `from` to `to`.
pub(crate) fn preallocate(file: &dyn StoredFile, from: u64, to: u64) -> io::Result<()> {
    let mut offset = from;
    while offset < to {
        let length = (to - offset).min(ZEROS.len() as u64);
        file.write_at(&ZEROS[..length as usize], offset)?;
        offset += length;
    }
    Ok(())
}

/// One frame, borrowed from the reader's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    /// Where its batch begins.
    pub(crate) batch: u64,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// Offset behind the frame.
    pub(crate) fn end(&self) -> u64 {
        self.offset + (HEAD + self.payload.len()) as u64
    }
}

/// What stands at the reader's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// Nothing: zeros, or the end of the file.
    End,
    /// Bytes that are no frame.
    Garbage,
}

/// Reads a segment from front to back through a window.
pub(crate) struct Reader {
    file: Box<dyn StoredFile>,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    base: u64,
    /// Offset of the next frame.
    pub(crate) offset: u64,
    pub(crate) nonce: u64,
}

impl Reader {
    pub(crate) fn new(file: Box<dyn StoredFile>) -> Self {
        Self { file, window: Vec::new(), base: 0, offset: 0, nonce: 0 }
    }

    pub(crate) fn into_file(self) -> Box<dyn StoredFile> {
        self.file
    }

    /// Looks at the frame at the current offset without moving.
    pub(crate) fn peek(&mut self) -> io::Result<Found<'_>> {
        self.frame_at(self.offset)
    }

    /// Whether a frame stands at the current offset now: the file is read again, because the
    /// journal may be writing there.
    pub(crate) fn frame_appeared(&mut self) -> io::Result<bool> {
        self.window.clear();
        Ok(matches!(self.peek()?, Found::Frame(_)))
    }

    fn frame_at(&mut self, offset: u64) -> io::Result<Found<'_>> {
        let nonce = self.nonce;
        let head = self.bytes(offset, HEAD)?;
        if head.iter().all(|byte| *byte == 0) {
            // Zeros may also be a hole torn into a batch; whether frames follow is asked elsewhere.
            return Ok(Found::End);
        }
        if head.len() < HEAD {
            return Ok(Found::Garbage);
        }
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (crc, length) = (word(0), word(4) as usize);
        let (Some(kind), true) = (Kind::from_byte(head[8]), length <= MAX_PAYLOAD) else {
            return Ok(Found::Garbage);
        };
        let batch = u64::from_le_bytes(head[9..HEAD].try_into().expect("eight bytes"));
        let all = self.bytes(offset, HEAD + length)?;
        if all.len() < HEAD + length || checksum(nonce, offset, &all[4..]) != crc {
            return Ok(Found::Garbage);
        }
        Ok(Found::Frame(Frame { offset, kind, batch, payload: &all[HEAD..] }))
    }

    /// The first frame from `from` on that passes its checksum: its offset and that of its batch.
    pub(crate) fn find_frame(&mut self, from: u64) -> io::Result<Option<(u64, u64)>> {
        let size = self.file.size()?;
        let mut offset = from;
        while offset + (HEAD as u64) <= size {
            let head = self.bytes(offset, HEAD)?;
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let stated = u64::from_le_bytes(head[9..HEAD].try_into().expect("eight bytes"));
            let plausible = Kind::from_byte(head[8]).is_some() && length <= MAX_PAYLOAD && stated <= offset;
            if plausible && let Found::Frame(frame) = self.frame_at(offset)? {
                return Ok(Some((offset, frame.batch)));
            }
            offset += 1;
        }
        Ok(None)
    }

    /// Offset behind the last byte that is not zero, from `from` on; `from` if all are.
    pub(crate) fn last_nonzero(&mut self, from: u64) -> io::Result<u64> {
        let (size, mut end, mut offset) = (self.file.size()?, from, from);
        while offset < size {
            let part = self.bytes(offset, WINDOW)?;
            // Nearly all is zeros, and a comparison of many is one instruction's work for a few.
            let is_zero = |piece: &[u8]| *piece == ZEROS[..piece.len()];
            if let Some(piece) = part.chunks(ZEROS.len()).rposition(|piece| !is_zero(piece)) {
                let start = piece * ZEROS.len();
                let rest = &part[start..(start + ZEROS.len()).min(part.len())];
                let last = rest.iter().rposition(|byte| *byte != 0).unwrap_or_default();
                end = offset + (start + last) as u64 + 1;
            }
            offset += part.len().max(1) as u64;
        }
        Ok(end)
    }

    /// Up to `length` bytes at `offset`; fewer only at the end of the file.
    pub(crate) fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let inside = offset >= self.base && offset + length as u64 <= self.base + self.window.len() as u64;
        if !inside {
            self.window.resize(length.max(WINDOW), 0);
            let read = self.file.read_at(&mut self.window, offset)?;
            self.window.truncate(read);
            self.base = offset;
        }
        let start = (offset - self.base) as usize;
        Ok(&self.window[start..(start + length).min(self.window.len())])
    }
}
