//! The detail of an epoch's first record: which key signs the leaves from here, who vouches for it,
//! and which leaves a crash left unsigned.
//!
//! The statement is the software level's document: the installation's key (for now the log's)
//! says which key a vault of this machine made. It proves nothing about the code that runs; an
//! attestation document takes its place where hardware can give one.

use thiserror::Error;

use crate::cbor::{CborError, Reader, Writer};
use crate::ed25519;
use crate::hash::Hash;

const MAX_ISOLATION: usize = 32;
const MAX_STATEMENT: usize = 32 * 1024;
/// Keeps a statement's signature from being taken for anything else the same key signs.
const STATEMENT_NAMESPACE: &[u8] = b"seawall/v1/epoch-statement\0";

/// The detail of the record with operation [`Epoch::OPERATION`] that opens each epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// The epoch, from 1; one more than the last.
    pub epoch: u64,
    /// How the vault is kept apart; `software` here.
    pub isolation: String,
    /// Verifies the leaves of this epoch's records and of those it adopts.
    pub public_key: [u8; 32],
    /// The policy the vault starts with.
    pub policy_hash: Hash,
    /// How many leaves stood when the epoch began.
    pub previous_size: u64,
    /// Records `from..to` of earlier epochs whose bodies are durable but whose leaves are signed by
    /// this epoch's key; `to` is the epoch record's own sequence.
    pub adopted: Option<(u64, u64)>,
    /// The encoded, signed [`Statement`].
    pub statement: Vec<u8>,
}

/// What the installation says of a vault's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// How the vault is kept apart.
    pub isolation: String,
    /// The epoch.
    pub epoch: u64,
    /// The vault's ephemeral key.
    pub public_key: [u8; 32],
    /// The policy it starts with.
    pub policy_hash: Hash,
}

/// Why an epoch's detail or statement does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EpochError {
    /// The bytes are not the deterministic CBOR expected.
    #[error("epoch detail {0}")]
    Cbor(#[from] CborError),
    /// The statement is not signed by the installation's key.
    #[error("epoch statement has an invalid signature")]
    Signature,
    /// The statement speaks of another epoch, key, policy or isolation.
    #[error("epoch statement speaks of another {0}")]
    Differs(&'static str),
}

impl Epoch {
    /// The operation of the record that carries this detail.
    pub const OPERATION: &'static str = "epoch";

    /// Encodes the detail. Equal values are equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(512);
        writer.map(6 + usize::from(self.adopted.is_some()));
        writer.unsigned(0).unsigned(self.epoch);
        writer.unsigned(1).text(&self.isolation);
        writer.unsigned(2).bytes(&self.public_key);
        writer.unsigned(3).bytes(&self.policy_hash);
        writer.unsigned(4).unsigned(self.previous_size);
        if let Some((from, to)) = self.adopted {
            writer.unsigned(5).array(2).unsigned(from).unsigned(to);
        }
        writer.unsigned(6).bytes(&self.statement);
        writer.finish()
    }

    /// Decodes a detail, refusing whatever [`Epoch::encode`] would not have written.
    ///
    /// # Errors
    ///
    /// [`CborError`] that says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let input = &mut reader;
        let mut fields = input.map(7)?;
        fields.required(0, input)?;
        let epoch = input.unsigned()?;
        fields.required(1, input)?;
        let isolation = input.text(MAX_ISOLATION)?.to_owned();
        fields.required(2, input)?;
        let public_key = input.array_of()?;
        fields.required(3, input)?;
        let policy_hash = input.array_of()?;
        fields.required(4, input)?;
        let previous_size = input.unsigned()?;
        let mut adopted = None;
        if fields.optional(5, input)? {
            input.exact_array(2)?;
            adopted = Some((input.unsigned()?, input.unsigned()?));
        }
        fields.required(6, input)?;
        let statement = input.bytes(MAX_STATEMENT)?.to_owned();
        fields.finish()?;
        reader.finish()?;
        Ok(Self { epoch, isolation, public_key, policy_hash, previous_size, adopted, statement })
    }

    /// Checks that the statement is signed by `installation_key` and says of this epoch what the
    /// detail says.
    ///
    /// # Errors
    ///
    /// [`EpochError`] that says what differs.
    pub fn verify_statement(&self, installation_key: &[u8; 32]) -> Result<(), EpochError> {
        let stated = Statement::open(&self.statement, installation_key)?;
        let same = [
            ("isolation", stated.isolation == self.isolation),
            ("epoch", stated.epoch == self.epoch),
            ("key", stated.public_key == self.public_key),
            ("policy", stated.policy_hash == self.policy_hash),
        ];
        match same.iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(EpochError::Differs(what)),
            None => Ok(()),
        }
    }
}

impl Statement {
    /// Signs the statement with the installation's key.
    ///
    /// # Errors
    ///
    /// Whatever `sign` returns.
    pub fn sign<E>(&self, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<Vec<u8>, E> {
        let payload = self.payload();
        let signature = sign(&signed_message(&payload))?;
        let mut writer = Writer::with_capacity(256);
        writer.map(2).unsigned(0).bytes(&payload).unsigned(1).bytes(&signature);
        Ok(writer.finish())
    }

    /// Opens a statement signed by `installation_key`.
    ///
    /// # Errors
    ///
    /// [`EpochError`] if it is malformed or not signed so.
    pub fn open(bytes: &[u8], installation_key: &[u8; 32]) -> Result<Self, EpochError> {
        let mut reader = Reader::new(bytes);
        let input = &mut reader;
        let mut fields = input.map(2)?;
        fields.required(0, input)?;
        let payload = input.bytes(MAX_STATEMENT)?;
        fields.required(1, input)?;
        let signature = input.array_of()?;
        fields.finish()?;
        reader.finish()?;
        if !ed25519::verify(installation_key, &signed_message(payload), &signature) {
            return Err(EpochError::Signature);
        }
        Ok(Self::read(payload)?)
    }

    fn payload(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(128);
        writer.map(4);
        writer.unsigned(0).text(&self.isolation);
        writer.unsigned(1).unsigned(self.epoch);
        writer.unsigned(2).bytes(&self.public_key);
        writer.unsigned(3).bytes(&self.policy_hash);
        writer.finish()
    }

    fn read(payload: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(payload);
        let input = &mut reader;
        let mut fields = input.map(4)?;
        fields.required(0, input)?;
        let isolation = input.text(MAX_ISOLATION)?.to_owned();
        fields.required(1, input)?;
        let epoch = input.unsigned()?;
        fields.required(2, input)?;
        let public_key = input.array_of()?;
        fields.required(3, input)?;
        let policy_hash = input.array_of()?;
        fields.finish()?;
        reader.finish()?;
        Ok(Self { isolation, epoch, public_key, policy_hash })
    }
}

fn signed_message(payload: &[u8]) -> Vec<u8> {
    [STATEMENT_NAMESPACE, payload].concat()
}
