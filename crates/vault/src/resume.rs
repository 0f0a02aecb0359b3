//! What a connection to the journal carries, and what a new one begins with: everything that the
//! journal does not have, if its log is the one this vault wrote.

use std::io;

use protocol::journal::Request;
use transparency::Leaf;

use crate::core::Output;
use crate::journal_link::Welcome;
use crate::recorder::Recorder;

/// Checks that a log that stands as `welcome` says is the one that `recorder` wrote.
pub(crate) fn check_same_log(recorder: &Recorder, welcome: &Welcome) -> Result<(), String> {
    let Welcome { next, first_without_leaf, last_body_digest, .. } = *welcome;
    let (oldest, ours) = (recorder.oldest_kept(), recorder.next_index());
    let is_other = recorder.digest_before(next) != Some(last_body_digest);
    if next > ours || first_without_leaf < oldest || is_other {
        return Err(format!(
            "the journal came back with {next} records and {first_without_leaf} leaves, but this vault stands \
             between {oldest} and {ours}: it is not the log this vault wrote"
        ));
    }
    Ok(())
}

/// Begins a connection: the records and leaves that the journal does not have yet.
pub(crate) fn put_missing(recorder: &mut Recorder, welcome: &Welcome, out: &mut Vec<u8>) -> io::Result<()> {
    recorder.reconnected(welcome.first_without_leaf);
    for record in recorder.unsynced().filter(|record| record.index >= welcome.next) {
        put_append(out, record.index, &record.body, &record.detail)?;
    }
    for (index, leaf) in recorder.leaves_from(welcome.first_without_leaf) {
        put_leaf(out, index, leaf)?;
    }
    recorder.all_leaves_sent();
    Ok(())
}

/// The records among `outputs`.
pub(crate) fn put_records(outputs: &[Output], out: &mut Vec<u8>) -> io::Result<()> {
    for output in outputs {
        if let Output::Append { index, body, detail } = output {
            put_append(out, *index, body, detail)?;
        }
    }
    Ok(())
}

/// The leaves that are signed already.
pub(crate) fn put_signed_leaves(recorder: &mut Recorder, out: &mut Vec<u8>) -> io::Result<()> {
    for (index, leaf) in recorder.signed_leaves() {
        put_leaf(out, index, leaf)?;
    }
    Ok(())
}

/// All leaves that the journal was not handed yet.
pub(crate) fn put_leaves(recorder: &mut Recorder, out: &mut Vec<u8>) -> io::Result<()> {
    for (index, leaf) in recorder.leaves_to_send() {
        put_leaf(out, index, leaf)?;
    }
    Ok(())
}

fn put_append(out: &mut Vec<u8>, sequence: u64, body: &[u8], detail: &[u8]) -> io::Result<()> {
    Request::Append { sequence, body, detail }.encode(out).map_err(io::Error::other)
}

fn put_leaf(out: &mut Vec<u8>, sequence: u64, leaf: &Leaf) -> io::Result<()> {
    Request::Leaf { sequence, leaf: &leaf.to_bytes() }.encode(out).map_err(io::Error::other)
}
