//! The venue crate against requests that other software made, and against itself.

mod decoding;
mod neutral;
mod replies;
mod streams;
mod support;
mod vectors;
mod wire;
