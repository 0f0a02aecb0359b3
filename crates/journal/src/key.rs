//! The log's own key: signs checkpoints and vouches for vault keys. Made once, never replaced.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use transparency::{LogKey, Statement};
use zeroize::Zeroizing;

use crate::error::{JournalError, io_error};
use crate::storage::Storage;

/// The log's signing key.
pub struct LogSigner {
    pair: Ed25519KeyPair,
    public: LogKey,
}

impl std::fmt::Debug for LogSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LogSigner(..)")
    }
}

impl LogSigner {
    /// Makes a signer from a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed");
        let public = pair.public_key().as_ref().try_into().expect("Ed25519 public keys have 32 bytes");
        Self { pair, public: LogKey::new(public) }
    }

    /// Reads the key from `path` (32 bytes in hex, mode 0600), or makes it if neither it nor a log
    /// in `dir` exists. The public half lies in `dir` as `log.pub`.
    ///
    /// # Errors
    ///
    /// [`JournalError::Key`] if the key is gone although its log exists, is malformed, readable for
    /// others, or not the one in `log.pub`.
    pub fn load_or_create(storage: &dyn Storage, path: &Path, dir: &Path) -> Result<Self, JournalError> {
        let bad = |what: &str| JournalError::Key { path: path.to_owned(), what: what.to_owned() };
        let public_path = dir.join("log.pub");
        let public = storage.read(&public_path).map_err(io_error("read", &public_path))?;
        let signer = match storage.read(path).map_err(io_error("read", path))?.map(Zeroizing::new) {
            Some(text) => {
                check_mode(path)?;
                let mut seed = Zeroizing::new([0; 32]);
                hex::decode_to_slice(text.trim_ascii_end(), seed.as_mut_slice())
                    .map_err(|_| bad("is not 32 bytes in hex"))?;
                Self::from_seed(&seed)
            }
            None if public.is_some() => {
                return Err(bad("is missing although its log exists; restore it from a backup"));
            }
            None => Self::create(storage, path)?,
        };
        let line = format!("{}\n", signer.public);
        match public {
            Some(known) if known == line.as_bytes() => {}
            Some(_) => return Err(bad("does not belong to this log (log.pub has another key)")),
            None => {
                write_once(storage, &public_path, line.as_bytes())?;
            }
        }
        Ok(signer)
    }

    fn create(storage: &dyn Storage, path: &Path) -> Result<Self, JournalError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut_slice()).map_err(|_| JournalError::Key {
            path: path.to_owned(),
            what: "the system gives no random bytes".to_owned(),
        })?;
        let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(*seed))));
        write_once(storage, path, text.as_bytes())?;
        Ok(Self::from_seed(&seed))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &LogKey {
        &self.public
    }

    /// Signs bytes that carry their own namespace: a checkpoint or a statement.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], std::convert::Infallible> {
        Ok(self.pair.sign(message).as_ref().try_into().expect("Ed25519 signatures have 64 bytes"))
    }

    /// Vouches for a vault's key.
    #[must_use]
    pub fn vouch(&self, statement: &Statement) -> Vec<u8> {
        let Ok(bytes) = statement.sign(|message| self.sign(message));
        bytes
    }
}

/// Writes a file under a temporary name, then gives it its own; durable when it returns.
pub(crate) fn write_once(storage: &dyn Storage, path: &Path, content: &[u8]) -> Result<(), JournalError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary: PathBuf = path.with_extension("tmp");
    storage.write(&temporary, content).map_err(io_error("write", &temporary))?;
    storage.rename(&temporary, path).map_err(io_error("rename to", path))?;
    storage.sync_folder(folder).map_err(io_error("sync", folder))
}

/// Refuses a key file that others may read. A path that only the storage knows has no mode.
fn check_mode(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Err(JournalError::Key {
            path: path.to_owned(),
            what: "is readable for others; run `chmod 600` on it".to_owned(),
        }),
        _ => Ok(()),
    }
}
