//! Tiles and checkpoint, as files. Both can be made again from the segments.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transparency::Tile;

use crate::error::{JournalError, io_error};
use crate::key::write_once;
use crate::storage::Storage;

/// What one checkpoint writes, in this order: tiles, then the note, then what it makes superfluous.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Publication {
    /// Leaves the checkpoint covers.
    pub(crate) size: u64,
    pub(crate) tiles: Vec<(Tile, Vec<u8>)>,
    pub(crate) note: String,
    /// Unfinished tiles of the checkpoint before the last.
    pub(crate) obsolete: Vec<Tile>,
}

/// Writes publications into the log's folder.
pub(crate) struct Publisher {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// Folders whose own names are durable.
    known: HashSet<PathBuf>,
}

impl Publisher {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: &Path) -> Self {
        Self { storage, dir: dir.to_owned(), known: HashSet::new() }
    }

    /// Makes the tiles durable, then the checkpoint visible and durable.
    pub(crate) fn publish(&mut self, publication: &Publication) -> Result<(), JournalError> {
        let mut folders = Vec::new();
        for (tile, bytes) in &publication.tiles {
            let path = self.dir.join(tile.path());
            let folder = path.parent().expect("a tile's path has folders").to_owned();
            self.make_known(&folder)?;
            let temporary = path.with_extension("tmp");
            self.storage.write(&temporary, bytes).map_err(io_error("write", &temporary))?;
            self.storage.rename(&temporary, &path).map_err(io_error("rename to", &path))?;
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        #[cfg(test)]
        crate::crash::mutants::before_folder_syncs(&mut folders);
        for folder in &folders {
            self.storage.sync_folder(folder).map_err(io_error("sync", folder))?;
        }
        write_once(&*self.storage, &self.dir.join("checkpoint"), publication.note.as_bytes())?;
        for tile in &publication.obsolete {
            let path = self.dir.join(tile.path());
            self.storage.remove(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }

    /// Makes the names of `folder` and of those above it, up to the log's, durable once.
    fn make_known(&mut self, folder: &Path) -> Result<(), JournalError> {
        if self.known.contains(folder) {
            return Ok(());
        }
        self.storage.create_folder(folder).map_err(io_error("create", folder))?;
        for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.dir)) {
            self.storage.sync_folder(above).map_err(io_error("sync", above))?;
        }
        self.known.insert(folder.to_owned());
        Ok(())
    }
}
