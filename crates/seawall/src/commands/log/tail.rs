//! The latest records: found through the search index, and read on from the segments where it ends.

use std::collections::VecDeque;
use std::path::Path;

use journal::{Filter, Folder, Index, JournalError, Located};
use transparency::{Body, SourceRecord};

/// Most records that one look at the index brings while following.
const PAGE: u32 = 1000;

/// What `log tail` shows, a part at a time.
pub(super) struct Tail {
    folder: Folder,
    index: Option<Index>,
    filter: Filter,
}

impl Tail {
    pub(super) fn open(log: &Path, filter: Filter) -> anyhow::Result<Self> {
        let folder = Folder::open_read_only(log)?;
        let index = Index::open_read_only(&log.join("index.sqlite"))
            .and_then(|index| index.next_sequence().map(|_| index))
            .map_err(|error| no_index(&error))
            .ok();
        Ok(Self { folder, index, filter })
    }

    /// The last `count` records, oldest first.
    pub(super) fn last(&mut self, count: u32) -> anyhow::Result<Vec<(u64, SourceRecord)>> {
        let limit = usize::try_from(count)?;
        let (entries, indexed) = self.indexed(|index, filter| index.tail(filter, count));
        let mut found: VecDeque<_> = entries.into();
        let mut next = indexed;
        for record in self.folder.records_from(indexed)? {
            let record = record?;
            next = record.sequence + 1;
            if self.is_wanted(&record) {
                found.push_back((record.sequence, record.record));
            }
            if found.len() > limit {
                found.pop_front();
            }
        }
        self.filter.from = Some(next);
        Ok(found.into())
    }

    /// What came since, oldest first; perhaps not all of it yet.
    pub(super) fn news(&mut self) -> anyhow::Result<Vec<(u64, SourceRecord)>> {
        let from = self.filter.from.unwrap_or(0);
        let (mut found, indexed) = self.indexed(|index, filter| index.list(filter, PAGE));
        if found.len() >= PAGE as usize {
            self.filter.from = found.last().map(|(last, _)| last + 1);
            return Ok(found);
        }
        let mut next = from.max(indexed);
        for record in self.folder.records_from(next)? {
            let record = record?;
            next = record.sequence + 1;
            if self.is_wanted(&record) {
                found.push((record.sequence, record.record));
            }
        }
        self.filter.from = Some(next);
        Ok(found)
    }

    /// What `list` finds in the index, and where the index ends. An index that fails is not asked again.
    fn indexed(
        &mut self,
        list: impl FnOnce(&Index, &Filter) -> Result<Vec<journal::Entry>, JournalError>,
    ) -> (Vec<(u64, SourceRecord)>, u64) {
        let Some(index) = &self.index else { return (Vec::new(), 0) };
        let looked = index.next_sequence().and_then(|next| {
            // Records that are indexed meanwhile are read from the segments.
            let filter = Filter { to: Some(next), ..self.filter.clone() };
            let entries = list(index, &filter)?;
            let read = |entry: journal::Entry| {
                let located = self.folder.record(entry.sequence, Some(entry.location))?;
                Ok((entry.sequence, located.record))
            };
            Ok((entries.into_iter().map(read).collect::<Result<_, JournalError>>()?, next))
        });
        looked.unwrap_or_else(|error| {
            no_index(&error);
            self.index = None;
            (Vec::new(), 0)
        })
    }

    fn is_wanted(&self, record: &Located) -> bool {
        let Ok(body) = Body::decode(&record.record.body) else { return true };
        self.filter.actor.as_ref().is_none_or(|actor| *actor == body.actor)
            && self.filter.outcome.as_ref().is_none_or(|outcome| outcome == body.outcome.as_str())
    }
}

fn no_index(error: &JournalError) {
    tracing::warn!(%error, "the search index cannot be used; reading the whole log. Make it anew with `seawall log rebuild`");
}
