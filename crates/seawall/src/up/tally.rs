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
    /// What earlier vaults of this run did.
    before_epoch: Counts,
}

/// Requests approved, denied, and signatures that left.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub approved: u64,
    pub denied: u64,
    pub released: u64,
}

/// What a vault says of its own epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultCounts {
    pub epoch: u64,
    pub counts: Counts,
}

impl Tally {
    /// Nothing counted, and nothing before record `first` will be.
    pub fn starting_at(first: u64) -> Self {
        Self { next: first, ..Self::default() }
    }

    /// What was approved, denied and released. `last` is what the last vault known says of itself. Of
    /// vaults before it everything durable that they approved counts as released, because nobody can
    /// say any more that it did not leave.
    pub fn totals(&self, last: Option<&VaultCounts>) -> Counts {
        let whole = Counts { approved: self.approved, denied: self.denied, released: self.approved };
        let before = match (last, self.epoch) {
            (Some(last), Some(counted)) if counted == last.epoch => self.before_epoch,
            // None of its records is counted yet.
            (Some(last), counted) if counted.is_none_or(|counted| counted < last.epoch) => whole,
            _ => return whole,
        };
        let own = last.map_or(Counts::default(), |last| last.counts);
        Counts {
            approved: before.approved + own.approved,
            denied: before.denied + own.denied,
            released: before.released + own.released,
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
        self.before_epoch = Counts { approved: self.approved, denied: self.denied, released: self.approved };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tally: &Tally, epoch: u64, own: [u64; 3], expected: [u64; 3]) {
        let [approved, denied, released] = own;
        let last = VaultCounts { epoch, counts: Counts { approved, denied, released } };
        let found = tally.totals(Some(&last));
        assert_eq!([found.approved, found.denied, found.released], expected, "epoch {epoch}");
    }

    #[test]
    fn counts_go_on_over_restarts_and_what_a_dead_vault_approved_counts_as_released() {
        let mut tally = Tally::starting_at(0);
        check(&tally, 1, [2, 1, 1], [2, 1, 1]);
        tally.open_epoch(1);
        (tally.approved, tally.denied) = (7, 2);
        // The vault that lives knows best.
        check(&tally, 1, [8, 3, 5], [8, 3, 5]);
        // It died; the next has recorded nothing, then something.
        check(&tally, 2, [0, 0, 0], [7, 2, 7]);
        tally.open_epoch(2);
        (tally.approved, tally.denied) = (9, 2);
        check(&tally, 2, [2, 1, 1], [9, 3, 8]);
        // A status older than the log.
        check(&tally, 1, [8, 3, 5], [9, 2, 9]);
        assert_eq!(tally.totals(None).released, 9);
    }
}
