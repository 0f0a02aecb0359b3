//! Integration tests of the crate's public face.

mod crash;
mod disk;
mod log;
mod server;
mod support;
mod tables;
