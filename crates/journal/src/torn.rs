//! Torn writes that were moved aside: kept for good, and spoken of in the log once.
//!
//! `segments/torn-…` waits for its record; with it, the file is `segments/recorded-INDEX-torn-…`.

use std::path::Path;

use transparency::Body;

use crate::error::{JournalError, io_error};
use crate::storage::Storage;

/// The operation of the record that tells of torn writes.
const OPERATION: &str = "torn_tail";
const WAITING: &str = "torn-";

/// Whether a record's body is the vault's word about torn writes.
pub(crate) fn speaks_of_it(body: &[u8]) -> bool {
    Body::decode(body).is_ok_and(|body| body.operation == OPERATION && body.actor == "vault")
}

/// Bytes of torn writes in `dir` that no record speaks of yet.
pub(crate) fn unrecorded(storage: &dyn Storage, dir: &Path) -> Result<u64, JournalError> {
    let folder = dir.join("segments");
    let mut bytes = 0;
    for name in waiting(storage, &folder)? {
        let path = folder.join(name);
        let size = storage.open(&path).and_then(|file| file.size()).map_err(io_error("measure", &path))?;
        bytes += size;
    }
    Ok(bytes)
}

/// Puts the index of the record that speaks of them into the names of all torn writes.
pub(crate) fn note_recorded(storage: &dyn Storage, dir: &Path, sequence: u64) -> Result<(), JournalError> {
    let folder = dir.join("segments");
    for name in waiting(storage, &folder)? {
        let (from, to) = (folder.join(&name), folder.join(format!("recorded-{sequence}-{name}")));
        storage.rename(&from, &to).map_err(io_error("rename", &from))?;
    }
    storage.sync_folder(&folder).map_err(io_error("sync", &folder))
}

fn waiting(storage: &dyn Storage, folder: &Path) -> Result<Vec<String>, JournalError> {
    let names = storage.list(folder).map_err(io_error("list", folder))?;
    Ok(names.into_iter().filter(|name| name.starts_with(WAITING) && !name.ends_with(".tmp")).collect())
}
