//! Our tree and proofs against a naive tree, the standard's vectors and two other implementations.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use std::collections::BTreeMap;
use transparency::{
    Completed, EMPTY_ROOT, Hash, Tile, TileHashes, Tree, consistency_proof, inclusion_proof, leaf_hash,
    node_hash, root, tiles_of, verify_consistency, verify_inclusion,
};

/// The definition of RFC 6962 §2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

fn grow(leaves: &[Hash]) -> (Tree, BTreeMap<Tile, Vec<u8>>) {
    let mut tree = Tree::new();
    let mut tiles = BTreeMap::new();
    for leaf in leaves {
        tree.append(*leaf, |Completed { tile, bytes }| {
            tiles.insert(tile, bytes);
        });
    }
    tiles.extend(tree.partial_tiles());
    (tree, tiles)
}

fn reader(
    size: u64,
    tiles: &BTreeMap<Tile, Vec<u8>>,
) -> TileHashes<impl FnMut(Tile) -> Result<Vec<u8>, String>> {
    // A full tile answers for the partial one of a smaller tree, as tlog-tiles says.
    TileHashes::new(size, |tile: Tile| {
        let held = tiles.iter().find(|(held, _)| (held.level, held.index) == (tile.level, tile.index));
        let (_, bytes) = held.ok_or_else(|| tile.to_string())?;
        Ok(bytes[..usize::from(tile.width) * 32].to_vec())
    })
}

#[test]
fn roots_of_the_reference_tree_are_the_published_ones() {
    // The eight test leaves and their roots of the Certificate Transparency reference
    // implementation (google/certificate-transparency, merkletree tests).
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::new();
    for (input, expected) in inputs.iter().zip(roots) {
        tree.append(leaf_hash(&hex::decode(input).expect("hex")), |_| ());
        assert_eq!(hex::encode(tree.root()), expected);
    }
}

#[test]
fn every_proof_of_every_small_tree_verifies_and_no_other_does() {
    let all = leaves(40);
    for size in 1..=40_u64 {
        let held = &all[..size as usize];
        let (tree, tiles) = grow(held);
        assert_eq!(tree.root(), naive_root(held));
        for index in 0..size {
            let proof = inclusion_proof(index, size, &mut reader(size, &tiles)).expect("in the tree");
            let leaf = &held[index as usize];
            assert_eq!(verify_inclusion(leaf, index, size, &proof, &tree.root()), Ok(()));
            assert!(
                verify_inclusion(leaf, (index + 1) % size, size, &proof, &tree.root()).is_err() || size == 1
            );
            assert!(verify_inclusion(&[0; 32], index, size, &proof, &tree.root()).is_err());
            let mut longer = proof.clone();
            longer.push([0; 32]);
            assert!(verify_inclusion(leaf, index, size, &longer, &tree.root()).is_err());
            if let Some((_, shorter)) = proof.split_last() {
                assert!(verify_inclusion(leaf, index, size, shorter, &tree.root()).is_err());
            }
        }
        for old in 1..=size {
            let old_root = naive_root(&all[..old as usize]);
            let proof = consistency_proof(old, size, &mut reader(size, &tiles)).expect("a prefix");
            assert_eq!(verify_consistency(old, &old_root, size, &tree.root(), &proof), Ok(()));
            assert!(verify_consistency(old, &[1; 32], size, &tree.root(), &proof).is_err());
            assert!(verify_consistency(old, &old_root, size, &[1; 32], &proof).is_err());
        }
        assert!(inclusion_proof(size, size, &mut reader(size, &tiles)).is_err());
        assert!(consistency_proof(size + 1, size, &mut reader(size, &tiles)).is_err());
    }
}

#[test]
fn ct_merkle_agrees() {
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut hashes = Vec::new();
    for index in 0..600_u64 {
        theirs.push(index.to_be_bytes().to_vec());
        hashes.push(leaf_hash(&index.to_be_bytes()));
    }
    let (tree, tiles) = grow(&hashes);
    assert_eq!(theirs.root().as_bytes().as_slice(), tree.root());
    for index in [0, 1, 255, 256, 257, 511, 512, 599_u64] {
        let ours = inclusion_proof(index, 600, &mut reader(600, &tiles)).expect("in the tree").concat();
        assert_eq!(theirs.prove_inclusion(index as usize).as_bytes(), ours);
    }
    for old in [1, 255, 256, 300, 512, 599_u64] {
        let ours = consistency_proof(old, 600, &mut reader(600, &tiles)).expect("a prefix").concat();
        assert_eq!(theirs.prove_consistency((600 - old) as usize).as_bytes(), ours);
    }
}

/// Serves our tiles to the port of Go's `x/mod/sumdb/tlog`.
struct OurTiles<'a>(&'a BTreeMap<Tile, Vec<u8>>);

impl tlog_tiles::TileReader for OurTiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, wanted: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let ours = |tile: &tlog_tiles::Tile| Tile {
            level: tile.level(),
            index: tile.level_index(),
            width: u16::try_from(tile.width()).expect("at most 256"),
        };
        // Their path carries the height as a first component, ours does not.
        Ok(wanted
            .iter()
            .map(|tile| {
                assert_eq!(tile.path().replacen("tile/8/", "tile/", 1), ours(tile).path());
                self.0[&ours(tile)].clone()
            })
            .collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn tlog_tiles_reads_our_tiles() {
    for size in [1, 255, 256, 257, 1000, 65_536, 70_000_u64] {
        let hashes = leaves(size);
        let (tree, tiles) = grow(&hashes);
        assert_eq!(tiles.keys().copied().collect::<Vec<_>>(), tiles_of(size).collect::<Vec<_>>());
        let root = tlog_tiles::Hash(tree.root());
        let source = OurTiles(&tiles);
        let theirs = tlog_tiles::TileHashReader::new(size, root, &source);
        for index in [0, size / 2, size - 1] {
            let proof = tlog_tiles::prove_record(size, index, &theirs).expect("tiles hold");
            let ours = inclusion_proof(index, size, &mut reader(size, &tiles)).expect("in the tree");
            assert_eq!(proof.iter().map(|hash| hash.0).collect::<Vec<_>>(), ours);
            let leaf = tlog_tiles::Hash(hashes[index as usize]);
            tlog_tiles::check_record(&proof, size, root, index, leaf).expect("proof holds");
        }
    }
}

#[test]
fn a_tree_is_restored_from_its_unfinished_tiles() {
    for size in [0, 1, 3, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000_u64] {
        let (tree, tiles) = grow(&leaves(size));
        let restored = Tree::from_partial_tiles(size, |tile| {
            tiles.get(&tile).map(|bytes| bytes.as_chunks::<32>().0.to_vec())
        });
        assert_eq!(restored.as_ref().map(Tree::root), Ok(tree.root()), "{size}");
        let mut restored = restored.expect("restored");
        let mut grown = tree;
        for extra in 0..600_u64 {
            let leaf = leaf_hash(&extra.to_le_bytes());
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            restored.append(leaf, |tile| ours.push(tile));
            grown.append(leaf, |tile| theirs.push(tile));
            assert_eq!(ours, theirs);
        }
        assert_eq!(restored.root(), grown.root());
    }
}

proptest! {
    #[test]
    fn growing_agrees_with_the_definition(count in 0_u64..1500, old in 0_u64..1500, pick in 0_u64..1500) {
        let hashes = leaves(count);
        let (tree, tiles) = grow(&hashes);
        prop_assert_eq!(tree.root(), naive_root(&hashes));
        prop_assert_eq!(root(count, &mut reader(count, &tiles)).expect("tiles"), tree.root());
        if count > 0 {
            let (old, pick) = (old % count + 1, pick % count);
            let proof = inclusion_proof(pick, count, &mut reader(count, &tiles)).expect("in the tree");
            prop_assert!(verify_inclusion(&hashes[pick as usize], pick, count, &proof, &tree.root()).is_ok());
            let proof = consistency_proof(old, count, &mut reader(count, &tiles)).expect("a prefix");
            let old_root = naive_root(&hashes[..old as usize]);
            prop_assert!(verify_consistency(old, &old_root, count, &tree.root(), &proof).is_ok());
            prop_assert_eq!(root(old, &mut reader(old, &tiles)).expect("tiles"), old_root);
        }
    }
}
