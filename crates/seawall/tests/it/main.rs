//! The built `seawall`, run as an operator runs it.

mod log;
mod operators;
mod secrets;
mod supervision;
mod support;
mod up;
