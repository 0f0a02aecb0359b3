//! Runs one target on damaged inputs: without the compiler's help, so on any toolchain. What a target
//! says it did with an input (a number, see [`shape`]) stands in for coverage: an input with which it
//! does something new is kept and damaged further.

use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::mutate::mutate;
use crate::random::Random;

/// Longest time one input may take, of the processor's and not of the clock on the wall.
pub(crate) const TIME_LIMIT: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 250 });
/// Most inputs kept beside the seeds.
const MAX_KEPT: usize = 4_096;

/// A parser under attack. Returns what it did with an input, and panics if that was wrong.
pub(crate) type Attacked = Box<dyn FnMut(&[u8]) -> u64>;

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) time: Option<Duration>,
    pub(crate) executions: Option<u64>,
    /// Longest time for one input.
    pub(crate) each: Duration,
}

thread_local! {
    /// Whether a panic now is what is looked for.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Has panics inside a target told only once, with the input; others are told as ever.
pub(crate) fn expect_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !EXPECTED.get() {
            usual(panic);
        }
    }));
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) executions: u64,
    /// Different things the target did.
    pub(crate) behaviours: usize,
    pub(crate) slowest: Duration,
    pub(crate) took: Duration,
    pub(crate) failure: Option<Failure>,
    /// The shortest input for each behaviour.
    pub(crate) kept: Vec<Vec<u8>>,
}

/// An input that should not have done what it did.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) input: Vec<u8>,
    pub(crate) why: String,
}

/// Runs `attacked` on the seeds as they are, then on damaged ones, until `budget` is used up or
/// something fails.
pub(crate) fn run(attacked: &mut Attacked, seeds: &[Vec<u8>], seed: u64, budget: Budget) -> Outcome {
    let start = Instant::now();
    let mut run = Run {
        kept: seeds.to_vec(),
        shortest: BTreeMap::new(),
        slowest: Duration::ZERO,
        executions: 0,
        each: budget.each,
        failure: None,
    };
    let mut random = Random::new(seed);
    for input in seeds {
        run.one(attacked, input);
    }
    while run.failure.is_none() && !is_over(budget, run.executions, start) {
        let mut input = start_from(&mut random, &run.kept).to_vec();
        mutate(&mut random, &mut input, &run.kept);
        run.one(attacked, &input);
    }
    Outcome {
        executions: run.executions,
        behaviours: run.shortest.len(),
        slowest: run.slowest,
        took: start.elapsed(),
        failure: run.failure,
        kept: run.shortest.into_values().collect::<BTreeSet<_>>().into_iter().collect(),
    }
}

/// Mostly the shorter of two: a long input says little more and takes longer.
fn start_from<'a>(random: &mut Random, kept: &'a [Vec<u8>]) -> &'a [u8] {
    let mut one = || random.pick(kept).map_or(&[][..], Vec::as_slice);
    let (first, second) = (one(), one());
    let shorter = if second.len() < first.len() { second } else { first };
    if random.once_in(4) { first } else { shorter }
}

fn is_over(budget: Budget, executions: u64, start: Instant) -> bool {
    budget.executions.is_some_and(|most| executions >= most)
        || (executions.is_multiple_of(64) && budget.time.is_some_and(|most| start.elapsed() >= most))
}

struct Run {
    kept: Vec<Vec<u8>>,
    shortest: BTreeMap<u64, Vec<u8>>,
    slowest: Duration,
    executions: u64,
    each: Duration,
    failure: Option<Failure>,
}

impl Run {
    fn one(&mut self, attacked: &mut Attacked, input: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        self.executions += 1;
        let before = processor_time();
        EXPECTED.set(true);
        let done = catch_unwind(AssertUnwindSafe(|| attacked(input)));
        EXPECTED.set(false);
        let took = processor_time().saturating_sub(before);
        self.slowest = self.slowest.max(took);
        match done {
            Ok(_) if took > self.each => self.fail(input, format!("took {took:?} of the processor's time")),
            Ok(behaviour) => self.keep(behaviour, input),
            Err(panic) => self.fail(input, message(panic.as_ref())),
        }
    }

    fn keep(&mut self, behaviour: u64, input: &[u8]) {
        match self.shortest.get_mut(&behaviour) {
            None => {
                if self.shortest.len() < MAX_KEPT {
                    self.shortest.insert(behaviour, input.to_vec());
                    self.kept.push(input.to_vec());
                }
            }
            Some(known) if input.len() < known.len() => *known = input.to_vec(),
            Some(_) => {}
        }
    }

    fn fail(&mut self, input: &[u8], why: String) {
        self.failure = Some(Failure { input: input.to_vec(), why });
    }
}

/// The processor's time of this thread: other load does not count.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked".into())
}

/// A number for what `text` says, whatever digits it says it with. What it quotes first may be a name
/// of ours or anything that came in: it counts as one of a few.
pub(crate) fn shape(text: &str) -> u64 {
    const NAMES: u64 = 32;
    let is_quote = |at: char| matches!(at, '`' | '"' | '\'');
    let mut parts = text.split(is_quote);
    let before = parts.next().unwrap_or_default();
    let name = parts.next().map_or(0, |name| digest(name.as_bytes()) % NAMES);
    let after = text.rsplit(is_quote).next().unwrap_or_default();
    let words = before.bytes().take(256).chain(after.bytes().take(256));
    let letters: Vec<u8> = words.filter(|byte| !byte.is_ascii_digit() && byte.is_ascii()).collect();
    both(digest(&letters), name)
}

/// A number for exactly these bytes (FNV-1a), for naming files.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Two numbers as one.
pub(crate) const fn both(one: u64, two: u64) -> u64 {
    one.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ two
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Budget = Budget { time: None, executions: Some(60_000), each: Duration::from_millis(30) };

    fn seeds() -> Vec<Vec<u8>> {
        vec![br#"{"symbol":"BTCUSDT","side":"BUY","quantity":"0.5"}"#.to_vec()]
    }

    fn hunted(attacked: impl FnMut(&[u8]) -> u64 + 'static) -> Outcome {
        expect_panics();
        let mut attacked: Attacked = Box::new(attacked);
        run(&mut attacked, &seeds(), 1, SHORT)
    }

    #[test]
    fn a_parser_that_takes_the_last_of_two_members_is_caught() {
        let outcome = hunted(|input| {
            let text = String::from_utf8_lossy(input);
            let parsed = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert!(!parsed || text.matches("\"quantity\"").count() < 2, "took a member twice");
            u64::from(parsed)
        });
        let failure = outcome.failure.expect("found");
        assert!(failure.why.contains("took a member twice"), "{failure:?}");
    }

    #[test]
    fn what_is_behind_three_steps_is_reached_by_way_of_what_each_step_does() {
        let outcome = hunted(|input| {
            let steps = [&b"SELL"[..], b"1e", b"[[["];
            let have = |step: &&&[u8]| input.windows(step.len()).any(|part| part == **step);
            let count = steps.iter().take_while(have).count();
            assert!(count < 3, "through");
            count as u64
        });
        assert!(outcome.failure.is_some(), "{} executions", outcome.executions);
    }

    #[test]
    fn deep_nesting_that_costs_more_than_its_length_is_caught() {
        let outcome = hunted(|input| {
            let depth = input.iter().filter(|byte| **byte == b'[').count() as u64;
            let mut sum = 0_u64;
            for step in 0..(depth * depth * 2_000).min(20_000_000) {
                sum = std::hint::black_box(sum.wrapping_add(step));
            }
            depth.min(8)
        });
        assert!(outcome.failure.expect("found").why.contains("took"), "time is bounded");
    }

    #[test]
    fn a_sound_target_ends_with_its_budget_and_the_same_seed_does_the_same() {
        let both = [1, 1].map(|_| hunted(|input| shape(&String::from_utf8_lossy(input)) % 64));
        assert!(both.iter().all(|outcome| outcome.failure.is_none() && outcome.executions == 60_000));
        assert_eq!(both[0].kept, both[1].kept);
    }
}
