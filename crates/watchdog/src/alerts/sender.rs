//! The edge: a thread of its own that does what [`Queue`] says, and one more that writes.
//!
//! Whoever raises an alert touches neither: [`Sender::alert`] puts it into a bounded channel. So a
//! network that hangs, a disk that hangs and a runtime that is busy cost the caller nothing.

mod engine;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use trading::Timestamp;

use super::channels::{Channels, SetupError};
use super::{
    Alert, AlertId, AlertsConfig, Losses, NotOpen, Queue, Review, Secrets, Severity, Store, StoreError,
};
use engine::Engine;

/// Alerts handed over and not looked at yet.
const MAX_HANDED: usize = 256;
/// Longest wait for the engine's answer to anything but an alert.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Why alerts cannot be sent.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration, the secrets or the certificates are wrong.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("cannot start a thread for alerts: {0}")]
    Thread(#[from] io::Error),
}

/// Why an acknowledgement did not count.
#[derive(Debug, Error)]
pub enum AckError {
    /// There is nothing to acknowledge.
    #[error(transparent)]
    NotOpen(#[from] NotOpen),
    /// Nobody answers.
    #[error("alerts are not being processed; look at the process's log, then start it again")]
    Stopped,
}

/// Not everything handed over is on disk.
#[derive(Debug, Error)]
#[error("alerts are not on disk: the disk fails or is too slow; they are sent nevertheless")]
pub struct Unsettled;

/// How alerting is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Alerts that wait for a channel.
    pub waiting: usize,
    /// Reviews that nobody acknowledged.
    pub reviews: Vec<Review>,
    /// Losses that were not told yet.
    pub losses: Losses,
    /// Whether everything accepted survives a crash.
    pub on_disk: bool,
}

/// Takes alerts and sends them. Clones share one queue; it ends with the last of them, and what is
/// not delivered then goes out after the next start.
#[derive(Debug, Clone)]
pub struct Sender {
    inputs: mpsc::Sender<Input>,
    overflow: Arc<Overflow>,
}

/// What the engine is told.
#[derive(Debug)]
enum Input {
    Alert(Box<Alert>),
    Ack { id: AlertId, who: String, answer: oneshot::Sender<Result<(), NotOpen>> },
    Settle(oneshot::Sender<bool>),
    Status(oneshot::Sender<Status>),
}

/// Alerts that found no place in the channel.
#[derive(Debug, Default)]
struct Overflow {
    info: AtomicU64,
    warning: AtomicU64,
    urgent: AtomicU64,
}

impl Sender {
    /// Starts sending, first what an earlier process left in `folder`/`alerts`.
    ///
    /// # Errors
    ///
    /// If the configuration is wrong, or the folder or a thread cannot be had.
    pub fn start(config: &AlertsConfig, secrets: Secrets, folder: &Path) -> Result<Self, StartError> {
        let channels = Channels::new(config, secrets, folder)?;
        let (store, found) = Store::open(&folder.join("alerts"))?;
        if found.damaged > 0 {
            tracing::warn!(lines = found.damaged, "the alert queue had damaged lines; a crash leaves one");
        }
        let queue = Queue::restore(&config.channels(), found.records, wall_clock());
        let writer = writer::start(store)?;
        let (inputs, received) = mpsc::channel(MAX_HANDED);
        let overflow = Arc::<Overflow>::default();
        let engine = Engine::new(queue, channels, writer, received, Arc::clone(&overflow));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("alerts".into()).spawn(move || {
            runtime.block_on(engine.run());
            // Does not wait for a disk that hangs.
            runtime.shutdown_background();
        })?;
        Ok(Self { inputs, overflow })
    }

    /// Hands an alert over. Never waits and never fails; what finds no place is counted, and the
    /// count is told in an alert of its own.
    pub fn alert(&self, alert: Alert) {
        if let Err(error) = self.inputs.try_send(Input::Alert(Box::new(alert)))
            && let Input::Alert(alert) = error.into_inner()
        {
            self.overflow.count(&alert);
        }
    }

    /// Takes note that `who` has seen the review `id`.
    ///
    /// # Errors
    ///
    /// If no such review is open, or nobody answers.
    pub async fn ack(&self, id: AlertId, who: &str) -> Result<(), AckError> {
        let who = who.to_owned();
        let answer = self.ask(|answer| Input::Ack { id, who, answer }).await;
        Ok(answer.ok_or(AckError::Stopped)??)
    }

    /// How alerting is doing; `None` if nobody answers.
    pub async fn status(&self) -> Option<Status> {
        self.ask(Input::Status).await
    }

    /// Waits until everything handed over so far survives a crash.
    ///
    /// # Errors
    ///
    /// [`Unsettled`] if it is not so within `limit`.
    pub async fn settle(&self, limit: Duration) -> Result<(), Unsettled> {
        let (answer, settled) = oneshot::channel();
        let asked = async {
            self.inputs.send(Input::Settle(answer)).await.ok()?;
            settled.await.ok()
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(Some(true)) => Ok(()),
            _ => Err(Unsettled),
        }
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.inputs.send(input(answer)).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(ANSWER_LIMIT, asked).await.ok().flatten()
    }
}

impl Overflow {
    fn count(&self, alert: &Alert) {
        let counter = match alert.severity {
            _ if alert.is_urgent() => &self.urgent,
            Severity::Info => &self.info,
            Severity::Warning | Severity::Critical => &self.warning,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> Losses {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Losses { info: take(&self.info), warning: take(&self.warning), urgent: take(&self.urgent) }
    }
}

/// The wall clock, since reviews outlive the process; the queue copes with its being set.
fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
