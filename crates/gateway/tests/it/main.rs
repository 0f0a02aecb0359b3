//! The gateway as a bot, or somebody worse, meets it.

mod hostile;
mod support;
