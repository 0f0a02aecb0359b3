//! What this run decided, counted from the log: a vault that dies takes its own counts with it.

use std::path::Path;

use journal::{Filter, Folder, Index};
use transparency::{Body, Outcome};

/// Records read from the index at one look; what is beyond is counted at the next.
const MOST_AT_ONCE: u32 = 10_000;
/// What the record that opens an epoch says was done.
const EPOCH: &str = "epoch";

/// Counts of the records of this run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The first record that is not counted yet.
    next: u64,
    approved: u64,
    denied: u64,
    /// The last vault's epoch, once its first record is in the log.
    epoch: Option<u64>,
    /// What earlier vaults of this run approved.
    approved_before_epoch: u64,
}

impl Tally {
    /// Nothing counted, and nothing before record `first` will be.
    pub fn starting_at(first: u64) -> Self {
        Self { next: first, ..Self::default() }
    }

    /// Requests that were approved and whose records are durable.
    pub fn approved(&self) -> u64 {
        self.approved
    }

    /// Requests that were denied and whose records are durable.
    pub fn denied(&self) -> u64 {
        self.denied
    }

    /// Signatures that left: what the vault of `epoch` says of itself, and everything durable that
    /// vaults before it approved, because nobody can say any more that it did not leave.
    pub fn released(&self, last: Option<(u64, u64)>) -> u64 {
        match last {
            Some((epoch, released)) if self.epoch == Some(epoch) => self.approved_before_epoch + released,
            // None of its records is counted yet.
            Some((epoch, released)) if self.epoch.is_none_or(|counted| counted < epoch) => {
                self.approved + released
            }
            _ => self.approved,
        }
    }

    /// Counts what is new in the index of `log`, which may be a moment behind.
    pub fn look(&mut self, log: &Path) -> anyhow::Result<()> {
        let index = Index::open_read_only(&log.join("index.sqlite"))?;
        let folder = Folder::open_read_only(log)?;
        let filter = Filter { from: Some(self.next), ..Filter::default() };
        for entry in index.list(&filter, MOST_AT_ONCE)? {
            if entry.operation == EPOCH {
                let opened = folder.record(entry.sequence, Some(entry.location))?;
                self.open_epoch(Body::decode(&opened.record.body)?.epoch);
            }
            match entry.outcome.as_str() {
                "approved" => self.approved += 1,
                "denied" => self.denied += 1,
                _ => {}
            }
            self.next = entry.sequence + 1;
        }
        Ok(())
    }

    /// Counts what is left from the records themselves, once nothing writes them any more.
    pub fn finish(&mut self, log: &Path) -> anyhow::Result<()> {
        for record in Folder::open_read_only(log)?.records_from(self.next)? {
            let body = Body::decode(&record?.record.body)?;
            if body.operation == EPOCH {
                self.open_epoch(body.epoch);
            }
            match body.outcome {
                Outcome::Approved => self.approved += 1,
                Outcome::Denied(_) => self.denied += 1,
                Outcome::Event => {}
            }
            self.next += 1;
        }
        Ok(())
    }

    fn open_epoch(&mut self, epoch: u64) {
        self.epoch = Some(epoch);
        self.approved_before_epoch = self.approved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_vault_approved_counts_as_released_and_the_last_one_is_believed() {
        let mut tally = Tally::starting_at(0);
        tally.open_epoch(1);
        tally.approved = 7;
        assert_eq!(tally.released(Some((1, 5))), 5, "the vault that lives knows what left");
        assert_eq!(tally.released(Some((2, 0))), 7, "it died; the next has recorded nothing");
        assert_eq!(tally.released(None), 7);
        tally.open_epoch(2);
        tally.approved = 9;
        assert_eq!(tally.released(Some((2, 1))), 8);
        assert_eq!(tally.released(Some((1, 5))), 9, "a status older than the log");
    }
}
