//! The process: one thread for the vault's connection and the disk, few others for readers.
//!
//! The appender's thread owns the log. It takes whatever has arrived, writes it, syncs once and
//! answers once (group commit); tiles, checkpoints, readers and the index are other threads'
//! work and never hold it up.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::socket_peercred;

use crate::appender;
use crate::error::{JournalError, io_error};
use crate::folder::Folder;
use crate::index::Indexer;
use crate::key::LogSigner;
use crate::lock::Lock;
use crate::log::{Log, Recovered};
use crate::publish::{Publication, Publisher};
use crate::reader;
use crate::storage::{Disk, Storage};
use protocol::journal::{LENGTH_BYTES, MAX_FRAME, Reply, Request, Role, split};

/// Most readers at a time.
const MAX_READERS: usize = 16;
/// Most connections at a time: the readers, the vault, and some that have not yet said what they are.
const MAX_CONNECTIONS: usize = 24;
/// How long a new connection may take to say what it is for, and a slow one to take an answer.
const PATIENCE: Duration = Duration::from_secs(5);
const STACK: usize = 256 << 10;

/// How the journal runs.
#[derive(Debug)]
pub struct Config {
    /// The log's folder.
    pub dir: PathBuf,
    /// The log's signing key. Better kept outside `dir`, which is made to be copied.
    pub key: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// Longest time between a durable leaf and a checkpoint over it.
    pub checkpoint_every: Duration,
    /// Pause after a sync before more is read: where nobody waits for a sync, many records share one.
    pub pause: Duration,
}

/// Where to listen.
#[derive(Debug)]
pub enum Listen {
    /// On a Unix socket made at this path, private to the user.
    Path(PathBuf),
    /// On a listening Unix socket that the parent process opened.
    Inherited(OwnedFd),
}

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) folder: Folder,
    pub(crate) signer: Arc<LogSigner>,
    pub(crate) checkpoint_every: Duration,
    pub(crate) pause: Duration,
    /// Durable records.
    pub(crate) durable: AtomicU64,
    /// Durable leaves.
    pub(crate) leaves: AtomicU64,
    pub(crate) indexed: AtomicU64,
    /// Somebody waits for a checkpoint.
    pub(crate) checkpoint_wanted: AtomicBool,
    pub(crate) stopping: AtomicBool,
    /// Bytes of torn writes that no record speaks of yet.
    pub(crate) torn_bytes: AtomicU64,
    readers: AtomicUsize,
    /// The log, while no appender has it.
    log: Mutex<Option<Log>>,
    checkpoint: Mutex<(u64, String)>,
    failure: Mutex<Option<JournalError>>,
    wake: OwnedFd,
}

impl Shared {
    /// Size and text of the published checkpoint.
    pub(crate) fn checkpoint(&self) -> (u64, String) {
        lock(&self.checkpoint).clone()
    }

    pub(crate) fn published(&self, size: u64, note: String) {
        *lock(&self.checkpoint) = (size, note);
    }

    /// Ends the process with an error; the first one counts.
    pub(crate) fn fail(&self, error: JournalError) {
        lock(&self.failure).get_or_insert(error);
        self.stopping.store(true, Ordering::Release);
        // The pipe's other end is the main thread's; if it is gone the process is ending anyway.
        let _ = rustix::io::write(&self.wake, &[1]);
    }

    /// Whether nothing has failed yet.
    pub(crate) fn is_healthy(&self) -> bool {
        lock(&self.failure).is_none()
    }

    pub(crate) fn take_log(&self) -> Option<Log> {
        lock(&self.log).take()
    }

    pub(crate) fn return_log(&self, log: Log) {
        *lock(&self.log) = Some(log);
    }

    /// Answers `Hello` from what is known without the log.
    pub(crate) fn status_frame(&self, out: &mut Vec<u8>) {
        let (checkpoint_size, checkpoint) = self.checkpoint();
        let status = Reply::Status {
            records: self.durable.load(Ordering::Acquire),
            leaves: self.leaves.load(Ordering::Acquire),
            checkpoint_size,
            checkpoint: &checkpoint,
            indexed: self.indexed.load(Ordering::Acquire),
        };
        put_reply(out, &status);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Encodes a reply; one too large for a frame becomes an error that says so.
pub(crate) fn put_reply(out: &mut Vec<u8>, reply: &Reply<'_>) {
    if let Err(error) = reply.encode(out) {
        let text = error.to_string();
        Reply::Error { text: &text }.encode(out).expect("short text fits a frame");
    }
}

/// Takes the lock, loads or makes the key, and opens the log in `dir`.
///
/// # Errors
///
/// [`JournalError`] that says what stands in the way.
pub fn open_dir(dir: &Path, key: &Path) -> Result<(Lock, Log, Recovered), JournalError> {
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let lock = Lock::acquire(dir)?;
    let signer = Arc::new(LogSigner::load_or_create(&*storage, key, dir)?);
    let (log, recovered) = Log::open(storage, dir, signer, now_ms())?;
    Ok((lock, log, recovered))
}

/// Makes tiles, checkpoint and search index of the log in `dir` again from its segments.
///
/// # Errors
///
/// [`JournalError`] that says what stands in the way.
pub fn rebuild_dir(dir: &Path, key: &Path) -> Result<Recovered, JournalError> {
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let _lock = Lock::acquire(dir)?;
    let signer = Arc::new(LogSigner::load_or_create(&*storage, key, dir)?);
    let recovered = crate::log::rebuild(storage, dir, signer, now_ms())?;
    let path = dir.join("index.sqlite");
    crate::index::remove_index(&path)?;
    let folder = Folder::open_read_only(dir)?;
    crate::index::Index::open(&path)?.catch_up(&folder, recovered.records)?;
    Ok(recovered)
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Runs the journal until `stop` becomes readable or its other end is closed; then everything
/// received is made durable and a checkpoint written. `ready` is told what was found when callers
/// are served.
///
/// # Errors
///
/// [`JournalError`] if it cannot start, or had to stop because the disk failed.
pub fn run(config: Config, ready: impl FnOnce(&Recovered), stop: BorrowedFd<'_>) -> Result<(), JournalError> {
    let (dir_lock, log, recovered) = open_dir(&config.dir, &config.key)?;
    if let Some(torn) = &recovered.torn {
        tracing::warn!(
            bytes = torn.bytes,
            moved_to = %torn.moved_to.display(),
            "a write was torn by a crash; it was never acknowledged, and was moved aside"
        );
    }
    tracing::info!(records = recovered.records, leaves = recovered.leaves, "log open");
    let listener = listen(config.listen)?;
    ready(&recovered);
    let (wake_read, wake) = rustix::pipe::pipe().map_err(|error| JournalError::Socket(error.into()))?;
    let folder = Folder::open_read_only(&config.dir)?;
    let (_, note) = folder.current_checkpoint()?;
    let shared = Arc::new(Shared {
        folder: folder.clone(),
        signer: Arc::clone(&log.signer),
        checkpoint_every: config.checkpoint_every,
        pause: config.pause,
        durable: AtomicU64::new(log.durable()),
        leaves: AtomicU64::new(log.leaves()),
        indexed: AtomicU64::new(0),
        checkpoint_wanted: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        torn_bytes: AtomicU64::new(crate::torn::unrecorded(&Disk, &config.dir)?),
        readers: AtomicUsize::new(0),
        checkpoint: Mutex::new((log.leaves(), note)),
        log: Mutex::new(Some(log)),
        failure: Mutex::new(None),
        wake,
    });
    let indexer = Indexer::start(folder, Arc::clone(&shared)).map_err(JournalError::Socket)?;
    let outcome = accept(&listener, &shared, stop, &wake_read);
    indexer.finish();
    drop(dir_lock);
    match lock(&shared.failure).take() {
        Some(error) => Err(error),
        None => outcome,
    }
}

fn listen(listen: Listen) -> Result<UnixListener, JournalError> {
    match listen {
        Listen::Inherited(socket) => Ok(UnixListener::from(socket)),
        Listen::Path(path) => {
            // The lock is held, so a socket that lies here is a dead process's.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &path)(error));
                }
                _ => {}
            }
            let listener = UnixListener::bind(&path).map_err(io_error("listen on", &path))?;
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&path, mode).map_err(io_error("protect", &path))?;
            Ok(listener)
        }
    }
}

/// The connections being served.
#[derive(Default)]
struct Connections {
    next: u64,
    open: BTreeMap<u64, (UnixStream, JoinHandle<()>)>,
}

fn accept(
    listener: &UnixListener,
    shared: &Arc<Shared>,
    stop: BorrowedFd<'_>,
    wake: &OwnedFd,
) -> Result<(), JournalError> {
    let mut connections = Connections::default();
    let outcome = loop {
        let mut fds =
            [listener.as_fd(), stop, wake.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => break Err(JournalError::Socket(error.into())),
            Ok(_) => {}
        }
        if !fds[1].revents().is_empty() || !fds[2].revents().is_empty() {
            break Ok(());
        }
        match listener.accept() {
            Ok((stream, _)) => connections.admit(stream, shared),
            Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
        }
    };
    shared.stopping.store(true, Ordering::Release);
    connections.end();
    outcome
}

impl Connections {
    fn admit(&mut self, stream: UnixStream, shared: &Arc<Shared>) {
        self.open.retain(|_, (_, thread)| !thread.is_finished());
        if let Err(reason) = self.check(&stream) {
            refuse(&stream, &reason);
            return;
        }
        let shared = Arc::clone(shared);
        let started = stream.try_clone().and_then(|twin| {
            let thread = std::thread::Builder::new().name("connection".to_owned()).stack_size(STACK);
            let served = move || {
                serve(&stream, &shared);
                // The accepting thread holds the stream too; the client shall see the end now.
                let _ = stream.shutdown(std::net::Shutdown::Both);
            };
            Ok((twin, thread.spawn(served)?))
        });
        match started {
            Ok(connection) => {
                self.open.insert(self.next, connection);
                self.next += 1;
            }
            Err(error) => tracing::warn!(%error, "a connection could not be served"),
        }
    }

    fn check(&self, stream: &UnixStream) -> Result<(), String> {
        let peer = socket_peercred(stream).map_err(|error| format!("peer unknown: {error}"))?;
        if peer.uid != rustix::process::geteuid() {
            return Err("only the journal's own user may connect".to_owned());
        }
        if self.open.len() >= MAX_CONNECTIONS {
            return Err("too many connections".to_owned());
        }
        Ok(())
    }

    /// Lets each connection finish what it has received.
    fn end(self) {
        for (stream, thread) in self.open.into_values() {
            let _ = stream.shutdown(std::net::Shutdown::Read);
            if thread.join().is_err() {
                tracing::error!("a connection's thread failed");
            }
        }
    }
}

pub(crate) fn refuse(mut stream: &UnixStream, text: &str) {
    let mut out = Vec::new();
    put_reply(&mut out, &Reply::Error { text });
    // Whoever is refused may be gone; nothing depends on the answer.
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = io::Write::write_all(&mut stream, &out);
}

fn serve(stream: &UnixStream, shared: &Arc<Shared>) {
    let set_up = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    let mut input = Input::new();
    let role = set_up.and_then(|()| hello(stream, &mut input));
    match role {
        Err(error) => refuse(stream, &format!("no greeting: {error}")),
        Ok(Role::Reader) => {
            if shared.readers.fetch_add(1, Ordering::AcqRel) < MAX_READERS {
                reader::serve(stream, &mut input, shared);
            } else {
                refuse(stream, "too many readers");
            }
            shared.readers.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(Role::Appender) => match shared.take_log() {
            None => refuse(stream, "another appender is connected"),
            Some(mut log) => {
                if let Err(error) = appender::serve(stream, &mut input, &mut log, shared) {
                    tracing::error!(%error, "the journal stops");
                    refuse(stream, &error.to_string());
                    shared.fail(error);
                    return;
                }
                shared.return_log(log);
            }
        },
    }
}

fn hello(stream: &UnixStream, input: &mut Input) -> io::Result<Role> {
    loop {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        if let Some((frame, used)) = split(input.bytes()).map_err(|error| invalid(error.to_string()))? {
            let Ok(Request::Hello { role }) = Request::decode(frame) else {
                return Err(invalid("the first frame is not a greeting".to_owned()));
            };
            input.consume(used);
            return Ok(role);
        }
        if input.read_from(stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Bytes received and not yet used.
pub(crate) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn new() -> Self {
        Self { buffer: vec![0; 2 * (MAX_FRAME + LENGTH_BYTES)], start: 0, end: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn consume(&mut self, used: usize) {
        self.start += used;
    }

    /// Reads once; there is always room for a whole frame. Returns how many bytes came, 0 at the end.
    pub(crate) fn read_from(&mut self, mut stream: &UnixStream) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        loop {
            match stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
            }
        }
    }
}

/// The thread that writes tiles and checkpoints while the appender goes on.
pub(crate) struct Publishing {
    sender: std::sync::mpsc::SyncSender<Publication>,
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Publishing {
    pub(crate) fn start(mut publisher: Publisher, shared: &Arc<Shared>) -> io::Result<Self> {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<Publication>(1);
        let busy = Arc::new(AtomicBool::new(false));
        let (working, shared) = (Arc::clone(&busy), Arc::clone(shared));
        let thread = std::thread::Builder::new().name("publish".to_owned()).spawn(move || {
            for publication in receiver {
                match publisher.publish(&publication) {
                    Ok(()) => shared.published(publication.size, publication.note),
                    Err(error) => {
                        shared.fail(JournalError::Stopped(error.to_string()));
                        return;
                    }
                }
                working.store(false, Ordering::Release);
            }
        })?;
        Ok(Self { sender, busy, thread })
    }

    /// Whether the last publication is still being written.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    pub(crate) fn give(&self, publication: Publication) {
        self.busy.store(true, Ordering::Release);
        // If the thread has failed the process is stopping for that reason.
        let _ = self.sender.send(publication);
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) {
        drop(self.sender);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread failed");
        }
    }
}
