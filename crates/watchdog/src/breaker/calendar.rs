//! Days, ISO weeks and months of UTC. Unix time has no leap seconds, and UTC no summer time.

use trading::Timestamp;

/// Milliseconds in a day.
pub(super) const DAY_MS: u64 = 86_400_000;
/// 1970-01-01 was a Thursday: days since the Monday before it.
const MONDAY_SHIFT: u64 = 3;

/// Which calendar period a time lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// From 00:00:00.000.
    Day,
    /// From Monday 00:00:00.000 (ISO 8601).
    Week,
    /// From the 1st, 00:00:00.000.
    Month,
}

impl Period {
    /// When the period that holds `at` began. The week of the epoch counts from the epoch.
    pub(super) const fn start_of(self, at: Timestamp) -> Timestamp {
        let day = at.utc_day();
        let first = match self {
            Self::Day => day,
            Self::Week => day.saturating_sub((day + MONDAY_SHIFT) % 7),
            Self::Month => day - (day_of_month(day) - 1),
        };
        Timestamp::from_ms(first * DAY_MS)
    }
}

/// 1 to 31, of a day since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`, for days at or after the epoch).
const fn day_of_month(days: u64) -> u64 {
    let day_of_era = (days + 719_468) % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month_index + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds of 2025-12-29T00:00:00Z, a Monday.
    const MONDAY: u64 = 1_766_966_400_000;

    fn start(period: Period, ms: u64) -> String {
        period.start_of(Timestamp::from_ms(ms)).to_string()
    }

    #[test]
    fn a_day_starts_at_midnight() {
        assert_eq!(start(Period::Day, MONDAY), "2025-12-29T00:00:00.000Z");
        assert_eq!(start(Period::Day, MONDAY - 1), "2025-12-28T00:00:00.000Z");
    }

    #[test]
    fn an_iso_week_runs_across_the_year() {
        for day in 0..7 {
            assert_eq!(start(Period::Week, MONDAY + day * DAY_MS), "2025-12-29T00:00:00.000Z", "day {day}");
        }
        assert_eq!(start(Period::Week, MONDAY + 7 * DAY_MS - 1), "2025-12-29T00:00:00.000Z");
        assert_eq!(start(Period::Week, MONDAY + 7 * DAY_MS), "2026-01-05T00:00:00.000Z");
        assert_eq!(start(Period::Week, MONDAY - 1), "2025-12-22T00:00:00.000Z");
    }

    #[test]
    fn months_end_where_they_do() {
        for (inside, expected) in [
            (1_709_164_800_000, "2024-02-01T00:00:00.000Z"), // 2024-02-29, a leap day
            (1_709_251_199_999, "2024-02-01T00:00:00.000Z"), // its last millisecond
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_772_323_199_999, "2026-02-01T00:00:00.000Z"), // 2026-02-28, no leap year
            (1_772_323_200_000, "2026-03-01T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-01T00:00:00.000Z"), // 2100-02-28: no leap year either
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (951_868_799_999, "2000-02-01T00:00:00.000Z"), // 2000-02-29: a leap year
            (1_767_225_599_999, "2025-12-01T00:00:00.000Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(start(Period::Month, inside), expected);
        }
    }

    #[test]
    fn every_day_of_two_centuries_lies_in_the_periods_that_hold_it() {
        for day in 4..73_000 {
            let at = Timestamp::from_ms(day * DAY_MS + 1);
            assert!(at.since_ms(Period::Week.start_of(at)) / DAY_MS < 7);
            // The month's first day, as the time itself prints it.
            let text = Period::Month.start_of(at).to_string();
            assert_eq!(text[..8], at.to_string()[..8]);
            assert_eq!(&text[8..], "01T00:00:00.000Z");
        }
    }

    #[test]
    fn the_first_week_of_all_does_not_underflow() {
        assert_eq!(start(Period::Week, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(start(Period::Week, 4 * DAY_MS), "1970-01-05T00:00:00.000Z");
    }
}
