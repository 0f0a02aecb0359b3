//! A local venue: Binance (spot, USD-M futures) and Bybit v5, REST and WebSocket.
//!
//! Unmodified client libraries trade against it. It checks every signature, timestamp and key scope
//! from the bytes it received, with code that shares nothing with the code that signs, and matches
//! orders by price and time in a market that one seed determines. Nothing in it is worth anything.
//!
//! [`exchange`] is a pure state machine; the fronts give it HTTP, WebSocket and each venue's words.

// Venue rows have many fields, and `json!` recurses once a token.
#![recursion_limit = "256"]

mod auth;
mod binance;
mod bybit;
mod config;
mod control;
pub mod exchange;
mod family;
mod faults;
mod num;
mod run;
mod server;
#[cfg(feature = "sim")]
pub mod sim;
mod state;
#[cfg(test)]
mod vectors;

pub use config::{Config, KeyConfig, Permissions, Secret, default_instruments};
pub use run::{Addresses, Error, Spawned, run, spawn};
