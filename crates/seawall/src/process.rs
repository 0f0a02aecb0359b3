//! The supervised processes: `seawall process NAME`, started by `seawall up` and `seawall bench`.
//!
//! Each reads one line of JSON from standard input (everything it needs, secrets included),
//! prints one line of JSON when it is ready, and stops when standard input ends.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::descriptor::inherited_listener;

/// Longest first line, in bytes: the vault's holds the policy and the sealed store.
const MAX_STARTUP: u64 = 4 * 1024 * 1024;

/// Longest time between a durable leaf and a checkpoint over it.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProcessName {
    Vault,
    Journal,
    Gateway,
    Paper,
    /// The floor that `seawall bench` compares with.
    BareSigner,
}

/// What the vault process is told.
#[derive(Serialize, Deserialize)]
pub struct VaultStartup {
    /// Root secret, hexadecimal.
    pub root: String,
    /// Everything that is not secret.
    pub config: vault::Config,
    /// Inherited listeners: sign, gateway, admin, lease.
    pub listeners: [i32; 4],
}

/// What the journal process is told.
#[derive(Serialize, Deserialize)]
pub struct JournalStartup {
    /// The log's folder.
    pub dir: PathBuf,
    /// The log's signing key.
    pub key: PathBuf,
    /// Where to listen.
    pub socket: PathBuf,
    /// When signatures may leave: says how long records may gather before they are synced.
    pub durability: vault::Durability,
}

/// What the paper venue's process is told.
#[derive(Serialize, Deserialize)]
pub struct PaperStartup {
    /// All but its accounts.
    pub config: paper::Config,
    /// The file with the keys it issued, which it alone reads.
    pub accounts: PathBuf,
}

impl Drop for VaultStartup {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.root);
    }
}

/// Runs the process `name` until standard input ends.
pub fn run(name: ProcessName) -> anyhow::Result<()> {
    // What a process makes, such as the log and its index, is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    close_memory(name)?;
    match name {
        ProcessName::Vault => run_vault(),
        ProcessName::Journal => run_journal(),
        ProcessName::Gateway => run_gateway(),
        ProcessName::Paper => run_paper(),
        ProcessName::BareSigner => run_bare_signer(),
    }
}

/// Has no process leave a core file. The vault's memory is closed to the user's other programs as well:
/// only root may look into it or trace it.
fn close_memory(name: ProcessName) -> anyhow::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).context("core files cannot be forbidden")?;
    if matches!(name, ProcessName::Vault) {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).context("the memory cannot be closed")?;
    }
    Ok(())
}

fn run_vault() -> anyhow::Result<()> {
    let startup: VaultStartup = startup()?;
    let root = keys::RootSecret::from_hex(&startup.root)?;
    let [sign, gateway, admin, lease] = startup.listeners;
    let listeners = vault::Listeners {
        sign: inherited_listener(sign)?,
        gateway: inherited_listener(gateway)?,
        admin: inherited_listener(admin)?,
        lease: inherited_listener(lease)?,
    };
    let config = startup.config.clone();
    drop(startup);
    vault::run(root, config, listeners, announce)?;
    Ok(())
}

fn run_journal() -> anyhow::Result<()> {
    let startup: JournalStartup = startup()?;
    let config = journal::Config {
        dir: startup.dir,
        key: startup.key,
        listen: journal::Listen::Path(startup.socket),
        checkpoint_every: CHECKPOINT_EVERY,
        pause: startup.durability.sync_pause(),
    };
    let ready = |found: &journal::Recovered| announce(&serde_json::json!({ "records": found.records }));
    journal::run(config, ready, rustix::stdio::stdin())?;
    Ok(())
}

fn run_gateway() -> anyhow::Result<()> {
    let config: gateway::Config = startup()?;
    block_on(gateway::run(config, announce, ended()))?;
    Ok(())
}

fn run_paper() -> anyhow::Result<()> {
    let PaperStartup { mut config, accounts } = startup()?;
    config.accounts = crate::up::accounts::paper_accounts(&accounts)?;
    block_on(paper::run(config, |addresses| announce(&addresses), ended()))?;
    Ok(())
}

fn run_bare_signer() -> anyhow::Result<()> {
    let startup: crate::bench::BareStartup = startup()?;
    std::thread::spawn(|| {
        wait_for_end();
        std::process::exit(0);
    });
    crate::bench::run_bare(&startup, || announce(&serde_json::Value::Null))
}

/// Reads the first line of standard input, byte by byte so that nothing behind it is taken.
fn startup<T: DeserializeOwned>() -> anyhow::Result<T> {
    let mut line = Zeroizing::new(Vec::new());
    std::io::stdin()
        .lock()
        .take(MAX_STARTUP)
        .read_until(b'\n', &mut line)
        .context("cannot read the startup line")?;
    anyhow::ensure!(line.ends_with(b"\n"), "this is started by `seawall up`, not by hand");
    serde_json::from_slice(&line).context("the startup line is not what this version expects")
}

fn announce(ready: &impl Serialize) {
    let mut out = std::io::stdout().lock();
    let line = serde_json::to_string(ready).expect("readiness holds only addresses and numbers");
    // A parent that is gone shows itself by the end of standard input.
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Completes when standard input ends.
async fn ended() {
    let (done, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        wait_for_end();
        // Nobody waits any more only if the process ends already.
        let _ = done.send(());
    });
    drop(end.await);
}

fn wait_for_end() {
    let mut scrap = [0; 64];
    while std::io::stdin().lock().read(&mut scrap).is_ok_and(|count| count > 0) {}
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs only what every Linux has")
        .block_on(future)
}
