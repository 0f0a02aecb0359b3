//! What the journal and verifiers read: frames between processes, bodies, checkpoints, proofs.

use protocol::journal::{Reply, Request, split};
use transparency::{
    Body, Bundle, Checkpoint, Epoch, Leaf, LogKey, Statement, Tile, Tree, leaf_hash, verify_inclusion,
    verify_proof,
};

use crate::engine::{Attacked, both, shape};
use crate::targets::segments::{Made, RECORDS, made};

/// Frames between vault and journal, as many as the bytes hold.
pub(crate) fn frames() -> Attacked {
    Box::new(|input| {
        let mut rest = input;
        let mut behaviour = 0;
        while let Ok(Some((frame, taken))) = split(rest) {
            behaviour = both(behaviour, one_frame(frame));
            rest = &rest[taken..];
        }
        both(behaviour, split(rest).map_or_else(|error| shape(&error.to_string()), |_| 0))
    })
}

fn one_frame(frame: &[u8]) -> u64 {
    let with_length = |out: Vec<u8>| out.get(4..).unwrap_or_default().to_vec();
    let request = match Request::decode(frame) {
        Ok(request) => {
            let mut out = Vec::new();
            request.encode(&mut out).expect("it was a frame");
            assert_eq!(with_length(out), frame, "a request has two spellings");
            1
        }
        Err(error) => shape(&error.to_string()),
    };
    let reply = match Reply::decode(frame) {
        Ok(reply) => {
            let mut out = Vec::new();
            reply.encode(&mut out).expect("it was a frame");
            assert_eq!(with_length(out), frame, "a reply has two spellings");
            1
        }
        Err(error) => shape(&error.to_string()),
    };
    both(both(request, reply), u64::from(frame.first().copied().unwrap_or(0).min(16)))
}

pub(crate) fn body_seeds() -> Vec<Vec<u8>> {
    made().bodies.clone()
}

/// A record's body (deterministic CBOR).
pub(crate) fn bodies() -> Attacked {
    Box::new(|input| match Body::decode(input) {
        Ok(body) => {
            assert_eq!(body.encode().expect("it was a body"), input, "a body has two spellings");
            both(1, shape(body.outcome.as_str()))
        }
        Err(error) => shape(&error.to_string()),
    })
}

pub(crate) fn epoch_seeds() -> Vec<Vec<u8>> {
    vec![made().epoch.encode(), made().epoch.statement.clone()]
}

/// The detail of an epoch's first record, and the statement in it.
pub(crate) fn epochs() -> Attacked {
    Box::new(|input| {
        let made = made();
        let key = made.key.public_key();
        let epoch = match Epoch::decode(input) {
            Ok(epoch) => {
                assert_eq!(epoch.encode(), input, "an epoch has two spellings");
                let same =
                    epoch.statement == made.epoch.statement && epoch.public_key == made.epoch.public_key;
                assert!(epoch.verify_statement(key).is_err() || same, "a statement nobody signed");
                1
            }
            Err(error) => shape(&error.to_string()),
        };
        let statement = match Statement::open(input, key) {
            Ok(_) => {
                assert_eq!(input, made.epoch.statement, "a statement nobody signed");
                1
            }
            Err(error) => shape(&error.to_string()),
        };
        both(epoch, statement)
    })
}

pub(crate) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    vec![made().checkpoint.clone().into_bytes(), made().key.to_string().into_bytes()]
}

/// A signed note, and the public key that such notes are checked with.
pub(crate) fn checkpoints() -> Attacked {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        let made = made();
        let key = text.trim_end().parse::<LogKey>().map_or_else(
            |error| shape(&error.to_string()),
            |key| {
                assert_eq!(key.to_string(), text.trim_end(), "a key has two spellings");
                2
            },
        );
        let opened = match Checkpoint::open(text, &made.key) {
            Ok((checkpoint, _)) => {
                assert_eq!(
                    (checkpoint.size, checkpoint.root),
                    (made.size, made.root),
                    "a note nobody signed"
                );
                3
            }
            Err(error) => shape(&error.to_string()),
        };
        both(key, opened)
    })
}

pub(crate) fn tile_seeds() -> Vec<Vec<u8>> {
    let Made { leaves, inclusion, .. } = made();
    let proofs = inclusion.iter().enumerate().map(|(index, proof)| {
        let index = u8::try_from(index).expect("few records");
        [&[index, index][..], &leaf_hash(&leaves[usize::from(index)]), &proof.concat()].concat()
    });
    let tile: Vec<u8> = leaves.iter().flat_map(|leaf| leaf_hash(leaf)).collect();
    proofs.chain([[&[0, 0][..], &tile].concat()]).collect()
}

/// Two bytes of position, a leaf's hash, and hashes: an inclusion proof, and the tiles of a tree.
pub(crate) fn tiles() -> Attacked {
    Box::new(|input| {
        let Some((position, rest)) = input.split_first_chunk::<2>() else { return 1 };
        let (hashes, _) = rest.as_chunks::<32>();
        let made = made();
        let proven = hashes.split_first().map(|(leaf, proof)| {
            let index = u64::from(position[0]);
            let holds = verify_inclusion(leaf, index, made.size, proof, &made.root).is_ok();
            let own = made.leaves.get(usize::from(position[0])).map(|leaf| leaf_hash(leaf));
            assert!(!holds || own == Some(*leaf), "a leaf that is not in the tree");
            holds
        });
        let wanted = |tile: Tile| hashes.get(..usize::from(tile.width)).map(<[_]>::to_vec);
        let size = u64::from(u16::from_le_bytes(*position));
        let tree = Tree::from_partial_tiles(size, wanted).map(|mut tree| {
            tree.append([7; 32], |_| {});
            assert_eq!(tree.size(), size + 1);
            tree.root()
        });
        if let Some((leaf, _)) = rest.split_first_chunk::<128>() {
            let leaf_read = Leaf::from_bytes(leaf);
            assert_eq!(leaf_read.to_bytes(), *leaf);
            assert!(leaf_read.verify(b"body", made.key.public_key()).is_err(), "a leaf nobody signed");
        }
        both(
            u64::from(proven == Some(true)),
            both(u64::from(tree.is_ok()), u64::from(position[0].min(RECORDS))),
        )
    })
}

pub(crate) fn bundle_seeds() -> Vec<Vec<u8>> {
    made().bundles.iter().map(|text| text.clone().into_bytes()).collect()
}

/// A proof that is carried away in a file.
pub(crate) fn bundles() -> Attacked {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        let bundle = match Bundle::from_json(text) {
            Ok(bundle) => bundle,
            Err(error) => return shape(&error.to_string()),
        };
        let made = made();
        let sigsum = bundle.to_sigsum().is_ok();
        let said = match verify_proof(&bundle, Some(&made.key)) {
            Ok(_) => {
                assert!(made.bodies.contains(&bundle.record.body), "a proof of what is not in the log");
                2
            }
            Err(error) => shape(&error.to_string()),
        };
        both(u64::from(sigsum), said)
    })
}
