//! The floor: a socket signer without policy or log, as its own process.
//!
//! Reads a line, signs it with the bare library call, writes the signature as a line. With a file it
//! also writes line and signature there and syncs, before it answers.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bench::algorithm::{Algorithm, BareKey, RSA_BYTES};

/// Bytes of the file, all written before the first request; then it starts over.
const FILE_BYTES: u64 = 16 << 20;

/// What the process is told.
#[derive(Serialize, Deserialize)]
pub struct BareStartup {
    algorithm: Algorithm,
    /// A throw-away key of this run: HMAC secret or PKCS#8, hexadecimal.
    key: String,
    /// Where to listen.
    socket: PathBuf,
    /// Where to log; none, no log.
    log: Option<PathBuf>,
}

impl BareStartup {
    pub fn new(algorithm: Algorithm, key: String, socket: PathBuf, log: Option<PathBuf>) -> Self {
        Self { algorithm, key, socket, log }
    }
}

/// Serves one caller at a time, for as long as the process lives.
pub fn run(startup: &BareStartup, ready: impl FnOnce()) -> anyhow::Result<()> {
    let key = BareKey::parse(startup.algorithm, &startup.key)?;
    let log = startup.log.as_ref().map(File::create_new).transpose()?;
    if let Some(log) = &log {
        for page in 0..FILE_BYTES / 4096 {
            log.write_all_at(&[0; 4096], page * 4096)?;
        }
        log.sync_all()?;
    }
    let listener = UnixListener::bind(&startup.socket)?;
    ready();
    let (mut line, mut room, mut offset) = (Vec::new(), [0; RSA_BYTES], 0);
    for stream in listener.incoming() {
        let mut reader = BufReader::new(stream?);
        while reader.read_until(b'\n', &mut line)? > 0 {
            let signed = key.sign(&line, &mut room);
            let mut reply = hex::encode(&room[..signed]).into_bytes();
            reply.push(b'\n');
            if let Some(log) = &log {
                line.extend_from_slice(&reply);
                log.write_all_at(&line, offset)?;
                rustix::fs::fdatasync(log)?;
                offset = (offset + line.len() as u64) % (FILE_BYTES - 65_536);
            }
            reader.get_ref().write_all(&reply)?;
            line.clear();
        }
    }
    Ok(())
}
