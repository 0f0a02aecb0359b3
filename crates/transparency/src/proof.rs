//! Inclusion and consistency proofs of RFC 6962 §2.1, from stored hashes, and their checks
//! (RFC 9162 §2.1.3.2 and §2.1.4.2).

use thiserror::Error;

use crate::hash::{EMPTY_ROOT, Hash, node_hash};
use crate::tile::Tile;

/// Where the hashes of complete subtrees come from.
pub trait HashReader {
    /// Why a hash could not be read.
    type Error;

    /// Returns the root of the complete subtree over leaves `index × 2^level ..`.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be read.
    fn read(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError<E> {
    /// The index or size lies outside the tree.
    #[error("entry {index} is not in a tree of {size}")]
    OutOfRange {
        /// What was asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// A hash could not be read.
    #[error("a hash of the tree cannot be read: {0}")]
    Read(E),
}

/// A proof does not prove what was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the proof does not lead to the root")]
pub struct InvalidProof;

/// Computes the root of the tree of the first `size` leaves; reads at most 64 hashes.
///
/// # Errors
///
/// Whatever `reader` returns.
pub fn root<R: HashReader>(size: u64, reader: &mut R) -> Result<Hash, R::Error> {
    if size == 0 { Ok(EMPTY_ROOT) } else { range_hash(0, size, reader) }
}

/// Returns the proof that leaf `index` is in the tree of the first `size` leaves: sibling hashes
/// from leaf to root, at most ⌈log2(size)⌉.
///
/// # Errors
///
/// [`ProofError`] if the leaf is outside the tree or a hash cannot be read.
pub fn inclusion_proof<R: HashReader>(
    index: u64,
    size: u64,
    reader: &mut R,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let mut proof = Vec::new();
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + split(to - from);
        let sibling = if index < middle { (middle, to) } else { (from, middle) };
        proof.push(range_hash(sibling.0, sibling.1, reader).map_err(ProofError::Read)?);
        (from, to) = if index < middle { (from, middle) } else { (middle, to) };
    }
    proof.reverse();
    Ok(proof)
}

/// Returns the proof that the tree of the first `old` leaves is a prefix of that of the first
/// `size`.
///
/// # Errors
///
/// [`ProofError`] if `old` is zero or above `size`, or a hash cannot be read.
pub fn consistency_proof<R: HashReader>(
    old: u64,
    size: u64,
    reader: &mut R,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if old == 0 || old > size {
        return Err(ProofError::OutOfRange { index: old, size });
    }
    let mut proof = Vec::new();
    let (mut from, mut to) = (0, size);
    while old != to {
        let middle = from + split(to - from);
        let sibling = if old <= middle { (middle, to) } else { (from, middle) };
        proof.push(range_hash(sibling.0, sibling.1, reader).map_err(ProofError::Read)?);
        (from, to) = if old <= middle { (from, middle) } else { (middle, to) };
    }
    if from != 0 {
        proof.push(range_hash(from, to, reader).map_err(ProofError::Read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `count`, which must exceed 1.
const fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// Root over leaves `from..to`, where `from` is a multiple of a power of two not below `to - from`.
fn range_hash<R: HashReader>(from: u64, to: u64, reader: &mut R) -> Result<Hash, R::Error> {
    let count = to - from;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return reader.read(u8::try_from(level).expect("below 64"), from >> level);
    }
    let middle = from + split(count);
    let left = range_hash(from, middle, reader)?;
    let right = range_hash(middle, to, reader)?;
    Ok(node_hash(&left, &right))
}

/// Checks that `leaf` is entry `index` of the tree of `size` entries under `root`.
///
/// `proof` holds sibling hashes from leaf to root, at most ⌈log2(size)⌉.
///
/// # Errors
///
/// [`InvalidProof`] if it is not, or the proof has another length than it must.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), InvalidProof> {
    if index >= size {
        return Err(InvalidProof);
    }
    let (mut position, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(InvalidProof);
        }
        if position & 1 == 1 || position == last {
            node = node_hash(sibling, &node);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last == 0 && node == *root { Ok(()) } else { Err(InvalidProof) }
}

/// Checks that the tree of `old` entries under `old_root` is a prefix of that of `size` entries
/// under `root`.
///
/// # Errors
///
/// [`InvalidProof`] if it is not, or the proof has another length than it must.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), InvalidProof> {
    if old == 0 || old > size {
        return Err(InvalidProof);
    }
    if old == size {
        return if proof.is_empty() && old_root == root { Ok(()) } else { Err(InvalidProof) };
    }
    let (mut position, mut last) = (old - 1, size - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    // If the old tree is a complete subtree its root is the start, else the proof names it.
    let (start, rest) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(InvalidProof)? };
    let (mut old_node, mut node) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return Err(InvalidProof);
        }
        if position & 1 == 1 || position == last {
            old_node = node_hash(sibling, &old_node);
            node = node_hash(sibling, &node);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last == 0 && old_node == *old_root && node == *root { Ok(()) } else { Err(InvalidProof) }
}

/// Reads hashes out of tiles of a tree of a given size, keeping the last tile of each level.
pub struct TileHashes<F> {
    size: u64,
    fetch: F,
    kept: [Option<(Tile, Vec<u8>)>; 8],
}

impl<E, F: FnMut(Tile) -> Result<Vec<u8>, E>> TileHashes<F> {
    /// Returns a reader over the tiles of the tree of `size` leaves; `fetch` returns a tile's
    /// hashes, `32 × width` bytes.
    pub const fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, kept: [const { None }; 8] }
    }
}

/// Why [`TileHashes`] has no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TileHashesError<E> {
    /// The tree has no such node.
    #[error("the tree has no node {index} on level {level}")]
    NotInTree {
        /// Level asked for.
        level: u8,
        /// Index asked for.
        index: u64,
    },
    /// The tile has another length than its coordinates say.
    #[error("tile {0} has the wrong length")]
    WrongLength(Tile),
    /// The tile cannot be read.
    #[error("{0}")]
    Fetch(E),
}

impl<E, F: FnMut(Tile) -> Result<Vec<u8>, E>> HashReader for TileHashes<F> {
    type Error = TileHashesError<E>;

    fn read(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let missing = TileHashesError::NotInTree { level, index };
        let (tile_level, height) = (level / 8, level % 8);
        let first = index << height;
        let tile = Tile::in_tree(self.size, tile_level, first >> 8).ok_or(missing)?;
        let kept = &mut self.kept[usize::from(tile_level)];
        let bytes = match kept {
            Some((held, bytes)) if *held == tile => bytes,
            _ => {
                let bytes = (self.fetch)(tile).map_err(TileHashesError::Fetch)?;
                if bytes.len() != usize::from(tile.width) * 32 {
                    return Err(TileHashesError::WrongLength(tile));
                }
                &mut kept.insert((tile, bytes)).1
            }
        };
        let start = usize::try_from(first % 256).expect("below 256");
        let hashes = bytes.as_chunks::<32>().0;
        let held = hashes.get(start..start + (1 << height));
        Ok(complete_root(held.ok_or(TileHashesError::NotInTree { level, index })?))
    }
}

/// Root over a power of two of hashes.
fn complete_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}
