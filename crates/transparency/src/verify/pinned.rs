//! The checkpoint to verify against, and the unfinished tiles it stands on.
//!
//! A log that is being written replaces its unfinished tiles with each checkpoint, so they are read
//! together with it and held: the walk over the records takes far longer than they stay.

use std::collections::BTreeMap;

use super::{Fault, LogSource, Place, Reason};
use crate::checkpoint::{Checkpoint, LogKey};
use crate::tile::Tile;

/// How often another checkpoint may come between reading one and reading its tiles.
const MAX_ATTEMPTS: usize = 16;

/// One checkpoint with its unfinished tiles, at most one of each level.
pub(super) struct Pinned {
    pub(super) checkpoint: Checkpoint,
    unfinished: BTreeMap<Tile, Vec<u8>>,
}

impl Pinned {
    /// Reads both, again if the log went on in between.
    pub(super) fn read<S: LogSource>(source: &S, key: &LogKey) -> Result<Self, Fault> {
        let mut note = read_note(source)?;
        let mut attempt = 1;
        loop {
            let (checkpoint, _) = Checkpoint::open(&note, key)
                .map_err(|error| Fault { place: Place::Checkpoint, reason: error.into() })?;
            let wanted: Vec<Tile> = unfinished_tiles(checkpoint.size).collect();
            let unfinished: BTreeMap<Tile, Vec<u8>> =
                wanted.iter().filter_map(|tile| Some((*tile, source.tile(*tile).ok()??))).collect();
            if unfinished.len() < wanted.len() && attempt < MAX_ATTEMPTS {
                let newer = read_note(source)?;
                if newer != note {
                    note = newer;
                    attempt += 1;
                    continue;
                }
            }
            return Ok(Self { checkpoint, unfinished });
        }
    }

    /// The bytes of a tile of the checkpoint's tree; none if it is missing or unreadable.
    pub(super) fn tile<S: LogSource>(&self, source: &S, tile: Tile) -> Option<Vec<u8>> {
        if tile.is_full() { source.tile(tile).ok()? } else { self.unfinished.get(&tile).cloned() }
    }
}

fn read_note<S: LogSource>(source: &S) -> Result<String, Fault> {
    source
        .checkpoint()
        .map_err(|error| Fault { place: Place::Checkpoint, reason: Reason::Unreadable(error.to_string()) })
}

fn unfinished_tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..8_u8).filter_map(move |level| {
        let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        Tile::in_tree(size, level, hashes >> 8).filter(|tile| !tile.is_full())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::tiles_of;

    #[test]
    fn unfinished_tiles_are_those_of_the_tree_that_are_not_full() {
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000] {
            let all: Vec<_> = tiles_of(size).filter(|tile| !tile.is_full()).collect();
            assert_eq!(unfinished_tiles(size).collect::<Vec<_>>(), all, "size {size}");
        }
    }
}
