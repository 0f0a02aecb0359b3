//! Durations of one contender, and what is said of them.

use std::time::Duration;

/// Durations in picoseconds: a batch's mean is finer than the clock's nanosecond.
#[derive(Debug, Default)]
pub struct Samples(Vec<u64>);

/// What is said of a distribution, in picoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub min: u64,
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
}

impl Samples {
    /// Adds the mean of `count` things that took `all` together.
    pub fn add(&mut self, all: Duration, count: u64) {
        let ps = all.as_nanos().saturating_mul(1000) / u128::from(count.max(1));
        self.0.push(u64::try_from(ps).unwrap_or(u64::MAX));
    }

    /// `None` if nothing was measured.
    pub fn summary(mut self) -> Option<Summary> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1)?;
        // The nearest rank: the smallest sample that at least this share does not exceed.
        let at = |per_mille: usize| self.0[(self.0.len() * per_mille).div_ceil(1000).clamp(1, last + 1) - 1];
        Some(Summary { min: self.0[0], p50: at(500), p99: at(990), p999: at(999) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut samples = Samples::default();
        for nanos in (1..=1000).rev() {
            samples.add(Duration::from_nanos(nanos), 1);
        }
        let summary = samples.summary().expect("there are samples");
        assert_eq!(summary, Summary { min: 1000, p50: 500_000, p99: 990_000, p999: 999_000 });
        assert_eq!(Samples::default().summary(), None);
    }

    #[test]
    fn a_batch_counts_by_its_mean() {
        let mut samples = Samples::default();
        samples.add(Duration::from_nanos(3), 2);
        assert_eq!(samples.summary().map(|summary| summary.p50), Some(1500));
    }
}
