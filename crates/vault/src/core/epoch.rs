//! What the vault says of the log itself: that an epoch begins, that a crash cut something off, that
//! signatures may run ahead of the disk, and, where they did when the last vault died, how many may be
//! out without a record.

use trading::Timestamp;
use transparency::{Body, Epoch};

use super::{Core, Durability, Output};
use crate::detail::Event;
use crate::recorder::{Heading, Salt, derived_salt};
use crate::ticket::Verdict;

/// Who speaks in these records; operators are `uid:…`.
const ACTOR: &str = "vault";
/// A write torn by a crash was cut from the log's end.
const TORN_TAIL: &str = "torn_tail";
/// From here on signatures may leave before their records are durable.
const PIPELINED: &str = "pipelined";
/// The vault ended in order: every signature that left has its record below this one.
const STOPPED: &str = "stopped";
/// The vault before ended otherwise: signatures may be out without a record.
const POSSIBLE_GAP: &str = "possible_gap";

/// Follows the records of a log and says whether its last vault may have left a gap.
#[derive(Debug, Default)]
pub(crate) struct GapWatch {
    is_open: bool,
}

impl GapWatch {
    /// At a record that says whether signatures ran ahead of the disk when it was made.
    pub(crate) const fn at(runs_ahead: bool) -> Self {
        Self { is_open: runs_ahead }
    }

    /// Takes the next record.
    pub(crate) fn observe(&mut self, body: &Body) {
        if body.actor == ACTOR {
            match body.operation.as_str() {
                PIPELINED => self.is_open = true,
                STOPPED | POSSIBLE_GAP => self.is_open = false,
                _ => {}
            }
        }
    }

    /// Whether signatures may be out whose records never reached the log.
    pub(crate) const fn is_possible(&self) -> bool {
        self.is_open
    }
}

impl Core {
    /// Records the start of the epoch, and what must be said with it; the frames go out with the first
    /// records. Nothing runs ahead of the disk before the disk has the word that it may.
    pub(crate) fn begin_epoch(
        &mut self,
        epoch: &Epoch,
        gap: &GapWatch,
        torn_bytes: u64,
        now: Timestamp,
        salt: Salt,
    ) {
        self.context.now = self.context.now.max(now);
        let heading = Heading {
            time: self.context.now,
            actor: ACTOR,
            account: None,
            operation: Epoch::OPERATION,
            policy_hash: self.policy.hash(),
            state_digest: [0; 32],
        };
        // Nobody waits for these records: the tickets are dropped, the frames are sent when the link joins.
        drop(self.recorder.record(&heading, epoch.encode(), Verdict::Event, None, salt));
        self.forget_leases();
        if gap.is_possible() {
            drop(self.say_of_the_log(&possible_gap(), salt));
        }
        if torn_bytes > 0 {
            drop(self.say_of_the_log(&torn_tail(torn_bytes), salt));
        }
        if self.durability == Durability::Pipelined {
            drop(self.say_of_the_log(&pipelined(), salt));
        }
        self.ahead_from = self.recorder.next_index();
        // After a log without counters in it: the next start shall be spared what this one did.
        self.write_down_state_if_due(salt, &mut Vec::new());
    }

    /// Records that the journal came back and had cut off a torn write.
    pub(crate) fn note_torn(&mut self, torn_bytes: u64, now: Timestamp, salt: Salt, out: &mut Vec<Output>) {
        self.context.now = self.context.now.max(now);
        out.push(self.say_of_the_log(&torn_tail(torn_bytes), salt));
    }

    /// Records that the vault ends in order, if anyone must know; what waits is released before it.
    /// Returns whether there is such a record to wait for.
    pub(crate) fn note_stop(&mut self, now: Timestamp, salt: Salt, out: &mut Vec<Output>) -> bool {
        self.context.now = self.context.now.max(now);
        if self.durability != Durability::Pipelined {
            return false;
        }
        let text = "every signature that left has its record".to_owned();
        out.push(self.say_of_the_log(&Event::said(STOPPED, text), salt));
        true
    }

    /// Whether every record made is on disk.
    pub(crate) fn is_all_durable(&self) -> bool {
        self.durable >= self.recorder.next_index()
    }

    fn say_of_the_log(&mut self, event: &Event, salt: Salt) -> Output {
        let salt = derived_salt(salt, self.recorder.next_index());
        let (frame, ticket) = self.note(ACTOR, event, salt);
        drop(ticket);
        frame
    }
}

fn torn_tail(bytes: u64) -> Event {
    let text = format!(
        "{bytes} bytes of a write that a crash tore were cut from the log's end and kept beside the segments; \
         nobody had been told that they were durable"
    );
    Event::said(TORN_TAIL, text)
}

fn pipelined() -> Event {
    let (records, window_ms) = (Durability::WINDOW_RECORDS, Durability::WINDOW.as_millis());
    Event::said(
        PIPELINED,
        format!("signatures may leave up to {records} records and {window_ms} ms ahead of the disk"),
    )
}

fn possible_gap() -> Event {
    let records = Durability::WINDOW_RECORDS;
    let text = format!(
        "the vault before did not stop in order while signatures ran ahead of the disk: up to {records} may be \
         out without a record; compare the venue's list of orders with the log"
    );
    Event::said(POSSIBLE_GAP, text)
}
