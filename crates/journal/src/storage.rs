//! The few things the journal asks of a disk, as a seam: whatever must survive a crash passes here.
//!
//! [`Disk`] is the real one. Tests put one behind it that forgets, tears and fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// A folder tree with explicit durability: nothing survives a crash before its sync has returned.
pub trait Storage: Send + Sync {
    /// Names in a folder, unordered; none if the folder does not exist.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Creates a folder and those above it, private to the user; nothing if it exists.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// If it does not exist or the disk fails.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Creates a file that does not exist.
    ///
    /// # Errors
    ///
    /// If it exists or the disk fails.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Reads a small file whole; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Writes a file whole, replacing what was there, and makes its content durable; the name
    /// becomes durable with [`Storage::sync_folder`].
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file that can be made again; nothing if it does not exist.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait StoredFile: Send {
    /// Bytes in the file.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn size(&self) -> io::Result<u64>;

    /// Reads at an offset; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at an offset.
    ///
    /// # Errors
    ///
    /// If the disk fails; some bytes may then be written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written durable.
    ///
    /// # Errors
    ///
    /// If the disk fails. What was written is then in an unknown state, for good: a second call may
    /// return success though the bytes are lost.
    fn sync(&self) -> io::Result<()>;
}

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Storage for Disk {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(File::open(folder)?)?)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        // A folder copied for reading may not be writable; writing then fails, not opening.
        let writable = OpenOptions::new().read(true).write(true).open(path);
        Ok(Box::new(writable.or_else(|_| File::open(path))?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        match File::open(path) {
            Ok(mut file) => file.read_to_end(&mut content).map(|_| Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        Ok(rustix::fs::fsync(file)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl StoredFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(self)?)
    }
}
