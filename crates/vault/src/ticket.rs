//! The order of steps, as types: what is signed is recorded, what is recorded is durable, and
//! only what is durable is released.
//!
//! ```text
//! Approved ──sign──► Signed ──record──► Recorded ──durable──► Durable ──release──► bytes
//! ```
//!
//! Each type can be made only by the step before it, and [`Signed`] and [`Recorded`] have no way
//! to give up what they hold. `tests/compile_fail/` shows that taking another way does not build.

use protocol::sign::{DenialText, ErrorText, ReadyRequest, RecordReference, Reply, ReplyOutcome};
use serde_json::value::RawValue;

/// A request that carries the venue's signature and has not left.
pub struct Signed {
    request: ReadyRequest,
    pub(crate) facts: SignatureFacts,
}

/// What a record says of a signature, none of which lets anyone use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignatureFacts {
    /// SHA-256 of the bytes handed to the algorithm.
    pub(crate) signed_digest: [u8; 32],
    /// SHA-256 of the signature.
    pub(crate) signature_digest: [u8; 32],
    /// Which key.
    pub(crate) key_id: String,
}

impl Signed {
    /// Made by the signer alone.
    pub(crate) const fn new(request: ReadyRequest, facts: SignatureFacts) -> Self {
        Self { request, facts }
    }
}

/// What a caller will be told once the record of it is durable.
#[expect(clippy::large_enum_variant, reason = "most are approvals")]
pub(crate) enum Verdict {
    /// Signed.
    Approved(Signed),
    /// Refused.
    Denied(Vec<DenialText>),
    /// An operator's change.
    Event,
    /// Recorded, but could not be done.
    Failed(ErrorText),
}

/// A decision whose record is on its way to the disk.
pub struct Recorded {
    index: u64,
    id: Option<Box<RawValue>>,
    verdict: Verdict,
}

/// The journal's word that every record below an index is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurableBelow(u64);

impl DurableBelow {
    /// Made from the journal's acknowledgement alone.
    pub(crate) const fn acknowledged(index: u64) -> Self {
        Self(index)
    }

    /// In pipelined mode: the word of the bounded window instead of the disk's. The reply still
    /// says which records are durable.
    pub(crate) const fn within_window(index: u64) -> Self {
        Self(index)
    }

    /// Records below this index are covered.
    pub(crate) const fn index(self) -> u64 {
        self.0
    }
}

/// A decision whose record is durable; it may be told.
pub struct Durable {
    recorded: Recorded,
}

impl Recorded {
    /// Made by the recorder alone.
    pub(crate) const fn new(index: u64, id: Option<Box<RawValue>>, verdict: Verdict) -> Self {
        Self { index, id, verdict }
    }

    /// Index of its record.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Takes the journal's word for it.
    ///
    /// # Errors
    ///
    /// Gives itself back if the word does not cover it.
    pub fn durable(self, below: DurableBelow) -> Result<Durable, Box<Self>> {
        if self.index < below.0 { Ok(Durable { recorded: self }) } else { Err(Box::new(self)) }
    }
}

impl Durable {
    /// Index of its record.
    pub(crate) const fn index(&self) -> u64 {
        self.recorded.index
    }

    /// Lets it out: the reply for the caller, who is told the hash of the record's leaf, and that
    /// records below `durable` are on disk.
    pub(crate) fn release(self, durable: u64, leaf_hash: [u8; 32]) -> Released {
        let Recorded { index, id, verdict } = self.recorded;
        let (durable_seq, leaf) = (durable.checked_sub(1), hex::encode(leaf_hash));
        let record = RecordReference { seq: index, durable_seq, leaf };
        let signed = matches!(verdict, Verdict::Approved(_));
        let outcome = match verdict {
            Verdict::Approved(signed) => ReplyOutcome::Approved { record, request: signed.request },
            Verdict::Denied(denials) => ReplyOutcome::Denied { record, denials },
            Verdict::Failed(error) => ReplyOutcome::Error { error, record: Some(record) },
            Verdict::Event => return Released { signed, reply: ReleasedReply::Event(record) },
        };
        Released { signed, reply: ReleasedReply::Line(Reply { id, outcome }) }
    }
}

/// What leaves.
pub(crate) struct Released {
    /// Whether it carries a venue's signature.
    pub(crate) signed: bool,
    pub(crate) reply: ReleasedReply,
}

/// In which words it leaves.
pub(crate) enum ReleasedReply {
    /// To a bot or the gateway.
    Line(Reply),
    /// To an operator.
    Event(RecordReference),
}
