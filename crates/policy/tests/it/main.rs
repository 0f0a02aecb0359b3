//! The crate as others use it: policy text and requests in, decisions out.
#![allow(missing_docs)]

mod amendments;
mod batches;
mod boundaries;
mod document;
mod explain;
mod exposure;
mod fail_open;
mod file;
mod lease;
mod proofs;
mod properties;
mod random;
mod reference;
mod restore;
mod size_factor;
mod support;
mod throttles;
mod tightening;
