//! Where warnings go: standard error, or a file while a full screen would be torn up by them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Size at which the file is begun anew, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Shared by the log's subscriber and whoever takes over the terminal.
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
struct Place {
    /// Where they go now; standard error if absent.
    file: Option<File>,
    /// The last one since they go to the file.
    last: Option<String>,
}

impl Notices {
    /// Sends what comes to the end of the file at `path`.
    pub fn to_file(&self, path: &Path) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        if file.metadata()?.len() > MAX_FILE {
            file.set_len(0)?;
        }
        *self.place() = Place { file: Some(file), last: None };
        Ok(())
    }

    /// Sends what comes to standard error again.
    pub fn to_stderr(&self) {
        self.place().file = None;
    }

    /// The last one that went to the file.
    pub fn last(&self) -> Option<String> {
        self.place().last.clone()
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes one event.
pub struct Writer(Notices);

impl<'a> MakeWriter<'a> for Notices {
    type Writer = Writer;

    fn make_writer(&'a self) -> Writer {
        Writer(self.clone())
    }
}

impl Write for Writer {
    /// Takes the whole event, which comes in one piece.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut place = self.0.place();
        match &mut place.file {
            Some(file) => file.write_all(bytes)?,
            None => io::stderr().write_all(bytes)?,
        }
        if place.file.is_some() {
            place.last = Some(String::from_utf8_lossy(bytes).trim().to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_screen_is_up_warnings_go_to_the_file_and_the_last_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("up.log");
        let notices = Notices::default();
        let subscriber =
            tracing_subscriber::fmt().with_writer(notices.clone()).with_ansi(false).without_time().finish();
        tracing::subscriber::with_default(subscriber, || {
            notices.to_file(&path).expect("writable");
            tracing::warn!("first");
            tracing::warn!(process = "vault", "second");
            notices.to_stderr();
            tracing::warn!("third, on standard error");
        });
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text.lines().count(), 2, "{text}");
        let last = notices.last().expect("one");
        assert!(last.contains("second") && last.contains("vault") && !last.contains('\n'), "{last}");
    }
}
