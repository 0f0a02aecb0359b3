//! The engine on a real disk: append, restart, torn tails, damage.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use journal::{Checked, Filter, Folder, Index, IndexState, JournalError, Lock};
use tempfile::tempdir;
use transparency::{Place, Reason, verify_proof};

use crate::support::{Vault, assert_intact, check, filled, open};

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir.join("segments"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    found.sort();
    found
}

/// Length of a segment without the zeros at its end.
fn used(path: &Path) -> usize {
    let bytes = fs::read(path).expect("segment");
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

#[test]
fn a_log_grows_over_segments_and_restarts() {
    let dir = tempdir().expect("dir");
    let (mut log, _) = filled(dir.path(), 700, 0);
    log.checkpoint().expect("checkpoint");
    assert!(segments(dir.path()).len() > 10, "16 KiB segments");
    let report = assert_intact(dir.path());
    assert_eq!((report.records, report.covered, report.epochs), (700, 700, 1));
    drop(log);
    let (mut log, recovered) = open(dir.path()).expect("opens again");
    assert_eq!((recovered.records, recovered.leaves, recovered.epoch, recovered.torn), (700, 700, 1, None));
    assert!(recovered.read < 100, "only the last segment is read, not {}", recovered.read);
    let mut vault = Vault::after(&log, &Folder::open_read_only(dir.path()).expect("log"));
    vault.begin(&mut log).expect("epoch");
    vault.place(&mut log).expect("append");
    log.sync().expect("sync");
    vault.sign(&mut log, 2).expect("leaves");
    log.sync().expect("sync");
    log.checkpoint().expect("checkpoint");
    let report = assert_intact(dir.path());
    assert_eq!((report.records, report.covered, report.epochs), (702, 702, 2));
}

#[test]
fn what_is_not_synced_is_not_there() {
    let dir = tempdir().expect("dir");
    let (mut log, mut vault) = filled(dir.path(), 20, 0);
    vault.place(&mut log).expect("append");
    assert_eq!((log.durable(), log.next_sequence()), (20, 21));
    drop(log);
    assert_eq!(open(dir.path()).expect("opens").1.records, 20);
}

#[test]
fn only_the_next_true_record_is_taken() {
    let dir = tempdir().expect("dir");
    let (mut log, mut vault) = filled(dir.path(), 3, 0);
    let body = vault.body("place", b"{}");
    let refused = |outcome: Result<(), JournalError>| matches!(outcome, Err(JournalError::Refused(_)));
    assert!(refused(log.append_body(4, &body, b"{}")));
    assert!(refused(log.append_body(2, &body, b"{}")));
    assert!(refused(log.append_body(3, &body, b"{ }")));
    assert!(refused(log.append_body(3, b"", b"{}")));
    assert!(refused(log.append_leaf(3, &[0; 128])));
    log.append_body(3, &body, b"{}").expect("the right one");
    assert!(refused(log.append_leaf(3, &[0; 128])));
    let mut stranger = Vault::new(7, 3, [0; 32], vec![(3, body)]);
    assert!(refused(log.append_leaf(3, &stranger.leaf().1)), "a leaf by another key");
    let (sequence, leaf) = vault.leaf();
    log.append_leaf(sequence, &leaf).expect("the right one");
    log.sync().expect("sync");
    log.checkpoint().expect("checkpoint");
    assert_intact(dir.path());
}

#[test]
fn the_next_epoch_adopts_what_a_crash_left_without_leaf() {
    let dir = tempdir().expect("dir");
    drop(filled(dir.path(), 30, 4));
    let report = assert_intact(dir.path());
    assert_eq!((report.records, report.leaves), (30, 26));
    let (mut log, _) = open(dir.path()).expect("opens");
    assert_eq!(log.unleafed(), (26, 30));
    let mut vault = Vault::after(&log, &Folder::open_read_only(dir.path()).expect("log"));
    vault.begin(&mut log).expect("epoch");
    log.sync().expect("sync");
    vault.sign(&mut log, 2).expect("leaves");
    log.sync().expect("sync");
    // And a second crash, in the midst of it.
    drop(log);
    let (mut log, _) = open(dir.path()).expect("opens");
    assert_eq!(log.unleafed(), (28, 31));
    let mut vault = Vault::after(&log, &Folder::open_read_only(dir.path()).expect("log"));
    vault.begin(&mut log).expect("epoch");
    vault.sign(&mut log, 9).expect("leaves");
    log.sync().expect("sync");
    log.checkpoint().expect("checkpoint");
    let report = assert_intact(dir.path());
    assert_eq!((report.records, report.covered, report.epochs, report.adopted), (32, 32, 3, 5));
    let folder = Folder::open_read_only(dir.path()).expect("log");
    for sequence in 0..32 {
        let bundle = folder.prove(sequence).expect("proof");
        verify_proof(&bundle, Some(&folder.key().expect("key"))).expect("holds");
    }
}

#[test]
fn a_tail_of_garbage_or_with_a_hole_is_moved_aside() {
    let dir = tempdir().expect("dir");
    let (mut log, mut vault) = filled(dir.path(), 10, 0);
    let before = used(&segments(dir.path())[0]);
    for _ in 0..4 {
        vault.place(&mut log).expect("append");
    }
    log.sync().expect("sync");
    drop(log);
    let segment = segments(dir.path()).pop().expect("segment");
    let bytes = fs::read(&segment).expect("segment");
    for (from, length) in [(before, 17), (before, 400), (before + 100, 50), (before + 600, 300)] {
        let mut torn = bytes.clone();
        torn[from..from + length].fill(0);
        fs::write(&segment, &torn).expect("write");
        let copied = tempdir().expect("dir");
        copy(dir.path(), copied.path());
        let (_, recovered) = open(copied.path()).expect("a hole in the last batch is no damage");
        assert!(recovered.torn.is_some());
        assert!((10..14).contains(&recovered.records));
        assert_intact(copied.path());
    }
}

#[test]
fn damage_before_the_last_batch_is_refused_and_nothing_changes() {
    let dir = tempdir().expect("dir");
    let (log, _) = filled(dir.path(), 40, 0);
    drop(log);
    let first = &segments(dir.path())[0];
    let bytes = fs::read(first).expect("segment");
    for at in [2000, 5000, 9000] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        fs::write(first, &bad).expect("write");
        assert!(matches!(open(dir.path()), Err(JournalError::Damaged { .. })), "byte {at}");
        assert_eq!(fs::read(first).expect("segment"), bad);
    }
}

#[test]
fn every_flipped_byte_of_a_segment_is_found_at_its_record() {
    let dir = tempdir().expect("dir");
    let (mut log, _) = filled(dir.path(), 12, 0);
    log.checkpoint().expect("checkpoint");
    drop(log);
    let segment = &segments(dir.path())[0];
    // Which record each byte belongs to, from the frames themselves.
    let bytes = fs::read(segment).expect("segment");
    let file = fs::OpenOptions::new().write(true).open(segment).expect("segment");
    let end = used(segment);
    let mut offset = 0;
    while offset < end {
        let length =
            17 + u32::from_le_bytes(bytes[offset + 4..offset + 8].try_into().expect("four")) as usize;
        let sequence = u64::from_le_bytes(bytes[offset + 17..offset + 25].try_into().expect("eight"));
        let expected = if bytes[offset + 8] == 1 { 0 } else { sequence };
        for at in (offset..offset + length).step_by(3) {
            file.write_all_at(&[bytes[at] ^ 0x10], at as u64).expect("write");
            let fault = check(dir.path()).fault.expect("a fault");
            assert_eq!(fault.place, Place::Record(expected), "byte {at} of frame at {offset}: {fault}");
            file.write_all_at(&[bytes[at]], at as u64).expect("write");
        }
        offset += length;
    }
    assert_intact(dir.path());
}

#[test]
fn missing_segments_and_a_lost_tail_are_refused() {
    let dir = tempdir().expect("dir");
    let (mut log, _) = filled(dir.path(), 200, 0);
    log.checkpoint().expect("checkpoint");
    drop(log);
    let all = segments(dir.path());
    let middle = &all[all.len() / 2];
    let kept = fs::read(middle).expect("segment");
    fs::remove_file(middle).expect("remove");
    let first: u64 = middle.file_stem().expect("name").to_string_lossy().parse().expect("number");
    // The last records before it may have their leaves in the missing segment.
    let bad = check(dir.path()).fault.expect("fault").first_bad().expect("a record");
    assert!((first - 4..=first).contains(&bad), "{bad} for {first}");
    fs::write(middle, kept).expect("write");
    assert_intact(dir.path());
    fs::remove_file(all.last().expect("segments")).expect("remove");
    assert!(matches!(open(dir.path()), Err(JournalError::Damaged { .. })), "the checkpoint remembers");
    let reason = check(dir.path()).fault.expect("fault").reason;
    assert!(matches!(reason, Reason::Missing | Reason::MissingLeaf), "{reason}");
    for segment in &all {
        let _ = fs::remove_file(segment);
    }
    assert!(matches!(open(dir.path()), Err(JournalError::Damaged { .. })));
}

#[test]
fn tiles_checkpoint_and_index_are_made_again() {
    let dir = tempdir().expect("dir");
    let key = dir.path().join("log.key");
    let (lock, log, _) = journal::open_dir(dir.path(), &key).expect("opens");
    drop((lock, log));
    let signer = fs::read_to_string(&key).expect("key");
    assert_eq!(signer.trim().len(), 64);
    fs::write(&key, format!("{}\n", "2a".repeat(32))).expect("the tests' key");
    fs::remove_dir_all(dir.path().join("segments")).expect("restart");
    fs::remove_file(dir.path().join("checkpoint")).expect("restart");
    fs::remove_file(dir.path().join("log.pub")).expect("restart");
    let (mut log, _) = filled(dir.path(), 600, 0);
    log.checkpoint().expect("checkpoint");
    drop(log);
    let before = fs::read(dir.path().join("checkpoint")).expect("checkpoint");
    fs::remove_dir_all(dir.path().join("tile")).expect("remove");
    fs::write(dir.path().join("checkpoint"), b"nonsense").expect("write");
    assert!(matches!(open(dir.path()), Err(JournalError::Damaged { .. })));
    let recovered = journal::rebuild_dir(dir.path(), &key).expect("rebuilds");
    assert_eq!((recovered.records, recovered.read), (600, 600));
    assert_eq!(fs::read(dir.path().join("checkpoint")).expect("checkpoint"), before);
    assert_intact(dir.path());
    let index = Index::open_read_only(&dir.path().join("index.sqlite")).expect("index");
    assert_eq!(index.next_sequence().expect("reads"), 600);
    let filter = Filter { client_order_id: Some("c400".into()), ..Filter::default() };
    let found = index.list(&filter, 10).expect("lists");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].sequence, found[0].instrument.as_deref()), (400, Some("bybit:linear:BTCUSDT")));
    let tail = index.tail(&Filter { outcome: Some("denied".into()), ..Filter::default() }, 2).expect("lists");
    assert_eq!(tail.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [595, 598]);
    let folder = Folder::open_read_only(dir.path()).expect("log");
    let found = folder.record(400, Some(found[0].location)).expect("record");
    assert_eq!(found.sequence, 400);
    verify_proof(&folder.prove(400).expect("proof"), None).expect("holds");
}

#[test]
fn a_second_writer_is_told_who_holds_the_log() {
    let dir = tempdir().expect("dir");
    let _lock = Lock::acquire(dir.path()).expect("free");
    match Lock::acquire(dir.path()) {
        Err(error @ JournalError::InUse { .. }) => {
            assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_log_key_is_made_once_and_guarded() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().expect("dir");
    let (log_dir, key) = (dir.path().join("log"), dir.path().join("log.key"));
    drop(journal::open_dir(&log_dir, &key).expect("opens"));
    let mode = |path: &Path| fs::metadata(path).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    let text = fs::read_to_string(&key).expect("key");
    drop(journal::open_dir(&log_dir, &key).expect("opens again"));
    assert_eq!(fs::read_to_string(&key).expect("key"), text);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("mode");
    assert!(matches!(journal::open_dir(&log_dir, &key), Err(JournalError::Key { .. })));
    fs::remove_file(&key).expect("remove");
    assert!(matches!(journal::open_dir(&log_dir, &key), Err(JournalError::Key { .. })), "never a second key");
    assert!(!key.exists());
}

/// A reader that follows the folder while it is written sees whole records, never damage.
#[test]
fn a_live_folder_is_read_without_false_alarm() {
    let dir = tempdir().expect("dir");
    let (mut log, mut vault) = filled(dir.path(), 5, 0);
    let path = dir.path().to_owned();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = std::sync::Arc::clone(&done);
    let reader = std::thread::spawn(move || {
        let folder = Folder::open_read_only(&path).expect("log");
        let mut passes = 0;
        while !told.load(std::sync::atomic::Ordering::Acquire) || passes == 0 {
            for (expected, found) in folder.records_from(0).expect("records").enumerate() {
                assert_eq!(found.expect("no damage").sequence, expected as u64);
            }
            passes += 1;
        }
    });
    for _ in 0..150 {
        for _ in 0..3 {
            vault.place(&mut log).expect("append");
        }
        log.sync().expect("sync");
        vault.sign(&mut log, 3).expect("leaves");
    }
    log.sync().expect("sync");
    done.store(true, std::sync::atomic::Ordering::Release);
    reader.join().expect("no false alarm");
}

/// The verdict on the log and on its index, and whether record `sequence` can be proved.
fn judged(dir: &Path, sequence: u64) -> (bool, IndexState, bool) {
    let folder = Folder::open_read_only(dir).expect("a log");
    let checked = Checked::new(&folder);
    let report = transparency::verify(&checked, &transparency::Options::default());
    let proved = folder.prove(sequence).is_ok_and(|bundle| verify_proof(&bundle, None).is_ok());
    (report.is_intact(), checked.state(), proved)
}

#[test]
fn an_index_that_was_changed_is_found_and_believed_by_no_proof() {
    let dir = tempdir().expect("folder");
    let path = dir.path().join("index.sqlite");
    let (mut log, _) = filled(dir.path(), 2500, 0);
    log.checkpoint().expect("checkpoint");
    drop(log);
    assert_eq!(judged(dir.path(), 2400), (true, IndexState::Missing, true));
    let remake = || {
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(dir.path().join(format!("index.sqlite{suffix}"))));
        }
        let folder = Folder::open_read_only(dir.path()).expect("a log");
        Index::open(&path).expect("an index").catch_up(&folder, 2500).expect("catches up")
    };
    assert_eq!(remake(), 2500);
    assert_eq!(judged(dir.path(), 2400), (true, IndexState::Agrees(2500), true));
    for (change, first) in [
        ("UPDATE records SET outcome = 'denied' WHERE seq = 1700", 1700),
        ("UPDATE records SET actor = 'somebody' WHERE seq = 0", 0),
        ("UPDATE records SET offset = offset + 1 WHERE seq = 2400", 2400),
        ("DELETE FROM records WHERE operation = 'epoch'", 0),
        ("DELETE FROM records WHERE seq = 1000", 1000),
        ("UPDATE records SET operation = 'epoch' WHERE seq = 7", 7),
        ("UPDATE records SET seq = 9000 WHERE seq = 2499", 2499),
        (
            "INSERT INTO records SELECT 2500, time_ms, actor, account, operation, outcome, instrument, \
          client_order_id, segment, offset, length FROM records WHERE seq = 5",
            2500,
        ),
    ] {
        remake();
        let changed = rusqlite::Connection::open(&path).expect("opens").execute(change, []).expect("SQL");
        assert!(changed > 0, "{change}");
        assert_eq!(judged(dir.path(), 2400), (true, IndexState::Differs(first), true), "{change}");
    }
    remake();
    drop(fs::remove_file(dir.path().join("index.sqlite-wal")));
    fs::write(&path, "this is no database, but it is long enough to be taken for one".repeat(100))
        .expect("writes");
    let (intact, state, proved) = judged(dir.path(), 2400);
    assert!(intact && proved && matches!(state, IndexState::Unreadable(_)), "{state:?}");
}
