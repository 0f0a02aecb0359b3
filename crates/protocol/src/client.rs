//! A blocking client for the line sockets, for commands, demos and benchmarks.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::line::LineBuffer;

/// One connection that sends a line and waits for a line.
#[derive(Debug)]
pub struct LineClient {
    stream: UnixStream,
    buffer: LineBuffer,
    chunk: Box<[u8]>,
}

impl LineClient {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    ///
    /// The operating system's error, with the path in its text.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Self { stream, buffer: LineBuffer::new(), chunk: vec![0; 16 * 1024].into() })
    }

    /// Gives up on a reply after `timeout`.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))
    }

    /// Sends `line`, which must not hold a line feed, and returns the next line.
    ///
    /// # Errors
    ///
    /// The operating system's error; `UnexpectedEof` if the other side closed.
    pub fn exchange(&mut self, line: &[u8]) -> io::Result<&[u8]> {
        self.send(line)?;
        self.receive()
    }

    /// Sends `line` without waiting.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(line.len() + 1);
        framed.extend_from_slice(line);
        framed.push(b'\n');
        self.stream.write_all(&framed)
    }

    /// Waits for the next line.
    ///
    /// # Errors
    ///
    /// The operating system's error; `UnexpectedEof` if the other side closed; `InvalidData` if
    /// the line is too long.
    pub fn receive(&mut self) -> io::Result<&[u8]> {
        // Two steps, because a line borrowed in the loop would stay borrowed until the next read.
        while !self.has_line()? {
            let count = self.stream.read(&mut self.chunk)?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other side closed the socket"));
            }
            self.buffer.extend(&self.chunk[..count]);
        }
        let line =
            self.buffer.next_line().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(line.expect("there is a whole line"))
    }

    /// Sends `message` as JSON and reads the reply as JSON.
    ///
    /// # Errors
    ///
    /// As [`LineClient::exchange`]; `InvalidData` if the reply is not what was expected.
    pub fn call<M: Serialize, R: DeserializeOwned>(&mut self, message: &M) -> io::Result<R> {
        let line = serde_json::to_vec(message)?;
        Ok(serde_json::from_slice(self.exchange(&line)?)?)
    }

    fn has_line(&mut self) -> io::Result<bool> {
        self.buffer.has_line().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
