//! One caller's connection: lines in, lines out, both bounded.

use std::io::{self, Read as _, Write as _};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use protocol::line::LineBuffer;
use protocol::peer::Peer;

/// Most bytes that may wait for a caller who does not read; more ends the connection.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;

/// What the event loop has to tell of a stream.
pub(crate) fn interest(awaits_room: bool) -> Interest {
    if awaits_room { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}

/// Which socket a connection came in by, and with it what it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Bots.
    Sign,
    /// The gateway.
    Gateway,
    /// Operators' commands.
    Admin,
}

/// One caller.
pub(crate) struct Connection {
    pub(crate) stream: UnixStream,
    pub(crate) door: Door,
    pub(crate) peer: Peer,
    pub(crate) input: LineBuffer,
    output: Vec<u8>,
    written: usize,
    /// Whether the event loop tells when the kernel takes more. Only while something waits for that:
    /// otherwise the vault would be woken each time the caller reads.
    awaits_room: bool,
    /// The caller sends no more; what is due to it still goes out.
    pub(crate) ended: bool,
    /// The kernel may hold more bytes than were read.
    pub(crate) readable: bool,
    /// Lines whose replies are not out yet.
    pub(crate) in_flight: usize,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream, door: Door, peer: Peer) -> Self {
        Self {
            stream,
            door,
            peer,
            input: LineBuffer::new(),
            output: Vec::new(),
            written: 0,
            awaits_room: false,
            ended: false,
            readable: true,
            in_flight: 0,
        }
    }

    /// Reads once into `chunk`; returns whether there may be more.
    pub(crate) fn fill(&mut self, chunk: &mut [u8]) -> io::Result<bool> {
        match self.stream.read(chunk) {
            Ok(0) => {
                self.ended = true;
                self.readable = false;
            }
            Ok(count) => {
                self.input.extend(&chunk[..count]);
                // A short read has emptied the kernel's buffer; the next arrival is a new event.
                self.readable = count == chunk.len();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(self.readable)
    }

    /// Queues `line` and its line feed.
    pub(crate) fn queue(&mut self, line: &[u8]) -> io::Result<()> {
        if self.output.len() - self.written + line.len() > MAX_OUTPUT {
            return Err(io::Error::other("the caller does not read its replies"));
        }
        self.output.extend_from_slice(line);
        self.output.push(b'\n');
        Ok(())
    }

    /// Writes as much as the kernel takes, and has the event loop tell when it takes the rest.
    pub(crate) fn flush(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.write()?;
        let left = !self.output.is_empty();
        if left != self.awaits_room {
            registry.reregister(&mut self.stream, token, interest(left))?;
            self.awaits_room = left;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Whether nothing more will come or go.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended && self.in_flight == 0 && self.output.is_empty()
    }
}
