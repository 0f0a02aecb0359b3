//! One account: which samples are believed, and what flows make of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use trading::{AccountName, SizeFactor, Timestamp};

use super::clock::Clock;
use super::event::{Refusal, Said, What};
use super::input::{Flow, FlowKind, MAX_FLOW_ID, Subject};
use super::ladder::Ladder;
use super::measure::{Look, Measure};
use super::rung::Rung;
use super::sample::{
    CANCEL_AGE_MS, Discard, JUMP_BPS, PAIR_MS, Reading, STOP_AGE_MS, Sample, Source, WARN_AGE_MS,
};
use super::standing::Reason;
use super::unit_value::Money;

/// How long a balance and its ledger may differ: so long a fall that the ledger has not been read for waits
/// for an explanation, and a balance that does not show a flow yet for its effect. New risk is off meanwhile.
pub const LEDGER_WAIT_MS: u64 = 10_000;
/// How long no baseline and no mark is made after a rise that no flow explains.
pub const RISE_PROBATION_MS: u64 = 60_000;
/// How many flows are remembered, so that none counts twice.
const FLOWS_REMEMBERED: usize = 1024;
/// How far a ledger's clock may be ahead.
const MAX_AHEAD_MS: u64 = 2000;

/// What is known of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) measure: Measure,
    commissioned: bool,
    sources: BTreeMap<Source, Seen>,
    /// The last believed equity, with the flows since.
    reference: Option<Reference>,
    /// The last difference that was believed without a flow.
    jump: Option<Jump>,
    /// The running clock when an unexplained equity was first seen.
    suspicion_ms: Option<u64>,
    /// The running clock at age zero of the newest believed sample; of the commission before there is one.
    heard_ms: u64,
    flows: Flows,
    /// What was said and still holds, so that it is said once.
    discarded: BTreeSet<Source>,
    stale: bool,
    stopped: bool,
    cancelled: bool,
}

/// The last sample of good form of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    at: Timestamp,
    equity: Money,
    heard_ms: u64,
    trusted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    at: Timestamp,
    equity: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jump {
    at: Timestamp,
    amount: Money,
    since_ms: u64,
}

/// The flows that were counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flows {
    /// In the order of their coming.
    recent: VecDeque<Remembered>,
    /// No flow of this time or before is taken any more: it could have been forgotten.
    forgotten_to: Option<Timestamp>,
    /// Time of the latest flow that samples must show.
    latest: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    id: Box<str>,
    at: Timestamp,
    amount: Money,
    /// The running clock when it was told.
    told_ms: u64,
}

/// What a sample turned out to be, for the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing the group can use.
    No,
    /// Believed; `settled` unless it was a jump, from which no baseline is made.
    Yes { settled: bool },
    /// The account has begun with this equity.
    Begun(Money),
}

/// A flow that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) amount: Money,
    /// Whether the samples so far held it already.
    pub(super) late: bool,
}

impl Account {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            measure: Measure::default(),
            commissioned: false,
            sources: BTreeMap::new(),
            reference: None,
            jump: None,
            suspicion_ms: None,
            heard_ms: clock.running_ms(),
            flows: Flows::default(),
            discarded: BTreeSet::new(),
            stale: false,
            stopped: true,
            cancelled: false,
        }
    }

    pub(super) fn equity(&self) -> Option<Money> {
        self.reference.map(|reference| reference.equity)
    }

    /// A new process watches: what the sources said before is too old to be relied on.
    pub(super) fn restarted(&mut self) {
        self.sources.clear();
        self.discarded.clear();
        self.measure.restarted();
    }

    /// After [`Measure::commission`]: the next two samples that agree begin the units.
    pub(super) fn commissioned(&mut self, clock: &Clock) {
        self.commissioned = true;
        self.sources.clear();
        self.suspicion_ms = None;
        self.jump = None;
        self.heard_ms = clock.running_ms();
    }

    /// The lower and the higher of what the sources say, if one at least is fresh and none is suspect;
    /// and whether both are.
    pub(super) fn range(&self, clock: &Clock) -> Option<(Money, Money, bool)> {
        let fresh = |seen: &&Seen| clock.since(seen.heard_ms) < STOP_AGE_MS;
        let seen: Vec<&Seen> = self.sources.values().filter(fresh).collect();
        if seen.iter().any(|seen| !seen.trusted) {
            return None;
        }
        let equities = || seen.iter().map(|seen| seen.equity);
        Some((equities().min()?, equities().max()?, seen.len() == Source::ALL.len()))
    }

    pub(super) fn take(
        &mut self,
        subject: &Subject,
        sample: &Sample,
        currency: &str,
        ladder: &Ladder,
        clock: &Clock,
        said: &mut Said,
    ) -> Taken {
        let reading = match sample.read(currency, clock).and_then(|read| self.in_order(sample, read)) {
            Ok(reading) => reading,
            Err(why) => {
                if self.discarded.insert(sample.source) {
                    said.say(subject, What::SampleDiscarded { source: sample.source, why });
                }
                return Taken::No;
            }
        };
        self.discarded.remove(&sample.source);
        let own = self.sources.get(&sample.source).copied();
        let seen = Seen { at: sample.at, equity: reading.equity, heard_ms: reading.heard_ms, trusted: false };
        self.sources.insert(sample.source, seen);
        match self.reference.filter(|_| self.measure.has_begun()) {
            Some(reference) => self.judge(subject, sample, seen, own, reference, ladder, clock, said),
            None => self.begin(subject, sample.source, seen, clock, said),
        }
    }

    fn in_order(&self, sample: &Sample, reading: Reading) -> Result<Reading, Discard> {
        let behind = |source: Source, allowed_ms: u64| {
            self.sources.get(&source).is_some_and(|seen| seen.at.since_ms(sample.at) > allowed_ms)
        };
        let same = self.sources.get(&sample.source).is_some_and(|seen| seen.at == sample.at);
        if same || behind(sample.source, 0) || behind(sample.source.other(), PAIR_MS) {
            return Err(Discard::OutOfOrder);
        }
        if sample.at < self.flows.latest {
            return Err(Discard::BeforeFlow);
        }
        Ok(reading)
    }

    /// Begins the units as soon as two sources agree, at the higher of the two.
    fn begin(
        &mut self,
        subject: &Subject,
        source: Source,
        seen: Seen,
        clock: &Clock,
        said: &mut Said,
    ) -> Taken {
        let Some(other) = self.partner(source, seen).filter(|_| self.commissioned) else { return Taken::No };
        if seen.equity.differs(other.equity, JUMP_BPS) {
            return Taken::No;
        }
        let equity = seen.equity.max(other.equity);
        let at = seen.at.max(other.at);
        if !self.measure.begin(subject, at, equity, clock, said) {
            return Taken::No;
        }
        self.reference = Some(Reference { at, equity });
        self.heard_ms = self.heard_ms.max(seen.heard_ms);
        self.sources.values_mut().for_each(|seen| seen.trusted = true);
        Taken::Begun(equity)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one sample, split for its length only")]
    fn judge(
        &mut self,
        subject: &Subject,
        sample: &Sample,
        seen: Seen,
        own: Option<Seen>,
        reference: Reference,
        ladder: &Ladder,
        clock: &Clock,
        said: &mut Said,
    ) -> Taken {
        let partner = self.partner(sample.source, seen);
        let expected = reference.equity;
        let jumps = expected.differs(seen.equity, JUMP_BPS);
        let falls = seen.equity < expected;
        let ledger_says_no = sample.ledger_read_to >= sample.at;
        if jumps && self.suspicion_ms.is_none() {
            self.suspicion_ms = Some(clock.running_ms());
        }
        let waited = self.suspicion_ms.is_some_and(|since| clock.since(since) >= LEDGER_WAIT_MS);
        // A rise is believed only once the ledger knows nothing of it: a deposit must not become a mark.
        let lags = self.flows.undone(expected, seen.equity, clock);
        let unexplained = !lags && (ledger_says_no || falls && waited);
        // A word from before the jump may lie close to both; it confirms nothing.
        let agrees = partner.is_some_and(|other| {
            expected.differs(other.equity, JUMP_BPS) && !seen.equity.differs(other.equity, JUMP_BPS)
        });
        let trusted = !jumps || agrees && unexplained;
        if jumps && trusted {
            said.say(subject, What::JumpAccepted { equity: seen.equity, expected });
            let amount = seen.equity.minus(expected).unwrap_or(Money::ZERO);
            self.jump = Some(Jump { at: seen.at, amount, since_ms: clock.running_ms() });
            self.sources.values_mut().for_each(|seen| seen.trusted = true);
        } else if jumps && own.is_none_or(|own| own.trusted) {
            let source = sample.source;
            said.say(subject, What::SampleSuspect { source, equity: seen.equity, expected });
        }
        if trusted {
            self.trust(sample.source, seen);
        }
        let settled = trusted && !jumps && !self.rose_lately(clock);
        if trusted || falls && unexplained {
            let attesting = partner.filter(|other| settled && other.trusted);
            let before =
                own.filter(|own| close(seen, *own) && self.must_do_alone(sample.source, trusted, clock));
            let look = Look {
                at: seen.at,
                alone: seen.equity,
                confirmed: partner.into_iter().chain(before).map(|other| other.equity.max(seen.equity)).min(),
                valid: settled.then_some(seen.equity),
                attested: attesting.map(|other| other.equity.min(seen.equity)),
            };
            self.measure.look(subject, &look, ladder, clock, said);
        }
        if trusted { Taken::Yes { settled } } else { Taken::No }
    }

    fn trust(&mut self, source: Source, seen: Seen) {
        if let Some(kept) = self.sources.get_mut(&source) {
            kept.trusted = true;
        }
        if self.sources.values().all(|seen| seen.trusted) {
            self.suspicion_ms = None;
        }
        self.heard_ms = self.heard_ms.max(seen.heard_ms);
        if self.reference.is_none_or(|reference| reference.at <= seen.at) {
            self.reference = Some(Reference { at: seen.at, equity: seen.equity });
        }
    }

    /// The other source's last word, if the two are within three seconds by the venue's clock and by ours.
    fn partner(&self, source: Source, seen: Seen) -> Option<Seen> {
        self.sources.get(&source.other()).copied().filter(|other| close(seen, *other))
    }

    /// Whether the other source is silent, or doubted while this one is not. No new risk is allowed then,
    /// but a loss must not wait for a dead stream: two words of one source count.
    fn must_do_alone(&self, source: Source, trusted: bool, clock: &Clock) -> bool {
        self.sources
            .get(&source.other())
            .is_none_or(|other| clock.since(other.heard_ms) >= STOP_AGE_MS || trusted && !other.trusted)
    }

    /// Whether a rise without a flow was believed a moment ago. No baseline is made of it yet: should
    /// it turn out to be a deposit, a false peak would stay.
    fn rose_lately(&self, clock: &Clock) -> bool {
        self.jump
            .is_some_and(|jump| jump.amount.is_positive() && clock.since(jump.since_ms) < RISE_PROBATION_MS)
    }

    /// Counts a flow once, whether its effect was seen before or comes later.
    pub(super) fn flow(
        &mut self,
        subject: &Subject,
        flow: &Flow,
        clock: &Clock,
        said: &mut Said,
    ) -> Result<Option<Counted>, Refusal> {
        if self.flows.recent.iter().any(|counted| counted.id == flow.id) {
            return Ok(None);
        }
        let amount = well_formed(flow)?;
        if flow.at.since_ms(clock.utc()) > MAX_AHEAD_MS {
            return Err(Refusal::FromTheFuture);
        }
        if self.flows.forgotten_to.is_some_and(|to| flow.at <= to) {
            return Err(Refusal::Forgotten);
        }
        let Some(reference) = self.reference else {
            // The equity with which the account begins will hold it.
            self.flows.remember(flow, amount, clock);
            return Ok(None);
        };
        let late = self.is_late(flow, amount, reference);
        let left = reference.equity.plus(amount).ok_or(Refusal::Impossible)?;
        if !late && !left.is_positive() {
            self.measure.end_history();
            self.commissioned = false;
            self.shift(Reference { equity: left, ..reference }, amount);
            self.flows.latest = self.flows.latest.max(flow.at);
            said.say(subject, What::Emptied);
        } else {
            self.measure.flow(reference.equity, amount, late)?;
            if !late {
                self.shift(Reference { equity: left, ..reference }, amount);
                self.flows.latest = self.flows.latest.max(flow.at);
            }
        }
        self.flows.remember(flow, amount, clock);
        said.say(subject, What::FlowCounted { id: flow.id.clone(), amount, late });
        Ok(Some(Counted { amount, late }))
    }

    /// Whether the believed samples held the flow before its record came: a small one by its time, a
    /// large one because it was believed as a jump of its size.
    fn is_late(&self, flow: &Flow, amount: Money, reference: Reference) -> bool {
        let large = reference.equity.plus(amount).is_none_or(|sum| reference.equity.differs(sum, JUMP_BPS));
        let was_the_jump = self.jump.is_some_and(|jump| {
            let difference = jump.amount.minus(amount).and_then(|rest| reference.equity.plus(rest));
            jump.at >= flow.at && difference.is_some_and(|sum| !reference.equity.differs(sum, JUMP_BPS))
        });
        flow.at <= reference.at && (!large || was_the_jump)
    }

    /// Moves what is expected by a flow. A suspect word that it explains is suspect no more.
    fn shift(&mut self, reference: Reference, amount: Money) {
        self.reference = Some(reference);
        for seen in self.sources.values_mut() {
            if !seen.trusted {
                seen.trusted = !reference.equity.differs(seen.equity, JUMP_BPS);
            } else if let Some(equity) = seen.equity.plus(amount) {
                seen.equity = equity;
            }
        }
        if self.sources.values().all(|seen| seen.trusted) {
            self.suspicion_ms = None;
        }
    }

    /// Whether nothing good was heard for so long that all orders must go.
    fn must_cancel_for_age(&self, clock: &Clock) -> bool {
        self.commissioned && clock.since(self.heard_ms) >= CANCEL_AGE_MS
    }

    pub(super) fn must_cancel(&self, clock: &Clock) -> bool {
        self.measure.rung() >= Rung::Three || self.must_cancel_for_age(clock)
    }

    /// Every reason of its own against new risk.
    pub(super) fn reasons(&self, clock: &Clock) -> Vec<Reason> {
        let mut why = Vec::new();
        if !self.commissioned {
            why.push(Reason::NotCommissioned);
        } else if !self.measure.has_begun() {
            why.push(Reason::NotBegun);
        }
        if self.measure.rung() >= Rung::Three {
            why.push(Reason::Rung(self.measure.rung()));
        }
        for source in Source::ALL {
            match self.sources.get(&source) {
                None => why.push(Reason::NoSample(source)),
                Some(seen) if clock.since(seen.heard_ms) >= STOP_AGE_MS => {
                    why.push(Reason::Stale { source, age_ms: clock.since(seen.heard_ms) });
                }
                Some(seen) if !seen.trusted => why.push(Reason::Suspect(source)),
                Some(_) => {}
            }
        }
        why
    }

    /// Says what time alone has changed. `why` are all reasons against new risk, the group's included.
    pub(super) fn watch(
        &mut self,
        subject: &Subject,
        why: Vec<Reason>,
        ladder: &Ladder,
        clock: &Clock,
        said: &mut Said,
    ) {
        self.measure.watch(subject, ladder, clock, said);
        let oldest = self.sources.iter().min_by_key(|(_, seen)| seen.heard_ms);
        let stale = oldest.filter(|(_, seen)| clock.since(seen.heard_ms) >= WARN_AGE_MS);
        if let Some((source, _)) = stale.filter(|_| !self.stale) {
            said.say(subject, What::Stale { source: *source });
        }
        self.stale = stale.is_some();
        let stopped = !why.is_empty();
        if stopped != self.stopped {
            self.stopped = stopped;
            said.say(subject, if stopped { What::NewRiskStopped { why } } else { What::NewRiskAllowed });
        }
        let cancelled = self.must_cancel_for_age(clock);
        if cancelled && !self.cancelled {
            said.say(subject, What::CancelAll);
        }
        self.cancelled = cancelled;
    }

    pub(super) fn size_factor(&self, ladder: &Ladder, clock: &Clock) -> SizeFactor {
        self.measure.size_factor(ladder, clock)
    }
}

fn close(left: Seen, right: Seen) -> bool {
    left.at.distance_ms(right.at) <= PAIR_MS && left.heard_ms.abs_diff(right.heard_ms) <= PAIR_MS
}

fn well_formed(flow: &Flow) -> Result<Money, Refusal> {
    let amount = Money::at_least(flow.amount).ok_or(Refusal::Malformed)?;
    let fits = !flow.id.is_empty() && flow.id.len() <= MAX_FLOW_ID && !flow.amount.is_zero();
    let sign = match &flow.kind {
        FlowKind::Deposit | FlowKind::Airdrop => flow.amount.is_positive(),
        FlowKind::Withdrawal => flow.amount.is_negative(),
        FlowKind::Transfer { counterparty } => *counterparty != flow.account,
        FlowKind::Bonus => true,
    };
    (fits && sign).then_some(amount).ok_or(Refusal::Malformed)
}

impl Flows {
    fn remember(&mut self, flow: &Flow, amount: Money, clock: &Clock) {
        if self.recent.len() == FLOWS_REMEMBERED
            && let Some(oldest) = self.recent.pop_front()
        {
            self.forgotten_to = self.forgotten_to.max(Some(oldest.at));
        }
        let (id, at, told_ms) = (flow.id.clone(), flow.at, clock.running_ms());
        self.recent.push_back(Remembered { id, at, amount, told_ms });
    }

    /// Whether `equity` is what was expected before the last flow, or the last few, were told: a balance that
    /// lags behind its ledger. That passes as long as a ledger may lag behind its balance.
    fn undone(&self, expected: Money, equity: Money, clock: &Clock) -> bool {
        let fresh = |counted: &&Remembered| clock.since(counted.told_ms) < LEDGER_WAIT_MS;
        let mut with_flows = Some(equity);
        self.recent.iter().rev().take_while(fresh).any(|counted| {
            with_flows = with_flows.and_then(|sum| sum.plus(counted.amount));
            with_flows.is_some_and(|sum| !expected.differs(sum, JUMP_BPS))
        })
    }
}

/// The account's name as a subject.
pub(super) fn subject(name: &AccountName) -> Subject {
    Subject::Account(name.clone())
}
