//! The loop of the thread that sends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};

use super::writer::Writer;
use super::{Input, Overflow, Status, wall_clock};
use crate::alerts::channels::Channels;
use crate::alerts::{AlertId, Channel, Jitter, Offer, Outcome, Queue};

/// Most inputs taken in one turn.
const MAX_INPUTS: usize = 64;
/// Longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// A file in doubt is written anew this often.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Engine {
    queue: Queue,
    channels: Arc<Channels>,
    writer: Writer,
    inputs: mpsc::Receiver<Input>,
    overflow: Arc<Overflow>,
    attempts: JoinSet<Outcome>,
    under_way: HashMap<Id, (AlertId, Channel)>,
    last_snapshot: Option<Instant>,
}

impl Engine {
    pub(super) fn new(
        queue: Queue,
        channels: Channels,
        writer: Writer,
        inputs: mpsc::Receiver<Input>,
        overflow: Arc<Overflow>,
    ) -> Self {
        Self {
            queue,
            channels: Arc::new(channels),
            writer,
            inputs,
            overflow,
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            last_snapshot: None,
        }
    }

    /// Runs until the last [`super::Sender`] is gone.
    pub(super) async fn run(mut self) {
        loop {
            self.queue.lost(self.overflow.take());
            let now = wall_clock();
            for offer in self.queue.due(now) {
                self.start(offer);
            }
            self.write();
            let sleep = self.next_sleep();
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.take_inputs(input),
                    None => break,
                },
                Some(ended) = self.attempts.join_next_with_id() => self.finish(ended),
                () = tokio::time::sleep(sleep) => {}
            }
        }
        self.queue.lost(self.overflow.take());
        self.last_snapshot = None;
        self.write();
    }

    fn start(&mut self, offer: Offer) {
        let channels = Arc::clone(&self.channels);
        let what = (offer.alert.id.clone(), offer.channel);
        let task = self.attempts.spawn(async move { channels.attempt(&offer).await });
        self.under_way.insert(task.id(), what);
    }

    fn finish(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let reason = "the attempt ended by a defect of ours".to_owned();
                (error.id(), Outcome::Later { after_ms: None, reason })
            }
        };
        let Some((id, channel)) = self.under_way.remove(&task) else { return };
        if let Some(reason) = outcome.reason() {
            tracing::debug!(id = id.as_str(), %channel, reason, "an alert was not taken");
        }
        self.queue.finished(&id, channel, &outcome, wall_clock(), jitter());
    }

    fn take_inputs(&mut self, first: Input) {
        self.take(first);
        for _ in 1..MAX_INPUTS {
            let Ok(input) = self.inputs.try_recv() else { return };
            self.take(input);
        }
    }

    fn take(&mut self, input: Input) {
        let now = wall_clock();
        // Whoever asked may be gone; then nobody hears the answer.
        match input {
            Input::Alert(alert) => {
                self.queue.accept(*alert, now);
            }
            Input::Ack { id, who, answer } => {
                let _ = answer.send(self.queue.ack(&id, &who, now));
            }
            Input::Settle(answer) => {
                self.last_snapshot = None;
                self.write();
                self.writer.settle(answer);
            }
            Input::Status(answer) => {
                let _ = answer.send(self.status());
            }
        }
    }

    /// Hands the changes to the writer, or everything where the file is in doubt.
    fn write(&mut self) {
        let changes = self.queue.take_changes();
        if !self.writer.needs_snapshot() {
            if !changes.is_empty() {
                self.writer.append(changes);
            }
        } else if self.last_snapshot.is_none_or(|at| at.elapsed() >= SNAPSHOT_EVERY) {
            self.last_snapshot = Some(Instant::now());
            self.writer.replace(self.queue.snapshot());
        } else if !changes.is_empty() {
            self.writer.miss();
        }
    }

    fn next_sleep(&self) -> Duration {
        let limit = if self.writer.needs_snapshot() { SNAPSHOT_EVERY } else { LONGEST_SLEEP };
        let until = self.queue.next_at().map(|at| Duration::from_millis(at.since_ms(wall_clock()).max(1)));
        until.map_or(limit, |until| until.min(limit))
    }

    fn status(&self) -> Status {
        Status {
            waiting: self.queue.waiting().count(),
            reviews: self.queue.reviews().cloned().collect(),
            losses: self.queue.losses(),
            on_disk: !self.writer.needs_snapshot(),
        }
    }
}

fn jitter() -> Jitter {
    let mut bytes = [0; 2];
    // Without chance the waits are the longest.
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => Jitter(u16::from_ne_bytes(bytes)),
        Err(_) => Jitter(u16::MAX),
    }
}
