//! The process that makes each record durable before the vault lets a signature go, puts the
//! leaves in order, and serves proofs.
//!
//! The folder holds:
//!
//! - `segments/`: the truth. Append-only frames of bodies and leaves. A torn write that a crash left
//!   is moved to `segments/torn-…`, never deleted, and gets a record of its own.
//! - `log.pub`: the log's public key. The private one lies where [`Config::key`] says.
//! - `checkpoint` and `tile/`: what outsiders read, in C2SP's formats. Made from the segments.
//! - `index.sqlite`: for listings. Made from the segments.
//! - `LOCK`: held by the one writer.
//!
//! The journal's [`tables`] lie beside that folder, in a file of their own.

mod appender;
#[cfg(test)]
mod crash;
mod error;
mod folder;
mod index;
mod key;
mod lock;
mod log;
mod publish;
mod reader;
mod recover;
mod repair;
mod segment;
mod server;
mod state;
pub mod storage;
pub mod tables;
mod torn;

// The tests' disk and vault speak of this crate by its name, inside and outside of it.
#[cfg(test)]
extern crate self as journal;
#[cfg(test)]
#[path = "../tests/it/disk.rs"]
mod disk;
#[cfg(test)]
#[path = "../tests/it/support.rs"]
#[allow(dead_code, reason = "the tests of the public face use the rest")]
mod support;

pub use error::JournalError;
pub use folder::{Folder, Located, Location, Records};
pub use index::check::{Checked, IndexState};
pub use index::{Entry, Filter, Index};
pub use key::LogSigner;
pub use lock::Lock;
pub use log::{Log, Recovered, Torn, rebuild};
pub use repair::{Repaired, repair_dir};
pub use server::{Config, Listen, open_dir, rebuild_dir, run};
