//! One row: an event with its place in the chain.

use protocol::tables::{EventId, RowHash, TableEvent};
use rusqlite::Row as SqlRow;
use trading::Timestamp;
use transparency::{Hash, sha256};

/// Separates these hashes from every other use of SHA-256 here.
const DOMAIN: &[u8] = b"seawall journal row 1\0";

/// The columns of a row, in the order [`Raw::read`] takes them.
pub(super) const COLUMNS: &str = "seq, event_id, time_ms, table_name, kind, subject, payload, previous, hash";

/// An event as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place, from 1 over all tables, without gaps.
    pub sequence: u64,
    /// The writer's id for it.
    pub event_id: EventId,
    /// When it happened, by its writer's clock.
    pub time: Timestamp,
    /// What happened.
    pub event: TableEvent,
    /// Hash of the row before; zeros for the first.
    pub previous: Hash,
    /// SHA-256 of all of the above.
    pub hash: Hash,
}

impl Row {
    /// What a log record says to vouch for this row.
    #[must_use]
    pub const fn row_hash(&self) -> RowHash {
        RowHash { table: self.event.table(), row: self.sequence, hash: self.hash }
    }
}

/// A row as its bytes stand in the file: nothing is believed of it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) sequence: i64,
    pub(super) event_id: String,
    pub(super) time_ms: i64,
    pub(super) table: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) payload: String,
    pub(super) previous: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

impl Raw {
    pub(super) fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            event_id: row.get(1)?,
            time_ms: row.get(2)?,
            table: row.get(3)?,
            kind: row.get(4)?,
            subject: row.get(5)?,
            payload: row.get(6)?,
            previous: row.get(7)?,
            hash: row.get(8)?,
        })
    }

    /// The hash that these columns must have: SHA-256 of the domain, sequence and time as eight bytes
    /// each, every text with its length in eight bytes before it, and the hash of the row before. All
    /// numbers big-endian; the payload as it is stored.
    pub(super) fn computed_hash(&self) -> Hash {
        let texts = [&self.event_id, &self.table, &self.kind, &self.subject, &self.payload];
        let length: usize = texts.iter().map(|text| text.len() + 8).sum();
        let mut bytes = Vec::with_capacity(DOMAIN.len() + 16 + length + 32);
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.time_ms.to_be_bytes());
        for text in texts {
            bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.previous);
        sha256(&bytes)
    }

    /// Reads it as what it should be.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words that follow "row 7".
    pub(super) fn parse(&self) -> Result<Row, String> {
        let hash = |bytes: &[u8], name: &str| {
            Hash::try_from(bytes).map_err(|_| format!("has no {name} of 32 bytes"))
        };
        let event: TableEvent = serde_json::from_str(&self.payload)
            .map_err(|error| format!("has a payload that is no event ({error})"))?;
        if self.table != event.table().as_str()
            || self.kind != event.kind()
            || self.subject != event.subject()
        {
            return Err(format!(
                "says {} {} {} beside a payload that is not that",
                self.table, self.kind, self.subject
            ));
        }
        Ok(Row {
            sequence: u64::try_from(self.sequence).map_err(|_| "has a negative sequence".to_owned())?,
            event_id: EventId::new(self.event_id.as_str()).map_err(|error| format!("has an {error}"))?,
            time: Timestamp::from_ms(
                u64::try_from(self.time_ms).map_err(|_| "has a negative time".to_owned())?,
            ),
            event,
            previous: hash(&self.previous, "previous hash")?,
            hash: hash(&self.hash, "hash")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> Raw {
        let mut raw = Raw {
            sequence: 1,
            event_id: "a".into(),
            time_ms: 1_700_000_000_000,
            table: "halt_events".into(),
            kind: "halt_resolved".into(),
            subject: "h-1".into(),
            payload: r#"{"event":"halt_resolved","halt_id":"h-1","by":"ada","why":"calm"}"#.into(),
            previous: vec![0; 32],
            hash: Vec::new(),
        };
        raw.hash = raw.computed_hash().to_vec();
        raw
    }

    #[test]
    fn the_hash_is_the_one_the_documentation_describes() {
        // Made by Python's hashlib from the layout in docs/journal.md.
        let expected = "2b1ecf6cde97e7d7ca1248c3ff2af529cbc31f6a09e136ef5ae06e4baa257ac8";
        assert_eq!(hex::encode(raw().computed_hash()), expected);
    }

    #[test]
    fn every_column_counts_and_none_runs_into_the_next() {
        let honest = raw();
        let changes: [fn(&mut Raw); 9] = [
            |raw| raw.sequence += 1,
            |raw| raw.event_id.push('x'),
            |raw| raw.time_ms += 1,
            |raw| raw.table.push('x'),
            |raw| raw.kind.push('x'),
            |raw| raw.subject.push('x'),
            |raw| raw.payload.push(' '),
            |raw| raw.previous[31] ^= 1,
            |raw| {
                raw.table.push('h');
                raw.kind.remove(0);
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = honest.clone();
            change(&mut changed);
            assert_ne!(changed.computed_hash(), honest.computed_hash(), "change {number}");
        }
    }

    #[test]
    fn columns_that_contradict_the_payload_are_damage() {
        assert_eq!(raw().parse().expect("a row").hash.to_vec(), raw().hash);
        for change in [
            (|raw: &mut Raw| raw.subject = "h-2".into()) as fn(&mut Raw),
            |raw| raw.kind = "halt_started".into(),
            |raw| raw.table = "incidents".into(),
            |raw| raw.payload = "{}".into(),
            |raw| raw.time_ms = -1,
            |raw| raw.sequence = -1,
            |raw| raw.hash.truncate(31),
        ] {
            let mut changed = raw();
            change(&mut changed);
            assert!(changed.parse().is_err(), "{changed:?}");
        }
    }
}
