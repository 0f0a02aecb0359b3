//! The journal: the real log on a simulated disk, with the appender's conversation around it.

use std::path::Path;
use std::sync::Arc;

use journal::storage::Storage;
use journal::{Folder, Log, LogSigner};
use protocol::journal::{Reply, Request};
use transparency::{Hash, Leaf, Options, verify};

use crate::Mutant;
use crate::disk::{Disk, Skips};
use crate::ledger::{Checked, Violation, ensure};
use crate::world::{Event, World};

/// Small, so that a run has several segments.
const SEGMENT_BYTES: u64 = 16 * 1024;
const DIR: &str = "/log";

/// Body and detail.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// The journal and its disk.
pub(crate) struct LogSide {
    pub(crate) disk: Disk,
    signer: Arc<LogSigner>,
    pub(crate) log: Option<Log>,
    pub(crate) life: u64,
    /// The connection it serves.
    pub(crate) session: Option<u64>,
    sync_planned: bool,
    answered: u64,
    acknowledges_early: bool,
}

impl LogSide {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let skips = Skips {
            files: mutant == Some(Mutant::SkipsFileSync),
            folders: mutant == Some(Mutant::SkipsFolderSync),
        };
        Self {
            disk: Disk::new(seed, skips),
            signer: Arc::new(LogSigner::from_seed(&[42; 32])),
            log: None,
            life: 0,
            session: None,
            sync_planned: false,
            answered: 0,
            acknowledges_early: mutant == Some(Mutant::AcknowledgesBeforeSync),
        }
    }

    pub(crate) fn signer(&self) -> &LogSigner {
        &self.signer
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.disk.clone())
    }

    /// Body and detail of each record from `from` on, and the leaves' hashes, read from the files.
    pub(crate) fn read(&self, from: u64) -> Result<(Vec<Record>, Vec<Hash>), String> {
        let folder = Folder::over(self.storage(), Path::new(DIR)).map_err(|error| error.to_string())?;
        let (mut records, mut leaves) = (Vec::new(), Vec::new());
        for record in folder.records_from(from).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?.record;
            leaves.extend(record.leaf.map(|leaf| Leaf::from_bytes(&leaf).hash()));
            records.push((record.body, record.detail));
        }
        Ok((records, leaves))
    }

    /// Opens the log as a starting journal does.
    fn open(&mut self, now_ms: u64) -> Result<Log, String> {
        let storage = self.storage();
        let line = format!("{}\n", self.signer.public());
        let path = Path::new(DIR).join("log.pub");
        if storage.read(&path).ok().flatten().as_deref() != Some(line.as_bytes()) {
            let temporary = path.with_extension("tmp");
            storage
                .write(&temporary, line.as_bytes())
                .and_then(|()| storage.rename(&temporary, &path))
                .and_then(|()| storage.sync_folder(Path::new(DIR)))
                .map_err(|error| error.to_string())?;
        }
        Log::open_with(storage, Path::new(DIR), Arc::clone(&self.signer), now_ms, SEGMENT_BYTES)
            .map(|(log, _)| log)
            .map_err(|error| error.to_string())
    }
}

impl World {
    pub(crate) fn start_journal(&mut self) -> Checked {
        if self.log.log.is_some() {
            return Ok(());
        }
        self.log.disk.revive();
        if !self.calm && self.weather.fault_every > 0 && self.random.chance(150) {
            // Also while it mends what the last death left.
            let more = self.random.below(12);
            self.log.disk.plan(more, crate::disk::Trouble::Killed);
        }
        match self.log.open(self.now) {
            Ok(log) => {
                self.log.life += 1;
                self.log.log = Some(log);
                self.log.session = None;
                self.log.sync_planned = false;
                self.note_checkpoint()
            }
            Err(problem) if self.log.disk.is_dead() => {
                self.say(|| format!("the journal was killed while it started: {problem}"));
                self.log_dies();
                Ok(())
            }
            Err(problem) => Err(Violation { invariant: "the log opens after every death", seen: problem }),
        }
    }

    /// The journal ends, whatever the reason; its connections break and it is started again.
    pub(crate) fn log_dies(&mut self) {
        self.log.log = None;
        self.log.disk.revive();
        if let Some(link) = self.log.session.take() {
            self.break_link(link);
        }
        self.at(60, Event::StartJournal);
    }

    /// A log operation failed: was it killed, or did the disk fail and the journal stop?
    fn log_failed(&mut self, problem: &str) {
        if self.log.disk.is_dead() {
            self.counts.kills += 1;
            self.say(|| "the journal was killed while it wrote".to_owned());
        } else {
            self.counts.disk_errors += 1;
            self.say(|| format!("the journal stops: {problem}"));
        }
        self.log_dies();
    }

    pub(crate) fn journal_takes(&mut self, link: u64, frame: &[u8]) -> Checked {
        if self.log.session != Some(link) {
            return Ok(());
        }
        let Some(log) = &mut self.log.log else { return Ok(()) };
        let taken = match Request::decode(frame) {
            Ok(Request::Append { sequence, body, detail }) => log.append_body(sequence, body, detail),
            Ok(Request::Leaf { sequence, leaf }) => log.append_leaf(sequence, leaf),
            _ => {
                return ensure(false, "frames can be read", || {
                    "another frame than an append or a leaf".to_owned()
                });
            }
        };
        match taken {
            Ok(()) => {
                if self.log.acknowledges_early {
                    self.acknowledge(self.log.log.as_ref().map_or(0, Log::next_sequence))?;
                }
                if !self.log.sync_planned {
                    self.log.sync_planned = true;
                    let (life, wait) = (self.log.life, self.random.between(0, 6));
                    self.at(wait, Event::Sync { life });
                }
                Ok(())
            }
            Err(journal::JournalError::Refused(problem)) => {
                // A frame was lost or came twice. What came before it is kept; then the client is sent away.
                self.say(|| format!("an appender was sent away: {problem}"));
                self.journal_syncs(self.log.life)?;
                self.log.session = None;
                self.break_link(link);
                Ok(())
            }
            Err(error) => {
                self.log_failed(&error.to_string());
                Ok(())
            }
        }
    }

    pub(crate) fn journal_syncs(&mut self, life: u64) -> Checked {
        if self.log.life != life {
            return Ok(());
        }
        self.log.sync_planned = false;
        let Some(log) = &mut self.log.log else { return Ok(()) };
        if log.next_sequence() == log.durable() {
            return Ok(());
        }
        match log.sync() {
            Ok(durable) => self.acknowledge(durable),
            Err(error) => {
                self.log_failed(&error.to_string());
                Ok(())
            }
        }
    }

    fn acknowledge(&mut self, below: u64) -> Checked {
        let disk = self.log.disk.clone();
        let folder = Path::new(DIR).join("segments");
        self.ledger.acknowledge(below, |body, hint| disk.surely_holds(&folder, body, hint))?;
        if below > self.log.answered {
            self.log.answered = below;
            let mut frame = Vec::new();
            Reply::Durable { sequence: below - 1 }.encode(&mut frame).expect("small");
            self.tell_vault_durable(frame[protocol::journal::LENGTH_BYTES..].to_vec());
        }
        Ok(())
    }

    /// The end of a connection: what came in becomes durable.
    pub(crate) fn journal_sees_end(&mut self, link: u64) -> Checked {
        if self.log.session != Some(link) {
            return Ok(());
        }
        self.log.session = None;
        self.sync_all()
    }

    fn sync_all(&mut self) -> Checked {
        let Some(log) = &mut self.log.log else { return Ok(()) };
        match log.sync() {
            Ok(_) => Ok(()),
            Err(error) => {
                self.log_failed(&error.to_string());
                Ok(())
            }
        }
    }

    pub(crate) fn journal_publishes(&mut self) -> Checked {
        let wait = self.random.between(300, 900);
        self.at(wait, Event::Checkpoint);
        self.sync_all()?;
        // Records that became durable here are acknowledged as after any sync.
        if let (Some(log), Some(_)) = (&self.log.log, self.log.session) {
            self.acknowledge(log.durable())?;
        }
        let Some(log) = &mut self.log.log else { return Ok(()) };
        match log.checkpoint().and_then(|()| log.prepare()) {
            Ok(()) => self.note_checkpoint(),
            Err(error) => {
                self.log_failed(&error.to_string());
                self.note_checkpoint()
            }
        }
    }

    /// Whatever checkpoint a reader would find now.
    fn note_checkpoint(&mut self) -> Checked {
        let folder = Folder::over(self.log.storage(), Path::new(DIR));
        let Ok((checkpoint, _)) = folder.and_then(|folder| folder.current_checkpoint()) else {
            return Ok(());
        };
        self.ledger.publish(checkpoint)
    }

    /// A new connection of the vault's is served.
    pub(crate) fn journal_welcomes(&mut self, link: u64) {
        self.log.session = Some(link);
        self.log.answered = self.log.log.as_ref().map_or(0, Log::durable);
    }

    /// The whole log, judged by the verifier that outsiders use, and by what was seen on the way.
    pub(crate) fn check_whole_log(&self) -> Checked {
        let (records, leaves) =
            self.log.read(0).map_err(|seen| Violation { invariant: "the log can be read", seen })?;
        self.ledger.check_log(&records)?;
        self.ledger.check_published(&leaves)?;
        let folder = Folder::over(self.log.storage(), Path::new(DIR));
        let folder = folder
            .map_err(|error| Violation { invariant: "the log can be read", seen: error.to_string() })?;
        let report = verify(&folder, &Options::default());
        ensure(report.fault.is_none(), "the log verifies from its files", || format!("{:?}", report.fault))?;
        ensure(
            report.records == self.ledger.entries.len() as u64 && report.covered == report.records,
            "everything has a leaf under a checkpoint in the end",
            || {
                format!(
                    "{} records made, {} in the log, {} covered",
                    self.ledger.entries.len(),
                    report.records,
                    report.covered
                )
            },
        )
    }
}
