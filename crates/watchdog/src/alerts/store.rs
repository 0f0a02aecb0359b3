//! The queue on disk: one file of changes, each line with its own checksum, replaced whole when it
//! grows or when anything about it is in doubt.
//!
//! A line is `<CRC-32C of the JSON in 8 hex digits> <JSON of a Record>\n`. A crash while appending
//! leaves a torn last line, which the next start leaves out; a damaged line costs no other. At every
//! start and after every failure the file is written anew beside the old one, synced, and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Record;

/// The file of changes.
const FILE: &str = "queue";
/// What will replace it.
const FRESH: &str = "queue.new";
/// Held while a process uses the folder.
const LOCK: &str = "lock";
/// Longest file read, in bytes. Far more than [`Store::append`] lets one become.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// A file longer than this should be replaced, in bytes. A full queue takes less than half.
const REPLACE_AT: u64 = 8 * 1024 * 1024;
/// Longest line read, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// Why the folder cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process uses it.
    #[error("{} is in use by another process; stop that one, or give this one another data folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("cannot {action} in {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// The queue's file, open for appending.
pub struct Store {
    disk: Box<dyn Disk>,
    /// Bytes in the file; `None` if it is not known what is in it.
    length: Option<u64>,
}

/// What a folder held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The changes, oldest first.
    pub records: Vec<Record>,
    /// Lines that were damaged; one at the end is what a crash leaves.
    pub damaged: usize,
}

impl Store {
    /// Opens the folder `path`, making it if there is none, and reads what is there. The file is not
    /// written before the first [`Store::replace`].
    ///
    /// # Errors
    ///
    /// If another process has it open or the disk fails.
    pub fn open(path: &Path) -> Result<(Self, Found), StoreError> {
        let failed = |action| move |source| StoreError::Io { action, path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder"))?;
        let lock = private().open(path.join(LOCK)).map_err(failed("open the lock"))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(error) => return Err(failed("lock")(error.into())),
        }
        let folder = Folder { path: path.to_owned(), file: None, _lock: lock };
        Self::over(Box::new(folder)).map_err(failed("read the queue"))
    }

    fn over(mut disk: Box<dyn Disk>) -> io::Result<(Self, Found)> {
        let found = parse(&disk.read(FILE)?);
        Ok((Self { disk, length: None }, found))
    }

    /// Whether [`Store::replace`] must be called before anything is appended.
    #[must_use]
    pub fn needs_replacing(&self) -> bool {
        self.length.is_none_or(|length| length > REPLACE_AT)
    }

    /// Whether everything appended and replaced is durable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.length.is_some()
    }

    /// Writes `records` down; they are durable when this returns.
    ///
    /// # Errors
    ///
    /// If the disk fails, or did before ([`io::ErrorKind::InvalidInput`]); [`Store::replace`] makes good.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let length = self.length.take().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let lines = to_lines(records);
        self.disk.append(&lines)?;
        self.disk.sync()?;
        self.length = Some(length + lines.len() as u64);
        Ok(())
    }

    /// Puts `records` in the place of everything; they are durable when this returns.
    ///
    /// # Errors
    ///
    /// If the disk fails; what was there before is still there, or the new is.
    pub fn replace(&mut self, records: &[Record]) -> io::Result<()> {
        self.length = None;
        let lines = to_lines(records);
        self.disk.create(FRESH)?;
        self.disk.append(&lines)?;
        self.disk.sync()?;
        self.disk.rename(FRESH, FILE)?;
        self.disk.sync_folder()?;
        self.length = Some(lines.len() as u64);
        Ok(())
    }
}

fn to_lines(records: &[Record]) -> Vec<u8> {
    let mut lines = Vec::new();
    for record in records {
        let json = serde_json::to_vec(record).expect("text and numbers");
        lines.extend_from_slice(format!("{:08x} ", crc32c::crc32c(&json)).as_bytes());
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    lines
}

fn parse(content: &[u8]) -> Found {
    let mut found = Found::default();
    let whole = content.split_inclusive(|byte| *byte == b'\n');
    for line in whole {
        match parse_line(line) {
            Some(record) => found.records.push(record),
            None => found.damaged += 1,
        }
    }
    found
}

fn parse_line(line: &[u8]) -> Option<Record> {
    let line = line.strip_suffix(b"\n").filter(|line| line.len() <= MAX_LINE)?;
    let (sum, json) = line.split_at_checked(9)?;
    let expected = format!("{:08x} ", crc32c::crc32c(json));
    (sum == expected.as_bytes()).then(|| serde_json::from_slice(json).ok())?
}

/// The steps on a folder that a crash may fall between.
trait Disk: Send {
    /// A file's bytes, [`MAX_FILE`] at most; none if it does not exist.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes an empty file, or empties one, and opens it for appending.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Appends to the open file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the open file's content durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives a file another name, replacing what had it; the open file stays open.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync_folder(&mut self) -> io::Result<()>;
}

struct Folder {
    path: PathBuf,
    file: Option<File>,
    _lock: File,
}

impl Folder {
    fn open_file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("no file is open"))
    }
}

impl Disk for Folder {
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        match File::open(self.path.join(name)) {
            Ok(file) => file.take(MAX_FILE).read_to_end(&mut content)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(content)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.file = Some(private().truncate(true).open(self.path.join(name))?);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open_file()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.open_file()?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests;
