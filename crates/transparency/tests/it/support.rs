//! A small log in memory, made with real keys, to be damaged by the tests.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use trading::Timestamp;
use transparency::{
    Body, Bundle, BundleRecord, Checkpoint, Completed, Epoch, Hash, Leaf, LogKey, LogSource, Outcome,
    SourceRecord, Statement, Tile, TileHashes, Tree, inclusion_proof, sha256,
};

/// A deterministic Ed25519 key.
pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes"))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().expect("32 bytes")
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], std::convert::Infallible> {
        Ok(self.0.sign(message).as_ref().try_into().expect("64 bytes"))
    }
}

#[derive(Clone)]
pub(crate) struct MemoryLog {
    pub(crate) key: String,
    pub(crate) checkpoint: String,
    pub(crate) records: Vec<SourceRecord>,
    pub(crate) tiles: BTreeMap<Tile, Vec<u8>>,
}

impl LogSource for MemoryLog {
    type Error = std::convert::Infallible;

    fn log_key(&self) -> Result<String, Self::Error> {
        Ok(self.key.clone())
    }

    fn checkpoint(&self) -> Result<String, Self::Error> {
        Ok(self.checkpoint.clone())
    }

    fn records(&self) -> Result<impl Iterator<Item = Result<SourceRecord, Self::Error>>, Self::Error> {
        Ok(self.records.iter().cloned().map(Ok))
    }

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.tiles.get(&tile).cloned())
    }
}

impl MemoryLog {
    pub(crate) fn tile_bytes(&self, tile: Tile) -> Result<Vec<u8>, &'static str> {
        self.tiles.get(&tile).cloned().ok_or("no such tile")
    }

    /// The proof for record `index` with the epoch records `epochs`.
    pub(crate) fn bundle(&self, index: u64, epochs: &[u64]) -> Bundle {
        let key: LogKey = self.key.parse().expect("key");
        let size = Checkpoint::open(&self.checkpoint, &key).expect("checkpoint").0.size;
        let record = |index: u64| {
            let stored = &self.records[index as usize];
            let mut hashes = TileHashes::new(size, |tile| self.tile_bytes(tile));
            BundleRecord {
                index,
                body: stored.body.clone(),
                detail: Some(stored.detail.clone()),
                leaf: stored.leaf.expect("leaf"),
                inclusion: inclusion_proof(index, size, &mut hashes).expect("in the tree"),
            }
        };
        Bundle {
            record: record(index),
            epochs: epochs.iter().map(|epoch| record(*epoch)).collect(),
            checkpoint: self.checkpoint.clone(),
            log_key: self.key.clone(),
        }
    }
}

/// Writes a log record by record.
pub(crate) struct Writer {
    pub(crate) log_key: Key,
    pub(crate) records: Vec<SourceRecord>,
    pub(crate) epoch: u64,
    pub(crate) time: u64,
    pub(crate) salt: u8,
    previous: Hash,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self {
            log_key: Key::new(200),
            records: Vec::new(),
            epoch: 0,
            time: 1_700_000_000_000,
            salt: 0,
            previous: [0; 32],
        }
    }

    /// The key of an epoch's vault.
    pub(crate) fn vault(epoch: u64) -> Key {
        Key::new(u8::try_from(epoch).expect("small"))
    }

    pub(crate) fn body(&mut self, operation: &str, detail: &[u8]) {
        let body = Body {
            version: 1,
            sequence: self.records.len() as u64,
            epoch: self.epoch,
            time: Timestamp::from_ms(self.time),
            actor: "grid".into(),
            account: Some("main".into()),
            operation: operation.into(),
            detail_digest: sha256(detail),
            outcome: Outcome::Event,
            policy_hash: [7; 32],
            state_digest: [8; 32],
            signed_digest: None,
            signature_digest: None,
            key_id: None,
            previous: self.previous,
            salt: [self.salt; 16],
        };
        self.time += 1;
        let body = body.encode().expect("short");
        self.previous = sha256(&body);
        self.records.push(SourceRecord { body, detail: detail.to_vec(), leaf: None });
    }

    /// Opens the next epoch, adopting whatever has no leaf.
    pub(crate) fn epoch(&mut self) {
        let size = self.leaves();
        let next = self.records.len() as u64;
        self.epoch_adopting((size < next).then_some((size, next)));
    }

    pub(crate) fn epoch_adopting(&mut self, adopted: Option<(u64, u64)>) {
        self.epoch += 1;
        let public_key = Self::vault(self.epoch).public();
        let statement =
            Statement { isolation: "software".into(), epoch: self.epoch, public_key, policy_hash: [7; 32] };
        let detail = Epoch {
            epoch: self.epoch,
            isolation: "software".into(),
            public_key,
            policy_hash: [7; 32],
            previous_size: self.leaves(),
            adopted,
            statement: statement.sign(|message| self.log_key.sign(message)).expect("signs"),
        };
        self.body(Epoch::OPERATION, &detail.encode());
    }

    pub(crate) fn leaves(&self) -> u64 {
        self.records.iter().take_while(|record| record.leaf.is_some()).count() as u64
    }

    /// Signs the next `count` missing leaves with the current epoch's key.
    pub(crate) fn sign(&mut self, count: usize) {
        let key = Self::vault(self.epoch);
        for record in self.records.iter_mut().filter(|record| record.leaf.is_none()).take(count) {
            let leaf = Leaf::sign(&record.body, &key.public(), |message| key.sign(message)).expect("signs");
            record.leaf = Some(leaf.to_bytes());
        }
    }

    /// A log of `size` records in one epoch, all signed.
    pub(crate) fn filled(size: usize) -> Self {
        let mut writer = Self::new();
        writer.epoch();
        while writer.records.len() < size {
            let detail = format!("{{\"n\":{}}}", writer.records.len());
            writer.body("place", detail.as_bytes());
        }
        writer.sign(usize::MAX);
        writer
    }

    /// The log with a checkpoint over its first `size` leaves.
    pub(crate) fn log(&self, size: u64) -> MemoryLog {
        let mut tree = Tree::new();
        let mut tiles = BTreeMap::new();
        for record in &self.records[..size as usize] {
            let hash = Leaf::from_bytes(&record.leaf.expect("leaf")).hash();
            tree.append(hash, |Completed { tile, bytes }| {
                tiles.insert(tile, bytes);
            });
        }
        tiles.extend(tree.partial_tiles());
        let key = LogKey::new(self.log_key.public());
        let checkpoint = Checkpoint { origin: key.origin().to_owned(), size, root: tree.root() };
        let checkpoint = checkpoint.sign(&key, |text| self.log_key.sign(text)).expect("signs");
        MemoryLog { key: key.to_string(), checkpoint, records: self.records.clone(), tiles }
    }
}
