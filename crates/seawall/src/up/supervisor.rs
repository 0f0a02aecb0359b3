//! Starts the processes in order, restarts what dies, stops them in the opposite order.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::io::FdFlags;

/// First pause before a restart; doubles up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that lived this long starts again with the shortest pause.
const SETTLED: Duration = Duration::from_secs(30);
/// How long a process may take to say that it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long a process may take to stop after it was asked.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Lines of its standard error kept for the screen and for the report of a failure.
const KEPT_LINES: usize = 50;

/// How to start one process.
pub struct Recipe {
    /// The name people see, and the subcommand.
    pub name: &'static str,
    /// Its first line of standard input: everything it needs, secrets included. Standard input
    /// then stays open; its end tells the process that its parent is gone.
    pub startup: Box<dyn Fn() -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> + Send>,
    /// Descriptors it inherits under the same numbers.
    pub inherited: Vec<i32>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

/// What people see of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not started, or waiting out the pause before a restart.
    Waiting,
    /// Started, has not said that it is ready.
    Starting,
    /// Ready.
    Ready,
    /// Stopped on request.
    Stopped,
}

/// One supervised process.
pub struct Process {
    recipe: Recipe,
    child: Option<Running>,
    health: Health,
    restarts: u32,
    pause: Duration,
    resume_at: Option<Instant>,
    last_exit: Option<String>,
}

struct Running {
    child: Child,
    /// Held open while the child shall live: its end is the child's signal to stop.
    lifeline: Option<ChildStdin>,
    since: Instant,
    ready: Receiver<serde_json::Value>,
    errors: Receiver<String>,
    recent_errors: VecDeque<String>,
}

impl Process {
    /// A process that was not started yet.
    #[must_use]
    pub fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            child: None,
            health: Health::Waiting,
            restarts: 0,
            pause: SHORTEST_PAUSE,
            resume_at: None,
            last_exit: None,
        }
    }

    pub fn name(&self) -> &'static str {
        self.recipe.name
    }
    pub fn health(&self) -> &Health {
        &self.health
    }
    pub fn restarts(&self) -> u32 {
        self.restarts
    }
    pub fn last_exit(&self) -> Option<&str> {
        self.last_exit.as_deref()
    }
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|running| running.child.id())
    }

    /// Starts it and waits until it says that it is ready; returns what it said.
    ///
    /// `keep_going` is asked now and then; `false` gives up.
    pub fn start(&mut self, keep_going: &dyn Fn() -> bool) -> anyhow::Result<serde_json::Value> {
        self.spawn()?;
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            if let Some(said) = self.poll_ready() {
                return Ok(said);
            }
            if let Some(status) = self.poll_exit() {
                anyhow::bail!("{} ended while starting: {status}", self.recipe.name);
            }
            anyhow::ensure!(keep_going(), "stopped while {} was starting", self.recipe.name);
            anyhow::ensure!(Instant::now() < deadline, "{} did not become ready in time", self.recipe.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks after the process once: notices its end, waits out the pause, starts it again.
    /// Returns what it said if it became ready just now.
    pub fn tend(&mut self) -> anyhow::Result<Option<serde_json::Value>> {
        if let Some(said) = self.poll_ready() {
            return Ok(Some(said));
        }
        if let Some(status) = self.poll_exit() {
            tracing::warn!(process = self.recipe.name, %status, "ended; will be restarted");
        }
        if self.child.is_none() && self.resume_at.is_some_and(|at| at <= Instant::now()) {
            self.restarts += 1;
            self.spawn()?;
        }
        Ok(None)
    }

    /// Closes its standard input, which asks it to stop, and ends it if it does not.
    pub fn stop(&mut self) {
        self.health = Health::Stopped;
        self.resume_at = None;
        let Some(mut running) = self.child.take() else { return };
        drop(running.lifeline.take());
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = running.child.try_wait() {
                self.last_exit = Some(describe(status, &mut running));
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        tracing::error!(process = self.recipe.name, "did not stop in time and is killed");
        drop(running.child.kill());
        drop(running.child.wait());
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        let startup = (self.recipe.startup)()?;
        let executable = std::env::current_exe().context("cannot find the running program")?;
        let mut child = with_inherited(&self.recipe.inherited, || {
            Command::new(executable)
                .args(["process", self.recipe.name])
                // A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which
                // then stops the processes in order.
                .process_group(0)
                .env_clear()
                .envs(
                    std::env::vars_os().filter(|(name, _)| name == "SEAWALL_LOG" || name == "RUST_BACKTRACE"),
                )
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        })
        .with_context(|| format!("cannot start {}", self.recipe.name))?;
        let mut lifeline = child.stdin.take().context("standard input is piped")?;
        lifeline.write_all(&startup).and_then(|()| lifeline.flush()).ok();
        let stdout = child.stdout.take().context("standard output is piped")?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let (ready_in, ready) = sync_channel(KEPT_LINES);
        let (errors_in, errors) = sync_channel(KEPT_LINES);
        std::thread::spawn(move || forward_ready(stdout, &ready_in));
        let log = self.recipe.log.clone();
        std::thread::spawn(move || forward_errors(stderr, &log, &errors_in));
        self.health = Health::Starting;
        self.resume_at = None;
        self.child = Some(Running {
            child,
            lifeline: Some(lifeline),
            since: Instant::now(),
            ready,
            errors,
            recent_errors: VecDeque::new(),
        });
        Ok(())
    }

    fn poll_ready(&mut self) -> Option<serde_json::Value> {
        let said = self.child.as_ref()?.ready.try_recv().ok()?;
        self.health = Health::Ready;
        Some(said)
    }

    fn poll_exit(&mut self) -> Option<String> {
        let running = self.child.as_mut()?;
        let status = running.child.try_wait().ok().flatten()?;
        let mut running = self.child.take()?;
        let text = describe(status, &mut running);
        if running.since.elapsed() >= SETTLED {
            self.pause = SHORTEST_PAUSE;
        }
        self.resume_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.health = Health::Waiting;
        self.last_exit = Some(text.clone());
        Some(text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `spawn` while `descriptors` survive an exec, and not a moment longer.
fn with_inherited<T>(descriptors: &[i32], spawn: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
    let set = |flags| {
        descriptors.iter().try_for_each(|&number| {
            rustix::io::fcntl_setfd(crate::descriptor::borrowed(number), flags).map_err(std::io::Error::from)
        })
    };
    set(FdFlags::empty())?;
    let outcome = spawn();
    set(FdFlags::CLOEXEC)?;
    outcome
}

fn describe(status: ExitStatus, running: &mut Running) -> String {
    // The reader may be a moment behind the exit; what it has by now is what there is to show.
    while let Ok(line) = running.errors.recv_timeout(Duration::from_millis(50)) {
        if running.recent_errors.len() == KEPT_LINES {
            running.recent_errors.pop_front();
        }
        running.recent_errors.push_back(line);
    }
    match running.recent_errors.back() {
        Some(line) => format!("{status}: {line}"),
        None => status.to_string(),
    }
}

fn forward_ready(stdout: impl std::io::Read, to: &SyncSender<serde_json::Value>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(value) => {
                if to.try_send(value).is_err() {
                    return;
                }
            }
            Err(_) => tracing::warn!(line, "a process printed something else than its readiness"),
        }
    }
}

fn forward_errors(stderr: impl std::io::Read, log: &std::path::Path, to: &SyncSender<String>) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(log).ok();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(file) = &mut file {
            drop(writeln!(file, "{line}"));
        }
        // Full or closed only means that nobody looks; the file has the line.
        drop(to.try_send(line));
    }
}
