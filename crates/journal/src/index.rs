//! The search index: a `SQLite` file made from the segments, for listings and for finding a record's
//! place. It is never the truth; remove it and it is made again.

pub(crate) mod check;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params_from_iter};
use trading::Timestamp;
use transparency::{Body, Epoch};

use crate::error::{JournalError, io_error};
use crate::folder::{Folder, Located, Location};
use crate::server::Shared;

/// Rows written in one transaction.
const BATCH: usize = 1000;
/// Rows added before the thread looks whether it is to end: an index that is made anew over millions
/// of records must not keep the journal from stopping. The next start goes on where this one was.
const SLICE: u64 = 32 * BATCH as u64;
/// How often the background thread looks for new records.
const PERIOD: Duration = Duration::from_millis(200);
/// How nice the background thread is: the log goes first.
const NICE: i32 = 10;
/// Deepest JSON that is searched for an instrument.
const MAX_DEPTH: usize = 6;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS records (
        seq INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        account TEXT,
        operation TEXT NOT NULL,
        outcome TEXT NOT NULL,
        instrument TEXT,
        client_order_id TEXT,
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        length INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS by_actor ON records (actor, seq);
    CREATE INDEX IF NOT EXISTS by_instrument ON records (instrument, seq) WHERE instrument IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_client_order_id ON records (client_order_id) WHERE client_order_id IS NOT NULL;
    CREATE INDEX IF NOT EXISTS by_epoch ON records (seq) WHERE operation = 'epoch';
    CREATE INDEX IF NOT EXISTS by_outcome ON records (outcome, seq);
";

/// The open index.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The record's sequence.
    pub sequence: u64,
    /// When.
    pub time: Timestamp,
    /// Who asked.
    pub actor: String,
    /// The account, if any.
    pub account: Option<String>,
    /// What was asked.
    pub operation: String,
    /// `approved`, `denied` or `event`.
    pub outcome: String,
    /// The instrument, where the detail names one.
    pub instrument: Option<String>,
    /// The client order id, where the detail names one.
    pub client_order_id: Option<String>,
    /// Where the body stands.
    pub location: Location,
}

/// Which records to list; an empty filter lists all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this sequence on.
    pub from: Option<u64>,
    /// Below this sequence.
    pub to: Option<u64>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// By this actor.
    pub actor: Option<String>,
    /// On this account.
    pub account: Option<String>,
    /// With this operation.
    pub operation: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// On this instrument.
    pub instrument: Option<String>,
    /// With this client order id.
    pub client_order_id: Option<String>,
}

impl Index {
    /// Opens the index for writing, making it if needed.
    ///
    /// # Errors
    ///
    /// If `SQLite` cannot.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// Opens the index for queries.
    ///
    /// # Errors
    ///
    /// If there is none or `SQLite` cannot.
    pub fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        Ok(Self { connection })
    }

    /// Sequence after the last record in the index.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn next_sequence(&self) -> Result<u64, JournalError> {
        let last: Option<i64> =
            self.connection.query_row("SELECT max(seq) FROM records", [], |row| row.get(0))?;
        Ok(last.map_or(0, |last| to_u64(last) + 1))
    }

    /// Where a record's body stands.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn location(&self, sequence: u64) -> Result<Option<Location>, JournalError> {
        let query = "SELECT segment, offset, length FROM records WHERE seq = ?1";
        let mut statement = self.connection.prepare_cached(query)?;
        let found = statement.query_row([to_i64(sequence)], |row| read_location(row, 0)).optional()?;
        Ok(found)
    }

    /// Sequences of all epoch records below `size`; `None` if the index does not reach so far.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn epochs(&self, size: u64) -> Result<Option<Vec<u64>>, JournalError> {
        if self.next_sequence()? < size {
            return Ok(None);
        }
        let query = "SELECT seq FROM records WHERE operation = 'epoch' AND seq < ?1 ORDER BY seq";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map([to_i64(size)], |row| row.get::<_, i64>(0))?;
        let found = rows.map(|row| row.map(to_u64)).collect::<Result<_, _>>()?;
        Ok(Some(found))
    }

    /// Lists the first `limit` records that pass the filter, ascending.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn list(&self, filter: &Filter, limit: u32) -> Result<Vec<Entry>, JournalError> {
        self.select(filter, limit, "ASC")
    }

    /// Lists the last `limit` records that pass the filter, ascending.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn tail(&self, filter: &Filter, limit: u32) -> Result<Vec<Entry>, JournalError> {
        let mut found = self.select(filter, limit, "DESC")?;
        found.reverse();
        Ok(found)
    }

    fn select(&self, filter: &Filter, limit: u32, order: &str) -> Result<Vec<Entry>, JournalError> {
        let text = |value: &Option<String>| value.clone().map(Value::Text);
        let number = |value: Option<u64>| value.map(|value| Value::Integer(to_i64(value)));
        let conditions = [
            ("seq >= ?", number(filter.from)),
            ("seq < ?", number(filter.to)),
            ("time_ms >= ?", number(filter.since.map(Timestamp::as_ms))),
            ("actor = ?", text(&filter.actor)),
            ("account = ?", text(&filter.account)),
            ("operation = ?", text(&filter.operation)),
            ("outcome = ?", text(&filter.outcome)),
            ("instrument = ?", text(&filter.instrument)),
            ("client_order_id = ?", text(&filter.client_order_id)),
        ];
        let mut query = String::from(
            "SELECT seq, time_ms, actor, account, operation, outcome, instrument, client_order_id, \
             segment, offset, length FROM records WHERE true",
        );
        let mut values = Vec::new();
        for (condition, value) in conditions {
            if let Some(value) = value {
                query.push_str(" AND ");
                query.push_str(condition);
                values.push(value);
            }
        }
        query.push_str(&format!(" ORDER BY seq {order} LIMIT {limit}"));
        let mut statement = self.connection.prepare_cached(&query)?;
        let rows = statement.query_map(params_from_iter(values), read_entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds records up to, not including, `to` from the folder. Returns how far the index reaches.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or a record cannot be read.
    pub fn catch_up(&mut self, folder: &Folder, to: u64) -> Result<u64, JournalError> {
        let mut next = self.next_sequence()?;
        while next < to {
            let records = match next.checked_sub(1).map(|last| self.location(last)).transpose()?.flatten() {
                Some(location) => folder.records_at(next - 1, location)?,
                None => folder.records_from(next)?,
            };
            let transaction = self.connection.transaction()?;
            let before = next;
            for record in records.take(BATCH + 1) {
                let record = record?;
                if record.sequence < next {
                    continue;
                }
                if record.sequence >= to {
                    break;
                }
                insert(&transaction, &record)?;
                next += 1;
            }
            transaction.commit()?;
            if next == before {
                break;
            }
        }
        Ok(next)
    }
}

/// What the index says of a record.
fn entry_of(located: &Located) -> Result<Entry, JournalError> {
    let body = Body::decode(&located.record.body).map_err(|error| {
        JournalError::NotFound(format!("record {} cannot be indexed: {error}", located.sequence))
    })?;
    let mut named = Named::default();
    if body.operation != Epoch::OPERATION
        && let Ok(json) = serde_json::from_slice(&located.record.detail)
    {
        named.search(&json, 0);
    }
    Ok(Entry {
        sequence: located.sequence,
        time: body.time,
        outcome: body.outcome.as_str().to_owned(),
        actor: body.actor,
        account: body.account,
        operation: body.operation,
        instrument: named.instrument,
        client_order_id: named.client_order_id,
        location: located.location,
    })
}

fn insert(connection: &Connection, located: &Located) -> Result<(), JournalError> {
    let entry = entry_of(located)?;
    let text = |value: Option<String>| value.map_or(Value::Null, Value::Text);
    let location = entry.location;
    let values = [
        Value::Integer(to_i64(entry.sequence)),
        Value::Integer(to_i64(entry.time.as_ms())),
        Value::Text(entry.actor),
        text(entry.account),
        Value::Text(entry.operation),
        Value::Text(entry.outcome),
        text(entry.instrument),
        text(entry.client_order_id),
        Value::Integer(to_i64(location.segment)),
        Value::Integer(to_i64(location.offset)),
        Value::Integer(to_i64(location.length)),
    ];
    let query = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(query)?.execute(params_from_iter(values))?;
    Ok(())
}

/// The first instrument and client order id that a detail names, wherever they stand in it.
#[derive(Default)]
struct Named {
    instrument: Option<String>,
    client_order_id: Option<String>,
}

impl Named {
    fn search(&mut self, json: &serde_json::Value, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match json {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value.as_str()) {
                        ("instrument", Some(text)) => {
                            self.instrument.get_or_insert_with(|| text.to_owned());
                        }
                        ("client_order_id", Some(text)) => {
                            self.client_order_id.get_or_insert_with(|| text.to_owned());
                        }
                        _ => self.search(value, depth + 1),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.search(item, depth + 1)),
            _ => {}
        }
    }
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        sequence: to_u64(row.get(0)?),
        time: Timestamp::from_ms(to_u64(row.get(1)?)),
        actor: row.get(2)?,
        account: row.get(3)?,
        operation: row.get(4)?,
        outcome: row.get(5)?,
        instrument: row.get(6)?,
        client_order_id: row.get(7)?,
        location: read_location(row, 8)?,
    })
}

fn read_location(row: &Row<'_>, first: usize) -> rusqlite::Result<Location> {
    Ok(Location {
        segment: to_u64(row.get(first)?),
        offset: to_u64(row.get(first + 1)?),
        length: to_u64(row.get(first + 2)?),
    })
}

/// `SQLite`'s integers are signed; what does not fit cannot be a sequence that was ever reached.
fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Keeps the index up with the log, from a thread of its own.
pub(crate) struct Indexer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Indexer {
    pub(crate) fn start(folder: Folder, shared: Arc<Shared>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || follow(&folder, &shared, &stopping))?;
        Ok(Self { stop, thread })
    }

    /// Indexes what is durable, then ends.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the search index thread failed; the index will be made again");
        }
    }
}

/// An index that fails is given up, not the log: listings get stale and say so.
fn follow(folder: &Folder, shared: &Shared, stop: &AtomicBool) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the search index is as urgent as the log");
    }
    let path = folder.path().join("index.sqlite");
    let mut index = match open_or_remake(&path, shared.durable.load(Ordering::Acquire)) {
        Ok(index) => index,
        Err(error) => {
            tracing::error!(%error, "the search index cannot be opened");
            return;
        }
    };
    loop {
        let last = stop.load(Ordering::Acquire);
        let durable = shared.durable.load(Ordering::Acquire);
        let indexed = shared.indexed.load(Ordering::Relaxed);
        if indexed < durable {
            match index.catch_up(folder, durable.min(indexed + SLICE)) {
                Ok(next) => shared.indexed.store(next, Ordering::Release),
                Err(error) => {
                    tracing::error!(%error, "the search index stops here");
                    return;
                }
            }
        }
        if last {
            return;
        }
        // Behind by more than a slice it goes on at once, unless nothing more can be read yet.
        let reached = shared.indexed.load(Ordering::Relaxed);
        if reached >= durable || reached == indexed {
            std::thread::park_timeout(PERIOD);
        }
    }
}

/// An index that is unreadable or knows more than the log does is of another log: made anew.
fn open_or_remake(path: &Path, durable: u64) -> Result<Index, JournalError> {
    if let Ok(index) = Index::open(path)
        && index.next_sequence().is_ok_and(|next| next <= durable)
    {
        return Ok(index);
    }
    remove_index(path)?;
    Index::open(path)
}

/// Removes the index's files.
pub(crate) fn remove_index(path: &Path) -> Result<(), JournalError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = PathBuf::from(name);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
