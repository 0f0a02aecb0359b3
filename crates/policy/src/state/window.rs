//! Counts events within the last second, exactly, in fixed memory.

use std::collections::VecDeque;

use trading::Timestamp;

use super::stored::StoredWindow;

/// Length of the window: an event counts while it is younger than this.
const WINDOW_MS: u64 = 1000;
/// Events remembered; more than any policy may allow in a window.
const REMEMBERED: usize = 32_768;

/// The times of the last events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RateWindow {
    /// Oldest first; at most [`REMEMBERED`]. What is missing counts no more, unless it is full.
    times: VecDeque<Timestamp>,
    /// Events ever counted.
    total: u64,
}

impl RateWindow {
    pub(crate) const fn new() -> Self {
        Self { times: VecDeque::new(), total: 0 }
    }

    /// What of it may still count: times less than a window older than the last.
    pub(super) fn stored(&self) -> StoredWindow {
        let last = self.times.back().copied().unwrap_or_default();
        let mut recent: Vec<(Timestamp, u64)> = Vec::new();
        for &at in self.times.iter().filter(|at| last.since_ms(**at) < WINDOW_MS) {
            match recent.last_mut().filter(|(same, _)| *same == at) {
                Some((_, events)) => *events += 1,
                None => recent.push((at, 1)),
            }
        }
        StoredWindow { total: self.total, recent }
    }

    pub(super) fn read(stored: &StoredWindow) -> Result<Self, &'static str> {
        let recent = stored.recent.iter().try_fold(0u64, |sum, (_, events)| sum.checked_add(*events));
        if recent.is_none_or(|recent| recent > REMEMBERED as u64 || recent > stored.total) {
            return Err("more times than there were events");
        }
        // No more than were just counted.
        let times = stored.recent.iter().flat_map(|&(at, events)| (0..events).map(move |_| at));
        Ok(Self { times: times.collect(), total: stored.total })
    }

    pub(crate) fn add(&mut self, events: u64, at: Timestamp) {
        for _ in 0..events {
            if self.times.len() == REMEMBERED {
                self.times.pop_front();
            }
            self.times.push_back(at);
            self.total += 1;
        }
    }

    /// Whether `more` events now would keep the window within `limit`; looks at one remembered
    /// event only.
    #[inline]
    pub(crate) fn has_room(&self, more: u64, limit: u64, now: Timestamp) -> bool {
        if more > limit {
            return false;
        }
        // The window is over the limit exactly if the event `limit - more + 1` back is within it.
        let back = usize::try_from(limit - more + 1).unwrap_or(usize::MAX);
        match self.times.len().checked_sub(back) {
            Some(at) => now.since_ms(self.times[at]) >= WINDOW_MS,
            None => self.times.len() < REMEMBERED,
        }
    }

    /// Events within the window, at most those remembered.
    pub(crate) fn count(&self, now: Timestamp) -> u64 {
        self.times.iter().rev().take_while(|at| now.since_ms(**at) < WINDOW_MS).count() as u64
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_counts_for_exactly_a_second() {
        let mut window = RateWindow::new();
        window.add(2, Timestamp::from_ms(5000));
        assert!(!window.has_room(1, 2, Timestamp::from_ms(5999)));
        assert!(window.has_room(1, 2, Timestamp::from_ms(6000)));
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(gaps in proptest::collection::vec(0_u64..400, 1..60), limit in 1_u64..8, more in 1_u64..4) {
            let (mut window, mut list, mut now) = (RateWindow::new(), Vec::new(), 10_000);
            for gap in gaps {
                now += gap;
                let inside = list.iter().filter(|&&at| now - at < 1000).count() as u64;
                let time = Timestamp::from_ms(now);
                prop_assert_eq!(window.count(time), inside);
                prop_assert_eq!(window.has_room(more, limit, time), inside + more <= limit);
                window.add(1, time);
                list.push(now);
            }
        }
    }
}
