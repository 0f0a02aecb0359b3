//! Integration tests of the crate's public face.

mod oracles;
mod support;
mod tree;
mod verifier;
