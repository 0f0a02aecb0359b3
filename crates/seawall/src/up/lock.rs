//! One `seawall up` per folder.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};

use crate::layout::Layout;

/// Held as long as this `up` runs; the kernel lets go of it however the process ends.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says which process has it.
    pub fn take(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.lock();
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            anyhow::bail!(
                "{} is in use by process {}; stop that one, or choose another folder with --data-dir",
                layout.data().display(),
                holder.trim()
            );
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }

    /// Whether some process has it.
    pub fn is_held(layout: &Layout) -> bool {
        let Ok(file) = File::open(layout.lock()) else { return false };
        flock(&file, FlockOperation::NonBlockingLockShared).is_err()
    }
}
