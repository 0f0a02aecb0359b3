//! The venue crate against requests that other software made, and against itself.

mod admin;
mod decoding;
mod neutral;
mod replies;
mod skim;
mod streams;
mod support;
mod vectors;
mod watch;
mod wire;
