//! The values of a view: for people, as JSON, and for spreadsheets.

use journal::tables::Cell;
use serde_json::{Map, Value};
use trading::Timestamp;

/// A value as JSON; a time in RFC 3339.
pub fn json(column: &str, cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => {
            time(column, *number).map_or_else(|| Value::from(*number), |time| Value::from(time.to_string()))
        }
        Cell::Text(text) => Value::from(text.as_str()),
    }
}

/// A row as a JSON object.
pub fn object(columns: &[String], row: &[Cell]) -> Value {
    let fields = columns.iter().zip(row).map(|(column, cell)| (column.clone(), json(column, cell)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A value as text; nothing is the empty text, which no text of the journal is.
pub fn text(column: &str, cell: &Cell) -> String {
    match json(column, cell) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A value as a cell of a CSV file that no spreadsheet takes for a formula: a text that begins like one
/// gets an apostrophe before it, and so does one that begins with an apostrophe, so that who reads the
/// file can take off the first. A plain number stays as it is, whatever its sign (OWASP, "CSV
/// Injection").
pub fn for_spreadsheet(text: String) -> String {
    const FORMULA: &[char] =
        &['=', '+', '-', '@', '\t', '\r', '\n', '\'', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let is_number = || text.parse::<trading::Decimal>().is_ok();
    if text.starts_with(FORMULA) && !is_number() { format!("'{text}") } else { text }
}

/// The time a column holds, if it is one that holds times.
fn time(column: &str, number: i64) -> Option<Timestamp> {
    column.ends_with("_at").then(|| u64::try_from(number).ok()).flatten().map(Timestamp::from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_texts_and_numbers_stay_numbers() {
        for formula in
            ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "\u{ff1d}1", "'=1", "-"]
        {
            assert_eq!(for_spreadsheet(formula.to_owned()), format!("'{formula}"));
        }
        for plain in ["", "-12.5", "0.1", "buy = sell", "long", "1-2"] {
            assert_eq!(for_spreadsheet(plain.to_owned()), plain);
        }
    }

    #[test]
    fn times_are_told_by_their_columns() {
        assert_eq!(text("resolved_at", &Cell::Integer(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(text("rung", &Cell::Integer(3)), "3");
        assert_eq!(text("resolved_at", &Cell::Null), "");
    }
}
