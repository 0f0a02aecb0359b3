//! One mistake in a policy file, and guesses at what was meant.

use std::fmt;

use serde::Serialize;

/// A mistake, where it is and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Line of the file, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The field's path, as far as it is known.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Mistake {
    /// A mistake at byte `offset` of `text`.
    pub(crate) fn at(
        text: &str,
        offset: usize,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, field: field.into(), message: message.into(), fix: fix.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: ", self.line, self.column)?;
        if !self.field.is_empty() {
            write!(formatter, "{} ", self.field)?;
        }
        write!(formatter, "{}; {}", self.message, self.fix)
    }
}

/// The candidate nearest to `word`, if one is near enough to be meant.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 2).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace) between two words.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let replace = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replace.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_was_meant() {
        assert_eq!(closest("makr_only", ["maker_only", "venue"]), Some("maker_only"));
        assert_eq!(closest("Buy", ["buy", "sell"]), Some("buy"));
        assert_eq!(closest("xyz", ["maker_only", "venue"]), None);
    }

    #[test]
    fn counts_lines_and_columns_from_one() {
        let mistake = Mistake::at("a\nbé = 1", 6, "", "", "");
        assert_eq!((mistake.line, mistake.column), (2, 4));
    }
}
