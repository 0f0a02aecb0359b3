//! The journal's tables: append-only events in a `SQLite` file of their own, chained by hash, with
//! views that give the current state.
//!
//! Unlike the search index this file is a truth: nothing else holds what is in it. The log vouches for
//! it: records of kind `journal_table` hold a row's hash, which covers every row before it.

mod error;
mod follow;
mod read;
mod row;
mod verify;
mod write;

pub use error::{Refusal, TablesError};
pub use read::{Cell, EquitySample, MissingLesson, Reader};
pub use row::Row;
pub use verify::{Anchor, Chain, Fault, Report, anchors, verify};
pub use write::{Appended, Tables};

use std::path::Path;
use std::time::Duration;

use protocol::tables::Table;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// The whole schema; a file whose own differs is refused.
const SCHEMA: &str = include_str!("tables/schema.sql");
/// Marks the file as ours: `SWJT`.
const APPLICATION_ID: i32 = 0x5357_4a54;
/// Version of [`SCHEMA`].
const VERSION: i32 = 1;
/// Longest wait for a lock of another connection's.
const BUSY: Duration = Duration::from_secs(2);

/// The column of a table's view that says when its first event was.
const fn time_column(table: Table) -> &'static str {
    match table {
        Table::SwingTrades => "entered_at",
        Table::CapitalMovements => "planned_at",
        Table::HaltEvents => "started_at",
        Table::ConfigChanges => "changed_at",
        Table::Incidents => "opened_at",
        Table::EquitySamples => "sampled_at",
    }
}

/// Opens the file with what every connection of ours has: no functions called from the schema that
/// the schema may not call, no way to write the schema's own table, pages checked as they are read.
fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Compares the file's schema with ours: a trigger taken away or a view turned is found here.
fn check_schema(connection: &Connection) -> Result<(), TablesError> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    if (application, version) != (APPLICATION_ID, VERSION) {
        let what = format!(
            "it is no journal of version {VERSION} (application {application:#x}, version {version})"
        );
        return Err(TablesError::Schema(what));
    }
    let ours = Connection::open_in_memory()?;
    ours.execute_batch(SCHEMA)?;
    let (expected, found) = (objects(&ours)?, objects(connection)?);
    for (name, sql) in &expected {
        match found.iter().find(|(other, _)| other == name) {
            None => return Err(TablesError::Schema(format!("{name} is missing"))),
            Some((_, other)) if other != sql => {
                return Err(TablesError::Schema(format!("{name} is not as it was made")));
            }
            Some(_) => {}
        }
    }
    match found.iter().find(|(name, _)| expected.iter().all(|(other, _)| other != name)) {
        Some((name, _)) => Err(TablesError::Schema(format!("{name} does not belong in it"))),
        None => Ok(()),
    }
}

/// Kind and name of everything in the schema, with its SQL. At most a hundred.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let query = "SELECT type || ' ' || name, sql FROM sqlite_schema ORDER BY 1 LIMIT 100";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
