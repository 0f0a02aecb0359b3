//! What the queue consists of, and how it comes back from what was written down.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trading::Timestamp;

use super::pace::Shift as _;
use super::{
    FOLD_MS, FoldKey, HEDGE_MS, MAX_ESCALATIONS, MAX_REMEMBERED, MAX_REVIEWS, Queue, REFUSED_WAIT_MS,
    REVIEW_AGAIN_MS, Remembered, fold_key,
};
use crate::alerts::{Alert, AlertId, Channel, Outcome, Severity};

/// How many remote channels must take an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Needed {
    /// Any one.
    One,
    /// Two different ones.
    Two,
    /// Every one there is.
    All,
}

impl Needed {
    /// Of `there` remote channels.
    pub(super) fn of(self, there: usize) -> usize {
        match self {
            Self::One => 1.min(there),
            Self::Two => 2.min(there),
            Self::All => there,
        }
    }

    /// With fewer remote channels the log must take it too.
    pub(super) const fn at_least(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two | Self::All => 2,
        }
    }
}

/// One change, as written down. The last of one kind and id holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Record {
    /// An alert waits; how far it got.
    Entry(Entry),
    /// The alert of this id is delivered, folded or dropped.
    Done(AlertId),
    /// A review is open.
    Review(Review),
    /// A review is closed.
    Closed {
        /// Its alert.
        id: AlertId,
        /// By whom; empty if it was given up.
        who: String,
        /// When.
        at: Timestamp,
    },
    /// Losses that are not told yet.
    Lost(Losses),
}

/// An alert that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What is said.
    pub alert: Alert,
    /// How many times it was raised.
    pub count: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Who must take it.
    pub needed: Needed,
    /// Who has taken it.
    pub confirmed: BTreeSet<Channel>,
    /// Not sent before: one that says the same was delivered a short time ago.
    pub hold_until: Timestamp,
    /// The review it tells of again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) review_of: Option<AlertId>,
    /// The losses it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) losses: Option<Losses>,
    /// Whether somebody may have read it.
    #[serde(skip, default = "yes")]
    pub(super) attempted: bool,
    #[serde(skip)]
    tries: BTreeMap<Channel, Try>,
    /// Of what is said, which is never changed.
    #[serde(skip)]
    pub(super) fold_key: FoldKey,
}

/// What one channel did with an alert that it has not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    UnderWay { since: Timestamp },
    Failed,
    Refused { until: Timestamp },
}

/// What is read back may have been sent.
const fn yes() -> bool {
    true
}

impl Entry {
    pub(super) fn new(
        alert: Alert,
        needed: Needed,
        review_of: Option<AlertId>,
        accepted_at: Timestamp,
        hold_until: Timestamp,
    ) -> Self {
        Self {
            fold_key: fold_key(&alert),
            alert,
            count: 1,
            accepted_at,
            needed,
            confirmed: BTreeSet::new(),
            hold_until,
            review_of,
            losses: None,
            attempted: false,
            tries: BTreeMap::new(),
        }
    }

    /// Whether every channel is asked at once.
    pub(super) fn is_urgent(&self) -> bool {
        self.needed != Needed::One
    }

    pub(super) const fn tells_losses(&self) -> bool {
        self.losses.is_some()
    }

    /// What is dropped last ranks highest.
    pub(super) fn rank(&self) -> u8 {
        match self.alert.severity {
            _ if self.is_urgent() => 2,
            Severity::Info => 0,
            Severity::Warning | Severity::Critical => 1,
        }
    }

    pub(super) fn is_known_to_somebody(&self) -> bool {
        self.confirmed.iter().any(|channel| channel.is_remote())
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.hedge_times().next().is_some()
    }

    pub(super) fn as_loss(&self) -> Losses {
        let count = u64::from(self.count);
        match self.rank() {
            0 => Losses { info: count, ..Losses::default() },
            1 => Losses { warning: count, ..Losses::default() },
            _ => Losses { urgent: count, ..Losses::default() },
        }
    }

    pub(super) fn start(&mut self, channel: Channel, now: Timestamp) {
        self.attempted |= channel.is_remote();
        self.tries.insert(channel, Try::UnderWay { since: now });
    }

    pub(super) fn finish(&mut self, channel: Channel, outcome: &Outcome, now: Timestamp) {
        let state = match outcome {
            Outcome::Delivered => {
                self.confirmed.insert(channel);
                self.tries.remove(&channel);
                return;
            }
            Outcome::Refused { .. } => Try::Refused { until: now.plus_ms(REFUSED_WAIT_MS) },
            Outcome::Later { .. } | Outcome::Unauthorised { .. } => Try::Failed,
        };
        self.tries.insert(channel, state);
    }

    pub(super) fn was_logged(&self) -> bool {
        self.confirmed.contains(&Channel::Log) || self.tries.contains_key(&Channel::Log)
    }

    /// When this alert may go to `channel`, whatever the channel's own pace; `None` if it has it or
    /// is just getting it.
    pub(super) fn open_at(&self, channel: Channel) -> Option<Timestamp> {
        if self.confirmed.contains(&channel) {
            return None;
        }
        match self.tries.get(&channel) {
            None | Some(Try::Failed) => Some(Timestamp::default()),
            Some(Try::Refused { until }) => Some(*until),
            Some(Try::UnderWay { .. }) => None,
        }
    }

    pub(super) fn may_try(&self, channel: Channel, now: Timestamp) -> bool {
        self.open_at(channel).is_some_and(|at| at <= now)
    }

    /// Attempts under way on remote channels that still deserve patience.
    pub(super) fn fresh_attempts(&self, now: Timestamp) -> usize {
        self.hedge_times().filter(|at| *at > now).count()
    }

    pub(super) fn hedge_times(&self) -> impl Iterator<Item = Timestamp> {
        self.tries.iter().filter_map(|(channel, state)| match state {
            Try::UnderWay { since } if channel.is_remote() => Some(since.plus_ms(HEDGE_MS)),
            _ => None,
        })
    }

    pub(super) fn shift_back(&mut self, by_ms: u64) {
        self.hold_until = self.hold_until.minus_ms(by_ms);
        for state in self.tries.values_mut() {
            match state {
                Try::UnderWay { since: at } | Try::Refused { until: at } => *at = at.minus_ms(by_ms),
                Try::Failed => {}
            }
        }
    }
}

/// An alert that somebody must acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Its alert.
    pub id: AlertId,
    /// Its title.
    pub title: String,
    /// Its account.
    pub account: Option<String>,
    /// When it was raised.
    pub opened_at: Timestamp,
    /// When it is told again.
    pub due_at: Timestamp,
    /// How many times it was told again.
    pub escalations: u32,
}

impl Review {
    pub(super) const fn is_watched(&self) -> bool {
        self.escalations < MAX_ESCALATIONS
    }

    pub(super) fn escalation(&self, now: Timestamp) -> Alert {
        let id = self.id.derived(&format!("unacknowledged-{}", self.escalations));
        let title = format!("not acknowledged: {}", self.title);
        let mut alert = Alert::new(id, now, Severity::Critical, title);
        alert.account.clone_from(&self.account);
        alert.text = format!("Raised at {}. Nobody has acknowledged {} since.", self.opened_at, self.id);
        if !self.is_watched() {
            alert.text.push_str("\nIt is not told again.");
        }
        alert
    }

    pub(super) fn shift_back(&mut self, by_ms: u64) {
        self.due_at = self.due_at.minus_ms(by_ms);
    }
}

/// How many alerts went missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Of severity info.
    pub info: u64,
    /// Of severity warning.
    pub warning: u64,
    /// That needed two channels, and reviews nobody waits for any more.
    pub urgent: u64,
}

impl Losses {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            info: self.info.saturating_add(other.info),
            warning: self.warning.saturating_add(other.warning),
            urgent: self.urgent.saturating_add(other.urgent),
        }
    }

    pub(super) fn to_alert(self, id: AlertId, now: Timestamp) -> Alert {
        let severity = if self.urgent > 0 { Severity::Critical } else { Severity::Warning };
        let mut alert = Alert::new(id, now, severity, "alerts were lost");
        alert.text = "More came than could be sent. alerts.log has those that were accepted.".into();
        let counts = [("info", self.info), ("warning", self.warning), ("urgent", self.urgent)];
        alert.numbers = counts.into_iter().map(|(name, count)| (name.into(), count.to_string())).collect();
        alert
    }
}

impl Queue {
    /// Everything that must be written down to bring the queue back.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let done = self.remembered.iter().map(|old| Record::Done(old.id.clone()));
        let entries = self.waiting.values().cloned().map(Record::Entry);
        let reviews = self.reviews.values().cloned().map(Record::Review);
        done.chain(entries).chain(reviews).chain([Record::Lost(self.losses)]).collect()
    }

    /// The queue that wrote `records`, for the channels there are today.
    ///
    /// Whatever was under way is offered again: it may or may not have arrived.
    #[must_use]
    pub fn restore(
        remote: &BTreeSet<Channel>,
        records: impl IntoIterator<Item = Record>,
        now: Timestamp,
    ) -> Self {
        let mut queue = Self::new(remote, now);
        for record in records {
            queue.apply(record);
        }
        let numbers: Vec<u64> = queue.waiting.keys().copied().collect();
        numbers.into_iter().for_each(|number| queue.settle(number));
        queue.make_room();
        queue.changes.clear();
        queue
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Entry(mut entry) => {
                entry.alert = entry.alert.within_limits();
                entry.fold_key = fold_key(&entry.alert);
                // The clock may have been set back since.
                entry.hold_until = entry.hold_until.min(self.now.plus_ms(FOLD_MS));
                let old = self.numbers_where(|old| old.alert.id == entry.alert.id).first().copied();
                let number = old.unwrap_or(self.next_number);
                self.next_number = self.next_number.max(number + 1);
                self.waiting.insert(number, entry);
                self.make_room();
            }
            Record::Done(id) => {
                self.waiting.retain(|_, entry| entry.alert.id != id);
                self.remembered.push_back(Remembered { id, delivered: None });
                if self.remembered.len() > MAX_REMEMBERED {
                    self.remembered.pop_front();
                }
            }
            Record::Review(mut review) => {
                review.due_at = review.due_at.min(self.now.plus_ms(REVIEW_AGAIN_MS));
                if self.reviews.len() < MAX_REVIEWS || self.reviews.contains_key(&review.id) {
                    self.reviews.insert(review.id.clone(), review);
                }
            }
            Record::Closed { id, .. } => {
                self.reviews.remove(&id);
            }
            Record::Lost(losses) => self.losses = losses,
        }
    }
}
