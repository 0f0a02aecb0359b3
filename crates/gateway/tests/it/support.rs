//! A gateway in front of a venue that writes down what it was asked. There is no vault: whatever would
//! need one is refused, and nothing here may need one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::{Bases, Config, Directory, VenueEndpoint};
use tempfile::TempDir;
use tokio::sync::oneshot;
use trading::Venue;

/// Longest wait for anything; only a failure waits this long.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Public data: passes the gateway without a login.
pub(crate) const TIME: &str = "GET /v5/market/time HTTP/1.1\r\nHost: here\r\n\r\n";

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("stand-ins.json");
        let nobody = serde_json::to_vec(&Directory::default()).expect("plain");
        std::fs::write(&directory, nobody).expect("writable");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let venue = venue(Arc::clone(&asked));
        let own = VenueEndpoint {
            listen: "127.0.0.1:0".parse().expect("an address"),
            bases: Bases::paper(Venue::Bybit, venue),
        };
        let config = Config {
            vault: folder.path().join("none.sock"),
            directory,
            venues: [(Venue::Bybit, own)].into(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, bound) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let until = async { drop(stopped.await) };
            let tell = |bound: &std::collections::BTreeMap<Venue, SocketAddr>| {
                ready.send(bound[&Venue::Bybit]).expect("somebody waits");
            };
            runtime.block_on(gateway::run(config, tell, until)).expect("it runs");
        });
        let address = bound.recv_timeout(LIMIT).expect("it listens");
        Self { address, asked, stop: Some(stop), thread: Some(thread), _folder: folder }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it takes connections");
        stream.set_read_timeout(Some(LIMIT)).expect("it can");
        stream.set_write_timeout(Some(LIMIT)).expect("it can");
        stream
    }

    /// Sends `bytes`, sends no more, and reads everything that comes.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The gateway may have closed before everything is sent.
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut reply = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            reply.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// Everybody else is still served.
    pub(crate) fn serves(&self) {
        let mut stream = self.connect();
        let last = TIME.replace("Host: here", "Host: here\r\nConnection: close");
        stream.write_all(last.as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("an answer");
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply:?}");
    }

    /// What the venue was asked since the last look, but for what the gateway asks by itself.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("unharmed"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(
            std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()),
            "the gateway fell over"
        );
    }
}

/// A venue that answers every request with a time and keeps its first line and its body.
fn venue(asked: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = Arc::clone(&asked);
            std::thread::spawn(move || answer(stream, &asked));
        }
    });
    address
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..count]);
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = bytes.drain(..end + 4).collect();
            asked.lock().expect("unharmed").push(String::from_utf8_lossy(&head).into_owned());
            let body = r#"{"retCode":0,"result":{"timeSecond":"1"}}"#;
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }
}
