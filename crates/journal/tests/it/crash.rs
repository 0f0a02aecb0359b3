//! A disk that forgets, tears and fails, seen from outside. The full search with its deliberate
//! faults is in `src/crash`.

use std::path::Path;
use std::sync::Arc;

use journal::storage::Storage;
use journal::{Folder, JournalError, Log};
use transparency::{Options, verify};

use crate::disk::{Fate, Fault, Memory};
use crate::support::{Vault, open_on};

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
    let segments = whole.names().into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg"));
    assert!(segments.count() > 2, "the work spans segments");
    // Every third cut keeps the test short; the offset varies with the fate, so all are met.
    for (number, fate) in [Fate::Lost, Fate::Kept, Fate::Drawn(1), Fate::Drawn(3)].into_iter().enumerate() {
        for cut in (0..operations).skip(number % 3).step_by(3) {
            let disk = Memory::failing(cut, Fault::PowerCut);
            let mut told = Told::default();
            assert!(work(&disk, &mut told).is_err());
            let point = format!("cut at {cut}, {fate:?}");
            let after = disk.after_power_cut(fate);
            judge(&after, &told, &point);
        }
    }
}

#[test]
fn a_crash_while_mending_a_crash_loses_nothing() {
    let whole = Memory::default();
    work(&whole, &mut Told::default()).expect("an undisturbed run");
    for cut in (0..whole.operations()).rev().step_by(29) {
        let disk = Memory::failing(cut, Fault::PowerCut);
        let mut told = Told::default();
        let _ = work(&disk, &mut told);
        let torn = disk.after_power_cut(Fate::Drawn(cut));
        let storage: Arc<dyn Storage> = Arc::new(torn.clone());
        let opened = open_on(storage, Path::new(DIR), SEGMENT);
        opened.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let steps = torn.operations();
        for second in 0..steps {
            let again = disk.after_power_cut(Fate::Drawn(cut));
            again.set_fault(Some((second, Fault::PowerCut)));
            let storage: Arc<dyn Storage> = Arc::new(again.clone());
            let _ = open_on(storage, Path::new(DIR), SEGMENT);
            for fate in [Fate::Lost, Fate::Drawn(second)] {
                judge(
                    &again.after_power_cut(fate),
                    &told,
                    &format!("cut at {cut}, then at {second}, {fate:?}"),
                );
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
    disk.set_fault(Some((disk.operations() + 1, Fault::Failed)));
    let stopped = log.sync().expect_err("the sync fails").to_string();
    assert!(stopped.contains("check the disk") && stopped.contains("start again"), "{stopped}");
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
        let after = disk.after_power_cut(Fate::Kept);
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
