//! The operator's commands, one file each.

pub mod bot;
pub mod doctor;
pub mod init;
pub mod journal;
pub mod key;
pub mod log;
pub mod policy;
pub mod state;
pub mod status;
pub mod token;
pub mod venue;

/// Prints `line` to standard output; a reader that went away is no error.
pub fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}
