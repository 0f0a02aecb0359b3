//! How the journal and its clients talk: frames over a Unix stream socket.
//!
//! A frame is its length (u32, little endian, of what follows), a kind byte and the fields in order:
//! integers little endian, byte strings with a u32 length before them. Every field is required,
//! nothing may follow the last one, and no frame is larger than [`MAX_FRAME`]. Decoding borrows.

use thiserror::Error;

/// Most bytes of a frame, its length field not counted.
pub const MAX_FRAME: usize = 256 * 1024;
/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;
/// Most bytes a record's detail may have.
pub const MAX_DETAIL: usize = 128 * 1024;

/// What a connection is for; said once, first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Appends records; there is one at a time, the vault.
    Appender,
    /// Only reads.
    Reader,
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Says what the connection is for. Answered by `Welcome`.
    Hello {
        /// The role.
        role: Role,
    },
    /// Makes a record durable. Answered by a `Durable` that reaches its sequence.
    Append {
        /// Its sequence; must be the next.
        sequence: u64,
        /// The encoded body.
        body: &'a [u8],
        /// The detail.
        detail: &'a [u8],
    },
    /// Adds the leaf of a durable or just appended record. Not answered.
    Leaf {
        /// The record's sequence; must be the next without a leaf.
        sequence: u64,
        /// The leaf.
        leaf: &'a [u8; 128],
    },
    /// Asks for all durable records from a sequence on. Answered by `Record`s and a `ReplayEnd`.
    Replay {
        /// The first.
        from: u64,
    },
    /// Asks for one record. Answered by `Record`.
    GetRecord {
        /// Which.
        sequence: u64,
    },
    /// Asks for the proof of one record. Answered by `Proof`.
    GetProof {
        /// Which.
        sequence: u64,
    },
    /// Asks how the journal does. Answered by `Status`.
    Status,
    /// Asks for a checkpoint over all durable leaves now. Answered by `Status`.
    Checkpoint,
    /// Asks the installation's key to vouch for a vault's ephemeral key; appender only. Answered by
    /// `Statement`.
    Vouch {
        /// The epoch about to begin; must be the one after the last.
        epoch: u64,
        /// The vault's public key.
        public_key: &'a [u8; 32],
        /// The policy it starts with.
        policy_hash: &'a [u8; 32],
    },
}

/// What the journal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Answers `Hello`.
    Welcome {
        /// Sequence of the next record.
        next_sequence: u64,
        /// Records `from..to` have no leaf; `from == to` if all have.
        unleafed: (u64, u64),
        /// SHA-256 of the last body; zeros if there is none.
        last_body_digest: [u8; 32],
        /// The last epoch; 0 if there is none.
        epoch: u64,
        /// Bytes of torn writes that the journal moved aside and no record speaks of yet.
        torn_bytes: u64,
    },
    /// All records up to and including this sequence are on disk.
    Durable {
        /// The highest.
        sequence: u64,
    },
    /// One record.
    Record {
        /// Its sequence.
        sequence: u64,
        /// The encoded body.
        body: &'a [u8],
        /// The detail.
        detail: &'a [u8],
        /// The leaf, if it has one.
        leaf: Option<&'a [u8; 128]>,
    },
    /// Ends a replay.
    ReplayEnd {
        /// Sequence after the last record sent.
        next_sequence: u64,
    },
    /// How the journal does.
    Status {
        /// Durable records.
        records: u64,
        /// Durable leaves.
        leaves: u64,
        /// Leaves the checkpoint covers.
        checkpoint_size: u64,
        /// The checkpoint, a signed note.
        checkpoint: &'a str,
        /// Records in the search index.
        indexed: u64,
    },
    /// A proof bundle in JSON.
    Proof {
        /// The file.
        bundle: &'a str,
    },
    /// A signed epoch statement.
    Statement {
        /// Its encoding.
        statement: &'a [u8],
    },
    /// The request failed; the connection ends unless the request only read.
    Error {
        /// Why, for people.
        text: &'a str,
    },
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The frame is larger than [`MAX_FRAME`].
    #[error("frame of {0} bytes exceeds the limit of {MAX_FRAME}")]
    TooLarge(usize),
    /// The kind is not known.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A field is missing, too long or malformed, or something follows the last.
    #[error("malformed frame of kind {0}")]
    Malformed(u8),
    /// The frame is empty.
    #[error("empty frame")]
    Empty,
}

/// Finds the first frame in `input`: its content and how many bytes it takes with its length;
/// `None` if it is not whole yet.
///
/// # Errors
///
/// [`WireError`] if its length is zero or exceeds the limit.
pub fn split(input: &[u8]) -> Result<Option<(&[u8], usize)>, WireError> {
    let Some((length, rest)) = input.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > MAX_FRAME {
        return Err(WireError::TooLarge(length));
    }
    if length == 0 {
        return Err(WireError::Empty);
    }
    Ok(rest.get(..length).map(|frame| (frame, LENGTH_BYTES + length)))
}

impl<'a> Request<'a> {
    /// Writes the frame, with its length, behind `out`.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] if it would exceed the limit; `out` is then as before.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        frame(out, |out| match *self {
            Self::Hello { role } => out.extend([1, u8::from(role == Role::Reader)]),
            Self::Append { sequence, body, detail } => {
                out.push(2);
                put_u64(out, sequence);
                put_bytes(out, body);
                put_bytes(out, detail);
            }
            Self::Leaf { sequence, leaf } => {
                out.push(3);
                put_u64(out, sequence);
                out.extend_from_slice(leaf);
            }
            Self::Replay { from } => {
                out.push(4);
                put_u64(out, from);
            }
            Self::GetRecord { sequence } => {
                out.push(5);
                put_u64(out, sequence);
            }
            Self::GetProof { sequence } => {
                out.push(6);
                put_u64(out, sequence);
            }
            Self::Status => out.push(7),
            Self::Checkpoint => out.push(8),
            Self::Vouch { epoch, public_key, policy_hash } => {
                out.push(9);
                put_u64(out, epoch);
                out.extend_from_slice(public_key);
                out.extend_from_slice(policy_hash);
            }
        })
    }

    /// Reads a frame's content as [`split`] gave it.
    ///
    /// # Errors
    ///
    /// [`WireError`] that says what is wrong.
    pub fn decode(frame: &'a [u8]) -> Result<Self, WireError> {
        let (kind, mut fields) = Fields::open(frame)?;
        let request = match kind {
            1 => match fields.take::<1>()? {
                [0] => Self::Hello { role: Role::Appender },
                [1] => Self::Hello { role: Role::Reader },
                _ => return Err(WireError::Malformed(kind)),
            },
            2 => Self::Append { sequence: fields.u64()?, body: fields.bytes()?, detail: fields.bytes()? },
            3 => Self::Leaf { sequence: fields.u64()?, leaf: fields.take()? },
            4 => Self::Replay { from: fields.u64()? },
            5 => Self::GetRecord { sequence: fields.u64()? },
            6 => Self::GetProof { sequence: fields.u64()? },
            7 => Self::Status,
            8 => Self::Checkpoint,
            9 => {
                Self::Vouch { epoch: fields.u64()?, public_key: fields.take()?, policy_hash: fields.take()? }
            }
            _ => return Err(WireError::UnknownKind(kind)),
        };
        fields.finish().map(|()| request)
    }
}

impl<'a> Reply<'a> {
    /// Writes the frame, with its length, behind `out`.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] if it would exceed the limit; `out` is then as before.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        frame(out, |out| match *self {
            Self::Welcome { next_sequence, unleafed, last_body_digest, epoch, torn_bytes } => {
                out.push(129);
                put_u64(out, next_sequence);
                put_u64(out, unleafed.0);
                put_u64(out, unleafed.1);
                out.extend_from_slice(&last_body_digest);
                put_u64(out, epoch);
                put_u64(out, torn_bytes);
            }
            Self::Durable { sequence } => {
                out.push(130);
                put_u64(out, sequence);
            }
            Self::Record { sequence, body, detail, leaf } => {
                out.push(131);
                put_u64(out, sequence);
                put_bytes(out, body);
                put_bytes(out, detail);
                put_bytes(out, leaf.map_or(&[], <[u8; 128]>::as_slice));
            }
            Self::ReplayEnd { next_sequence } => {
                out.push(132);
                put_u64(out, next_sequence);
            }
            Self::Status { records, leaves, checkpoint_size, checkpoint, indexed } => {
                out.push(133);
                put_u64(out, records);
                put_u64(out, leaves);
                put_u64(out, checkpoint_size);
                put_bytes(out, checkpoint.as_bytes());
                put_u64(out, indexed);
            }
            Self::Proof { bundle } => {
                out.push(134);
                put_bytes(out, bundle.as_bytes());
            }
            Self::Statement { statement } => {
                out.push(135);
                put_bytes(out, statement);
            }
            Self::Error { text } => {
                out.push(136);
                put_bytes(out, text.as_bytes());
            }
        })
    }

    /// Reads a frame's content as [`split`] gave it.
    ///
    /// # Errors
    ///
    /// [`WireError`] that says what is wrong.
    pub fn decode(frame: &'a [u8]) -> Result<Self, WireError> {
        let (kind, mut fields) = Fields::open(frame)?;
        let reply = match kind {
            129 => Self::Welcome {
                next_sequence: fields.u64()?,
                unleafed: (fields.u64()?, fields.u64()?),
                last_body_digest: *fields.take()?,
                epoch: fields.u64()?,
                torn_bytes: fields.u64()?,
            },
            130 => Self::Durable { sequence: fields.u64()? },
            131 => Self::Record {
                sequence: fields.u64()?,
                body: fields.bytes()?,
                detail: fields.bytes()?,
                leaf: match fields.bytes()? {
                    [] => None,
                    leaf => Some(leaf.try_into().map_err(|_| WireError::Malformed(kind))?),
                },
            },
            132 => Self::ReplayEnd { next_sequence: fields.u64()? },
            133 => Self::Status {
                records: fields.u64()?,
                leaves: fields.u64()?,
                checkpoint_size: fields.u64()?,
                checkpoint: fields.text()?,
                indexed: fields.u64()?,
            },
            134 => Self::Proof { bundle: fields.text()? },
            135 => Self::Statement { statement: fields.bytes()? },
            136 => Self::Error { text: fields.text()? },
            _ => return Err(WireError::UnknownKind(kind)),
        };
        fields.finish().map(|()| reply)
    }
}

fn frame(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    content(out);
    let length = out.len() - start - LENGTH_BYTES;
    if length > MAX_FRAME {
        out.truncate(start);
        return Err(WireError::TooLarge(length));
    }
    let length = u32::try_from(length).expect("checked against the limit");
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    // Whatever does not fit 32 bits exceeds the frame's limit and is refused with it.
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(value);
}

struct Fields<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn open(frame: &'a [u8]) -> Result<(u8, Self), WireError> {
        let (kind, rest) = frame.split_first().ok_or(WireError::Empty)?;
        Ok((*kind, Self { kind: *kind, rest }))
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Malformed(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        self.take().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = u32::from_le_bytes(*self.take()?) as usize;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Malformed(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Malformed(self.kind))
    }

    const fn finish(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Malformed(self.kind)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Foreign bytes never panic, and whatever decodes has one spelling.
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(kind in prop_oneof![0_u8..11, 128_u8..138], rest in prop::collection::vec(any::<u8>(), 0..160)) {
            let frame = [&[kind], rest.as_slice()].concat();
            let mut out = Vec::new();
            if let Ok(request) = Request::decode(&frame) {
                request.encode(&mut out).expect("small");
                prop_assert_eq!(&out[LENGTH_BYTES..], frame.as_slice());
            }
            out.clear();
            if let Ok(reply) = Reply::decode(&frame) {
                reply.encode(&mut out).expect("small");
                prop_assert_eq!(&out[LENGTH_BYTES..], frame.as_slice());
            }
        }
    }

    #[test]
    fn requests_and_replies_survive_the_wire() {
        let requests = [
            Request::Hello { role: Role::Appender },
            Request::Hello { role: Role::Reader },
            Request::Append { sequence: 7, body: b"body", detail: b"" },
            Request::Leaf { sequence: 8, leaf: &[3; 128] },
            Request::Replay { from: 1 },
            Request::GetRecord { sequence: 2 },
            Request::GetProof { sequence: 3 },
            Request::Status,
            Request::Checkpoint,
            Request::Vouch { epoch: 1, public_key: &[1; 32], policy_hash: &[2; 32] },
        ];
        let replies = [
            Reply::Welcome {
                next_sequence: 5,
                unleafed: (3, 5),
                last_body_digest: [9; 32],
                epoch: 2,
                torn_bytes: 1,
            },
            Reply::Durable { sequence: 4 },
            Reply::Record { sequence: 1, body: b"b", detail: b"d", leaf: Some(&[1; 128]) },
            Reply::Record { sequence: 1, body: b"b", detail: b"d", leaf: None },
            Reply::ReplayEnd { next_sequence: 9 },
            Reply::Status { records: 1, leaves: 2, checkpoint_size: 3, checkpoint: "note", indexed: 4 },
            Reply::Proof { bundle: "{}" },
            Reply::Statement { statement: b"s" },
            Reply::Error { text: "no" },
        ];
        let mut out = Vec::new();
        for request in requests {
            out.clear();
            request.encode(&mut out).expect("small");
            let (content, used) = split(&out).expect("length").expect("whole");
            assert_eq!(used, out.len());
            assert_eq!(Request::decode(content), Ok(request));
            for cut in 0..content.len() {
                assert!(Request::decode(&content[..cut]).is_err());
                assert_eq!(split(&out[..cut]), Ok(None));
            }
            out.push(0);
            assert!(Request::decode(&out[LENGTH_BYTES..]).is_err());
        }
        for reply in replies {
            out.clear();
            reply.encode(&mut out).expect("small");
            let (content, _) = split(&out).expect("length").expect("whole");
            assert_eq!(Reply::decode(content), Ok(reply));
            for cut in 0..content.len() {
                assert!(Reply::decode(&content[..cut]).is_err());
            }
        }
    }

    #[test]
    fn frames_over_the_limit_are_refused() {
        let mut out = vec![1];
        let body = vec![0; MAX_FRAME];
        assert!(Request::Append { sequence: 0, body: &body, detail: b"" }.encode(&mut out).is_err());
        assert_eq!(out, [1]);
        assert_eq!(split(&u32::MAX.to_le_bytes()), Err(WireError::TooLarge(u32::MAX as usize)));
        assert_eq!(split(&[0; 4]), Err(WireError::Empty));
    }
}
