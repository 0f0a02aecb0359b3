//! Misbehaviour on request: what a drill needs a venue to do wrong.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::exchange::Random;

/// Distinct faults waiting.
const MAX_FAULTS: usize = 64;
/// Longest silence, in milliseconds.
pub(crate) const MAX_HANG_MS: u64 = 120_000;

/// Something to do instead of, or beside, what is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// What.
    #[serde(default)]
    pub act: Act,
    /// The HTTP status of an answer.
    #[serde(default = "server_error")]
    pub status: u16,
    /// How many requests get it.
    #[serde(default = "one")]
    pub count: u32,
    /// Only requests whose path starts so.
    #[serde(default)]
    pub path: String,
    /// The body of an answer, instead of an empty one.
    #[serde(default)]
    pub body: String,
    /// How likely a request gets it, drawn from the venue's seed.
    #[serde(default = "hundred")]
    pub percent: u8,
    /// Milliseconds of silence of a hang.
    #[serde(default)]
    pub ms: u64,
    /// Orders that a partial cancel takes.
    #[serde(default)]
    pub at_most: usize,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// Answer with `status` and `body`, and do nothing.
    #[default]
    Answer,
    /// Do nothing, say nothing for `ms`, and close.
    Hang,
    /// Do what is asked, and close without a word.
    Lose,
    /// Close without a word.
    Drop,
    /// Cancel `at_most` of the orders that should be cancelled, and say that all is well.
    PartialCancel,
}

const fn one() -> u32 {
    1
}

const fn hundred() -> u8 {
    100
}

const fn server_error() -> u16 {
    500
}

/// What waits to go wrong.
pub(crate) struct Faults {
    waiting: VecDeque<Fault>,
    random: Random,
    /// Whether nothing is answered at all.
    pub dead: bool,
}

impl Faults {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { waiting: VecDeque::new(), random: Random::new(seed), dead: false }
    }

    /// Queues a fault; `false` if too many wait or it makes no sense.
    pub(crate) fn add(&mut self, fault: Fault) -> bool {
        let fine = self.waiting.len() < MAX_FAULTS
            && (1..=100).contains(&fault.percent)
            && fault.ms <= MAX_HANG_MS
            && (100..600).contains(&fault.status);
        if fine {
            self.waiting.push_back(fault);
        }
        fine
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The fault that a request for `path` gets, if one does. A partial cancel is for whoever cancels.
    pub(crate) fn take(&mut self, path: &str, partial: bool) -> Option<Fault> {
        let fits =
            |fault: &Fault| (fault.act == Act::PartialCancel) == partial && path.starts_with(&fault.path);
        let at = self.waiting.iter().position(fits)?;
        let percent = i64::from(self.waiting[at].percent);
        if percent < 100 && self.random.below(100) >= percent {
            return None;
        }
        let fault = self.waiting[at].clone();
        if fault.count <= 1 {
            self.waiting.remove(at);
        } else {
            self.waiting[at].count -= 1;
        }
        Some(fault)
    }

    /// `at_most` of `ids`, picked by the seed, in their own order.
    pub(crate) fn pick(&mut self, mut ids: Vec<u64>, at_most: usize) -> Vec<u64> {
        while ids.len() > at_most {
            let last = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            let at = usize::try_from(self.random.below(last)).unwrap_or(0);
            ids.remove(at);
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        serde_json::from_str(text).expect(text)
    }

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        let run = |seed| {
            let mut faults = Faults::new(seed);
            assert!(faults.add(fault(r#"{"status":429,"count":1000,"percent":30}"#)));
            (0..200).map(|_| faults.take("/x", false).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
        let hit = run(3).iter().filter(|hit| **hit).count();
        assert!((30..90).contains(&hit), "{hit}");
    }

    #[test]
    fn faults_are_bounded_and_sane() {
        let mut faults = Faults::new(1);
        for text in [r#"{"percent":0}"#, r#"{"percent":101}"#, r#"{"ms":120001}"#, r#"{"status":99}"#] {
            assert!(!faults.add(fault(text)), "{text}");
        }
        for _ in 0..MAX_FAULTS {
            assert!(faults.add(fault("{}")));
        }
        assert!(!faults.add(fault("{}")));
    }

    #[test]
    fn a_pick_keeps_order_and_number() {
        let mut faults = Faults::new(7);
        let picked = faults.pick((0..600).collect(), 500);
        assert_eq!(picked.len(), 500);
        assert!(picked.is_sorted());
        assert_eq!(faults.pick(vec![1, 2], 5), [1, 2]);
    }
}
