//! A vault and a journal, started directly, so that one fault costs milliseconds.

mod bot;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keys::{NewKey, Role, RootSecret, SealedStore, SecretText};
use policy::Policy;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::{Value, json};
use tempfile::TempDir;
use trading::{AccountName, Timestamp, Venue};
use vault::{BaseUrls, Durability};

/// Longest that anything may take: to start, to stop, to go on after a fault.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Deaths without an answer between them after which no traced process is left running.
const MAX_DEATHS: u32 = 4;

pub(crate) use bot::Word;

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Journal,
    Vault,
}

/// One running process.
struct Running {
    child: Child,
    is_traced: bool,
    _stdout: BufReader<ChildStdout>,
}

/// The processes, their folder, and what became known outside of it.
pub(crate) struct Rig {
    folder: TempDir,
    root: String,
    store: String,
    durability: Durability,
    listeners: [UnixListener; 4],
    running: [Option<Running>; 2],
    stream: Option<BufReader<UnixStream>>,
    pub(crate) told: Vec<Word>,
    /// Every checkpoint that was seen in the folder.
    pub(crate) checkpoints: Vec<String>,
    /// Starts of the vault in pipelined mode that did not end in order: each may have left a gap.
    pub(crate) unclean: u64,
    turn: u64,
    /// Whether a traced process was killed by what was injected.
    pub(crate) traced_was_killed: bool,
    /// Processes that died since the last answer.
    deaths: u32,
    /// Lines sent whose answer is still to be heard.
    owed: usize,
}

/// A small file system of its own, gone at the end.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts it at `path`; `None` where that is not permitted.
    pub(crate) fn small(path: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "seawall-test"]).arg(path);
        let done = command.stdin(Stdio::null()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).stdin(Stdio::null()).status());
    }
}

/// Memory where there is such a folder: what is tested here is what a dead process leaves, not a dead
/// disk, and a sync then costs nothing.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

fn store() -> &'static (String, String) {
    static STORE: OnceLock<(String, String)> = OnceLock::new();
    STORE.get_or_init(|| {
        let text = policy_text();
        let policy = Policy::parse(&text).expect("a policy");
        let root = RootSecret::generate();
        let mut store = SealedStore::new(&text, &policy.hash());
        let secret = SecretText::new("a secret that is worth nothing".to_owned());
        let account = AccountName::new("main").expect("a name");
        let new = NewKey {
            venue: Venue::Bybit,
            account: &account,
            role: Role::Trade,
            api_key: "key-of-main",
            secret: &secret,
            added_at: Timestamp::from_ms(1_772_600_000_000),
        };
        store.add(&root, &policy.hash(), &new).expect("a new key");
        (root.to_hex().to_string(), store.to_json())
    })
}

fn policy_text() -> String {
    let uid = protocol::peer::Peer::own_uid();
    let account = include_str!("../../../src/bench/account.toml")
        .replace("{account}", "main")
        .replace("{venue}", "bybit")
        .replace("allow_settings = [\"marginType\"]", "allow_settings = []");
    format!(
        "version = 1\nwatchdogs = []\n\n[bots.mine]\naccounts = [\"main\"]\nuids = [\"{uid}\"]\nnew_orders_per_second = 32000\nmessages_per_second = 32000\nnotional_per_utc_day = \"1000000000000\"\nnotional_rolling_24h = \"1000000000000\"\n\n{account}"
    )
}

impl Rig {
    pub(crate) fn new(durability: Durability) -> Self {
        Self::in_folder(scratch(), durability)
    }

    pub(crate) fn in_folder(folder: TempDir, durability: Durability) -> Self {
        let (root, store) = store().clone();
        let listeners = ["sign", "gateway", "admin", "lease"].map(|name| {
            let path = folder.path().join(name);
            let listener = UnixListener::bind(&path).expect("a socket");
            // The vault inherits it by its number.
            rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).expect("an open descriptor");
            listener
        });
        Self {
            folder,
            root,
            store,
            durability,
            listeners,
            running: [None, None],
            stream: None,
            told: Vec::new(),
            checkpoints: Vec::new(),
            unclean: 0,
            turn: 0,
            traced_was_killed: false,
            deaths: 0,
            owed: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("data/log")
    }

    fn startup(&self, who: Who) -> Value {
        match who {
            Who::Journal => json!({
                "dir": self.log(),
                "key": self.path().join("log.key"),
                "socket": self.path().join("journal.sock"),
                "durability": self.durability,
            }),
            Who::Vault => json!({
                "root": self.root,
                "config": vault::Config {
                    store: self.store.clone(),
                    journal: self.path().join("journal.sock"),
                    bases: BaseUrls([(Venue::Bybit, [(venue::Surface::V5, "http://bybit.test".to_owned())].into())].into()),
                    durability: self.durability,
                },
                "listeners": self.listeners.each_ref().map(|listener| listener.as_raw_fd()),
            }),
        }
    }

    /// Starts a process, behind `before` if there is something; whether it became ready.
    pub(crate) fn start(&mut self, who: Who, before: &[String]) -> bool {
        let name = if who == Who::Journal { "journal" } else { "vault" };
        let words: Vec<&str> = before
            .iter()
            .map(String::as_str)
            .chain([env!("CARGO_BIN_EXE_seawall"), "process", name])
            .collect();
        let errors = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join(format!("{name}.err")))
            .expect("a file");
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .env_remove("SEAWALL_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        let startup = format!("{}\n", self.startup(who));
        // It may be dead already: then its silence says so.
        drop(child.stdin.as_mut().expect("piped").write_all(startup.as_bytes()));
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let ready = is_readable(stdout.get_ref(), LIMIT) && {
            let mut line = String::new();
            stdout.read_line(&mut line).is_ok_and(|count| count > 0)
        };
        self.running[who as usize] = Some(Running { child, is_traced: !before.is_empty(), _stdout: stdout });
        ready
    }

    /// Starts both; whoever dies meanwhile is started again.
    pub(crate) fn start_both(&mut self) {
        for who in [Who::Journal, Who::Vault] {
            if self.running[who as usize].is_none() {
                self.start(who, &[]);
            }
        }
        self.look_after();
    }

    /// The traced process, or the process itself.
    pub(crate) fn pid(&self, who: Who) -> Option<u32> {
        self.running[who as usize].as_ref().map(|running| running.child.id())
    }

    /// A handle on a running process that names no other, whatever becomes of its number.
    pub(crate) fn handle(&self, who: Who) -> OwnedFd {
        let pid = self.pid(who).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("it runs");
        pidfd_open(pid, PidfdFlags::empty()).expect("a child of ours")
    }

    pub(crate) fn signal(&self, who: Who, signal: Signal) {
        let pid = self.pid(who).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("it runs");
        kill_process(pid, signal).expect("ours");
    }

    /// Whether a process has ended by itself; it is then forgotten.
    fn has_ended(&mut self, who: Who) -> bool {
        let slot = &mut self.running[who as usize];
        let Some(running) = slot else { return true };
        let Some(status) = running.child.try_wait().expect("ours") else { return false };
        // strace ends as its tracee did.
        self.traced_was_killed |= running.is_traced && status.signal() == Some(Signal::KILL.as_raw());
        *slot = None;
        self.unclean += u64::from(who == Who::Vault);
        true
    }

    /// Starts again what has died, as the supervisor does, but at once; says who.
    pub(crate) fn look_after(&mut self) -> Vec<Who> {
        let mut died = Vec::new();
        let deadline = Instant::now() + LIMIT;
        for who in [Who::Journal, Who::Vault] {
            while self.has_ended(who) {
                died.push(who);
                self.deaths += 1;
                if self.deaths > MAX_DEATHS {
                    self.replace_traced();
                }
                assert!(Instant::now() < deadline, "{who:?} does not start again: {}", self.errors());
                self.start(who, &[]);
            }
        }
        died
    }

    /// strace counts the calls of each thread by itself, so a fault in the journal may befall every
    /// connection that the vault makes anew. Then the traced process is ended and started without.
    fn replace_traced(&mut self) {
        self.deaths = 0;
        let Some(mut running) = self.running[Who::Journal as usize].take_if(|running| running.is_traced)
        else {
            return;
        };
        drop(running.child.stdin.take());
        assert!(ends(&mut running.child), "the traced journal does not stop: {}", self.errors());
        self.start(Who::Journal, &[]);
    }

    pub(crate) fn errors(&self) -> String {
        let text = |name: &str| std::fs::read_to_string(self.path().join(name)).unwrap_or_default();
        let both = format!("{}{}", text("journal.err"), text("vault.err"));
        let from = both.len().saturating_sub(1500);
        both.get(from..).unwrap_or(&both).to_owned()
    }

    /// Waits for processes that were killed; nobody starts them again here.
    pub(crate) fn forget_dead(&mut self) {
        self.stream = None;
        for (number, slot) in self.running.iter_mut().enumerate() {
            if let Some(mut dead) = slot.take() {
                drop(dead.child.wait());
                self.unclean += u64::from(number == Who::Vault as usize);
            }
        }
    }

    /// Stops both in order.
    pub(crate) fn stop(&mut self) {
        self.stream = None;
        for who in [Who::Vault, Who::Journal] {
            let Some(mut running) = self.running[who as usize].take() else { continue };
            drop(running.child.stdin.take());
            assert!(ends(&mut running.child), "{who:?} does not stop: {}", self.errors());
            let status = running.child.wait().expect("ours");
            self.traced_was_killed |= running.is_traced && status.signal() == Some(Signal::KILL.as_raw());
            self.unclean += u64::from(who == Who::Vault && !status.success());
        }
        self.see_checkpoint();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for running in self.running.iter_mut().flatten() {
            drop(running.child.stdin.take());
            // What is stopped by a signal would never see the end of its input.
            drop(running.child.kill());
            drop(running.child.wait());
        }
    }
}

/// Whether a child that was asked to end does.
fn ends(child: &mut Child) -> bool {
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().expect("ours").is_none() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    true
}

pub(crate) fn is_readable(source: &impl std::os::fd::AsFd, patience: Duration) -> bool {
    let mut fds = [PollFd::new(source, PollFlags::IN)];
    let patience = Timespec::try_from(patience).expect("short");
    poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
}
