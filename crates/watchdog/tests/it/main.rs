//! The crate as others use it: the ladder, and the edges against servers that speak the real protocols, on
//! loopback.
#![allow(missing_docs)]

mod alerts;
mod breaker;
