//! What was signed, per UTC day and over the last 24 hours, in fixed memory.

use trading::Timestamp;

use super::stored::{StoredRolling, units};
use crate::units::Units;

/// Length of a bucket of the rolling window.
const BUCKET_MS: u64 = 300_000;
/// Buckets that reach into any 24 hours: 288 whole ones and the one that is leaving.
const BUCKETS: u64 = 289;

/// What was signed on the current UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DaySpent {
    day: u64,
    spent: Units,
}

impl DaySpent {
    pub(super) const fn of(day: u64, spent: Units) -> Self {
        Self { day, spent }
    }

    pub(super) const fn parts(&self) -> (u64, Units) {
        (self.day, self.spent)
    }

    #[inline]
    pub(crate) fn at(&self, now: Timestamp) -> Units {
        if now.utc_day() > self.day { Units::ZERO } else { self.spent }
    }

    pub(crate) fn add(&mut self, amount: Units, now: Timestamp) {
        self.spent = self.at(now).plus_saturating(amount);
        self.day = self.day.max(now.utc_day());
    }
}

/// What was signed in the last 24 hours, in buckets of five minutes. A bucket counts until all of
/// it has left the window: an amount counts for 24 h at least and 24 h 5 min at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RollingSpent {
    buckets: Box<[Units]>,
    /// Number of the newest bucket since the epoch.
    newest: u64,
    /// Sum of the buckets that count in the newest bucket's time.
    total: Units,
}

impl RollingSpent {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![Units::ZERO; BUCKETS as usize].into(), newest: 0, total: Units::ZERO }
    }

    pub(super) fn stored(&self) -> StoredRolling {
        let held = self.buckets.iter().enumerate().filter(|(_, spent)| **spent != Units::ZERO);
        StoredRolling {
            newest: self.newest,
            total: self.total.to_text(),
            buckets: held.map(|(slot, spent)| (slot, spent.to_text())).collect(),
        }
    }

    pub(super) fn read(stored: StoredRolling) -> Result<Self, &'static str> {
        let mut read = Self { newest: stored.newest, total: units(&stored.total)?, ..Self::new() };
        for (slot, spent) in stored.buckets {
            *read.buckets.get_mut(slot).ok_or("a bucket beyond the window")? = units(&spent)?;
        }
        Ok(read)
    }

    /// What counts at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> Units {
        let now = bucket_of(now);
        if now <= self.newest {
            return self.total;
        }
        let oldest_kept = (now + 1).saturating_sub(BUCKETS);
        (oldest_kept..=self.newest)
            .fold(Units::ZERO, |sum, number| sum.plus_saturating(self.buckets[slot(number)]))
    }

    pub(crate) fn add(&mut self, amount: Units, now: Timestamp) {
        self.total = self.at(now).plus_saturating(amount);
        let entering = self.newest + 1..=bucket_of(now);
        self.newest = self.newest.max(bucket_of(now));
        for number in entering.take(self.buckets.len()) {
            self.buckets[slot(number)] = Units::ZERO;
        }
        let slot = slot(self.newest);
        self.buckets[slot] = self.buckets[slot].plus_saturating(amount);
    }
}

/// Where a bucket is kept: the place of the one that leaves when it enters.
fn slot(number: u64) -> usize {
    usize::try_from(number % BUCKETS).expect("below 289")
}

const fn bucket_of(now: Timestamp) -> u64 {
    now.as_ms() / BUCKET_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn units(value: i64) -> Units {
        Units::at_least(trading::Decimal::from_integer(value)).expect("small")
    }

    #[test]
    fn a_day_ends_at_midnight_utc_and_never_comes_back() {
        let mut day = DaySpent::default();
        day.add(units(5), Timestamp::from_ms(2 * DAY_MS - 1));
        assert_eq!(day.at(Timestamp::from_ms(2 * DAY_MS - 1)), units(5));
        assert_eq!(day.at(Timestamp::from_ms(2 * DAY_MS)), Units::ZERO);
        assert_eq!(day.at(Timestamp::from_ms(DAY_MS - 1)), units(5));
    }

    #[test]
    fn midnight_does_not_free_the_rolling_budget() {
        let mut rolling = RollingSpent::new();
        rolling.add(units(5), Timestamp::from_ms(2 * DAY_MS - 1));
        assert_eq!(rolling.at(Timestamp::from_ms(2 * DAY_MS)), units(5));
        assert_eq!(rolling.at(Timestamp::from_ms(3 * DAY_MS - 1)), units(5));
        assert_eq!(rolling.at(Timestamp::from_ms(3 * DAY_MS + BUCKET_MS)), Units::ZERO);
    }

    proptest! {
        #[test]
        fn counts_at_least_24_hours_and_at_most_one_bucket_more(
            gaps in proptest::collection::vec(0_u64..DAY_MS / 4, 1..80),
        ) {
            let (mut rolling, mut list, mut now) = (RollingSpent::new(), Vec::new(), DAY_MS * 3);
            for gap in gaps {
                now += gap;
                let sum = |reach: u64| -> u64 {
                    list.iter().filter(|(at, _)| now - at < reach).map(|(_, amount)| amount).sum()
                };
                let was = rolling.at(Timestamp::from_ms(now));
                prop_assert!(was >= units(i64::try_from(sum(DAY_MS)).expect("small")));
                prop_assert!(was <= units(i64::try_from(sum(DAY_MS + BUCKET_MS)).expect("small")));
                let amount = gap % 1000;
                rolling.add(units(i64::try_from(amount).expect("small")), Timestamp::from_ms(now));
                list.push((now, amount));
            }
        }
    }
}
