//! The sign socket as a bot sees it, and bots that behave badly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Installation, LIMIT, wait_until};

fn connect(installation: &Installation) -> UnixStream {
    let stream = UnixStream::connect(installation.path("run/sign.sock")).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("it can");
    stream
}

fn sign_connections(installation: &Installation) -> Value {
    installation.json(&["status", "--json"])["sign_connections"].clone()
}

#[test]
fn callers_that_hang_up_leave_no_connection_behind() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    for _ in 0..2000 {
        let mut stream = connect(&installation);
        // Turned away is what this test is about, and is counted below.
        drop(stream.write_all(b"nonsense"));
    }
    wait_until("every connection to be dropped", || sign_connections(&installation)["open"] == 0);
    let status = installation.json(&["status", "--json"]);
    assert_eq!(status["healthy"], true, "{status}");

    for turn in 0..300 {
        let mut stream = connect(&installation);
        stream.write_all(b"nonsense").expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it can");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap_or_else(|error| panic!("turn {turn}: no end: {error}"));
    }
    up.end(Signal::TERM);
}

#[test]
fn a_full_sign_socket_is_told_of() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let most = sign_connections(&installation)["most"].as_u64().expect("a number");
    let held: Vec<_> = (0..most).map(|_| connect(&installation)).collect();
    wait_until("the socket to be full", || sign_connections(&installation)["open"] == most);
    let mut late = connect(&installation);
    assert_eq!(late.read(&mut [0; 1]).unwrap_or(0), 0, "it is turned away");
    assert_eq!(sign_connections(&installation)["refused"], 1);
    assert!(installation.ok(&["status"]).contains("FULL"));
    assert!(installation.fails(&["doctor"]).contains("sign socket is full"));
    drop(held);
    wait_until("the socket to be free", || sign_connections(&installation)["open"] == 0);
    let mut stream = connect(&installation);
    stream.write_all(b"nonsense\n").expect("it reads");
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).expect("a reply");
    assert!(reply.contains("malformed"), "{reply}");
    up.end(Signal::TERM);
}
