//! Why the journal cannot go on.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why an operation of the journal failed.
#[derive(Debug, Error)]
pub enum JournalError {
    /// A file or folder cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A write or sync failed, so what is on the disk is unknown; the journal takes nothing more.
    #[error(
        "the journal has stopped: {0}. What the disk holds is unknown until it is read anew: check the disk \
         (space, read-only mount, kernel log), then start again; nothing acknowledged depends on the failed write"
    )]
    Stopped(String),
    /// Another process holds the log.
    #[error("the log in {} is in use by process {pid}", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Who holds it, as that process wrote it.
        pid: String,
    },
    /// The folder holds something that a crash cannot explain.
    #[error("the log in {} is damaged: {what}. Nothing was changed; restore the folder from a backup or move it aside", dir.display())]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The log key is missing, malformed or another than the log's.
    #[error("log key {}: {what}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// What was to be appended does not follow or does not fit.
    #[error("refused: {0}")]
    Refused(String),
    /// The record is not in the log, or has no proof yet.
    #[error("{0}")]
    NotFound(String),
    /// The search index failed; it can be rebuilt.
    #[error("search index: {0}")]
    Index(#[from] rusqlite::Error),
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[source] io::Error),
}

/// Names the file and the action in an I/O error.
pub(crate) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.into();
    move |source| JournalError::Io { action, path, source }
}
