//! From when on: an age or a date.

use std::str::FromStr;

use trading::Timestamp;

/// A point in time as a person types it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So many milliseconds before now.
    Age(u64),
    /// Then.
    Time(Timestamp),
}

impl Since {
    /// The point in time, seen from `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Age(ms) => Timestamp::from_ms(now.as_ms().saturating_sub(ms)),
            Self::Time(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "say an age (90m, 24h, 7d), a date (2026-11-21) or a time in UTC (2026-11-21T08:30:00Z)";
        age(text).map(Self::Age).or_else(|| time(text).map(Self::Time)).ok_or(wrong)
    }
}

fn age(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    number(&text[..text.len() - 1])?.checked_mul(unit)
}

fn time(text: &str) -> Option<Timestamp> {
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = parts(clock, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day)?;
    Some(Timestamp::from_ms(days * 86_400_000 + ((hour * 60 + minute) * 60 + second) * 1000))
}

fn parts(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    let mut pieces = text.split(separator);
    for (value, width) in found.iter_mut().zip(widths) {
        let piece = pieces.next().filter(|piece| piece.len() == width)?;
        *value = number(piece)?;
    }
    pieces.next().is_none().then_some(found)
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > longest || year < 1970 {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_ones_that_timestamps_print() {
        // Each day of 1970 to 2069, through the other direction's printing.
        for day in 0..36_525 {
            let time = Timestamp::from_ms(day * 86_400_000);
            let date = &time.to_string()[..10];
            assert_eq!(date.parse(), Ok(Since::Time(time)), "{date}");
        }
        let time = Timestamp::from_ms(1_772_600_061_000);
        assert_eq!("2026-03-04T04:54:21Z".parse(), Ok(Since::Time(time)));
    }

    #[test]
    fn ages_count_back_from_now() {
        let now = Timestamp::from_ms(100_000_000);
        for (text, ms) in
            [("90m", 94_600_000), ("24h", 13_600_000), ("1d", 13_600_000), ("2d", 0), ("0m", 100_000_000)]
        {
            assert_eq!(text.parse::<Since>().expect(text).before(now).as_ms(), ms, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "h",
            "-1h",
            "+1h",
            "1w",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "1969-12-31",
            "2026-1-1",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "99999999999999999999d",
            "2026-01-01-01",
            "9é",
        ] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
