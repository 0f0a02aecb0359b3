//! The exchange as a state machine, and the venue over real HTTP and WebSocket on loopback.

mod exchange;
mod http;
mod rest;
mod roles;
mod streams;
