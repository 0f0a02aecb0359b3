//! Which alert goes to which channel next: the whole of delivery except doing it.
//!
//! Pure: time and chance are arguments, and what must survive a crash comes out as [`Record`]s.
//!
//! 1. Every alert is offered to `alerts.log` once, at once.
//! 2. An urgent alert is offered to every remote channel at once, and is done when two have taken it.
//!    Another is offered to the best channel that works, and to the next one when that fails or is
//!    silent for [`HEDGE_MS`]; it is done when one has taken it.
//! 3. A channel that fails is left alone for a while, longer each time, whichever alert is waiting.
//!    No channel waits for another.

mod pace;
mod records;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sha2::{Digest as _, Sha256};
use trading::Timestamp;

pub use pace::{FIRST_WAIT_MS, IN_FLIGHT, Jitter, LONGEST_ASKED_MS, LONGEST_WAIT_MS};
use pace::{Pace, Shift as _};
pub use records::{Entry, Losses, Needed, Record, Review};

use crate::alerts::{Alert, AlertId, Channel, Outcome, Severity};

/// Alerts waiting at once. One more is kept free to tell of losses.
pub const MAX_WAITING: usize = 256;
/// Reviews that wait for somebody at once.
pub const MAX_REVIEWS: usize = 64;
/// Ids remembered after their alert is done.
pub const MAX_REMEMBERED: usize = 1_024;
/// An attempt silent for so long does not keep another channel from being asked, in milliseconds.
pub const HEDGE_MS: u64 = 2_000;
/// An alert that a channel refused is offered there again after so long, in milliseconds.
pub const REFUSED_WAIT_MS: u64 = 900_000;
/// Repeats of an alert delivered are held and counted for so long, in milliseconds.
pub const FOLD_MS: u64 = 300_000;
/// The same for an urgent alert.
pub const FOLD_URGENT_MS: u64 = 30_000;
/// A review nobody acknowledged in this time is told again, in milliseconds.
pub const REVIEW_MS: u64 = 900_000;
/// After the first time it is told again this often, in milliseconds.
pub const REVIEW_AGAIN_MS: u64 = 3_600_000;
/// So many times, and then no more.
pub const MAX_ESCALATIONS: u32 = 24;

/// What became of an alert handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It waits for delivery.
    Queued,
    /// It is counted in one that says the same and has not been sent yet.
    Folded,
    /// Its id was seen before.
    Duplicate,
    /// There was no room for it; the loss is counted and will be told.
    Dropped,
}

/// Alert `alert`, which stands for `count` of its kind, is to be sent over `channel` now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Where it goes.
    pub channel: Channel,
    /// What is said.
    pub alert: Alert,
    /// How many times it was raised.
    pub count: u32,
}

/// A review that is not open: never raised, acknowledged already, or given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no review {0} is open; `seawall status` lists those that are")]
pub struct NotOpen(pub AlertId);

/// Alerts on their way.
#[derive(Debug)]
pub struct Queue {
    paces: BTreeMap<Channel, Pace>,
    /// By order of acceptance.
    waiting: BTreeMap<u64, Entry>,
    next_number: u64,
    remembered: VecDeque<Remembered>,
    reviews: BTreeMap<AlertId, Review>,
    losses: Losses,
    changes: Vec<Record>,
    now: Timestamp,
}

/// An id seen before, and when its alert was delivered, if it was delivered here.
#[derive(Debug, Clone)]
struct Remembered {
    id: AlertId,
    delivered: Option<(FoldKey, Timestamp)>,
}

/// What two alerts share that say the same.
type FoldKey = [u8; 32];

impl Queue {
    /// An empty queue for `remote` channels; the log is always there.
    #[must_use]
    pub fn new(remote: &BTreeSet<Channel>, now: Timestamp) -> Self {
        let channels = remote.iter().copied().chain([Channel::Log]);
        Self {
            paces: channels.map(|channel| (channel, Pace::default())).collect(),
            waiting: BTreeMap::new(),
            next_number: 0,
            remembered: VecDeque::new(),
            reviews: BTreeMap::new(),
            losses: Losses::default(),
            changes: Vec::new(),
            now,
        }
    }

    /// Takes an alert over, within its limits.
    pub fn accept(&mut self, alert: Alert, now: Timestamp) -> Accepted {
        let needed = if alert.is_urgent() { Needed::Two } else { Needed::One };
        self.accept_for(alert, needed, None, now)
    }

    /// Takes note of alerts that never reached the queue.
    pub fn lost(&mut self, losses: Losses) {
        if losses != Losses::default() {
            self.losses = self.losses.plus(losses);
            self.changes.push(Record::Lost(self.losses));
        }
    }

    /// What is to be sent now. Each offer counts as under way until [`Queue::finished`] is called.
    pub fn due(&mut self, now: Timestamp) -> Vec<Offer> {
        self.set_now(now);
        self.escalate();
        self.tell_losses();
        let mut order: Vec<u64> = self.waiting.keys().copied().collect();
        order.sort_by_key(|number| (!self.waiting[number].is_urgent(), *number));
        let mut offers = Vec::new();
        for number in order {
            for channel in self.next_channels(&self.waiting[&number]) {
                let entry = self.waiting.get_mut(&number).expect("taken from the same map");
                entry.start(channel, now);
                self.paces.get_mut(&channel).expect("a channel of ours").start();
                offers.push(Offer { channel, alert: entry.alert.clone(), count: entry.count });
            }
        }
        offers
    }

    /// Takes note of how an offer ended.
    pub fn finished(
        &mut self,
        id: &AlertId,
        channel: Channel,
        outcome: &Outcome,
        now: Timestamp,
        jitter: Jitter,
    ) {
        self.set_now(now);
        let Some(pace) = self.paces.get_mut(&channel) else { return };
        let report = pace.finish(channel, outcome, now, jitter);
        if let Some((number, entry)) = self.waiting.iter_mut().find(|(_, entry)| entry.alert.id == *id) {
            let number = *number;
            entry.finish(channel, outcome, now);
            if *outcome == Outcome::Delivered {
                self.changes.push(Record::Entry(entry.clone()));
                self.settle(number);
            }
        }
        if report && let Some(reason) = outcome.reason() {
            self.report_down(channel, reason);
        }
    }

    /// Closes a review: `who` has seen it.
    ///
    /// # Errors
    ///
    /// [`NotOpen`] if there is no such review.
    pub fn ack(&mut self, id: &AlertId, who: &str, now: Timestamp) -> Result<(), NotOpen> {
        self.set_now(now);
        self.reviews.remove(id).ok_or_else(|| NotOpen(id.clone()))?;
        self.changes.push(Record::Closed { id: id.clone(), who: who.chars().take(64).collect(), at: now });
        // What would only say that nobody has seen it is not needed any more.
        let moot: Vec<u64> = self.numbers_where(|entry| entry.review_of.as_ref() == Some(id));
        for number in moot {
            self.forget(number, false);
        }
        Ok(())
    }

    /// When [`Queue::due`] next has something that no ending attempt brings about.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        let reviews = self.reviews.values().filter(|review| review.is_watched()).map(|review| review.due_at);
        let entries = self.waiting.values().flat_map(|entry| self.next_times(entry));
        reviews.chain(entries).filter(|at| *at > self.now).min()
    }

    /// What has changed since the last call and must be written down, in order.
    pub fn take_changes(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.changes)
    }

    /// Alerts that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.waiting.values()
    }

    /// Reviews that nobody acknowledged yet.
    pub fn reviews(&self) -> impl Iterator<Item = &Review> {
        self.reviews.values()
    }

    /// Losses that were not told yet.
    #[must_use]
    pub const fn losses(&self) -> Losses {
        self.losses
    }

    fn accept_for(
        &mut self,
        alert: Alert,
        needed: Needed,
        review_of: Option<AlertId>,
        now: Timestamp,
    ) -> Accepted {
        self.set_now(now);
        let alert = alert.within_limits();
        if self.knows(&alert.id) {
            return Accepted::Duplicate;
        }
        let key = fold_key(&alert);
        if !alert.review && self.fold(&alert, key) {
            self.remember(alert.id, None);
            return Accepted::Folded;
        }
        let id = alert.id.clone();
        let hold_until = if alert.review { None } else { self.held_until(key, alert.is_urgent()) };
        let entry = Entry::new(alert, needed, review_of, now, hold_until.unwrap_or(now));
        if entry.alert.review {
            self.open_review(&entry.alert, now);
        }
        self.insert(entry);
        self.make_room();
        if self.knows_waiting(&id) { Accepted::Queued } else { Accepted::Dropped }
    }

    fn insert(&mut self, entry: Entry) {
        self.changes.push(Record::Entry(entry.clone()));
        self.waiting.insert(self.next_number, entry);
        self.next_number += 1;
    }

    fn knows(&self, id: &AlertId) -> bool {
        self.knows_waiting(id) || self.remembered.iter().any(|old| old.id == *id)
    }

    fn knows_waiting(&self, id: &AlertId) -> bool {
        self.waiting.values().any(|entry| entry.alert.id == *id)
    }

    /// Counts `alert` in one that says the same and was never sent: nobody has read its count yet.
    fn fold(&mut self, alert: &Alert, key: FoldKey) -> bool {
        let same = |entry: &&mut Entry| !entry.attempted && !entry.alert.review && entry.fold_key == key;
        let Some(entry) = self.waiting.values_mut().find(same) else { return false };
        entry.count = entry.count.saturating_add(1);
        entry.alert.numbers.clone_from(&alert.numbers);
        self.changes.push(Record::Entry(entry.clone()));
        true
    }

    fn held_until(&self, key: FoldKey, urgent: bool) -> Option<Timestamp> {
        let window = if urgent { FOLD_URGENT_MS } else { FOLD_MS };
        let delivered = self.remembered.iter().filter_map(|old| old.delivered);
        delivered.filter(|(old, _)| *old == key).map(|(_, at)| at.plus_ms(window)).max()
    }

    fn open_review(&mut self, alert: &Alert, now: Timestamp) {
        if self.reviews.len() == MAX_REVIEWS
            && let Some(oldest) = self.reviews.values().min_by_key(|review| review.opened_at)
        {
            let id = oldest.id.clone();
            self.reviews.remove(&id);
            self.changes.push(Record::Closed { id, who: String::new(), at: now });
            self.lost(Losses { urgent: 1, ..Losses::default() });
        }
        let review = Review {
            id: alert.id.clone(),
            title: alert.title.clone(),
            account: alert.account.clone(),
            opened_at: now,
            due_at: now.plus_ms(REVIEW_MS),
            escalations: 0,
        };
        self.changes.push(Record::Review(review.clone()));
        self.reviews.insert(review.id.clone(), review);
    }

    /// Drops the least of what waits: info before warnings before urgent alerts, among these what
    /// somebody has got already, then the oldest that is not just on its way (it may arrive, and would be
    /// counted as lost all the same). What tells of losses stays.
    fn make_room(&mut self) {
        while self.waiting.values().filter(|entry| !entry.tells_losses()).count() > MAX_WAITING {
            let least = self.waiting.iter().filter(|(_, entry)| !entry.tells_losses()).min_by_key(
                |(number, entry)| {
                    (entry.rank(), !entry.is_known_to_somebody(), entry.is_under_way(), **number)
                },
            );
            let Some((number, _)) = least else { return };
            let number = *number;
            let lost = self.waiting[&number].as_loss();
            self.forget(number, false);
            self.lost(lost);
        }
    }

    /// Ends entry `number` if enough channels have it.
    fn settle(&mut self, number: u64) {
        if self.waiting.get(&number).is_some_and(|entry| self.missing(entry) == 0 && !self.wants_log(entry)) {
            self.forget(number, true);
        }
    }

    fn forget(&mut self, number: u64, delivered: bool) {
        let Some(entry) = self.waiting.remove(&number) else { return };
        self.remember(entry.alert.id, delivered.then_some((entry.fold_key, self.now)));
    }

    fn remember(&mut self, id: AlertId, delivered: Option<(FoldKey, Timestamp)>) {
        self.changes.push(Record::Done(id.clone()));
        self.remembered.push_back(Remembered { id, delivered });
        while self.remembered.len() > MAX_REMEMBERED {
            self.remembered.pop_front();
        }
    }

    fn remote(&self) -> impl Iterator<Item = Channel> {
        self.paces.keys().copied().filter(|channel| channel.is_remote())
    }

    /// How many more remote channels must take `entry`.
    fn missing(&self, entry: &Entry) -> usize {
        let there = self.remote().count();
        let confirmed = self.remote().filter(|channel| entry.confirmed.contains(channel)).count();
        entry.needed.of(there).saturating_sub(confirmed)
    }

    /// Whether the log must take it, since there are too few other channels.
    fn wants_log(&self, entry: &Entry) -> bool {
        let too_few = self.remote().count() < entry.needed.at_least();
        too_few && !entry.confirmed.contains(&Channel::Log)
    }

    fn next_channels(&self, entry: &Entry) -> Vec<Channel> {
        if entry.hold_until > self.now {
            return Vec::new();
        }
        let urgent = entry.is_urgent();
        let open = |channel: &Channel| {
            entry.may_try(*channel, self.now) && self.paces[channel].is_ready(self.now, urgent)
        };
        let log = (!entry.was_logged() || self.wants_log(entry)).then_some(Channel::Log).filter(open);
        let missing = self.missing(entry);
        let wanted = match missing {
            0 => 0,
            _ if urgent => usize::MAX,
            _ => missing.saturating_sub(entry.fresh_attempts(self.now)),
        };
        log.into_iter().chain(self.remote().filter(open).take(wanted)).collect()
    }

    /// When something about `entry` may change by time alone; may hold times that are past.
    fn next_times(&self, entry: &Entry) -> impl Iterator<Item = Timestamp> {
        let urgent = entry.is_urgent();
        let channels = self.paces.iter().filter(move |(_, pace)| pace.has_room(urgent));
        let opening = channels.filter_map(|(channel, pace)| {
            let again = entry.open_at(*channel)?;
            Some(again.max(pace.open_at()).max(entry.hold_until))
        });
        opening.chain(entry.hedge_times())
    }

    /// Tells reviews again that nobody acknowledged in time, to every channel.
    fn escalate(&mut self) {
        let now = self.now;
        let late = |review: &&Review| review.is_watched() && review.due_at <= now;
        let late: Vec<AlertId> = self.reviews.values().filter(late).map(|review| review.id.clone()).collect();
        for id in late {
            let review = self.reviews.get_mut(&id).expect("taken from the same map");
            review.escalations += 1;
            review.due_at = now.plus_ms(REVIEW_AGAIN_MS);
            let review = review.clone();
            self.changes.push(Record::Review(review.clone()));
            // The one before, if it still waits, would say the same.
            for number in self.numbers_where(|entry| entry.review_of.as_ref() == Some(&id)) {
                self.forget(number, false);
            }
            self.accept_for(review.escalation(now), Needed::All, Some(id), now);
        }
    }

    /// Makes an alert of the losses, unless one is waiting; it holds what is lost until it is made.
    fn tell_losses(&mut self) {
        let told = self.waiting.values().any(Entry::tells_losses);
        let id = AlertId::own("lost", self.now);
        if self.losses == Losses::default() || told || self.knows(&id) {
            return;
        }
        let alert = self.losses.to_alert(id, self.now);
        let needed = if alert.is_urgent() { Needed::Two } else { Needed::One };
        let mut entry = Entry::new(alert, needed, None, self.now, self.now);
        entry.losses = Some(self.losses);
        self.insert(entry);
        // After the entry: a crash between the two tells a loss twice, not never.
        self.losses = Losses::default();
        self.changes.push(Record::Lost(self.losses));
    }

    fn report_down(&mut self, channel: Channel, reason: &str) {
        let id = AlertId::own(channel.name(), self.now);
        let mut alert =
            Alert::new(id, self.now, Severity::Warning, format!("alerts over {channel} do not go out"));
        alert.text = format!("{reason}\nIt is tried again; other channels go on.");
        self.accept_for(alert, Needed::One, None, self.now);
    }

    /// Lets every time noted move with a clock that was set back, so that nothing waits for longer.
    fn set_now(&mut self, now: Timestamp) {
        let back = self.now.since_ms(now);
        self.now = now;
        if back == 0 {
            return;
        }
        self.paces.values_mut().for_each(|pace| pace.shift_back(back));
        self.waiting.values_mut().for_each(|entry| entry.shift_back(back));
        self.reviews.values_mut().for_each(|review| review.shift_back(back));
        for (_, at) in self.remembered.iter_mut().filter_map(|old| old.delivered.as_mut()) {
            *at = at.minus_ms(back);
        }
    }

    fn numbers_where(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<u64> {
        self.waiting.iter().filter(|(_, entry)| wanted(entry)).map(|(number, _)| *number).collect()
    }
}

/// Alerts that differ in id, time and numbers only say the same.
fn fold_key(alert: &Alert) -> FoldKey {
    let said = (alert.severity, alert.rung, &alert.account, &alert.title, &alert.text);
    Sha256::digest(serde_json::to_vec(&said).expect("text and numbers")).into()
}
