//! The one writer of the tables.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use protocol::tables::{EventId, TableEvent};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};
use trading::Timestamp;
use transparency::Hash;

use super::error::{Refusal, TablesError, io_error};
use super::read::{Reader, row_of};
use super::row::{COLUMNS, Raw, Row};
use super::verify::Anchor;
use super::{APPLICATION_ID, SCHEMA, VERSION, check_schema, connect, follow};
use crate::error::JournalError;
use crate::lock::Lock;

/// The tables, open for writing. One process at a time has them.
#[derive(Debug)]
pub struct Tables {
    reader: Reader,
    /// Why nothing more is written.
    stopped: Option<String>,
    _lock: Lock,
}

/// A row that stands in the journal, on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The row.
    pub row: Row,
    /// Whether this call wrote it; otherwise an earlier call with the same event id did.
    pub is_new: bool,
}

impl Tables {
    /// Opens the file for writing, making it (mode 0600) if there is none. Takes `PATH.lock` first.
    ///
    /// Checks the schema and that the last row's hash is right; the whole chain is
    /// [`verify`](super::verify())'s matter.
    ///
    /// # Errors
    ///
    /// [`TablesError::InUse`] if another process writes, [`TablesError::Schema`] and
    /// [`TablesError::Damaged`] if the file was tampered with, or if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, TablesError> {
        let lock = lock(path)?;
        let file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        drop(file.map_err(io_error("open", path))?);
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Readers never hold the writer up, and a commit has synced before it returns.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        make(&mut connection)?;
        check_schema(&connection)?;
        let tables = Self { reader: Reader::over(connection), stopped: None, _lock: lock };
        if let Some(raw) = tables.reader.last_raw()?
            && raw.computed_hash().as_slice() != raw.hash
        {
            let row = u64::try_from(raw.sequence).unwrap_or_default();
            return Err(TablesError::Damaged { row, what: "does not have the hash it says".into() });
        }
        Ok(tables)
    }

    /// What is in them.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Appends an event that happened at `time`; on disk when this returns.
    ///
    /// The writer chooses `event_id` before it acts and keeps it for every retry: the same event with
    /// the same id is found, not doubled, and keeps the time it was first given.
    ///
    /// # Errors
    ///
    /// [`TablesError::Refused`] if it does not follow from what is there or its id belongs to another
    /// event; nothing is written and the tables go on. After any other error they are
    /// [`TablesError::Stopped`], because what the disk holds is unknown: open them anew.
    pub fn append(
        &mut self,
        event_id: &EventId,
        time: Timestamp,
        event: &TableEvent,
    ) -> Result<Appended, TablesError> {
        self.write(|transaction| insert(transaction, event_id, time, event))
    }

    /// Keeps that a record of the log vouches for a row. For queries: verifying asks the log itself.
    ///
    /// # Errors
    ///
    /// [`TablesError::Damaged`] if the row is not there or has another hash: then this file and the
    /// log contradict each other, and the tables stop.
    pub fn keep_anchor(&mut self, anchor: &Anchor) -> Result<(), TablesError> {
        self.write(|transaction| insert_anchor(transaction, anchor))
    }

    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, TablesError>,
    ) -> Result<T, TablesError> {
        if let Some(why) = &self.stopped {
            return Err(TablesError::Stopped(why.clone()));
        }
        let outcome =
            self.reader.transaction(TransactionBehavior::Immediate).map_err(TablesError::from).and_then(
                |transaction| {
                    let done = work(&transaction)?;
                    transaction.commit()?;
                    Ok(done)
                },
            );
        if let Err(error) = &outcome
            && !matches!(error, TablesError::Refused(_))
        {
            self.stopped = Some(error.to_string());
        }
        outcome
    }
}

/// The lock beside the file: `SQLite`'s own locks let several take turns.
fn lock(path: &Path) -> Result<Lock, TablesError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    Lock::of_file(&PathBuf::from(name)).map_err(|error| match error {
        JournalError::InUse { pid, .. } => TablesError::InUse { path: path.to_owned(), pid },
        JournalError::Io { action, path, source } => TablesError::Io { action, path, source },
        other => TablesError::Stopped(other.to_string()),
    })
}

/// Makes the schema in an empty file, all of it or nothing.
fn make(connection: &mut Connection) -> Result<(), TablesError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let objects: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(transaction.commit()?)
}

/// Writes the row into an open transaction, or finds it.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    event_id: &EventId,
    time: Timestamp,
    event: &TableEvent,
) -> Result<Appended, TablesError> {
    let payload = serde_json::to_string(event).expect("an event has only texts and numbers");
    let query = format!("SELECT {COLUMNS} FROM events WHERE event_id = ?1");
    let known = transaction.prepare_cached(&query)?.query_row([event_id.as_str()], Raw::read).optional()?;
    if let Some(known) = known {
        let row = row_of(&known)?;
        if row.event != *event {
            return Err(Refusal::IdReused { event_id: event_id.clone(), row: row.sequence }.into());
        }
        return Ok(Appended { row, is_new: false });
    }
    check_numbers(time, event)?;
    if follow::has_past(event) {
        follow::check(event, &past(transaction, event)?)?;
    }
    let (last, previous) = head(transaction)?;
    let mut raw = Raw {
        sequence: last + 1,
        event_id: event_id.to_string(),
        time_ms: i64::try_from(time.as_ms()).map_err(|_| Refusal::TooLarge { field: "time" })?,
        table: event.table().to_string(),
        kind: event.kind().to_owned(),
        subject: event.subject().to_owned(),
        payload,
        previous: previous.to_vec(),
        hash: Vec::new(),
    };
    raw.hash = raw.computed_hash().to_vec();
    let query = format!("INSERT INTO events ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    transaction.prepare_cached(&query)?.execute(params![
        raw.sequence,
        raw.event_id,
        raw.time_ms,
        raw.table,
        raw.kind,
        raw.subject,
        raw.payload,
        raw.previous,
        raw.hash
    ])?;
    Ok(Appended { row: row_of(&raw)?, is_new: true })
}

/// `SQLite` keeps no integer above an `i64`'s; its JSON would make a float of one.
fn check_numbers(time: Timestamp, event: &TableEvent) -> Result<(), Refusal> {
    let (field, number) = match event {
        TableEvent::EquitySampled { unit_value, .. } => ("unit_value", *unit_value),
        TableEvent::IncidentMitigated { approval: Some(approval), .. } => ("approval", *approval),
        _ => ("time", time.as_ms()),
    };
    if i64::try_from(number).is_ok() { Ok(()) } else { Err(Refusal::TooLarge { field }) }
}

/// The events of the same table and subject. No subject has more than a handful: each follows once.
fn past(transaction: &Transaction<'_>, event: &TableEvent) -> Result<Vec<TableEvent>, TablesError> {
    let query =
        format!("SELECT {COLUMNS} FROM events WHERE table_name = ?1 AND subject = ?2 ORDER BY seq LIMIT 16");
    let mut statement = transaction.prepare_cached(&query)?;
    let rows = statement.query_map([event.table().as_str(), event.subject()], Raw::read)?;
    rows.map(|raw| Ok(row_of(&raw?)?.event)).collect()
}

/// Sequence and hash of the last row; 0 and zeros if there is none.
fn head(transaction: &Transaction<'_>) -> Result<(i64, Hash), TablesError> {
    let query = "SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1";
    let found = transaction.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.unwrap_or((0, [0; 32])))
}

fn insert_anchor(transaction: &Transaction<'_>, anchor: &Anchor) -> Result<(), TablesError> {
    let damaged = |what: &str| TablesError::Damaged { row: anchor.row.row, what: what.into() };
    let number = |value: u64| i64::try_from(value).map_err(|_| damaged("is too far"));
    let (log_sequence, row) = (number(anchor.log_sequence)?, number(anchor.row.row)?);
    let query = "SELECT hash, table_name FROM events WHERE seq = ?1";
    let found: Option<(Hash, String)> =
        transaction.query_row(query, [row], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => return Err(damaged("is missing, though the log vouches for it")),
        Some((hash, table)) if hash != anchor.row.hash || table != anchor.row.table.as_str() => {
            return Err(damaged("is not the one the log vouches for"));
        }
        Some(_) => {}
    }
    let latest: Option<i64> =
        transaction.query_row("SELECT max(log_sequence) FROM anchors", [], |row| row.get(0))?;
    // Told again, or an older one that was forgotten in a crash: the later one covers it.
    if latest.is_some_and(|latest| log_sequence <= latest) {
        return Ok(());
    }
    let query = "INSERT INTO anchors (log_sequence, seq, hash) VALUES (?1, ?2, ?3)";
    transaction.execute(query, params![log_sequence, row, anchor.row.hash])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::verify;

    fn halt(name: &str) -> TableEvent {
        let text = format!(r#"{{"event":"halt_started","halt_id":"{name}","reason":"test"}}"#);
        serde_json::from_str(&text).expect("an event")
    }

    #[test]
    fn what_was_not_committed_never_happened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.sqlite");
        let mut tables = Tables::open(&path).expect("opens");
        let id = |text: &str| EventId::new(text).expect("an id");
        tables.append(&id("a"), Timestamp::from_ms(1), &halt("one")).expect("the first");
        let transaction = tables.reader.transaction(TransactionBehavior::Immediate).expect("begins");
        let lost = insert(&transaction, &id("b"), Timestamp::from_ms(2), &halt("two")).expect("written");
        assert_eq!(lost.row.sequence, 2);
        // The process ends here.
        drop(transaction);
        drop(tables);
        assert_eq!(verify(&path, []).expect("readable").rows, 1);
        let mut tables = Tables::open(&path).expect("opens");
        let again = tables.append(&id("b"), Timestamp::from_ms(2), &halt("two")).expect("the retry");
        assert_eq!((again.is_new, again.row), (true, lost.row), "the same row in the same place");
    }

    #[test]
    fn after_a_failed_write_nothing_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.sqlite");
        let mut tables = Tables::open(&path).expect("opens");
        let failed: Result<(), _> = tables.write(|_| Err(rusqlite::Error::InvalidQuery.into()));
        assert!(matches!(failed, Err(TablesError::Sqlite(_))), "{failed:?}");
        let id = EventId::new("a").expect("an id");
        let after = tables.append(&id, Timestamp::from_ms(1), &halt("one"));
        assert!(matches!(after, Err(TablesError::Stopped(_))), "{after:?}");
        drop(tables);
        Tables::open(&path)
            .expect("opens")
            .append(&id, Timestamp::from_ms(1), &halt("one"))
            .expect("goes on");
    }
}
