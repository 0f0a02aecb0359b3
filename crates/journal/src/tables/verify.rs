//! Whether the tables are what was written: every row against the chain, the chain against the log.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::tables::{EventId, JournalTable, RowHash};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;
use trading::Timestamp;
use transparency::{Body, Hash, Outcome, sha256};

use super::error::TablesError;
use super::row::{COLUMNS, Raw};
use super::{check_schema, connect};
use crate::error::JournalError;
use crate::folder::Folder;

/// A record of the log that vouches for a row, and through its hash for every row before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The record's sequence.
    pub log_sequence: u64,
    /// The row it vouches for.
    pub row: RowHash,
}

impl Anchor {
    /// What the record of that sequence vouches for. One of that kind that names no row, as an
    /// operator's note might, vouches for none.
    ///
    /// # Errors
    ///
    /// In words, if the detail is not the record's.
    pub fn of(log_sequence: u64, body: &Body, detail: &[u8]) -> Result<Option<Self>, String> {
        if body.operation != JournalTable::KIND || body.outcome != Outcome::Event {
            return Ok(None);
        }
        if sha256(detail) != body.detail_digest {
            return Err("the detail is not the record's".to_owned());
        }
        let said: Option<JournalTable> = serde_json::from_slice(detail).ok();
        Ok(said.map(|said| Self { log_sequence, row: said.row }))
    }
}

/// What is wrong with the tables.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The first row that is not as it was written.
    #[error("row {row} {what}")]
    Row {
        /// Its sequence.
        row: u64,
        /// What is wrong, in words.
        what: String,
    },
    /// The rows fit each other and not the log: they were written anew.
    #[error(
        "one of the rows {from} to {row} was written anew: record {log_sequence} of the log vouches for another row {row}"
    )]
    Contradicted {
        /// The first row that nothing else vouches for.
        from: u64,
        /// The row that the record names.
        row: u64,
        /// The record.
        log_sequence: u64,
    },
    /// Rows are gone from the end.
    #[error("row {row} is missing: record {log_sequence} of the log vouches for the rows up to {vouched}")]
    Missing {
        /// The first row that is not there.
        row: u64,
        /// The last row that was there.
        vouched: u64,
        /// The record.
        log_sequence: u64,
    },
    /// Two records of the log vouch for different rows of one number: two files had one log.
    #[error("records {first} and {second} of the log vouch for different rows {row}")]
    Forked {
        /// The row.
        row: u64,
        /// The earlier record.
        first: u64,
        /// The later record.
        second: u64,
    },
    /// The file says that a record vouches for a row, and the log has no such record.
    #[error("the file says that record {log_sequence} of the log vouches for row {row}; it does not")]
    Stray {
        /// The record it names.
        log_sequence: u64,
        /// The row.
        row: u64,
    },
    /// Triggers, views or tables are not as they were made.
    #[error("the schema was changed: {0}")]
    Schema(String),
    /// The file itself is damaged.
    #[error("the file is damaged: {0}")]
    File(String),
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows that are right, from the first on.
    pub rows: u64,
    /// Rows that the log vouches for, from the first on. The others are not fine: whoever can write the
    /// file can still change them.
    pub anchored: u64,
    /// The last record that vouches for them.
    pub vouched_by: Option<u64>,
    /// The last right row.
    pub head: Option<RowHash>,
    /// What is wrong, the first bad row first. Empty if nothing is.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Right rows that nothing outside the file vouches for yet.
    #[must_use]
    pub const fn unanchored(&self) -> u64 {
        self.rows - self.anchored
    }

    /// The first bad row, where the faults name one.
    #[must_use]
    pub fn first_bad(&self) -> Option<u64> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Row { row, .. } | Fault::Missing { row, .. } | Fault::Forked { row, .. } => Some(*row),
            Fault::Contradicted { from, .. } => Some(*from),
            Fault::Stray { .. } | Fault::Schema(_) | Fault::File(_) => None,
        })
    }
}

/// Checks the rows one by one as they come, from a file or from an export.
#[derive(Debug)]
pub struct Chain {
    anchors: BTreeMap<u64, Anchor>,
    previous: Hash,
    report: Report,
}

impl Chain {
    /// Starts before the first row, with what the log's records vouch for.
    #[must_use]
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Self {
        let mut chain = Self { anchors: BTreeMap::new(), previous: [0; 32], report: Report::default() };
        for anchor in anchors {
            let first = *chain.anchors.entry(anchor.row.row).or_insert(anchor);
            if first.row != anchor.row && !chain.is_broken() {
                chain.report.faults.push(Fault::Forked {
                    row: anchor.row.row,
                    first: first.log_sequence,
                    second: anchor.log_sequence,
                });
            }
        }
        chain
    }

    /// Takes the next row of an export: its sequence, id, time, payload and the two hashes as they stand.
    pub fn push(
        &mut self,
        sequence: u64,
        event_id: &EventId,
        time: Timestamp,
        payload: &str,
        hashes: [Hash; 2],
    ) {
        let event = serde_json::from_str::<protocol::tables::TableEvent>(payload);
        let words = event.as_ref().map(|event| [event.table().as_str(), event.kind(), event.subject()]);
        let [table, kind, subject] = words.unwrap_or_default().map(ToOwned::to_owned);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.push_raw(&Raw {
            sequence: number(sequence),
            event_id: event_id.to_string(),
            time_ms: number(time.as_ms()),
            table,
            kind,
            subject,
            payload: payload.to_owned(),
            previous: hashes[0].to_vec(),
            hash: hashes[1].to_vec(),
        });
    }

    /// Whether a row was bad already; the rows after it are not judged.
    fn is_broken(&self) -> bool {
        !self.report.faults.is_empty()
    }

    fn push_raw(&mut self, raw: &Raw) {
        if self.is_broken() {
            return;
        }
        let expected = self.report.rows + 1;
        match self.judge(raw, expected) {
            Ok(row) => {
                self.report.rows = expected;
                self.previous = row.hash;
                self.report.head = Some(row);
            }
            Err(fault) => self.report.faults.push(fault),
        }
    }

    fn judge(&mut self, raw: &Raw, expected: u64) -> Result<RowHash, Fault> {
        let bad = |what: &str| Fault::Row { row: expected, what: what.to_owned() };
        if u64::try_from(raw.sequence) != Ok(expected) {
            return Err(bad(&format!("is missing; the next is row {}", raw.sequence)));
        }
        if raw.computed_hash().as_slice() != raw.hash {
            return Err(bad("was changed: it does not have the hash it says"));
        }
        if raw.previous != self.previous {
            return Err(bad("does not follow the row before it: one of the two was written anew"));
        }
        let row = raw.parse().map_err(|what| bad(&what))?.row_hash();
        if let Some(anchor) = self.anchors.get(&expected) {
            if anchor.row != row {
                return Err(Fault::Contradicted {
                    from: self.report.anchored + 1,
                    row: expected,
                    log_sequence: anchor.log_sequence,
                });
            }
            self.report.anchored = expected;
            self.report.vouched_by = Some(anchor.log_sequence);
        }
        Ok(row)
    }

    /// Ends after the last row.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if !self.is_broken()
            && let Some((vouched, anchor)) = self.anchors.last_key_value()
            && *vouched > self.report.rows
        {
            self.report.faults.push(Fault::Missing {
                row: self.report.rows + 1,
                vouched: *vouched,
                log_sequence: anchor.log_sequence,
            });
        }
        self.report
    }
}

/// Checks the file in `path` against what the log vouches for. A file that is not there has no rows.
///
/// Read the anchors before calling this: a row is in the file before a record vouches for it.
///
/// # Errors
///
/// If the file cannot be opened; what is wrong with its content is in the report.
pub fn verify(path: &Path, anchors: impl IntoIterator<Item = Anchor>) -> Result<Report, TablesError> {
    let anchors: Vec<Anchor> = anchors.into_iter().collect();
    let mut chain = Chain::new(anchors.iter().copied());
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(chain.finish()),
        Err(error) => return Err(super::error::io_error("look for", path)(error)),
    }
    let connection = match connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Ok(connection) => connection,
        Err(error) => {
            let mut report = chain.finish();
            report.faults.push(damage(error)?);
            return Ok(report);
        }
    };
    let unreadable = walk(&connection, &mut chain).err().map(damage).transpose()?;
    let next = chain.report.rows + 1;
    let mut report = chain.finish();
    if let Some(Fault::File(what)) = &unreadable {
        // The rows after it cannot be read, which is worse than missing.
        report.faults.retain(|fault| !matches!(fault, Fault::Missing { .. }));
        report.faults.push(Fault::Row { row: next, what: format!("cannot be read: {what}") });
    }
    match check_schema(&connection) {
        Ok(()) => {}
        Err(TablesError::Schema(what)) => report.faults.push(Fault::Schema(what)),
        Err(TablesError::Sqlite(error)) => report.faults.push(damage(error)?),
        Err(other) => return Err(other),
    }
    if report.faults.is_empty() {
        report.faults.extend(stray(&connection, &anchors)?);
        report.faults.extend(integrity(&connection)?);
    }
    Ok(report)
}

fn walk(connection: &Connection, chain: &mut Chain) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY seq"))?;
    for raw in statement.query_map([], Raw::read)? {
        chain.push_raw(&raw?);
        if chain.is_broken() {
            break;
        }
    }
    Ok(())
}

/// The first kept anchor that the log does not confirm.
fn stray(connection: &Connection, anchors: &[Anchor]) -> Result<Option<Fault>, TablesError> {
    let told: BTreeMap<u64, RowHash> =
        anchors.iter().map(|anchor| (anchor.log_sequence, anchor.row)).collect();
    let mut statement =
        connection.prepare("SELECT log_sequence, seq, hash FROM anchors ORDER BY log_sequence")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (log_sequence, sequence): (i64, i64) = (row.get(0)?, row.get(1)?);
        let hash: Vec<u8> = row.get(2)?;
        let (log_sequence, sequence) = (log_sequence.unsigned_abs(), sequence.unsigned_abs());
        let confirmed =
            told.get(&log_sequence).is_some_and(|row| row.row == sequence && row.hash.as_slice() == hash);
        if !confirmed {
            return Ok(Some(Fault::Stray { log_sequence, row: sequence }));
        }
    }
    Ok(None)
}

/// What `SQLite` says of its own structures: an index that lies is found here.
fn integrity(connection: &Connection) -> Result<Option<Fault>, TablesError> {
    let said: rusqlite::Result<String> =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match said {
        Ok(said) if said == "ok" => Ok(None),
        Ok(said) => Ok(Some(Fault::File(said))),
        Err(error) => damage(error).map(Some),
    }
}

/// An error that the file's content explains is a fault of the file; others are errors.
fn damage(error: rusqlite::Error) -> Result<Fault, TablesError> {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => Err(error.into()),
        _ => Ok(Fault::File(error.to_string())),
    }
}

/// Everything that the log in `folder` vouches for, in its order. Reads the whole log: the index is no
/// witness. That the log itself holds is the matter of `transparency::verify`.
///
/// # Errors
///
/// If the log cannot be read, or a detail is not its record's.
pub fn anchors(folder: &Folder) -> Result<Vec<Anchor>, JournalError> {
    let mut found = Vec::new();
    for record in folder.records_from(0)? {
        let located = record?;
        let damaged = |what: String| JournalError::Damaged {
            dir: folder.path().to_owned(),
            what: format!("record {}: {what}", located.sequence),
        };
        let body = Body::decode(&located.record.body).map_err(|error| damaged(error.to_string()))?;
        let anchor = Anchor::of(located.sequence, &body, &located.record.detail).map_err(damaged)?;
        found.extend(anchor);
    }
    Ok(found)
}
