//! Why the tables cannot be read or written.

use std::io;
use std::path::PathBuf;

use protocol::tables::EventId;
use thiserror::Error;

/// Why an operation on the tables failed.
#[derive(Debug, Error)]
pub enum TablesError {
    /// A file cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes the tables.
    #[error("the tables in {} are being written by process {pid}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who, as that process wrote it.
        pid: String,
    },
    /// The file's tables, triggers or views are not the ones that belong in it.
    #[error(
        "the journal's schema was changed: {0}; run `seawall journal verify`, and restore the file from a backup"
    )]
    Schema(String),
    /// A row does not hold what a row holds.
    #[error(
        "row {row} of the journal {what}; run `seawall journal verify`, and restore the file from a backup"
    )]
    Damaged {
        /// Its sequence.
        row: u64,
        /// What is wrong.
        what: String,
    },
    /// The event does not follow from what is there; nothing was written.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// An earlier write failed, so what is on the disk is unknown; nothing more is written.
    #[error("the tables take nothing more since a write failed: {0}; check the disk, then start again")]
    Stopped(String),
    /// `SQLite` failed.
    #[error("tables: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Why an event does not follow from what is there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another event has this id.
    #[error("event id {event_id} belongs to another event, row {row}; give each event an id of its own")]
    IdReused {
        /// The id.
        event_id: EventId,
        /// Where the other stands.
        row: u64,
    },
    /// It is about something that was never opened.
    #[error("{what} {id} is not in the journal; write its first event before this one")]
    Unknown {
        /// `trade`, `movement`, `halt` or `incident`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// That has happened to it already, or can no longer happen.
    #[error("{what} {id} {state} already")]
    Already {
        /// `trade`, `movement`, `halt` or `incident`.
        what: &'static str,
        /// Its id.
        id: String,
        /// What happened to it.
        state: &'static str,
    },
    /// Something else has to happen to it first.
    #[error("{what} {id} was not {missing} yet")]
    TooEarly {
        /// `trade`, `movement`, `halt` or `incident`.
        what: &'static str,
        /// Its id.
        id: String,
        /// What has to happen first.
        missing: &'static str,
    },
    /// The number does not fit a column.
    #[error("{field} is above 9223372036854775807, the most that a table holds")]
    TooLarge {
        /// Which.
        field: &'static str,
    },
}

/// Names the file and the action in an I/O error.
pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> TablesError {
    let path = path.into();
    move |source| TablesError::Io { action, path, source }
}
