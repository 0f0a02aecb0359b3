//! The search index held against the records it was made from, while they are read for another
//! reason.

use std::cell::RefCell;
use std::collections::VecDeque;

use transparency::{LogSource, SourceRecord, Tile};

use super::{Entry, Filter, Index, entry_of};
use crate::error::JournalError;
use crate::folder::{Folder, Located};

/// Rows read at a time.
const PAGE: u32 = 1000;

/// What the search index is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// There is none.
    Missing,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// Its first so many rows are what the records say; it may be a moment behind the log.
    Agrees(u64),
    /// A row differs from this record, or this record has none, or there is no such record.
    Differs(u64),
}

/// A log's folder whose index is compared as its records go by. Not part of what the log proves:
/// listings and searches believe it.
pub struct Checked<'a> {
    folder: &'a Folder,
    index: Option<Index>,
    state: RefCell<IndexState>,
}

impl<'a> Checked<'a> {
    /// Compares the index of `folder`, if it has one.
    #[must_use]
    pub fn new(folder: &'a Folder) -> Self {
        let path = folder.path().join("index.sqlite");
        let (index, state) = match Index::open_read_only(&path) {
            Ok(index) => (Some(index), IndexState::Agrees(0)),
            Err(_) if !path.exists() => (None, IndexState::Missing),
            Err(error) => (None, IndexState::Unreadable(error.to_string())),
        };
        Self { folder, index, state: RefCell::new(state) }
    }

    /// What was found, after the records were read.
    #[must_use]
    pub fn state(self) -> IndexState {
        let state = self.state.into_inner();
        if let (IndexState::Agrees(count), Some(index)) = (&state, &self.index) {
            let beyond = Filter { from: Some(*count), ..Filter::default() };
            // A log that is being written has gone on meanwhile; then there is such a record.
            return match index.list(&beyond, 1).map(|rows| rows.first().map(|row| row.sequence)) {
                Ok(Some(row)) if self.folder.record(row, None).is_err() => IndexState::Differs(row),
                Ok(_) => state,
                Err(error) => IndexState::Unreadable(error.to_string()),
            };
        }
        state
    }

    fn compare(&self, rows: &mut Rows, located: &Located) {
        let mut state = self.state.borrow_mut();
        let (IndexState::Agrees(count), Some(index)) = (&mut *state, &self.index) else { return };
        match rows.at(index, located.sequence) {
            Ok(None) => {}
            Ok(Some(row)) if entry_of(located).is_ok_and(|entry| entry == row) => *count += 1,
            Ok(Some(_)) => *state = IndexState::Differs(located.sequence),
            Err(error) => *state = IndexState::Unreadable(error.to_string()),
        }
    }
}

impl LogSource for Checked<'_> {
    type Error = JournalError;

    fn log_key(&self) -> Result<String, JournalError> {
        self.folder.log_key()
    }

    fn checkpoint(&self) -> Result<String, JournalError> {
        self.folder.checkpoint()
    }

    fn records(&self) -> Result<impl Iterator<Item = Result<SourceRecord, JournalError>>, JournalError> {
        let mut rows = Rows::default();
        let records = self.folder.records_from(0)?;
        Ok(records.map(move |found| {
            found.map(|located| {
                self.compare(&mut rows, &located);
                located.record
            })
        }))
    }

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, JournalError> {
        self.folder.tile(tile)
    }
}

/// The index's rows in order, a page at a time.
#[derive(Default)]
struct Rows {
    page: VecDeque<Entry>,
    ended: bool,
}

impl Rows {
    /// The first row from `sequence` on; `None` where the index ends.
    fn at(&mut self, index: &Index, sequence: u64) -> Result<Option<Entry>, JournalError> {
        if self.page.is_empty() && !self.ended {
            let filter = Filter { from: Some(sequence), ..Filter::default() };
            self.page = index.list(&filter, PAGE)?.into();
            self.ended = self.page.is_empty();
        }
        Ok(self.page.pop_front())
    }
}
