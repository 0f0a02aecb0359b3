//! The time the core is told: the wall clock's, except that it never goes back and never stands still.
//!
//! A wall clock that is set back would otherwise stop the core's time for as long, and with it every
//! window that is bounded by time. So behind the latest time told, the steady clock counts on. A jump
//! ahead is believed: limits that it renews too early are those of a day that the machine says has come.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trading::Timestamp;

/// Tells the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    last: Timestamp,
    last_at: Instant,
}

impl Clock {
    /// A clock that begins at the wall clock's time.
    pub(crate) fn start() -> Self {
        Self { last: wall_clock(), last_at: Instant::now() }
    }

    /// The time now.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.tell(wall_clock(), Instant::now())
    }

    fn tell(&mut self, wall: Timestamp, at: Instant) -> Timestamp {
        let counted = told_after(self.last, at.saturating_duration_since(self.last_at));
        if wall >= counted {
            (self.last, self.last_at) = (wall, at);
            return wall;
        }
        // The anchor stays where it is: fractions of a millisecond are not lost by asking often.
        counted
    }
}

fn told_after(last: Timestamp, passed: Duration) -> Timestamp {
    let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_ms(last.as_ms().saturating_add(passed_ms))
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_is_counted_on_and_one_set_ahead_is_believed() {
        let start = Instant::now();
        let mut clock = Clock { last: Timestamp::from_ms(10_000), last_at: start };
        let mut tell = |wall, passed_us| {
            clock.tell(Timestamp::from_ms(wall), start + Duration::from_micros(passed_us)).as_ms()
        };
        assert_eq!(tell(10_005, 5_000), 10_005);
        assert_eq!(tell(3_600, 6_000), 10_006, "an hour back: one millisecond has passed");
        assert_eq!(tell(3_601, 6_400), 10_006);
        assert_eq!(tell(3_602, 7_000), 10_007, "fractions add up");
        assert_eq!(tell(0, 1_000_000), 11_000);
        assert_eq!(tell(90_000_000, 1_001_000), 90_000_000, "a day ahead");
        assert_eq!(tell(90_000_000, 1_002_500), 90_000_001);
    }
}
