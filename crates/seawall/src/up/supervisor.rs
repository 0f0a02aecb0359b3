//! Starts the processes in order, restarts what dies, stops them in the opposite order.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::io::FdFlags;

/// First pause before a restart; doubles up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that lived this long starts again with the shortest pause.
const SETTLED: Duration = Duration::from_secs(30);
/// How long a process may take to say that it is ready. A vault whose log holds no record of the
/// counters reads all of it first: minutes for tens of millions of records.
const READY_LIMIT: Duration = Duration::from_secs(900);
/// How long a process may take to stop after it was asked.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often a process that ends while it starts for the first time is started again: what it
/// needs may be held for a moment more by the process of an `up` that was killed.
const FIRST_ATTEMPTS: u32 = 6;
/// Lines of its standard error kept for the report of a failure.
const KEPT_LINES: usize = 50;
/// Words of readiness that may wait to be looked at.
const KEPT_WORDS: usize = 8;
/// Size at which a file of standard error is put aside, in bytes; one such file is kept.
const MAX_ERROR_FILE: u64 = 4 * 1024 * 1024;
/// How long the last lines of a process that ended may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(300);

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
    /// The last lines of its standard error, and the thread that reads them.
    errors: Arc<Mutex<VecDeque<String>>>,
    errors_end: JoinHandle<()>,
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

    /// Starts it and waits until it says that it is ready; returns what it said. One that ends
    /// meanwhile is started again a few times.
    ///
    /// `keep_going` is asked now and then; `false` gives up.
    pub fn start(&mut self, keep_going: &dyn Fn() -> bool) -> anyhow::Result<serde_json::Value> {
        let name = self.recipe.name;
        let deadline = Instant::now() + READY_LIMIT;
        self.spawn()?;
        loop {
            if let Some(said) = self.poll_ready() {
                return Ok(said);
            }
            if let Some(status) = self.poll_exit() {
                anyhow::ensure!(self.restarts + 1 < FIRST_ATTEMPTS, "{name} ended while starting: {status}");
                tracing::warn!(process = name, %status, "ended while starting; trying again");
            }
            self.restart_if_due();
            anyhow::ensure!(keep_going(), "stopped while {name} was starting");
            anyhow::ensure!(Instant::now() < deadline, "{name} did not become ready in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks after the process once: notices its end, waits out the pause, starts it again.
    /// Returns what it said if it became ready just now.
    pub fn tend(&mut self) -> Option<serde_json::Value> {
        if let Some(said) = self.poll_ready() {
            return Some(said);
        }
        if let Some(status) = self.poll_exit() {
            tracing::warn!(process = self.recipe.name, %status, "ended; will be restarted");
        }
        if self.health == Health::Starting
            && let Some(running) = &mut self.child
            && running.since.elapsed() > READY_LIMIT
        {
            tracing::error!(process = self.recipe.name, "did not become ready in time and is killed");
            drop(running.child.kill());
        }
        self.restart_if_due();
        None
    }

    /// Starts it again if its pause is over. What stands in the way may be gone after another pause.
    fn restart_if_due(&mut self) {
        if self.child.is_some() || self.resume_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.restarts += 1;
        if let Err(error) = self.spawn() {
            tracing::error!(process = self.recipe.name, error = format!("{error:#}"), "cannot be started");
            self.last_exit = Some(format!("{error:#}"));
            self.pause_before_restart();
        }
    }

    fn pause_before_restart(&mut self) {
        self.health = Health::Waiting;
        self.resume_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
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
                self.last_exit = Some(describe(status, &running));
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
        let (ready_in, ready) = sync_channel(KEPT_WORDS);
        std::thread::spawn(move || forward_ready(stdout, &ready_in));
        let log = self.recipe.log.clone();
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&errors);
        let errors_end = std::thread::spawn(move || forward_errors(stderr, &log, &kept));
        self.health = Health::Starting;
        self.resume_at = None;
        self.child = Some(Running {
            child,
            lifeline: Some(lifeline),
            since: Instant::now(),
            ready,
            errors,
            errors_end,
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
        let running = self.child.take()?;
        let text = describe(status, &running);
        if running.since.elapsed() >= SETTLED {
            self.pause = SHORTEST_PAUSE;
        }
        self.pause_before_restart();
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

fn describe(status: ExitStatus, running: &Running) -> String {
    // The reader may be a moment behind the exit; what it has by then is what there is to show.
    let deadline = Instant::now() + LAST_WORDS;
    while !running.errors_end.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    match running.errors.lock().unwrap_or_else(PoisonError::into_inner).back() {
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

fn forward_errors(stderr: impl std::io::Read, log: &Path, kept: &Mutex<VecDeque<String>>) {
    let open = || std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(log).ok();
    let mut file = open();
    let mut size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |found| found.len());
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if size > MAX_ERROR_FILE {
            drop(std::fs::rename(log, log.with_extension("log.old")));
            (file, size) = (open(), 0);
        }
        if let Some(file) = &mut file {
            drop(writeln!(file, "{line}"));
            size += line.len() as u64 + 1;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}
