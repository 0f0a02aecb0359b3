//! The drawdown ladder: a breaker that is told things, and a clock to tell them by.

mod flows;
mod paths;
mod reference;
mod restart;
mod rungs;
mod traps;
mod vectors;

use std::collections::BTreeMap;

use trading::{AccountName, Decimal, Timestamp};
use watchdog::breaker::{
    Breaker, Config, Event, Flow, FlowKind, Input, Ladder, Now, Rung, Sample, Signed, Source, Standing,
    Subject, ThresholdBps, Thresholds, Told, What,
};

/// 2026-01-07T12:00:00Z, a Wednesday.
const NOON: u64 = 1_767_787_200_000;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn name(text: &str) -> AccountName {
    AccountName::new(text).expect("a name")
}

fn account(text: &str) -> Subject {
    Subject::Account(name(text))
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn ladder_of(bps: [u16; 4]) -> Ladder {
    let [daily_bps, weekly_bps, monthly_bps, from_high_water_mark_bps] = bps;
    let bps = ThresholdBps { daily_bps, weekly_bps, monthly_bps, from_high_water_mark_bps };
    let thresholds = Thresholds::new(bps).expect("thresholds");
    Ladder::new(thresholds, "0.5".parse().expect("a factor")).expect("a ladder")
}

/// The ladder of the promises: −5, −8, −15 and −18 %.
fn promised() -> Ladder {
    ladder_of([500, 800, 1500, 1800])
}

/// A group ladder that nothing but a whole loss reaches.
fn slack() -> Ladder {
    ladder_of([9999; 4])
}

fn config(accounts: &[&str], ladder: Ladder, group: Ladder) -> Config {
    let accounts: BTreeMap<_, _> = accounts.iter().map(|text| (name(text), ladder)).collect();
    Config::new("USDT", accounts, group).expect("a configuration")
}

fn signed(people: &[&str]) -> Signed {
    Signed { people: people.iter().map(|text| Box::from(*text)).collect(), why: "seen and understood".into() }
}

fn both() -> Signed {
    signed(&["ada", "grace"])
}

/// A breaker, its clocks and all it was told and said.
struct Bench {
    breaker: Breaker,
    config: Config,
    began: Now,
    now: Now,
    journal: Vec<Told>,
    events: Vec<Event>,
    flows: u32,
}

impl Bench {
    fn new(config: Config, utc: u64) -> Self {
        let began = Now { utc: Timestamp::from_ms(utc), monotonic_ms: 5_000_000 };
        let breaker = Breaker::new(config.clone(), began);
        Self { breaker, config, began, now: began, journal: Vec::new(), events: Vec::new(), flows: 0 }
    }

    /// One account `a` with $4,000 and the ladder of the promises, an hour after its commission.
    fn at_4000() -> Self {
        Self::with(promised(), NOON)
    }

    fn with(ladder: Ladder, utc: u64) -> Self {
        let mut bench = Self::new(config(&["a"], ladder, slack()), utc - HOUR);
        bench.commission("a");
        bench.equity("a", "4000");
        bench.pass(HOUR - SECOND);
        bench.equity("a", "4000");
        assert!(bench.standing("a").new_risk, "{:?}", bench.standing("a").why);
        bench
    }

    /// Accounts `a` and `b` with $4,000 each, and the ladder of the promises for the group alone.
    fn group() -> Self {
        let mut bench = Self::new(config(&["a", "b"], slack(), promised()), NOON - HOUR);
        for account in ["a", "b"] {
            bench.commission(account);
        }
        bench.equities("4000", "4000");
        bench.pass(HOUR - 2 * SECOND);
        bench.equities("4000", "4000");
        assert!(bench.standing("a").new_risk, "{:?}", bench.standing("a").why);
        bench
    }

    fn tell(&mut self, input: Input) -> Vec<Event> {
        self.journal.push(Told { input: input.clone(), now: self.now });
        let said = self.breaker.step(input, self.now);
        self.events.extend(said.iter().cloned());
        said
    }

    /// Lets both clocks go on, silently.
    fn pass(&mut self, ms: u64) {
        self.now.utc = Timestamp::from_ms(self.now.utc.as_ms() + ms);
        self.now.monotonic_ms += ms;
    }

    fn pass_until(&mut self, utc: u64) {
        self.pass(utc - self.now.utc.as_ms());
    }

    fn tick(&mut self) -> Vec<Event> {
        self.tell(Input::Tick)
    }

    fn commission(&mut self, account: &str) -> Vec<Event> {
        let subject = Subject::Account(name(account));
        self.tell(Input::Commission { subject, tripped_at: None, signed: both() })
    }

    /// A good sample, just made, with the ledger read up to it.
    fn good(&self, account: &str, source: Source, equity: &str) -> Sample {
        Sample {
            account: name(account),
            source,
            currency: "USDT".into(),
            at: self.now.utc,
            received: self.now.utc,
            equity: decimal(equity),
            cross_check: Some(decimal(equity)),
            complete: true,
            ledger_read_to: self.now.utc,
        }
    }

    fn sample(&mut self, account: &str, source: Source, equity: &str) -> Vec<Event> {
        let sample = self.good(account, source, equity);
        self.tell(Input::Sample(sample))
    }

    /// Both sources say the same, half a second apart; a second passes.
    fn equity(&mut self, account: &str, equity: &str) -> Vec<Event> {
        let mut said = Vec::new();
        for source in Source::ALL {
            self.pass(SECOND / 2);
            said.extend(self.sample(account, source, equity));
        }
        said
    }

    fn equities(&mut self, a: &str, b: &str) -> Vec<Event> {
        let mut said = self.equity("a", a);
        said.extend(self.equity("b", b));
        said
    }

    fn flow(&mut self, account: &str, amount: &str) -> Vec<Event> {
        let at = self.now.utc;
        self.flow_at(account, amount, at)
    }

    fn flow_at(&mut self, account: &str, amount: &str, at: Timestamp) -> Vec<Event> {
        self.flows += 1;
        let amount = decimal(amount);
        let kind = if amount.is_positive() { FlowKind::Deposit } else { FlowKind::Withdrawal };
        let id = format!("flow-{}", self.flows).into();
        self.tell(Input::Flow(Flow { account: name(account), id, at, amount, kind }))
    }

    fn transfer(&mut self, id: &str, account: &str, counterparty: &str, amount: &str) -> Vec<Event> {
        let kind = FlowKind::Transfer { counterparty: name(counterparty) };
        let (at, amount) = (self.now.utc, decimal(amount));
        self.tell(Input::Flow(Flow { account: name(account), id: id.into(), at, amount, kind }))
    }

    fn standing(&self, account: &str) -> Standing {
        self.breaker.standing(&name(account), self.now)
    }

    fn rung(&self, account: &str) -> Rung {
        self.standing(account).rung
    }

    /// When the account's highest own rung was reached.
    fn tripped_at(&self, account: &str) -> Timestamp {
        self.standing(account).latches.first().expect("a rung holds").1.tripped_at
    }

    fn acknowledge(&mut self, subject: Subject, rung: Rung, tripped_at: Timestamp) -> Vec<Event> {
        self.tell(Input::Acknowledge { subject, rung, tripped_at, signed: signed(&["ada"]) })
    }

    /// Quiet time up to a second before `until`: both sources say `equity` around each full hour.
    fn quiet(&mut self, account: &str, equity: &str, until: u64) {
        for _ in 0..2000 {
            let next = ((self.now.utc.as_ms() + 2 * SECOND) / HOUR + 1) * HOUR;
            if next >= until {
                self.pass((until - 2 * SECOND).saturating_sub(self.now.utc.as_ms()));
                self.equity(account, equity);
                return;
            }
            self.pass_until(next - 2 * SECOND);
            self.equity(account, equity);
            self.pass(SECOND);
            self.equity(account, equity);
        }
        panic!("too far away");
    }

    /// The same state comes of the same journal, and of reading it back.
    fn check_replay(&self) {
        let replayed = Breaker::replay(self.config.clone(), self.began, self.journal.iter().cloned());
        assert_eq!(replayed, self.breaker);
        let text = serde_json::to_string(&self.breaker).expect("text");
        assert_eq!(serde_json::from_str::<Breaker>(&text).expect("a state"), self.breaker);
    }
}

/// What was said of `subject`, without the rest.
fn whats(events: &[Event], subject: &Subject) -> Vec<What> {
    events
        .iter()
        .filter(|event| event.subject.as_ref() == Some(subject))
        .map(|event| event.what.clone())
        .collect()
}

fn reached(events: &[Event]) -> Vec<Rung> {
    let rung = |event: &Event| match event.what {
        What::RungReached { rung, .. } => Some(rung),
        _ => None,
    };
    events.iter().filter_map(rung).collect()
}
