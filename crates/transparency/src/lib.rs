//! What makes a record checkable by someone who trusts nobody here: its bytes, its signed leaf, the
//! Merkle tree over the leaves, the signed checkpoint over the tree, proofs, and a verifier that
//! needs only files.
//!
//! Nothing here does I/O, reads a clock or draws randomness. Keys that sign are closures of the
//! caller; this crate only verifies.
//!
//! The formats are others', so that others' tools judge our log: leaves are Sigsum tree leaves,
//! the tree is RFC 6962's, files are C2SP tlog-tiles, checkpoints are C2SP signed notes. Our own
//! are the record [`Body`] and the [`Epoch`] detail, both deterministic CBOR.

mod body;
mod bundle;
pub mod cbor;
mod checkpoint;
pub mod ed25519;
mod epoch;
mod hash;
mod leaf;
mod proof;
mod tile;
mod tree;
mod verify;

pub use body::{Body, BodyError, Denial, MAX_BODY, Outcome};
pub use bundle::{Bundle, BundleError, BundleRecord, Verified, verify_proof};
pub use checkpoint::{Checkpoint, CheckpointError, LogKey, LogKeyError, origin};
pub use epoch::{Epoch, EpochError, Statement};
pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash, sha256};
pub use leaf::{LEAF_BYTES, Leaf, LeafError, checksum, leaf_message};
pub use proof::{
    HashReader, InvalidProof, ProofError, TileHashes, TileHashesError, consistency_proof, inclusion_proof,
    root, verify_consistency, verify_inclusion,
};
pub use tile::{FULL_TILE, Tile, tiles_of};
pub use tree::{Completed, Tree, TreeError};
pub use verify::{Fault, LogSource, Options, Place, Reason, Regression, Report, SourceRecord, verify};
