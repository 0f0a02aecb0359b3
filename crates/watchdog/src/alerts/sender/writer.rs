//! The thread that writes: whoever sends does not wait for the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use crate::alerts::{Record, Store};

/// Writes not done yet.
const MAX_WRITES: usize = 64;

enum Write {
    Append(Vec<Record>),
    Replace(Vec<Record>),
    /// Answered when everything before it is done, with whether it is on disk.
    Settle(oneshot::Sender<bool>),
}

/// The way to the thread. It ends when this is dropped, after the last write.
pub(super) struct Writer {
    writes: SyncSender<Write>,
    shared: Arc<Shared>,
    /// Snapshots handed over.
    replaces: u64,
    /// Whether some change never reached the thread.
    is_behind: bool,
}

/// What the thread says of itself.
#[derive(Default)]
struct Shared {
    /// Whether the file may be appended to.
    is_fit: AtomicBool,
    /// Snapshots done with, well or badly. Written after `is_fit`.
    replaces: AtomicU64,
}

pub(super) fn start(store: Store) -> io::Result<Writer> {
    let (writes, received) = sync_channel(MAX_WRITES);
    let shared = Arc::<Shared>::default();
    let told = Arc::clone(&shared);
    std::thread::Builder::new().name("alerts-writer".into()).spawn(move || work(store, &received, &told))?;
    Ok(Writer { writes, shared, replaces: 0, is_behind: true })
}

impl Writer {
    /// Whether the file must be written anew from a snapshot, and none is on its way.
    pub(super) fn needs_snapshot(&self) -> bool {
        let is_idle = self.shared.replaces.load(Ordering::Acquire) == self.replaces;
        self.is_behind || (is_idle && !self.shared.is_fit.load(Ordering::Acquire))
    }

    pub(super) fn append(&mut self, records: Vec<Record>) {
        self.is_behind |= self.writes.try_send(Write::Append(records)).is_err();
    }

    pub(super) fn replace(&mut self, snapshot: Vec<Record>) {
        self.is_behind = self.writes.try_send(Write::Replace(snapshot)).is_err();
        self.replaces += u64::from(!self.is_behind);
    }

    /// A change is left out; the next snapshot has it.
    pub(super) const fn miss(&mut self) {
        self.is_behind = true;
    }

    pub(super) fn settle(&self, answer: oneshot::Sender<bool>) {
        let refused = match self.writes.try_send(Write::Settle(answer)) {
            Ok(()) => return,
            Err(TrySendError::Full(write) | TrySendError::Disconnected(write)) => write,
        };
        if let Write::Settle(answer) = refused {
            // Nobody may be waiting any more.
            let _ = answer.send(false);
        }
    }
}

fn work(mut store: Store, received: &Receiver<Write>, shared: &Shared) {
    // A disk that fails says so once, not with every write.
    let mut has_failed = false;
    while let Ok(write) = received.recv() {
        let is_replace = matches!(write, Write::Replace(_));
        let done = match write {
            Write::Append(records) => store.append(&records),
            Write::Replace(records) => store.replace(&records),
            Write::Settle(answer) => {
                let _ = answer.send(store.is_whole());
                continue;
            }
        };
        shared.is_fit.store(!store.needs_replacing(), Ordering::Release);
        shared.replaces.fetch_add(u64::from(is_replace), Ordering::Release);
        match done {
            Ok(()) => has_failed = false,
            Err(error) if !has_failed && store_failed_itself(&error) => {
                has_failed = true;
                tracing::error!(%error, "the alert queue cannot be written; alerts are sent, but a crash now loses them");
            }
            Err(_) => {}
        }
    }
}

/// Rather than having been asked to append to a file that is in doubt.
fn store_failed_itself(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::InvalidInput
}
