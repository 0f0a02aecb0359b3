//! Bytes on their way out of a socket that may not take them all at once.

use std::io::{self, Write as _};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// Bytes that were written before they are dropped from a buffer that is never empty, and room that an
/// empty one keeps.
const KEPT: usize = 64 * 1024;

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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_written();
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.written = 0;
        Ok(())
    }

    /// Drops what was written once it is more than what waits: a peer that is never quite through must
    /// not make the buffer grow for ever, and moving the rest must not cost more than writing did.
    fn forget_written(&mut self) {
        if self.written >= KEPT.max(self.len()) {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream as StdStream;

    use mio::Poll;

    use super::*;

    #[test]
    fn a_peer_that_is_never_quite_through_gets_everything_and_the_buffer_stays_bounded() {
        let (mut theirs, ours) = StdStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("it can");
        let mut ours = UnixStream::from_std(ours);
        let poll = Poll::new().expect("an event loop");
        poll.registry().register(&mut ours, Token(1), Outgoing::interest()).expect("it can be watched");
        let mut outgoing = Outgoing::default();
        let (mut sent, mut received, mut chunk) = (0u64, 0u64, vec![0; 100_000]);
        // Always more waits than the kernel takes; each byte says where it stands.
        for _ in 0..2_000 {
            while outgoing.len() < 600_000 {
                outgoing.tail().push((sent % 251) as u8);
                sent += 1;
            }
            outgoing.flush(&mut ours, poll.registry(), Token(1)).expect("it reads");
            let count = theirs.read(&mut chunk).expect("there is something");
            for byte in &chunk[..count] {
                assert_eq!(u64::from(*byte), received % 251, "byte {received}");
                received += 1;
            }
            assert!(outgoing.bytes.len() < 2_000_000, "{} bytes are kept", outgoing.bytes.len());
        }
        assert!(received > 20_000_000, "{received}");
    }
}
