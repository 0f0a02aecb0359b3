//! The breaker's idea of time: wall time for the calendar, monotonic time for ages, and a halt when
//! the two disagree.

use serde::{Deserialize, Serialize};
use trading::Timestamp;

/// How far wall time may move against monotonic time before someone has to look at it.
const MAX_STEP_MS: u64 = 2000;
/// How often the comparison starts anew: a clock that is slewed (at most 500 ppm) drifts 1.8 s in that time.
const ANCHOR_MS: u64 = 3_600_000;
/// The oldest that a sample may arrive, and the first value of the running clock: so no age is cut short.
pub(super) const OLDEST_ARRIVAL_MS: u64 = 30_000;

/// One reading of the machine's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Now {
    /// Wall time.
    pub utc: Timestamp,
    /// Milliseconds of a clock that is never set and goes on during suspension (`CLOCK_BOOTTIME`). A new
    /// process starts with [`super::Input::Started`], so its origin does not matter.
    pub monotonic_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clock {
    /// Wall time as far as it is believed: never goes back by itself, and follows the monotonic clock
    /// while a step is not accepted.
    utc: Timestamp,
    /// Milliseconds watched, with the pauses between processes by wall time. Ages and limits count in it.
    running_ms: u64,
    last: Now,
    anchor: Now,
    stepped: bool,
}

impl Clock {
    pub(super) const fn new(now: Now) -> Self {
        Self { utc: now.utc, running_ms: OLDEST_ARRIVAL_MS, last: now, anchor: now, stepped: false }
    }

    pub(super) const fn utc(&self) -> Timestamp {
        self.utc
    }

    pub(super) const fn running_ms(&self) -> u64 {
        self.running_ms
    }

    /// Whether wall time has stepped and nobody has accepted it.
    pub(super) const fn stepped(&self) -> bool {
        self.stepped
    }

    /// Milliseconds since the running clock stood at `then`.
    pub(super) const fn since(&self, then: u64) -> u64 {
        self.running_ms.saturating_sub(then)
    }

    /// Goes on to `now`, in the same process.
    pub(super) fn advance(&mut self, now: Now) {
        let passed = now.monotonic_ms.saturating_sub(self.last.monotonic_ms);
        let went_back = now.monotonic_ms < self.last.monotonic_ms;
        self.running_ms = self.running_ms.saturating_add(passed);
        let since_anchor = now.monotonic_ms.saturating_sub(self.anchor.monotonic_ms);
        let expected = later(self.anchor.utc, since_anchor);
        self.stepped |= went_back || now.utc.distance_ms(expected) > MAX_STEP_MS;
        self.utc = if self.stepped { later(self.utc, passed) } else { self.utc.max(now.utc) };
        self.last = Now { utc: now.utc, monotonic_ms: now.monotonic_ms.max(self.last.monotonic_ms) };
        if !self.stepped && since_anchor >= ANCHOR_MS {
            self.anchor = now;
        }
    }

    /// Goes on in a new process, whose monotonic clock says nothing about the pause.
    pub(super) fn restart(&mut self, now: Now) {
        self.stepped |= self.utc.since_ms(now.utc) > MAX_STEP_MS;
        self.running_ms = self.running_ms.saturating_add(now.utc.since_ms(self.utc));
        if !self.stepped {
            self.utc = self.utc.max(now.utc);
        }
        (self.last, self.anchor) = (now, now);
    }

    /// Someone looked: wall time is right as it is now.
    pub(super) const fn accept(&mut self) {
        self.utc = self.last.utc;
        self.anchor = self.last;
        self.stepped = false;
    }
}

const fn later(than: Timestamp, ms: u64) -> Timestamp {
    Timestamp::from_ms(than.as_ms().saturating_add(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_767_744_000_000;

    fn now(utc: u64, monotonic_ms: u64) -> Now {
        Now { utc: Timestamp::from_ms(START + utc), monotonic_ms }
    }

    #[test]
    fn two_seconds_are_drift_and_one_millisecond_more_is_a_step() {
        for (utc, stepped) in [(12_000, false), (12_001, true), (8000, false), (7999, true)] {
            let mut clock = Clock::new(now(0, 0));
            clock.advance(now(utc, 10_000));
            assert_eq!(clock.stepped(), stepped, "{utc}");
        }
    }

    #[test]
    fn many_small_steps_are_one_step() {
        let mut clock = Clock::new(now(0, 0));
        clock.advance(now(2500, 1000));
        assert!(!clock.stepped());
        clock.advance(now(4001, 2000));
        assert!(clock.stepped());
    }

    #[test]
    fn a_slewed_clock_is_no_step() {
        let mut clock = Clock::new(now(0, 0));
        for second in 1..100_000 {
            // 500 ppm fast.
            clock.advance(now(second * 1000 + second / 2, second * 1000));
        }
        assert!(!clock.stepped());
    }

    #[test]
    fn while_stepped_time_goes_on_by_the_monotonic_clock() {
        let mut clock = Clock::new(now(0, 0));
        clock.advance(now(86_400_000, 1000));
        assert_eq!(clock.utc(), Timestamp::from_ms(START + 1000));
        clock.advance(now(1500, 1500));
        assert!(clock.stepped(), "coming back does not clear it");
        assert_eq!(clock.since(OLDEST_ARRIVAL_MS), 1500);
        clock.accept();
        assert!(!clock.stepped());
        assert_eq!(clock.utc(), Timestamp::from_ms(START + 1500));
    }

    #[test]
    fn a_restart_counts_the_pause_and_sees_a_clock_set_back() {
        let mut clock = Clock::new(now(0, 5_000_000));
        clock.restart(now(60_000, 3));
        assert_eq!((clock.since(OLDEST_ARRIVAL_MS), clock.stepped()), (60_000, false));
        clock.restart(now(58_000, 9));
        assert!(!clock.stepped());
        clock.restart(now(57_999, 1));
        assert!(clock.stepped());
    }

    #[test]
    fn a_monotonic_clock_that_goes_back_is_not_believed() {
        let mut clock = Clock::new(now(0, 1000));
        clock.advance(now(0, 999));
        assert!(clock.stepped());
        assert_eq!(clock.since(OLDEST_ARRIVAL_MS), 0);
    }
}
