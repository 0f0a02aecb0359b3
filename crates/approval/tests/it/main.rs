//! Integration tests of the crate's public face.

mod damage;
mod directives;
mod quorum;
mod support;
mod vectors;
