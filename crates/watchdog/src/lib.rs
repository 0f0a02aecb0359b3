//! The independent half: measures each account's equity with keys of its own, holds the drawdown
//! ladder, lends the vault short trading leases, and says so when something is wrong.

pub mod alerts;
pub mod breaker;
