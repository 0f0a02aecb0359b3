//! The drawdown ladder: samples of equity in, rungs out. Pure: no I/O, no clock, no randomness.
//!
//! A [`Breaker`] is a function of what it was told: the same [`Told`] lines in their order give the same
//! state. It goes up the ladder by itself, and down only when people say so. What it does not know for
//! sure it takes as a reason against new risk. The definitions in plain words: `docs/watchdog.md`.

mod account;
mod calendar;
mod clock;
mod event;
mod group;
mod input;
mod ladder;
mod measure;
mod rung;
mod sample;
mod standing;
mod unit_value;
mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trading::{AccountName, SizeFactor, Timestamp};

use account::{Account, Taken, subject};
use clock::Clock;
use event::Said;
use group::Group;
use measure::Measure;
use standing::{REDUCED_RATE_BPS, WHOLE_RATE_BPS};

pub use account::{LEDGER_WAIT_MS, RISE_PROBATION_MS};
pub use clock::Now;
pub use event::{Event, Refusal, What};
pub use group::TRANSFER_LIMIT_MS;
pub use input::{
    Config, ConfigError, Flow, FlowKind, Input, MAX_ACCOUNTS, MAX_FLOW_ID, Signed, Subject, Told,
};
pub use ladder::{Ladder, LadderError, ThresholdBps, Thresholds};
pub use rung::{Basis, COOL_OFF_MS, Latch, REDUCED_MS, RESTART_QUORUM, REVIEW_MS, Rung, Trigger};
pub use sample::{CANCEL_AGE_MS, Discard, JUMP_BPS, PAIR_MS, STOP_AGE_MS, Sample, Source, WARN_AGE_MS};
pub use standing::{Reason, Standing, Values};
pub use unit_value::{Money, UnitValue};
pub use window::Span;

/// The state of the ladder for all accounts and the group. Serializes whole; a process that reads it back
/// tells it [`Input::Started`] first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    config: Config,
    clock: Clock,
    accounts: BTreeMap<AccountName, Account>,
    group: Group,
}

impl Breaker {
    /// Knows nothing: every account is halted until it is commissioned.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let clock = Clock::new(now);
        let accounts = config.accounts().keys().map(|name| (name.clone(), Account::new(&clock))).collect();
        Self { config, clock, accounts, group: Group::default() }
    }

    /// The breaker that was told all of `journal` after it began as [`Self::new`].
    #[must_use]
    pub fn replay(config: Config, began: Now, journal: impl IntoIterator<Item = Told>) -> Self {
        let mut breaker = Self::new(config, began);
        for Told { input, now } in journal {
            breaker.step(input, now);
        }
        breaker
    }

    /// Takes one input and says what comes of it, in order. What was told must be durable before any of
    /// it is acted on.
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Event> {
        let had_stepped = self.clock.stepped();
        match &input {
            Input::Started(_) => self.clock.restart(now),
            _ => self.clock.advance(now),
        }
        let mut said = Said::new(self.clock.utc());
        if self.clock.stepped() && !had_stepped {
            said.say_of_all(What::ClockStepped);
        }
        let about = subject_of(&input);
        if let Err(why) = self.take(input, &mut said) {
            let what = What::Refused { why };
            match &about {
                Some(subject) => said.say(subject, what),
                None => said.say_of_all(what),
            }
        }
        self.watch(&mut said);
        said.events
    }

    /// What holds for an account at `now`, which is no earlier than the last step.
    #[must_use]
    pub fn standing(&self, name: &AccountName, now: Now) -> Standing {
        let mut clock = self.clock;
        clock.advance(now);
        let group = &self.group.measure;
        let (Some(account), Some(ladder)) = (self.accounts.get(name), self.config.accounts().get(name))
        else {
            return unknown(name.clone(), clock.utc());
        };
        let rung = account.measure.rung().max(group.rung());
        let why = self.reasons(name, account, &clock);
        let factor = account.size_factor(ladder, &clock).min(group.size_factor(self.config.group(), &clock));
        Standing {
            account: name.clone(),
            at: clock.utc(),
            rung,
            size_factor: factor,
            message_rate_bps: if rung >= Rung::One { REDUCED_RATE_BPS } else { WHOLE_RATE_BPS },
            new_risk: why.is_empty(),
            cancel_all: rung >= Rung::Three || account.must_cancel(&clock),
            kill: rung == Rung::Four,
            why,
            latches: account.measure.latches(),
            group_latches: group.latches(),
            equity: account.equity(),
            values: account.measure.values(),
        }
    }

    /// The group's rung.
    #[must_use]
    pub fn group_rung(&self) -> Rung {
        self.group.measure.rung()
    }

    /// The group's numbers; `None` before all accounts have begun.
    #[must_use]
    pub fn group_values(&self) -> Option<Values> {
        self.group.measure.values()
    }

    fn take(&mut self, input: Input, said: &mut Said) -> Result<(), Refusal> {
        match input {
            Input::Started(config) => self.start(config),
            Input::Tick => Ok(()),
            Input::Sample(sample) => self.sample(&sample, said),
            Input::Flow(flow) => self.flow(&flow, said),
            Input::Acknowledge { subject, rung, tripped_at, signed } => {
                let clock = self.clock;
                self.measure(&subject)?.acknowledge(&subject, rung, tripped_at, &signed, &clock, said)
            }
            Input::Resume { subject, tripped_at, signed } => {
                let clock = self.clock;
                self.measure(&subject)?.resume(&subject, tripped_at, &signed, &clock, said)
            }
            Input::Commission { subject, tripped_at, signed } => {
                self.commission(&subject, tripped_at, &signed, said)
            }
            Input::AcceptClock { signed } => {
                if signed.quorum() == 0 {
                    return Err(Refusal::Quorum { needed: 1 });
                }
                self.clock.accept();
                said.say_of_all(What::ClockAccepted { signed });
                Ok(())
            }
            Input::WriteOffTransfer { id, signed } => {
                if signed.quorum() == 0 {
                    return Err(Refusal::Quorum { needed: 1 });
                }
                let amount = self.group.write_off(&id, &self.accounts)?;
                said.say(&Subject::Group, What::TransferWrittenOff { id, amount, signed });
                Ok(())
            }
        }
    }

    fn start(&mut self, config: Config) -> Result<(), Refusal> {
        let left = self.group.configured(&config, &self.accounts);
        // Whoever takes an account out and in again has to commission it; rungs 3 and 4 even so stay.
        self.accounts.retain(|name, account| {
            config.accounts().contains_key(name) || account.measure.rung() >= Rung::Three
        });
        for name in config.accounts().keys() {
            self.accounts.entry(name.clone()).or_insert_with(|| Account::new(&self.clock));
        }
        self.config = config;
        self.accounts.values_mut().for_each(Account::restarted);
        self.group.measure.restarted();
        left
    }

    fn sample(&mut self, sample: &Sample, said: &mut Said) -> Result<(), Refusal> {
        let ladder = self.config.accounts().get(&sample.account).ok_or(Refusal::UnknownAccount)?;
        let account = self.accounts.get_mut(&sample.account).ok_or(Refusal::UnknownAccount)?;
        let about = subject(&sample.account);
        let taken = account.take(&about, sample, self.config.currency(), ladder, &self.clock, said);
        if taken != Taken::No {
            self.group.look(sample.at, taken, &self.config, &self.accounts, &self.clock, said);
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, said: &mut Said) -> Result<(), Refusal> {
        if !self.config.accounts().contains_key(&flow.account) {
            return Err(Refusal::UnknownAccount);
        }
        if !self.group.has_room(flow, &self.config) {
            return Err(Refusal::TooManyTransfers);
        }
        let before = self.group.equity(&self.accounts);
        let account = self.accounts.get_mut(&flow.account).ok_or(Refusal::UnknownAccount)?;
        if let Some(counted) = account.flow(&subject(&flow.account), flow, &self.clock, said)? {
            self.group.flow(before, flow, counted, &self.config, &self.clock);
        }
        Ok(())
    }

    fn commission(
        &mut self,
        about: &Subject,
        tripped_at: Option<Timestamp>,
        signed: &Signed,
        said: &mut Said,
    ) -> Result<(), Refusal> {
        let clock = self.clock;
        self.measure(about)?.commission(about, tripped_at, signed, &clock, said)?;
        if let Subject::Account(name) = about
            && let Some(account) = self.accounts.get_mut(name)
        {
            account.commissioned(&clock);
        }
        Ok(())
    }

    fn measure(&mut self, about: &Subject) -> Result<&mut Measure, Refusal> {
        match about {
            Subject::Group => Ok(&mut self.group.measure),
            Subject::Account(name) => {
                let known = self.config.accounts().contains_key(name);
                let account = self.accounts.get_mut(name).filter(|_| known);
                account.map(|account| &mut account.measure).ok_or(Refusal::UnknownAccount)
            }
        }
    }

    fn reasons(&self, name: &AccountName, account: &Account, clock: &Clock) -> Vec<Reason> {
        let mut why = account.reasons(clock);
        if clock.stepped() {
            why.push(Reason::ClockStepped);
        }
        let of_group = self.group.reasons(&self.config, &self.accounts, clock);
        // That its own equity is unknown is said by its own reasons.
        why.extend(of_group.into_iter().filter(|reason| *reason != Reason::GroupUnknown(name.clone())));
        why
    }

    /// Says what time has changed, for all.
    fn watch(&mut self, said: &mut Said) {
        self.group.watch(&self.config, &self.clock, said);
        let whys = self.config.accounts().keys().filter_map(|name| {
            Some((name.clone(), self.reasons(name, self.accounts.get(name)?, &self.clock)))
        });
        for (name, why) in whys.collect::<Vec<_>>() {
            if let (Some(account), Some(ladder)) =
                (self.accounts.get_mut(&name), self.config.accounts().get(&name))
            {
                account.watch(&subject(&name), why, ladder, &self.clock, said);
            }
        }
    }
}

fn unknown(account: AccountName, at: Timestamp) -> Standing {
    Standing {
        account,
        at,
        rung: Rung::Zero,
        size_factor: SizeFactor::ONE,
        message_rate_bps: WHOLE_RATE_BPS,
        new_risk: false,
        cancel_all: false,
        kill: false,
        why: vec![Reason::UnknownAccount],
        latches: Vec::new(),
        group_latches: Vec::new(),
        equity: None,
        values: None,
    }
}

fn subject_of(input: &Input) -> Option<Subject> {
    match input {
        Input::Started(_) | Input::Tick | Input::AcceptClock { .. } => None,
        Input::Sample(sample) => Some(subject(&sample.account)),
        Input::Flow(flow) => Some(subject(&flow.account)),
        Input::Acknowledge { subject, .. }
        | Input::Resume { subject, .. }
        | Input::Commission { subject, .. } => Some(subject.clone()),
        Input::WriteOffTransfer { .. } => Some(Subject::Group),
    }
}
