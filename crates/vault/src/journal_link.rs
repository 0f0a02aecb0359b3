//! The vault's connection to the journal.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::time::Duration;

use mio::net::UnixStream;
use mio::{Registry, Token};
use protocol::journal::{Reply, Request, Role, split};
use protocol::peer::Peer;

use crate::outgoing::Outgoing;
use crate::ticket::DurableBelow;

/// Longest wait for the journal's answer while nothing else can be done.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// The log as a vault that starts finds it.
pub(crate) trait PastLog {
    /// Where it stands.
    fn welcome(&self) -> Welcome;

    /// Hands the records from `from` on to `take`, in order.
    fn replay(&mut self, from: u64, take: impl FnMut(PastRecord<'_>) -> io::Result<()>) -> io::Result<()>;

    /// Has the installation's key vouch for the vault's.
    fn vouch(&mut self, epoch: u64, public_key: &[u8; 32], policy_hash: &[u8; 32]) -> io::Result<Vec<u8>>;
}

/// A connection on which the journal knows this process as the appender.
pub(crate) struct JournalLink {
    stream: UnixStream,
    input: Vec<u8>,
    output: Outgoing,
    chunk: Box<[u8]>,
    welcome: Welcome,
}

/// Where the journal's log stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Welcome {
    /// Index of the next record.
    pub(crate) next: u64,
    /// The first record without a leaf; equals `next` if all have one.
    pub(crate) first_without_leaf: u64,
    /// SHA-256 of the last body.
    pub(crate) last_body_digest: [u8; 32],
    /// The last epoch.
    pub(crate) epoch: u64,
    /// Bytes of torn writes that no record speaks of yet.
    pub(crate) torn_bytes: u64,
}

/// One record of the log, as the journal replays it.
#[derive(Clone, Copy)]
pub(crate) struct PastRecord<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) detail: &'a [u8],
}

impl JournalLink {
    /// Connects, checks that the journal runs as the same user, and says hello.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let stream = StdStream::connect(path)?;
        let peer = Peer::of(&stream)?;
        if peer.uid != Peer::own_uid() {
            return Err(io::Error::other(format!("the journal's socket belongs to user {}", peer.uid)));
        }
        stream.set_read_timeout(Some(HANDSHAKE_LIMIT))?;
        let mut handshake = Handshake { stream, input: Vec::new() };
        handshake.send(&Request::Hello { role: Role::Appender })?;
        let welcome = handshake.receive(|reply| match reply {
            Reply::Welcome { next_sequence, unleafed, last_body_digest, epoch, torn_bytes } => Ok(Welcome {
                next: next_sequence,
                first_without_leaf: unleafed.0.min(next_sequence),
                last_body_digest,
                epoch,
                torn_bytes,
            }),
            other => Err(unexpected(&other)),
        })?;
        handshake.stream.set_read_timeout(None)?;
        handshake.stream.set_nonblocking(true)?;
        Ok(Self {
            stream: UnixStream::from_std(handshake.stream),
            input: handshake.input,
            output: Outgoing::default(),
            chunk: vec![0; CHUNK].into(),
            welcome,
        })
    }

    /// Sends `request` and feeds replies to `take` until it says that it has what it needs. Blocks;
    /// used before the event loop runs.
    fn ask(
        &mut self,
        request: &Request<'_>,
        mut take: impl FnMut(Reply<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let stream = StdStream::from(rustix::io::dup(&self.stream)?);
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(HANDSHAKE_LIMIT))?;
        let mut handshake = Handshake { stream, input: std::mem::take(&mut self.input) };
        handshake.send(request)?;
        while !handshake.receive(&mut take)? {}
        self.input = handshake.input;
        handshake.stream.set_read_timeout(None)?;
        handshake.stream.set_nonblocking(true)
    }

    /// Joins the event loop.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Outgoing::interest())
    }

    /// Where to put frames that go to the journal.
    pub(crate) const fn tail(&mut self) -> &mut Vec<u8> {
        self.output.tail()
    }

    /// Writes as much as the kernel takes, and has the event loop tell when it takes the rest.
    pub(crate) fn flush(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.output.flush(&mut self.stream, registry, token)
    }

    /// Reads everything that has arrived; returns the furthest acknowledgement, if there is one.
    pub(crate) fn durable_below(&mut self) -> io::Result<Option<DurableBelow>> {
        let mut furthest = None;
        loop {
            let end = match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the journal closed")),
                Ok(count) => {
                    self.input.extend_from_slice(&self.chunk[..count]);
                    count < self.chunk.len()
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
                Err(error) => return Err(error),
            };
            let mut used = 0;
            while let Some((frame, length)) = split(&self.input[used..]).map_err(io::Error::other)? {
                furthest = furthest.max(Some(acknowledged(frame)?));
                used += length;
            }
            self.input.drain(..used);
            if end {
                return Ok(furthest);
            }
        }
    }
}

impl PastLog for JournalLink {
    fn welcome(&self) -> Welcome {
        self.welcome
    }

    fn replay(
        &mut self,
        from: u64,
        mut take: impl FnMut(PastRecord<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = false;
        self.ask(&Request::Replay { from }, |reply| {
            match reply {
                Reply::Record { body, detail, .. } => take(PastRecord { body, detail })?,
                Reply::ReplayEnd { .. } => done = true,
                other => return Err(unexpected(&other)),
            }
            Ok(done)
        })
    }

    fn vouch(&mut self, epoch: u64, public_key: &[u8; 32], policy_hash: &[u8; 32]) -> io::Result<Vec<u8>> {
        let mut vouched = Vec::new();
        self.ask(&Request::Vouch { epoch, public_key, policy_hash }, |reply| match reply {
            Reply::Statement { statement } => {
                vouched = statement.to_vec();
                Ok(true)
            }
            other => Err(unexpected(&other)),
        })?;
        Ok(vouched)
    }
}

/// The journal's word in one frame of its.
pub(crate) fn acknowledged(frame: &[u8]) -> io::Result<DurableBelow> {
    match Reply::decode(frame).map_err(io::Error::other)? {
        Reply::Durable { sequence } => Ok(DurableBelow::acknowledged(sequence + 1)),
        other => Err(unexpected(&other)),
    }
}

/// A connection that is read and written in turn.
struct Handshake {
    stream: StdStream,
    input: Vec<u8>,
}

impl Handshake {
    fn send(&mut self, request: &Request<'_>) -> io::Result<()> {
        let mut frame = Vec::new();
        request.encode(&mut frame).map_err(io::Error::other)?;
        self.stream.write_all(&frame)
    }

    fn receive<T>(&mut self, take: impl FnOnce(Reply<'_>) -> io::Result<T>) -> io::Result<T> {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some((frame, used)) = split(&self.input).map_err(io::Error::other)? {
                let taken = Reply::decode(frame).map_err(io::Error::other).and_then(take);
                self.input.drain(..used);
                return taken;
            }
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the journal closed the connection",
                ));
            }
            self.input.extend_from_slice(&chunk[..count]);
        }
    }
}

fn unexpected(reply: &Reply<'_>) -> io::Error {
    match reply {
        Reply::Error { text } => io::Error::other(format!("the journal refused: {text}")),
        _ => io::Error::new(io::ErrorKind::InvalidData, "the journal gave another answer than asked for"),
    }
}
