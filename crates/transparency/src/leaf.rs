//! The leaf of a record: a Sigsum tree leaf, 128 bytes.
//!
//! Layout and signed message are those of the Sigsum log specification
//! (git.glasklar.is/sigsum/project/documentation, `log.md` v1, §2.2.3 and §2.3.1), so that
//! `sigsum-verify` accepts a record body as the signed data.

use thiserror::Error;

use crate::ed25519;
use crate::hash::{Hash, leaf_hash, sha256};

/// Bytes of an encoded leaf.
pub const LEAF_BYTES: usize = 128;
const NAMESPACE: &[u8; 24] = b"sigsum.org/v1/tree-leaf\0";

/// A signed commitment to one record body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the SHA-256 of the body.
    pub checksum: Hash,
    /// Ed25519 signature over [`leaf_message`] of the checksum.
    pub signature: [u8; 64],
    /// SHA-256 of the public key that verifies it.
    pub key_hash: Hash,
}

/// Why a leaf does not belong to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LeafError {
    /// It commits to another body.
    #[error("leaf commits to another body")]
    Checksum,
    /// It names another key than the one expected.
    #[error("leaf is signed by another key")]
    Key,
    /// The signature is wrong.
    #[error("leaf signature is invalid")]
    Signature,
}

/// Returns what a leaf says of a body: SHA-256 of its SHA-256.
#[must_use]
pub fn checksum(body: &[u8]) -> Hash {
    sha256(&sha256(body))
}

/// Returns the bytes to sign for `checksum`.
#[must_use]
pub fn leaf_message(checksum: &Hash) -> Vec<u8> {
    [NAMESPACE.as_slice(), checksum].concat()
}

impl Leaf {
    /// Makes the leaf of `body` with a signer: `sign` gets the message and returns the signature
    /// that `public_key` verifies.
    ///
    /// # Errors
    ///
    /// Whatever `sign` returns.
    pub fn sign<E>(
        body: &[u8],
        public_key: &[u8; 32],
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<Self, E> {
        let checksum = checksum(body);
        let signature = sign(&leaf_message(&checksum))?;
        Ok(Self { checksum, signature, key_hash: sha256(public_key) })
    }

    /// The 128 bytes of the leaf.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[..32].copy_from_slice(&self.checksum);
        bytes[32..96].copy_from_slice(&self.signature);
        bytes[96..].copy_from_slice(&self.key_hash);
        bytes
    }

    /// Splits the 128 bytes of a leaf; every such string is one, though perhaps not a valid one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LEAF_BYTES]) -> Self {
        let mut leaf = Self { checksum: [0; 32], signature: [0; 64], key_hash: [0; 32] };
        leaf.checksum.copy_from_slice(&bytes[..32]);
        leaf.signature.copy_from_slice(&bytes[32..96]);
        leaf.key_hash.copy_from_slice(&bytes[96..]);
        leaf
    }

    /// The leaf's hash in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.to_bytes())
    }

    /// Checks that this is the leaf of `body` under `public_key`.
    ///
    /// # Errors
    ///
    /// [`LeafError`] for the first of checksum, key and signature that is wrong.
    pub fn verify(&self, body: &[u8], public_key: &[u8; 32]) -> Result<(), LeafError> {
        if self.checksum != checksum(body) {
            return Err(LeafError::Checksum);
        }
        if self.key_hash != sha256(public_key) {
            return Err(LeafError::Key);
        }
        if self.is_signed_by(&ed25519::ManyTimes::new(public_key, 1)) {
            Ok(())
        } else {
            Err(LeafError::Signature)
        }
    }

    /// Whether the signature holds; says nothing of checksum and key.
    pub(crate) fn is_signed_by(&self, key: &ed25519::ManyTimes) -> bool {
        key.verify(&leaf_message(&self.checksum), &self.signature)
    }
}
