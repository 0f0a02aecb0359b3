//! The bots' logins: keys in the form a venue issues, worthless at any venue.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;
use trading::{AccountName, BotName, Instrument, Timestamp, Venue};

/// One bot's login at one venue's gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandIn {
    /// The bot it stands for.
    pub bot: BotName,
    /// The venue whose gateway takes it.
    pub venue: Venue,
    /// The account its orders are for.
    pub account: AccountName,
    /// What the bot gives as its API key.
    pub api_key: String,
    /// What the bot signs with (HMAC-SHA256). Worth nothing at the venue.
    pub secret: String,
    /// When it was made.
    pub added_at: Timestamp,
}

impl fmt::Debug for StandIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StandIn({} at {} account {})", self.bot, self.venue, self.account)
    }
}

/// What the gateway is told by operators' commands: logins, and which instruments need marks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Every login.
    pub stand_ins: Vec<StandIn>,
    /// Instruments the policy names.
    pub instruments: Vec<Instrument>,
}

/// Why the directory cannot be used.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what `seawall bot` writes.
    #[error("{path} is damaged: {source}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
}

impl Directory {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if it is missing or damaged.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| DirectoryError::Unreadable { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|source| DirectoryError::Damaged { path: path.to_owned(), source })
    }
}

/// The directory as it is on disk now. A revoked login is refused on the next request.
pub(crate) struct Logins {
    path: PathBuf,
    current: Mutex<Loaded>,
}

struct Loaded {
    /// Modification time, size and inode of the file read.
    stamp: Option<(SystemTime, u64, u64)>,
    by_key: BTreeMap<(Venue, String), StandIn>,
    instruments: Vec<Instrument>,
}

impl Logins {
    /// Looks at the file at `path` from now on.
    pub(crate) fn new(path: PathBuf) -> Self {
        let nothing = Loaded { stamp: None, by_key: BTreeMap::new(), instruments: Vec::new() };
        Self { path, current: Mutex::new(nothing) }
    }

    /// The login behind `api_key`, if the file holds it at this moment.
    pub(crate) fn find(&self, venue: Venue, api_key: &str) -> Option<StandIn> {
        self.with_current(|loaded| loaded.by_key.get(&(venue, api_key.to_owned())).cloned())
    }

    /// One login for each account at `venue`.
    pub(crate) fn one_for_each_account(&self, venue: Venue) -> Vec<StandIn> {
        self.with_current(|loaded| {
            let own = loaded.by_key.values().filter(|login| login.venue == venue);
            let by_account: BTreeMap<&AccountName, &StandIn> =
                own.map(|login| (&login.account, login)).collect();
            by_account.into_values().cloned().collect()
        })
    }

    /// Instruments of `venue` that the policy names.
    pub(crate) fn instruments(&self, venue: Venue) -> Vec<Instrument> {
        self.with_current(|loaded| {
            loaded.instruments.iter().filter(|instrument| instrument.venue == venue).cloned().collect()
        })
    }

    fn with_current<T>(&self, look: impl FnOnce(&Loaded) -> T) -> T {
        let mut loaded = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp_of(&self.path);
        if stamp.is_none() || stamp != loaded.stamp {
            *loaded = self.read(stamp);
        }
        look(&loaded)
    }

    /// An unreadable file admits nobody.
    fn read(&self, stamp: Option<(SystemTime, u64, u64)>) -> Loaded {
        let directory = Directory::read(&self.path).unwrap_or_else(|error| {
            tracing::error!(%error, "no bot is admitted");
            Directory::default()
        });
        let by_key = directory
            .stand_ins
            .into_iter()
            .map(|login| ((login.venue, login.api_key.clone()), login))
            .collect();
        Loaded { stamp, by_key, instruments: directory.instruments }
    }
}

fn stamp_of(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

impl StandIn {
    /// Whether `signature` is this login's over `message`; compared in constant time.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(message);
        mac.verify_slice(signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(key: &str) -> StandIn {
        StandIn {
            bot: "demo".parse().expect("a name"),
            venue: Venue::Bybit,
            account: "main".parse().expect("a name"),
            api_key: key.into(),
            secret: "s".into(),
            added_at: Timestamp::from_ms(0),
        }
    }

    fn write(path: &Path, keys: &[&str]) {
        let directory =
            Directory { stand_ins: keys.iter().map(|key| login(key)).collect(), instruments: vec![] };
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec(&directory).expect("plain")).expect("writes");
        std::fs::rename(&temporary, path).expect("renames");
    }

    #[test]
    fn a_revoked_login_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("directory.json");
        write(&path, &["a", "b"]);
        let logins = Logins::new(path.clone());
        assert!(logins.find(Venue::Bybit, "a").is_some());
        assert!(logins.find(Venue::Binance, "a").is_none(), "scoped to its venue");
        write(&path, &["b"]);
        assert!(logins.find(Venue::Bybit, "a").is_none());
        assert!(logins.find(Venue::Bybit, "b").is_some());
        std::fs::remove_file(&path).expect("removes");
        assert!(logins.find(Venue::Bybit, "b").is_none(), "no file admits nobody");
    }

    #[test]
    fn a_login_never_prints_its_secret() {
        assert_eq!(format!("{:?}", login("key")), "StandIn(demo at bybit account main)");
    }
}
