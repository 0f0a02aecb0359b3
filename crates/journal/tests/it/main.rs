//! Integration tests of the crate's public face.

mod log;
mod server;
mod support;
