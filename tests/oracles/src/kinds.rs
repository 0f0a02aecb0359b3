//! The kinds of tampering, and who must see each.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use transparency::{Body, Checkpoint, Epoch, Leaf, LogKey, Statement, Tile, sha256};

use crate::segments::{Frame, Segment};

/// The log as it was written, and what an intruder may have beside it.
pub(crate) struct Honest {
    pub(crate) dir: PathBuf,
    pub(crate) segment: Segment,
    /// Leaves under the checkpoint.
    pub(crate) size: u64,
    /// An even index inside the second full tile; the record and its neighbours are decisions.
    pub(crate) target: u64,
    /// The record that opens the second epoch.
    pub(crate) epoch: u64,
    /// A checkpoint file of the past.
    pub(crate) past: PathBuf,
    /// The whole folder as it was then.
    pub(crate) past_dir: PathBuf,
    /// The newest checkpoint, where an auditor keeps it.
    pub(crate) newest: PathBuf,
    /// Another log under the same key.
    pub(crate) fork: PathBuf,
    pub(crate) log_key: Ed25519KeyPair,
    pub(crate) stranger: Ed25519KeyPair,
}

/// A copy of the honest folder, to be damaged.
pub(crate) struct Case {
    pub(crate) honest: Rc<Honest>,
    pub(crate) dir: PathBuf,
    pub(crate) segment: Segment,
    /// The checkpoint that the auditor kept from earlier.
    pub(crate) earlier: PathBuf,
}

/// Which of the outside judges see it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All three.
    ByAll,
    /// Only the Go program; Sigsum's tools cannot, for the reason with this letter.
    ByGo(char),
}

/// What our verifier must name.
#[derive(Clone, Copy)]
pub(crate) enum Named {
    /// The first bad record, counted from the target.
    Target(u64),
    /// The epoch's record.
    Epoch,
    /// The record at this index.
    At(u64),
    /// The record that many before the end.
    BeforeEnd(u64),
    /// The log's key or checkpoint: no record is bad.
    NoRecord,
}

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) seen: Seen,
    pub(crate) named: Named,
    pub(crate) make: fn(&mut Case) -> Result<()>,
}

/// Why Sigsum's tools cannot see a kind.
pub(crate) const REASONS: &[(char, &str)] = &[
    ('A', "the leaf commits to the body; they do not read the detail's digest in it"),
    ('B', "their proof holds no checksum: they make it from the body"),
    ('C', "proofs that can still be made hold; of what is missing none can be made"),
    ('D', "their proof holds neither origin nor key id: they make both from the log's key"),
    ('E', "a proof is of one tree; they compare no two"),
    ('F', "they are given the record's own proof, not its epoch's"),
];

use Named::{At, BeforeEnd, NoRecord, Target};
use Seen::{ByAll, ByGo};

macro_rules! kinds {
    ($($name:literal, $seen:expr, $named:expr, $make:expr;)+) => {
        &[$(Kind { name: $name, seen: $seen, named: $named, make: $make }),+]
    };
}

/// Every kind done to a folder.
pub(crate) const FOLDER: &[Kind] = kinds! {
    "body: one bit", ByAll, Target(0), |case| case.body(0, |body, _| flip_last(body));
    "body: one bit, frame checksum left", ByAll, Target(0), Case::raw_bit;
    "detail: one bit", ByGo('A'), Target(0), |case| case.body(0, |_, detail| flip_last(detail));
    "details of two records exchanged", ByGo('A'), Target(0), Case::exchange_details;
    "leaf: one bit of the signature", ByAll, Target(0), |case| case.leaf(|leaf| leaf[40] ^= 1);
    "leaf: one bit of the checksum", ByGo('B'), Target(0), |case| case.leaf(|leaf| leaf[3] ^= 1);
    "leaf: one bit of the key hash", ByAll, Target(0), |case| case.leaf(|leaf| leaf[100] ^= 1);
    "leaf: signed by a stranger", ByAll, Target(0), Case::stranger_leaf;
    "leaf: left out", ByGo('C'), Target(0), Case::drop_leaf;
    "two records exchanged", ByAll, Target(0), Case::exchange_records;
    "record left out, later ones renumbered", ByAll, Target(0), Case::drop_record;
    "record given twice, later ones renumbered", ByAll, Target(1), Case::repeat_record;
    "stranger's record put in", ByAll, Target(0), Case::insert_record;
    "history rewritten from a record on", ByAll, Target(0), Case::rewrite;
    "last records cut off", ByGo('C'), BeforeEnd(3), Case::cut;
    "epoch statement: one bit", ByAll, Named::Epoch, Case::statement_bit;
    "epoch statement by a stranger, body to match", ByAll, Named::Epoch, Case::stranger_statement;
    "tile: one hash of level 0", ByAll, Target(0), |case| case.tile(0, |index, bytes| bytes[index * 32] ^= 1);
    "tile: one hash of level 1", ByAll, At(0), |case| case.tile(1, |_, bytes| bytes[5] ^= 1);
    "tile: missing", ByGo('C'), At(256), Case::drop_tile;
    "tile: of another log", ByAll, At(256), Case::foreign_tile;
    "tile: unfinished one cut short", ByGo('C'), BeforeEnd(1), Case::cut_tile;
    "checkpoint: size", ByAll, NoRecord, |case| case.note(|line| line[1] = "5".to_owned());
    "checkpoint: one bit of the root", ByAll, NoRecord, |case| case.note(|line| swap_character(&mut line[2]));
    "checkpoint: one bit of the signature", ByAll, NoRecord, Case::signature_bit;
    "checkpoint: origin", ByGo('D'), NoRecord, |case| case.note(|line| line[0].push('0'));
    "checkpoint: key id", ByGo('D'), NoRecord, Case::key_id;
    "checkpoint by a stranger", ByAll, NoRecord, Case::stranger_checkpoint;
    "checkpoint with the log's key over a forked root", ByAll, NoRecord, Case::forked_root;
    "checkpoint with the log's key over more than there is", ByAll, BeforeEnd(0), Case::larger_size;
    "log key and checkpoint replaced", ByAll, NoRecord, Case::other_key;
    "log rolled back to an earlier state", ByGo('E'), NoRecord, Case::roll_back;
    "log forked under the same key", ByGo('E'), NoRecord, Case::fork;
};

impl Case {
    /// Changes body and detail of the record `offset` behind the target.
    fn body(&mut self, offset: u64, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Result<()> {
        self.body_at(self.honest.target + offset, change)
    }

    fn body_at(&mut self, index: u64, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Result<()> {
        let at = self.segment.position(index, false)?;
        if let Frame::Body { body, detail, .. } = &mut self.segment.frames[at] {
            change(body, detail);
        }
        self.segment.write(&self.dir)
    }

    fn leaf(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let at = self.segment.position(self.honest.target, true)?;
        if let Frame::Leaf { leaf, .. } = &mut self.segment.frames[at] {
            change(leaf);
        }
        self.segment.write(&self.dir)
    }

    fn raw_bit(&mut self) -> Result<()> {
        let path = self.dir.join(format!("segments/{:020}.seg", 0));
        let mut data = fs::read(&path)?;
        data[self.segment.body_offset(self.honest.target) + 20] ^= 1;
        fs::write(&path, data)?;
        // What the outside tools are handed is what stands there.
        self.segment = Segment::read(&self.dir)?;
        Ok(())
    }

    fn exchange_details(&mut self) -> Result<()> {
        let index = self.honest.target;
        let details = [index, index + 1].map(|at| self.segment.body(at).map(|(_, detail)| detail.to_vec()));
        let [Some(first), Some(second)] = details else { anyhow::bail!("no such records") };
        self.body(0, |_, detail| *detail = second)?;
        self.body(1, |_, detail| *detail = first)
    }

    fn stranger_leaf(&mut self) -> Result<()> {
        let (body, _) = self.segment.body(self.honest.target).context("the target")?;
        let signed = leaf_of(body, &self.honest.stranger);
        self.leaf(|leaf| *leaf = signed.to_bytes().to_vec())
    }

    fn drop_leaf(&mut self) -> Result<()> {
        let at = self.segment.position(self.honest.target, true)?;
        self.segment.frames.remove(at);
        self.segment.write(&self.dir)
    }

    fn exchange_records(&mut self) -> Result<()> {
        let index = self.honest.target;
        for leaf in [false, true] {
            let (left, right) =
                (self.segment.position(index, leaf)?, self.segment.position(index + 1, leaf)?);
            self.segment.frames.swap(left, right);
            self.segment.frames[left].set_sequence(index);
            self.segment.frames[right].set_sequence(index + 1);
        }
        self.segment.write(&self.dir)
    }

    fn drop_record(&mut self) -> Result<()> {
        let index = self.honest.target;
        self.segment.frames.retain(|frame| frame.sequence() != index);
        self.renumber(index, |sequence| sequence - 1);
        self.segment.write(&self.dir)
    }

    fn repeat_record(&mut self) -> Result<()> {
        let index = self.honest.target;
        let copies = [self.segment.position(index, false)?, self.segment.position(index, true)?]
            .map(|at| self.segment.frames[at].clone());
        self.put_in(index + 1, copies)
    }

    fn insert_record(&mut self) -> Result<()> {
        let index = self.honest.target;
        let before = self.segment.body(index - 1).context("the record before")?.0.to_vec();
        let (body, detail) = self.segment.body(index).context("the target")?;
        let detail = detail.to_vec();
        let mut forged = Body::decode(body)?;
        forged.previous = sha256(&before);
        forged.salt = [7; 16];
        let body = forged.encode()?;
        let leaf = leaf_of(&body, &self.honest.stranger).to_bytes().to_vec();
        self.put_in(index, [Frame::Body { sequence: 0, body, detail }, Frame::Leaf { sequence: 0, leaf }])
    }

    /// Puts a record and its leaf in at `index`, before the body that stood there.
    fn put_in(&mut self, index: u64, frames: [Frame; 2]) -> Result<()> {
        // In real order: the body before the next body, the leaf before the next leaf.
        let [mut body, mut leaf] = frames;
        body.set_sequence(index);
        leaf.set_sequence(index);
        let (body_at, leaf_at) = (self.segment.position(index, false)?, self.segment.position(index, true)?);
        self.renumber(index - 1, |sequence| sequence + 1);
        self.segment.frames.insert(leaf_at, leaf);
        self.segment.frames.insert(body_at, body);
        self.segment.write(&self.dir)
    }

    /// Changes the sequence of all frames behind record `index`.
    fn renumber(&mut self, index: u64, change: impl Fn(u64) -> u64) {
        for frame in self.segment.frames.iter_mut().filter(|frame| frame.sequence() > index) {
            frame.set_sequence(change(frame.sequence()));
        }
    }

    /// Changes one record and makes everything behind it fit, with a key of the intruder's own.
    fn rewrite(&mut self) -> Result<()> {
        let (from, to) = (self.honest.target, self.segment.records());
        let mut previous = sha256(self.segment.body(from - 1).context("the record before")?.0);
        for index in from..to {
            let mut body = Body::decode(self.segment.body(index).context("a record")?.0)?;
            body.previous = previous;
            if index == from {
                body.actor = "nobody".to_owned();
            }
            let bytes = body.encode()?;
            previous = sha256(&bytes);
            let signed = leaf_of(&bytes, &self.honest.stranger).to_bytes().to_vec();
            for leaf in [false, true] {
                let at = self.segment.position(index, leaf)?;
                match &mut self.segment.frames[at] {
                    Frame::Body { body, .. } => body.clone_from(&bytes),
                    Frame::Leaf { leaf, .. } => leaf.clone_from(&signed),
                }
            }
        }
        self.segment.write(&self.dir)
    }

    fn cut(&mut self) -> Result<()> {
        let kept = self.honest.size - 3;
        self.segment.frames.retain(|frame| frame.sequence() < kept);
        self.segment.write(&self.dir)
    }

    fn statement_bit(&mut self) -> Result<()> {
        self.body_at(self.honest.epoch, |_, detail| flip_last(detail))
    }

    fn stranger_statement(&mut self) -> Result<()> {
        let index = self.honest.epoch;
        let mut epoch = Epoch::decode(self.segment.body(index).context("the epoch's record")?.1)?;
        let statement = Statement {
            isolation: epoch.isolation.clone(),
            epoch: epoch.epoch,
            public_key: epoch.public_key,
            policy_hash: epoch.policy_hash,
        };
        let Ok(signed) = statement.sign(|text| sign(&self.honest.stranger, text));
        epoch.statement = signed;
        let mut body = Body::decode(self.segment.body(index).context("the epoch's record")?.0)?;
        body.detail_digest = sha256(&epoch.encode());
        let bytes = body.encode()?;
        self.body_at(index, |body, detail| (*body, *detail) = (bytes, epoch.encode()))
    }

    /// Changes the tile of `level` that covers the target; the closure gets the target's place in
    /// its level-0 tile.
    fn tile(&mut self, level: u8, change: impl FnOnce(usize, &mut Vec<u8>)) -> Result<()> {
        let index = self.honest.target >> (8 * (u32::from(level) + 1));
        let tile = Tile::in_tree(self.honest.size, level, index).context("no such tile")?;
        let path = self.dir.join(tile.path());
        let mut bytes = fs::read(&path)?;
        change(usize::try_from(self.honest.target % 256)?, &mut bytes);
        Ok(fs::write(path, bytes)?)
    }

    fn drop_tile(&mut self) -> Result<()> {
        Ok(fs::remove_file(self.dir.join("tile/0/001"))?)
    }

    fn foreign_tile(&mut self) -> Result<()> {
        fs::copy(self.honest.fork.join("tile/0/001"), self.dir.join("tile/0/001"))?;
        Ok(())
    }

    fn cut_tile(&mut self) -> Result<()> {
        let tile = Tile::in_tree(self.honest.size, 0, self.honest.size >> 8).context("no unfinished tile")?;
        let path = self.dir.join(tile.path());
        let bytes = fs::read(&path)?;
        Ok(fs::write(path, &bytes[..bytes.len() - 32])?)
    }

    /// Changes the checkpoint's lines: origin, size, root, nothing, signature.
    fn note(&mut self, change: impl FnOnce(&mut Vec<String>)) -> Result<()> {
        let path = self.dir.join("checkpoint");
        let mut lines: Vec<String> = fs::read_to_string(&path)?.lines().map(str::to_owned).collect();
        change(&mut lines);
        Ok(fs::write(path, lines.join("\n") + "\n")?)
    }

    fn signature_bit(&mut self) -> Result<()> {
        self.note(|lines| swap_character(&mut lines[4]))
    }

    fn key_id(&mut self) -> Result<()> {
        self.note(|lines| {
            let at = lines[4].rfind(' ').map_or(0, |space| space + 1);
            let other = if lines[4][at..].starts_with('A') { "B" } else { "A" };
            lines[4].replace_range(at..=at, other);
        })
    }

    fn stranger_checkpoint(&mut self) -> Result<()> {
        self.sign_checkpoint(&self.honest.stranger, |_| ())
    }

    fn forked_root(&mut self) -> Result<()> {
        let key = LogKey::new(public(&self.honest.log_key));
        let note = fs::read_to_string(self.honest.fork.join("checkpoint"))?;
        let (fork, _) = Checkpoint::open(&note, &key)?;
        self.sign_checkpoint(&self.honest.log_key, |checkpoint| checkpoint.root = fork.root)
    }

    fn larger_size(&mut self) -> Result<()> {
        self.sign_checkpoint(&self.honest.log_key, |checkpoint| checkpoint.size += 5)
    }

    fn sign_checkpoint(&self, key: &Ed25519KeyPair, change: impl FnOnce(&mut Checkpoint)) -> Result<()> {
        let honest = LogKey::new(public(&self.honest.log_key));
        let note = fs::read_to_string(self.dir.join("checkpoint"))?;
        let (mut checkpoint, _) = Checkpoint::open(&note, &honest)?;
        change(&mut checkpoint);
        let by = LogKey::new(public(key));
        checkpoint.origin = by.origin().to_owned();
        let Ok(note) = checkpoint.sign(&by, |text| sign(key, text));
        Ok(fs::write(self.dir.join("checkpoint"), note)?)
    }

    fn other_key(&mut self) -> Result<()> {
        self.stranger_checkpoint()?;
        let key = LogKey::new(public(&self.honest.stranger));
        Ok(fs::write(self.dir.join("log.pub"), format!("{key}\n"))?)
    }

    fn roll_back(&mut self) -> Result<()> {
        self.replace_with(&self.honest.past_dir.clone())
    }

    fn fork(&mut self) -> Result<()> {
        self.replace_with(&self.honest.fork.clone())
    }

    fn replace_with(&mut self, other: &Path) -> Result<()> {
        fs::remove_dir_all(&self.dir)?;
        copy_folder(other, &self.dir)?;
        self.segment = Segment::read(&self.dir)?;
        self.earlier.clone_from(&self.honest.newest);
        Ok(())
    }
}

pub(crate) fn flip_last(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

/// Another base64 character in the middle of a line's last word, far from its padding.
pub(crate) fn swap_character(line: &mut String) {
    let at = line.len() - 12;
    let other = if &line[at..=at] == "A" { "B" } else { "A" };
    line.replace_range(at..=at, other);
}

pub(crate) fn public(key: &Ed25519KeyPair) -> [u8; 32] {
    key.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
}

pub(crate) fn sign(key: &Ed25519KeyPair, message: &[u8]) -> Result<[u8; 64], Infallible> {
    Ok(key.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
}

fn leaf_of(body: &[u8], key: &Ed25519KeyPair) -> Leaf {
    let Ok(leaf) = Leaf::sign(body, &public(key), |message| sign(key, message));
    leaf
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
