//! The vault's state machine: no I/O, no clock, no randomness of its own.
//!
//! The same inputs give the same outputs, so the log replayed gives the same decisions.

mod commands;
pub(crate) mod epoch;
mod leases;
mod refusals;
mod reports;
pub mod snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use policy::{Context, Decision, Policy, Recorded as PolicyRecord, State, VenueEvent};
use protocol::admin::AdminReply;
use protocol::sign::{DenialText, ErrorCode, ErrorText};
use trading::{AccountName, Instrument, SizeFactor, Timestamp, TradingState};

use crate::detail::{Detail, Event};
use crate::recorder::{Recorder, Salt};
use crate::request::{self, Asked, Caller};
use crate::signer::Signer;
pub(crate) use snapshot::{Gathered, OPERATION as STATE_OPERATION};

use crate::ticket::{DurableBelow, Recorded, ReleasedReply, Verdict};

/// Most decisions that may wait for the disk; more are refused as unavailable.
pub(crate) const MAX_WAITING: usize = 4096;
/// Operators' commands that may wait beyond that: a halt is heard when nothing else is.
const OPERATORS_ROOM: usize = 64;

/// When a signature may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After its record is synced to disk.
    #[default]
    Disk,
    /// At once, while at most [`Durability::WINDOW_RECORDS`] records are not synced, none of them
    /// for longer than [`Durability::WINDOW`].
    Pipelined,
}

impl Durability {
    /// Most records that may be released before they are synced, in pipelined mode.
    pub const WINDOW_RECORDS: u64 = 64;
    /// Longest time a record may be released before it is synced, in pipelined mode.
    pub const WINDOW: Duration = Duration::from_millis(20);

    /// How long the journal lets records gather after a sync before it looks for more: a fortieth of
    /// the window where nobody waits for the sync, not at all where somebody does.
    #[must_use]
    pub const fn sync_pause(self) -> Duration {
        match self {
            Self::Disk => Duration::ZERO,
            Self::Pipelined => Duration::from_nanos(Self::WINDOW.as_nanos() as u64 / 40),
        }
    }
}

/// Names a caller's connection; the core only hands it back.
pub(crate) type CallerToken = usize;

/// What the world tells the core.
pub(crate) enum Input<'a> {
    /// A line from a bot or the gateway.
    Line { from: CallerToken, caller: Caller, line: &'a [u8], salt: Salt },
    /// More than a line may hold; the caller is not heard any further.
    TooLong { from: CallerToken },
    /// A line from a watchdog.
    Lease { from: CallerToken, line: &'a [u8], salt: Salt },
    /// A line from an operator's command.
    Command { from: CallerToken, uid: u32, line: &'a [u8], salt: Salt },
    /// The journal's acknowledgement.
    Durable(DurableBelow),
}

/// What the core tells the world, in this order.
pub(crate) enum Output {
    /// Make this record durable.
    Append { index: u64, body: Vec<u8>, detail: Vec<u8> },
    /// Tell this caller. `index` is the record it is about, if there is one.
    Reply { to: CallerToken, index: Option<u64>, line: Vec<u8> },
}

/// One reply that has not left, in the order of the requests.
#[expect(clippy::large_enum_variant, reason = "nearly all are records, and they stay in their queue")]
enum Waiting {
    /// Waits for the disk.
    Record { to: CallerToken, recorded: Recorded },
    /// Waits only for those before it.
    Line { to: CallerToken, line: Vec<u8> },
}

/// Decisions and refusals since start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) approved: u64,
    pub(crate) denied: u64,
    pub(crate) released: u64,
    pub(crate) rejected: u64,
    pub(crate) errors: u64,
}

/// What operators last set for all accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Everywhere {
    /// What every account may do.
    pub trading: TradingState,
    /// What its limits on size are multiplied with.
    pub size_factor: SizeFactor,
}

/// The vault's whole memory.
pub(crate) struct Core {
    policy: Policy,
    signer: Signer,
    /// The counters of each account that any record is about, also of those no longer in the policy:
    /// an account that leaves it and comes back has its budget and its trading state still.
    states: BTreeMap<AccountName, State>,
    /// What was last set for all accounts; those without a record yet start with it.
    everywhere: Everywhere,
    /// What the venue said of each account's orders since its last record.
    heard: BTreeMap<AccountName, Vec<VenueEvent>>,
    context: Context,
    leases: leases::Leases,
    /// Until when no live lease runs out.
    leases_hold_until: Option<Timestamp>,
    recorder: Recorder,
    waiting: VecDeque<Waiting>,
    durable: u64,
    durability: Durability,
    /// Nothing runs ahead of the disk before records below this are on it.
    ahead_from: u64,
    counts: Counts,
    /// How many records a block has; tests take shorter ones.
    state_every: u64,
    /// From this index on the counters are to be written down.
    state_due: u64,
    /// Planted faults of `crate::sim`.
    #[cfg(feature = "sim")]
    pub(crate) forgets_counters: bool,
    #[cfg(feature = "sim")]
    pub(crate) counts_at_release: bool,
    #[cfg(feature = "sim")]
    uncounted: VecDeque<(u64, PolicyRecord)>,
}

impl Core {
    /// A core that has seen nothing yet. `recorder` continues the log where it ended.
    pub(crate) fn new(policy: Policy, signer: Signer, recorder: Recorder, durability: Durability) -> Self {
        let durable = recorder.next_index();
        Self {
            policy,
            signer,
            states: BTreeMap::new(),
            everywhere: Everywhere::default(),
            heard: BTreeMap::new(),
            context: Context::default(),
            leases: leases::Leases::default(),
            leases_hold_until: None,
            recorder,
            waiting: VecDeque::new(),
            durable,
            durability,
            ahead_from: 0,
            counts: Counts::default(),
            state_every: Self::STATE_EVERY,
            state_due: Self::STATE_EVERY,
            #[cfg(feature = "sim")]
            forgets_counters: false,
            #[cfg(feature = "sim")]
            counts_at_release: false,
            #[cfg(feature = "sim")]
            uncounted: VecDeque::new(),
        }
    }

    /// Takes one input at time `now`; appends what follows from it to `out`.
    ///
    /// A clock that steps back is held at the latest time seen: budgets and windows never reopen.
    /// Returns whether the caller is due a reply, now or later.
    #[expect(clippy::needless_pass_by_value, reason = "an input is used up")]
    pub(crate) fn step(&mut self, input: Input<'_>, now: Timestamp, out: &mut Vec<Output>) -> bool {
        self.context.now = self.context.now.max(now);
        match input {
            Input::Line { from, caller, line, salt } => {
                self.let_leases_run_out(salt, out);
                let is_due_a_reply = self.line(from, caller, line, salt, out);
                self.write_down_state_if_due(salt, out);
                return is_due_a_reply;
            }
            Input::TooLong { from } => {
                let error = request::malformed(protocol::line::LineTooLong.to_string());
                self.answer(from, request::error_line(None, error), out);
            }
            Input::Lease { from, line, salt } => {
                self.let_leases_run_out(salt, out);
                self.lease(from, line, salt, out);
                self.write_down_state_if_due(salt, out);
            }
            Input::Command { from, uid, line, salt } => {
                self.let_leases_run_out(salt, out);
                self.command(from, uid, line, salt, out);
                self.write_down_state_if_due(salt, out);
            }
            Input::Durable(below) => {
                self.durable(below, out);
                return false;
            }
        }
        true
    }

    /// Whether no more decisions should be brought until the disk has caught up.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING || self.recorder.kept() >= 2 * MAX_WAITING
    }

    /// Whether not even operators' commands should be brought.
    pub(crate) fn is_full_for_operators(&self) -> bool {
        self.waiting.len() >= MAX_WAITING + OPERATORS_ROOM
    }

    /// When signatures may leave.
    pub(crate) const fn durability(&self) -> Durability {
        self.durability
    }

    /// Hash of the policy in force.
    pub(crate) fn policy_hash(&self) -> [u8; 32] {
        self.policy.hash()
    }

    /// The counters of each account, and the state of accounts that have none.
    #[cfg(feature = "sim")]
    pub(crate) const fn counters(&self) -> (&BTreeMap<AccountName, State>, TradingState) {
        (&self.states, self.everywhere.trading)
    }

    /// Whether replies wait for the disk.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The recorder, for the leaves that are still to be signed and the frames to be sent again.
    pub(crate) fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Takes a line; returns whether it has a reply.
    fn line(
        &mut self,
        from: CallerToken,
        caller: Caller,
        line: &[u8],
        salt: Salt,
        out: &mut Vec<Output>,
    ) -> bool {
        let parsed = match self.read_line(line, caller) {
            Ok(parsed) => parsed,
            Err((id, why)) => {
                self.turn_down(from, id, why, salt, out);
                return true;
            }
        };
        if caller.is_gateway() {
            if let Some(report) = &parsed.report {
                self.report(report, salt, out);
                return false;
            }
            if let Some(listed) = parsed.listed {
                self.listed(listed, salt, out);
                return false;
            }
            if let Some(held) = parsed.held {
                self.held(held, salt, out);
                return false;
            }
            if let Some(marks) = &parsed.marks {
                self.take_marks(marks);
                return false;
            }
        }
        let id = parsed.id.map(ToOwned::to_owned);
        match request::resolve(parsed, caller, &self.policy, self.context.now) {
            Ok(asked) => self.decide(from, id, &asked, salt, out),
            Err(why) => self.turn_down(from, id, why, salt, out),
        }
        true
    }

    /// The way of one order: decode, judge, sign, record.
    fn decide(
        &mut self,
        from: CallerToken,
        id: Option<Box<serde_json::value::RawValue>>,
        asked: &Asked,
        salt: Salt,
        out: &mut Vec<Output>,
    ) {
        if let Err(error) = self.room() {
            return self.answer(from, request::error_line(id, error), out);
        }
        let intent = match venue::decode(&asked.unsigned) {
            Ok(intent) => intent,
            Err(error) => {
                let code = if error.is_endpoint() { "not_signable" } else { "not_decoded" };
                let denial = DenialText { code: code.into(), text: error.to_string() };
                let detail = Detail::undecoded(asked, &denial.text);
                return self.record(from, id, detail, Verdict::Denied(vec![denial]), salt, out);
            }
        };
        // `resolve` takes only accounts of the policy.
        let state = state_of(&mut self.states, self.everywhere, &asked.account);
        let request = asked.policy_request(intent);
        let (verdict, detail) = match policy::evaluate(&self.policy, state, request, &self.context) {
            Decision::Approve(approved) => {
                let detail = Detail::approved(asked, approved.recorded(), &self.context.mark_prices);
                let first_order = state.next_order();
                match self.signer.sign(&approved, asked, first_order) {
                    Ok(signed) => {
                        #[cfg(feature = "sim")]
                        if self.counts_at_release {
                            let index = self.recorder.next_index();
                            self.uncounted.push_back((index, approved.recorded().clone()));
                        } else {
                            state.commit(&approved);
                        }
                        #[cfg(not(feature = "sim"))]
                        state.commit(&approved);
                        (Verdict::Approved(signed), detail)
                    }
                    Err(error) => (Verdict::Failed(error), detail),
                }
            }
            Decision::Deny(denied) => {
                let detail = Detail::denied(asked, denied.intent(), &self.context.mark_prices);
                let denials = denied
                    .denials()
                    .iter()
                    .map(|denial| DenialText { code: denial.code().to_owned(), text: denial.to_string() })
                    .collect();
                (Verdict::Denied(denials), detail)
            }
        };
        self.record(from, id, detail, verdict, salt, out);
    }

    fn record(
        &mut self,
        from: CallerToken,
        id: Option<Box<serde_json::value::RawValue>>,
        mut detail: Detail,
        mut verdict: Verdict,
        salt: Salt,
        out: &mut Vec<Output>,
    ) {
        match &mut verdict {
            Verdict::Approved(_) => self.counts.approved += 1,
            Verdict::Denied(denials) => {
                self.counts.denied += 1;
                crate::recorder::bound(denials);
            }
            Verdict::Failed(_) => self.counts.errors += 1,
            Verdict::Event => {}
        }
        detail.heard = self.heard.remove(&detail.account).unwrap_or_default();
        let state_digest = state_of(&mut self.states, self.everywhere, &detail.account).digest();
        let heading = crate::recorder::Heading {
            time: self.context.now,
            actor: detail.bot.as_str(),
            account: Some(detail.account.as_str()),
            operation: detail.operation(),
            policy_hash: self.policy.hash(),
            state_digest,
        };
        let (frame, recorded) = self.recorder.record(&heading, detail.bytes(), verdict, id, salt);
        out.push(frame);
        self.enqueue(from, recorded, out);
    }

    fn enqueue(&mut self, to: CallerToken, recorded: Recorded, out: &mut Vec<Output>) {
        self.waiting.push_back(Waiting::Record { to, recorded });
        #[cfg(test)]
        if tests::crash::releases_before_acknowledgement() {
            return self.release(DurableBelow::within_window(u64::MAX), out);
        }
        if self.durability == Durability::Pipelined {
            self.release(self.window(), out);
        }
    }

    /// What may leave now: what is durable, and in pipelined mode what the window allows beyond.
    fn window(&self) -> DurableBelow {
        let waited_ms = self.recorder.oldest_unsynced().map_or(0, |time| self.context.now.since_ms(time));
        let open = self.durability == Durability::Pipelined
            && self.durable >= self.ahead_from
            && u128::from(waited_ms) <= Durability::WINDOW.as_millis();
        DurableBelow::within_window(self.durable + if open { Durability::WINDOW_RECORDS } else { 0 })
    }

    fn durable(&mut self, below: DurableBelow, out: &mut Vec<Output>) {
        self.durable = self.durable.max(below.index());
        self.recorder.note_durable(self.durable);
        self.release(self.window(), out);
        // Only now: a reply names its record's leaf.
        self.recorder.forget_durable();
    }

    /// Lets out, in order, everything that `below` covers.
    fn release(&mut self, below: DurableBelow, out: &mut Vec<Output>) {
        while let Some(first) = self.waiting.pop_front() {
            match first {
                Waiting::Line { to, line } => out.push(Output::Reply { to, index: None, line }),
                Waiting::Record { to, recorded } => match recorded.durable(below) {
                    Ok(durable) => self.let_out(to, durable, out),
                    Err(recorded) => {
                        self.waiting.push_front(Waiting::Record { to, recorded: *recorded });
                        return;
                    }
                },
            }
        }
    }

    fn let_out(&mut self, to: CallerToken, durable: crate::ticket::Durable, out: &mut Vec<Output>) {
        let index = durable.index();
        #[cfg(feature = "sim")]
        while let Some((_, late)) = self.uncounted.pop_front_if(|(first, _)| *first <= index) {
            state_of(&mut self.states, self.everywhere, &late.account).restore(&late);
        }
        let leaf = self.recorder.leaf_hash(index).expect("a record is kept until its reply is out");
        let released = durable.release(self.durable, leaf);
        self.counts.released += u64::from(released.signed);
        let line = match released.reply {
            ReleasedReply::Line(reply) => crate::json(&reply),
            ReleasedReply::Event(record) => crate::json(&AdminReply::Done { record }),
        };
        out.push(Output::Reply { to, index: Some(index), line });
    }

    /// Answers without a record; waits its turn behind earlier requests.
    fn answer(&mut self, to: CallerToken, line: Vec<u8>, out: &mut Vec<Output>) {
        self.counts.errors += 1;
        self.say(to, line, out);
    }

    /// Says something that is about no record: at once, unless this caller waits for something else.
    fn say_at_once(&mut self, to: CallerToken, line: Vec<u8>, out: &mut Vec<Output>) {
        let waits = self.waiting.iter().any(|waiting| match waiting {
            Waiting::Record { to: other, .. } | Waiting::Line { to: other, .. } => *other == to,
        });
        if waits {
            self.waiting.push_back(Waiting::Line { to, line });
        } else {
            out.push(Output::Reply { to, index: None, line });
        }
    }

    fn say(&mut self, to: CallerToken, line: Vec<u8>, out: &mut Vec<Output>) {
        if self.waiting.is_empty() {
            out.push(Output::Reply { to, index: None, line });
        } else {
            self.waiting.push_back(Waiting::Line { to, line });
        }
    }

    fn room(&self) -> Result<(), ErrorText> {
        if self.is_full() {
            return Err(ErrorText {
                code: ErrorCode::Unavailable,
                message: format!("{MAX_WAITING} records wait for the disk; try again"),
            });
        }
        Ok(())
    }

    fn note(&mut self, actor: &str, event: &Event, salt: Salt) -> (Output, Recorded) {
        let heading = crate::recorder::Heading {
            time: self.context.now,
            actor,
            account: event.account(),
            operation: event.kind(),
            policy_hash: self.policy.hash(),
            state_digest: [0; 32],
        };
        self.recorder.record(&heading, event.bytes(), Verdict::Event, None, salt)
    }

    fn put_state(&mut self, state: TradingState, account: Option<&AccountName>) {
        match account {
            Some(account) => {
                state_of(&mut self.states, self.everywhere, account).set_trading_state(state);
            }
            None => {
                self.everywhere.trading = state;
                self.states.values_mut().for_each(|own| own.set_trading_state(state));
            }
        }
    }

    fn put_size_factor(&mut self, factor: SizeFactor, account: Option<&AccountName>) {
        match account {
            Some(account) => {
                state_of(&mut self.states, self.everywhere, account).set_size_factor(factor);
            }
            None => {
                self.everywhere.size_factor = factor;
                self.states.values_mut().for_each(|own| own.set_size_factor(factor));
            }
        }
    }

    /// No lease outlives its epoch.
    fn forget_leases(&mut self) {
        for state in self.states.values_mut().filter(|state| state.lent().is_some()) {
            state.set_lent(None);
        }
    }

    /// Applies a record of an earlier epoch, in the order of the log: the counters are then what
    /// they were when it was made.
    pub(crate) fn restore(&mut self, body: &transparency::Body, past: Past) {
        self.context.now = self.context.now.max(body.time);
        #[cfg(feature = "sim")]
        if self.forgets_counters {
            return;
        }
        match past {
            Past::Decision { account, heard, approved } => {
                let state = state_of(&mut self.states, self.everywhere, &account);
                heard.iter().for_each(|event| state.observe(event));
                if let Some(recorded) = approved {
                    state.restore(&recorded);
                }
            }
            Past::State { state, account } => self.put_state(state, account.as_ref()),
            Past::SizeFactor { factor, account } => self.put_size_factor(factor, account.as_ref()),
            Past::Lent { account, lent } => {
                state_of(&mut self.states, self.everywhere, &account).set_lent(lent);
            }
            Past::Epoch => self.forget_leases(),
            Past::Nothing => {}
        }
    }
}

/// What a record of an earlier epoch means for the counters.
pub(crate) enum Past {
    /// A request was decided.
    Decision {
        account: AccountName,
        /// What the venue had said of the account's orders since the record before.
        heard: Vec<VenueEvent>,
        /// What was signed, if anything.
        approved: Option<Box<PolicyRecord>>,
    },
    /// The trading state was set, for one account or for all.
    State { state: TradingState, account: Option<AccountName> },
    /// The size factor was set, for one account or for all.
    SizeFactor { factor: SizeFactor, account: Option<AccountName> },
    /// What leases allow an account changed.
    Lent { account: AccountName, lent: Option<policy::Lent> },
    /// An epoch began: without leases.
    Epoch,
    /// Nothing.
    Nothing,
}

/// The counters of `account`, new ones if no record was about it yet. Made at an account's first
/// record, so that the log alone says when.
fn state_of<'a>(
    states: &'a mut BTreeMap<AccountName, State>,
    everywhere: Everywhere,
    account: &AccountName,
) -> &'a mut State {
    states.entry(account.clone()).or_insert_with(|| {
        let mut state = State::new(account.clone());
        if everywhere.trading != TradingState::Active {
            state.set_trading_state(everywhere.trading);
        }
        if !everywhere.size_factor.is_one() {
            state.set_size_factor(everywhere.size_factor);
        }
        state
    })
}

/// Whether any account of `policy` may trade `instrument`.
fn names(policy: &Policy, instrument: &Instrument) -> bool {
    policy.accounts().any(|(_, account)| account.instruments().any(|own| own == instrument))
}

#[cfg(test)]
mod tests;
