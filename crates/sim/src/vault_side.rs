//! The vault's lives and its connection to the journal.

use std::io;

use transparency::Statement;
use vault::Durability;
use vault::sim::{Past, Standing, Startup, Vault};

use crate::Mutant;
use crate::ledger::{Checked, Violation, ensure};
use crate::log_side::LogSide;
use crate::setup;
use crate::world::{Event, World};

/// Pause between attempts to reach the journal.
const RECONNECT_MS: u64 = 50;
/// Small, so that restarts read counters from the log and not only records.
const BLOCK: u64 = 64;
/// The operators' connection.
pub(crate) const OPERATOR: usize = 1;
/// Connections of bots: this, and the bot's life in thousands.
pub(crate) const BOT: usize = 100;
/// Connections of the gateway: this and its life.
pub(crate) const GATE: usize = 1_000_000;

/// The vault, if it lives, and its connection.
pub(crate) struct VaultSide {
    pub(crate) vault: Option<Vault>,
    pub(crate) life: u64,
    pub(crate) skew_ms: i64,
    store: String,
    link: Option<Link>,
    next_link: u64,
    /// A frame was lost in this life, in the middle of a stream: no Unix socket does that. The vault may
    /// then not be able to go on, and must end.
    lost_frames: bool,
}

/// A stream between vault and journal: in order, until it breaks.
struct Link {
    id: u64,
    /// No frame may overtake another.
    to_journal_at: u64,
    to_vault_at: u64,
}

impl VaultSide {
    pub(crate) fn new() -> Self {
        Self {
            vault: None,
            life: 0,
            skew_ms: 0,
            store: setup::store(),
            link: None,
            next_link: 1,
            lost_frames: false,
        }
    }
}

/// The log as a starting vault reads it.
struct LogReader<'a>(&'a LogSide, Standing);

impl Past for LogReader<'_> {
    fn standing(&self) -> Standing {
        self.1
    }

    fn records(&mut self, from: u64) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.read(from).map(|(records, _)| records).map_err(io::Error::other)
    }

    fn vouch(&mut self, epoch: u64, public_key: &[u8; 32], policy_hash: &[u8; 32]) -> io::Result<Vec<u8>> {
        let (public_key, policy_hash) = (*public_key, *policy_hash);
        let statement = Statement { isolation: "software".to_owned(), epoch, public_key, policy_hash };
        Ok(self.0.signer().vouch(&statement))
    }
}

impl World {
    /// Where the log stands, for a vault that can be served now.
    fn standing(&self) -> Option<Standing> {
        let log = self.log.log.as_ref().filter(|_| self.log.session.is_none())?;
        Some(Standing {
            next: log.next_sequence(),
            first_without_leaf: log.unleafed().0,
            last_body_digest: log.last_body_digest(),
            epoch: log.epoch(),
        })
    }

    pub(crate) fn start_vault(&mut self) -> Checked {
        if self.vault.vault.is_some() {
            return Ok(());
        }
        let Some(standing) = self.standing() else {
            self.at(RECONNECT_MS, Event::StartVault);
            return Ok(());
        };
        let log = self.log.read(0).map_err(|seen| Violation { invariant: "the log can be read", seen })?;
        self.ledger.vault_starts(standing.next, &log.0)?;
        self.ledger.check_published(&log.1)?;
        self.vault.life += 1;
        self.vault.lost_frames = false;
        self.vault.skew_ms = self.random.between(0, 80).cast_signed() - 40;
        let startup = Startup {
            root: setup::root(),
            store: &self.vault.store,
            bases: setup::bases(),
            durability: Durability::Disk,
            record_key: self.random.bytes(),
            block: BLOCK,
            mutant: match self.plan.mutant {
                Some(Mutant::ReleasesBeforeDurable) => Some(vault::sim::Mutant::ReleasesBeforeDurable),
                Some(Mutant::ForgetsCounters) => Some(vault::sim::Mutant::ForgetsCounters),
                Some(Mutant::CountsAtRelease) => Some(vault::sim::Mutant::CountsAtRelease),
                _ => None,
            },
        };
        let (now, salt) = (self.clock(self.vault.skew_ms), self.random.bytes());
        let started = Vault::start(startup, &mut LogReader(&self.log, standing), now, salt);
        let mut vault = started.map_err(|error| Violation {
            invariant: "the vault starts on its log",
            seen: error.to_string(),
        })?;
        let (states, everywhere) = vault.counters();
        self.ledger.check_counters(states, everywhere, now)?;
        for (index, body, detail) in vault.kept() {
            if index >= standing.next {
                self.ledger.made(index, &body, &detail)?;
            }
        }
        self.vault.vault = Some(vault);
        self.join(standing)
    }

    /// The vault's attempt to reach the journal again.
    pub(crate) fn vault_connects(&mut self, life: u64) -> Checked {
        let wanted = self.vault.vault.as_ref().is_some_and(|vault| !vault.is_connected());
        if life != self.vault.life || !wanted || self.vault.link.is_some() {
            return Ok(());
        }
        match self.standing() {
            Some(standing) => self.join(standing),
            None => {
                self.at(RECONNECT_MS, Event::Connect { life });
                Ok(())
            }
        }
    }

    fn join(&mut self, standing: Standing) -> Checked {
        let id = self.vault.next_link;
        self.vault.next_link += 1;
        let now = self.now;
        self.vault.link = Some(Link { id, to_journal_at: now, to_vault_at: now });
        self.journal_welcomes(id);
        // The welcome is the journal's word for everything below it.
        let disk = self.log.disk.clone();
        let folder = std::path::Path::new("/log/segments");
        self.ledger.acknowledge(standing.next, |body, hint| disk.surely_holds(folder, body, hint))?;
        let clock = self.clock(self.vault.skew_ms);
        let Some(vault) = &mut self.vault.vault else { return Ok(()) };
        match vault.connect(standing, clock) {
            Ok(outcome) => self.carry(outcome),
            Err(problem) if self.vault.lost_frames => {
                self.say(|| format!("the vault ends: {problem}"));
                self.vault_dies();
                Ok(())
            }
            Err(seen) => Err(Violation { invariant: "the journal comes back with the vault's log", seen }),
        }
    }

    /// Sends a frame of the vault's, if there is a connection.
    pub(crate) fn tell_journal(&mut self, frame: Vec<u8>) {
        let late = self.now + self.latency().min(200);
        let Some(link) = &mut self.vault.link else { return };
        link.to_journal_at = link.to_journal_at.max(late);
        let (link, wait) = (link.id, link.to_journal_at - self.now);
        self.send_on_link(wait, Event::ToJournal { link, frame });
    }

    /// Sends a frame of the journal's, if there is a connection.
    pub(crate) fn tell_vault_durable(&mut self, frame: Vec<u8>) {
        let late = self.now + self.latency().min(200);
        let Some(link) = &mut self.vault.link else { return };
        link.to_vault_at = link.to_vault_at.max(late);
        let (link, wait) = (link.id, link.to_vault_at - self.now);
        self.send_on_link(wait, Event::ToVault { link, frame });
    }

    /// A stream neither loses nor doubles; but a fault in it must be no worse than its end.
    fn send_on_link(&mut self, wait: u64, event: Event) {
        let (lost, doubled) = (self.weather.lost / 6, self.weather.doubled / 6);
        if !self.calm && self.random.chance(lost) {
            self.counts.mishaps += 1;
            self.vault.lost_frames = true;
            return;
        }
        if !self.calm && self.random.chance(doubled) {
            self.counts.mishaps += 1;
            self.at(wait, event.clone());
        }
        self.at(wait, event);
    }

    /// The connection breaks: each side sees its end after whatever reached it before.
    pub(crate) fn break_link(&mut self, id: u64) {
        if self.vault.link.as_ref().is_some_and(|link| link.id == id) {
            self.vault.link = None;
        }
        let (there, back) = (self.random.between(0, 15), self.random.between(0, 15));
        self.at(there, Event::JournalSeesEnd { link: id });
        self.at(back, Event::VaultSeesEnd { link: id });
    }

    /// The connection there is, if there is one.
    pub(crate) fn link(&self) -> Option<u64> {
        self.vault.link.as_ref().map(|link| link.id)
    }

    pub(crate) fn vault_sees_end(&mut self, link: u64) {
        // A newer connection is not concerned.
        if self.vault.next_link != link + 1 {
            return;
        }
        let Some(vault) = &mut self.vault.vault else { return };
        vault.disconnect();
        let life = self.vault.life;
        self.at(RECONNECT_MS, Event::Connect { life });
    }

    pub(crate) fn vault_takes_frame(&mut self, link: u64, frame: &[u8]) -> Checked {
        let clock = self.clock(self.vault.skew_ms);
        let is_newest = self.vault.next_link == link + 1;
        let Some(vault) = self.vault.vault.as_mut().filter(|vault| is_newest && vault.is_connected()) else {
            return Ok(());
        };
        let outcome = vault
            .journal_says(frame, clock)
            .map_err(|error| Violation { invariant: "frames can be read", seen: error.to_string() })?;
        self.carry(outcome)
    }

    pub(crate) fn vault_takes_line(&mut self, life: u64, from: usize, line: &str) -> Checked {
        let clock = self.clock(self.vault.skew_ms);
        let salt = self.random.bytes();
        let uid = self.uid_of(from);
        let Some(vault) = self.vault.vault.as_mut().filter(|_| self.vault.life == life) else {
            return Ok(());
        };
        let line = line.as_bytes();
        let outcome = match from {
            OPERATOR => vault.command(from, line, clock, salt),
            GATE.. => vault.gateway_line(from, line, clock, salt),
            _ => vault.line(from, uid, line, clock, salt),
        };
        self.carry(outcome)
    }

    /// The vault ends at once.
    pub(crate) fn vault_dies(&mut self) {
        if self.vault.vault.take().is_none() {
            return;
        }
        if let Some(link) = self.link() {
            self.break_link(link);
        }
        self.gate_loses_vault();
        let wait = self.random.between(20, 400);
        self.at(wait, Event::StartVault);
    }

    /// In the end everything is decided, durable, covered and connected.
    pub(crate) fn settled(&mut self) -> Checked {
        let invariant = "everything settles once the faults stop";
        let connected = self.vault.vault.as_ref().is_some_and(Vault::is_connected);
        ensure(connected, invariant, || "the vault has no journal".to_owned())?;
        let next = self.vault.vault.as_mut().map_or(0, Vault::next_index);
        let durable = self.log.log.as_ref().map_or(0, journal::Log::durable);
        ensure(next == durable, invariant, || format!("{durable} of {next} records are durable"))?;
        for (bot, setup) in self.bots.iter().zip(setup::BOTS) {
            ensure(bot.answered_in_calm, invariant, || format!("{} got no answer", setup.name))?;
        }
        self.check_whole_log()
    }
}
