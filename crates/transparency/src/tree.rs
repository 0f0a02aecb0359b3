//! The Merkle tree as a log grows it: only its right edge is in memory.

use thiserror::Error;

use crate::hash::{EMPTY_ROOT, Hash, node_hash};
use crate::tile::{FULL_TILE, Tile};

/// The right edge of an RFC 6962 tree: at most 64 subtree roots, and the unfinished tile of each
/// tile level. Appending costs one or two hashes on average and never reads anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// Roots of the perfect subtrees that make up the tree, largest first.
    edge: Vec<Hash>,
    /// Hashes of the unfinished tile of each tile level, fewer than 256 each.
    partial: Vec<Vec<Hash>>,
}

/// A tile that has just become full, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Which tile.
    pub tile: Tile,
    /// Its 256 hashes, one after the other.
    pub bytes: Vec<u8>,
}

/// Why stored state is not the right edge of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("stored tree state does not belong to its size")]
pub struct TreeError;

impl Tree {
    /// Returns the tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds the right edge of a tree of `size` leaves from its unfinished tiles, as
    /// [`Tree::partial_tiles`] gave them: `tile` returns the hashes of the unfinished tile of a tile
    /// level.
    ///
    /// # Errors
    ///
    /// [`TreeError`] if a tile has another width than the size says.
    pub fn from_partial_tiles(
        size: u64,
        mut tile: impl FnMut(Tile) -> Option<Vec<Hash>>,
    ) -> Result<Self, TreeError> {
        let mut partial = Vec::new();
        let mut by_level: Vec<Hash> = Vec::new();
        for level in 0..8_u8 {
            let hashes = size >> (8 * u32::from(level));
            if hashes == 0 {
                break;
            }
            let width = u16::try_from(hashes % u64::from(FULL_TILE)).map_err(|_| TreeError)?;
            let held = if width == 0 {
                Vec::new()
            } else {
                tile(Tile { level, index: hashes / u64::from(FULL_TILE), width }).ok_or(TreeError)?
            };
            if held.len() != usize::from(width) {
                return Err(TreeError);
            }
            // Subtree roots inside this tile, smallest last in the tree, so first here.
            by_level.extend(edge_of(&held).into_iter().rev());
            partial.push(held);
        }
        by_level.reverse();
        Ok(Self { size, edge: by_level, partial })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root (RFC 6962 §2.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut hashes = self.edge.iter().rev();
        let Some(&last) = hashes.next() else { return EMPTY_ROOT };
        hashes.fold(last, |right, left| node_hash(left, &right))
    }

    /// Appends a leaf by its hash and gives each tile that this makes full to `completed`.
    pub fn append(&mut self, leaf_hash: Hash, mut completed: impl FnMut(Completed)) {
        let mut node = leaf_hash;
        let mut level = 0_u32;
        loop {
            if level.is_multiple_of(8) {
                self.put_in_tile(level / 8, node, &mut completed);
            }
            if self.size >> level & 1 == 0 {
                break;
            }
            let left = self.edge.pop().expect("one subtree for each set bit of the size");
            node = node_hash(&left, &node);
            level += 1;
        }
        self.edge.push(node);
        self.size += 1;
    }

    fn put_in_tile(&mut self, level: u32, node: Hash, completed: &mut impl FnMut(Completed)) {
        let slot = level as usize;
        if self.partial.len() == slot {
            self.partial.push(Vec::with_capacity(usize::from(FULL_TILE)));
        }
        let held = &mut self.partial[slot];
        held.push(node);
        if held.len() == usize::from(FULL_TILE) {
            let index = self.size >> (8 * (level + 1));
            let tile = Tile { level: u8::try_from(level).expect("at most 7"), index, width: FULL_TILE };
            completed(Completed { tile, bytes: held.concat() });
            held.clear();
        }
    }

    /// The unfinished tile of each tile level that has one, and its bytes.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (Tile, Vec<u8>)> + '_ {
        self.partial.iter().enumerate().filter(|(_, held)| !held.is_empty()).map(|(level, held)| {
            let level = u8::try_from(level).expect("at most 7");
            let index = self.size >> (8 * (u32::from(level) + 1));
            let width = u16::try_from(held.len()).expect("below 256");
            (Tile { level, index, width }, held.concat())
        })
    }
}

/// Roots of the perfect subtrees over `hashes`, largest first.
fn edge_of(hashes: &[Hash]) -> Vec<Hash> {
    let mut edge: Vec<Hash> = Vec::new();
    for (position, hash) in hashes.iter().enumerate() {
        let mut node = *hash;
        for _ in 0..position.trailing_ones() {
            let left = edge.pop().expect("one subtree for each set bit of the position");
            node = node_hash(&left, &node);
        }
        edge.push(node);
    }
    edge
}
