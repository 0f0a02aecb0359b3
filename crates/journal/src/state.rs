//! What the log looks like at its end, and what may follow: the same rules for appending and for
//! reading back after a crash.

use std::collections::VecDeque;

use transparency::{Body, Epoch, Hash, Leaf, LogKey, Tile, Tree, checksum, sha256};

use protocol::journal::MAX_DETAIL;

/// Most records that may wait for their leaf.
pub(crate) const MAX_UNLEAFED: usize = 16_384;
const MAGIC: &[u8; 8] = b"SEAWLOG1";

/// The end of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Sequence of the next record.
    pub(crate) next: u64,
    /// Digest of the last body.
    pub(crate) previous: Hash,
    /// The last epoch; 0 before the first.
    pub(crate) epoch: u64,
    /// Digest of the key that signs leaves now.
    pub(crate) key_hash: Hash,
    /// Checksums of the last records, those without leaf.
    pub(crate) unleafed: VecDeque<Hash>,
}

impl State {
    /// Sequence of the next leaf.
    pub(crate) fn next_leaf(&self) -> u64 {
        self.next - self.unleafed.len() as u64
    }

    /// Takes a record, or says why it cannot follow.
    pub(crate) fn body(
        &mut self,
        sequence: u64,
        bytes: &[u8],
        detail: &[u8],
        log_key: &LogKey,
    ) -> Result<(), String> {
        if sequence != self.next {
            return Err(format!("record {sequence} where {} is next", self.next));
        }
        if detail.len() > MAX_DETAIL {
            return Err(format!("record {sequence} has a detail of {} bytes", detail.len()));
        }
        let body = Body::decode(bytes).map_err(|error| format!("record {sequence}: {error}"))?;
        if body.sequence != sequence {
            return Err(format!("record {sequence} says it is record {}", body.sequence));
        }
        if body.previous != self.previous {
            return Err(format!("record {sequence} does not follow the last one"));
        }
        if body.detail_digest != sha256(detail) {
            return Err(format!("record {sequence} has another detail than its body says"));
        }
        let opened = self.epoch(&body, detail, log_key)?;
        if self.unleafed.len() >= MAX_UNLEAFED {
            return Err(format!("{MAX_UNLEAFED} records wait for their leaf"));
        }
        if let Some(epoch) = opened {
            self.epoch = epoch.epoch;
            self.key_hash = sha256(&epoch.public_key);
        }
        self.previous = sha256(bytes);
        self.unleafed.push_back(checksum(bytes));
        self.next += 1;
        Ok(())
    }

    fn epoch(&self, body: &Body, detail: &[u8], log_key: &LogKey) -> Result<Option<Epoch>, String> {
        let sequence = body.sequence;
        if body.operation != Epoch::OPERATION {
            return if self.epoch > 0 && body.epoch == self.epoch {
                Ok(None)
            } else {
                Err(format!("record {sequence} is of epoch {}, in force is {}", body.epoch, self.epoch))
            };
        }
        let epoch =
            Epoch::decode(detail).map_err(|error| format!("record {sequence}: epoch detail {error}"))?;
        epoch
            .verify_statement(log_key.public_key())
            .map_err(|error| format!("record {sequence}: {error}"))?;
        if body.epoch != self.epoch + 1 || epoch.epoch != body.epoch {
            return Err(format!("record {sequence} opens epoch {}, next is {}", body.epoch, self.epoch + 1));
        }
        let unleafed = (self.next_leaf() < self.next).then_some((self.next_leaf(), self.next));
        if epoch.adopted != unleafed || epoch.previous_size != self.next_leaf() {
            return Err(format!(
                "record {sequence} adopts {:?}, without leaf are {:?}",
                epoch.adopted, unleafed
            ));
        }
        if epoch.policy_hash != body.policy_hash {
            return Err(format!("record {sequence} names another policy than its epoch detail"));
        }
        Ok(Some(epoch))
    }

    /// Takes a leaf and returns its hash, or says why it cannot follow.
    pub(crate) fn leaf(&mut self, sequence: u64, leaf: &[u8; 128]) -> Result<Hash, String> {
        let next = self.next_leaf();
        let Some(expected) = self.unleafed.front() else {
            return Err(format!("leaf {sequence} where no record waits for one"));
        };
        if sequence != next {
            return Err(format!("leaf {sequence} where {next} is next"));
        }
        let leaf = Leaf::from_bytes(leaf);
        if leaf.checksum != *expected {
            return Err(format!("leaf {sequence} commits to another body"));
        }
        if leaf.key_hash != self.key_hash {
            return Err(format!("leaf {sequence} is signed by another key than epoch {}'s", self.epoch));
        }
        self.unleafed.pop_front();
        Ok(leaf.hash())
    }
}

/// The first frame of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Random number of the segment.
    pub(crate) nonce: u64,
    /// The log it belongs to.
    pub(crate) log: Hash,
    /// The log's state before the segment.
    pub(crate) state: State,
    /// The tree then; its size is the state's next leaf.
    pub(crate) tree: Tree,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.log);
        out.extend_from_slice(&self.state.next.to_le_bytes());
        out.extend_from_slice(&self.state.previous);
        out.extend_from_slice(&self.state.epoch.to_le_bytes());
        out.extend_from_slice(&self.state.key_hash);
        out.extend_from_slice(&(self.state.unleafed.len() as u64).to_le_bytes());
        for checksum in &self.state.unleafed {
            out.extend_from_slice(checksum);
        }
        for (_, bytes) in self.tree.partial_tiles() {
            out.extend_from_slice(&bytes);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let nonce = u64::from_le_bytes(*take(&mut rest)?);
        let log = *take(&mut rest)?;
        let next = u64::from_le_bytes(*take(&mut rest)?);
        let previous = *take(&mut rest)?;
        let epoch = u64::from_le_bytes(*take(&mut rest)?);
        let key_hash = *take(&mut rest)?;
        let count = u64::from_le_bytes(*take(&mut rest)?);
        if count > next || count > MAX_UNLEAFED as u64 {
            return None;
        }
        let mut unleafed = VecDeque::new();
        for _ in 0..count {
            unleafed.push_back(*take(&mut rest)?);
        }
        let partial = |tile: Tile| (0..tile.width).map(|_| take(&mut rest).copied()).collect();
        let tree = Tree::from_partial_tiles(next - count, partial).ok()?;
        rest.is_empty().then_some(Self {
            nonce,
            log,
            state: State { next, previous, epoch, key_hash, unleafed },
            tree,
        })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}
