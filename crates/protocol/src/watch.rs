//! The watch socket: a watchdog's questions to the watch vault, one JSON object per line each way, answered in
//! the order in which they come.

use serde::{Deserialize, Serialize};
use trading::AccountName;
use venue::watch::Question;

use crate::object::{self, Object};
use crate::sign::ReadyRequest;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchLine {
    /// About which account.
    pub account: AccountName,
    /// What is asked of its venue.
    #[serde(deserialize_with = "object::required")]
    pub ask: Question,
}

impl WatchLine {
    /// Reads a line, which must be one JSON object of objects.
    ///
    /// # Errors
    ///
    /// Names the unknown or duplicate field, or says what was expected.
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line).map(|Object(line)| line)
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum WatchReply {
    /// Signed.
    Signed {
        /// What to send to the venue, byte for byte.
        request: ReadyRequest,
    },
    /// Not signed.
    Refused {
        /// Why, and what to do.
        why: String,
    },
}
