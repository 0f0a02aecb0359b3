//! How the processes talk.
//!
//! - [`sign`]: one JSON object per line each way between a bot (or the gateway) and the vault;
//!   `docs/protocol.md` is its reference.
//! - [`admin`]: the same framing between an operator's command and the vault.
//! - [`envelope`]: who a line is about, also where the rest of it cannot be read.
//! - [`journal`]: length-prefixed binary frames between the vault (or a reader) and the journal.
//! - [`lease`]: the same framing between a watchdog and the vault.
//! - [`tables`]: the events of the journal's tables, and how a log record vouches for their rows.
//! - [`watch`]: the same framing between a watchdog and the watch vault.
//! - [`peer`]: who is at the other end of a Unix socket.
//!
//! Every line and frame has a stated limit; a longer one ends the connection.

pub mod admin;
pub mod client;
pub mod envelope;
pub mod journal;
pub mod lease;
pub mod line;
pub mod neutral;
pub mod object;
pub mod peer;
pub mod sign;
pub mod tables;
pub mod watch;
