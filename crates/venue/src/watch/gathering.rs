//! Following a reading's pages to their end.

use std::collections::BTreeSet;

use trading::Timestamp;

use super::{Answer, Cursor, Question, Reading, read};
use crate::answer::Incomplete;

/// Most pages of one reading.
pub const MAX_PAGES: usize = 40;

/// A reading of which some pages are in.
#[derive(Debug, Clone)]
pub struct Gathering {
    next: Question,
    so_far: Option<Answer>,
    at: Option<Timestamp>,
    seen: BTreeSet<Cursor>,
}

/// What became of a page.
#[derive(Debug)]
pub enum Step {
    /// There is another: ask [`Gathering::question`].
    More(Gathering),
    /// That was the last: the whole answer, and the venue's time at the first page, where it says so.
    Whole(Answer, Option<Timestamp>),
}

impl Gathering {
    /// Starts at the first page.
    #[must_use]
    pub fn new(reading: Reading) -> Self {
        Self { next: reading.into(), so_far: None, at: None, seen: BTreeSet::new() }
    }

    /// What to ask now.
    #[must_use]
    pub const fn question(&self) -> &Question {
        &self.next
    }

    /// Takes the answer to [`Self::question`].
    ///
    /// # Errors
    ///
    /// [`Incomplete`]: then nothing of the pages before is given either.
    pub fn take(mut self, status: u16, body: &str) -> Result<Step, Incomplete> {
        let page = read(&self.next, status, body)?;
        let answer = match self.so_far.take() {
            None => {
                self.at = page.at;
                page.answer
            }
            Some(so_far) => joined(so_far, page.answer)?,
        };
        let Some(cursor) = page.next else { return Ok(Step::Whole(answer, self.at)) };
        if !self.seen.insert(cursor.clone()) {
            return Err(Incomplete::Circle);
        }
        if self.seen.len() >= MAX_PAGES {
            return Err(Incomplete::TooMuch);
        }
        self.so_far = Some(answer);
        self.next.page = Some(cursor);
        Ok(Step::More(self))
    }
}

fn joined(left: Answer, right: Answer) -> Result<Answer, Incomplete> {
    Ok(match (left, right) {
        (Answer::Positions(mut rows), Answer::Positions(more)) => {
            rows.extend(more);
            Answer::Positions(rows)
        }
        (Answer::Orders(mut rows), Answer::Orders(more)) => {
            rows.extend(more);
            Answer::Orders(rows)
        }
        (Answer::Flows(mut rows), Answer::Flows(more)) => {
            rows.extend(more);
            Answer::Flows(rows)
        }
        _ => return Err(Incomplete::Circle),
    })
}
