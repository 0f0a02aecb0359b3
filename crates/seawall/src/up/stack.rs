//! The processes of one installation: how each is started, in which order, and what they show.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gateway::{Bases, StandIn};
use protocol::admin::{AdminCommand, AdminReply, VaultStatus};
use serde::Serialize;
use trading::{Timestamp, Venue};
use zeroize::Zeroizing;

use crate::commands::status::lease_text;
use crate::installation::{Installation, now};
use crate::layout::{Layout, read_text};
use crate::notices::Notices;
use crate::process::{JournalStartup, PaperStartup, VaultStartup};
use crate::up::accounts::{demo_login, ensure_paper_keys, set_up};
use crate::up::addresses::{Addresses, ProcessState};
use crate::up::demo::DemoBot;
use crate::up::screen::Picture;
use crate::up::supervisor::{Health, Process, Recipe};
use crate::up::tally::{Counts, Tally, VaultCounts};

/// Decisions shown at once.
const SHOWN_ORDERS: usize = 40;
/// Longest wait for the vault's status while the processes need looking after.
const STATUS_LIMIT: Duration = Duration::from_millis(250);
/// Longest wait for what the vault has approved to leave, at the stop.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(1);

/// The sockets the vault listens on; bound once, so that callers never see it restart.
pub struct VaultSockets {
    sign: UnixListener,
    gateway: UnixListener,
    admin: UnixListener,
    lease: UnixListener,
}

/// Everything `up` runs.
pub struct Stack {
    pub installation: Installation,
    /// In the order in which they start.
    processes: Vec<Process>,
    /// Where the paper venue was first reached; kept over its restarts.
    paper: Arc<Mutex<Option<paper::Addresses>>>,
    /// Where the gateway was first reached; kept over its restarts, so that bots find it again.
    gateway: Arc<Mutex<BTreeMap<Venue, SocketAddr>>>,
    demo: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    demo_login: Option<StandIn>,
    addresses: Addresses,
    sockets: Arc<VaultSockets>,
    status: Option<VaultStatus>,
    /// Warnings of this process, which the picture shows.
    notices: Notices,
    /// Records in the log before anything ran.
    first_record: u64,
    tally: Tally,
    /// Orders rejected by the venue that vaults which are gone have heard of.
    carried_rejected: u64,
}

impl Stack {
    /// Sets up what is missing and binds the vault's sockets; starts nothing.
    pub fn prepare(installation: Installation, no_demo: bool, notices: &Notices) -> anyhow::Result<Self> {
        if !installation.is_set_up() {
            set_up(&installation)?;
        }
        let changing = installation.changing()?;
        crate::commands::key::drop_expired(&installation)?;
        let (store, policy) = installation.store()?;
        if !installation.policy_file_is(store.policy()) {
            tracing::warn!(
                "{} is not the policy in force; see `seawall policy diff`, then `seawall policy apply`",
                installation.layout.policy().display()
            );
        }
        let demo = installation.config.demo.enabled && !no_demo && installation.config.is_paper(Venue::Bybit);
        let demo_login = if demo { demo_login(&installation, &policy)? } else { None };
        ensure_paper_keys(&installation)?;
        drop(changing);
        let sockets = Arc::new(VaultSockets::bind(&installation)?);
        let first_record = crate::commands::log::size(&installation.layout.log()).unwrap_or(0);
        Ok(Self {
            installation,
            processes: Vec::new(),
            paper: Arc::new(Mutex::new(None)),
            gateway: Arc::default(),
            demo: None,
            demo_login,
            addresses: Addresses::default(),
            sockets,
            status: None,
            notices: notices.clone(),
            first_record,
            tally: Tally::starting_at(first_record),
            carried_rejected: 0,
        })
    }

    /// Starts everything in order: venue, journal, vault, gateway, demo bot.
    pub fn start(&mut self, keep_going: &dyn Fn() -> bool) -> anyhow::Result<()> {
        let layout = self.installation.layout.clone();
        let venues = Venue::ALL.into_iter().filter(|venue| self.installation.config.is_paper(*venue));
        if venues.count() > 0 {
            let said = self.launch(paper_recipe(&self.installation, &self.paper), keep_going)?;
            let addresses: paper::Addresses = serde_json::from_value(said)?;
            *lock(&self.paper) = Some(addresses);
            for (venue, address) in paper_addresses(&addresses) {
                self.addresses.paper.insert(venue.to_string(), format!("http://{address}"));
            }
            self.addresses.paper.insert("control".to_owned(), format!("http://{}", addresses.control));
        }
        let bases = self.all_bases();
        self.launch(journal_recipe(&self.installation), keep_going)?;
        self.launch(vault_recipe(&self.installation, &self.sockets, &bases.vault), keep_going)?;
        let recipe = gateway_recipe(&self.installation, &bases.gateway, &self.gateway);
        let said = self.launch(recipe, keep_going)?;
        if let Err(error) = crate::unrecorded::record(&self.installation) {
            tracing::warn!("changes made while nothing ran are not recorded yet: {error:#}");
        }
        let bound: BTreeMap<Venue, SocketAddr> = serde_json::from_value(said)?;
        lock(&self.gateway).clone_from(&bound);
        self.addresses.up_pid = std::process::id();
        self.addresses.gateway = bound.iter().map(|(venue, at)| (*venue, format!("http://{at}"))).collect();
        self.addresses.sign_socket = layout.sign_socket().display().to_string();
        self.addresses.admin_socket = layout.admin_socket().display().to_string();
        self.addresses.journal_socket = layout.journal_socket().display().to_string();
        self.write_addresses()?;
        if let (Some(login), Some(gateway)) = (self.demo_login.clone(), bound.get(&Venue::Bybit)) {
            let stop = Arc::new(AtomicBool::new(false));
            let pace = Duration::from_millis(self.installation.config.demo.pace_ms.max(1));
            let (bot, told) = (DemoBot::new(*gateway, login), Arc::clone(&stop));
            self.demo = Some((stop, std::thread::spawn(move || bot.run(pace, &told))));
        }
        Ok(())
    }

    fn launch(&mut self, recipe: Recipe, keep_going: &dyn Fn() -> bool) -> anyhow::Result<serde_json::Value> {
        let mut process = Process::new(recipe);
        let said = process.start(keep_going);
        self.processes.push(process);
        said
    }

    /// Looks after the processes once, and notes what has changed.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        let before = self.process_states();
        for process in &mut self.processes {
            process.tend();
        }
        if self.process_states() != before {
            self.write_addresses()?;
        }
        Ok(())
    }

    /// Stops everything in the opposite order: nobody is stopped while something needs it.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.demo.take() {
            stop.store(true, Ordering::Relaxed);
            // The bot's thread ends after its current request; it holds nothing.
            drop(thread.join());
        }
        while let Some(mut process) = self.processes.pop() {
            if process.name() == "vault" && *process.health() == Health::Ready {
                self.await_last_words();
            }
            process.stop();
        }
        drop(std::fs::remove_file(self.installation.layout.addresses()));
    }

    /// Takes the vault's last counts, once everything it approved has left. The gateway is stopped by
    /// now; a bot at the sign socket or a journal that is stuck is not waited for for long.
    fn await_last_words(&mut self) {
        let deadline = Instant::now() + LAST_WORDS_LIMIT;
        loop {
            self.ask_status();
            let left = |status: &VaultStatus| {
                status.released == status.approved || status.durable == status.next_index
            };
            let all_left = self.status.as_ref().is_some_and(left);
            if all_left || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything there is to see now.
    pub fn picture(&mut self) -> Picture {
        self.refresh_status();
        if let Err(error) = self.tally.look(&self.installation.layout.log()) {
            tracing::debug!(%error, "the log's index cannot be read now");
        }
        let layout = &self.installation.layout;
        let status = self.status.as_ref();
        let counts = self.counts();
        Picture {
            processes: self.process_states(),
            orders: crate::commands::log::latest_orders(&layout.log(), SHOWN_ORDERS).unwrap_or_default(),
            approved: counts.approved,
            denied: counts.denied,
            released: counts.released,
            rejected: self.rejected(),
            latency_us: self.latency_us(),
            log_size: status.map_or(0, |status| status.durable),
            checkpoint: checkpoint_text(layout),
            trading_state: status.map_or("unknown".to_owned(), state_text),
            lease: status.map_or("unknown".to_owned(), |status| lease_text(&status.leases)),
            gateways: self
                .addresses
                .gateway
                .iter()
                .map(|(venue, url)| (venue.to_string(), url.clone()))
                .collect(),
            notice: self.notices.last(),
            next_commands: next_commands(layout),
        }
    }

    /// What was approved, denied and released in this run.
    pub fn counts(&self) -> Counts {
        let last = self.status.as_ref().map(|status| VaultCounts {
            epoch: status.epoch,
            counts: Counts { approved: status.approved, denied: status.denied, released: status.released },
        });
        self.tally.totals(last.as_ref())
    }

    /// Orders the venue rejected in this run.
    pub fn rejected(&self) -> u64 {
        self.carried_rejected + self.status.as_ref().map_or(0, |status| status.rejected)
    }

    /// p50, p99 and p99.9 as the present vault measured them.
    pub fn latency_us(&self) -> [u64; 3] {
        self.status.as_ref().map_or([0; 3], |status| status.latency_us)
    }

    /// Records in the log before anything ran.
    pub fn first_record(&self) -> u64 {
        self.first_record
    }

    /// Counts the rest of the log, once everything is stopped.
    pub fn finish_tally(&mut self) -> anyhow::Result<()> {
        self.tally.finish(&self.installation.layout.log())
    }

    fn refresh_status(&mut self) {
        // A vault that is away or stuck must not keep anyone from looking after the processes.
        let is_ready = |process: &Process| process.name() == "vault" && *process.health() == Health::Ready;
        if !self.processes.iter().any(is_ready) {
            return;
        }
        self.ask_status();
    }

    fn ask_status(&mut self) {
        let asked = self.installation.tell_vault_within(&AdminCommand::Status, STATUS_LIMIT);
        let Ok(Some(AdminReply::Status(new))) = asked else { return };
        if let Some(old) = self.status.take().filter(|old| old.pid != new.pid) {
            self.carried_rejected += old.rejected;
        }
        self.status = Some(new);
    }

    fn process_states(&self) -> Vec<ProcessState> {
        self.processes.iter().map(state_of).collect()
    }

    fn write_addresses(&mut self) -> anyhow::Result<()> {
        self.addresses.processes = self.process_states();
        self.addresses.write(&self.installation.layout)
    }

    fn all_bases(&self) -> AllBases {
        let paper = *lock(&self.paper);
        let mut all = AllBases::default();
        for venue in Venue::ALL {
            if let Some(bases) = bases_of(&self.installation, venue, paper) {
                all.vault.0.insert(venue, bases.http.clone());
                all.gateway.insert(venue, bases);
            }
        }
        all
    }
}

/// Where each venue is reached, for those who need to know.
#[derive(Default)]
struct AllBases {
    vault: vault::BaseUrls,
    gateway: BTreeMap<Venue, Bases>,
}

fn bases_of(installation: &Installation, venue: Venue, paper: Option<paper::Addresses>) -> Option<Bases> {
    match installation.config.venues.get(&venue) {
        Some(real) => Some(Bases::of(venue, real.network)),
        None => paper.map(|addresses| {
            let address = match venue {
                Venue::Binance => addresses.binance,
                Venue::Bybit => addresses.bybit,
            };
            Bases::paper(venue, address)
        }),
    }
}

/// Where `venue` is reached by a command: its real hosts, or the paper venue of the running `up`.
pub fn bases(installation: &Installation, venue: Venue) -> anyhow::Result<vault::BaseUrls> {
    let http = match installation.config.venues.get(&venue) {
        Some(real) => Bases::of(venue, real.network).http,
        None => {
            let url = Addresses::read(&installation.layout)
                .and_then(|addresses| addresses.paper.get(venue.as_str()).cloned())
                .with_context(|| {
                    format!("{venue} is the paper venue here, which runs only under `seawall up`")
                })?;
            let address = url.strip_prefix("http://").unwrap_or(&url).parse()?;
            Bases::paper(venue, address).http
        }
    };
    Ok(vault::BaseUrls([(venue, http)].into()))
}

fn paper_addresses(addresses: &paper::Addresses) -> [(Venue, SocketAddr); 2] {
    [(Venue::Binance, addresses.binance), (Venue::Bybit, addresses.bybit)]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn state_of(process: &Process) -> ProcessState {
    let health = match process.health() {
        Health::Waiting => "waiting",
        Health::Starting => "starting",
        Health::Ready => "ready",
        Health::Stopped => "stopped",
    };
    ProcessState {
        name: process.name().to_owned(),
        pid: process.pid(),
        health: health.to_owned(),
        restarts: process.restarts(),
        last_exit: process.last_exit().map(ToOwned::to_owned),
    }
}

fn state_text(status: &VaultStatus) -> String {
    status.states.iter().map(|(account, state)| format!("{account} {state}")).collect::<Vec<_>>().join(", ")
}

fn next_commands(layout: &Layout) -> [String; 3] {
    ["log verify", "halt --why \"just trying\"", "bot add mybot --venue bybit --account main"]
        .map(|words| crate::typed::command(layout, words))
}

/// Size and start of the root of the last checkpoint.
pub fn checkpoint_text(layout: &Layout) -> String {
    match journal::Folder::open_read_only(&layout.log()).and_then(|folder| folder.current_checkpoint()) {
        Ok((checkpoint, _)) => format!("{}@{}", checkpoint.size, &hex::encode(checkpoint.root)[..16]),
        Err(_) => "none".to_owned(),
    }
}

/// The paper venue's recipe. Its addresses stay the same over restarts.
fn paper_recipe(installation: &Installation, first: &Arc<Mutex<Option<paper::Addresses>>>) -> Recipe {
    let accounts = installation.layout.paper_accounts();
    let seed = installation.config.paper.seed;
    let first = Arc::clone(first);
    Recipe {
        name: "paper",
        startup: Box::new(move || {
            let mut config = paper::Config::demo(seed);
            config.first_id = first_id(now());
            config.accounts = Vec::new();
            if let Some(addresses) = *lock(&first) {
                config.binance = addresses.binance;
                config.bybit = addresses.bybit;
                config.control = addresses.control;
            }
            line(&PaperStartup { config, accounts: accounts.clone() })
        }),
        inherited: Vec::new(),
        log: installation.layout.process_logs().join("paper.log"),
    }
}

/// Where a paper venue that starts at `now` begins to count orders: an id of an earlier start would
/// name two orders in the vault. Room for 64 in each millisecond; below 2^48 until the year 2100.
fn first_id(now: Timestamp) -> u64 {
    now.as_ms().saturating_mul(64)
}

/// The gateway's recipe.
fn gateway_recipe(
    installation: &Installation,
    bases: &BTreeMap<Venue, Bases>,
    first: &Arc<Mutex<BTreeMap<Venue, SocketAddr>>>,
) -> Recipe {
    let layout = installation.layout.clone();
    let venues = installation.config.gateway.iter().filter_map(|(venue, own)| {
        Some((*venue, gateway::VenueEndpoint { listen: own.listen, bases: bases.get(venue)?.clone() }))
    });
    let config = gateway::Config {
        vault: layout.gateway_socket(),
        directory: layout.stand_ins(),
        venues: venues.collect(),
    };
    let first = Arc::clone(first);
    Recipe {
        name: "gateway",
        startup: Box::new(move || {
            let mut config = config.clone();
            for (venue, address) in lock(&first).iter() {
                if let Some(own) = config.venues.get_mut(venue) {
                    own.listen = *address;
                }
            }
            line(&config)
        }),
        inherited: Vec::new(),
        log: layout.process_logs().join("gateway.log"),
    }
}

/// The journal's recipe.
pub fn journal_recipe(installation: &Installation) -> Recipe {
    let layout = installation.layout.clone();
    let durability = installation.config.durability;
    let log = layout.process_logs().join("journal.log");
    Recipe {
        name: "journal",
        startup: Box::new(move || {
            line(&JournalStartup {
                dir: layout.log(),
                key: layout.log_key(),
                socket: layout.journal_socket(),
                durability,
            })
        }),
        inherited: Vec::new(),
        log,
    }
}

/// The vault's recipe. It reads the store anew at each start, so a restart takes what is in force.
pub fn vault_recipe(
    installation: &Installation,
    sockets: &Arc<VaultSockets>,
    bases: &vault::BaseUrls,
) -> Recipe {
    let layout = installation.layout.clone();
    let durability = installation.config.durability;
    let listeners = sockets.descriptors();
    // The recipe keeps the listeners open for as long as the vault can be started.
    let held = Arc::clone(sockets);
    let bases = bases.clone();
    let log = layout.process_logs().join("vault.log");
    Recipe {
        name: "vault",
        startup: Box::new(move || {
            let _held = &held;
            let root = Zeroizing::new(read_text(&layout.root_secret())?);
            let config = vault::Config {
                store: read_text(&layout.trade_store())?,
                journal: layout.journal_socket(),
                bases: bases.clone(),
                durability,
            };
            line(&VaultStartup { root: root.trim().to_owned(), config, listeners })
        }),
        inherited: listeners.to_vec(),
        log,
    }
}

/// One line of JSON, wiped after use. Its room is made before it is written: a text that grows leaves
/// pieces of itself behind.
pub fn line(value: &impl Serialize) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut length = Length(1);
    serde_json::to_writer(&mut length, value)?;
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *text, value)?;
    text.push(b'\n');
    Ok(text)
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl VaultSockets {
    /// Binds the vault's sockets; what a dead `up` left behind is replaced.
    pub fn bind(installation: &Installation) -> anyhow::Result<Self> {
        let layout = &installation.layout;
        Ok(Self {
            sign: bind(&layout.sign_socket(), 0o666)?,
            gateway: bind(&layout.gateway_socket(), 0o600)?,
            admin: bind(&layout.admin_socket(), 0o600)?,
            lease: bind(&layout.lease_socket(), 0o600)?,
        })
    }

    fn descriptors(&self) -> [i32; 4] {
        [&self.sign, &self.gateway, &self.admin, &self.lease].map(|listener| listener.as_raw_fd())
    }
}

/// Binds `path`. The folder admits its owner alone unless the operator opens it to the bots' users;
/// the vault checks who each caller is in any case.
fn bind(path: &Path, mode: u32) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(listener)
}
