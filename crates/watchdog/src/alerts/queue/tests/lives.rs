//! Whole lives of a queue from a seed: channels that fail, hang, lie dead for hours and lose their
//! acknowledgements; crashes; clocks set back; more alerts than fit.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::*;

/// Longest life, in milliseconds; then everything works, for as long as it takes.
const LIFE_MS: u64 = 2 * 3_600_000;
/// Longest attempt, as the sender has it.
const DEADLINE_MS: u64 = 10_000;
const MAX_TURNS: usize = 200_000;

#[derive(Clone, Copy)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn jitter(&mut self) -> Jitter {
        Jitter(u16::try_from(self.below(1 << 16)).expect("16 bits"))
    }
}

/// What a channel's other side is like for a while.
#[derive(Clone, Copy, PartialEq)]
enum Health {
    Well,
    Failing,
    Hanging,
    Refusing,
    Denying,
    Asking(u64),
    /// Takes the alert, and its answer is lost.
    Mute,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    id: AlertId,
    channel: Channel,
    taken: bool,
    outcome: u8,
    asked_ms: u64,
}

/// What is known of a channel from outside, to judge the queue's manners.
#[derive(Clone, Copy, Default)]
struct Manners {
    failures: u32,
    /// No attempt before.
    not_before: u64,
    in_flight: usize,
}

struct World {
    chance: Chance,
    /// True time in milliseconds.
    true_ms: u64,
    /// What the clock shows less than the truth.
    behind_ms: u64,
    queue: Queue,
    remote: BTreeSet<Channel>,
    /// What a crash leaves.
    disk: Vec<Record>,
    under_way: BinaryHeap<Reverse<(u64, Attempt)>>,
    health: BTreeMap<Channel, (Health, u64)>,
    manners: BTreeMap<Channel, Manners>,
    received: HashMap<AlertId, BTreeMap<Channel, u32>>,
    /// Accepted alerts and whether two channels must have them.
    accepted: BTreeMap<AlertId, (bool, bool)>,
    /// Losses that an alert told of, by its id: it may be told twice after a crash.
    told: BTreeMap<AlertId, Losses>,
    /// How often a channel took an alert and nobody learned of it.
    unheard: HashMap<(AlertId, Channel), u32>,
    is_over: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut remote: BTreeSet<Channel> = all().into_iter().filter(|_| !chance.one_in(3)).collect();
        if remote.is_empty() {
            remote.insert(Channel::Webhook);
        }
        Self {
            queue: Queue::new(&remote, AT),
            chance,
            true_ms: 0,
            behind_ms: 0,
            remote,
            disk: Vec::new(),
            under_way: BinaryHeap::new(),
            health: BTreeMap::new(),
            manners: BTreeMap::new(),
            received: HashMap::new(),
            accepted: BTreeMap::new(),
            told: BTreeMap::new(),
            unheard: HashMap::new(),
            is_over: false,
        }
    }

    fn now(&self) -> Timestamp {
        at(DAY_MS + self.true_ms).minus_ms(self.behind_ms)
    }

    /// One life with `alerts` alerts, then quiet until everything is delivered.
    fn live(&mut self, alerts: u64) {
        for number in 0..alerts {
            // Mostly a few seconds apart, now and then many at once.
            let gap = if self.chance.one_in(4) { 0 } else { self.chance.below(2 * LIFE_MS / alerts) };
            self.run_until(self.true_ms + gap);
            self.disturb();
            self.raise(number);
        }
        self.is_over = true;
        self.health.clear();
        let mut turns = 0;
        while self.queue.waiting().next().is_some() || !self.under_way.is_empty() {
            self.run_until(self.true_ms + 1_000_000);
            turns += 1;
            assert!(turns < 1_000, "waits for ever: {:?}", self.queue.waiting().next());
        }
    }

    fn raise(&mut self, number: u64) {
        let severity = [Severity::Info, Severity::Warning, Severity::Critical][self.chance.below(3) as usize];
        let rung = self.chance.one_in(2).then(|| self.chance.below(5) as u8);
        // Some say the same, some come twice.
        let topic = if self.chance.one_in(3) { 0 } else { number };
        let repeated = number > 0 && self.chance.one_in(20);
        let name = if repeated { number - 1 } else { number };
        let mut alert = Alert::new(id(&format!("n{name}")), self.now(), severity, format!("topic {topic}"));
        alert.rung = rung;
        let urgent = alert.is_urgent();
        let id = alert.id.clone();
        let now = self.now();
        match self.queue.accept(alert, now) {
            Accepted::Queued => {
                self.accepted.insert(id, (urgent, false));
            }
            Accepted::Folded => {
                self.accepted.insert(id, (urgent, true));
            }
            Accepted::Duplicate => {}
            Accepted::Dropped => unreachable!("so many never wait here"),
        }
        self.save();
    }

    /// Crashes, sets the clock back, lets channels fall ill.
    fn disturb(&mut self) {
        if self.chance.one_in(40) {
            self.behind_ms = (self.behind_ms + self.chance.below(3_600_000)).min(DAY_MS);
        }
        if self.chance.one_in(40) {
            self.crash();
        }
    }

    fn crash(&mut self) {
        // As text: nothing else of a record survives.
        let text = serde_json::to_string(&self.disk).expect("text and numbers");
        let records: Vec<Record> = serde_json::from_str(&text).expect("written by us");
        self.queue = Queue::restore(&self.remote, records, self.now());
        // What was under way may still arrive, but nobody learns of it.
        for Reverse((_, attempt)) in std::mem::take(&mut self.under_way) {
            self.arrive(&attempt, false);
        }
        self.manners.clear();
    }

    fn save(&mut self) {
        self.disk.extend(self.queue.take_changes());
        if self.disk.len() > 200 {
            self.disk = self.queue.snapshot();
        }
    }

    fn run_until(&mut self, goal: u64) {
        for _ in 0..MAX_TURNS {
            self.offer();
            let end = self.under_way.peek().map(|Reverse((end, _))| *end);
            let wake = self.queue.next_at().map(|wake| self.true_ms + wake.since_ms(self.now()).max(1));
            let next = end.into_iter().chain(wake).min().unwrap_or(u64::MAX);
            if next > goal {
                self.true_ms = goal;
                return;
            }
            self.true_ms = next;
            while self.under_way.peek().is_some_and(|Reverse((end, _))| *end <= self.true_ms) {
                let Some(Reverse((_, attempt))) = self.under_way.pop() else { break };
                self.end(&attempt);
            }
        }
        panic!("no end of turns");
    }

    fn offer(&mut self) {
        let now = self.now();
        for offer in self.queue.due(now) {
            self.judge_start(offer.channel);
            if let Some(losses) = offer.alert.id.as_str().strip_prefix("alerts:lost").map(|_| &offer.alert) {
                let number = |name: &str| losses.numbers[name].parse().expect("a number");
                let losses =
                    Losses { info: number("info"), warning: number("warning"), urgent: number("urgent") };
                self.told.insert(offer.alert.id.clone(), losses);
            }
            let health = self.health_of(offer.channel);
            let (taken, outcome, asked_ms, lasts) = match health {
                Health::Well => (true, 0, 0, self.chance.below(500)),
                Health::Failing => (false, 1, 0, self.chance.below(500)),
                Health::Hanging => (false, 1, 0, DEADLINE_MS),
                Health::Refusing => (false, 2, 0, self.chance.below(500)),
                Health::Denying => (false, 3, 0, self.chance.below(500)),
                Health::Asking(ms) => (false, 1, ms, self.chance.below(500)),
                Health::Mute => (true, 1, 0, DEADLINE_MS),
            };
            let attempt = Attempt { id: offer.alert.id, channel: offer.channel, taken, outcome, asked_ms };
            self.under_way.push(Reverse((self.true_ms + lasts, attempt)));
        }
        self.save();
    }

    fn judge_start(&mut self, channel: Channel) {
        let manners = self.manners.entry(channel).or_default();
        assert!(manners.not_before <= self.true_ms, "{channel} is asked too early");
        manners.in_flight += 1;
        let places = if manners.failures == 0 { IN_FLIGHT } else { 1 };
        assert!(manners.in_flight <= places, "{channel} is asked {} times at once", manners.in_flight);
    }

    fn health_of(&mut self, channel: Channel) -> Health {
        if self.is_over {
            return Health::Well;
        }
        let now = self.true_ms;
        let (health, until) = self.health.entry(channel).or_insert((Health::Well, 0));
        if *until <= now {
            let chance = &mut self.chance;
            *health = match chance.below(12) {
                0 | 1 => Health::Failing,
                2 => Health::Hanging,
                3 => Health::Refusing,
                4 => Health::Denying,
                5 => Health::Asking(chance.below(120_000)),
                6 => Health::Mute,
                _ => Health::Well,
            };
            *until = now + chance.below(LIFE_MS / 4);
        }
        *health
    }

    fn arrive(&mut self, attempt: &Attempt, heard: bool) {
        if attempt.taken && !heard {
            *self.unheard.entry((attempt.id.clone(), attempt.channel)).or_default() += 1;
        }
        if attempt.taken {
            let by_channel = self.received.entry(attempt.id.clone()).or_default();
            *by_channel.entry(attempt.channel).or_default() += 1;
        }
    }

    fn end(&mut self, attempt: &Attempt) {
        self.arrive(attempt, attempt.outcome == 0);
        let reason = String::new();
        let outcome = match attempt.outcome {
            0 => Outcome::Delivered,
            1 => Outcome::Later { after_ms: (attempt.asked_ms > 0).then_some(attempt.asked_ms), reason },
            2 => Outcome::Refused { reason },
            _ => Outcome::Unauthorised { reason },
        };
        let manners = self.manners.entry(attempt.channel).or_default();
        manners.in_flight -= 1;
        if outcome == Outcome::Delivered {
            manners.failures = 0;
        } else {
            let whole = (FIRST_WAIT_MS << manners.failures.min(20)).min(LONGEST_WAIT_MS);
            let wait = if attempt.outcome == 3 { LONGEST_WAIT_MS } else { whole / 2 };
            let wait = wait.max(attempt.asked_ms.min(LONGEST_ASKED_MS));
            manners.not_before = manners.not_before.max(self.true_ms + wait);
            manners.failures += 1;
        }
        let (now, jitter) = (self.now(), self.chance.jitter());
        self.queue.finished(&attempt.id, attempt.channel, &outcome, now, jitter);
        self.save();
    }

    /// Everything accepted reached as many channels as it needs.
    fn judge_end(&self) {
        let losses = self.told.values().fold(self.queue.losses(), |sum, told| sum.plus(*told));
        assert_eq!(losses, Losses::default(), "nothing was lost");
        for (id, (urgent, folded)) in &self.accepted {
            let reached = self.received.get(id);
            let remote = reached.map_or(0, |by| by.keys().filter(|channel| channel.is_remote()).count());
            let needed = if *urgent { 2.min(self.remote.len()) } else { 1 };
            assert!(*folded || remote >= needed, "{id} reached {remote} channels of {needed}");
            assert!(!*folded || remote == 0, "{id} was folded and sent");
        }
        // Whoever took an alert gets it again only if its answer was not heard.
        for (id, by_channel) in &self.received {
            for (channel, times) in by_channel {
                let unheard = self.unheard.get(&(id.clone(), *channel)).copied().unwrap_or_default();
                assert!(*times <= 1 + unheard, "{id} came {times} times over {channel}");
            }
        }
    }
}

const DAY_MS: u64 = 86_400_000;

#[test]
fn ten_thousand_lives_deliver_everything_and_bother_nobody() {
    const LIVES: u64 = 10_000;
    const THREADS: u64 = 4;
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            scope.spawn(move || {
                for seed in (first..LIVES).step_by(THREADS as usize) {
                    assert!(std::panic::catch_unwind(|| life(seed)).is_ok(), "seed {seed}");
                }
            });
        }
    });
}

fn life(seed: u64) {
    let mut world = World::new(seed);
    let alerts = 1 + world.chance.below(20);
    world.live(alerts);
    world.judge_end();
}
