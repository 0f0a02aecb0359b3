//! Makes the record of each decision: body, chain, leaf.

use std::collections::VecDeque;
use std::convert::Infallible;

use keys::RecordKey;
use protocol::sign::DenialText;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use trading::Timestamp;
use transparency::{Body, Denial, Leaf, Outcome};

use crate::core::Output;
use crate::ticket::{Recorded, Verdict};

/// Most reasons one record holds.
const MAX_DENIALS: usize = 128;
/// Longest text of a reason in a record, in bytes: with [`MAX_DENIALS`], below the
/// 64 KiB that a body may have.
const MAX_DENIAL_TEXT: usize = 384;

/// Sixteen random bytes that keep a record's hash from being guessed.
pub(crate) type Salt = [u8; 16];

/// What a record says besides its verdict.
pub(crate) struct Heading<'a> {
    pub(crate) time: Timestamp,
    pub(crate) actor: &'a str,
    pub(crate) account: Option<&'a str>,
    pub(crate) operation: &'a str,
    pub(crate) policy_hash: [u8; 32],
    pub(crate) state_digest: [u8; 32],
}

/// A record of which the journal has not acknowledged everything.
pub(crate) struct Unsynced {
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    pub(crate) body: Vec<u8>,
    pub(crate) detail: Vec<u8>,
    /// Signed while the journal syncs the body, or when somebody asks for it.
    pub(crate) leaf: Option<Leaf>,
    /// Leaves below this index were handed over before this record: once it is durable, so are they.
    leaves_before: u64,
}

impl Unsynced {
    fn signed_leaf(&mut self, key: &RecordKey) -> &Leaf {
        let Self { leaf, body, .. } = self;
        leaf.get_or_insert_with(|| {
            let sign = |message: &[u8]| Ok::<_, Infallible>(key.sign(message));
            let Ok(signed) = Leaf::sign(body, &key.public_key(), sign);
            signed
        })
    }
}

/// Continues the chain of records in one epoch.
pub(crate) struct Recorder {
    epoch: u64,
    key: RecordKey,
    next: u64,
    previous: [u8; 32],
    unsynced: VecDeque<Unsynced>,
    /// Records below this index are on disk; their leaves may not be.
    durable: u64,
    /// Leaves below this index were handed to the journal.
    leaves_sent: u64,
    /// Leaves below this index are signed.
    leaves_signed: u64,
}

impl Recorder {
    /// Continues at record `next`, whose predecessor's body hashes to `previous`.
    pub(crate) fn new(epoch: u64, key: RecordKey, next: u64, previous: [u8; 32]) -> Self {
        Self {
            epoch,
            key,
            next,
            previous,
            unsynced: VecDeque::new(),
            durable: next,
            leaves_sent: next,
            leaves_signed: next,
        }
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The public half of the key that signs this epoch's leaves.
    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.key.public_key()
    }

    pub(crate) const fn next_index(&self) -> u64 {
        self.next
    }

    /// When the oldest record that is not synced was made.
    pub(crate) fn oldest_unsynced(&self) -> Option<Timestamp> {
        let not_durable = |record: &&Unsynced| record.index >= self.durable;
        self.unsynced.iter().find(not_durable).map(|record| record.time)
    }

    /// Records `verdict`. The frame must reach the disk before the ticket lets anything out.
    pub(crate) fn record(
        &mut self,
        heading: &Heading<'_>,
        detail: Vec<u8>,
        verdict: Verdict,
        id: Option<Box<RawValue>>,
        salt: Salt,
    ) -> (Output, Recorded) {
        let index = self.next;
        let body = self.body(index, heading, &detail, &verdict, salt);
        let body = body.encode().expect("every text of a record was bounded when it came in");
        self.previous = Sha256::digest(&body).into();
        self.next += 1;
        let recorded = Recorded::new(index, id, verdict);
        let frame = Output::Append { index, body: body.clone(), detail: detail.clone() };
        let leaves_before = self.leaves_sent;
        let leaf = None;
        self.unsynced.push_back(Unsynced { index, time: heading.time, body, detail, leaf, leaves_before });
        (frame, recorded)
    }

    /// Takes over a durable record of an earlier epoch whose leaf was lost: this epoch signs it.
    pub(crate) fn adopt(&mut self, index: u64, body: &[u8]) {
        self.leaves_sent = self.leaves_sent.min(index);
        self.leaves_signed = self.leaves_sent;
        let leaves_before = self.leaves_sent;
        let body = body.to_vec();
        let (time, leaf) = (Timestamp::default(), None);
        self.unsynced.push_back(Unsynced { index, time, body, detail: Vec::new(), leaf, leaves_before });
    }

    /// Signs every leaf that is not signed yet.
    pub(crate) fn sign_leaves(&mut self) {
        self.sign_below(self.next);
    }

    fn sign_below(&mut self, below: u64) {
        let from = self.leaves_signed.max(self.oldest_kept());
        let count = usize::try_from(below.saturating_sub(from)).unwrap_or(usize::MAX);
        self.leaves_from(from).take(count).for_each(drop);
        self.leaves_signed = self.leaves_signed.max(below);
    }

    /// The hash of the leaf of record `index`, if that is kept.
    pub(crate) fn leaf_hash(&mut self, index: u64) -> Option<[u8; 32]> {
        self.sign_below(index + 1);
        let (at, leaf) = self.leaves_from(index).next()?;
        (at == index).then(|| leaf.hash())
    }

    /// Whether a signed leaf was not handed to the journal.
    pub(crate) const fn has_leaves_to_hand_over(&self) -> bool {
        self.leaves_signed > self.leaves_sent
    }

    /// The signed leaves the journal has not been handed yet.
    pub(crate) fn signed_leaves(&mut self) -> impl Iterator<Item = (u64, &Leaf)> {
        let from = std::mem::replace(&mut self.leaves_sent, self.leaves_signed);
        let count = usize::try_from(self.leaves_signed - from).unwrap_or(usize::MAX);
        self.leaves_from(from).take(count)
    }

    /// The leaves the journal has not been handed yet; those that are not signed are now.
    pub(crate) fn leaves_to_send(&mut self) -> impl Iterator<Item = (u64, &Leaf)> {
        self.sign_leaves();
        self.signed_leaves()
    }

    /// The leaves of the records from `from` on that are kept.
    pub(crate) fn leaves_from(&mut self, from: u64) -> impl Iterator<Item = (u64, &Leaf)> {
        let earlier = usize::try_from(from.saturating_sub(self.oldest_kept())).unwrap_or(usize::MAX);
        let Self { unsynced, key, .. } = self;
        unsynced.iter_mut().skip(earlier).map(|record| (record.index, record.signed_leaf(key)))
    }

    /// Everything that waits was just handed over.
    pub(crate) const fn all_leaves_sent(&mut self) {
        self.leaves_sent = self.next;
        self.leaves_signed = self.next;
    }

    /// Records from here on can be sent again.
    pub(crate) fn oldest_kept(&self) -> u64 {
        self.unsynced.front().map_or(self.next, |record| record.index)
    }

    /// Everything the journal has not acknowledged, to be sent again after it came back.
    pub(crate) fn unsynced(&self) -> impl Iterator<Item = &Unsynced> {
        self.unsynced.iter()
    }

    /// How many records are kept to be sent again.
    pub(crate) fn kept(&self) -> usize {
        self.unsynced.len()
    }

    /// SHA-256 of the body before record `index`, as this vault wrote it; `None` if that is not kept.
    pub(crate) fn digest_before(&self, index: u64) -> Option<[u8; 32]> {
        if index == self.next {
            return Some(self.previous);
        }
        let kept = self.unsynced.iter().find(|record| record.index == index)?;
        Body::decode(&kept.body).ok().map(|body| body.previous)
    }

    /// A new connection to the journal: of what was handed over on the old one, only leaves below
    /// `leaves_durable` are known to have arrived.
    pub(crate) fn reconnected(&mut self, leaves_durable: u64) {
        for record in &mut self.unsynced {
            record.leaves_before = record.leaves_before.min(leaves_durable);
        }
    }

    /// Takes note that records below `durable` are on disk.
    pub(crate) fn note_durable(&mut self, durable: u64) {
        self.durable = self.durable.max(durable);
    }

    /// Forgets the records that are on disk with their leaves.
    pub(crate) fn forget_durable(&mut self) {
        let durable = self.durable;
        let newest = self.unsynced.iter().rfind(|record| record.index < durable);
        let Some(leaves_durable) = newest.map(|record| record.leaves_before) else { return };
        while self.unsynced.front().is_some_and(|record| record.index < leaves_durable) {
            self.unsynced.pop_front();
        }
    }

    fn body(&self, index: u64, heading: &Heading<'_>, detail: &[u8], verdict: &Verdict, salt: Salt) -> Body {
        let facts = match verdict {
            Verdict::Approved(signed) => Some(&signed.facts),
            Verdict::Denied(_) | Verdict::Event | Verdict::Failed(_) => None,
        };
        Body {
            version: 1,
            sequence: index,
            epoch: self.epoch,
            time: heading.time,
            actor: heading.actor.to_owned(),
            account: heading.account.map(ToOwned::to_owned),
            operation: heading.operation.to_owned(),
            detail_digest: Sha256::digest(detail).into(),
            outcome: outcome(verdict),
            policy_hash: heading.policy_hash,
            state_digest: heading.state_digest,
            signed_digest: facts.map(|facts| facts.signed_digest),
            signature_digest: facts.map(|facts| facts.signature_digest),
            key_id: facts.map(|facts| facts.key_id.clone()),
            previous: self.previous,
            salt,
        }
    }
}

fn outcome(verdict: &Verdict) -> Outcome {
    let entry = |code: &str, text: &str| Denial { code: code.to_owned(), text: text.to_owned() };
    match verdict {
        Verdict::Approved(_) => Outcome::Approved,
        Verdict::Denied(denials) => {
            Outcome::Denied(denials.iter().map(|denial| entry(&denial.code, &denial.text)).collect())
        }
        Verdict::Failed(error) => Outcome::Denied(vec![entry("not_signed", &error.message)]),
        Verdict::Event => Outcome::Event,
    }
}

/// A salt for one more record where only one was drawn.
pub(crate) fn derived_salt(salt: Salt, index: u64) -> Salt {
    let digest = Sha256::new().chain_update(salt).chain_update(index.to_be_bytes()).finalize();
    std::array::from_fn(|byte| digest[byte])
}

/// Shortens what a record cannot hold, and says so in its place: at most [`MAX_DENIALS`] reasons of
/// at most [`MAX_DENIAL_TEXT`] bytes. What a client sends must not be able to stop the vault.
pub(crate) fn bound(denials: &mut Vec<DenialText>) {
    if denials.len() > MAX_DENIALS {
        let more = denials.len() - (MAX_DENIALS - 1);
        denials.truncate(MAX_DENIALS - 1);
        denials.push(DenialText { code: "more".into(), text: format!("and {more} more reasons") });
    }
    for denial in denials {
        if denial.text.len() > MAX_DENIAL_TEXT {
            let length = denial.text.len();
            let mut end = MAX_DENIAL_TEXT - 40;
            while !denial.text.is_char_boundary(end) {
                end -= 1;
            }
            denial.text.truncate(end);
            denial.text.push_str(&format!("… ({length} bytes)"));
        }
    }
}
