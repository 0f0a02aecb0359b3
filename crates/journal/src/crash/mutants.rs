//! Deliberate faults in the journal's own code, which the harness must catch.
//!
//! They exist under `cfg(test)` alone: no feature, variable or argument switches them on, and no
//! build of the library for another crate holds them, release or not.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;

use crate::log::Log;
use crate::storage::StoredFile;

/// A fault that somebody could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The checkpoint covers leaves that are not on disk yet.
    CheckpointBeforeData,
    /// Records are said to be durable when they are only written.
    AcknowledgeBeforeSync,
    /// A sync that failed is called again, and its success believed.
    RetryFailedSync,
    /// A new segment's name is not made durable.
    SkipFolderSync,
    /// The names of the checkpoint's tiles are not made durable before the checkpoint's.
    CheckpointBeforeTiles,
}

impl Mutant {
    pub(crate) const ALL: [Self; 5] = [
        Self::CheckpointBeforeData,
        Self::AcknowledgeBeforeSync,
        Self::RetryFailedSync,
        Self::SkipFolderSync,
        Self::CheckpointBeforeTiles,
    ];
}

thread_local! {
    static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Runs `work` on this thread with the fault in place.
pub(crate) fn with<T>(mutant: Option<Mutant>, work: impl FnOnce() -> T) -> T {
    ACTIVE.set(mutant);
    let done = work();
    ACTIVE.set(None);
    done
}

pub(crate) fn instead_of_sync(file: &dyn StoredFile) -> Option<io::Result<()>> {
    match ACTIVE.get() {
        Some(Mutant::AcknowledgeBeforeSync) => Some(Ok(())),
        Some(Mutant::RetryFailedSync) => Some(file.sync().or_else(|_| file.sync())),
        _ => None,
    }
}

pub(crate) fn before_publication(log: &mut Log) {
    if ACTIVE.get() == Some(Mutant::CheckpointBeforeData) {
        for hash in log.pending_leaves.drain(..) {
            log.tree.append(hash, |tile| log.completed.push(tile));
        }
    }
}

pub(crate) fn skips_folder_sync() -> bool {
    ACTIVE.get() == Some(Mutant::SkipFolderSync)
}

pub(crate) fn before_folder_syncs(folders: &mut Vec<PathBuf>) {
    if ACTIVE.get() == Some(Mutant::CheckpointBeforeTiles) {
        folders.clear();
    }
}
