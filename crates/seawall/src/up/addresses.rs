//! Where everything that runs can be reached, kept in a file for the other commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trading::Venue;

use crate::layout::{Layout, write_private};

/// Where to reach what `seawall up` started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Process id of `seawall up`.
    pub up_pid: u32,
    /// The gateway's base URL for each venue.
    pub gateway: BTreeMap<Venue, String>,
    /// The paper venue's base URL for each venue, where it is in use.
    pub paper: BTreeMap<String, String>,
    /// The bots' socket.
    pub sign_socket: String,
    /// The operators' socket.
    pub admin_socket: String,
    /// The journal's socket.
    pub journal_socket: String,
    /// Each process.
    pub processes: Vec<ProcessState>,
}

/// One process as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessState {
    /// Its name.
    pub name: String,
    /// Its process id, while it lives.
    pub pid: Option<u32>,
    /// `waiting`, `starting`, `ready` or `stopped`.
    pub health: String,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended the last time, if it did.
    pub last_exit: Option<String>,
}

impl Addresses {
    /// What the running `up` wrote; `None` if none runs.
    pub fn read(layout: &Layout) -> Option<Self> {
        let text = std::fs::read_to_string(layout.addresses()).ok()?;
        // A killed `up` leaves the file behind, but not the lock.
        crate::up::lock::Lock::is_held(layout).then(|| serde_json::from_str(&text).ok())?
    }

    /// Writes the file.
    pub fn write(&self, layout: &Layout) -> anyhow::Result<()> {
        write_private(&layout.addresses(), &serde_json::to_vec_pretty(self)?)
    }

    /// The gateway's base URL for `venue`.
    pub fn gateway_url(&self, venue: Venue) -> Option<String> {
        self.gateway.get(&venue).cloned()
    }
}
