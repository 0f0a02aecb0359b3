//! The vault's connection: the hot path.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use transparency::Statement;

use crate::error::JournalError;
use crate::log::Log;
use crate::publish::Publisher;
use crate::reader;
use crate::server::{Input, Publishing, Shared, put_reply, refuse};
use protocol::journal::{Reply, Request, split};

/// How long the thread waits for input before it looks after checkpoint and preallocation.
const TICK: Duration = Duration::from_millis(100);

/// Why a connection ends.
enum End {
    /// The client left, or was sent away.
    Closed,
    /// The disk failed.
    Failed(JournalError),
}

impl From<JournalError> for End {
    fn from(error: JournalError) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for End {
    /// A connection that breaks concerns only itself.
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// Serves the appender until it leaves; then everything received is durable and published.
///
/// # Errors
///
/// Only if the log must not go on.
pub(crate) fn serve(
    stream: &UnixStream,
    input: &mut Input,
    log: &mut Log,
    shared: &Arc<Shared>,
) -> Result<(), JournalError> {
    let publisher = Publisher::new(Arc::clone(&log.storage), log.dir());
    let publishing = Publishing::start(publisher, shared).map_err(JournalError::Socket)?;
    let mut session = Session {
        stream,
        log,
        shared,
        publishing: &publishing,
        last_checkpoint: Instant::now(),
        answered: 0,
        torn_record: None,
        out: Vec::with_capacity(4096),
    };
    let outcome = session.run(input);
    let outcome = match outcome {
        Err(End::Failed(error)) => Err(error),
        _ => session.sync(),
    };
    publishing.finish();
    outcome?;
    if shared.stopping.load(Ordering::Acquire) && !shared.is_healthy() {
        return Ok(());
    }
    log.checkpoint()?;
    let (checkpoint, note) = shared.folder.current_checkpoint()?;
    shared.published(checkpoint.size, note);
    Ok(())
}

struct Session<'a> {
    stream: &'a UnixStream,
    log: &'a mut Log,
    shared: &'a Arc<Shared>,
    publishing: &'a Publishing,
    last_checkpoint: Instant,
    /// Durable records the client knows of.
    answered: u64,
    /// The record that speaks of the torn writes, once it was appended.
    torn_record: Option<u64>,
    out: Vec<u8>,
}

impl Session<'_> {
    fn run(&mut self, input: &mut Input) -> Result<(), End> {
        self.welcome()?;
        self.stream.set_read_timeout(Some(TICK))?;
        loop {
            self.take_all(input)?;
            let has_synced = self.answer_durable()?;
            if !self.shared.is_healthy() {
                return Err(End::Closed);
            }
            self.look_after_checkpoint()?;
            if has_synced {
                std::thread::sleep(self.shared.pause);
            }
            match input.read_from(self.stream) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.log.prepare()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn welcome(&mut self) -> Result<(), End> {
        self.answered = self.log.durable();
        let welcome = Reply::Welcome {
            next_sequence: self.log.next_sequence(),
            unleafed: self.log.unleafed(),
            last_body_digest: self.log.last_body_digest(),
            epoch: self.log.epoch(),
            torn_bytes: self.shared.torn_bytes.load(Ordering::Acquire),
        };
        put_reply(&mut self.out, &welcome);
        self.send()
    }

    /// Takes every whole frame that has arrived.
    fn take_all(&mut self, input: &mut Input) -> Result<(), End> {
        loop {
            let (used, outcome) = match split(input.bytes()) {
                Ok(None) => return Ok(()),
                Ok(Some((frame, used))) => match Request::decode(frame) {
                    Ok(request) => (used, self.take(&request)),
                    Err(error) => (used, Err(self.send_away(&error.to_string())?)),
                },
                Err(error) => return Err(self.send_away(&error.to_string())?),
            };
            outcome?;
            input.consume(used);
        }
    }

    fn take(&mut self, request: &Request<'_>) -> Result<(), End> {
        let appended = match *request {
            Request::Append { sequence, body, detail } => self.log.append_body(sequence, body, detail),
            Request::Leaf { sequence, leaf } => self.log.append_leaf(sequence, leaf),
            _ => return self.other(request),
        };
        match appended {
            Err(JournalError::Refused(reason)) => Err(self.send_away(&reason)?),
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.note_torn_record(request);
                Ok(())
            }
        }
    }

    /// Remembers which record tells of the torn writes.
    fn note_torn_record(&mut self, request: &Request<'_>) {
        if let Request::Append { sequence, body, .. } = *request
            && self.torn_record.is_none()
            && self.shared.torn_bytes.load(Ordering::Acquire) > 0
            && crate::torn::speaks_of_it(body)
        {
            self.torn_record = Some(sequence);
        }
    }

    /// Notes on the files of the torn writes that the log speaks of them now.
    fn settle_torn_record(&mut self) {
        let durable = self.log.durable();
        let Some(sequence) = self.torn_record.take_if(|sequence| *sequence < durable) else { return };
        match crate::torn::note_recorded(&*self.log.storage, self.log.dir(), sequence) {
            Ok(()) => self.shared.torn_bytes.store(0, Ordering::Release),
            // The log holds the record; without the note on the files the next start asks for it again.
            Err(error) => tracing::warn!(%error, "torn writes are recorded and will be once more"),
        }
    }

    /// Requests that are not for the hot path: first everything before them becomes durable.
    fn other(&mut self, request: &Request<'_>) -> Result<(), End> {
        self.sync()?;
        self.answer_durable()?;
        match *request {
            Request::Checkpoint => {
                while self.publishing.is_busy() && self.shared.is_healthy() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.log.checkpoint()?;
                let (checkpoint, note) = self.shared.folder.current_checkpoint()?;
                self.shared.published(checkpoint.size, note);
                self.shared.status_frame(&mut self.out);
                self.send()
            }
            Request::Vouch { epoch, public_key, policy_hash } => {
                if epoch != self.log.epoch() + 1 {
                    let reason = format!("epoch {epoch} where {} is next", self.log.epoch() + 1);
                    return Err(self.send_away(&reason)?);
                }
                let statement = Statement {
                    isolation: "software".to_owned(),
                    epoch,
                    public_key: *public_key,
                    policy_hash: *policy_hash,
                };
                let statement = self.shared.signer.vouch(&statement);
                put_reply(&mut self.out, &Reply::Statement { statement: &statement });
                self.send()
            }
            Request::Hello { .. } => Err(self.send_away("greeted twice")?),
            _ => Ok(reader::answer(self.stream, request, self.shared)?),
        }
    }

    /// Makes everything taken durable.
    fn sync(&mut self) -> Result<(), JournalError> {
        self.log.sync()?;
        self.shared.durable.store(self.log.durable(), Ordering::Release);
        self.shared.leaves.store(self.log.leaves(), Ordering::Release);
        Ok(())
    }

    /// Syncs if records wait for it, and tells the vault how far the log is durable; returns whether there
    /// was anything to tell. Leaves alone wait for the next batch.
    fn answer_durable(&mut self) -> Result<bool, End> {
        if self.log.next_sequence() > self.log.durable() {
            self.sync()?;
        }
        let durable = self.log.durable();
        if durable > self.answered {
            self.answered = durable;
            put_reply(&mut self.out, &Reply::Durable { sequence: durable - 1 });
            self.send()?;
            self.settle_torn_record();
            return Ok(true);
        }
        Ok(false)
    }

    fn look_after_checkpoint(&mut self) -> Result<(), End> {
        let wanted = self.shared.checkpoint_wanted.load(Ordering::Acquire);
        if !wanted && self.last_checkpoint.elapsed() < self.shared.checkpoint_every {
            return Ok(());
        }
        if self.publishing.is_busy() {
            return Ok(());
        }
        self.shared.checkpoint_wanted.store(false, Ordering::Release);
        self.last_checkpoint = Instant::now();
        if self.log.has_pending() {
            self.sync()?;
        }
        if let Some(publication) = self.log.publication() {
            self.publishing.give(publication);
        }
        Ok(())
    }

    /// Keeps what was taken before the fault, then refuses the rest.
    fn send_away(&mut self, reason: &str) -> Result<End, End> {
        self.answer_durable()?;
        tracing::warn!(reason, "an appender was sent away");
        refuse(self.stream, reason);
        Ok(End::Closed)
    }

    fn send(&mut self) -> Result<(), End> {
        let mut stream = self.stream;
        let sent = stream.write_all(&self.out);
        self.out.clear();
        Ok(sent?)
    }
}
