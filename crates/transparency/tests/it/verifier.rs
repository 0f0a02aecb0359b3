//! The offline verifier: intact logs pass, and each kind of damage is found at its first record.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroUsize;

use transparency::{
    Body, Bundle, BundleError, Epoch, Fault, Leaf, LeafError, LogKey, LogSource, Options, Place, Reason,
    Report, SourceRecord, Tile, verify, verify_proof,
};

use crate::support::{Key, MemoryLog, Writer};

fn check(log: &MemoryLog) -> Report {
    verify(log, &Options { threads: NonZeroUsize::new(2).expect("two"), ..Options::default() })
}

fn fault(log: &MemoryLog) -> Fault {
    check(log).fault.expect("a fault")
}

#[track_caller]
fn assert_bad(log: &MemoryLog, index: u64) {
    assert_eq!(fault(log).place, Place::Record(index), "{}", fault(log));
}

#[test]
fn an_intact_log_passes() {
    let report = check(&Writer::filled(700).log(600));
    assert_eq!(report.fault, None);
    assert_eq!((report.records, report.leaves, report.covered, report.uncovered()), (700, 700, 600, 100));
    assert_eq!((report.epochs, report.adopted, report.regression_count), (1, 0, 0));
}

/// A log whose writer goes on: with each step of whoever reads it another checkpoint comes, and the
/// unfinished tiles of all but the last `kept` are removed.
struct Growing {
    writer: Writer,
    /// Checkpoints still to come, the current one first.
    sizes: RefCell<VecDeque<u64>>,
    kept: usize,
    old: RefCell<VecDeque<MemoryLog>>,
}

impl Growing {
    fn new(sizes: &[u64], kept: usize) -> Self {
        let writer = Writer::filled(*sizes.last().expect("a size") as usize);
        let old = RefCell::new([writer.log(sizes[0])].into());
        Self { writer, sizes: RefCell::new(sizes[1..].iter().copied().collect()), kept, old }
    }

    fn publish(&self) {
        let Some(size) = self.sizes.borrow_mut().pop_front() else { return };
        let mut old = self.old.borrow_mut();
        old.push_back(self.writer.log(size));
        while old.len() > self.kept {
            old.pop_front();
        }
    }

    fn now(&self) -> MemoryLog {
        self.old.borrow().back().expect("a checkpoint").clone()
    }
}

impl LogSource for Growing {
    type Error = std::convert::Infallible;

    fn log_key(&self) -> Result<String, Self::Error> {
        Ok(self.now().key)
    }

    fn checkpoint(&self) -> Result<String, Self::Error> {
        let note = self.now().checkpoint;
        self.publish();
        Ok(note)
    }

    fn records(&self) -> Result<impl Iterator<Item = Result<SourceRecord, Self::Error>>, Self::Error> {
        Ok(self.writer.records.iter().cloned().map(|record| {
            self.publish();
            Ok(record)
        }))
    }

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Self::Error> {
        let found = self.old.borrow().iter().find_map(|log| log.tiles.get(&tile).cloned());
        Ok(found)
    }
}

#[test]
fn a_log_that_is_being_written_passes() {
    for kept in [1, 2] {
        let sizes = [290, 295, 300, 310, 400, 520, 530, 600];
        let log = Growing::new(&sizes, kept);
        let report = verify(&log, &Options::default());
        assert_eq!(report.fault, None, "{kept} checkpoints' tiles are kept");
        assert!(sizes.contains(&report.covered), "{}", report.covered);
        assert!(log.sizes.borrow().is_empty(), "the log went on meanwhile");
    }
}

#[test]
fn a_missing_tile_of_a_log_at_rest_is_a_fault() {
    let mut log = Writer::filled(300).log(300);
    let unfinished = Tile { level: 0, index: 1, width: 44 };
    log.tiles.remove(&unfinished).expect("it was there");
    assert_eq!(fault(&log), Fault { place: Place::Tile(unfinished, 256), reason: Reason::Tile });
}

#[test]
fn an_empty_log_passes() {
    let report = check(&Writer::new().log(0));
    assert_eq!((report.fault, report.records), (None, 0));
}

#[test]
fn records_without_leaf_at_the_end_are_only_reported() {
    let mut writer = Writer::filled(20);
    writer.body("place", b"{}");
    writer.body("place", b"{}");
    let report = check(&writer.log(20));
    assert_eq!((report.fault, report.records, report.leaves), (None, 22, 20));
}

#[test]
fn every_flipped_bit_of_a_record_is_found_there() {
    let log = Writer::filled(6).log(6);
    for index in [0_usize, 3, 5] {
        let record = log.records[index].clone();
        for bit in 0..record.body.len() * 8 {
            let mut bad = log.clone();
            bad.records[index].body[bit / 8] ^= 1 << (bit % 8);
            assert_bad(&bad, index as u64);
        }
        for bit in 0..record.detail.len() * 8 {
            let mut bad = log.clone();
            bad.records[index].detail[bit / 8] ^= 1 << (bit % 8);
            assert_bad(&bad, index as u64);
        }
        for bit in 0..128 * 8 {
            let mut bad = log.clone();
            bad.records[index].leaf.as_mut().expect("leaf")[bit / 8] ^= 1 << (bit % 8);
            assert_bad(&bad, index as u64);
        }
    }
}

#[test]
fn a_bad_signature_in_a_large_log_is_found_at_its_index() {
    for index in [1, 4095, 4096, 4999_usize] {
        let mut log = Writer::filled(5000).log(5000);
        log.records[index].leaf.as_mut().expect("leaf")[40] ^= 1;
        assert_eq!(
            fault(&log),
            Fault { place: Place::Record(index as u64), reason: Reason::Leaf(LeafError::Signature) }
        );
    }
}

#[test]
fn a_bad_signature_stands_before_a_later_fault() {
    let mut log = Writer::filled(50).log(50);
    log.records[10].leaf.as_mut().expect("leaf")[40] ^= 1;
    log.records[20].body[9] ^= 1;
    assert_bad(&log, 10);
}

#[test]
fn reordered_dropped_and_repeated_records_are_found() {
    let log = Writer::filled(30).log(30);
    let mut bad = log.clone();
    bad.records.swap(11, 12);
    assert_bad(&bad, 11);
    let mut bad = log.clone();
    bad.records.remove(7);
    assert_bad(&bad, 7);
    let mut bad = log.clone();
    let again = bad.records[7].clone();
    bad.records.insert(8, again);
    assert_bad(&bad, 8);
    let mut bad = log.clone();
    let leaf = bad.records[5].leaf;
    bad.records[4].leaf = leaf;
    assert_bad(&bad, 4);
}

#[test]
fn a_strangers_record_put_in_is_found_at_its_own_index() {
    let mut log = Writer::filled(30).log(30);
    let key = Writer::vault(77);
    let mut forged = Body::decode(&log.records[10].body).expect("body");
    forged.salt = [99; 16];
    let body = forged.encode().expect("short");
    let leaf = Leaf::sign(&body, &key.public(), |message| key.sign(message)).expect("signs");
    let detail = log.records[10].detail.clone();
    log.records.insert(10, SourceRecord { body, detail, leaf: Some(leaf.to_bytes()) });
    let fault = check(&log).fault.expect("found");
    assert_eq!((fault.first_bad(), fault.reason), (Some(10), Reason::from(LeafError::Key)));
}

#[test]
fn a_truncated_log_is_found_at_its_end() {
    let mut log = Writer::filled(30).log(30);
    log.records.truncate(25);
    assert_eq!(fault(&log), Fault { place: Place::Record(25), reason: Reason::Missing });
    let mut log = Writer::filled(30).log(30);
    for record in &mut log.records[25..] {
        record.leaf = None;
    }
    assert_eq!(fault(&log), Fault { place: Place::Record(25), reason: Reason::MissingLeaf });
}

#[test]
fn a_leaf_may_not_be_skipped() {
    let mut log = Writer::filled(30).log(20);
    log.records[25].leaf = None;
    assert_eq!(fault(&log), Fault { place: Place::Record(25), reason: Reason::MissingLeaf });
}

#[test]
fn a_fork_is_found_where_it_parts() {
    // The same keys write another history from record 400 on.
    let honest = Writer::filled(700).log(700);
    let mut forger = Writer::filled(400);
    forger.salt = 1;
    while forger.records.len() < 700 {
        forger.body("place", b"{}");
    }
    forger.sign(usize::MAX);
    let forged = MemoryLog { records: forger.records.clone(), ..honest.clone() };
    assert_eq!(fault(&forged), Fault { place: Place::Record(400), reason: Reason::Forked });
    // With its tiles forged too, only the checkpoint can object.
    let forged = MemoryLog { checkpoint: honest.checkpoint.clone(), ..forger.log(700) };
    assert_eq!(fault(&forged), Fault { place: Place::Checkpoint, reason: Reason::Root });
    // With a checkpoint of its own, one seen earlier objects.
    let options = Options { earlier: Some(honest.checkpoint), ..Options::default() };
    let report = verify(&forger.log(700), &options);
    assert_eq!(report.fault, Some(Fault { place: Place::Checkpoint, reason: Reason::Contradicts(700) }));
}

#[test]
fn a_rolled_back_log_contradicts_an_earlier_checkpoint() {
    let writer = Writer::filled(50);
    let options = Options { earlier: Some(writer.log(50).checkpoint), ..Options::default() };
    let mut back = writer.log(40);
    assert!(verify(&back, &options).fault.is_some());
    back.records.truncate(40);
    let reason = Reason::Contradicts(50);
    assert_eq!(verify(&back, &options).fault, Some(Fault { place: Place::Checkpoint, reason }));
    assert!(verify(&writer.log(50), &options).is_intact());
}

#[test]
fn damaged_and_missing_tiles_are_found() {
    let log = Writer::filled(700).log(700);
    for (tile, bytes) in &log.tiles {
        for position in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut bad = log.clone();
            bad.tiles.get_mut(tile).expect("tile")[position] ^= 1;
            let place = ((tile.index * 256) + position as u64 / 32) << (8 * tile.level);
            assert_eq!(fault(&bad), Fault { place: Place::Tile(*tile, place), reason: Reason::Tile });
        }
        let mut bad = log.clone();
        bad.tiles.remove(tile);
        let place = (tile.index * 256) << (8 * tile.level);
        assert_eq!(fault(&bad), Fault { place: Place::Tile(*tile, place), reason: Reason::Tile });
    }
    let full = Tile { level: 0, index: 1, width: 256 };
    assert!(log.tiles.contains_key(&full));
}

#[test]
fn a_damaged_checkpoint_or_key_is_found() {
    let log = Writer::filled(5).log(5);
    let mut bad = log.clone();
    bad.checkpoint = bad.checkpoint.replace("\n5\n", "\n4\n");
    assert_eq!(fault(&bad).place, Place::Checkpoint);
    let mut bad = log.clone();
    bad.key = LogKey::new(Key::new(77).public()).to_string();
    assert_eq!(fault(&bad).place, Place::Checkpoint);
    let expected = LogKey::new(Key::new(77).public());
    let report = verify(&log, &Options { expected_key: Some(expected), ..Options::default() });
    assert_eq!(report.fault, Some(Fault { place: Place::Key, reason: Reason::WrongKey }));
}

#[test]
fn a_clock_that_goes_back_is_reported_not_refused() {
    let mut writer = Writer::filled(10);
    writer.time -= 100;
    writer.body("place", b"{}");
    writer.sign(1);
    let report = check(&writer.log(11));
    assert_eq!((report.fault, report.regression_count), (None, 1));
    assert_eq!(report.regressions[0].index, 10);
}

/// Crash with unsigned leaves; the next epoch adopts them.
fn crashed_once() -> Writer {
    let mut writer = Writer::filled(20);
    for _ in 0..5 {
        writer.body("place", b"{}");
    }
    writer.sign(2);
    writer.epoch();
    writer
}

#[test]
fn the_next_epoch_adopts_bodies_without_leaves() {
    let mut writer = crashed_once();
    writer.sign(usize::MAX);
    writer.body("place", b"{}");
    writer.sign(1);
    let log = writer.log(27);
    let report = check(&log);
    assert_eq!((report.fault, report.epochs, report.adopted), (None, 2, 3));
    let proof = verify_proof(&log.bundle(23, &[0, 25]), None).expect("adopted record has a proof");
    assert_eq!(proof.signed_by.epoch, 2);
    assert_eq!(proof.body.epoch, 1);
    assert!(matches!(verify_proof(&log.bundle(23, &[25]), None), Err(BundleError::NoEpoch(23))));
    assert!(matches!(verify_proof(&log.bundle(23, &[0]), None), Err(BundleError::NoEpoch(23))));
}

#[test]
fn a_crash_while_adopting_is_adopted_by_the_one_after() {
    let mut writer = crashed_once();
    writer.sign(1);
    writer.epoch();
    writer.sign(usize::MAX);
    writer.epoch();
    writer.sign(1);
    let log = writer.log(writer.records.len() as u64);
    let report = check(&log);
    assert_eq!((report.fault, report.epochs, report.adopted), (None, 4, 4));
    // Record 25 opens epoch 2; its own leaf is signed by epoch 3.
    let proof = verify_proof(&log.bundle(22, &[0, 25, 26]), None).expect("proof");
    assert_eq!(proof.signed_by.epoch, 2);
    assert!(verify_proof(&log.bundle(22, &[0, 25]), None).is_err());
}

#[test]
fn a_wrong_adopted_range_is_refused() {
    for range in [None, Some((21, 25)), Some((23, 25)), Some((22, 24)), Some((22, 26))] {
        let mut writer = Writer::filled(20);
        for _ in 0..5 {
            writer.body("place", b"{}");
        }
        writer.sign(2);
        writer.epoch_adopting(range);
        writer.sign(usize::MAX);
        assert!(
            fault(&writer.log(26)).first_bad().is_some_and(|index| (22..=25).contains(&index)),
            "{range:?}"
        );
    }
    // Claiming leaves that the epoch's own key has signed is no better.
    let mut writer = Writer::filled(20);
    writer.epoch_adopting(Some((18, 20)));
    writer.sign(usize::MAX);
    assert_bad(&writer.log(21), 20);
}

#[test]
fn a_foreign_key_cannot_sign() {
    let mut writer = Writer::filled(20);
    let stranger = Key::new(99);
    let record = &mut writer.records[12];
    let leaf = Leaf::sign(&record.body, &stranger.public(), |message| stranger.sign(message)).expect("signs");
    record.leaf = Some(leaf.to_bytes());
    assert_eq!(
        fault(&writer.log(20)),
        Fault { place: Place::Record(12), reason: Reason::Leaf(LeafError::Key) }
    );
    // Nor can an epoch whose statement the installation has not signed.
    let mut writer = Writer::new();
    writer.log_key = Key::new(99);
    writer.epoch();
    writer.sign(1);
    writer.log_key = Key::new(200);
    assert!(matches!(fault(&writer.log(1)).reason, Reason::Statement(_)));
}

#[test]
fn records_need_an_epoch() {
    let mut writer = Writer::new();
    writer.epoch = 1;
    writer.body("place", b"{}");
    writer.sign(1);
    assert_bad(&writer.log(1), 0);
    let mut writer = Writer::filled(3);
    writer.epoch += 1;
    writer.epoch();
    writer.sign(1);
    assert_bad(&writer.log(4), 3);
    let mut writer = Writer::filled(3);
    writer.epoch = 2;
    writer.body("place", b"{}");
    writer.epoch = 1;
    writer.sign(1);
    assert_bad(&writer.log(4), 3);
}

#[test]
fn a_bundle_stands_alone_and_survives_its_file() {
    let log = Writer::filled(300).log(300);
    let key: LogKey = log.key.parse().expect("key");
    for index in [0, 1, 150, 299] {
        let bundle = log.bundle(index, &[0]);
        let read = Bundle::from_json(&bundle.to_json()).expect("reads");
        assert_eq!(read, bundle);
        let proof = verify_proof(&read, Some(&key)).expect("holds");
        assert_eq!(proof.body.sequence, index);
        let mut without = bundle.clone();
        without.record.detail = None;
        assert!(verify_proof(&without, Some(&key)).is_ok(), "the detail may be withheld");
    }
    let other = LogKey::new(Key::new(3).public());
    assert_eq!(verify_proof(&log.bundle(1, &[0]), Some(&other)), Err(BundleError::OtherLog));
}

#[test]
fn a_tampered_bundle_proves_nothing() {
    let log = Writer::filled(300).log(300);
    let good = log.bundle(150, &[0]);
    let tamper: [fn(&mut Bundle); 12] = [
        |bundle| bundle.record.index = 151,
        |bundle| bundle.record.body[60] ^= 1,
        |bundle| bundle.record.detail = Some(b"other".to_vec()),
        |bundle| bundle.record.leaf[0] ^= 1,
        |bundle| bundle.record.leaf[50] ^= 1,
        |bundle| bundle.record.leaf[127] ^= 1,
        |bundle| bundle.record.inclusion[3][0] ^= 1,
        |bundle| bundle.record.inclusion.truncate(5),
        |bundle| bundle.epochs.clear(),
        |bundle| bundle.epochs[0].detail = None,
        |bundle| bundle.epochs[0].index = 1,
        |bundle| bundle.checkpoint = bundle.checkpoint.replace("300", "299"),
    ];
    for (number, change) in tamper.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(verify_proof(&bad, None).is_err(), "tampering {number}");
    }
    // A record of the log that is no epoch record cannot vouch for a key.
    let mut bad = good.clone();
    bad.epochs = vec![good.record];
    assert!(verify_proof(&bad, None).is_err());
    for text in ["", "{}", "[]", "{\"format\":\"x\"}"] {
        assert!(Bundle::from_json(text).is_err());
    }
}

#[test]
fn an_epoch_detail_has_one_spelling() {
    let mut writer = crashed_once();
    writer.sign(1);
    let detail = &writer.records[25].detail;
    let epoch = Epoch::decode(detail).expect("detail");
    assert_eq!(epoch.adopted, Some((22, 25)));
    assert_eq!(&epoch.encode(), detail);
    for bit in 0..detail.len() * 8 {
        let mut other = detail.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(epoch) = Epoch::decode(&other) {
            assert_eq!(epoch.encode(), other);
        }
    }
}
