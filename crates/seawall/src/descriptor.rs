//! File descriptors inherited by number: the one thing here that Rust cannot check.
#![allow(unsafe_code, reason = "a descriptor that arrives as a number has no owner the compiler could know")]

use std::os::fd::{BorrowedFd, FromRawFd as _, RawFd};
use std::os::unix::net::UnixListener;

/// Borrows the open descriptor `number` of this process.
///
/// The caller keeps the object that owns it alive meanwhile (the supervisor owns its listeners).
pub fn borrowed(number: RawFd) -> BorrowedFd<'static> {
    assert!(number > 2, "standard streams are not inherited by number");
    // SAFETY: the number comes from `as_raw_fd` of a listener that the supervisor holds until the
    // end of the process, so it stays open and names the same object.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Takes ownership of a listener that the parent bound and passed under `number`.
///
/// Called once for each number, first thing in a process that was told the number at its start.
pub fn inherited_listener(number: RawFd) -> std::io::Result<UnixListener> {
    rustix::io::fcntl_setfd(borrowed(number), rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: `fcntl` has just shown that the descriptor is open, the parent opened it for this
    // process alone, and nothing else here has taken it.
    Ok(unsafe { UnixListener::from_raw_fd(number) })
}
