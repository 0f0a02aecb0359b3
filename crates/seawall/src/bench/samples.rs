//! Durations of one contender, and what is said of them.

use std::time::Duration;

/// Durations in picoseconds: a batch's mean is finer than the clock's nanosecond.
#[derive(Debug, Default)]
pub struct Samples(Vec<u64>);

/// Durations in picoseconds, ascending; at least one.
#[derive(Debug, Clone)]
pub struct Distribution(Vec<u64>);

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

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Fails if nothing was measured.
    pub fn finish(mut self) -> anyhow::Result<Distribution> {
        anyhow::ensure!(!self.0.is_empty(), "nothing was measured");
        self.0.sort_unstable();
        Ok(Distribution(self.0))
    }
}

impl Distribution {
    /// The nearest rank: the smallest sample that at least `share` of a million does not exceed.
    pub fn at(&self, share: u64) -> u64 {
        let last = self.0.len();
        let rank = (last as u128 * u128::from(share)).div_ceil(1_000_000);
        self.0[usize::try_from(rank).unwrap_or(last).clamp(1, last) - 1]
    }

    pub fn summary(&self) -> Summary {
        let at = |share| self.at(share);
        Summary { min: self.0[0], p50: at(500_000), p99: at(990_000), p999: at(999_000) }
    }

    pub fn len(&self) -> usize {
        self.0.len()
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
        let all = samples.finish().expect("there are samples");
        assert_eq!(all.summary(), Summary { min: 1000, p50: 500_000, p99: 990_000, p999: 999_000 });
        assert_eq!([0, 1_000_000].map(|share| all.at(share)), [1000, 1_000_000]);
        assert!(Samples::default().finish().is_err());
    }

    #[test]
    fn a_batch_counts_by_its_mean() {
        let mut samples = Samples::default();
        samples.add(Duration::from_nanos(3), 2);
        assert_eq!(samples.finish().expect("one").summary().p50, 1500);
    }
}
