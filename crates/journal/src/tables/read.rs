//! What the tables say: rows of the views, and the questions that a watchdog or a policy asks.

use std::path::Path;

use protocol::tables::{RowHash, Table};
use rusqlite::types::ValueRef;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Params, Transaction, TransactionBehavior, params,
};
use trading::{AccountName, Decimal, Timestamp};

use super::error::TablesError;
use super::row::{COLUMNS, Raw, Row};
use super::{check_schema, connect, time_column};

/// Most rows of an answer that is a list.
const MAX_ROWS: u32 = 10_000;

/// The tables, open for reading. Never waits for the writer, and never makes it wait.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// One value of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing yet, or nothing at all.
    Null,
    /// A number; in a column whose name ends in `_at`, milliseconds since the Unix epoch.
    Integer(i64),
    /// A text; amounts and prices are texts too.
    Text(String),
}

/// A trade that was closed without a lesson.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingLesson {
    /// Which.
    pub trade_id: String,
    /// On which account.
    pub account: String,
    /// When it was closed.
    pub exited_at: Timestamp,
}

/// What an account was worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EquitySample {
    /// Which account.
    pub account: String,
    /// When.
    pub time: Timestamp,
    /// Value of one unit in steps of 1e-9.
    pub unit_value: u64,
    /// Equity in the account's quote asset.
    pub equity: Decimal,
    /// The deepest rung in force, 0 for none.
    pub rung: u8,
    /// Equity at which rung 1, 2, 3, 4 fires.
    pub levels: [Option<Decimal>; 4],
}

impl Reader {
    /// Opens the file for reading, if its schema is right.
    ///
    /// # Errors
    ///
    /// [`TablesError::Schema`] if a trigger, a view or anything else is not as it was made;
    /// [`TablesError::Sqlite`] if there is no file or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, TablesError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        check_schema(&connection)?;
        Ok(Self::over(connection))
    }

    pub(super) const fn over(connection: Connection) -> Self {
        Self { connection }
    }

    pub(super) fn transaction(&mut self, behavior: TransactionBehavior) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction_with_behavior(behavior)
    }

    /// Has `work` see one state of the tables, whatever is appended meanwhile.
    ///
    /// # Errors
    ///
    /// `work`'s, or if `SQLite` cannot.
    pub fn snapshot<T, E: From<TablesError>>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let _open = self.connection.unchecked_transaction().map_err(TablesError::from)?;
        work(self)
    }

    /// The columns that [`Self::each_row`] gives: the view's, then `anchored_by`, the log record that
    /// vouches for the last of the row's events.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn columns(&self, table: Table) -> Result<Vec<String>, TablesError> {
        let statement = self.connection.prepare(&view_query(table))?;
        Ok(statement.column_names().map(ToOwned::to_owned).collect())
    }

    /// Shows `each` the last `limit` rows of a table that began at `since` or later, oldest first.
    ///
    /// # Errors
    ///
    /// `each`'s, which ends the listing, or if `SQLite` fails.
    pub fn each_row<E: From<TablesError>>(
        &self,
        table: Table,
        since: Option<Timestamp>,
        limit: u32,
        mut each: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.connection.prepare(&view_query(table)).map_err(TablesError::from)?;
        let width = statement.column_count();
        let since = since.map_or(0, to_i64);
        let mut rows = statement.query(params![since, limit]).map_err(TablesError::from)?;
        while let Some(row) = rows.next().map_err(TablesError::from)? {
            let mut cells = Vec::with_capacity(width);
            for column in 0..width {
                cells.push(cell(row.get_ref(column).map_err(TablesError::from)?));
            }
            each(cells)?;
        }
        Ok(())
    }

    /// Shows `each` every row of the journal, over all tables, from sequence `from` on.
    ///
    /// # Errors
    ///
    /// `each`'s, which ends the listing; [`TablesError::Damaged`]; or if `SQLite` fails.
    pub fn each_event<E: From<TablesError>>(
        &self,
        from: u64,
        mut each: impl FnMut(&Row, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let query = format!("SELECT {COLUMNS} FROM events WHERE seq >= ?1 ORDER BY seq");
        let mut statement = self.connection.prepare(&query).map_err(TablesError::from)?;
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let rows = statement.query_map([from], Raw::read).map_err(TablesError::from)?;
        for raw in rows {
            let raw = raw.map_err(TablesError::from)?;
            each(&row_of(&raw)?, &raw.payload)?;
        }
        Ok(())
    }

    /// The last row's hash: what the log should vouch for next. `None` if there is no row.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or the row is damaged.
    pub fn head(&self) -> Result<Option<RowHash>, TablesError> {
        Ok(match self.last_raw()? {
            Some(raw) => Some(row_of(&raw)?.row_hash()),
            None => None,
        })
    }

    pub(super) fn last_raw(&self) -> Result<Option<Raw>, TablesError> {
        let query = format!("SELECT {COLUMNS} FROM events ORDER BY seq DESC LIMIT 1");
        Ok(self.connection.query_row(&query, [], Raw::read).optional()?)
    }

    /// The last row that a kept anchor vouches for, and the log record that does; see
    /// [`Tables::keep_anchor`](super::Tables::keep_anchor).
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn last_anchored(&self) -> Result<Option<(u64, u64)>, TablesError> {
        let query = "SELECT seq, log_sequence FROM anchors ORDER BY seq DESC, log_sequence LIMIT 1";
        let found = self.connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(found.map(|(row, log): (i64, i64)| (to_u64(row), to_u64(log))))
    }

    /// How many rows each table's view has.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn count(&self, table: Table) -> Result<u64, TablesError> {
        let query = format!("SELECT count(*) FROM {table}");
        Ok(to_u64(self.connection.query_row(&query, [], |row| row.get(0))?))
    }

    /// Halts that nobody has ended, oldest first: the rows that started them.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or a row is damaged.
    pub fn unresolved_halts(&self) -> Result<Vec<Row>, TablesError> {
        self.rows_in("SELECT seq FROM halt_events WHERE resolved_at IS NULL")
    }

    /// Incidents that nobody has mitigated, oldest first: the rows that opened them.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or a row is damaged.
    pub fn open_incidents(&self) -> Result<Vec<Row>, TablesError> {
        self.rows_in("SELECT seq FROM incidents WHERE mitigated_at IS NULL")
    }

    /// Movements neither confirmed nor failed, oldest first: the rows that planned them.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or a row is damaged.
    pub fn unsettled_movements(&self) -> Result<Vec<Row>, TablesError> {
        self.rows_in("SELECT seq FROM capital_movements WHERE settled_at IS NULL")
    }

    /// Trades that were entered without a thesis, oldest first: the rows that opened them.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or a row is damaged.
    pub fn trades_without_thesis(&self) -> Result<Vec<Row>, TablesError> {
        self.rows_in("SELECT seq FROM swing_trades WHERE thesis IS NULL")
    }

    /// Trades closed without a lesson `older_than_ms` before `now` or earlier, oldest first.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn trades_without_lesson(
        &self,
        now: Timestamp,
        older_than_ms: u64,
    ) -> Result<Vec<MissingLesson>, TablesError> {
        let Some(latest) = now.as_ms().checked_sub(older_than_ms) else { return Ok(Vec::new()) };
        let query = "SELECT trade_id, account, exited_at FROM swing_trades \
             WHERE exited_at <= ?1 AND lesson IS NULL ORDER BY exited_at, seq LIMIT ?2";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map(params![to_i64(Timestamp::from_ms(latest)), MAX_ROWS], |row| {
            Ok(MissingLesson {
                trade_id: row.get(0)?,
                account: row.get(1)?,
                exited_at: Timestamp::from_ms(to_u64(row.get(2)?)),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The accounts that have equity samples, by name.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails.
    pub fn sampled_accounts(&self) -> Result<Vec<String>, TablesError> {
        let query =
            "SELECT DISTINCT subject FROM events WHERE table_name = 'equity_samples' ORDER BY 1 LIMIT ?1";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map([MAX_ROWS], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last `limit` equity samples of an account since then, oldest first.
    ///
    /// # Errors
    ///
    /// If `SQLite` fails or a sample is damaged.
    pub fn equity(
        &self,
        account: &AccountName,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<EquitySample>, TablesError> {
        let query = format!(
            "SELECT {COLUMNS} FROM events WHERE table_name = 'equity_samples' AND subject = ?1 \
             AND time_ms >= ?2 ORDER BY seq DESC LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(&query)?;
        let rows =
            statement.query_map(params![account.as_str(), since.map_or(0, to_i64), limit], Raw::read)?;
        let mut samples = Vec::new();
        for raw in rows {
            samples.extend(sample_of(row_of(&raw?)?));
        }
        samples.reverse();
        Ok(samples)
    }

    fn rows_in(&self, selected: &str) -> Result<Vec<Row>, TablesError> {
        let query = format!("SELECT {COLUMNS} FROM events WHERE seq IN ({selected}) ORDER BY seq LIMIT ?1");
        self.rows(&query, [MAX_ROWS])
    }

    fn rows(&self, query: &str, parameters: impl Params) -> Result<Vec<Row>, TablesError> {
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map(parameters, Raw::read)?;
        rows.map(|raw| row_of(&raw?)).collect()
    }
}

fn sample_of(row: Row) -> Option<EquitySample> {
    match row.event {
        protocol::tables::TableEvent::EquitySampled { account, unit_value, equity, rung, levels } => {
            Some(EquitySample {
                account: account.into(),
                time: row.time,
                unit_value,
                equity,
                rung: rung.number(),
                levels,
            })
        }
        _ => None,
    }
}

/// The row that the file's bytes are.
pub(super) fn row_of(raw: &Raw) -> Result<Row, TablesError> {
    raw.parse().map_err(|what| TablesError::Damaged { row: to_u64(raw.sequence), what })
}

/// The last rows of a view, oldest first, with the record that vouches for all their events.
fn view_query(table: Table) -> String {
    let time = time_column(table);
    format!(
        "SELECT *, (SELECT log_sequence FROM anchors WHERE anchors.seq >= found.last_seq \
         ORDER BY anchors.seq, log_sequence LIMIT 1) AS anchored_by \
         FROM (SELECT * FROM {table} WHERE {time} >= ?1 ORDER BY seq DESC LIMIT ?2) AS found ORDER BY seq"
    )
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        // No view has such a column; what is there anyway is shown as it stands.
        ValueRef::Real(number) => Cell::Text(number.to_string()),
        ValueRef::Blob(bytes) => Cell::Text(hex::encode(bytes)),
    }
}

fn to_i64(time: Timestamp) -> i64 {
    i64::try_from(time.as_ms()).unwrap_or(i64::MAX)
}

fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
