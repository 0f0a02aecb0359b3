//! Who is at the other end of a Unix socket, on the kernel's word.

use std::io;
use std::os::fd::AsFd;

/// Credentials of the process that connected, as the kernel recorded them then (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user id.
    pub uid: u32,
    /// Its process id at the time it connected.
    pub pid: i32,
}

impl Peer {
    /// Asks the kernel about the other end of `socket`.
    ///
    /// # Errors
    ///
    /// The operating system's error, if the socket has no peer.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let credentials = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Self { uid: credentials.uid.as_raw(), pid: credentials.pid.as_raw_nonzero().get() })
    }

    /// The user this process runs as.
    #[must_use]
    pub fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }
}
