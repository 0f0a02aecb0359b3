//! Bybit v5: spot, linear, inverse, options.
//!
//! Implements `bybit-exchange.github.io/docs/v5`, "Integration guidance: Authentication", "Trade",
//! "Position", "WebSocket Trade Guideline" and the change log up to 2026-11. The vectors in
//! `tests/vectors/bybit.json` were captured from ccxt 4.5.90 and pybit 5.17.0; read 2026-11-21.

pub(crate) mod admin;
pub(crate) mod auth;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod endpoints;
pub(crate) mod market;
pub(crate) mod native;
pub(crate) mod order;
pub(crate) mod permissions;
pub(crate) mod reply;
pub(crate) mod skim;
pub(crate) mod stream;
pub(crate) mod watch;
