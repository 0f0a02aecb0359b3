//! A blocking HTTP client on one kept connection, as little as a fast client needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

/// Longest reply, in bytes.
const MAX_REPLY: usize = 1024 * 1024;
/// Longest wait for a reply.
const LIMIT: Duration = Duration::from_secs(30);

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// One connection.
pub struct HttpClient {
    stream: Box<dyn Duplex>,
    bytes: Vec<u8>,
}

impl HttpClient {
    pub fn tcp(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self { stream: Box::new(stream), bytes: Vec::new() })
    }

    pub fn unix(path: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self { stream: Box::new(stream), bytes: Vec::new() })
    }

    /// Sends a whole request and waits for the whole reply, which must state its length; returns its
    /// status and its body.
    pub fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.stream.write_all(request)?;
        self.bytes.clear();
        let mut chunk = [0; 8192];
        loop {
            if let Some((status, body, end)) = complete(&self.bytes)? {
                return Ok((status, &self.bytes[body..end]));
            }
            anyhow::ensure!(self.bytes.len() <= MAX_REPLY, "the reply is too long");
            let count = self.stream.read(&mut chunk)?;
            anyhow::ensure!(count > 0, "the server closed the connection");
            self.bytes.extend_from_slice(&chunk[..count]);
        }
    }
}

/// Status, start and end of the body, once all of it is there.
fn complete(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..head_end])?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = match (length, status) {
        (Some(length), _) => length?,
        (None, 204) => 0,
        (None, _) => anyhow::bail!("the reply states no length"),
    };
    anyhow::ensure!(length <= MAX_REPLY, "the reply is too long");
    let body = head_end + 4;
    Ok((bytes.len() >= body + length).then_some((status, body, body + length)))
}

/// A request with a body. `headers` end each with CR LF.
pub fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_complete_with_its_last_byte() {
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(complete(&reply[..reply.len() - 1]).expect("well-formed"), None);
        assert_eq!(complete(reply).expect("well-formed"), Some((200, 38, 40)));
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
