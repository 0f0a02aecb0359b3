//! Integration tests of the crate's public face.

mod crash;
mod log;
mod server;
mod support;
