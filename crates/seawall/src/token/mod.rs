//! Hardware keys: a FIDO2 token over USB, or a program that speaks the same packets.
//!
//! `client` asks and does not know which of the two answers. No library of the system is needed: Linux
//! gives the token's packets at `/dev/hidraw*`, and its description in sysfs.

mod client;
mod ctap;
mod hid;
mod software;
#[cfg(test)]
mod tests;
mod usb;

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

pub use client::{MakeRequest, Token};
pub use software::{Behaviour, emulate};

use hid::Packet;

/// A way for packets to a token and back.
pub trait Transport {
    /// Sends one packet.
    fn send(&mut self, packet: &Packet) -> io::Result<()>;
    /// Waits for a packet; `None` if none came in time.
    fn receive(&mut self, limit: Duration) -> io::Result<Option<Packet>>;
}

/// Opens the token at `device`, or the only one that is plugged in.
pub fn open(device: Option<&Path>) -> anyhow::Result<Token> {
    let path = match device {
        Some(path) => path.to_owned(),
        None => only_one(usb::find().context("cannot look for tokens")?)?,
    };
    let what = || format!("cannot open the token at {}", path.display());
    let is_socket = std::fs::metadata(&path).with_context(what)?.file_type().is_socket();
    let transport: Box<dyn Transport> =
        if is_socket {
            Box::new(software::Socket::connect(&path).with_context(what)?)
        } else {
            Box::new(usb::HidRaw::open(&path).with_context(|| {
                format!("{}; its device needs a udev rule, see docs/approvals.md", what())
            })?)
        };
    let mut nonce = [0; 8];
    keys::fill_random(&mut nonce);
    Ok(Token::open(transport, nonce)?)
}

fn only_one(found: Vec<PathBuf>) -> anyhow::Result<PathBuf> {
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(none) if none.is_empty() => {
            anyhow::bail!("no FIDO2 token is plugged in; or say where with --device PATH")
        }
        Err(several) => {
            let list: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            anyhow::bail!("several tokens are plugged in; say which with --device: {}", list.join(", "))
        }
    }
}
