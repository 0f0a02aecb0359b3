//! The vault's core on the journal's real log on a disk that fails: nothing that left is without its
//! record, wherever it fails and whatever becomes of what was not synced.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use journal::{Folder, JournalError, Log, LogSigner};
use transparency::{Epoch, Statement};

use super::disk::{Fate, Fault, Memory};
use super::*;
use crate::core::epoch::GapWatch;

const DIR: &str = "/log";
const SEGMENT: u64 = 16 << 10;

thread_local! {
    static RELEASES_EARLY: Cell<bool> = const { Cell::new(false) };
}

/// The deliberate fault of this harness: replies leave before the disk has their records. It exists
/// under `cfg(test)` of this crate alone, so no program can hold it.
pub(in crate::core) fn releases_before_acknowledgement() -> bool {
    RELEASES_EARLY.get()
}

/// What the outside saw.
#[derive(Default)]
struct Told {
    /// Bodies by index, as the vault handed them over.
    bodies: BTreeMap<u64, Vec<u8>>,
    /// Indices of the replies that left.
    left: Vec<u64>,
    /// A reply said that records below this are on disk.
    durable: u64,
}

struct Scene {
    root: RootSecret,
    store: SealedStore,
}

impl Scene {
    fn new() -> Self {
        let root = RootSecret::generate();
        let store = sealed(&root, POLICY);
        Self { root, store }
    }

    /// Orders come, the journal syncs every few of them, leaves follow; until the disk fails.
    fn work(&self, disk: &Memory, durability: Durability, told: &mut Told) -> Result<(), JournalError> {
        let mut log = open(disk)?;
        let mut core = core(&self.root, &self.store, durability);
        let mut now = NOW;
        let signer = signer(disk)?;
        begin(&mut core, &signer);
        for record in core.recorder().unsynced() {
            log.append_body(record.index, &record.body, &record.detail)?;
        }
        for turn in 0..24_u64 {
            now += 3;
            let line = if turn % 5 == 3 { limit("9", "60000", "") } else { small() };
            let caller = Caller::Direct { uid: UID };
            let mut out = Vec::new();
            let input = Input::Line { from: 1, caller, line: line.as_bytes(), salt: [turn as u8; 16] };
            core.step(input, Timestamp::from_ms(now), &mut out);
            told.take(&mut log, out)?;
            if turn % 3 == 2 {
                let below = DurableBelow::acknowledged(log.sync()?);
                let mut out = Vec::new();
                core.step(Input::Durable(below), Timestamp::from_ms(now), &mut out);
                told.take(&mut log, out)?;
                for (index, leaf) in core.recorder().leaves_to_send() {
                    log.append_leaf(index, &leaf.to_bytes())?;
                }
            }
            if turn % 8 == 7 {
                log.checkpoint()?;
            }
        }
        Ok(())
    }

    /// All faults at every `stride`th operation; what was lost first, and how many points there were.
    fn search(&self, durability: Durability, stride: usize, draws: u64) -> (u64, Option<String>) {
        let whole = Memory::default();
        self.work(&whole, durability, &mut Told::default()).expect("an undisturbed run");
        let mut points = 0;
        for at in (0..whole.operations()).step_by(stride) {
            for fault in [Fault::PowerCut, Fault::Failed, Fault::Full] {
                let disk = Memory::failing(at, fault);
                let mut told = Told::default();
                let _stopped = self.work(&disk, durability, &mut told);
                let drawn = (0..draws).map(|draw| Fate::Drawn(at * 1000 + draw));
                for fate in [Fate::Lost, Fate::Kept].into_iter().chain(drawn) {
                    points += 1;
                    if let Err(problem) = told.judge(&disk.after_power_cut(fate), durability) {
                        return (points, Some(format!("operation {at}, {fault:?}, {fate:?}: {problem}")));
                    }
                }
            }
        }
        (points, None)
    }
}

impl Told {
    fn take(&mut self, log: &mut Log, out: Vec<Output>) -> Result<(), JournalError> {
        for output in out {
            match output {
                Output::Append { index, body, detail } => {
                    log.append_body(index, &body, &detail)?;
                    self.bodies.insert(index, body);
                }
                Output::Reply { line, .. } => {
                    let reply: Value = serde_json::from_slice(&line).expect("replies are JSON");
                    self.left.extend(reply["record"]["index"].as_u64());
                    self.durable = self.durable.max(reply["record"]["durable"].as_u64().unwrap_or(0));
                }
            }
        }
        Ok(())
    }

    fn judge(&self, disk: &Memory, durability: Durability) -> Result<(), String> {
        open(disk).map_err(|error| error.to_string())?;
        let folder =
            Folder::over(Arc::new(disk.clone()), Path::new(DIR)).map_err(|error| error.to_string())?;
        let mut gap = GapWatch::default();
        let mut records = 0;
        for record in folder.records_from(0).map_err(|error| error.to_string())? {
            let found = record.map_err(|error| error.to_string())?;
            gap.observe(&Body::decode(&found.record.body).map_err(|error| error.to_string())?);
            if self.bodies.get(&found.sequence).is_some_and(|body| *body != found.record.body) {
                return Err(format!("record {} is another than was handed over", found.sequence));
            }
            records = found.sequence + 1;
        }
        let missing = self.left.iter().filter(|index| **index >= records).count() as u64;
        let (most, is_noted) = match durability {
            Durability::Disk => (0, true),
            Durability::Pipelined => (Durability::WINDOW_RECORDS, gap.is_possible()),
        };
        if missing > most || (missing > 0 && !is_noted) {
            return Err(format!("{missing} replies left without a record; the log says so: {is_noted}"));
        }
        if self.durable > records {
            return Err(format!("a reply called {} records durable, {records} are there", self.durable));
        }
        Ok(())
    }
}

fn signer(disk: &Memory) -> Result<Arc<LogSigner>, JournalError> {
    LogSigner::load_or_create(disk, Path::new("/keys/log.key"), Path::new(DIR)).map(Arc::new)
}

fn open(disk: &Memory) -> Result<Log, JournalError> {
    let signer = signer(disk)?;
    Log::open_with(Arc::new(disk.clone()), Path::new(DIR), signer, NOW, SEGMENT).map(|(log, _)| log)
}

/// Opens epoch 1 of an empty log, vouched for by the log's key.
fn begin(core: &mut Core, signer: &LogSigner) {
    let (public_key, policy_hash) = (RecordKey::from_seed(&[5; 32]).public_key(), core.policy.hash());
    let isolation = "software".to_owned();
    let statement = Statement { isolation: isolation.clone(), epoch: 1, public_key, policy_hash };
    let epoch = Epoch {
        epoch: 1,
        isolation,
        public_key,
        policy_hash,
        previous_size: 0,
        adopted: None,
        statement: signer.vouch(&statement),
    };
    core.begin_epoch(&epoch, &GapWatch::default(), 0, Timestamp::from_ms(NOW), [1; 16]);
}

fn report(stride: usize, draws: u64) {
    let scene = Scene::new();
    let mut points = 0;
    for durability in [Durability::Disk, Durability::Pipelined] {
        let (visited, lost) = scene.search(durability, stride, draws);
        assert_eq!(lost, None, "{durability:?}");
        points += visited;
    }
    RELEASES_EARLY.set(true);
    let (_, caught) = scene.search(Durability::Disk, 1, draws);
    RELEASES_EARLY.set(false);
    println!("ReleaseBeforeAcknowledgement: {}", caught.as_deref().unwrap_or("NOT caught"));
    println!("vault: points {points}, lost 0, mutants caught {}/1", u8::from(caught.is_some()));
    assert!(caught.is_some(), "the mutant lives");
}

#[test]
fn nothing_leaves_without_its_record_wherever_the_disk_fails() {
    report(29, 1);
}

/// The full search: `cargo xtask crash`.
#[test]
#[ignore = "takes minutes; run by `cargo xtask crash`"]
fn every_point() {
    report(1, std::env::var("SEAWALL_CRASH_DRAWS").ok().and_then(|text| text.parse().ok()).unwrap_or(30));
}
