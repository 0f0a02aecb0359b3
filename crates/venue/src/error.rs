//! Why bytes are not a request, a request not an intent, an intent not a request.

use thiserror::Error;
use trading::{NameError, ValueError};

use crate::json::JsonError;

/// Why a message cannot be taken apart into authentication and the rest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}` {problem}")]
pub struct Malformed {
    field: Box<str>,
    problem: &'static str,
}

impl Malformed {
    pub(crate) fn new(field: impl Into<Box<str>>, problem: &'static str) -> Self {
        Self { field: field.into(), problem }
    }

    /// The part named `whole` is no JSON that is accepted.
    pub(crate) fn json(whole: &str, error: JsonError) -> Self {
        match error {
            JsonError::Duplicate(key) => Self { field: key, problem: "is there twice" },
            JsonError::Syntax(_) => Self::new(whole, "is not strict JSON"),
            JsonError::TooBig => Self::new(whole, "is nested too deep or has too many keys"),
        }
    }

    /// The header, parameter or part at fault.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// Why a request has no meaning in our words, so that nothing may sign it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// No known endpoint or stream method. Everything that moves money is here.
    #[error("endpoint `{0}` is not one that may be signed")]
    Endpoint(Box<str>),
    /// A field that this endpoint is not known to take, or not here.
    #[error("unknown field `{0}`")]
    UnknownField(Box<str>),
    /// The same field twice.
    #[error("field `{0}` is there twice")]
    DuplicateField(Box<str>),
    /// A field without which the meaning is open.
    #[error("field `{0}` is missing")]
    MissingField(&'static str),
    /// A field whose value is not understood, or contradicts another.
    #[error("field `{field}` {problem}")]
    BadField {
        /// Its name.
        field: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
}

impl Undecodable {
    pub(crate) fn bad(field: impl Into<Box<str>>, problem: impl Into<Box<str>>) -> Self {
        Self::BadField { field: field.into(), problem: problem.into() }
    }

    pub(crate) fn unknown(field: &str) -> Self {
        Self::UnknownField(field.into())
    }

    pub(crate) fn value(field: &str, error: ValueError) -> Self {
        Self::bad(field, error.to_string())
    }

    pub(crate) fn name(field: &str, error: &NameError) -> Self {
        Self::bad(field, error.to_string())
    }

    /// The field at fault; `None` when the endpoint itself is.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Endpoint(_) => None,
            Self::UnknownField(field) | Self::DuplicateField(field) | Self::BadField { field, .. } => {
                Some(field)
            }
            Self::MissingField(field) => Some(field),
        }
    }

    /// Whether the endpoint, not a field, is refused.
    #[must_use]
    pub const fn is_endpoint(&self) -> bool {
        matches!(self, Self::Endpoint(_))
    }
}

impl From<JsonError> for Undecodable {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Duplicate(key) => Self::DuplicateField(key),
            other => Self::bad("body", other.to_string()),
        }
    }
}

/// Why an intent cannot be said in a venue's own words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}` {problem}")]
pub struct Unencodable {
    field: &'static str,
    problem: &'static str,
}

impl Unencodable {
    pub(crate) const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }

    /// The field of the intent that the venue cannot express.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

/// Why a venue's reply could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the venue's reply: `{field}` {problem}")]
pub struct UnreadableReply {
    field: Box<str>,
    problem: Box<str>,
}

impl UnreadableReply {
    pub(crate) fn new(field: impl Into<Box<str>>, problem: impl Into<Box<str>>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl From<JsonError> for UnreadableReply {
    fn from(error: JsonError) -> Self {
        Self::new("body", error.to_string())
    }
}
