//! The rows of the table: distribution, reference, budget, verdict.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bench::samples::Summary;

/// One line of the table. Times in microseconds.
#[derive(Debug, Serialize)]
pub struct Row {
    name: String,
    unit: &'static str,
    min: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    /// The reference's p50.
    reference: Option<f64>,
    /// p50 over the reference's.
    ratio: Option<f64>,
    /// On the ratio if there is a reference, otherwise on p50.
    budget: Option<f64>,
    met: Option<bool>,
}

impl Row {
    /// A row that others are compared with.
    pub fn floor(name: impl Into<String>, own: Summary) -> Self {
        let [min, p50, p99, p999] = [own.min, own.p50, own.p99, own.p999].map(micros);
        let name = name.into();
        Self { name, unit: "µs", min, p50, p99, p999, reference: None, ratio: None, budget: None, met: None }
    }

    /// A row with a budget of its own.
    pub fn within(name: impl Into<String>, own: Summary, most_micros: f64) -> Self {
        let row = Self::floor(name, own);
        Self { budget: Some(most_micros), met: Some(row.p50 <= most_micros), ..row }
    }

    /// A row whose budget is a ratio to a `floor` of the same run.
    pub fn against(name: impl Into<String>, own: Summary, floor: Summary, most_ratio: f64) -> Self {
        let (reference, ratio) = (Some(micros(floor.p50)), ratio(own.p50, floor.p50));
        let met = Some(ratio <= most_ratio);
        Self { reference, ratio: Some(ratio), budget: Some(most_ratio), met, ..Self::floor(name, own) }
    }

    #[cfg(test)]
    fn verdict(&self) -> Option<bool> {
        self.met
    }
}

/// The rows for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<52}{:>9}{:>9}{:>11}{:>11}{:>11}{:>8}{:>8}  {}\n",
        "µs", "min", "p50", "p99", "p99.9", "reference", "ratio", "budget", "met"
    );
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        let met = row.met.map_or("–", |met| if met { "yes" } else { "MISSED" });
        let [min, p50, p99, p999] = [row.min, row.p50, row.p99, row.p999].map(|value| number(Some(value)));
        let (reference, ratio, budget) = (number(row.reference), number(row.ratio), number(row.budget));
        writeln!(
            text,
            "{:<52}{min:>9}{p50:>9}{p99:>11}{p999:>11}{reference:>11}{ratio:>8}{budget:>8}  {met}",
            row.name
        )
        .expect("writing to a string cannot fail");
    }
    text.pop();
    text
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a duration for people, no money")]
fn micros(picoseconds: u64) -> f64 {
    // Three digits are what the clock gives.
    ((picoseconds + 500) / 1000) as f64 / 1000.0
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "two durations, no money")]
fn ratio(own: u64, floor: u64) -> f64 {
    (own as f64 / floor.max(1) as f64 * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(picoseconds: u64) -> Summary {
        Summary { min: picoseconds, p50: picoseconds, p99: picoseconds, p999: picoseconds }
    }

    #[test]
    fn the_budget_itself_is_met() {
        assert_eq!(Row::within("x", flat(300_000), 0.3).verdict(), Some(true));
        assert_eq!(Row::within("x", flat(301_000), 0.3).verdict(), Some(false));
        assert_eq!(Row::against("x", flat(150), flat(100), 1.5).verdict(), Some(true));
        assert_eq!(Row::against("x", flat(151), flat(100), 1.5).verdict(), Some(false));
        assert_eq!(Row::floor("x", flat(1)).verdict(), None);
    }
}
