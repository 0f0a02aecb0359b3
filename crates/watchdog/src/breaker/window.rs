//! Baselines of a day, a week and a month, by the calendar and rolling, in bounded memory.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use trading::Timestamp;

use super::calendar::{DAY_MS, Period};
use super::unit_value::UnitValue;

/// How old the last sample before a boundary may be to be the baseline of what follows.
const BEFORE_BOUNDARY_MS: u64 = 60_000;
const MINUTE_MS: u64 = 60_000;

/// Which losses a window measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The UTC day, and any 24 hours.
    Day,
    /// The ISO week, and any 168 hours.
    Week,
    /// The month, and any 30 days.
    Month,
}

impl Span {
    const fn period(self) -> Period {
        match self {
            Self::Day => Period::Day,
            Self::Week => Period::Week,
            Self::Month => Period::Month,
        }
    }

    /// How long the rolling window is.
    const fn rolling_ms(self) -> u64 {
        match self {
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
            Self::Month => 30 * DAY_MS,
        }
    }

    /// How long its buckets are. A maximum counts until all of its bucket is out of the window: so
    /// much longer at most.
    const fn bucket_ms(self) -> u64 {
        match self {
            Self::Day => 5 * MINUTE_MS,
            Self::Week => 30 * MINUTE_MS,
            Self::Month => 120 * MINUTE_MS,
        }
    }
}

/// The last valid sample, as the next boundary will ask about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    pub(super) value: UnitValue,
}

/// One span's baselines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    span: Span,
    /// When the present period began.
    period_start: Timestamp,
    /// The period's baseline, and the lowest value since.
    calendar: UnitValue,
    lowest: UnitValue,
    /// Bucket and the best of it, oldest first; each is better than all after it, so the first is the
    /// best of all. No more than there are buckets in the window, and one.
    rolling: VecDeque<(u64, UnitValue)>,
}

impl Window {
    pub(super) fn start(span: Span, first: Point) -> Self {
        let Point { at, value } = first;
        Self {
            span,
            period_start: span.period().start_of(at),
            calendar: value,
            lowest: value,
            rolling: VecDeque::from([(at.as_ms() / span.bucket_ms(), value)]),
        }
    }

    pub(super) const fn calendar(&self) -> UnitValue {
        self.calendar
    }

    pub(super) fn rolling(&self) -> UnitValue {
        self.rolling.front().map_or(self.calendar, |(_, best)| *best)
    }

    /// Lowest valid value of the calendar period.
    pub(super) const fn lowest(&self) -> UnitValue {
        self.lowest
    }

    /// Takes a valid sample. `previous` is the valid sample before it; `after_restart` whether the
    /// watch was interrupted since.
    pub(super) fn observe(&mut self, point: Point, previous: Point, after_restart: bool) {
        let start = self.span.period().start_of(point.at);
        if start > self.period_start {
            self.period_start = start;
            let close = previous.at < start && start.since_ms(previous.at) <= BEFORE_BOUNDARY_MS;
            self.calendar = match (close, after_restart) {
                (true, _) => previous.value,
                (false, false) => point.value,
                // What happened meanwhile is unknown: the older baseline stays if it is higher.
                (false, true) => self.calendar.max(point.value),
            };
            self.lowest = point.value;
        }
        self.lowest = self.lowest.min(point.value);
        self.roll(point);
    }

    fn roll(&mut self, point: Point) {
        let bucket_ms = self.span.bucket_ms();
        let newest = self.rolling.back().map_or(0, |(bucket, _)| *bucket);
        // A sample a little older than the last counts as new: it is then kept the longer.
        let bucket = (point.at.as_ms() / bucket_ms).max(newest);
        let mut best = point.value;
        let out = |bucket: u64| {
            let end = Timestamp::from_ms(bucket.saturating_add(1).saturating_mul(bucket_ms));
            point.at.since_ms(end) >= self.span.rolling_ms()
        };
        if self.rolling.back().is_some_and(|(last, _)| out(*last)) {
            // Nothing was seen for a whole window: the older baseline stays for one more if it is higher.
            best = best.max(self.rolling());
            self.rolling.clear();
        }
        while self.rolling.front().is_some_and(|(first, _)| out(*first)) {
            self.rolling.pop_front();
        }
        while self.rolling.back().is_some_and(|(_, other)| *other <= best) {
            self.rolling.pop_back();
        }
        match self.rolling.back() {
            // A bucket's best stands for all of it.
            Some((last, _)) if *last == bucket => {}
            _ => self.rolling.push_back((bucket, best)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-07T00:00:00Z, a Wednesday.
    const MIDNIGHT: u64 = 1_767_744_000_000;

    fn point(ms: u64, billionths: u64) -> Point {
        let value = trading::Decimal::new(i128::from(billionths), 9).expect("nine digits");
        Point { at: Timestamp::from_ms(ms), value: UnitValue::try_from(value).expect("a value") }
    }

    fn baseline_of_the_day(before: Point, after: Point, restarted: bool) -> u64 {
        let mut window = Window::start(Span::Day, point(MIDNIGHT - DAY_MS, 1_000_000_000));
        window.observe(before, point(MIDNIGHT - DAY_MS, 1_000_000_000), false);
        window.observe(after, before, restarted);
        window.calendar().billionths()
    }

    #[test]
    fn the_last_sample_up_to_a_minute_before_is_the_baseline() {
        let after = point(MIDNIGHT + 5000, 950_000_000);
        assert_eq!(baseline_of_the_day(point(MIDNIGHT - 60_000, 970_000_000), after, false), 970_000_000);
        assert_eq!(baseline_of_the_day(point(MIDNIGHT - 1, 970_000_000), after, false), 970_000_000);
        assert_eq!(baseline_of_the_day(point(MIDNIGHT - 60_001, 970_000_000), after, false), 950_000_000);
    }

    #[test]
    fn after_a_restart_the_older_higher_baseline_stays() {
        let before = point(MIDNIGHT - 60_001, 970_000_000);
        assert_eq!(baseline_of_the_day(before, point(MIDNIGHT + 5000, 950_000_000), true), 1_000_000_000);
        assert_eq!(baseline_of_the_day(before, point(MIDNIGHT + 5000, 1_010_000_000), true), 1_010_000_000);
    }

    #[test]
    fn a_maximum_counts_its_24_hours_at_least_and_a_bucket_more_at_most() {
        let mut window = Window::start(Span::Day, point(MIDNIGHT, 1_000_000_000));
        let mut previous = point(MIDNIGHT, 1_000_000_000);
        for ms in (MIDNIGHT + 1000..MIDNIGHT + DAY_MS + 300_000).step_by(60_000) {
            let next = point(ms, 900_000_000);
            window.observe(next, previous, false);
            assert_eq!(window.rolling().billionths(), 1_000_000_000, "{ms}");
            previous = next;
        }
        window.observe(point(MIDNIGHT + DAY_MS + 300_000, 900_000_000), previous, false);
        assert_eq!(window.rolling().billionths(), 900_000_000);
    }

    #[test]
    fn after_a_gap_longer_than_the_window_the_older_higher_baseline_stays() {
        let mut window = Window::start(Span::Day, point(MIDNIGHT, 1_000_000_000));
        let first = point(MIDNIGHT, 1_000_000_000);
        window.observe(point(MIDNIGHT + 3 * DAY_MS, 900_000_000), first, false);
        assert_eq!(window.rolling().billionths(), 1_000_000_000);
    }

    #[test]
    fn a_month_of_samples_takes_no_more_than_its_buckets() {
        for span in [Span::Day, Span::Week, Span::Month] {
            let mut window = Window::start(span, point(MIDNIGHT, 1_000_000_000));
            let mut previous = point(MIDNIGHT, 1_000_000_000);
            for minute in 1..=90_000 {
                let next = point(MIDNIGHT + minute * MINUTE_MS, 1_000_000_000 - minute);
                window.observe(next, previous, false);
                previous = next;
            }
            let most = usize::try_from(span.rolling_ms() / span.bucket_ms()).expect("few") + 1;
            assert_eq!(window.rolling.len(), most, "{span:?}");
        }
    }

    proptest! {
        #[test]
        fn the_best_is_never_lost_and_never_from_before_the_bucket(steps in prop::collection::vec((1_u64..3_000_000, 900_000_000_u64..1_100_000_000), 1..200)) {
            let mut window = Window::start(Span::Day, point(MIDNIGHT, 1_000_000_000));
            let mut seen = vec![point(MIDNIGHT, 1_000_000_000)];
            for (gap, value) in steps {
                let previous = *seen.last().expect("one at least");
                let next = point(previous.at.as_ms() + gap, value);
                window.observe(next, previous, false);
                seen.push(next);
                let best = |within: u64| seen.iter().filter(|old| next.at.since_ms(old.at) < within).map(|old| old.value).max();
                prop_assert!(Some(window.rolling()) >= best(DAY_MS));
                prop_assert!(Some(window.rolling()) <= best(DAY_MS + 300_000));
            }
        }
    }
}
