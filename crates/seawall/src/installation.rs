//! One installation: its folder, its wiring, its secrets at rest, and the changes to them.

use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use gateway::{Directory, StandIn};
use keys::{Role, RootSecret, SealedStore};
use policy::Policy;
use protocol::admin::{AdminCommand, AdminReply, Change};
use protocol::client::LineClient;
use rustix::fs::{FlockOperation, flock};
use trading::{AccountName, BotName, Timestamp, Venue};

use crate::config::Config;
use crate::layout::{Layout, read_text, write_private};

/// Longest wait for another command that changes the same installation.
const CHANGE_LIMIT: Duration = Duration::from_secs(15);
/// Longest wait for the vault's answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Held while policy, keys or logins are read, changed and written back.
pub struct Changing {
    _file: std::fs::File,
}

/// The vault's word that it did not do what it was told.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the vault refused: {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// An installation on disk.
pub struct Installation {
    pub layout: Layout,
    pub config: Config,
}

impl Installation {
    /// Opens what is there; the wiring defaults where there is no file.
    pub fn open(layout: Layout) -> anyhow::Result<Self> {
        let config = Config::load(&layout)?;
        Ok(Self { layout, config })
    }

    /// Waits until no other command changes this installation, and keeps others waiting.
    pub fn changing(&self) -> anyhow::Result<Changing> {
        self.layout.create()?;
        let path = self.layout.change_lock();
        let file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let deadline = Instant::now() + CHANGE_LIMIT;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            anyhow::ensure!(Instant::now() < deadline, "another command is changing {}", path.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Changing { _file: file })
    }

    /// Whether policy.toml reads `text`; a file that is not there contradicts nothing.
    pub fn policy_file_is(&self, text: &str) -> bool {
        let path = self.layout.policy();
        !path.exists() || std::fs::read_to_string(path).is_ok_and(|found| found == text)
    }

    /// The root secret; made at the first call.
    pub fn root_secret(&self) -> anyhow::Result<RootSecret> {
        let path = self.layout.root_secret();
        if !path.exists() {
            self.layout.create()?;
            let root = RootSecret::generate();
            write_private(&path, root.to_hex().as_bytes())?;
            return Ok(root);
        }
        let text = zeroize::Zeroizing::new(read_text(&path)?);
        RootSecret::from_hex(&text).with_context(|| format!("{}", path.display()))
    }

    /// The sealed store and the policy in force.
    pub fn store(&self) -> anyhow::Result<(SealedStore, Policy)> {
        let path = self.layout.trade_store();
        let store =
            SealedStore::from_json(&read_text(&path)?).with_context(|| format!("{}", path.display()))?;
        let policy = parse_policy(store.policy()).with_context(|| format!("{}", path.display()))?;
        Ok((store, policy))
    }

    /// The sealed store of `role`, under the policy in force; an empty one where there is none yet.
    pub fn store_of(&self, role: Role) -> anyhow::Result<(SealedStore, Policy)> {
        let (trade, policy) = self.store()?;
        if role == Role::Trade {
            return Ok((trade, policy));
        }
        let path = self.layout.store(role);
        if !path.exists() {
            return Ok((SealedStore::new(trade.policy(), &policy.hash()), policy));
        }
        let store =
            SealedStore::from_json(&read_text(&path)?).with_context(|| format!("{}", path.display()))?;
        // Resealing stopped before this store's turn.
        if store.policy() != trade.policy() {
            let old = parse_policy(store.policy()).with_context(|| format!("{}", path.display()))?;
            let resealed = store.reseal(&self.root_secret()?, &old.hash(), trade.policy(), &policy.hash())?;
            write_private(&path, resealed.to_json().as_bytes())?;
            return Ok((resealed, policy));
        }
        Ok((store, policy))
    }

    /// The roles that have a store.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(|role| self.layout.store(*role).exists())
    }

    /// Writes the store of `role` and has the change recorded. The trade vault takes its own at once,
    /// another at its next start.
    pub fn put_store(
        &self,
        role: Role,
        store: &SealedStore,
        policy: &Policy,
        change: &Change,
    ) -> anyhow::Result<()> {
        if role == Role::Trade {
            return self.put_in_force(store, policy, change);
        }
        write_private(&self.layout.store(role), store.to_json().as_bytes())?;
        self.note(change)
    }

    /// Whether keys and policy were set up.
    pub fn is_set_up(&self) -> bool {
        self.layout.trade_store().exists()
    }

    /// Puts `text` in force as the first policy, with no keys yet.
    pub fn first_policy(&self, text: &str) -> anyhow::Result<Policy> {
        self.layout.create()?;
        self.root_secret()?;
        let policy = parse_policy(text)?;
        if !self.layout.policy().exists() {
            write_private(&self.layout.policy(), text.as_bytes())?;
        }
        let store = SealedStore::new(text, &policy.hash());
        write_private(&self.layout.trade_store(), store.to_json().as_bytes())?;
        self.write_directory(|_| (), &policy)?;
        Ok(policy)
    }

    /// Puts the policy `text` in force: reseals the keys under it and tells the running vault.
    /// Edits of policy.toml that are not in force are not overwritten.
    pub fn apply_policy(&self, text: &str, change: &Change) -> anyhow::Result<Policy> {
        let new = parse_policy(text)?;
        let root = self.root_secret()?;
        let (store, old) = self.store()?;
        anyhow::ensure!(
            self.policy_file_is(store.policy()) || self.policy_file_is(text),
            "{} has changes that are not in force; put them in force with `seawall policy apply`, or take \
             them back, first",
            self.layout.policy().display()
        );
        let resealed = store.reseal(&root, &old.hash(), text, &new.hash())?;
        self.put_in_force(&resealed, &new, change)?;
        write_private(&self.layout.policy(), text.as_bytes())?;
        for role in self.roles() {
            // Looking at a store brings it under the policy in force.
            self.store_of(role)?;
        }
        Ok(new)
    }

    /// Writes `store` and has the running vault take it. If the vault refuses, the old one stays; if
    /// it does not answer, the new one is what it takes at its next start. Where none runs, the next
    /// one records the change.
    pub fn put_in_force(&self, store: &SealedStore, policy: &Policy, change: &Change) -> anyhow::Result<()> {
        let path = self.layout.trade_store();
        let before = std::fs::read(&path).ok();
        let text = store.to_json();
        let command = AdminCommand::Load { store: text.clone(), change: change.clone() };
        let length = serde_json::to_vec(&command)?.len();
        anyhow::ensure!(
            length <= protocol::line::MAX_LINE,
            "policy and keys together take {length} bytes; the vault takes {} at most",
            protocol::line::MAX_LINE
        );
        write_private(&path, text.as_bytes())?;
        let refused = match self.tell_vault(&command) {
            Ok(Some(_)) => None,
            Ok(None) => crate::unrecorded::keep(self, change).err(),
            Err(error) if error.is::<Refused>() => Some(error),
            Err(error) => {
                return Err(error.context(
                    "the change is on disk, but whether the running vault took it is not known; \
                     see `seawall status`, and give the command again",
                ));
            }
        };
        if let Some(error) = refused {
            if let Some(before) = before {
                write_private(&path, &before)?;
            }
            return Err(error);
        }
        self.write_directory(|_| (), policy)
    }

    /// The bots' logins and the instruments that need prices.
    pub fn directory(&self) -> anyhow::Result<Directory> {
        let path = self.layout.stand_ins();
        if path.exists() { Ok(Directory::read(&path)?) } else { Ok(Directory::default()) }
    }

    /// Changes the logins; the instruments follow `policy`.
    pub fn write_directory(
        &self,
        change: impl FnOnce(&mut Vec<StandIn>),
        policy: &Policy,
    ) -> anyhow::Result<()> {
        let mut directory = self.directory()?;
        change(&mut directory.stand_ins);
        directory.instruments = policy.instruments().cloned().collect();
        write_private(&self.layout.stand_ins(), &serde_json::to_vec_pretty(&directory)?)
    }

    /// Has the vault record `change`; where none runs, the next one does.
    pub fn note(&self, change: &Change) -> anyhow::Result<()> {
        match self.tell_vault(&AdminCommand::Note { change: change.clone() })? {
            Some(_) => Ok(()),
            None => crate::unrecorded::keep(self, change),
        }
    }

    /// Sends a command to the vault if it runs; `None` if it does not.
    pub fn tell_vault(&self, command: &AdminCommand) -> anyhow::Result<Option<AdminReply>> {
        self.tell_vault_within(command, ANSWER_LIMIT)
    }

    /// The same with a limit of the caller's.
    pub fn tell_vault_within(
        &self,
        command: &AdminCommand,
        limit: Duration,
    ) -> anyhow::Result<Option<AdminReply>> {
        match LineClient::connect(&self.layout.admin_socket()) {
            Ok(mut client) => {
                client.set_timeout(limit)?;
                match client.call(command).context("the vault did not answer")? {
                    AdminReply::Error { error } => Err(Refused(error.message).into()),
                    reply => Ok(Some(reply)),
                }
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error).context("cannot reach the vault"),
        }
    }

    /// Sends a command to the vault, which must run.
    pub fn ask_vault(&self, command: &AdminCommand) -> anyhow::Result<AdminReply> {
        self.tell_vault(command)?.with_context(|| {
            format!("nothing runs on {}; start it with `seawall up`", self.layout.data().display())
        })
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}

/// Reads a policy; every mistake stands in the error, one per line.
pub fn parse_policy(text: &str) -> anyhow::Result<Policy> {
    Policy::parse(text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policy has {} mistake(s):\n{}", lines.len(), lines.join("\n"))
    })
}

/// Milliseconds since the epoch.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A new login in the form `venue` issues: what that venue's libraries expect.
pub fn new_stand_in(bot: &BotName, venue: Venue, account: &AccountName) -> StandIn {
    let (key, secret) = match venue {
        Venue::Binance => (64, 64),
        Venue::Bybit => (18, 36),
    };
    StandIn {
        bot: bot.clone(),
        venue,
        account: account.clone(),
        api_key: random_text(key),
        secret: random_text(secret),
        added_at: now(),
    }
}

/// `length` letters and digits, each of the 62 equally likely.
pub fn random_text(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0];
        keys::fill_random(&mut byte);
        // 248 is the largest multiple of 62 below 256: larger bytes would favour some letters.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    text
}
