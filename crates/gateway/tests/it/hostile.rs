//! Bytes that no library sends, and connections that nobody means well with.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Stage, TIME};

/// How many replies with which status came.
fn statuses(reply: &str) -> Vec<&str> {
    let lines = reply.split("HTTP/1.1 ").skip(1);
    lines.map(|line| line.split(' ').next().unwrap_or_default()).collect()
}

/// Whether any reply is the venue's yes. Refusals may have status 200: Bybit's do.
fn served(reply: &str) -> bool {
    reply.contains("\"retCode\":0,")
}

#[test]
fn one_request_is_never_taken_for_two() {
    let stage = Stage::new();
    let inner = "GET /v5/market/tickers?smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let with = |headers: &str, body: &str| {
        format!("POST /v5/order/create HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}")
    };
    let length = inner.len();
    let attacks = [
        // Two lengths, that differ or hide in a list.
        with(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), inner),
        with(&format!("Content-Length: 0, {length}\r\n"), inner),
        with(&format!("Content-Length: +{length}\r\n"), inner),
        with(&format!("Content-Length:\r\n {length}\r\n"), inner),
        // A folded header, a space before the colon, a bare line feed in the middle, no name.
        with("X-A: b\r\n c: d\r\nContent-Length: 0\r\n", inner),
        with("Content-Length : 0\r\n", inner),
        with(": nothing\r\nContent-Length: 0\r\n", inner),
        with("X-A: b\rContent-Length: 0\r\n", inner),
        // Chunks that are none.
        with("Transfer-Encoding: chunked\r\n", &format!("zz\r\n{inner}")),
        with("Transfer-Encoding: chunked\r\n", &format!("-1\r\n{inner}")),
        with("Transfer-Encoding: chunked\r\n", &format!("ffffffffffffffff1\r\n{inner}")),
        with("Transfer-Encoding: chunked\r\n", &format!("5\r\nabcdefgh{inner}")),
        // Encodings nobody knows.
        with("Transfer-Encoding: xchunked\r\n", inner),
        with("Transfer-Encoding: chunked, identity\r\n", inner),
        "GET /v5/market/time HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
        "GET  /v5/market/time  HTTP/1.1\r\n\r\n".to_owned(),
        "\0\0\0\0".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}".to_owned(),
    ];
    for attack in &attacks {
        let reply = stage.exchange(attack.as_bytes());
        assert!(statuses(&reply).len() <= 1 && !served(&reply), "{attack:?}: {reply:?}");
    }
    let smuggled = stage.asked().into_iter().filter(|head| head.contains("smuggled")).count();
    assert_eq!(smuggled, 0);
    stage.serves();
}

#[test]
fn a_length_beside_chunks_is_not_the_length() {
    let stage = Stage::new();
    // Whoever believed the length of 4 would see a second request in the rest of the chunk.
    let chunk = "GET /v5/market/tickers?smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let attack = format!(
        "POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    );
    for attack in [
        attack.clone(),
        attack
            .replace("Content-Length: 4\r\nTransfer", "Transfer")
            .replace("chunked\r\n\r\n", "chunked\r\nContent-Length: 4\r\n\r\n"),
    ] {
        let reply = stage.exchange(attack.as_bytes());
        assert!(statuses(&reply).len() <= 1, "{reply:?}");
    }
    assert!(stage.asked().iter().all(|head| !head.contains("smuggled")));
    stage.serves();
}

#[test]
fn floods_of_headers_and_bodies_end_with_a_refusal() {
    let stage = Stage::new();
    let many: String = (0..5_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = "a".repeat(200_000);
    for attack in [
        format!("GET /v5/market/time HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("GET /v5/market/time HTTP/1.1\r\nX-Long: {long}\r\n\r\n"),
        format!("GET /v5/market/time?{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("POST /v5/order/create HTTP/1.1\r\nContent-Length: {}\r\n\r\n{long}", long.len()),
        "POST /v5/order/create HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n\r\n{}".to_owned(),
    ] {
        let reply = stage.exchange(attack.as_bytes());
        assert!(!served(&reply), "{:?}", &reply[..reply.len().min(200)]);
    }
    assert!(stage.asked().iter().all(|head| !head.contains("aaaa") && !head.contains("X-4999")));
    stage.serves();
}

#[test]
fn split_and_pipelined_requests_are_answered_in_order() {
    let stage = Stage::new();
    let mut stream = stage.connect();
    for byte in TIME.as_bytes() {
        stream.write_all(std::slice::from_ref(byte)).expect("it reads");
    }
    let last = TIME.replace("Host: here", "Host: here\r\nConnection: close");
    stream.write_all((TIME.repeat(8) + &last).as_bytes()).expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("ten replies");
    assert_eq!(statuses(&reply), ["200"; 10]);
}

/// `exchange` closes its side behind the request: that is no reason to be left without the answer.
#[test]
fn who_says_no_more_gets_the_answer_to_what_it_said() {
    let stage = Stage::new();
    for round in 0..200 {
        let reply = stage.exchange(TIME.as_bytes());
        assert!(served(&reply), "round {round}: {reply:?}");
    }
}

#[test]
fn bodies_that_are_no_order_are_refused_in_the_venues_words() {
    let stage = Stage::new();
    let deep = "[".repeat(20_000);
    for body in [
        r#"{"qty":NaN}"#,
        r#"{"qty":1e999}"#,
        r#"{"qty":-0}"#,
        r#"{"a":1,"a":2}"#,
        "{\"symbol\":\"ВТСUSDT\"}",
        "\u{feff}{}",
        &deep,
    ] {
        let request = format!(
            "POST /v5/order/create HTTP/1.1\r\nHost: x\r\nX-BAPI-API-KEY: k\r\nX-BAPI-TIMESTAMP: 1\r\nX-BAPI-SIGN: 00\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = stage.exchange(request.as_bytes());
        assert!(reply.contains("retCode") && !served(&reply), "{reply:?}");
    }
    let bytes = b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\xff\xfe\xc0\x80";
    let reply = stage.exchange(bytes);
    assert!(reply.contains("not UTF-8"), "{reply:?}");
    assert!(stage.asked().iter().all(|head| !head.contains("order/create")));
    stage.serves();
}

#[test]
fn whoever_dies_in_the_middle_takes_nobody_along() {
    let stage = Stage::new();
    for cut in 0..TIME.len() {
        let mut stream = stage.connect();
        stream.write_all(&TIME.as_bytes()[..cut]).expect("it reads");
    }
    for _ in 0..50 {
        // Gone before the reply is.
        stage.connect().write_all(TIME.as_bytes()).expect("it reads");
    }
    stage.serves();
}

#[test]
fn thousands_of_idle_connections_keep_nobody_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Both ends are in this process.
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(20_000).min(20_000);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum })
        .expect("below the maximum");
    let wanted = usize::try_from(most).expect("few").saturating_sub(3_000).min(10_000);
    assert!(wanted > 1_100, "this machine grants {most} open files");
    let stage = Stage::new();
    let mut working = stage.connect();
    let mut idle: Vec<TcpStream> = Vec::with_capacity(wanted);
    while idle.len() < wanted {
        // Fewer than what the kernel keeps waiting, so that the test measures us and not its patience.
        idle.extend((0..64).map(|_| stage.connect()));
        stage.serves();
    }
    // The oldest stranger had to leave; the newest is still there.
    let mut byte = [0];
    assert_eq!(working.read(&mut byte).expect("closed in order"), 0);
    let mut newest = &idle[idle.len() - 1];
    newest.write_all(TIME.as_bytes()).expect("still open");
    assert_eq!(newest.read(&mut byte).expect("an answer"), 1);
}

#[test]
fn bodies_that_never_come_keep_nobody_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(8_000).min(8_000);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum })
        .expect("below the maximum");
    let stage = Stage::new();
    let mut slow: Vec<TcpStream> = Vec::new();
    // More than there are places, each with a whole head and the beginning of a body.
    for _ in 0..1_100 {
        let mut stream = stage.connect();
        stream
            .write_all(b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            .expect("it reads");
        slow.push(stream);
        if slow.len().is_multiple_of(50) {
            stage.serves();
        }
    }
    // The last one hears why.
    let mut reply = [0; 1024];
    let last = slow.last_mut().expect("many");
    let count = last.read(&mut reply).expect("an answer");
    let reply = String::from_utf8_lossy(&reply[..count]).into_owned();
    assert!(reply.contains("did not come in time"), "{reply}");
}

#[test]
fn a_stream_takes_no_bomb_and_no_broken_frame() {
    let stage = Stage::new();
    // There is no such stream at this venue: the upgrade is refused, and the bytes behind it go nowhere.
    let upgrade = "GET /v5/trade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let bomb = [upgrade.as_bytes(), &[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
    let reply = stage.exchange(&bomb);
    assert!(!statuses(&reply).contains(&"101"), "{reply:?}");
    stage.serves();
}
