//! The ladder told a second time: lists instead of windows, fractions without bounds instead of units.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::*;

/// A fixed sequence of numbers from a seed (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// What was seen, in parts per million of the start.
struct Reference {
    seen: Vec<(u64, u64)>,
    rung: [bool; 5],
}

impl Reference {
    /// The baselines of a rung: the calendar's and the best within the window and `slack_ms` more.
    fn baseline(&self, rung: usize, slack_ms: u64) -> u64 {
        let (now, _) = *self.seen.last().expect("something");
        let (start, length) = match rung {
            1 => (now / DAY * DAY, DAY),
            2 => ((now / DAY - (now / DAY + 3) % 7) * DAY, 7 * DAY),
            3 => (month_start(now), 30 * DAY),
            _ => (0, u64::MAX),
        };
        let before = self.seen.iter().rev().find(|(at, _)| *at < start && start - at <= MINUTE);
        let first = self.seen.iter().find(|(at, _)| *at >= start);
        let calendar = before.or(first).map_or(0, |(_, value)| *value);
        let within = self.seen.iter().filter(|(at, _)| now - at < length.saturating_add(slack_ms));
        within.map(|(_, value)| *value).max().unwrap_or(0).max(calendar)
    }

    /// Whether the last value is at or below a rung.
    fn is_at(&self, rung: usize, slack_ms: u64) -> bool {
        let bps = [0, 500, 800, 1500, 1800][rung];
        let (_, value) = *self.seen.last().expect("something");
        value * 10_000 <= self.baseline(rung, slack_ms) * (10_000 - bps)
    }
}

/// From the text of a date, so by other means than the calendar's.
fn month_start(ms: u64) -> u64 {
    let text = Timestamp::from_ms(ms).to_string();
    let day: u64 = text[8..10].parse().expect("a day");
    (ms / DAY - (day - 1)) * DAY
}

/// How much longer than its length a rolling window may remember: one bucket.
const SLACK: [u64; 5] = [0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 0];

/// The performance as a path: small steps at any pace, up or down.
///
/// Returns which rungs were reached.
fn follow(seed: u64, with_flows: bool) -> [bool; 5] {
    let mut random = Random(seed);
    let mut bench = Bench::new(config(&["a"], promised(), slack()), NOON + random.below(60) * DAY);
    bench.commission("a");
    bench.equity("a", "4000");
    let begun = bench.now.utc.as_ms();
    let mut reference = Reference { seen: vec![(begun, 1_000_000)], rung: [false; 5] };
    let mut units = BigRational::from_integer(BigInt::from(4_000_000_000_000_i64));
    let mut value = 1_000_000_u64;
    let drift = random.below(4);
    for step in 0..70 {
        let pace = [20 * SECOND, MINUTE, HOUR, 7 * HOUR, DAY][usize::try_from(random.below(5)).expect("few")];
        bench.pass(1 + random.below(pace));
        let change = value * (2000 + random.below(2900)) / 1_000_000;
        value = if random.below(4) < 1 + drift { value - change } else { value + change };
        if with_flows && random.one_in(3) {
            // The equity that is there, exactly; then as much more or less, before and after rounding to a cent.
            let there = bench.standing("a").equity.expect("begun").to_string();
            let flow = match random.below(3) {
                0 => "1234.56".to_owned(),
                1 if there.len() > 4 && !there.starts_with("0.") => "-77.01".to_owned(),
                _ => "0.000000001".to_owned(),
            };
            let last = reference.seen.last().expect("something").1;
            let nano = BigRational::from_integer(BigInt::from(decimal(&flow).mantissa()))
                / BigRational::from_integer(BigInt::from(10).pow(u32::from(decimal(&flow).scale())))
                * BigRational::from_integer(BigInt::from(1_000_000_000));
            units += nano * BigRational::new(BigInt::from(1_000_000), BigInt::from(last));
            bench.flow("a", &flow);
        }
        let exact = &units * BigRational::new(BigInt::from(value), BigInt::from(1_000_000));
        let equity = exact.floor().to_integer();
        let text = Decimal::new(i128::try_from(equity).expect("fits"), 9).expect("nine digits").to_string();
        bench.equity("a", &text);
        // The breaker's sample is the second of the two; both say the same.
        reference.seen.push((bench.now.utc.as_ms() - SECOND / 2, value));
        reference.seen.push((bench.now.utc.as_ms(), value));
        for (rung, slack_ms) in SLACK.into_iter().enumerate().skip(1) {
            reference.rung[rung] |= reference.is_at(rung, 0);
            let held = bench.standing("a").latches.iter().any(|(held, _)| usize::from(held.number()) == rung);
            let may = reference.rung[rung] || reference.is_at(rung, slack_ms);
            assert!(held || !reference.rung[rung], "seed {seed}, step {step}: rung {rung} was missed");
            assert!(!held || may, "seed {seed}, step {step}: rung {rung} for nothing");
            reference.rung[rung] = held;
        }
    }
    if seed.is_multiple_of(16) {
        bench.check_replay();
    }
    let rungs = reached(&bench.events);
    [0, 1, 2, 3, 4].map(|number| rungs.iter().any(|rung| rung.number() == number))
}

/// Every rung must have been reached by some of them, or nothing was tested.
fn follow_all(with_flows: bool) {
    let mut times = [0; 5];
    for seed in 0..300 {
        let rungs = follow(seed, with_flows);
        times.iter_mut().zip(rungs).for_each(|(times, reached)| *times += u32::from(reached));
    }
    assert!(times[1..].iter().all(|times| *times > 20), "{times:?}");
}

#[test]
fn random_paths_reach_the_rungs_that_lists_of_samples_say() {
    follow_all(false);
}

#[test]
fn flows_at_constant_performance_change_no_rung() {
    follow_all(true);
}
