//! Reads typed fields out of tables and collects what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Item, TableLike, Value};
use trading::{Decimal, NameError};

use super::mistake::{Mistake, closest};
use super::{field_names, span_start};
use crate::diff::dotted;
use crate::fields::{self, Kind};
use crate::hours::Hours;

/// Largest amount a policy may state: counters stay far within exact arithmetic.
const LARGEST: i64 = 1_000_000_000_000_000;

/// One table of the file.
pub(super) struct Section<'a> {
    table: &'a dyn TableLike,
    path: Vec<String>,
    at: usize,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a dyn TableLike) -> Self {
        Self { table, path: Vec::new(), at: 0 }
    }

    /// The name the operator gave to this table.
    pub(super) fn own_name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Names in the table `child`, if it is one.
    pub(super) fn child_names(&self, child: &str) -> Vec<String> {
        let table = self.table.get(child).and_then(Item::as_table_like);
        table.map(|table| table.iter().map(|(key, _)| key.to_owned()).collect()).unwrap_or_default()
    }

    fn field(&self, name: &str) -> String {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        dotted(&path)
    }

    fn key_at(&self, name: &str) -> usize {
        let key = self.table.get_key_value(name);
        key.and_then(|(key, item)| key.span().map(|span| span.start).or_else(|| span_start(item)))
            .unwrap_or(self.at)
    }
}

/// Collects mistakes while fields are read.
pub(super) struct Reader<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
    unreadable: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str, mistakes: Vec<Mistake>, unreadable: BTreeSet<String>) -> Self {
        Self { text, mistakes, unreadable }
    }

    /// Every mistake, in the order of the lines.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        self.mistakes
    }

    pub(super) fn mistake(
        &mut self,
        section: &Section<'_>,
        name: &str,
        at: usize,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.mistakes.push(Mistake::at(self.text, at, section.field(name), message, fix));
    }

    pub(super) fn mistake_at_key(
        &mut self,
        section: &Section<'_>,
        name: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.mistake(section, name, section.key_at(name), message, fix);
    }

    /// A mistake in the name of the table itself.
    pub(super) fn mistake_here(
        &mut self,
        section: &Section<'_>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.mistakes.push(Mistake::at(self.text, section.at, dotted(&section.path), message, fix));
    }

    /// Reports each key that is neither a field of `table` nor one of its tables.
    pub(super) fn known_keys(&mut self, section: &Section<'_>, table: &'static str, tables: &[&'static str]) {
        for (key, _) in section.table.iter() {
            let known = || field_names(table).chain(tables.iter().copied());
            if !known().any(|name| name == key) {
                let fix = match closest(key, known()) {
                    Some(close) => format!("did you mean {close}?"),
                    None => "remove it".to_owned(),
                };
                self.mistake_at_key(section, key, "is not a field", fix);
            }
        }
    }

    /// The name of the section itself, checked by its type.
    pub(super) fn name<T>(
        &mut self,
        section: &Section<'_>,
        read: impl FnOnce(String) -> Result<T, NameError>,
    ) -> Option<T> {
        match read(section.own_name().to_owned()) {
            Ok(name) => Some(name),
            Err(error) => {
                self.mistake_here(section, error.to_string(), "choose another name");
                None
            }
        }
    }

    /// The tables within table `name`, which must be there.
    pub(super) fn tables<'t>(
        &mut self,
        section: &Section<'t>,
        name: &'static str,
        example: &str,
    ) -> Option<Vec<Section<'t>>> {
        let Some(item) = section.table.get(name) else {
            self.missing(section, name, format!("add it, with tables {example}"));
            return None;
        };
        let Some(table) = item.as_table_like() else {
            self.mistake_at_key(section, name, "must be a table", format!("write {example}"));
            return None;
        };
        let mut path = section.path.clone();
        path.push(name.to_owned());
        let parent = Section { table, path, at: section.key_at(name) };
        let mut sections = Vec::new();
        for (key, item) in table.iter() {
            match item.as_table_like() {
                Some(table) => {
                    let mut path = parent.path.clone();
                    path.push(key.to_owned());
                    sections.push(Section { table, path, at: parent.key_at(key) });
                }
                None => self.mistake_at_key(&parent, key, "must be a table", format!("write {example}")),
            }
        }
        Some(sections)
    }

    pub(super) fn count(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
    ) -> Option<u64> {
        let Kind::Count { most } = fields::find(table, name).kind else { unreachable!("{name} is a count") };
        let value =
            self.value(section, name, || format!("write a whole number, such as {name} = {}", most.min(10)))?;
        let fix = format!("write a whole number from 1 to {most}, without quotes");
        match value.as_integer().map(u64::try_from) {
            Some(Ok(0)) => {
                self.mistake_at_key(section, name, "is 0, which never means unlimited", fix);
                None
            }
            Some(Ok(count)) if count <= most => Some(count),
            Some(_) => {
                self.mistake_at_key(section, name, "is out of range", fix);
                None
            }
            None => {
                self.mistake_at_key(
                    section,
                    name,
                    format!("is {}, not a whole number", value.type_name()),
                    fix,
                );
                None
            }
        }
    }

    pub(super) fn amount(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
    ) -> Option<Decimal> {
        debug_assert_eq!(fields::find(table, name).kind, Kind::Amount);
        let value =
            self.value(section, name, || format!("write a decimal in quotes, such as {name} = \"0.5\""))?;
        let fix = "write a decimal above 0 in quotes, such as \"0.5\"";
        let Some(text) = value.as_str() else {
            self.mistake_at_key(
                section,
                name,
                format!("is {}, not a decimal in quotes", value.type_name()),
                fix,
            );
            return None;
        };
        match text.parse::<Decimal>() {
            Ok(amount) if amount.is_zero() => {
                self.mistake_at_key(section, name, "is 0, which never means unlimited", fix);
                None
            }
            Ok(amount) if amount.is_positive() && amount <= Decimal::from_integer(LARGEST) => Some(amount),
            Ok(_) => {
                self.mistake_at_key(section, name, "is out of range", format!("{fix}, at most {LARGEST}"));
                None
            }
            Err(error) => {
                self.mistake_at_key(section, name, format!("\"{text}\" {error}"), fix);
                None
            }
        }
    }

    pub(super) fn flag(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
    ) -> Option<bool> {
        debug_assert_eq!(fields::find(table, name).kind, Kind::Flag);
        let fix = format!("write {name} = true or {name} = false");
        let value = self.value(section, name, || fix.clone())?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.mistake_at_key(section, name, format!("is {}, not true or false", value.type_name()), fix);
        }
        flag
    }

    /// A word and where it stands.
    pub(super) fn word(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
    ) -> Option<(String, usize)> {
        debug_assert_eq!(fields::find(table, name).kind, Kind::Word);
        let value = self.value(section, name, || format!("write {name} = \"…\""))?;
        let word = value.as_str().map(|word| (word.to_owned(), at(value, section.key_at(name))));
        if word.is_none() {
            self.mistake_at_key(
                section,
                name,
                format!("is {}, not a text", value.type_name()),
                "put it in quotes",
            );
        }
        word
    }

    /// Words without repetition and where each stands.
    pub(super) fn words(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
    ) -> Option<Vec<(String, usize)>> {
        debug_assert_eq!(fields::find(table, name).kind, Kind::Words);
        self.list(section, name)
    }

    fn list(&mut self, section: &Section<'_>, name: &'static str) -> Option<Vec<(String, usize)>> {
        let fix = format!("write a list, such as {name} = [\"…\"], or {name} = [] for nothing");
        let value = self.value(section, name, || fix.clone())?;
        let Some(array) = value.as_array() else {
            self.mistake_at_key(section, name, format!("is {}, not a list", value.type_name()), fix);
            return None;
        };
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        for value in array {
            let at = at(value, section.key_at(name));
            match value.as_str() {
                None => self.mistake(
                    section,
                    name,
                    at,
                    format!("holds {}, not a text", value.type_name()),
                    "put it in quotes",
                ),
                Some(word) if words.contains_key(word) => {
                    self.mistake(section, name, at, format!("names \"{word}\" twice"), "remove one");
                }
                Some(word) => {
                    words.insert(word.to_owned(), at);
                }
            }
        }
        Some(words.into_iter().collect())
    }

    /// Hours of the week; at least one range.
    pub(super) fn hours(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
    ) -> Option<Hours> {
        debug_assert_eq!(fields::find(table, name).kind, Kind::Hours);
        let fix = "write ranges in UTC, such as \"mon-fri 08:00-16:30\"; \"mon-sun 00:00-24:00\" is always";
        let words = self.list(section, name)?;
        if words.is_empty() {
            self.mistake_at_key(section, name, "is empty, so that no order could pass", fix);
        }
        let mut parts = Vec::new();
        for (word, at) in words {
            match word.parse::<Hours>() {
                Ok(hours) => parts.push(hours),
                Err(_) => self.mistake(section, name, at, format!("does not know \"{word}\""), fix),
            }
        }
        Some(Hours::of(parts))
    }

    /// One of the known words.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
        known: &[(&'static str, T)],
    ) -> Option<T> {
        let (word, at) = self.word(section, table, name)?;
        self.known(section, name, &word, at, known)
    }

    /// Some of the known words; at least one.
    pub(super) fn some_of<T: Copy + Ord>(
        &mut self,
        section: &Section<'_>,
        table: &'static str,
        name: &'static str,
        known: &[(&'static str, T)],
    ) -> Option<BTreeSet<T>> {
        let words = self.words(section, table, name)?;
        if words.is_empty() {
            let all: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            let fix = format!("name at least one of: {}", all.join(", "));
            self.mistake_at_key(section, name, "is empty, so that no order could pass", fix);
        }
        Some(words.iter().filter_map(|(word, at)| self.known(section, name, word, *at, known)).collect())
    }

    fn known<T: Copy>(
        &mut self,
        section: &Section<'_>,
        name: &'static str,
        word: &str,
        at: usize,
        known: &[(&'static str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
        if found.is_none() {
            let fix = match closest(word, known.iter().map(|(word, _)| *word)) {
                Some(close) => format!("did you mean \"{close}\"?"),
                None => {
                    let all: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                    format!("use one of: {}", all.join(", "))
                }
            };
            self.mistake(section, name, at, format!("does not know \"{word}\""), fix);
        }
        found
    }

    fn value<'t>(
        &mut self,
        section: &Section<'t>,
        name: &'static str,
        fix: impl FnOnce() -> String,
    ) -> Option<&'t Value> {
        match section.table.get(name) {
            None => {
                self.missing(section, name, fix());
                None
            }
            Some(item) => {
                let value = item.as_value();
                if value.is_none() {
                    self.mistake_at_key(section, name, "is a table, not a value", fix());
                }
                value
            }
        }
    }

    fn missing(&mut self, section: &Section<'_>, name: &'static str, fix: String) {
        if !self.unreadable.contains(name) {
            self.mistake(section, name, section.at, "is missing; every field is required", fix);
        }
    }
}

fn at(value: &Value, otherwise: usize) -> usize {
    value.span().map_or(otherwise, |span| span.start)
}
