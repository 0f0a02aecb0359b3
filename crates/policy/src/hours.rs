//! Hours of the week, in UTC.

use std::fmt;
use std::str::FromStr;

use trading::Timestamp;

const DAY: u64 = 24 * 60;
const WEEK: u64 = 7 * DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of the week, from Monday 00:00 UTC, as ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Hours(Vec<(u64, u64)>);

/// Why a text does not name hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHours;

impl Hours {
    /// The union of several texts such as `mon-fri 08:00-16:30`.
    pub(crate) fn of(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut ranges: Vec<_> = parts.into_iter().flat_map(|part| part.0).collect();
        ranges.sort_unstable();
        let mut union: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match union.last_mut() {
                Some((_, end)) if from <= *end => *end = (*end).max(to),
                _ => union.push((from, to)),
            }
        }
        Self(union)
    }

    /// Whether `at` is within the hours; the end of a range is not.
    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        // 1970-01-01 was a Thursday.
        let minute = (at.as_ms() / 60_000 + 3 * DAY) % WEEK;
        self.0.iter().any(|&(from, to)| (from..to).contains(&minute))
    }

    /// Whether every minute of `self` is in `other`.
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|&(from, to)| other.0.iter().any(|&(start, end)| start <= from && to <= end))
    }
}

impl FromStr for Hours {
    type Err = NotHours;

    /// Reads `mon-fri 08:00-16:30` or `sat 00:00-24:00`. A range of days goes forward; one that ends
    /// before it begins is two.
    fn from_str(text: &str) -> Result<Self, NotHours> {
        let (days, times) = text.split_once(' ').ok_or(NotHours)?;
        let day = |name: &str| DAYS.iter().position(|day| *day == name).ok_or(NotHours);
        let (first, last) = match days.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(days)?, day(days)?),
        };
        let (from, to) = times.split_once('-').ok_or(NotHours)?;
        let (from, to) = (minute(from)?, minute(to)?);
        if first > last || from >= to {
            return Err(NotHours);
        }
        let of_day = |day: usize| (day as u64 * DAY + from, day as u64 * DAY + to);
        Ok(Self::of((first..=last).map(|day| Self(vec![of_day(day)]))))
    }
}

fn minute(text: &str) -> Result<u64, NotHours> {
    let digits = |text: &str| match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Ok(u64::from(tens - b'0') * 10 + u64::from(ones - b'0')),
        _ => Err(NotHours),
    };
    let (hours, minutes) = text.split_once(':').ok_or(NotHours)?;
    match (digits(hours)?, digits(minutes)?) {
        (hours, minutes) if minutes < 60 && hours * 60 + minutes <= DAY => Ok(hours * 60 + minutes),
        _ => Err(NotHours),
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("never");
        }
        for (index, &(from, to)) in self.0.iter().enumerate() {
            let clock = |minute: u64| format!("{:02}:{:02}", minute % DAY / 60, minute % 60);
            let day = |minute: u64| DAYS[usize::try_from(minute / DAY % 7).unwrap_or_default()];
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{} {} to ", day(from), clock(from))?;
            // The end of a day is that day's 24:00, not the next one's 00:00.
            if to % DAY == 0 {
                write!(formatter, "{} 24:00", day(to - 1))?;
            } else {
                write!(formatter, "{} {}", day(to), clock(to))?;
            }
        }
        formatter.write_str(" UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Hours {
        Hours::of(text.split(", ").map(|part| part.parse().expect(part)))
    }

    /// Monday 2026-11-23 00:00:00 UTC.
    const MONDAY: u64 = 1_795_392_000_000;

    #[test]
    fn the_first_minute_counts_and_the_last_does_not() {
        let open = hours("mon-fri 08:00-16:30");
        let at = |ms: u64| open.contains(Timestamp::from_ms(MONDAY + ms));
        assert!(!at(8 * 3_600_000 - 1) && at(8 * 3_600_000));
        assert!(at(59_400_000 - 1) && !at(59_400_000));
        assert!(at(4 * 86_400_000 + 36_000_000) && !at(5 * 86_400_000 + 36_000_000));
        assert!(at(7 * 86_400_000 + 36_000_000), "and again next week");
    }

    #[test]
    fn shows_the_union() {
        assert_eq!(hours("mon-tue 00:00-24:00").to_string(), "mon 00:00 to tue 24:00 UTC");
        assert_eq!(hours("sun 10:00-12:00, sun 11:00-13:05").to_string(), "sun 10:00 to sun 13:05 UTC");
        assert_eq!(Hours::default().to_string(), "never");
    }

    #[test]
    fn subset_is_by_minutes_and_not_by_words() {
        let wide = hours("mon-fri 08:00-12:00, mon-fri 12:00-16:00");
        assert!(hours("tue 09:00-15:00").is_subset(&wide));
        assert!(!hours("tue 09:00-16:01").is_subset(&wide));
        assert!(!wide.is_subset(&hours("tue 09:00-15:00")));
    }

    #[test]
    fn refuses_what_is_not_hours() {
        for text in [
            "",
            "mon",
            "mon 8:00-16:00",
            "mon 08:00",
            "fri-mon 08:00-09:00",
            "mon 09:00-08:00",
            "mon 08:00-08:00",
            "mon 00:00-24:01",
            "mon 00:60-02:00",
            "Mon 08:00-09:00",
            "mon  08:00-09:00",
        ] {
            assert_eq!(text.parse::<Hours>(), Err(NotHours), "{text:?}");
        }
    }
}
