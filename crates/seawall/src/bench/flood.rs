//! Many clients at once, each with several requests under way, driven by one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::line::LineBuffer;
use rustix::event::{PollFd, PollFlags, poll};

use crate::bench::orders::APPROVED;

/// Longest silence of all connections together.
const SILENCE: Duration = Duration::from_secs(10);

/// Connections to one vault.
pub struct Flood {
    clients: Vec<Client>,
    /// Requests that each has under way.
    depth: usize,
    requests: Vec<String>,
}

struct Client {
    stream: UnixStream,
    replies: LineBuffer,
    unsent: Vec<u8>,
    under_way: usize,
    next: usize,
}

impl Flood {
    pub fn connect(
        socket: &Path,
        clients: usize,
        depth: usize,
        requests: Vec<String>,
    ) -> anyhow::Result<Self> {
        let client = |number: usize| {
            let stream = UnixStream::connect(socket)?;
            stream.set_nonblocking(true)?;
            // Each begins elsewhere, so that no two send the same order at once.
            let next = number * requests.len() / clients;
            Ok(Client { stream, replies: LineBuffer::new(), unsent: Vec::new(), under_way: 0, next })
        };
        let clients = (0..clients).map(client).collect::<std::io::Result<_>>()?;
        Ok(Self { clients, depth, requests })
    }

    /// Asks until `enough` of the number of replies so far; then takes the replies still under way.
    /// Returns how many replies there were until then.
    pub fn run(&mut self, mut enough: impl FnMut(u64) -> anyhow::Result<bool>) -> anyhow::Result<u64> {
        let (mut replies, mut over) = (0, None);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            if over.is_none() && enough(replies)? {
                over = Some(replies);
            }
            if let Some(counted) = over
                && self.clients.iter().all(|client| client.under_way == 0)
            {
                return Ok(counted);
            }
            for client in &mut self.clients {
                if over.is_none() {
                    client.fill(self.depth, &self.requests);
                }
                client.send()?;
            }
            self.wait()?;
            for client in &mut self.clients {
                replies += client.take(&mut chunk)?;
            }
        }
    }

    fn wait(&self) -> anyhow::Result<()> {
        let interest = |client: &Client| {
            if client.unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
        };
        let mut watched: Vec<PollFd<'_>> =
            self.clients.iter().map(|client| PollFd::new(&client.stream, interest(client))).collect();
        let limit = rustix::time::Timespec { tv_sec: SILENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let some = poll(&mut watched, Some(&limit))?;
        anyhow::ensure!(some > 0, "no reply in {} s", SILENCE.as_secs());
        Ok(())
    }
}

impl Client {
    fn fill(&mut self, depth: usize, requests: &[String]) {
        // In halves: a client that waits for each single reply sends packets of one.
        if self.under_way > depth / 2 {
            return;
        }
        while self.under_way < depth {
            self.unsent.extend_from_slice(requests[self.next].as_bytes());
            self.unsent.push(b'\n');
            self.next = (self.next + 1) % requests.len();
            self.under_way += 1;
        }
    }

    fn send(&mut self) -> anyhow::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the vault takes no more"),
            }
        }
        Ok(())
    }

    /// Takes what is there; returns how many replies that were.
    fn take(&mut self, chunk: &mut [u8]) -> anyhow::Result<u64> {
        match self.stream.read(chunk) {
            Ok(0) => anyhow::bail!("the vault closed a connection"),
            Ok(count) => self.replies.extend(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let mut count = 0;
        while let Some(reply) = self.replies.next_line()? {
            let good = reply.starts_with(APPROVED);
            anyhow::ensure!(good, "the vault answered {}", String::from_utf8_lossy(reply));
            self.under_way -= 1;
            count += 1;
        }
        Ok(count)
    }
}

/// Stops a flood once `length` is over.
pub fn for_time(length: Duration) -> impl FnMut(u64) -> anyhow::Result<bool> {
    let started = Instant::now();
    move |_| Ok(started.elapsed() >= length)
}
