//! Repairing a log: what can be made again is moved aside and made again; what cannot is not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trading::Timestamp;

use crate::error::{JournalError, io_error};
use crate::folder::Folder;
use crate::index::Index;
use crate::key::LogSigner;
use crate::lock::Lock;
use crate::log::Recovered;
use crate::recover;
use crate::storage::{Disk, Storage};

/// What lies in the folder of what was moved aside.
const EXPLANATION: &str = "\
Moved here by `seawall log repair`. Nothing was deleted.

- checkpoint, tile/, index.sqlite*: derived from the segments, and made again from them. Compare the
  checkpoint with the one beside this folder: the old one must be a past of the new one
  (`seawall log verify --earlier`). If it is not, keep this folder and ask who had access.
- *.tmp, *.new: files that a crash left unfinished; nothing refers to them.

Once the log verifies and a backup of it exists, this folder may be removed by hand.
";

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// What the segments hold.
    pub recovered: Recovered,
    /// Where what was replaced lies now.
    pub aside: PathBuf,
    /// What lies there, by its path below the log's folder.
    pub moved: Vec<PathBuf>,
}

/// Makes everything in the log's folder again that the segments give, after moving what was there into
/// a dated folder. A torn tail is cut off and kept, as at every start. `seawall up` must not run.
///
/// # Errors
///
/// [`JournalError::Damaged`] if the segments themselves do not hold; then nothing was changed.
pub fn repair_dir(dir: &Path, key: &Path, now: Timestamp) -> Result<Repaired, JournalError> {
    if !dir.join("log.pub").exists() {
        return Err(JournalError::NotFound(format!("there is no log in {}", dir.display())));
    }
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let _lock = Lock::acquire(dir)?;
    let signer = Arc::new(LogSigner::load_or_create(&*storage, key, dir)?);
    // The segments first: where they do not hold, nothing is moved.
    let (mut log, recovered) = recover::open_from_first(Arc::clone(&storage), dir, signer, now.as_ms())?;
    let aside = dir.join(format!("aside-{}", now.to_string().replace(':', "-")));
    fs::create_dir_all(&aside).map_err(io_error("create", &aside))?;
    storage.write(&aside.join("README.txt"), EXPLANATION.as_bytes()).map_err(io_error("write", &aside))?;
    let mut moved = Vec::new();
    for name in superseded(dir)? {
        let (from, to) = (dir.join(&name), aside.join(&name));
        if name.as_os_str() == "checkpoint" {
            // A copy: a crash from here on leaves a checkpoint in its place.
            let content = fs::read(&from).map_err(io_error("read", &from))?;
            storage.write(&to, &content).map_err(io_error("write", &to))?;
        } else {
            let folder = to.parent().unwrap_or(&aside);
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
            storage.rename(&from, &to).map_err(io_error("move", &from))?;
        }
        moved.push(name);
    }
    for folder in [&aside, &aside.join("segments"), &dir.join("segments"), &dir.to_owned()] {
        if folder.is_dir() {
            storage.sync_folder(folder).map_err(io_error("sync", folder))?;
        }
    }
    log.checkpoint()?;
    let mut index = Index::open(&dir.join("index.sqlite"))?;
    index.catch_up(&Folder::open_read_only(dir)?, recovered.records)?;
    Ok(Repaired { recovered, aside, moved })
}

/// What the segments make superfluous, by its path below `dir`.
fn superseded(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut found = Vec::new();
    for below in ["", "segments"] {
        let folder = dir.join(below);
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let name = entry.map_err(io_error("list", &folder))?.file_name();
            let text = name.to_string_lossy();
            let derived = below.is_empty()
                && (text == "checkpoint" || text == "tile" || text.starts_with("index.sqlite"));
            if derived || text.ends_with(".tmp") || text.ends_with(".new") {
                found.push(Path::new(below).join(name));
            }
        }
    }
    found.sort();
    Ok(found)
}
