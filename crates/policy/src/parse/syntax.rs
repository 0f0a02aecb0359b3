//! Reads the file as TOML, going on after a faulty line so that all faults are reported at once.

use std::collections::BTreeSet;

use toml_edit::Document;

use super::mistake::Mistake;

/// Most faulty lines that are passed over.
const MOST_FAULTS: usize = 50;

/// What could be read.
pub(super) struct Parsed {
    pub(super) document: Option<Document<String>>,
    pub(super) mistakes: Vec<Mistake>,
    /// Keys of faulty lines: they are not missing, they are faulty.
    pub(super) unreadable: BTreeSet<String>,
}

/// Reads `text`; each line that is not TOML (or repeats a key) is reported and blanked, length
/// and so all positions kept, and reading starts again. A faulty table header ends it: what
/// follows would be taken for another table's.
pub(super) fn parse(text: &str) -> Parsed {
    let mut rest = text.to_owned();
    let mut parsed = Parsed { document: None, mistakes: Vec::new(), unreadable: BTreeSet::new() };
    while parsed.mistakes.len() < MOST_FAULTS {
        let error = match Document::parse(rest.clone()) {
            Ok(document) => {
                parsed.document = Some(document);
                return parsed;
            }
            Err(error) => error,
        };
        let offset = error.span().map_or(0, |span| span.start).min(rest.len());
        let start = rest.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let end = rest.get(offset..).and_then(|after| after.find('\n')).map_or(rest.len(), |at| offset + at);
        let line = rest.get(start..end).unwrap_or_default().to_owned();
        let is_repeated = error.message().contains("duplicate key");
        let fix = if is_repeated { "each key stands once; remove one" } else { "correct the line" };
        let key = line.split_once('=').map(|(key, _)| key.trim().to_owned());
        let field = key.clone().unwrap_or_else(|| line.trim().to_owned());
        parsed.mistakes.push(Mistake::at(text, offset, field, error.message().to_owned(), fix));
        if line.trim().is_empty() || line.trim_start().starts_with('[') {
            return parsed;
        }
        if let Some(key) = key.filter(|_| !is_repeated) {
            parsed.unreadable.insert(key);
        }
        rest.replace_range(start..end, &" ".repeat(end - start));
    }
    parsed
}
