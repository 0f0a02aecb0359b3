//! Ten thousand random equity paths with everything that goes wrong on the way.

use std::collections::BTreeMap;

use watchdog::breaker::{Reason, STOP_AGE_MS};

use super::reference::Random;
use super::*;

/// What the test itself knows of the truth and of what was told.
struct Path {
    bench: Bench,
    random: Random,
    seed: u64,
    /// Thousandths of a dollar, of accounts `a` and `b`.
    equity: [u64; 2],
    /// When each source of each account last told something of good form, by the monotonic clock of the test.
    told: BTreeMap<(usize, Source), u64>,
    /// The test's own clock, which nothing steps.
    clock: u64,
    ledger_lags: bool,
    stepped: bool,
    /// Which rungs held before this step: of `a`, of `b`, of the group.
    rungs: [Vec<Rung>; 3],
    acknowledged: Vec<(Subject, Rung)>,
    reached: u32,
    denied: u32,
}

const NAMES: [&str; 2] = ["a", "b"];

impl Path {
    fn begin(seed: u64) -> Self {
        let mut bench = Bench::new(config(&NAMES, promised(), promised()), NOON);
        NAMES.iter().for_each(|account| {
            bench.commission(account);
        });
        bench.equities("4000", "4000");
        assert!(bench.standing("a").new_risk);
        Self {
            clock: 1_000_000,
            told: BTreeMap::new(),
            bench,
            random: Random(seed),
            seed,
            equity: [4_000_000; 2],
            ledger_lags: false,
            stepped: false,
            rungs: [Vec::new(), Vec::new(), Vec::new()],
            acknowledged: Vec::new(),
            reached: 0,
            denied: 0,
        }
    }

    fn pass(&mut self, ms: u64) {
        self.bench.pass(ms);
        self.clock += ms;
    }

    fn text(thousandths: u64) -> String {
        Decimal::new(i128::from(thousandths), 3).expect("three digits").to_string()
    }

    fn good(&self, account: usize, source: Source) -> Sample {
        let mut sample = self.bench.good(NAMES[account], source, &Self::text(self.equity[account]));
        if self.ledger_lags {
            sample.ledger_read_to = Timestamp::from_ms(sample.at.as_ms() - 5000);
        }
        sample
    }

    fn tell(&mut self, input: Input) {
        let said = self.bench.tell(input);
        self.reached += u32::try_from(reached(&said).len()).expect("few");
        self.check();
    }

    /// A sample of each source, or something that pretends to be one.
    fn sample(&mut self, account: usize, source: Source) {
        let good = self.good(account, source);
        let wrong = |thousandths: u64| Some(decimal(&Self::text(thousandths)));
        let there = self.equity[account];
        let sample = match self.random.below(30) {
            0 => return, // lost
            1 => Sample { complete: false, equity: wrong(there / 2).expect("some"), ..good },
            2 => Sample { equity: wrong(there / 2).expect("some"), ..good }, // its own sum says so too late
            3 => Sample { at: Timestamp::from_ms(good.at.as_ms() - 40_000), ..good },
            4 => Sample { at: Timestamp::from_ms(good.at.as_ms() + 60_000), ..good },
            5 => Sample { currency: "USDC".into(), ..good },
            // A wick, of the equity and of the own sum: below one and a half times any rung, or far above.
            6 => {
                let equity = there * (960 + self.random.below(200)) / 1000;
                let equity = decimal(&Self::text(equity));
                // Its form is good, and should both sources say so, nobody can know better.
                self.told.insert((account, source), self.clock);
                Sample { equity, cross_check: Some(equity), ..good }
            }
            _ => {
                if self.random.one_in(12) {
                    self.tell(Input::Sample(good.clone()));
                }
                self.told.insert((account, source), self.clock);
                good
            }
        };
        self.tell(Input::Sample(sample));
    }

    fn step(&mut self) {
        let kind = self.random.below(60);
        let ms = [200, 900, 2000, 5000][usize::try_from(self.random.below(4)).expect("few")];
        self.pass(ms);
        match kind {
            0 => self.pass(40 * SECOND),
            1 => self.pass(130 * SECOND),
            2 => self.pass(7 * HOUR),
            3 => self.restart(),
            4 => {
                let utc = self.bench.now.utc.as_ms();
                let step = if self.random.one_in(2) { utc + 3000 } else { utc - 3000 };
                self.bench.now.utc = Timestamp::from_ms(step);
                self.stepped = true;
                self.tell(Input::Tick);
            }
            5 => {
                self.stepped = false;
                self.tell(Input::AcceptClock { signed: signed(&["ada"]) });
            }
            6 => self.ledger_lags = !self.ledger_lags,
            7 | 8 => self.deposit(),
            9 | 10 => self.transfer(),
            11 => self.acknowledge(),
            12 => self.forge(),
            _ => {}
        }
        for account in 0..2 {
            let moved = self.equity[account] * self.random.below(12) / 1000;
            let down = self.random.below(5) < 3;
            self.equity[account] =
                if down { self.equity[account] - moved } else { self.equity[account] + moved };
            if self.random.one_in(150) {
                self.equity[account] = self.equity[account] * 4 / 5;
            }
            let first = usize::try_from(self.random.below(2)).expect("few");
            self.pass(300);
            self.sample(account, Source::ALL[first]);
            self.pass(300);
            self.sample(account, Source::ALL[1 - first]);
        }
    }

    fn restart(&mut self) {
        let text = serde_json::to_string(&self.bench.breaker).expect("text");
        self.bench.breaker = serde_json::from_str(&text).expect("a state");
        self.bench.now.monotonic_ms = self.random.below(1000);
        self.told.clear();
        self.tell(Input::Started(self.bench.config.clone()));
    }

    fn deposit(&mut self) {
        let account = usize::try_from(self.random.below(2)).expect("few");
        let amount = self.equity[account] / (1 + self.random.below(30));
        let text = Self::text(amount);
        if self.random.one_in(2) {
            self.equity[account] += amount;
            self.bench.flow(NAMES[account], &text);
            self.check();
        } else if amount * 2 < self.equity[account] {
            self.equity[account] -= amount;
            self.bench.flow(NAMES[account], &format!("-{text}"));
            self.check();
        }
    }

    fn transfer(&mut self) {
        let from = usize::try_from(self.random.below(2)).expect("few");
        let amount = self.equity[from] / (2 + self.random.below(30));
        self.equity[from] -= amount;
        self.equity[1 - from] += amount;
        let id = format!("t-{}", self.clock);
        let text = Self::text(amount);
        self.bench.transfer(&id, NAMES[from], NAMES[1 - from], &format!("-{text}"));
        self.check();
        self.bench.transfer(&id, NAMES[1 - from], NAMES[from], &text);
        self.check();
    }

    fn subjects() -> [Subject; 3] {
        [account("a"), account("b"), Subject::Group]
    }

    fn latches(&self, subject: usize) -> Vec<(Rung, Timestamp)> {
        let latches = match subject {
            0 | 1 => self.bench.standing(NAMES[subject]).latches,
            _ => self.bench.standing("a").group_latches,
        };
        latches.into_iter().map(|(rung, latch)| (rung, latch.tripped_at)).collect()
    }

    fn acknowledge(&mut self) {
        for (at, subject) in Self::subjects().into_iter().enumerate() {
            for (rung, tripped_at) in self.latches(at) {
                if rung < Rung::Three {
                    self.acknowledged.push((subject.clone(), rung));
                }
                let signed = signed(&["ada"]);
                self.tell(Input::Acknowledge { subject: subject.clone(), rung, tripped_at, signed });
            }
        }
    }

    /// Directives that must lift nothing: too few people, too early, about another time.
    fn forge(&mut self) {
        for (at, subject) in Self::subjects().into_iter().enumerate() {
            for (rung, tripped_at) in self.latches(at) {
                if rung < Rung::Three {
                    continue;
                }
                let subject = subject.clone();
                let later = Timestamp::from_ms(tripped_at.as_ms() + 1);
                let input = match self.random.below(4) {
                    0 => Input::Resume { subject, tripped_at, signed: signed(&["ada", "ada"]) },
                    1 => Input::Resume { subject, tripped_at: later, signed: both() },
                    2 => Input::Commission { subject, tripped_at: None, signed: both() },
                    _ => Input::Commission { subject, tripped_at: Some(later), signed: both() },
                };
                self.tell(input);
            }
        }
    }

    /// All that must hold after whatever was told.
    fn check(&mut self) {
        let seed = self.seed;
        for (at, subject) in Self::subjects().into_iter().enumerate() {
            let held: Vec<Rung> = self.latches(at).into_iter().map(|(rung, _)| rung).collect();
            for gone in self.rungs[at].iter().filter(|rung| !held.contains(rung)) {
                let seen = self.acknowledged.contains(&(subject.clone(), *gone));
                assert!(
                    seen && *gone < Rung::Three,
                    "seed {seed}: {gone:?} of {subject:?} cleared by itself"
                );
                self.acknowledged.retain(|key| *key != (subject.clone(), *gone));
            }
            self.rungs[at] = held;
        }
        let highest = |at: usize| self.rungs[at].first().copied().unwrap_or(Rung::Zero);
        for (at, account) in NAMES.into_iter().enumerate() {
            let standing = self.bench.standing(account);
            assert_eq!(standing.new_risk, standing.why.is_empty());
            let rung = highest(at).max(highest(2));
            assert_eq!(standing.rung, rung, "seed {seed}");
            if !standing.new_risk {
                self.denied += 1;
                continue;
            }
            assert!(rung < Rung::Three, "seed {seed}: new risk on {rung:?}");
            assert!(!standing.cancel_all && !standing.kill);
            assert!(!self.stepped, "seed {seed}: new risk while the clock is doubted");
            let half = "0.5".parse().expect("a factor");
            assert!(rung < Rung::Two || standing.size_factor <= half, "seed {seed}");
        }
        // Nothing of good form told for longer than it stays fresh, nothing allowed.
        let newest = self.told.values().max().copied();
        if newest.is_some_and(|newest| self.clock - newest >= STOP_AGE_MS) {
            assert!(!self.bench.standing("a").new_risk, "seed {seed}: new risk without knowledge");
        }
    }

    /// What both sources of an account say twice, while nothing is wrong, is acted on.
    fn settle(&mut self) {
        self.ledger_lags = false;
        self.stepped = false;
        self.tell(Input::AcceptClock { signed: signed(&["ada"]) });
        self.pass(15 * SECOND);
        for _ in 0..3 {
            for account in 0..2 {
                for source in Source::ALL {
                    self.pass(300);
                    let good = self.good(account, source);
                    self.told.insert((account, source), self.clock);
                    self.tell(Input::Sample(good));
                }
            }
        }
        for account in NAMES {
            let standing = self.bench.standing(account);
            let own = standing.latches.first().map_or(Rung::Zero, |(rung, _)| *rung);
            let values = standing.values.expect("begun");
            let (value, mark) = (values.value.billionths(), values.high_water_mark.billionths());
            let below = u128::from(value) * 100 < u128::from(mark) * 82;
            assert!(!below || own == Rung::Four, "seed {}: {value} of {mark} on {own:?}", self.seed);
            let doubts = |reason: &Reason| !matches!(reason, Reason::Rung(_) | Reason::GroupRung(_));
            // A clock that was accepted while set back leaves samples in the future for a while, nothing else.
            assert!(!standing.why.iter().any(doubts), "seed {}: {:?}", self.seed, standing.why);
        }
    }
}

/// Follows `seeds`; each rung, denial and permission must have been seen often.
fn follow(seeds: std::ops::Range<u64>) {
    let (mut rungs, mut denied) = (0, 0);
    for seed in seeds {
        let mut path = Path::begin(seed);
        for _ in 0..12 {
            path.step();
        }
        path.settle();
        let replayed = Breaker::replay(path.bench.config.clone(), path.bench.began, path.bench.journal);
        assert_eq!(replayed, path.bench.breaker, "seed {seed}");
        rungs += path.reached;
        denied += path.denied;
    }
    assert!(rungs > 1000 && denied > 10_000, "{rungs} rungs, {denied} denials: too few to say anything");
}

#[test]
fn random_paths_1() {
    follow(0..2500);
}

#[test]
fn random_paths_2() {
    follow(2500..5000);
}

#[test]
fn random_paths_3() {
    follow(5000..7500);
}

#[test]
fn random_paths_4() {
    follow(7500..10_000);
}
