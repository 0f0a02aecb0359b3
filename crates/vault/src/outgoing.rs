//! Bytes on their way out of a socket that may not take them all at once.

use std::io::{self, Write as _};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// Whether the event loop tells when the kernel takes more. Only while something waits for that:
    /// otherwise the vault would be woken each time the other side reads.
    awaits_room: bool,
}

impl Outgoing {
    /// What the event loop has to tell of a stream for which nothing waits.
    pub(crate) const fn interest() -> Interest {
        Interest::READABLE
    }

    /// Bytes not yet written.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Where to append more.
    pub(crate) const fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes as much as the kernel takes, and has the event loop tell when it takes the rest.
    pub(crate) fn flush(
        &mut self,
        stream: &mut UnixStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        self.write(stream)?;
        let left = self.len() > 0;
        if left != self.awaits_room {
            let interest = Self::interest();
            let interest = if left { interest | Interest::WRITABLE } else { interest };
            registry.reregister(stream, token, interest)?;
            self.awaits_room = left;
        }
        Ok(())
    }

    fn write(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        while self.written < self.bytes.len() {
            match stream.write(&self.bytes[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}
