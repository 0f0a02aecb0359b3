//! One writer per log.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{JournalError, io_error};

/// Holds the log's folder until dropped; the kernel lets go when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// [`JournalError::InUse`] with the holder's process id if another process has it.
    pub fn acquire(dir: &Path) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(io_error("create", dir))?;
        Self::of_file(&dir.join("LOCK"))
    }

    /// Takes the lock that `path` is, making the file if needed.
    pub(crate) fn of_file(path: &Path) -> Result<Self, JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io_error("open", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(JournalError::InUse {
                    dir: path.parent().unwrap_or(path).to_owned(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err(error) => return Err(io_error("lock", path)(error.into())),
        }
        file.set_len(0).map_err(io_error("write", path))?;
        writeln!(file, "{}", std::process::id()).map_err(io_error("write", path))?;
        Ok(Self { _file: file })
    }
}
