//! Tests of the vault from outside.

#![allow(missing_docs, reason = "tests")]

mod tickets;
