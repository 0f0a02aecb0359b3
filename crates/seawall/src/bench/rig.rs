//! What a run needs and leaves nothing of: a folder, installations, processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use keys::{NewKey, Role, SecretText};
use protocol::client::LineClient;
use trading::{AccountName, BotName, Venue};
use vault::Durability;

use crate::bench::algorithm::{Algorithm, Keys};
use crate::bench::bare::BareStartup;
use crate::config::Config;
use crate::installation::{Installation, new_stand_in, now, random_text};
use crate::layout::Layout;
use crate::up::stack::{VaultSockets, journal_recipe, line, vault_recipe};
use crate::up::supervisor::{Process, Recipe};

/// The bot that asks.
pub const BOT: &str = "bench";
/// Another bot and its account, which signs by HMAC: a bot may sign for 32,000 messages a second at most.
const SECOND_BOT: &str = "second";
pub const SECOND_ACCOUNT: &str = "hmac-second";
/// The account behind the gateway, at the paper venue.
pub const GATEWAY_ACCOUNT: &str = "gateway";

/// What every part of the run needs.
pub struct Rig<'a> {
    pub keys: Keys,
    pub scratch: Scratch,
    /// Asked now and then; `false` gives up.
    pub keep_going: &'a dyn Fn() -> bool,
}

impl Rig<'_> {
    /// Fails once the run shall end.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!((self.keep_going)(), "stopped");
        Ok(())
    }
}

/// The policy of the run: an account for each algorithm and one behind the gateway, all for one bot of
/// this user.
pub fn policy_text() -> anyhow::Result<String> {
    let mut accounts: Vec<(AccountName, Venue)> = Vec::new();
    for algorithm in Algorithm::ALL {
        accounts.push((algorithm.account()?, Venue::Binance));
    }
    accounts.push((AccountName::new(GATEWAY_ACCOUNT)?, Venue::Bybit));
    let names: Vec<String> = accounts.iter().map(|(account, _)| format!("\"{account}\"")).collect();
    let uid = protocol::peer::Peer::own_uid();
    let bot = |name: &str, accounts: &str| {
        format!(
            "[bots.{name}]\naccounts = [{accounts}]\nuids = [\"{uid}\"]\nnew_orders_per_second = 32000\nmessages_per_second = 32000\nnotional_per_utc_day = \"1000000000000\"\nnotional_rolling_24h = \"1000000000000\"\n\n"
        )
    };
    let mut text = "version = 1\nwatchdogs = []\n\n".to_owned() + &bot(BOT, &names.join(", "));
    text.push_str(&bot(SECOND_BOT, &format!("\"{SECOND_ACCOUNT}\"")));
    accounts.push((AccountName::new(SECOND_ACCOUNT)?, Venue::Binance));
    for (account, venue) in &accounts {
        let own = include_str!("account.toml").replace("{account}", account.as_str());
        text.push_str(&own.replace("{venue}", venue.as_str()));
    }
    Ok(text)
}

/// The folder of a run, on the file system of the installation's data; gone at the end.
pub struct Scratch {
    path: PathBuf,
    /// The data folder, if it was made for this run.
    made: Option<PathBuf>,
}

impl Scratch {
    /// Makes it in the installation's data folder, where the real log would lie.
    pub fn beside(layout: &Layout) -> anyhow::Result<Self> {
        let data = layout.data().to_owned();
        let made = (!data.exists()).then(|| data.clone());
        let path = data.join(format!("bench-{}", std::process::id()));
        let scratch = Self { path, made };
        std::fs::create_dir_all(&data)
            .and_then(|()| std::fs::create_dir(&scratch.path))
            .with_context(|| format!("cannot make the folder {}", scratch.path.display()))?;
        Ok(scratch)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "could not be removed");
        }
        if let Some(made) = &self.made {
            // Somebody may have put something there meanwhile; then it stays.
            drop(std::fs::remove_dir(made));
        }
    }
}

/// Processes that serve one socket; they end with this.
pub struct Server {
    /// Stopped from the last to the first: the vault before its journal.
    processes: Vec<Process>,
    layout: Layout,
    /// A folder for sockets outside of the scratch folder, where that is too deep for them.
    outside: Option<PathBuf>,
}

impl Server {
    /// A vault and its journal, as `seawall up` starts them, with a real store and policy.
    pub fn vault(name: &str, durability: Durability, rig: &Rig<'_>) -> anyhow::Result<Self> {
        Ok(Self::installed(name, durability, None, rig)?.0)
    }

    /// The same behind a gateway, before a paper venue at `paper`.
    pub fn installed(
        name: &str,
        durability: Durability,
        paper: Option<(SocketAddr, &paper::KeyConfig)>,
        rig: &Rig<'_>,
    ) -> anyhow::Result<(Self, Installation)> {
        let layout = Layout::resolve(Some(rig.scratch.join(name)))?;
        let config = Config { durability, ..Config::default() };
        let installation = Installation { layout: layout.clone(), config };
        if !installation.is_set_up() {
            set_up(&installation, paper.map(|(_, key)| key), rig)?;
        }
        let mut hosts = vec![gateway::Bases::of(Venue::Binance, gateway::Network::Live)];
        hosts.extend(paper.map(|(address, _)| gateway::Bases::paper(Venue::Bybit, address)));
        let venues = [Venue::Binance, Venue::Bybit];
        let bases =
            vault::BaseUrls(venues.into_iter().zip(hosts).map(|(venue, own)| (venue, own.http)).collect());
        let sockets = Arc::new(VaultSockets::bind(&installation)?);
        let mut server = Self::empty(layout, &rig.scratch);
        for recipe in [journal_recipe(&installation), vault_recipe(&installation, &sockets, &bases)] {
            server.launch(recipe, rig)?;
        }
        Ok((server, installation))
    }

    /// A bare signer; with `durable`, one that writes and syncs before it answers.
    pub fn bare(name: &str, algorithm: Algorithm, durable: bool, rig: &Rig<'_>) -> anyhow::Result<Self> {
        // The run folder of a layout is short enough for sockets.
        let layout = Layout::resolve(Some(rig.scratch.join(name)))?;
        layout.create()?;
        let log = durable.then(|| layout.data().join("log"));
        let startup = BareStartup::new(algorithm, rig.keys.hex(algorithm), layout.sign_socket(), log);
        let recipe = Recipe {
            name: "bare-signer",
            startup: Box::new(move || line(&startup)),
            inherited: Vec::new(),
            log: layout.process_logs().join("bare.log"),
        };
        let mut server = Self::empty(layout, &rig.scratch);
        server.launch(recipe, rig)?;
        Ok(server)
    }

    /// Nothing yet, in `layout`.
    pub fn empty(layout: Layout, scratch: &Scratch) -> Self {
        let run = layout.sign_socket().parent().map(Path::to_owned);
        let outside = run.filter(|run| !run.starts_with(scratch.path()));
        Self { processes: Vec::new(), layout, outside }
    }

    /// A caller of it.
    pub fn connect(&self) -> anyhow::Result<LineClient> {
        let client = LineClient::connect(&self.socket())?;
        client.set_timeout(std::time::Duration::from_secs(10))?;
        Ok(client)
    }

    /// Where orders are taken.
    pub fn socket(&self) -> PathBuf {
        self.layout.sign_socket()
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The process `name`, while it lives.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.processes.iter().find(|process| process.name() == name)?.pid()
    }

    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().filter_map(Process::pid)
    }

    /// Starts one more; returns what it said when it was ready.
    pub fn launch(&mut self, recipe: Recipe, rig: &Rig<'_>) -> anyhow::Result<serde_json::Value> {
        let mut process = Process::new(recipe);
        let said = process.start(rig.keep_going);
        self.processes.push(process);
        said
    }

    /// Stops its processes and leaves its files.
    pub fn stop(&mut self) {
        while let Some(mut process) = self.processes.pop() {
            process.stop();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(outside) = &self.outside {
            drop(std::fs::remove_dir_all(outside));
        }
    }
}

/// The policy, and a sealed key for each of its accounts.
fn set_up(
    installation: &Installation,
    paper: Option<&paper::KeyConfig>,
    rig: &Rig<'_>,
) -> anyhow::Result<()> {
    let policy = installation.first_policy(&policy_text()?)?;
    let (mut store, _) = installation.store()?;
    let root = installation.root_secret()?;
    let mut add = |venue, account: &AccountName, api_key: &str, secret: &SecretText| {
        let new = NewKey { venue, account, role: Role::Trade, api_key, secret, added_at: now() };
        // Binance takes neither P-256 nor secp256k1. The vault writes and signs the same request as with
        // the venue's own algorithms; none of it ever leaves this machine.
        store.add_to_measure(&root, &policy.hash(), &new).map(drop)
    };
    for algorithm in Algorithm::ALL {
        add(Venue::Binance, &algorithm.account()?, &random_text(64), &rig.keys.secret(algorithm))?;
    }
    let (account, secret) = (AccountName::new(SECOND_ACCOUNT)?, rig.keys.secret(Algorithm::Hmac));
    add(Venue::Binance, &account, &random_text(64), &secret)?;
    if let Some(paper::KeyConfig { api_key, secret: paper::Secret::Hmac(secret), .. }) = paper {
        let account = AccountName::new(GATEWAY_ACCOUNT)?;
        add(Venue::Bybit, &account, api_key, &SecretText::new(secret.clone()))?;
        let login = new_stand_in(&BotName::new(BOT)?, Venue::Bybit, &account);
        installation.write_directory(|logins| logins.push(login), &policy)?;
    }
    crate::layout::write_private(&installation.layout.trade_store(), store.to_json().as_bytes())
}
