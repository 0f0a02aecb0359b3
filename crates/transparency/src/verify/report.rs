//! What the verifier says of a log.

use std::fmt::Display;

use thiserror::Error;
use trading::Timestamp;

use crate::body::BodyError;
use crate::cbor::CborError;
use crate::checkpoint::{Checkpoint, CheckpointError, LogKey};
use crate::epoch::EpochError;
use crate::leaf::LeafError;
use crate::tile::Tile;

/// What the verifier found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The key the log was verified with.
    pub log_key: Option<LogKey>,
    /// The log's checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Records found right, from the first on.
    pub records: u64,
    /// Those of them that have a leaf.
    pub leaves: u64,
    /// Those of them that the checkpoint covers.
    pub covered: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// Records whose leaf a later epoch signed.
    pub adopted: u64,
    /// How often time went back from one record to the next.
    pub regression_count: u64,
    /// The first of them, at most 100.
    pub regressions: Vec<Regression>,
    /// Time of the first and the last record.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The first thing that is wrong; with it the log must not be relied on.
    pub fault: Option<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.fault.is_none()
    }

    /// Records that are durable but that the checkpoint does not cover yet.
    #[must_use]
    pub const fn uncovered(&self) -> u64 {
        self.records.saturating_sub(self.covered)
    }
}

/// The vault's clock went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regression {
    /// The later record.
    pub index: u64,
    /// Time of the record before it.
    pub before: Timestamp,
    /// Its own time.
    pub after: Timestamp,
}

/// Something wrong with a log, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {reason}")]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub reason: Reason,
}

impl Fault {
    /// The first record that is bad or, for a bad tile, that it speaks for.
    #[must_use]
    pub const fn first_bad(&self) -> Option<u64> {
        match self.place {
            Place::Record(index) | Place::Tile(_, index) => Some(index),
            Place::Checkpoint | Place::Key => None,
        }
    }
}

/// Where a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The record with this index, and none before it.
    Record(u64),
    /// This tile, from the hash for the record with this index on; every record is right.
    Tile(Tile, u64),
    /// The checkpoint.
    Checkpoint,
    /// The log's key.
    Key,
}

impl Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record(index) => write!(formatter, "record {index}"),
            Self::Tile(tile, index) => write!(formatter, "{tile} (from record {index})"),
            Self::Checkpoint => formatter.write_str("checkpoint"),
            Self::Key => formatter.write_str("log key"),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is not there although the checkpoint covers it.
    #[error("is missing although the checkpoint covers it")]
    Missing,
    /// Its leaf is not there although the checkpoint or a later leaf says it was.
    #[error("has no leaf although the log went on")]
    MissingLeaf,
    /// The body is not canonical.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// The body has another sequence number than its place.
    #[error("says it is record {0}")]
    Sequence(u64),
    /// The body names another predecessor.
    #[error("does not follow the record before it")]
    Previous,
    /// The detail is not the one the body speaks of.
    #[error("has another detail than its body says")]
    Detail,
    /// The epoch is not the current one, or begins without its record.
    #[error("belongs to epoch {found} where {expected} is in force")]
    Epoch {
        /// What the body says.
        found: u64,
        /// What it must be.
        expected: u64,
    },
    /// The epoch detail is malformed.
    #[error("epoch detail {0}")]
    EpochDetail(CborError),
    /// The epoch's statement does not hold.
    #[error("{0}")]
    Statement(EpochError),
    /// The epoch claims another range of adopted leaves than the log shows.
    #[error("claims to adopt another range than the log shows")]
    Adopted,
    /// The leaf does not fit.
    #[error("{0}")]
    Leaf(#[from] LeafError),
    /// It differs from what the checkpoint was made over.
    #[error("is not the record the checkpoint covers")]
    Forked,
    /// The key is not one, or not the expected one.
    #[error("is not the expected key")]
    WrongKey,
    /// The checkpoint is not one of this log.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// The root is not that of the records, and the tiles do not show where they part.
    #[error("has another root than the records")]
    Root,
    /// An earlier checkpoint is not a prefix of this log.
    #[error("contradicts a checkpoint seen earlier, of {0} records")]
    Contradicts(u64),
    /// The tile's hashes are not those of the records.
    #[error("does not hold the records' hashes")]
    Tile,
}
