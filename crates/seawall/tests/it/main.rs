//! The built `seawall`, run as an operator runs it.

mod absences;
mod bench;
mod crash;
mod doctor;
mod documents;
mod explain;
mod hostile;
mod isolation;
mod journal_tables;
mod log;
mod operators;
mod secrets;
mod sign_socket;
mod supervision;
mod support;
mod token;
mod up;

/// A vault's side of a log, as the journal's own tests have it.
#[path = "../../../journal/tests/it/support.rs"]
#[allow(dead_code, reason = "the journal's tests use the rest")]
mod log_support;
