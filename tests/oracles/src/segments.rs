//! Segment files as an intruder with a text editor for bytes sees them: frames that can be changed,
//! with checksums that are made to fit again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

const HEAD: usize = 17;
const BODY: u8 = 2;
const LEAF: u8 = 3;

/// The one segment of a small log.
#[derive(Clone)]
pub(crate) struct Segment {
    path: PathBuf,
    size: usize,
    header: Vec<u8>,
    nonce: u64,
    pub(crate) frames: Vec<Frame>,
}

/// A record or a leaf, with the sequence it states.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Body { sequence: u64, body: Vec<u8>, detail: Vec<u8> },
    Leaf { sequence: u64, leaf: Vec<u8> },
}

impl Frame {
    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Self::Body { sequence, .. } | Self::Leaf { sequence, .. } => *sequence,
        }
    }

    pub(crate) fn set_sequence(&mut self, to: u64) {
        match self {
            Self::Body { sequence, .. } | Self::Leaf { sequence, .. } => *sequence = to,
        }
    }

    pub(crate) const fn is_leaf(&self) -> bool {
        matches!(self, Self::Leaf { .. })
    }

    fn payload(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Body { sequence, body, detail } => {
                let length = u32::try_from(body.len()).expect("bodies are short").to_le_bytes();
                (BODY, [&sequence.to_le_bytes()[..], &length, body, detail].concat())
            }
            Self::Leaf { sequence, leaf } => (LEAF, [&sequence.to_le_bytes()[..], leaf].concat()),
        }
    }

    fn read(kind: u8, payload: &[u8]) -> Option<Self> {
        let (sequence, rest) = payload.split_first_chunk()?;
        let sequence = u64::from_le_bytes(*sequence);
        match kind {
            BODY => {
                let (length, rest) = rest.split_first_chunk()?;
                let (body, detail) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                Some(Self::Body { sequence, body: body.to_vec(), detail: detail.to_vec() })
            }
            LEAF => Some(Self::Leaf { sequence, leaf: rest.to_vec() }),
            _ => None,
        }
    }
}

impl Segment {
    /// Reads the only segment of the log in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(format!("segments/{:020}.seg", 0));
        let data = fs::read(&path).with_context(|| path.display().to_string())?;
        let (kind, header) = frame_at(&data, 0).context("no segment header")?;
        ensure!(kind == 1, "no segment header");
        let nonce = u64::from_le_bytes(header[8..16].try_into()?);
        let mut offset = HEAD + header.len();
        let mut frames = Vec::new();
        while let Some((kind, payload)) = frame_at(&data, offset) {
            frames.push(Frame::read(kind, payload).context("a frame that is neither record nor leaf")?);
            offset += HEAD + payload.len();
        }
        Ok(Self { path, size: data.len(), header: header.to_vec(), nonce, frames })
    }

    /// Writes the segment with checksums that fit, into the log folder `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let mut out = Vec::new();
        put(&mut out, 0, 1, &self.header);
        for frame in &self.frames {
            let (kind, payload) = frame.payload();
            put(&mut out, self.nonce, kind, &payload);
        }
        out.resize(self.size.max(out.len()), 0);
        let name = self.path.file_name().context("segments have names")?;
        Ok(fs::write(dir.join("segments").join(name), out)?)
    }

    /// Where the record's body begins in the file.
    pub(crate) fn body_offset(&self, index: u64) -> usize {
        let before = self.frames.iter().take_while(|frame| frame.is_leaf() || frame.sequence() != index);
        let lengths = before.map(|frame| HEAD + frame.payload().1.len());
        HEAD + self.header.len() + lengths.sum::<usize>() + HEAD + 12
    }

    pub(crate) fn position(&self, index: u64, leaf: bool) -> Result<usize> {
        let found = |frame: &Frame| frame.is_leaf() == leaf && frame.sequence() == index;
        self.frames.iter().position(found).with_context(|| format!("record {index} is not there"))
    }

    pub(crate) fn body(&self, index: u64) -> Option<(&[u8], &[u8])> {
        self.frames.iter().find_map(|frame| match frame {
            Frame::Body { sequence, body, detail } if *sequence == index => Some((&body[..], &detail[..])),
            _ => None,
        })
    }

    pub(crate) fn leaf(&self, index: u64) -> Option<[u8; 128]> {
        self.frames.iter().find_map(|frame| match frame {
            Frame::Leaf { sequence, leaf } if *sequence == index => leaf.as_slice().try_into().ok(),
            _ => None,
        })
    }

    /// Records in it.
    pub(crate) fn records(&self) -> u64 {
        self.frames.iter().filter(|frame| !frame.is_leaf()).count() as u64
    }
}

fn frame_at(data: &[u8], offset: usize) -> Option<(u8, &[u8])> {
    let head = data.get(offset..offset + HEAD)?;
    let length = u32::from_le_bytes(head[4..8].try_into().ok()?) as usize;
    if length == 0 {
        return None;
    }
    Some((head[8], data.get(offset + HEAD..offset + HEAD + length)?))
}

/// Appends a frame that is its own batch.
fn put(out: &mut Vec<u8>, nonce: u64, kind: u8, payload: &[u8]) {
    let offset = out.len() as u64;
    let length = u32::try_from(payload.len()).expect("payloads are short");
    let rest = [&length.to_le_bytes()[..], &[kind], &offset.to_le_bytes(), payload].concat();
    let seed = [nonce.to_le_bytes(), offset.to_le_bytes()].concat();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&seed), &rest);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&rest);
}
