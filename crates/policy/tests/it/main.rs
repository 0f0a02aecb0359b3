//! The crate as others use it: policy text and requests in, decisions out.
#![allow(missing_docs)]

mod amendments;
mod batches;
mod boundaries;
mod document;
mod exposure;
mod fail_open;
mod file;
mod properties;
mod reference;
mod restore;
mod support;
mod throttles;
