//! The sign socket as a bot sees it, and bots that behave badly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Bot, Installation, LIMIT, wait_until};

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
fn a_line_too_long_is_answered_and_a_last_line_needs_no_line_feed() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    for extra in [1, 10_000, 150_000] {
        let mut stream = connect(&installation);
        let mut long = vec![b' '; 65_536 + extra];
        long.push(b'\n');
        // The vault may close before the rest is written.
        drop(stream.write_all(&long));
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap_or_else(|error| panic!("{extra} too many: {error}"));
        let reply: Value = serde_json::from_str(&reply).expect("one line");
        assert_eq!(reply["status"], "error");
        assert_eq!(reply["error"]["code"], "malformed");
        assert_eq!(reply["error"]["message"], "a line is longer than 65536 bytes");
    }
    let mut stream = connect(&installation);
    stream.write_all(b"[]\n{\"id\":1}").expect("it reads");
    stream.shutdown(Shutdown::Write).expect("it can");
    let mut replies = String::new();
    stream.read_to_string(&mut replies).expect("both, then the end");
    let replies: Vec<Value> = replies.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((replies.len(), &replies[1]["id"]), (2, &Value::from(1)), "{replies:?}");
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

#[test]
fn every_reply_names_its_record_and_its_leaf() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    drop(Bot::add(&installation, "mine"));
    let order = |quantity: &str| {
        format!(
            r#"{{"bot":"mine","venue":"bybit","place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"{quantity}","price":"19999","post_only":true}}}}"#
        )
    };
    let asked = [
        (order("0.001"), "approved"),
        (order("50"), "denied"),
        (r#"{"bot":"mine","withdraw":1}"#.into(), "denied"),
    ];
    let mut stream = connect(&installation);
    for (line, _) in &asked {
        writeln!(stream, "{line}").expect("it reads");
    }
    let mut replies = BufReader::new(stream).lines();
    let replies = asked.map(|(line, status)| {
        let reply: Value =
            serde_json::from_str(&replies.next().expect("a reply").expect("text")).expect("JSON");
        assert_eq!(reply["status"], status, "{line}: {reply}");
        assert!(reply["seq"].as_u64() <= reply["durable_seq"].as_u64(), "{reply}");
        reply
    });
    up.end(Signal::TERM);
    assert_eq!(installation.verify()["verified"], true);
    for reply in replies {
        let shown = installation.json(&["log", "show", &reply["seq"].to_string()]);
        assert_eq!(shown["outcome"], reply["status"], "{shown}");
        assert_eq!(shown["leaf"], reply["leaf"], "what the bot holds is what the log proves");
    }
}
