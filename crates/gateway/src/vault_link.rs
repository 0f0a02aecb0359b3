//! The one connection to the vault: many requests at once, each matched to its reply by id.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::line::LineBuffer;
use protocol::sign::{ErrorCode, ErrorText, Reply, ReplyOutcome};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

/// Most requests that may wait for the vault; more are refused as unavailable.
const MAX_WAITING: usize = 1024;
/// Longest wait for one reply. The vault holds requests while the journal is away, but a bot's
/// request is stale by then.
const REPLY_LIMIT: Duration = Duration::from_secs(10);
/// Pause before the vault is sought again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

enum Message {
    Ask { body: Box<serde_json::value::RawValue>, reply: oneshot::Sender<ReplyOutcome> },
    Tell(Vec<u8>),
}

/// A handle that any number of tasks may hold.
#[derive(Clone)]
pub(crate) struct VaultLink {
    queue: mpsc::Sender<Message>,
    connected: Arc<AtomicBool>,
}

impl VaultLink {
    /// Connects to the vault's gateway socket, and again whenever it comes back.
    pub(crate) fn start(path: PathBuf) -> Self {
        let (queue, messages) = mpsc::channel(MAX_WAITING);
        let connected = Arc::new(AtomicBool::new(false));
        tokio::spawn(keep_connected(path, messages, Arc::clone(&connected)));
        Self { queue, connected }
    }

    /// Whether the vault answers now.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Asks the vault for a decision. `body` is a [`protocol::sign::SignLine`] without its id.
    pub(crate) async fn ask(&self, body: &impl Serialize) -> ReplyOutcome {
        let body = serde_json::value::to_raw_value(body).expect("requests hold only strings");
        let (reply, answer) = oneshot::channel();
        if self.queue.try_send(Message::Ask { body, reply }).is_err() {
            return unavailable("too many requests wait for the vault");
        }
        match tokio::time::timeout(REPLY_LIMIT, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => unavailable("the vault is not running"),
            Err(_) => unavailable("the vault did not answer in time"),
        }
    }

    /// Tells the vault something that has no reply. Dropped if the vault is away: it learns
    /// nothing it could not live without.
    pub(crate) fn tell(&self, body: &impl Serialize) {
        let line = serde_json::to_vec(body).expect("reports hold only strings");
        if self.queue.try_send(Message::Tell(line)).is_err() {
            tracing::warn!("a report to the vault was dropped");
        }
    }
}

fn unavailable(message: &str) -> ReplyOutcome {
    let error = ErrorText { code: ErrorCode::Unavailable, message: message.to_owned() };
    ReplyOutcome::Error { error, record: None }
}

async fn keep_connected(path: PathBuf, mut messages: mpsc::Receiver<Message>, connected: Arc<AtomicBool>) {
    loop {
        match UnixStream::connect(&path).await {
            Ok(stream) => {
                connected.store(true, Ordering::Relaxed);
                let ended = converse(stream, &mut messages).await;
                connected.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "lost the vault"),
                }
            }
            Err(error) => tracing::debug!(%error, "the vault is not there yet"),
        }
        // Whoever asks meanwhile is told at once.
        let pause = tokio::time::sleep(RECONNECT_PAUSE);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                message = messages.recv() => match message {
                    Some(Message::Ask { reply, .. }) => drop(reply),
                    Some(Message::Tell(_)) => {}
                    None => return,
                },
            }
        }
    }
}

/// Serves requests until the connection ends (an error) or nobody can ask any more.
async fn converse(stream: UnixStream, messages: &mut mpsc::Receiver<Message>) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut waiting: HashMap<u64, oneshot::Sender<ReplyOutcome>> = HashMap::new();
    let mut next_id: u64 = 0;
    let mut buffer = LineBuffer::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                None => return Ok(()),
                Some(Message::Tell(mut line)) => {
                    line.push(b'\n');
                    writer.write_all(&line).await?;
                }
                Some(Message::Ask { body, reply }) => {
                    next_id += 1;
                    waiting.retain(|_, reply| !reply.is_closed());
                    waiting.insert(next_id, reply);
                    writer.write_all(with_id(body.get(), next_id).as_bytes()).await?;
                }
            },
            count = reader.read(&mut chunk) => {
                let count = count?;
                if count == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                buffer.extend(&chunk[..count]);
                while let Some(line) = buffer.next_line().map_err(std::io::Error::other)? {
                    deliver(line, &mut waiting)?;
                }
            }
        }
    }
}

/// The object `body` with an `id` in front, and a line feed behind.
fn with_id(body: &str, id: u64) -> String {
    let rest = body.strip_prefix('{').expect("a request is an object");
    format!("{{\"id\":{id},{rest}\n")
}

fn deliver(line: &[u8], waiting: &mut HashMap<u64, oneshot::Sender<ReplyOutcome>>) -> std::io::Result<()> {
    let reply: Reply = serde_json::from_slice(line)?;
    let id = reply.id.as_deref().and_then(|id| id.get().parse::<u64>().ok());
    match id.and_then(|id| waiting.remove(&id)) {
        // The asker may have given up meanwhile.
        Some(asker) => drop(asker.send(reply.outcome)),
        None => tracing::warn!("the vault answered a question nobody asked"),
    }
    Ok(())
}
