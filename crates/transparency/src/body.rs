//! The body of a record: everything that was decided, as deterministic CBOR.

use thiserror::Error;
use trading::Timestamp;

use crate::cbor::{CborError, Reader, Writer};
use crate::hash::{Hash, sha256};

/// Most bytes an encoded body may have.
pub const MAX_BODY: usize = 64 * 1024 - 1;
const VERSION: u8 = 1;
const MAX_NAME: usize = 128;
const MAX_DENIALS: usize = 1024;
const MAX_CODE: usize = 64;
const MAX_TEXT: usize = 1024;

/// One decision or event, as it is kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Version of this layout; 1.
    pub version: u8,
    /// Place in the log, from 0. The leaf stands at the same index of the tree.
    pub sequence: u64,
    /// Which life of the vault wrote it, from 1.
    pub epoch: u64,
    /// The vault's clock.
    pub time: Timestamp,
    /// Who asked: a bot, an operator or `vault`.
    pub actor: String,
    /// The account it concerns, if any.
    pub account: Option<String>,
    /// What was asked, in the words of `Intent::operation`, or the event's name.
    pub operation: String,
    /// SHA-256 of the detail that is kept beside the body.
    pub detail_digest: Hash,
    /// What was decided.
    pub outcome: Outcome,
    /// Digest of the policy in force.
    pub policy_hash: Hash,
    /// Digest of the account's counters after this decision; zeros for events.
    pub state_digest: Hash,
    /// SHA-256 of the bytes handed to the signature algorithm.
    pub signed_digest: Option<Hash>,
    /// SHA-256 of the signature.
    pub signature_digest: Option<Hash>,
    /// The venue key that signed.
    pub key_id: Option<String>,
    /// SHA-256 of the previous body; zeros for the first.
    pub previous: Hash,
    /// Random bytes, so that a body cannot be guessed from its digest.
    pub salt: [u8; 16],
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The request was signed.
    Approved,
    /// The request was refused, for all of these reasons.
    Denied(Vec<Denial>),
    /// Nothing was asked; something happened.
    Event,
}

impl Outcome {
    /// The word used in files and listings.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied(_) => "denied",
            Self::Event => "event",
        }
    }
}

/// One reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The rule's stable name.
    pub code: String,
    /// The reason with its numbers, for people.
    pub text: String,
}

/// Why a body cannot be encoded or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The bytes are not the deterministic CBOR of a body.
    #[error("record body {0}")]
    Cbor(#[from] CborError),
    /// The version is not one this code knows.
    #[error("record body has version {0}, known is {VERSION}")]
    Version(u64),
    /// A field or the whole is longer than allowed.
    #[error("record body has a field that is too long: {0}")]
    TooLong(&'static str),
}

impl Body {
    /// The version this code writes.
    pub const VERSION: u8 = VERSION;

    /// Encodes the body. Equal bodies are equal bytes.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLong`] if a text or the list of denials exceeds its limit, or the whole
    /// exceeds [`MAX_BODY`]; nothing is ever shortened.
    pub fn encode(&self) -> Result<Vec<u8>, BodyError> {
        self.check_lengths()?;
        let optional = [
            self.account.is_some(),
            self.signed_digest.is_some(),
            self.signature_digest.is_some(),
            self.key_id.is_some(),
        ];
        let mut writer = Writer::with_capacity(512);
        writer.map(12 + optional.iter().filter(|present| **present).count());
        writer.unsigned(0).unsigned(u64::from(self.version));
        writer.unsigned(1).unsigned(self.sequence);
        writer.unsigned(2).unsigned(self.epoch);
        writer.unsigned(3).unsigned(self.time.as_ms());
        writer.unsigned(4).text(&self.actor);
        if let Some(account) = &self.account {
            writer.unsigned(5).text(account);
        }
        writer.unsigned(6).text(&self.operation);
        writer.unsigned(7).bytes(&self.detail_digest);
        writer.unsigned(8);
        self.outcome.write(&mut writer);
        writer.unsigned(9).bytes(&self.policy_hash);
        writer.unsigned(10).bytes(&self.state_digest);
        if let Some(digest) = &self.signed_digest {
            writer.unsigned(11).bytes(digest);
        }
        if let Some(digest) = &self.signature_digest {
            writer.unsigned(12).bytes(digest);
        }
        if let Some(key_id) = &self.key_id {
            writer.unsigned(13).text(key_id);
        }
        writer.unsigned(14).bytes(&self.previous);
        writer.unsigned(15).bytes(&self.salt);
        let bytes = writer.finish();
        if bytes.len() > MAX_BODY { Err(BodyError::TooLong("body")) } else { Ok(bytes) }
    }

    /// Decodes a body, refusing whatever [`Body::encode`] would not have written.
    ///
    /// # Errors
    ///
    /// [`BodyError`] that says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.len() > MAX_BODY {
            return Err(BodyError::TooLong("body"));
        }
        let mut reader = Reader::new(bytes);
        let input = &mut reader;
        let mut fields = input.map(16)?;
        fields.required(0, input)?;
        let version = input.unsigned()?;
        if version != u64::from(VERSION) {
            return Err(BodyError::Version(version));
        }
        fields.required(1, input)?;
        let sequence = input.unsigned()?;
        fields.required(2, input)?;
        let epoch = input.unsigned()?;
        fields.required(3, input)?;
        let time = Timestamp::from_ms(input.unsigned()?);
        fields.required(4, input)?;
        let actor = input.text(MAX_NAME)?.to_owned();
        let account =
            fields.optional(5, input)?.then(|| input.text(MAX_NAME)).transpose()?.map(str::to_owned);
        fields.required(6, input)?;
        let operation = input.text(MAX_NAME)?.to_owned();
        fields.required(7, input)?;
        let detail_digest = input.array_of()?;
        fields.required(8, input)?;
        let outcome = Outcome::read(input)?;
        fields.required(9, input)?;
        let policy_hash = input.array_of()?;
        fields.required(10, input)?;
        let state_digest = input.array_of()?;
        let signed_digest = fields.optional(11, input)?.then(|| input.array_of()).transpose()?;
        let signature_digest = fields.optional(12, input)?.then(|| input.array_of()).transpose()?;
        let key_id =
            fields.optional(13, input)?.then(|| input.text(MAX_NAME)).transpose()?.map(str::to_owned);
        fields.required(14, input)?;
        let previous = input.array_of()?;
        fields.required(15, input)?;
        let salt = input.array_of()?;
        fields.finish()?;
        reader.finish()?;
        Ok(Self {
            version: VERSION,
            sequence,
            epoch,
            time,
            actor,
            account,
            operation,
            detail_digest,
            outcome,
            policy_hash,
            state_digest,
            signed_digest,
            signature_digest,
            key_id,
            previous,
            salt,
        })
    }

    /// The digest by which the next body names this one.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Hash {
        sha256(bytes)
    }

    fn check_lengths(&self) -> Result<(), BodyError> {
        let over = |text: &str, max: usize| text.len() > max;
        if self.version != VERSION {
            return Err(BodyError::Version(u64::from(self.version)));
        }
        if over(&self.actor, MAX_NAME) {
            return Err(BodyError::TooLong("actor"));
        }
        if self.account.as_deref().is_some_and(|account| over(account, MAX_NAME)) {
            return Err(BodyError::TooLong("account"));
        }
        if over(&self.operation, MAX_NAME) {
            return Err(BodyError::TooLong("operation"));
        }
        if self.key_id.as_deref().is_some_and(|key_id| over(key_id, MAX_NAME)) {
            return Err(BodyError::TooLong("key id"));
        }
        if let Outcome::Denied(denials) = &self.outcome
            && (denials.len() > MAX_DENIALS
                || denials.iter().any(|denial| over(&denial.code, MAX_CODE) || over(&denial.text, MAX_TEXT)))
        {
            return Err(BodyError::TooLong("denials"));
        }
        Ok(())
    }
}

impl Outcome {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Approved => {
                writer.array(1).unsigned(0);
            }
            Self::Denied(denials) => {
                writer.array(2).unsigned(1).array(denials.len());
                for denial in denials {
                    writer.array(2).text(&denial.code).text(&denial.text);
                }
            }
            Self::Event => {
                writer.array(1).unsigned(2);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let items = reader.array(2)?;
        match (items, reader.unsigned()?) {
            (1, 0) => Ok(Self::Approved),
            (1, 2) => Ok(Self::Event),
            (2, 1) => {
                let count = reader.array(MAX_DENIALS)?;
                let mut denials = Vec::new();
                for _ in 0..count {
                    reader.exact_array(2)?;
                    let code = reader.text(MAX_CODE)?.to_owned();
                    let text = reader.text(MAX_TEXT)?.to_owned();
                    denials.push(Denial { code, text });
                }
                Ok(Self::Denied(denials))
            }
            _ => Err(CborError::OutOfRange),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_body() -> impl Strategy<Value = Body> {
        let outcome = prop_oneof![
            Just(Outcome::Approved),
            Just(Outcome::Event),
            prop::collection::vec(("[a-z_]{0,20}", ".{0,40}"), 0..5).prop_map(|list| Outcome::Denied(
                list.into_iter().map(|(code, text)| Denial { code, text }).collect()
            )),
        ];
        let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
        let texts =
            ("[a-z]{1,20}", prop::option::of("[a-z]{1,20}"), "[a-z]{1,20}", prop::option::of(".{0,20}"));
        let digests = (any::<[u8; 32]>(), any::<[u8; 32]>(), prop::option::of(any::<[u8; 32]>()));
        (numbers, texts, digests, outcome, any::<[u8; 16]>()).prop_map(
            |(
                (sequence, epoch, ms),
                (actor, account, operation, key_id),
                (one, two, three),
                outcome,
                salt,
            )| Body {
                version: 1,
                sequence,
                epoch,
                time: Timestamp::from_ms(ms),
                actor,
                account,
                operation,
                detail_digest: one,
                outcome,
                policy_hash: two,
                state_digest: one,
                signed_digest: three,
                signature_digest: three,
                key_id,
                previous: two,
                salt,
            },
        )
    }

    proptest! {
        #[test]
        fn decoding_is_the_inverse_of_encoding(body in any_body()) {
            let bytes = body.encode().expect("short fields");
            prop_assert_eq!(Body::decode(&bytes), Ok(body));
        }

        /// Whatever decodes has one spelling: flipping any bit gives another body or none.
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(body in any_body(), bit in any::<prop::sample::Index>()) {
            let mut bytes = body.encode().expect("short fields");
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Body::decode(&bytes) {
                prop_assert_ne!(&other, &body);
                prop_assert_eq!(other.encode().expect("decoded"), bytes);
            }
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Body::decode(&bytes);
        }
    }
}
