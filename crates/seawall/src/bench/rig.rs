//! What a run needs and leaves nothing of: a folder, keys, installations, processes.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256};
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keys::{NewKey, Role, SecretText, SigningKey};
use protocol::client::LineClient;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use trading::{AccountName, Venue};
use vault::Durability;

use crate::bench::bare::BareStartup;
use crate::config::Config;
use crate::installation::{Installation, now, random_text};
use crate::layout::Layout;
use crate::up::stack::{VaultSockets, journal_recipe, line, vault_recipe};
use crate::up::supervisor::{Process, Recipe};

/// The bot that asks.
pub const BOT: &str = "bench";
/// Bytes of an RSA-2048 signature, the longest here.
pub const RSA_BYTES: usize = 256;

/// A venue's way to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Hmac,
    Ed25519,
    Rsa,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::Hmac, Self::Ed25519, Self::Rsa];
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hmac => "HMAC-SHA256",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA-2048",
        })
    }
}

/// The account that signs with `algorithm`.
pub fn account(algorithm: Algorithm) -> anyhow::Result<AccountName> {
    Ok(AccountName::new(match algorithm {
        Algorithm::Hmac => "hmac",
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Rsa => "rsa",
    })?)
}

/// The policy of the run: an account for each algorithm, all for one bot of this user.
pub fn policy_text() -> anyhow::Result<String> {
    let accounts = Algorithm::ALL.map(account).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let names: Vec<String> = accounts.iter().map(|account| format!("\"{account}\"")).collect();
    let uid = protocol::peer::Peer::own_uid();
    let mut text = format!(
        "version = 1\n\n[bots.{BOT}]\naccounts = [{}]\nuids = [\"{uid}\"]\nnew_orders_per_second = 32000\nmessages_per_second = 32000\nnotional_per_utc_day = \"1000000000000\"\nnotional_rolling_24h = \"1000000000000\"\n\n",
        names.join(", ")
    );
    for account in &accounts {
        text.push_str(&include_str!("account.toml").replace("{account}", account.as_str()));
    }
    Ok(text)
}

/// Throw-away keys, each in the form that its user takes.
pub struct Keys {
    hmac: String,
    ed25519: Vec<u8>,
    rsa: Vec<u8>,
}

impl Keys {
    /// Makes new ones.
    pub fn generate() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).context("cannot make an Ed25519 key")?;
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).context("cannot make an RSA key")?;
        let rsa: Pkcs8V1Der<'_> = rsa.as_der().context("cannot write an RSA key")?;
        Ok(Self { hmac: random_text(64), ed25519: ed25519.as_ref().to_vec(), rsa: rsa.as_ref().to_vec() })
    }

    fn bytes(&self, algorithm: Algorithm) -> &[u8] {
        match algorithm {
            Algorithm::Hmac => self.hmac.as_bytes(),
            Algorithm::Ed25519 => &self.ed25519,
            Algorithm::Rsa => &self.rsa,
        }
    }

    /// As a venue hands it out.
    fn secret(&self, algorithm: Algorithm) -> SecretText {
        let pem = |der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            let label = "PRIVATE KEY";
            SecretText::new(format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"))
        };
        match algorithm {
            Algorithm::Hmac => SecretText::new(self.hmac.clone()),
            Algorithm::Ed25519 => pem(&self.ed25519),
            Algorithm::Rsa => pem(&self.rsa),
        }
    }

    /// Our way to sign.
    pub fn signing(&self, algorithm: Algorithm) -> anyhow::Result<SigningKey> {
        Ok(SigningKey::parse(&self.secret(algorithm))?)
    }

    /// The library's way to sign.
    pub fn bare(&self, algorithm: Algorithm) -> anyhow::Result<BareKey> {
        BareKey::parse(algorithm, &hex(self.bytes(algorithm)))
    }
}

/// The library's own key, called without anything of ours around it.
pub enum BareKey {
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl BareKey {
    /// Reads the hexadecimal key.
    pub fn parse(algorithm: Algorithm, key: &str) -> anyhow::Result<Self> {
        let bytes = unhex(key).context("a key is hexadecimal")?;
        Ok(match algorithm {
            Algorithm::Hmac => Self::Hmac(Box::new(Hmac::new_from_slice(&bytes)?)),
            Algorithm::Ed25519 => Self::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(&bytes)?)),
            Algorithm::Rsa => Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(&bytes)?)),
        })
    }

    /// Signs into `room`; returns how many bytes.
    pub fn sign(&self, message: &[u8], room: &mut [u8; RSA_BYTES]) -> usize {
        match self {
            Self::Hmac(state) => {
                let mut state = (**state).clone();
                state.update(message);
                let code = state.finalize().into_bytes();
                room[..code.len()].copy_from_slice(&code);
                code.len()
            }
            Self::Ed25519(pair) => {
                let signature = pair.sign(message);
                room[..signature.as_ref().len()].copy_from_slice(signature.as_ref());
                signature.as_ref().len()
            }
            Self::Rsa(pair) => {
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, room)
                    .expect("a fresh key signs any message");
                RSA_BYTES
            }
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
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

    fn join(&self, name: &str) -> PathBuf {
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
    socket: PathBuf,
    /// A folder for sockets outside of the scratch folder, where that is too deep for them.
    outside: Option<PathBuf>,
}

impl Server {
    /// A vault and its journal, as `seawall up` starts them, with a real store and policy.
    pub fn vault(
        name: &str,
        durability: Durability,
        keys: &Keys,
        scratch: &Scratch,
        keep_going: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let layout = Layout::resolve(Some(scratch.join(name)))?;
        let config = Config { durability, ..Config::default() };
        let installation = Installation { layout: layout.clone(), config };
        let policy = installation.first_policy(&policy_text()?)?;
        let (mut store, _) = installation.store()?;
        let root = installation.root_secret()?;
        for algorithm in Algorithm::ALL {
            let (account, secret) = (account(algorithm)?, keys.secret(algorithm));
            let api_key = random_text(64);
            let new = NewKey {
                venue: Venue::Binance,
                account: &account,
                role: Role::Trade,
                api_key: &api_key,
                secret: &secret,
                added_at: now(),
            };
            store.add(&root, &policy.hash(), &new)?;
        }
        crate::layout::write_private(&layout.trade_store(), store.to_json().as_bytes())?;
        let sockets = std::sync::Arc::new(VaultSockets::bind(&installation)?);
        let hosts = gateway::Bases::of(Venue::Binance, gateway::Network::Live).http;
        let bases = vault::BaseUrls([(Venue::Binance, hosts)].into());
        let socket = layout.sign_socket();
        let outside = socket.parent().filter(|run| !run.starts_with(scratch.path())).map(Path::to_owned);
        let mut server = Self { processes: Vec::new(), socket, outside };
        for recipe in [journal_recipe(&installation), vault_recipe(&installation, &sockets, &bases)] {
            server.launch(recipe, keep_going)?;
        }
        Ok(server)
    }

    /// A bare signer; with `durable`, one that writes and syncs before it answers.
    pub fn bare(
        name: &str,
        algorithm: Algorithm,
        durable: bool,
        keys: &Keys,
        scratch: &Scratch,
        keep_going: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        // The run folder of a layout is short enough for sockets.
        let layout = Layout::resolve(Some(scratch.join(name)))?;
        layout.create()?;
        let socket = layout.sign_socket();
        let outside = socket.parent().filter(|run| !run.starts_with(scratch.path())).map(Path::to_owned);
        let log = durable.then(|| layout.data().join("log"));
        let startup = BareStartup::new(algorithm, hex(keys.bytes(algorithm)), socket.clone(), log);
        let mut server = Self { processes: Vec::new(), socket, outside };
        let recipe = Recipe {
            name: "bare-signer",
            startup: Box::new(move || line(&startup)),
            inherited: Vec::new(),
            log: layout.process_logs().join("bare.log"),
        };
        server.launch(recipe, keep_going)?;
        Ok(server)
    }

    /// A caller of it.
    pub fn connect(&self) -> anyhow::Result<LineClient> {
        let client = LineClient::connect(&self.socket)?;
        client.set_timeout(std::time::Duration::from_secs(10))?;
        Ok(client)
    }

    fn launch(&mut self, recipe: Recipe, keep_going: &dyn Fn() -> bool) -> anyhow::Result<()> {
        let mut process = Process::new(recipe);
        let said = process.start(keep_going);
        self.processes.push(process);
        said.map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        while let Some(mut process) = self.processes.pop() {
            process.stop();
        }
        if let Some(outside) = &self.outside {
            drop(std::fs::remove_dir_all(outside));
        }
    }
}
