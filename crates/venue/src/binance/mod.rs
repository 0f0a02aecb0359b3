//! Binance: spot, margin, USD-M and COIN-M futures.
//!
//! Implements `developers.binance.com`, "Binance Spot API: Request security" and "WebSocket API:
//! Request security" (change log of 2026-01-15: parameters are percent-encoded before they are
//! signed), and the same pages of the derivatives documentation. The vectors in
//! `tests/vectors/binance.json` were captured from ccxt 4.5.90, binance-sdk-spot 13.2.0,
//! binance-connector 3.13.0 and the documentation's own example; read 2026-11-21.

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
