//! How often a channel may be asked: its back-off after failures, its spacing after successes.

use trading::Timestamp;

use crate::alerts::{Channel, Outcome};

/// Wait after the first failure, in milliseconds; doubled with every further one.
pub const FIRST_WAIT_MS: u64 = 1_000;
/// Longest wait of the channel's own choosing, in milliseconds.
pub const LONGEST_WAIT_MS: u64 = 300_000;
/// Longest wait that a server may ask for, in milliseconds.
pub const LONGEST_ASKED_MS: u64 = 3_600_000;
/// Attempts under way at once on a channel that works; the last place is for urgent alerts.
pub const IN_FLIGHT: usize = 2;
/// Failures in a row after which a channel is reported as not working.
const DOWN_AFTER: u32 = 3;
/// Shortest time between two reports about one channel, in milliseconds.
const REPORT_EVERY_MS: u64 = 3_600_000;

/// Chance for the spread of waits, uniform over its range: cores have none of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(pub u16);

/// What is known about one channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// Not asked before.
    open_at: Timestamp,
    /// In a row.
    failures: u32,
    in_flight: usize,
    reported_at: Option<Timestamp>,
}

impl Pace {
    pub(super) const fn open_at(&self) -> Timestamp {
        self.open_at
    }

    /// Whether an attempt may start. A failing channel is asked once at a time.
    pub(super) fn is_ready(&self, now: Timestamp, urgent: bool) -> bool {
        self.open_at <= now && self.has_room(urgent)
    }

    pub(super) const fn has_room(&self, urgent: bool) -> bool {
        let places = if urgent && self.failures == 0 { IN_FLIGHT } else { 1 };
        self.in_flight < places
    }

    pub(super) const fn start(&mut self) {
        self.in_flight += 1;
    }

    /// Takes note of an attempt's end. Whether the channel should be reported as not working.
    pub(super) fn finish(
        &mut self,
        channel: Channel,
        outcome: &Outcome,
        now: Timestamp,
        jitter: Jitter,
    ) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        let wait = match outcome {
            Outcome::Delivered => {
                self.failures = 0;
                // A wait that an attempt beside this one brought about still counts.
                self.open_at = self.open_at.max(now.plus_ms(spacing_ms(channel)));
                return false;
            }
            Outcome::Later { after_ms, .. } => {
                self.next_wait_ms(jitter).max(after_ms.unwrap_or(0).min(LONGEST_ASKED_MS))
            }
            Outcome::Refused { .. } => self.next_wait_ms(jitter),
            Outcome::Unauthorised { .. } => LONGEST_WAIT_MS,
        };
        self.failures = self.failures.saturating_add(1);
        self.open_at = self.open_at.max(now.plus_ms(wait));
        let is_down = self.failures >= DOWN_AFTER || matches!(outcome, Outcome::Unauthorised { .. });
        let is_news = self.reported_at.is_none_or(|at| now.since_ms(at) >= REPORT_EVERY_MS);
        if is_down && is_news {
            self.reported_at = Some(now);
        }
        is_down && is_news
    }

    /// Moves everything noted `by_ms` back: the clock was set back.
    pub(super) fn shift_back(&mut self, by_ms: u64) {
        self.open_at = self.open_at.minus_ms(by_ms);
        self.reported_at = self.reported_at.map(|at| at.minus_ms(by_ms));
    }

    /// Between half and the whole of the doubled wait.
    fn next_wait_ms(&self, jitter: Jitter) -> u64 {
        let whole = FIRST_WAIT_MS.saturating_mul(1 << self.failures.min(20)).min(LONGEST_WAIT_MS);
        whole / 2 + whole / 2 * u64::from(jitter.0) / u64::from(u16::MAX)
    }
}

/// Least time between a success and the next attempt, in milliseconds. Telegram asks bots to send
/// no more than one message a second to a chat (Bots FAQ, "My bot is hitting limits").
const fn spacing_ms(channel: Channel) -> u64 {
    match channel {
        Channel::Telegram => 1_000,
        Channel::Log | Channel::Webhook | Channel::Email => 0,
    }
}

/// Sums and differences that stay in range.
pub(super) trait Shift {
    fn plus_ms(self, ms: u64) -> Self;
    fn minus_ms(self, ms: u64) -> Self;
}

impl Shift for Timestamp {
    fn plus_ms(self, ms: u64) -> Self {
        Self::from_ms(self.as_ms().saturating_add(ms))
    }

    fn minus_ms(self, ms: u64) -> Self {
        Self::from_ms(self.as_ms().saturating_sub(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_ms(1_000_000_000);

    fn later(after_ms: Option<u64>) -> Outcome {
        Outcome::Later { after_ms, reason: String::new() }
    }

    fn wait_after(pace: &mut Pace, outcome: &Outcome, jitter: u16) -> u64 {
        pace.start();
        pace.open_at = AT;
        pace.finish(Channel::Webhook, outcome, AT, Jitter(jitter));
        pace.open_at.since_ms(AT)
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_spread_over_their_upper_half() {
        let mut slow = Pace::default();
        let mut quick = Pace::default();
        for doubled in
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]
        {
            assert_eq!(wait_after(&mut slow, &later(None), u16::MAX), doubled);
            assert_eq!(wait_after(&mut quick, &later(None), 0), doubled / 2);
        }
        slow.failures = u32::MAX;
        assert_eq!(wait_after(&mut slow, &later(None), u16::MAX), LONGEST_WAIT_MS);
    }

    #[test]
    fn a_servers_wish_counts_up_to_an_hour_and_never_shortens_a_wait() {
        assert_eq!(wait_after(&mut Pace::default(), &later(Some(35_000)), 0), 35_000);
        assert_eq!(wait_after(&mut Pace::default(), &later(Some(u64::MAX)), 0), LONGEST_ASKED_MS);
        assert_eq!(wait_after(&mut Pace::default(), &later(Some(0)), u16::MAX), FIRST_WAIT_MS);
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let mut pace = Pace::default();
        for _ in 0..5 {
            wait_after(&mut pace, &later(None), 0);
        }
        assert_eq!(wait_after(&mut pace, &Outcome::Delivered, 0), 0);
        assert_eq!(wait_after(&mut pace, &later(None), u16::MAX), FIRST_WAIT_MS);
    }

    #[test]
    fn the_second_place_is_for_urgent_alerts_of_a_working_channel() {
        let mut pace = Pace::default();
        pace.start();
        assert!(!pace.is_ready(AT, false) && pace.is_ready(AT, true));
        pace.start();
        assert!(!pace.is_ready(AT, true));
        pace.finish(Channel::Webhook, &later(None), AT, Jitter(0));
        let open = pace.open_at;
        assert!(!pace.is_ready(open, true), "one attempt at a time while it fails");
    }

    #[test]
    fn a_channel_that_does_not_work_is_reported_once_an_hour() {
        let mut pace = Pace::default();
        let mut fail =
            |outcome: &Outcome, ms| pace.finish(Channel::Email, outcome, Timestamp::from_ms(ms), Jitter(0));
        assert!(!fail(&later(None), 0) && !fail(&later(None), 1) && fail(&later(None), 2));
        assert!(!fail(&later(None), 2 + REPORT_EVERY_MS - 1) && fail(&later(None), 2 + REPORT_EVERY_MS));
        let denied = Outcome::Unauthorised { reason: String::new() };
        assert!(Pace::default().finish(Channel::Email, &denied, AT, Jitter(0)), "at once: no wait helps");
    }
}
