//! One caller's connection: lines in, lines out, both bounded.

use std::io::{self, Read as _};

use mio::net::UnixStream;
use mio::{Registry, Token};
use protocol::line::LineBuffer;
use protocol::peer::Peer;

use crate::outgoing::Outgoing;

/// Most bytes that may wait for a caller who does not read; more ends the connection.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;

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
    output: Outgoing,
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
            output: Outgoing::default(),
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
        if self.output.len() + line.len() > MAX_OUTPUT {
            return Err(io::Error::other("the caller does not read its replies"));
        }
        let tail = self.output.tail();
        tail.extend_from_slice(line);
        tail.push(b'\n');
        Ok(())
    }

    /// Writes as much as the kernel takes, and has the event loop tell when it takes the rest.
    pub(crate) fn flush(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.output.flush(&mut self.stream, registry, token)
    }

    /// Whether nothing more will come or go.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended && self.in_flight == 0 && self.output.len() == 0
    }
}
