//! The rows of the table: distribution, reference, budget, verdict.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bench::samples::{Distribution, Summary};

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    name: String,
    /// Of everything but the ratio: `µs`, `/s` or `MiB`.
    unit: &'static str,
    min: Option<f64>,
    /// The middle of the distribution; what a row is judged by.
    p50: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    /// The reference's p50.
    reference: Option<f64>,
    /// p50 over the reference's.
    ratio: Option<f64>,
    budget: Option<Budget>,
    met: Option<bool>,
    /// What the figures alone do not say.
    note: Option<String>,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// The ratio is at most this.
    Ratio(f64),
    /// p50 is at most this.
    Most(f64),
    /// p50 is at least this.
    Least(f64),
}

impl Row {
    fn bare(name: impl Into<String>, unit: &'static str) -> Self {
        let name = name.into();
        let (min, p50, p99, p999) = (None, None, None, None);
        let (reference, ratio, budget, met, note) = (None, None, None, None, None);
        Self { name, unit, min, p50, p99, p999, reference, ratio, budget, met, note }
    }

    /// A row of durations, on its own.
    pub fn floor(name: impl Into<String>, own: Summary) -> Self {
        let [min, p50, p99, p999] = [own.min, own.p50, own.p99, own.p999].map(|time| Some(micros(time)));
        Self { min, p50, p99, p999, ..Self::bare(name, "µs") }
    }

    /// A row of one figure.
    pub fn figure(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { p50: Some(value), ..Self::bare(name, unit) }
    }

    /// A row that could not be measured, and why.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::bare(name, "µs").noting(why)
    }

    /// Beside the p50 of `reference`, in this row's unit.
    pub fn beside(self, reference: f64) -> Self {
        let ratio = self.p50.map(|own| ratio(own, reference));
        Self { reference: Some(reference), ratio, ..self }
    }

    /// Beside the p50 of another distribution.
    pub fn against(self, reference: &Distribution) -> Self {
        self.beside(micros(reference.summary().p50))
    }

    /// With what must hold.
    pub fn within(self, budget: Budget) -> Self {
        let met = match budget {
            Budget::Ratio(most) => self.ratio.map(|ratio| ratio <= most),
            Budget::Most(most) => self.p50.map(|own| own <= most),
            Budget::Least(least) => self.p50.map(|own| own >= least),
        };
        Self { budget: Some(budget), met, ..self }
    }

    pub fn noting(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    #[cfg(test)]
    fn verdict(&self) -> Option<bool> {
        self.met
    }

    /// Everything but the name, as text.
    fn cells(&self) -> [String; 8] {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), digits);
        let budget = match self.budget {
            None => "–".to_owned(),
            Some(Budget::Ratio(most)) => format!("≤ {most} ×"),
            Some(Budget::Most(most)) => format!("≤ {most}"),
            Some(Budget::Least(least)) => format!("≥ {least}"),
        };
        let met = match (self.met, &self.budget) {
            (Some(true), _) => "yes",
            (Some(false), _) => "MISSED",
            (None, Some(_)) => "not measured",
            (None, None) => "–",
        };
        let ratio = self.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}"));
        let [min, p50, p99, p999] = [self.min, self.p50, self.p99, self.p999].map(number);
        [min, p50, p99, p999, number(self.reference), ratio, budget, met.to_owned()]
    }
}

/// The rows for people.
pub fn table(rows: &[Row]) -> String {
    let head = ["min", "p50", "p99", "p99.9", "reference", "ratio", "budget", "met"].map(str::to_owned);
    let mut text = line("", "", &head);
    for row in rows {
        text.push_str(&line(&row.name, row.unit, &row.cells()));
        if let Some(note) = &row.note {
            writeln!(text, "    {note}").expect("writing to a string cannot fail");
        }
    }
    text.pop();
    text
}

fn line(name: &str, unit: &str, cells: &[String; 8]) -> String {
    let [min, p50, p99, p999, reference, ratio, budget, met] = cells;
    format!(
        "{name:<68}{unit:>4}{min:>10}{p50:>10}{p99:>11}{p999:>11}{reference:>11}{ratio:>9}{budget:>11}  {met}\n"
    )
}

/// The rows for a document: names, figures, and the notes below the table.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = "| row | unit | min | p50 | p99 | p99.9 | reference | ratio | budget | met |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut notes = String::new();
    for row in rows {
        let [min, p50, p99, p999, reference, ratio, budget, met] = row.cells();
        let met = if met == "MISSED" { "**missed**" } else { &met };
        let (name, unit) = (&row.name, row.unit);
        writeln!(
            text,
            "| {name} | {unit} | {min} | {p50} | {p99} | {p999} | {reference} | {ratio} | {budget} | {met} |"
        )
        .expect("writing to a string cannot fail");
        if let Some(note) = &row.note {
            writeln!(notes, "- {name}: {note}").expect("writing to a string cannot fail");
        }
    }
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

/// As many digits as mean something.
fn digits(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.2}"),
        ..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a duration for people, no money")]
pub fn micros(picoseconds: u64) -> f64 {
    // Three digits are what the clock gives.
    ((picoseconds + 500) / 1000) as f64 / 1000.0
}

#[expect(clippy::float_arithmetic, reason = "two measurements, no money")]
fn ratio(own: f64, floor: f64) -> f64 {
    if floor <= 0.0 { f64::INFINITY } else { (own / floor * 1000.0).round() / 1000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_itself_is_met() {
        let row = |value| Row::figure("x", "µs", value);
        assert_eq!(row(0.3).within(Budget::Most(0.3)).verdict(), Some(true));
        assert_eq!(row(0.301).within(Budget::Most(0.3)).verdict(), Some(false));
        assert_eq!(row(150.0).beside(100.0).within(Budget::Ratio(1.5)).verdict(), Some(true));
        assert_eq!(row(151.0).beside(100.0).within(Budget::Ratio(1.5)).verdict(), Some(false));
        assert_eq!(row(20_000.0).within(Budget::Least(20_000.0)).verdict(), Some(true));
        assert_eq!(row(19_999.0).within(Budget::Least(20_000.0)).verdict(), Some(false));
        assert_eq!(row(1.0).verdict(), None);
        assert_eq!(Row::skipped("x", "why").within(Budget::Most(1.0)).verdict(), None);
    }

    #[test]
    fn what_was_not_measured_is_said_not_to_be() {
        let text = markdown(&[Row::skipped("x", "no server").within(Budget::Ratio(0.5))]);
        assert!(
            text.contains("| ≤ 0.5 × | not measured |\n") && text.ends_with("- x: no server\n"),
            "{text}"
        );
    }
}
