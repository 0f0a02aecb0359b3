//! A local venue.
pub mod exchange;
mod num;
