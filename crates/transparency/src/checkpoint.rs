//! The checkpoint: the log's signed statement of its size and root, as a signed note.
//!
//! C2SP `tlog-checkpoint` and `signed-note` (c2sp.org), with the origin Sigsum gives a log, so that
//! Go's `x/mod/sumdb/note` and `sigsum-verify` check the same signature. Written out here rather
//! than taken from the `signed_note` crate because that brings a second Ed25519 and SHA-256
//! implementation into every process that handles records; it judges this code in the tests.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use thiserror::Error;

use crate::ed25519;
use crate::hash::{Hash, sha256};

/// Algorithm byte of Ed25519 in a verifier key (c2sp.org/signed-note).
const ED25519: u8 = 1;
/// Most bytes of a checkpoint note that is looked at.
const MAX_NOTE: usize = 64 * 1024;
const MAX_SIGNATURES: usize = 100;

/// Returns the origin (and key name) of the log with this public key.
#[must_use]
pub fn origin(public_key: &[u8; 32]) -> String {
    format!("sigsum.org/v1/tree/{}", hex::encode(sha256(public_key)))
}

/// The public key of a log under its name; prints and parses as a signed-note verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    name: String,
    public_key: [u8; 32],
}

/// Why a text is not a log's verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogKeyError {
    /// It does not read `name+id+key`.
    #[error("is not a verifier key")]
    Malformed,
    /// The id in it is not that of name and key.
    #[error("has an id that does not belong to its key")]
    Id,
    /// The name is not the origin that belongs to the key.
    #[error("has a name that does not belong to its key")]
    Name,
    /// The key is not an Ed25519 key.
    #[error("is not an Ed25519 key")]
    Algorithm,
}

impl LogKey {
    /// Returns the log key of `public_key`, named by its origin.
    #[must_use]
    pub fn new(public_key: [u8; 32]) -> Self {
        Self { name: origin(&public_key), public_key }
    }

    /// The Ed25519 public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The origin of the log's checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.name
    }

    /// The four bytes by which signature lines name the key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let digest = sha256(&[self.name.as_bytes(), b"\n", &[ED25519], &self.public_key].concat());
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(&self.public_key);
        write!(formatter, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64_STANDARD.encode(key))
    }
}

impl FromStr for LogKey {
    type Err = LogKeyError;

    fn from_str(text: &str) -> Result<Self, LogKeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(LogKeyError::Malformed);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| LogKeyError::Malformed)?;
        let (algorithm, public_key) = bytes.split_first().ok_or(LogKeyError::Malformed)?;
        if *algorithm != ED25519 {
            return Err(LogKeyError::Algorithm);
        }
        let public_key = public_key.try_into().map_err(|_| LogKeyError::Malformed)?;
        let parsed = Self::new(public_key);
        if parsed.name != name {
            return Err(LogKeyError::Name);
        }
        if hex::encode(parsed.id()) != id {
            return Err(LogKeyError::Id);
        }
        Ok(parsed)
    }
}

/// Size and root of a tree, as a log vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a text is not a checkpoint of the expected log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// It is not a signed note that holds origin, size and root.
    #[error("checkpoint is malformed")]
    Malformed,
    /// It is a checkpoint of another log.
    #[error("checkpoint is of another log")]
    Origin,
    /// The log has not signed it.
    #[error("checkpoint is not signed by the log")]
    Unsigned,
    /// The log's signature is wrong.
    #[error("checkpoint signature is invalid")]
    Signature,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }

    /// Signs the checkpoint: `sign` gets the text and returns the signature that `key` verifies.
    ///
    /// # Errors
    ///
    /// Whatever `sign` returns.
    pub fn sign<E>(
        &self,
        key: &LogKey,
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<String, E> {
        let text = self.text();
        let signature = [key.id().as_slice(), &sign(text.as_bytes())?].concat();
        Ok(format!("{text}\n— {} {}\n", key.origin(), BASE64_STANDARD.encode(signature)))
    }

    /// Opens a signed checkpoint of the log with `key`; returns it with the log's signature.
    ///
    /// Signatures of others (witnesses) are skipped. Extension lines are refused.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] that says what is wrong.
    pub fn open(note: &str, key: &LogKey) -> Result<(Self, [u8; 64]), CheckpointError> {
        let (text, signatures) = split_note(note)?;
        let checkpoint = Self::parse(text)?;
        if checkpoint.origin != key.origin() {
            return Err(CheckpointError::Origin);
        }
        let mut found = None;
        for (name, signature) in signatures {
            if name != key.origin() || signature[..4] != key.id() {
                continue;
            }
            let signature = signature[4..].try_into().map_err(|_| CheckpointError::Signature)?;
            if !ed25519::verify(key.public_key(), text.as_bytes(), &signature) {
                return Err(CheckpointError::Signature);
            }
            found = Some(signature);
        }
        Ok((checkpoint, found.ok_or(CheckpointError::Unsigned)?))
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = text.strip_suffix('\n').ok_or(malformed)?.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed);
        };
        let parsed: u64 = size.parse().map_err(|_| malformed)?;
        if origin.is_empty() || parsed.to_string() != size {
            return Err(malformed);
        }
        let root =
            BASE64_STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(malformed)?;
        Ok(Self { origin: origin.to_owned(), size: parsed, root })
    }
}

/// A signature line: key name; key id and signature.
type SignatureLine<'a> = (&'a str, Vec<u8>);

/// Splits a signed note into its text and its signature lines.
fn split_note(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), CheckpointError> {
    let malformed = CheckpointError::Malformed;
    if note.len() > MAX_NOTE || note.chars().any(|character| character < ' ' && character != '\n') {
        return Err(malformed);
    }
    let at = note.rfind("\n\n").ok_or(malformed)?;
    let (text, rest) = (&note[..=at], &note[at + 2..]);
    let mut signatures = Vec::new();
    for line in rest.strip_suffix('\n').ok_or(malformed)?.split('\n') {
        let (name, signature) =
            line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(malformed)?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| malformed)?;
        if name.is_empty() || name.contains('+') || signature.len() < 5 || signatures.len() == MAX_SIGNATURES
        {
            return Err(malformed);
        }
        signatures.push((name, signature));
    }
    Ok((text, signatures))
}
