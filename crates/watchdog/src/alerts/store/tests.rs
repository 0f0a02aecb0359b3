//! Every step a crash may fall on, with what a disk may leave behind.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use super::*;
use crate::alerts::AlertId;

/// A folder in memory that loses, at a chosen step, what no sync has saved.
#[derive(Clone, Default)]
struct Torn(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: Vec<Contents>,
    /// As programs see it.
    names: BTreeMap<String, usize>,
    /// As it is on the disk.
    durable_names: BTreeMap<String, usize>,
    open: Option<usize>,
    steps: usize,
    crash_at: Option<usize>,
    /// Fails steps from here on, without a crash.
    full: bool,
}

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    synced: usize,
}

impl Torn {
    fn step<T>(&self, act: impl FnOnce(&mut State, bool) -> T) -> io::Result<T> {
        let mut state = self.0.lock().expect("no panic before");
        let now = state.steps;
        state.steps += 1;
        if state.full || state.crash_at.is_some_and(|at| now > at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let dies = state.crash_at == Some(now);
        let done = act(&mut state, dies);
        if dies { Err(io::ErrorKind::Interrupted.into()) } else { Ok(done) }
    }

    /// The folder after the process was killed; the system lives.
    fn after_kill(&self) -> Self {
        let state = self.0.lock().expect("no panic before");
        let files = state.files.iter().map(|file| Contents { bytes: file.bytes.clone(), synced: 0 });
        Self::of(files.collect(), state.names.clone())
    }

    /// The folder after a loss of power: names as at the last sync or as now, and of what was
    /// not synced any part, with or without a hole.
    fn after_power_loss(&self, seed: &mut u64) -> Self {
        let state = self.0.lock().expect("no panic before");
        let names = if chance(seed, 2) == 0 { &state.names } else { &state.durable_names };
        let tear = |file: &Contents| {
            let loose = file.bytes.len() - file.synced;
            let mut bytes = file.bytes[..file.synced + chance(seed, loose + 1)].to_vec();
            let hole = file.synced + chance(seed, bytes.len() - file.synced + 1);
            if chance(seed, 3) == 0 {
                bytes[hole..].fill(0);
            }
            Contents { synced: bytes.len(), bytes }
        };
        let files = state.files.iter().map(tear).collect();
        Self::of(files, names.clone())
    }

    fn of(files: Vec<Contents>, names: BTreeMap<String, usize>) -> Self {
        let state = State { files, durable_names: names.clone(), names, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Disk for Torn {
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.0.lock().expect("no panic before");
        Ok(state.names.get(name).map(|file| state.files[*file].bytes.clone()).unwrap_or_default())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.step(|state, dies| {
            if !dies {
                state.files.push(Contents::default());
                state.open = Some(state.files.len() - 1);
                state.names.insert(name.to_owned(), state.files.len() - 1);
            }
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.step(|state, dies| {
            let written = if dies { bytes.len() / 2 } else { bytes.len() };
            let open = state.open.expect("a file is open");
            state.files[open].bytes.extend_from_slice(&bytes[..written]);
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step(|state, dies| {
            let open = state.open.expect("a file is open");
            if !dies {
                state.files[open].synced = state.files[open].bytes.len();
            }
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step(|state, dies| {
            if !dies {
                let file = state.names.remove(from).expect("the file is there");
                state.names.insert(to.to_owned(), file);
            }
        })
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.step(|state, dies| {
            if !dies {
                state.durable_names = state.names.clone();
            }
        })
    }
}

/// Below `limit`, which is not 0 (splitmix64).
fn chance(seed: &mut u64, limit: usize) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("below a usize")
}

fn record(number: usize) -> Record {
    Record::Done(AlertId::new(format!("id-{number}")).expect("an id"))
}

fn records(count: usize) -> Vec<Record> {
    (0..count).map(record).collect()
}

/// Starts, appends, replaces and appends again until the disk fails. Returns how many records were
/// said to be durable, and how many were tried.
fn work(disk: &Torn) -> (usize, usize) {
    let (mut store, found) = Store::over(Box::new(disk.clone())).expect("reading does not fail");
    let (mut durable, mut tried) = (found.records.len(), found.records.len());
    let script = [0, 1, 2, 1, 0, 3, 0, 1];
    for new in script {
        let done = if new == 0 {
            store.replace(&records(tried))
        } else {
            let added: Vec<Record> = (tried..tried + new).map(record).collect();
            tried += new;
            store.append(&added)
        };
        match done {
            Ok(()) => durable = tried,
            Err(_) => break,
        }
    }
    (durable, tried)
}

#[test]
fn what_was_said_to_be_durable_is_there_after_a_crash_at_any_step() {
    let whole = Torn::default();
    assert_eq!(work(&whole), (8, 8));
    let steps = whole.0.lock().expect("no panic").steps;
    assert_eq!(steps, 3 * 5 + 5 * 2, "each replacement has five steps, each append two");
    for crash_at in 0..steps {
        for variant in 0..200_u64 {
            let disk = Torn::default();
            disk.0.lock().expect("no panic").crash_at = Some(crash_at);
            let (durable, tried) = work(&disk);
            let mut seed = variant;
            let after = if variant == 0 { disk.after_kill() } else { disk.after_power_loss(&mut seed) };
            let (mut store, found) = Store::over(Box::new(after.clone())).expect("readable");
            let context = format!("crash at step {crash_at}, seed {variant}");
            let all = records(tried);
            assert!(found.records.len() >= durable, "{context}: lost a durable record");
            assert_eq!(found.records[..durable], all[..durable], "{context}");
            assert!(found.records.iter().all(|record| all.contains(record)), "{context}: made one up");
            // And it goes on from there.
            store.replace(&found.records).expect("a new disk");
            store.append(&[record(99)]).expect("a new disk");
            let (_, again) = Store::over(Box::new(after.after_power_loss(&mut seed))).expect("readable");
            assert_eq!(again.records.len(), found.records.len() + 1, "{context}");
            assert_eq!(again.damaged, 0, "{context}");
        }
    }
}

#[test]
fn after_a_failure_nothing_is_appended_before_the_file_is_replaced() {
    let disk = Torn::default();
    let (mut store, _) = Store::over(Box::new(disk.clone())).expect("readable");
    assert!(
        store.needs_replacing() && store.append(&records(1)).is_err(),
        "not before the first replacement"
    );
    store.replace(&records(1)).expect("written");
    disk.0.lock().expect("no panic").full = true;
    assert!(store.append(&records(2)).is_err() && !store.is_whole());
    disk.0.lock().expect("no panic").full = false;
    let error = store.append(&records(2)).expect_err("the file is in doubt");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    store.replace(&records(3)).expect("written");
    assert!(store.is_whole());
    assert_eq!(Store::over(Box::new(disk)).expect("readable").1.records, records(3));
}

#[test]
fn a_damaged_line_costs_no_other() {
    let whole = to_lines(&records(3));
    let line = whole.len() / 3;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let found = parse(&damaged);
        let expected: Vec<Record> = (0..3).filter(|n| at / line != *n).map(record).collect();
        // A line's end that is gone takes the next line with it.
        if (at + 1) % line == 0 && at + 1 < whole.len() {
            assert_eq!((found.records.len(), found.damaged), (1, 1), "byte {at}");
        } else {
            assert_eq!((found.records, found.damaged), (expected, 1), "byte {at}");
        }
    }
    for length in 0..whole.len() {
        let found = parse(&whole[..length]);
        assert_eq!(found.records, records(length / line), "cut at {length}");
        assert_eq!(found.damaged, usize::from(length % line != 0), "cut at {length}");
    }
}

#[test]
fn a_folder_is_private_and_used_by_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/alerts");
    let (mut store, found) = Store::open(&path).expect("a new folder");
    assert_eq!(found, Found::default());
    store.replace(&records(2)).expect("written");
    store.append(&[record(2)]).expect("written");
    assert!(matches!(Store::open(&path), Err(StoreError::InUse { .. })));
    drop(store);
    let (_store, found) = Store::open(&path).expect("free again");
    assert_eq!(found, Found { records: records(3), damaged: 0 });
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join(FILE)), mode(&path.join(LOCK))), (0o700, 0o600, 0o600));
}

#[test]
fn a_file_that_grows_asks_to_be_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, _) = Store::open(folder.path()).expect("a folder");
    store.replace(&[]).expect("written");
    let many = records(100_000);
    let mut appended = 0;
    while !store.needs_replacing() {
        store.append(&many).expect("written");
        appended += 1;
        assert!(appended < 10, "the limit is reached");
    }
    store.replace(&records(1)).expect("written");
    assert!(!store.needs_replacing());
}
