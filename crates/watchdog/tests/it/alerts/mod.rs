//! Alerts as their receivers meet them.

mod email;
mod http_sink;
mod sending;
mod smtp_server;
mod support;
mod telegram;
mod webhook;
