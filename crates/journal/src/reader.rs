//! Connections that only read: each has a thread and the log's files, and cannot hold up the vault.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::JournalError;
use crate::index::Index;
use crate::server::{Input, Shared, put_reply, refuse};
use protocol::journal::{Reply, Request, split};

/// Replayed records are sent in pieces of about this size.
const CHUNK: usize = 256 << 10;
/// How long a reader waits for the checkpoint it asked for.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(5);
/// Readers may be silent; the thread wakes this often to see whether the journal stops.
const TICK: Duration = Duration::from_secs(1);

/// Serves a reader until it leaves.
pub(crate) fn serve(stream: &UnixStream, input: &mut Input, shared: &Shared) {
    if let Err(error) = converse(stream, input, shared) {
        tracing::debug!(%error, "a reader's connection ended");
    }
}

fn converse(mut stream: &UnixStream, input: &mut Input, shared: &Shared) -> io::Result<()> {
    let next = shared.durable.load(Ordering::Acquire);
    let leaves = shared.leaves.load(Ordering::Acquire);
    let mut out = Vec::new();
    let welcome = Reply::Welcome {
        next_sequence: next,
        unleafed: (leaves.min(next), next),
        // Only an appender continues the chain; a reader sees the bodies themselves.
        last_body_digest: [0; 32],
        epoch: 0,
        torn_bytes: shared.torn_bytes.load(Ordering::Acquire),
    };
    put_reply(&mut out, &welcome);
    stream.write_all(&out)?;
    stream.set_read_timeout(Some(TICK))?;
    loop {
        loop {
            let (request, used) = match split(input.bytes()) {
                Ok(None) => break,
                Ok(Some((frame, used))) => (Request::decode(frame), used),
                Err(error) => return end(stream, &error.to_string()),
            };
            match request {
                Ok(Request::Hello { .. }) => return end(stream, "greeted twice"),
                Ok(request) => answer(stream, &request, shared)?,
                Err(error) => return end(stream, &error.to_string()),
            }
            input.consume(used);
        }
        match input.read_from(stream) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if shared.stopping.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn end(stream: &UnixStream, reason: &str) -> io::Result<()> {
    refuse(stream, reason);
    Ok(())
}

/// Answers a request that only reads.
pub(crate) fn answer(mut stream: &UnixStream, request: &Request<'_>, shared: &Shared) -> io::Result<()> {
    let mut out = Vec::new();
    let answered = match *request {
        Request::Replay { from } => replay(stream, from, shared, &mut out)?,
        Request::GetRecord { sequence } => record(sequence, shared, &mut out),
        Request::GetProof { sequence } => shared
            .folder
            .prove(sequence)
            .map(|bundle| put_reply(&mut out, &Reply::Proof { bundle: &bundle.to_json() })),
        Request::Status => {
            shared.status_frame(&mut out);
            Ok(())
        }
        Request::Checkpoint => {
            await_checkpoint(shared);
            shared.status_frame(&mut out);
            Ok(())
        }
        Request::Hello { .. } | Request::Append { .. } | Request::Leaf { .. } | Request::Vouch { .. } => {
            Err(JournalError::Refused("a reader may only read".to_owned()))
        }
    };
    if let Err(error) = answered {
        put_reply(&mut out, &Reply::Error { text: &error.to_string() });
    }
    stream.write_all(&out)
}

/// Sends durable records from `from` on. The outer result is the socket's, the inner the log's.
fn replay(
    mut stream: &UnixStream,
    from: u64,
    shared: &Shared,
    out: &mut Vec<u8>,
) -> io::Result<Result<(), JournalError>> {
    let durable = shared.durable.load(Ordering::Acquire);
    let mut next = from.min(durable);
    let records = match shared.folder.records_from(next) {
        Ok(records) => records,
        Err(error) => return Ok(Err(error)),
    };
    for found in records.take(usize::try_from(durable - next).unwrap_or(usize::MAX)) {
        match found {
            Ok(found) => {
                put_record(out, found.sequence, &found.record);
                next = found.sequence + 1;
            }
            Err(error) => return Ok(Err(error)),
        }
        if out.len() >= CHUNK {
            stream.write_all(out)?;
            out.clear();
        }
    }
    put_reply(out, &Reply::ReplayEnd { next_sequence: next });
    Ok(Ok(()))
}

fn record(sequence: u64, shared: &Shared, out: &mut Vec<u8>) -> Result<(), JournalError> {
    if sequence >= shared.durable.load(Ordering::Acquire) {
        return Err(JournalError::NotFound(format!("the log has no record {sequence}")));
    }
    let index = Index::open_read_only(&shared.folder.path().join("index.sqlite")).ok();
    let hint = index.and_then(|index| index.location(sequence).ok().flatten());
    let found = shared.folder.record(sequence, hint)?;
    put_record(out, sequence, &found.record);
    Ok(())
}

fn put_record(out: &mut Vec<u8>, sequence: u64, record: &transparency::SourceRecord) {
    let (body, detail) = (&record.body, &record.detail);
    put_reply(out, &Reply::Record { sequence, body, detail, leaf: record.leaf.as_ref() });
}

/// Waits until a checkpoint covers the leaves that are durable now.
fn await_checkpoint(shared: &Shared) {
    let wanted = shared.leaves.load(Ordering::Acquire);
    let since = Instant::now();
    while shared.checkpoint().0 < wanted
        && since.elapsed() < CHECKPOINT_PATIENCE
        && !shared.stopping.load(Ordering::Acquire)
    {
        shared.checkpoint_wanted.store(true, Ordering::Release);
        std::thread::sleep(Duration::from_millis(10));
    }
}
