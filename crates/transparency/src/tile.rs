//! Tile coordinates and paths of C2SP tlog-tiles (c2sp.org/tlog-tiles): tiles of 256 hashes, eight
//! levels of the tree each.

use std::fmt;

/// Hashes in a full tile.
pub const FULL_TILE: u16 = 256;

/// Which tile: the `index`-th of tile level `level`, with its first `width` hashes.
///
/// Tile level `l` holds the nodes of tree level `8 × l`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Tile level; 0 holds leaf hashes.
    pub level: u8,
    /// Position from the left on its level.
    pub index: u64,
    /// Hashes it holds, 1 to 256.
    pub width: u16,
}

impl Tile {
    /// Whether the tile can no longer change.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == FULL_TILE
    }

    /// The path below the log's folder: `tile/<level>/<index>[.p/<width>]`, the index in groups of
    /// three digits, all but the last prefixed with `x`.
    #[must_use]
    pub fn path(self) -> String {
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        let path = format!("tile/{}/{}", self.level, groups.join("/"));
        if self.is_full() { path } else { format!("{path}.p/{}", self.width) }
    }

    /// The tile of `level` and `index` in a tree of `size` leaves; `None` if the tree has no hash there.
    #[must_use]
    pub fn in_tree(size: u64, level: u8, index: u64) -> Option<Self> {
        let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let width = hashes.checked_sub(index.checked_mul(u64::from(FULL_TILE))?)?.min(u64::from(FULL_TILE));
        if width == 0 {
            return None;
        }
        Some(Self { level, index, width: u16::try_from(width).ok()? })
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path())
    }
}

/// All tiles of a tree of `size` leaves, level by level, left to right.
pub fn tiles_of(size: u64) -> impl Iterator<Item = Tile> {
    (0..8_u8).flat_map(move |level| (0_u64..).map_while(move |index| Tile::in_tree(size, level, index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_specification() {
        let path = |level, index, width| Tile { level, index, width }.path();
        assert_eq!(path(0, 0, 256), "tile/0/000");
        assert_eq!(path(3, 1_234_067, 256), "tile/3/x001/x234/067");
        assert_eq!(path(0, 8, 112), "tile/0/008.p/112");
        assert_eq!(path(1, 1000, 1), "tile/1/x001/000.p/1");
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_of_the_specification() {
        // c2sp.org/tlog-tiles: 273 full and one partial of 112 at level 0; one full and one
        // partial of 17 at level 1; one partial of 1 at level 2.
        let tiles: Vec<Tile> = tiles_of(70_000).collect();
        assert_eq!(tiles.iter().filter(|tile| tile.level == 0).count(), 274);
        assert_eq!(tiles[273], Tile { level: 0, index: 273, width: 112 });
        assert_eq!(tiles[274..277].iter().map(|tile| tile.width).collect::<Vec<_>>(), [256, 17, 1]);
        assert_eq!(tiles.len(), 277);
    }

    #[test]
    fn an_empty_tree_has_no_tile() {
        assert_eq!(tiles_of(0).count(), 0);
        assert_eq!(Tile::in_tree(256, 0, 1), None);
        assert_eq!(Tile::in_tree(5, 200, 0), None);
    }
}
