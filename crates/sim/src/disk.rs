//! A disk in memory that forgets, tears and fails as disks may: nothing survives a power cut for sure
//! before its sync has returned.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::storage::{Storage, StoredFile};

use crate::random::Random;

type File = Arc<Mutex<Content>>;

/// A file as the running system sees it, and what of it a power cut leaves for sure.
#[derive(Debug, Default, Clone)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Written and not synced, in order.
    dirty: Vec<(usize, Vec<u8>)>,
}

/// What happens at one of the next operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The process is killed in the middle of it: it and all later ones fail.
    Killed,
    /// It fails and the process goes on. A failed sync leaves pages that the system calls clean.
    Error,
}

/// Syncs that a planted fault leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Skips {
    pub(crate) files: bool,
    pub(crate) folders: bool,
}

#[derive(Debug)]
struct Inner {
    /// Names as the running system sees them, and as a power cut leaves them for sure.
    names: BTreeMap<PathBuf, File>,
    durable_names: BTreeMap<PathBuf, File>,
    random: Random,
    trouble: Option<(u64, Trouble)>,
    dead: bool,
    skips: Skips,
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_into(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Where `needle` is in `hay`, from `from` on.
fn find(hay: &[u8], mut from: usize, needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    loop {
        from += hay.get(from..)?.iter().position(|byte| *byte == first)?;
        if hay[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        write_into(&mut self.current, offset, bytes);
        self.dirty.push((offset, bytes.to_vec()));
    }

    fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.dirty) {
            write_into(&mut self.durable, offset, &bytes);
        }
    }

    /// What a power cut leaves: of each write that was not synced all, nothing, or a part.
    fn after_power_cut(&self, random: &mut Random) -> Self {
        let mut durable = self.durable.clone();
        for (offset, bytes) in &self.dirty {
            let length = bytes.len();
            let kept = match random.below(4) {
                0 => 0..0,
                1 => 0..length,
                // The front or the back of it, cut anywhere.
                part => {
                    let cut = usize::try_from(random.below(length.max(1) as u64)).expect("a length");
                    if part == 2 { 0..cut } else { cut..length }
                }
            };
            if !kept.is_empty() {
                write_into(&mut durable, offset + kept.start, &bytes[kept]);
            }
        }
        Self { current: durable.clone(), durable, dirty: Vec::new() }
    }
}

impl Disk {
    pub(crate) fn new(seed: u64, skips: Skips) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            random: Random::new(seed),
            trouble: None,
            dead: false,
            skips,
        })))
    }

    /// Has `trouble` come at the operation after `more` others.
    pub(crate) fn plan(&self, more: u64, trouble: Trouble) {
        lock(&self.0).trouble = Some((more, trouble));
    }

    /// Whether the process that used the disk was killed.
    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.0).dead
    }

    /// A new process uses the disk: what the old one wrote is still in memory.
    pub(crate) fn revive(&self) {
        let mut inner = lock(&self.0);
        inner.dead = false;
        inner.trouble = None;
    }

    /// The power fails.
    pub(crate) fn cut_power(&self) {
        let inner = &mut *lock(&self.0);
        let random = &mut inner.random;
        let mut names = BTreeMap::new();
        let all = inner.names.keys().chain(inner.durable_names.keys()).cloned();
        let all: std::collections::BTreeSet<PathBuf> = all.collect();
        for path in all {
            // A name that was not synced is as before or as after.
            let seen =
                if random.chance(500) { inner.names.get(&path) } else { inner.durable_names.get(&path) };
            if let Some(file) = seen {
                names.insert(path, Arc::new(Mutex::new(lock(file).after_power_cut(random))));
            }
        }
        inner.durable_names = names.clone();
        inner.names = names;
        inner.dead = false;
        inner.trouble = None;
    }

    /// Whether `needle` is in a file of `folder` whatever happens to the power. `hint` is where the
    /// last one was.
    pub(crate) fn surely_holds(&self, folder: &Path, needle: &[u8], hint: &mut (PathBuf, usize)) -> bool {
        let inner = lock(&self.0);
        let found = |path: &Path, from: usize| {
            let file = inner.durable_names.get(path)?;
            let durable = &lock(file).durable;
            find(durable, from, needle)
        };
        let files = inner.durable_names.keys().filter(|path| path.parent() == Some(folder)).rev();
        let starts = std::iter::once((hint.0.clone(), hint.1)).chain(files.map(|path| (path.clone(), 0)));
        for (path, from) in starts.collect::<Vec<_>>() {
            if let Some(at) = found(&path, from) {
                *hint = (path, at);
                return true;
            }
        }
        false
    }

    /// Counts an operation that changes something; says whether and how it fails.
    fn step(&self) -> Result<(), Trouble> {
        let mut inner = lock(&self.0);
        if inner.dead {
            return Err(Trouble::Killed);
        }
        match inner.trouble {
            None => Ok(()),
            Some((0, trouble)) => {
                inner.trouble = None;
                inner.dead = trouble == Trouble::Killed;
                Err(trouble)
            }
            Some((more, trouble)) => {
                inner.trouble = Some((more - 1, trouble));
                Ok(())
            }
        }
    }

    fn fail(&self) -> io::Result<()> {
        self.step().map_err(|trouble| match trouble {
            Trouble::Killed => io::Error::other("killed"),
            Trouble::Error => io::Error::from_raw_os_error(5),
        })
    }

    /// How much of `length` bytes an interrupted write leaves.
    fn part_of(&self, length: usize) -> usize {
        usize::try_from(lock(&self.0).random.below(length as u64 + 1)).expect("a length")
    }
}

impl Storage for Disk {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inner = lock(&self.0);
        let inside = inner.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.fail()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.fail()?;
        let inner = &mut *lock(&self.0);
        if !inner.skips.folders {
            inner.durable_names.retain(|path, _| path.parent() != Some(folder));
            let inside = inner.names.iter().filter(|(path, _)| path.parent() == Some(folder));
            inner.durable_names.extend(inside.map(|(path, file)| (path.clone(), Arc::clone(file))));
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let file = lock(&self.0).names.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.fail()?;
        let file = File::default();
        if lock(&self.0).names.insert(path.to_owned(), Arc::clone(&file)).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = lock(&self.0).names.get(path).cloned();
        Ok(file.map(|file| lock(&file).current.clone()))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let outcome = self.fail();
        let length = if outcome.is_ok() { content.len() } else { self.part_of(content.len()) };
        let mut file = Content::default();
        file.write(0, &content[..length]);
        if outcome.is_ok() {
            file.sync();
        }
        // The same file: whoever knew it by this name sees it truncated and written.
        lock(&self.0).names.insert(path.to_owned(), Arc::new(Mutex::new(file)));
        outcome
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fail()?;
        let mut inner = lock(&self.0);
        let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fail()?;
        lock(&self.0).names.remove(path);
        Ok(())
    }
}

struct Open {
    disk: Disk,
    file: File,
}

impl StoredFile for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.file).current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = lock(&self.file);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = file.current.get(from..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let outcome = self.disk.fail();
        let length = if outcome.is_ok() { bytes.len() } else { self.disk.part_of(bytes.len()) };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        lock(&self.file).write(offset, &bytes[..length]);
        outcome
    }

    fn sync(&self) -> io::Result<()> {
        let skips = lock(&self.disk.0).skips.files;
        match self.disk.step() {
            Ok(()) if skips => Ok(()),
            Ok(()) => {
                lock(&self.file).sync();
                Ok(())
            }
            Err(Trouble::Killed) => Err(io::Error::other("killed")),
            Err(Trouble::Error) => {
                // What was not written is called clean from now on: the next sync will not try again.
                lock(&self.file).dirty.clear();
                Err(io::Error::from_raw_os_error(5))
            }
        }
    }
}
