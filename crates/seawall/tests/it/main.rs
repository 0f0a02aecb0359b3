//! The built `seawall`, run as an operator runs it.

mod absences;
mod bench;
mod crash;
mod doctor;
mod documents;
mod explain;
mod hostile;
mod isolation;
mod log;
mod operators;
mod secrets;
mod sign_socket;
mod supervision;
mod support;
mod up;
