//! Tokens on USB: Linux's raw HID devices.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Transport;
use super::hid::{PACKET_BYTES, Packet};

/// Where Linux lists raw HID devices.
const CLASS: &str = "/sys/class/hidraw";
/// Most devices looked at.
const MAX_DEVICES: usize = 64;
/// Usage page and usage of a FIDO token (CTAP 2.1 §11.2.8.2).
const FIDO_PAGE: u32 = 0xf1d0;
const FIDO_USAGE: u32 = 0x01;

/// Paths of the tokens that are plugged in, in order of their names.
pub fn find() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(CLASS) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries.take(MAX_DEVICES) {
        let entry = entry?;
        let descriptor = fs::read(entry.path().join("device/report_descriptor")).unwrap_or_default();
        if is_fido(&descriptor) {
            found.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a report descriptor is a FIDO token's: its first usage page and usage (HID 1.11 §6.2.2).
fn is_fido(descriptor: &[u8]) -> bool {
    let (mut page, mut rest) = (0, descriptor);
    while let Some((head, behind)) = rest.split_first() {
        let length = [0, 1, 2, 4][usize::from(head & 3)];
        let Some((data, behind)) = behind.split_at_checked(length) else { return false };
        let value = data.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        match head & !3 {
            0x04 => page = value,
            0x08 => return (page, value) == (FIDO_PAGE, FIDO_USAGE),
            _ => {}
        }
        rest = behind;
    }
    false
}

/// An open device.
pub struct HidRaw {
    file: File,
}

impl HidRaw {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::options().read(true).write(true).open(path)? })
    }
}

impl Transport for HidRaw {
    fn send(&mut self, packet: &Packet) -> io::Result<()> {
        // The first byte is the report's number; these have none.
        let mut report = [0; 1 + PACKET_BYTES];
        report[1..].copy_from_slice(packet);
        let written = self.file.write(&report)?;
        if written == report.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn receive(&mut self, limit: Duration) -> io::Result<Option<Packet>> {
        if !is_readable(&self.file, limit)? {
            return Ok(None);
        }
        let mut packet = [0; PACKET_BYTES];
        match self.file.read(&mut packet)? {
            PACKET_BYTES => Ok(Some(packet)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Waits until `file` has something to read, or its end.
pub fn is_readable(file: impl std::os::fd::AsFd, limit: Duration) -> io::Result<bool> {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    match poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        // A signal: the caller looks at its own clock and comes again or not.
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CTAP 2.1 §11.2.8.2.
    const FIDO: &str = "06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0";
    /// A mouse (HID 1.11, appendix E.10).
    const MOUSE: &str = "05010902a1010901a10005091901290315002501";

    #[test]
    fn a_token_is_known_by_its_descriptor() {
        let bytes = |text| hex::decode(text).expect("hex");
        assert!(is_fido(&bytes(FIDO)));
        assert!(!is_fido(&bytes(MOUSE)));
        assert!(!is_fido(&bytes("06d0f10902")), "another usage");
        assert!(!is_fido(&bytes("0901a10106d0f1")), "the page comes too late");
        for length in 0..5 {
            assert!(!is_fido(&bytes(FIDO)[..length]));
        }
    }
}
