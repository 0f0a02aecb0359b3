//! A proof for one record that needs nothing else: a JSON file that anyone can check offline.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::body::{Body, BodyError};
use crate::cbor::CborError;
use crate::checkpoint::{Checkpoint, CheckpointError, LogKey, LogKeyError};
use crate::epoch::{Epoch, EpochError};
use crate::hash::{Hash, sha256};
use crate::leaf::{LEAF_BYTES, Leaf, LeafError};
use crate::proof::verify_inclusion;

const FORMAT: &str = "seawall-proof/v1";
const MAX_EPOCHS: usize = 64;
const MAX_BUNDLE: usize = 8 << 20;
const MAX_PATH: usize = 64;

/// A record and all that shows it to be in a log: its leaf, the epoch records that vouch for the
/// leaf's key, and the way of each up to one signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The record.
    pub record: BundleRecord,
    /// The first record of its epoch and of each later epoch that signed one of these leaves.
    pub epochs: Vec<BundleRecord>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The log's verifier key.
    pub log_key: String,
}

/// One record inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRecord {
    /// Its place in the log.
    pub index: u64,
    /// The encoded body.
    pub body: Vec<u8>,
    /// The detail; may be withheld except for epoch records.
    pub detail: Option<Vec<u8>>,
    /// The leaf.
    pub leaf: [u8; LEAF_BYTES],
    /// Sibling hashes from leaf to root.
    pub inclusion: Vec<Hash>,
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The record.
    pub body: Body,
    /// Its detail, if the bundle carries it.
    pub detail: Option<Vec<u8>>,
    /// The epoch whose key signed its leaf.
    pub signed_by: Epoch,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
    /// The log's key.
    pub log_key: LogKey,
    /// Hash of the record's leaf in the tree.
    pub leaf_hash: Hash,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// It is not a proof bundle.
    #[error("not a proof bundle: {0}")]
    Malformed(String),
    /// The log key in it is not one.
    #[error("log key {0}")]
    LogKey(#[from] LogKeyError),
    /// It is of another log than expected.
    #[error("the proof is of another log than the one expected")]
    OtherLog,
    /// The checkpoint does not hold.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// A body is not canonical.
    #[error("record {0}: {1}")]
    Body(u64, BodyError),
    /// A body has another sequence number than the index it is proved at.
    #[error("record {0} says it is record {1}")]
    Sequence(u64, u64),
    /// A detail is not the one its body speaks of.
    #[error("record {0} has another detail than its body says")]
    Detail(u64),
    /// A leaf does not fit.
    #[error("record {0}: {1}")]
    Leaf(u64, LeafError),
    /// A leaf is not in the checkpoint's tree.
    #[error("record {0} is not in the checkpoint's tree")]
    NotIncluded(u64),
    /// An epoch record is not one.
    #[error("record {0} is no epoch record: {1}")]
    EpochDetail(u64, CborError),
    /// An epoch's statement does not hold.
    #[error("record {0}: {1}")]
    Statement(u64, EpochError),
    /// The record's own epoch is not in the bundle, or something else than an epoch record is.
    #[error("the bundle lacks the epoch record for record {0}")]
    NoEpoch(u64),
}

/// Verifies a proof bundle. With `expected`, the log must be the one with that key; without it, the
/// bundle's own word is taken for which log it speaks of.
///
/// # Errors
///
/// [`BundleError`] for the first thing that does not hold.
pub fn verify_proof(bundle: &Bundle, expected: Option<&LogKey>) -> Result<Verified, BundleError> {
    let log_key: LogKey = bundle.log_key.parse()?;
    if expected.is_some_and(|expected| *expected != log_key) {
        return Err(BundleError::OtherLog);
    }
    let (checkpoint, _) = Checkpoint::open(&bundle.checkpoint, &log_key)?;
    let mut epochs = Vec::new();
    for record in &bundle.epochs {
        let body = record.check(&checkpoint)?;
        epochs.push((record, record.epoch(&body, &log_key)?));
    }
    for (record, epoch) in &epochs {
        signer(record, epoch.epoch, &epochs)?;
    }
    let body = bundle.record.check(&checkpoint)?;
    let signed_by = signer(&bundle.record, body.epoch, &epochs)?.clone();
    if !epochs.iter().any(|(_, epoch)| epoch.epoch == body.epoch) {
        return Err(BundleError::NoEpoch(bundle.record.index));
    }
    let leaf_hash = Leaf::from_bytes(&bundle.record.leaf).hash();
    Ok(Verified { body, detail: bundle.record.detail.clone(), signed_by, checkpoint, log_key, leaf_hash })
}

/// Finds the epoch that may have signed the record's leaf, its own or one that adopted it, and
/// checks that it did.
fn signer<'a>(
    record: &BundleRecord,
    own: u64,
    epochs: &'a [(&BundleRecord, Epoch)],
) -> Result<&'a Epoch, BundleError> {
    let leaf = Leaf::from_bytes(&record.leaf);
    let in_force = |epoch: &Epoch| {
        epoch.epoch == own
            || epoch.adopted.is_some_and(|(from, to)| from <= record.index && record.index < to)
    };
    let (_, epoch) = epochs
        .iter()
        .find(|(_, epoch)| in_force(epoch) && sha256(&epoch.public_key) == leaf.key_hash)
        .ok_or(BundleError::NoEpoch(record.index))?;
    leaf.verify(&record.body, &epoch.public_key).map_err(|error| BundleError::Leaf(record.index, error))?;
    Ok(epoch)
}

impl BundleRecord {
    /// Checks body, detail and inclusion, all but the leaf's signature.
    fn check(&self, checkpoint: &Checkpoint) -> Result<Body, BundleError> {
        let body = Body::decode(&self.body).map_err(|error| BundleError::Body(self.index, error))?;
        if body.sequence != self.index {
            return Err(BundleError::Sequence(self.index, body.sequence));
        }
        if self.detail.as_ref().is_some_and(|detail| sha256(detail) != body.detail_digest) {
            return Err(BundleError::Detail(self.index));
        }
        let hash = Leaf::from_bytes(&self.leaf).hash();
        verify_inclusion(&hash, self.index, checkpoint.size, &self.inclusion, &checkpoint.root)
            .map_err(|_| BundleError::NotIncluded(self.index))?;
        Ok(body)
    }

    fn epoch(&self, body: &Body, log_key: &LogKey) -> Result<Epoch, BundleError> {
        let detail = self.detail.as_ref().ok_or(BundleError::Detail(self.index))?;
        if body.operation != Epoch::OPERATION {
            return Err(BundleError::NoEpoch(self.index));
        }
        let epoch = Epoch::decode(detail).map_err(|error| BundleError::EpochDetail(self.index, error))?;
        epoch
            .verify_statement(log_key.public_key())
            .map_err(|error| BundleError::Statement(self.index, error))?;
        let adopted_wrongly = epoch.adopted.is_some_and(|(from, to)| from >= to || to != self.index);
        if epoch.epoch != body.epoch || epoch.policy_hash != body.policy_hash || adopted_wrongly {
            return Err(BundleError::Statement(self.index, EpochError::Differs("record")));
        }
        Ok(epoch)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonBundle {
    format: String,
    record: JsonRecord,
    epochs: Vec<JsonRecord>,
    checkpoint: String,
    log_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRecord {
    index: u64,
    body: String,
    detail: Option<String>,
    leaf: String,
    inclusion: Vec<String>,
}

impl Bundle {
    /// The bundle as a JSON file: bodies and details in base64, leaves and hashes in hex.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = JsonBundle {
            format: FORMAT.to_owned(),
            record: JsonRecord::from(&self.record),
            epochs: self.epochs.iter().map(JsonRecord::from).collect(),
            checkpoint: self.checkpoint.clone(),
            log_key: self.log_key.clone(),
        };
        serde_json::to_string_pretty(&json).expect("text and numbers only")
    }

    /// Reads a bundle from its JSON file.
    ///
    /// # Errors
    ///
    /// [`BundleError::Malformed`] if it is not one or is unreasonably large.
    pub fn from_json(text: &str) -> Result<Self, BundleError> {
        let malformed = |what: &str| BundleError::Malformed(what.to_owned());
        if text.len() > MAX_BUNDLE {
            return Err(malformed("larger than 8 MiB"));
        }
        let json: JsonBundle = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        if json.format != FORMAT {
            return Err(malformed("unknown format"));
        }
        if json.epochs.len() > MAX_EPOCHS {
            return Err(malformed("too many epochs"));
        }
        let epochs = json.epochs.into_iter().map(JsonRecord::read).collect::<Result<_, _>>()?;
        Ok(Self { record: json.record.read()?, epochs, checkpoint: json.checkpoint, log_key: json.log_key })
    }

    /// The proof of the record in the Sigsum project's own format, version 2, for `sigsum-verify`
    /// and the like; the signed data is the record's body.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if the log key or the checkpoint does not hold.
    pub fn to_sigsum(&self) -> Result<String, BundleError> {
        let key: LogKey = self.log_key.parse()?;
        let (checkpoint, signature) = Checkpoint::open(&self.checkpoint, &key)?;
        let leaf = Leaf::from_bytes(&self.record.leaf);
        let mut text = format!(
            "version=2\nlog={}\nleaf={} {}\n\nsize={}\nroot_hash={}\nsignature={}\n",
            hex::encode(sha256(key.public_key())),
            hex::encode(leaf.key_hash),
            hex::encode(leaf.signature),
            checkpoint.size,
            hex::encode(checkpoint.root),
            hex::encode(signature),
        );
        // A tree of one leaf has no path, and the format then ends here.
        if checkpoint.size > 1 {
            text.push_str(&format!("\nleaf_index={}\n", self.record.index));
            for hash in &self.record.inclusion {
                text.push_str(&format!("node_hash={}\n", hex::encode(hash)));
            }
        }
        Ok(text)
    }
}

impl From<&BundleRecord> for JsonRecord {
    fn from(record: &BundleRecord) -> Self {
        Self {
            index: record.index,
            body: BASE64_STANDARD.encode(&record.body),
            detail: record.detail.as_ref().map(|detail| BASE64_STANDARD.encode(detail)),
            leaf: hex::encode(record.leaf),
            inclusion: record.inclusion.iter().map(hex::encode).collect(),
        }
    }
}

impl JsonRecord {
    fn read(self) -> Result<BundleRecord, BundleError> {
        let malformed = |field: &str| BundleError::Malformed(format!("bad `{field}`"));
        let base64 = |text: &str, field| BASE64_STANDARD.decode(text).map_err(|_| malformed(field));
        if self.inclusion.len() > MAX_PATH {
            return Err(malformed("inclusion"));
        }
        let mut inclusion = Vec::with_capacity(self.inclusion.len());
        for text in &self.inclusion {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).map_err(|_| malformed("inclusion"))?;
            inclusion.push(hash);
        }
        let mut leaf = [0; LEAF_BYTES];
        hex::decode_to_slice(&self.leaf, &mut leaf).map_err(|_| malformed("leaf"))?;
        Ok(BundleRecord {
            index: self.index,
            body: base64(&self.body, "body")?,
            detail: self.detail.as_deref().map(|text| base64(text, "detail")).transpose()?,
            leaf,
            inclusion,
        })
    }
}
