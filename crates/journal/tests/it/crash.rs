//! A disk that forgets, tears and fails: the log is cut off at every single operation, and what
//! was acknowledged must be there afterwards, whatever became of what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use journal::storage::{Storage, StoredFile};
use journal::{Folder, JournalError, Log};
use transparency::{Options, verify};

use crate::support::{Vault, open_on};

type Content = Arc<Mutex<Node>>;

/// A file: what a crash leaves for sure, and what was written since.
#[derive(Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct Inner {
    /// Names as the running process sees them, and as a crash leaves them.
    names: BTreeMap<PathBuf, Content>,
    durable_names: BTreeMap<PathBuf, Content>,
    operations: u64,
    fails_at: Option<u64>,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Inner>>);

/// What becomes of writes that were not synced.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lost,
    Kept,
    /// Every other one is kept.
    Reordered,
    /// All are kept but the last, of which half is.
    Torn,
}

fn apply(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl Memory {
    /// Counts an operation that changes something; fails it and all after it when the time has come.
    fn step(&self) -> io::Result<()> {
        let mut inner = self.0.lock().expect("lock");
        if inner.fails_at.is_some_and(|at| inner.operations >= at) {
            return Err(io::Error::other("injected"));
        }
        inner.operations += 1;
        Ok(())
    }

    fn operations(&self) -> u64 {
        self.0.lock().expect("lock").operations
    }

    fn fail_at(&self, at: Option<u64>) {
        self.0.lock().expect("lock").fails_at = at;
    }

    /// The disk after a power cut.
    fn after_crash(&self, fate: Fate) -> Self {
        let inner = self.0.lock().expect("lock");
        let after = Self::default();
        for (path, node) in &inner.durable_names {
            let node = node.lock().expect("lock");
            let mut content = node.durable.clone();
            let last = node.unsynced.len().saturating_sub(1);
            for (number, (offset, bytes)) in node.unsynced.iter().enumerate() {
                match fate {
                    Fate::Lost => {}
                    Fate::Reordered if number % 2 == 0 => {}
                    Fate::Torn if number == last => apply(&mut content, *offset, &bytes[..bytes.len() / 2]),
                    Fate::Kept | Fate::Reordered | Fate::Torn => apply(&mut content, *offset, bytes),
                }
            }
            let node = Node { durable: content.clone(), current: content, unsynced: Vec::new() };
            let node = Arc::new(Mutex::new(node));
            let mut inner = after.0.lock().expect("lock");
            inner.names.insert(path.clone(), Arc::clone(&node));
            inner.durable_names.insert(path.clone(), node);
        }
        after
    }
}

impl Storage for Memory {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inner = self.0.lock().expect("lock");
        let inside = inner.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.map(|path| path.file_name().expect("name").to_string_lossy().into_owned()).collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        let inner = &mut *self.0.lock().expect("lock");
        inner.durable_names.retain(|path, _| path.parent() != Some(folder));
        let inside = inner.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        inner.durable_names.extend(inside.map(|(path, node)| (path.clone(), Arc::clone(node))));
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let inner = self.0.lock().expect("lock");
        let node = inner.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open { disk: self.clone(), node: Arc::clone(node) }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.step()?;
        let node = Content::default();
        let mut inner = self.0.lock().expect("lock");
        if inner.names.insert(path.to_owned(), Arc::clone(&node)).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(Open { disk: self.clone(), node }))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let inner = self.0.lock().expect("lock");
        Ok(inner.names.get(path).map(|node| node.lock().expect("lock").current.clone()))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.step()?;
        let node = Arc::new(Mutex::new(Node {
            current: content.to_vec(),
            durable: content.to_vec(),
            unsynced: Vec::new(),
        }));
        self.0.lock().expect("lock").names.insert(path.to_owned(), node);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut inner = self.0.lock().expect("lock");
        let node = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.0.lock().expect("lock").names.remove(path);
        Ok(())
    }
}

struct Open {
    disk: Memory,
    node: Content,
}

impl StoredFile for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(self.node.lock().expect("lock").current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let node = self.node.lock().expect("lock");
        let rest = node.current.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.step()?;
        let mut node = self.node.lock().expect("lock");
        apply(&mut node.current, offset as usize, bytes);
        node.unsynced.push((offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step()?;
        let node = &mut *self.node.lock().expect("lock");
        node.durable.clone_from(&node.current);
        node.unsynced.clear();
        Ok(())
    }
}

/// What the outside was told.
#[derive(Default)]
struct Told {
    durable: u64,
    checkpoint: u64,
}

const DIR: &str = "/log";
const SEGMENT: u64 = 8 << 10;

/// Writes a while: records, leaves a batch behind, checkpoints, new segments, a second epoch.
fn work(disk: &Memory, told: &mut Told) -> Result<(), JournalError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    for _ in 0..2 {
        let (mut log, _) = open_on(Arc::clone(&storage), Path::new(DIR), SEGMENT)?;
        let folder = Folder::over(Arc::clone(&storage), Path::new(DIR))?;
        let mut vault = Vault::after(&log, &folder);
        vault.begin(&mut log)?;
        for round in 0..10 {
            for _ in 0..3 {
                vault.place(&mut log)?;
            }
            told.durable = log.sync()?;
            let ready = vault.unleafed.len();
            vault.sign(&mut log, ready - usize::from(round == 9))?;
            if round % 3 == 2 {
                log.sync()?;
                log.checkpoint()?;
                told.checkpoint = log.leaves();
            }
        }
    }
    Ok(())
}

/// Opens what a crash left and compares it with what was told.
fn judge(disk: &Memory, told: &Told, point: &str) -> Log {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (log, recovered) = open_on(Arc::clone(&storage), Path::new(DIR), SEGMENT)
        .unwrap_or_else(|error| panic!("{point}: {error}"));
    assert!(recovered.records >= told.durable, "{point}: {} of {} records", recovered.records, told.durable);
    assert!(recovered.leaves >= told.checkpoint, "{point}: leaves behind the checkpoint");
    let folder = Folder::over(storage, Path::new(DIR)).expect("log");
    let report = verify(&folder, &Options::default());
    assert_eq!(report.fault, None, "{point}");
    assert_eq!(report.records, recovered.records, "{point}");
    assert_eq!(report.covered, recovered.leaves, "{point}");
    log
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_fails() {
    let whole = Memory::default();
    work(&whole, &mut Told::default()).expect("an undisturbed run");
    let operations = whole.operations();
    assert!(operations > 150, "{operations} operations");
    let names = whole.0.lock().expect("lock");
    let segments = names.names.keys().filter(|path| path.extension().is_some_and(|end| end == "seg"));
    assert!(segments.count() > 2, "the work spans segments");
    drop(names);
    // Every third cut keeps the test short; the offset varies with the fate, so all are met.
    for (number, fate) in [Fate::Lost, Fate::Kept, Fate::Reordered, Fate::Torn].into_iter().enumerate() {
        for cut in (0..operations).skip(number % 3).step_by(3) {
            let disk = Memory::default();
            disk.fail_at(Some(cut));
            let mut told = Told::default();
            assert!(work(&disk, &mut told).is_err());
            let point = format!("cut at {cut}, {fate:?}");
            let after = disk.after_crash(fate);
            judge(&after, &told, &point);
        }
    }
}

#[test]
fn a_crash_while_mending_a_crash_loses_nothing() {
    let whole = Memory::default();
    work(&whole, &mut Told::default()).expect("an undisturbed run");
    for cut in (0..whole.operations()).rev().step_by(29) {
        let disk = Memory::default();
        disk.fail_at(Some(cut));
        let mut told = Told::default();
        let _ = work(&disk, &mut told);
        let torn = disk.after_crash(Fate::Torn);
        let storage: Arc<dyn Storage> = Arc::new(torn.clone());
        let opened = open_on(storage, Path::new(DIR), SEGMENT);
        opened.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let steps = torn.operations();
        for second in 0..steps {
            let again = disk.after_crash(Fate::Torn);
            again.fail_at(Some(second));
            let storage: Arc<dyn Storage> = Arc::new(again.clone());
            let _ = open_on(storage, Path::new(DIR), SEGMENT);
            for fate in [Fate::Lost, Fate::Reordered] {
                judge(&again.after_crash(fate), &told, &format!("cut at {cut}, then at {second}, {fate:?}"));
            }
        }
    }
}

#[test]
fn after_a_failed_write_the_log_takes_nothing_more() {
    let disk = Memory::default();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (mut log, _) = open_on(Arc::clone(&storage), Path::new(DIR), SEGMENT).expect("opens");
    let mut vault = Vault::new(0, 0, [0; 32], Vec::new());
    vault.begin(&mut log).expect("epoch");
    log.sync().expect("sync");
    vault.place(&mut log).expect("append");
    disk.fail_at(Some(disk.operations() + 1));
    assert!(matches!(log.sync(), Err(JournalError::Stopped(_))));
    disk.fail_at(None);
    let operations = disk.operations();
    assert!(matches!(log.sync(), Err(JournalError::Stopped(_))), "never tried again");
    assert!(matches!(vault.place(&mut log), Err(JournalError::Stopped(_))));
    assert!(matches!(log.checkpoint(), Err(JournalError::Stopped(_))));
    assert_eq!(disk.operations(), operations);
    assert_eq!(log.durable(), 1);
}

/// Bytes up to the last that is not zero.
fn used(content: &[u8]) -> usize {
    content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

#[test]
fn a_tail_torn_at_any_byte_is_moved_aside() {
    let disk = Memory::default();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (mut log, _) = open_on(storage, Path::new(DIR), 16 << 10).expect("opens");
    let mut vault = Vault::new(0, 0, [0; 32], Vec::new());
    vault.begin(&mut log).expect("epoch");
    for _ in 0..9 {
        vault.place(&mut log).expect("append");
    }
    vault.sign(&mut log, 10).expect("leaves");
    log.sync().expect("sync");
    let segment = Path::new(DIR).join("segments").join("00000000000000000000.seg");
    let before = used(&disk.read(&segment).expect("read").expect("segment"));
    vault.place(&mut log).expect("append");
    vault.place(&mut log).expect("append");
    vault.sign(&mut log, 1).expect("leaf");
    log.sync().expect("sync");
    let bytes = disk.read(&segment).expect("read").expect("segment");
    let whole = used(&bytes);
    assert!(whole - before > 500);
    for cut in before..whole {
        let after = disk.after_crash(Fate::Kept);
        let mut torn = bytes.clone();
        torn[cut..whole].fill(0);
        after.write(&segment, &torn).expect("write");
        let storage: Arc<dyn Storage> = Arc::new(after.clone());
        let (_, recovered) = open_on(Arc::clone(&storage), Path::new(DIR), 16 << 10).expect("no damage");
        assert!((10..=12).contains(&recovered.records) && recovered.leaves >= 10, "{recovered:?}");
        if let Some(moved) = &recovered.torn {
            let kept = storage.read(&moved.moved_to).expect("read").expect("moved aside");
            assert_eq!(kept, torn[moved.offset as usize..used(&torn)]);
        }
        judge(&after, &Told { durable: 10, checkpoint: 10 }, &format!("cut at {cut}"));
        let (_, again) = open_on(storage, Path::new(DIR), 16 << 10).expect("opens");
        assert_eq!(again.torn, None, "the second opening finds nothing to mend");
    }
}
