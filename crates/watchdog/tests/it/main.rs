//! The crate as others use it.
#![allow(missing_docs)]

mod breaker;
