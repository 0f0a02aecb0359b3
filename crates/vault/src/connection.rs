//! One caller's connection: lines in, lines out, both bounded.

use std::io::{self, Read as _};

use mio::net::UnixStream;
use mio::{Registry, Token};
use protocol::line::LineBuffer;
use protocol::peer::Peer;

use crate::outgoing::Outgoing;
use crate::turns::{Party, Whose};

/// Most bytes that may wait for a caller who does not read; more ends the connection.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;

/// Most reads of what a caller has sent that is not heard any more.
const MAX_THROWN_AWAY: usize = 16;

/// Which socket a connection came in by, and with it what it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Bots.
    Sign,
    /// The gateway.
    Gateway,
    /// Operators' commands.
    Admin,
    /// Watchdogs and their leases.
    Watchdog,
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
    /// The kernel may hold more bytes than were read, or the end.
    pub(crate) readable: bool,
    /// The kernel has told of the end. It tells once, perhaps together with the last bytes: from
    /// here on nothing but reading the end itself clears `readable`.
    hung_up: bool,
    /// Lines were read that had to wait for the next turn.
    pub(crate) has_more: bool,
    /// Lines whose replies are not out yet.
    pub(crate) in_flight: usize,
    /// Who is answerable for it.
    pub(crate) party: Party,
    /// Lines it had, as [`crate::turns::Turns`] reckons.
    pub(crate) had: u64,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream, door: Door, peer: Peer) -> Self {
        let whose = if door == Door::Gateway { Whose::Gateway } else { Whose::User(peer.uid) };
        Self {
            stream,
            door,
            peer,
            party: Party { whose, bot: None },
            had: 0,
            input: LineBuffer::new(),
            output: Outgoing::default(),
            ended: false,
            readable: true,
            hung_up: false,
            has_more: false,
            in_flight: 0,
        }
    }

    /// Whether there is something to read, or something read and not taken.
    pub(crate) const fn wants_a_turn(&self) -> bool {
        self.readable || self.has_more
    }

    /// Takes note of what the event loop tells.
    pub(crate) fn note(&mut self, is_readable: bool, is_read_closed: bool) {
        self.hung_up |= is_read_closed;
        self.readable |= is_readable || is_read_closed;
    }

    /// Takes no more lines. What the caller has sent already is thrown away: closing with unread
    /// bytes would look to the caller like a fault of the connection.
    pub(crate) fn hear_no_more(&mut self, chunk: &mut [u8]) {
        self.ended = true;
        self.readable = false;
        self.has_more = false;
        self.input = LineBuffer::new();
        for _ in 0..MAX_THROWN_AWAY {
            if !matches!(self.stream.read(chunk), Ok(1..)) {
                break;
            }
        }
    }

    /// Reads once into `chunk`; returns whether there may be more.
    pub(crate) fn fill(&mut self, chunk: &mut [u8]) -> io::Result<bool> {
        if self.ended {
            self.hear_no_more(chunk);
            return Ok(false);
        }
        match self.stream.read(chunk) {
            Ok(0) => {
                self.ended = true;
                self.readable = false;
            }
            Ok(count) => {
                self.input.extend(&chunk[..count]);
                // A short read has emptied the kernel's buffer; the next arrival is a new event,
                // and so is the end if it was not told of yet.
                self.readable = count == chunk.len() || self.hung_up;
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
        self.ended && !self.has_more && self.in_flight == 0 && self.output.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream as StdStream;
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    /// How a caller hangs up, and what it keeps.
    type HangUp = fn(StdStream) -> Option<StdStream>;

    /// A caller that has sent `bytes` and then hung up, as seen after one turn of the event loop.
    fn after_one_turn(bytes: &[u8], hang_up: HangUp) -> (Connection, Option<StdStream>) {
        let (mut theirs, ours) = StdStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("it can");
        let peer = Peer::of(&ours).expect("the kernel knows");
        let mut connection = Connection::new(UnixStream::from_std(ours), Door::Sign, peer);
        let mut poll = Poll::new().expect("an event loop");
        poll.registry()
            .register(&mut connection.stream, Token(1), Outgoing::interest())
            .expect("it can be watched");
        // The turn in which the caller was accepted.
        let mut chunk = [0; 1024];
        assert!(!connection.fill(&mut chunk).expect("nothing yet"));
        theirs.write_all(bytes).expect("room");
        let left = hang_up(theirs);
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_secs(10))).expect("an event");
        for event in &events {
            connection.note(event.is_readable(), event.is_read_closed());
        }
        (connection, left)
    }

    #[test]
    fn the_end_is_read_also_if_it_was_told_of_together_with_the_last_bytes() {
        let ways: [(&str, HangUp); 2] = [
            ("closed", |_| None),
            ("half closed", |stream| {
                stream.shutdown(Shutdown::Write).expect("it can");
                Some(stream)
            }),
        ];
        for (name, hang_up) in ways {
            let (mut connection, _left) = after_one_turn(b"{}", hang_up);
            let mut chunk = [0; 1024];
            let reads = (1..=3).find(|_| !connection.fill(&mut chunk).expect("it reads"));
            assert!(connection.ended, "{name}: the end was not read in {reads:?} reads");
            assert_eq!(connection.input.pending(), 2, "{name}: the last bytes are there");
        }
    }
}
