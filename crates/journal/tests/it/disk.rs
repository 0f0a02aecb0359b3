//! A disk in memory that keeps apart what a running process sees and what a crash leaves, and that
//! fails on demand. Stands behind [`Storage`], so the journal's own code runs on it unchanged.
//!
//! What is not synced, bytes and names alike, may be lost, kept, torn at any sector and reordered
//! against everything else; only a rename is whole or not at all. A sync that fails has lost what it
//! was to write, and the next one knows nothing of it: as Linux does it.

#![allow(dead_code, reason = "not every test that has the disk uses all of it")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use journal::storage::{Storage, StoredFile};

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// What goes wrong, at the operation with a number and behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens any more.
    PowerCut,
    /// This one operation fails; a write is then done in half, a sync has lost its bytes.
    Failed,
    /// From here on there is no room for more: new names and bytes behind a file's end fail.
    Full,
    /// From here on nothing may be changed.
    ReadOnly,
}

/// What becomes of all that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Kept,
    /// Each sector and each name by itself, drawn from this seed.
    Drawn(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate,
}

/// A file: what a crash leaves for sure, what the process sees, and what lies between.
#[derive(Debug, Clone, Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Naming {
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl Naming {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Set(path, _) | Self::Rename(path, ..) | Self::Remove(path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Set(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove(path) => drop(names.remove(path)),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Inner {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<Naming>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    /// Everything that ever stood under the name `checkpoint`, for whoever looked.
    checkpoints: Vec<Vec<u8>>,
}

/// What an operation needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    Room,
}

impl Inner {
    /// Counts an operation that changes something; says whether it is the one that fails in half.
    fn step(&mut self, need: Need) -> io::Result<bool> {
        let number = self.operations;
        self.operations += 1;
        match self.fault {
            Some((at, fault)) if number >= at => match fault {
                Fault::PowerCut => Err(io::Error::other("injected: the power is gone")),
                Fault::Failed if number == at => Ok(true),
                Fault::Full if need == Need::Room => Err(io::ErrorKind::StorageFull.into()),
                Fault::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
                Fault::Failed | Fault::Full => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// As [`Inner::step`], for what is done whole or fails whole.
    fn whole_step(&mut self, need: Need) -> io::Result<()> {
        if self.step(need)? { Err(injected()) } else { Ok(()) }
    }

    fn rename_node(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        if let Naming::Rename(_, to, node) = &naming
            && to.ends_with("checkpoint")
        {
            let seen = self.nodes[*node].current.clone();
            self.checkpoints.push(seen);
        }
        self.unsynced_names.push(naming);
    }

    fn create(&mut self, path: &Path) -> usize {
        self.nodes.push(Node::default());
        let node = self.nodes.len() - 1;
        self.rename_node(Naming::Set(path.to_owned(), node));
        node
    }

    fn write_at(&mut self, node: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
        let grows = offset + bytes.len() > self.nodes[node].current.len();
        let half = self.step(if grows { Need::Room } else { Need::Nothing })?;
        let bytes = if half { &bytes[..bytes.len() / 2] } else { bytes };
        let node = &mut self.nodes[node];
        put(&mut node.current, offset, bytes);
        node.unsynced.push(Change::Write(offset, bytes.to_vec()));
        if half { Err(injected()) } else { Ok(()) }
    }

    fn sync(&mut self, node: usize) -> io::Result<()> {
        let fails = self.step(Need::Nothing)?;
        let node = &mut self.nodes[node];
        if fails {
            // Linux has marked the pages clean: no later sync writes them.
            node.unsynced.clear();
            return Err(injected());
        }
        // Not a copy of what the process sees: what a failed sync lost stays lost.
        let Node { durable, unsynced, .. } = node;
        unsynced.drain(..).for_each(|change| change.apply(durable, |_| true));
        Ok(())
    }
}

impl Change {
    /// Applies it to `content`, sector by sector, as `keeps` says.
    fn apply(&self, content: &mut Vec<u8>, mut keeps: impl FnMut(usize) -> bool) {
        match self {
            Self::Truncate => {
                if keeps(0) {
                    content.clear();
                }
            }
            Self::Write(offset, bytes) => {
                let mut at = 0;
                while at < bytes.len() {
                    let sector = (offset + at) / SECTOR;
                    let end = bytes.len().min((sector + 1) * SECTOR - offset);
                    if keeps(sector) {
                        put(content, offset + at, &bytes[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}

fn injected() -> io::Error {
    io::Error::other("injected: input/output error")
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

impl Memory {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    /// A new disk that fails at operation `at`.
    pub(crate) fn failing(at: u64, fault: Fault) -> Self {
        let disk = Self::default();
        disk.set_fault(Some((at, fault)));
        disk
    }

    pub(crate) fn set_fault(&self, fault: Option<(u64, Fault)>) {
        self.inner().fault = fault;
    }

    /// Operations so far that changed something or tried to.
    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Names that the process sees.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.inner().names.keys().cloned().collect()
    }

    /// Every checkpoint that anyone could have read, in order.
    pub(crate) fn checkpoints(&self) -> Vec<Vec<u8>> {
        self.inner().checkpoints.clone()
    }

    /// The same disk when only the process has died: another disk with its content, without faults.
    pub(crate) fn restarted(&self) -> Self {
        let inner = Inner { fault: None, operations: 0, ..self.inner().clone() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Another disk with what a power cut leaves.
    pub(crate) fn after_power_cut(&self, fate: Fate) -> Self {
        let mut inner = Inner { fault: None, operations: 0, ..self.inner().clone() };
        let mut dice = match fate {
            Fate::Lost => Dice::Never,
            Fate::Kept => Dice::Always,
            Fate::Drawn(seed) => Dice::drawn(seed),
        };
        for node in &mut inner.nodes {
            let Node { durable, unsynced, .. } = node;
            unsynced.drain(..).for_each(|change| change.apply(durable, |_| dice.roll()));
            node.current.clone_from(&node.durable);
        }
        for naming in std::mem::take(&mut inner.unsynced_names) {
            if dice.roll() {
                naming.apply(&mut inner.durable_names);
            }
        }
        inner.names.clone_from(&inner.durable_names);
        Self(Arc::new(Mutex::new(inner)))
    }
}

/// Keeps or loses one thing after the other.
enum Dice {
    Never,
    Always,
    /// A generator's state, and how many of 256 things are kept.
    Drawn(u64, u64),
}

impl Dice {
    fn drawn(seed: u64) -> Self {
        // Most kept, most lost, and half are different worlds; seeds take turns.
        let odds = [128, 16, 240][(seed % 3) as usize];
        Self::Drawn(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, odds)
    }

    fn roll(&mut self) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Drawn(state, odds) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                (*state >> 32) % 256 < *odds
            }
        }
    }
}

impl Storage for Memory {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inner = self.inner();
        let inside = inner.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.inner().whole_step(Need::Room)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.whole_step(Need::Nothing)?;
        let (synced, waiting) = std::mem::take(&mut inner.unsynced_names)
            .into_iter()
            .partition(|naming| naming.folder() == Some(folder));
        inner.unsynced_names = waiting;
        let synced: Vec<Naming> = synced;
        synced.iter().for_each(|naming| naming.apply(&mut inner.durable_names));
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let node = *self.inner().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open { disk: self.clone(), node }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let inner = &mut *self.inner();
        inner.whole_step(Need::Room)?;
        if inner.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = inner.create(path);
        Ok(Box::new(Open { disk: self.clone(), node }))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let inner = self.inner();
        Ok(inner.names.get(path).map(|node| inner.nodes[*node].current.clone()))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let inner = &mut *self.inner();
        // Three operations, as of the real disk: open and truncate, write, sync.
        inner.whole_step(Need::Room)?;
        let node = match inner.names.get(path) {
            Some(node) => *node,
            None => inner.create(path),
        };
        inner.nodes[node].current.clear();
        inner.nodes[node].unsynced.push(Change::Truncate);
        inner.write_at(node, content, 0)?;
        inner.sync(node)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.whole_step(Need::Nothing)?;
        let node = *inner.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        inner.rename_node(Naming::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.whole_step(Need::Nothing)?;
        if inner.names.contains_key(path) {
            inner.rename_node(Naming::Remove(path.to_owned()));
        }
        Ok(())
    }
}

struct Open {
    disk: Memory,
    node: usize,
}

impl StoredFile for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.inner().nodes[self.node].current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.disk.inner();
        let rest = inner.nodes[self.node].current.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.inner().write_at(self.node, bytes, offset as usize)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.inner().sync(self.node)
    }
}
