//! Hostile bytes at the real sockets of a running installation: what is not an order is refused in a word
//! that says why, and a bot that means well is served all the while.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Bot, Installation, LIMIT, wait_until};

fn connect(installation: &Installation) -> UnixStream {
    let stream = UnixStream::connect(installation.path("run/sign.sock")).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("it can");
    stream.set_write_timeout(Some(LIMIT)).expect("it can");
    stream
}

/// The reply to each of `lines`, sent in one piece.
fn replies(installation: &Installation, lines: &[Vec<u8>]) -> Vec<Value> {
    let mut stream = connect(installation);
    let bytes: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
    stream.write_all(&bytes).expect("it reads");
    let reader = BufReader::new(stream).lines().take(lines.len());
    reader.map(|line| serde_json::from_str(&line.expect("a reply")).expect("JSON")).collect()
}

/// A bot that means well gets a signature.
fn serves(installation: &Installation, turn: usize) {
    let line = format!(
        r#"{{"bot":"mine","venue":"bybit","place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.001","price":"199{:02}","post_only":true,"client_order_id":"well-{turn}"}}}}"#,
        turn % 100
    );
    // The account's rate may be used up for a second by what came before; nothing else may be in the way.
    for _ in 0..20 {
        let reply = &replies(installation, &[line.clone().into_bytes()])[0];
        if reply["status"] == "approved" {
            return;
        }
        let codes = reply["denials"].as_array().expect("reasons");
        assert!(
            codes.iter().all(|denial| denial["code"] == "message_rate_over_limit"),
            "turn {turn}: {reply}"
        );
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    panic!("turn {turn}: the rate stays used up");
}

/// What a field of an order must not hold.
const NUMBERS: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-0",
    "-0.0",
    "-0.001",
    "+1",
    "0x10",
    "1_000",
    "1,5",
    "٣",
    "９",
    "1 ",
    " 1",
    "",
    "null",
    "1234567890123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890",
];

/// What looks like a symbol: Cyrillic, full width, zero width, another direction, small, with more behind.
const SYMBOLS: &[&str] = &[
    "ВТСUSDT",
    "BTCUSDТ",
    "ＢＴＣＵＳＤＴ",
    "BTC\u{200b}USDT",
    "\u{202e}TDSUCTB",
    "BTCUSDT\u{feff}",
    "btcusdt",
    "BTCUSDT ",
    "BTCUSDT\\u0000",
    "BTC/USDT",
    "",
];

#[test]
fn what_is_no_order_gets_a_denial_or_an_error_that_names_it() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let neutral = |symbol: &str, quantity: &str, price: &str| {
        format!(
            r#"{{"bot":"mine","venue":"bybit","place":{{"market":"linear","symbol":"{symbol}","side":"buy","type":"limit","quantity":"{quantity}","price":"{price}","post_only":true}}}}"#
        )
    };
    let native = |symbol: &str, quantity: &str| {
        format!(
            r#"{{"bot":"mine","venue":"bybit","order":{{"category":"linear","symbol":"{symbol}","side":"Buy","orderType":"Limit","timeInForce":"PostOnly","qty":{quantity},"price":"19999"}}}}"#
        )
    };
    let mut denied: Vec<Vec<u8>> = Vec::new();
    for number in NUMBERS {
        denied.push(neutral("BTCUSDT", number, "19999").into());
        denied.push(neutral("BTCUSDT", "0.001", number).into());
        denied.push(native("BTCUSDT", &format!("\"{number}\"")).into());
    }
    for symbol in SYMBOLS {
        denied.push(neutral(symbol, "0.001", "19999").into());
        denied.push(native(symbol, "\"0.001\"").into());
    }
    // Twice the same, hidden behind an escape, too much, two bodies, deep inside.
    let sound = neutral("BTCUSDT", "0.001", "19999");
    for (from, to) in [
        (r#""quantity""#, r#""quantity":"0.001","quantity""#),
        (r#""quantity""#, r#""quantity":"0.001","quantit\u0079""#),
        (r#""place""#, r#""withdraw":{},"place""#),
        (r#""place""#, r#""cancel_all":{"market":"linear"},"place""#),
        (r#""place""#, r#""bot":"other","place""#),
        (r#""post_only":true"#, r#""post_only":[[[[[[[[true]]]]]]]]"#),
    ] {
        denied.push(sound.replacen(from, to, 1).into());
    }
    for (line, reply) in denied.iter().zip(replies(&installation, &denied)) {
        let line = String::from_utf8_lossy(line);
        assert_eq!(reply["status"], "denied", "{line}: {reply}");
        assert!(reply["seq"].is_u64(), "{line}: {reply}");
        assert!(reply["denials"][0]["text"].is_string(), "{line}: {reply}");
    }
    serves(&installation, 1);

    // Not even an object: an error each, in order, and the connection goes on.
    let deep = [b"[".repeat(30_000), b"{\"a\":".repeat(8_000)].concat();
    let errors: Vec<Vec<u8>> = [
        &b"{"[..],
        b"{\"bot\":",
        b"[]",
        b"nonsense",
        b"\xff\xfe\xc0\x80",
        b"{\"bot\":\"\xed\xa0\x80\"}",
        b"\0\0\0",
        b"{\"bot\":\"mine\"}}",
        b"{\"qty\":NaN}",
        b"{\"qty\":-}",
        b"\"\\ud800\"",
        &deep,
        b"GET / HTTP/1.1",
        b"\x16\x03\x01",
    ]
    .iter()
    .map(|line| line.to_vec())
    .collect();
    for (line, reply) in errors.iter().zip(replies(&installation, &errors)) {
        let line = String::from_utf8_lossy(&line[..line.len().min(60)]);
        assert_eq!(
            (&reply["status"], &reply["error"]["code"]),
            (&"error".into(), &"malformed".into()),
            "{line}: {reply}"
        );
    }
    serves(&installation, 2);

    // The same by way of the gateway, signed with a valid stand-in: the vault is what refuses.
    for body in denied_bodies() {
        let reply = bot.post("/v5/order/create", &body).expect("an answer in the venue's shape");
        assert_ne!(reply["retCode"], 0, "{}: {reply}", &body[..body.len().min(200)]);
        assert!(reply["retMsg"].as_str().is_some_and(|text| !text.is_empty()), "{reply}");
    }
    bot.trades();
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

fn denied_bodies() -> Vec<String> {
    let order = |symbol: &str, quantity: &str| {
        format!(
            r#"{{"category":"linear","symbol":"{symbol}","side":"Buy","orderType":"Limit","timeInForce":"PostOnly","qty":{quantity},"price":"19999"}}"#
        )
    };
    let numbers = NUMBERS.iter().map(|number| order("BTCUSDT", &format!("\"{number}\"")));
    let bare = ["NaN", "1e999", "-0", "-0.001", "0x10", "[0.001]", "{}", "true"]
        .into_iter()
        .map(|number| order("BTCUSDT", number));
    let symbols = SYMBOLS.iter().map(|symbol| order(symbol, "\"0.001\""));
    let sound = order("BTCUSDT", "\"0.001\"");
    let others = [
        sound.replacen(r#""qty""#, r#""qty":"0.001","qty""#, 1),
        sound.replacen(r#""qty""#, r#""qty":"0.001","qt\u0079""#, 1),
        format!("\u{feff}{sound}"),
        format!("{sound}{sound}"),
        format!("[{sound}]"),
        "[".repeat(20_000),
        "{\"a\":".repeat(5_000),
        sound[..sound.len() - 1].to_owned(),
    ];
    numbers.chain(bare).chain(symbols).chain(others).collect()
}

#[test]
fn split_pipelined_and_abandoned_lines_and_readers_that_do_not_read() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    drop(Bot::add(&installation, "mine"));
    let line = |id: usize| {
        format!(
            r#"{{"id":{id},"bot":"mine","account":"main","cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"p-{id}"}}}}"#
        )
    };
    // Byte by byte, then a thousand in one piece: each answered once, in order.
    let mut stream = connect(&installation);
    for byte in (line(0) + "\n").as_bytes() {
        stream.write_all(std::slice::from_ref(byte)).expect("it reads");
    }
    let many: String = (1..1_000).map(|id| line(id) + "\n").collect();
    let mut writer = stream.try_clone().expect("it can");
    let writing = std::thread::spawn(move || writer.write_all(many.as_bytes()).expect("it reads"));
    let ids: Vec<u64> = BufReader::new(stream)
        .lines()
        .take(1_000)
        .map(|reply| {
            serde_json::from_str::<Value>(&reply.expect("a reply")).expect("JSON")["id"]
                .as_u64()
                .expect("ours")
        })
        .collect();
    writing.join().expect("it wrote");
    assert!(ids.iter().copied().eq(0..1_000), "{ids:?}");
    serves(&installation, 1);
    // Gone in the middle of a line, and with replies due, and in the middle of a reply.
    for turn in 0..100 {
        let mut stream = connect(&installation);
        stream.write_all(&line(0).as_bytes()[..turn]).expect("it reads");
        let mut stream = connect(&installation);
        stream.write_all((line(1) + "\n").repeat(20).as_bytes()).expect("it reads");
        if turn % 2 == 0 {
            stream.read_exact(&mut [0; 7]).expect("the beginning of a reply");
        }
    }
    serves(&installation, 2);
    // Whoever asks for ever and reads nothing is cut off, before the vault holds more than its share.
    let mut deaf = connect(&installation);
    deaf.set_write_timeout(Some(std::time::Duration::from_millis(200))).expect("it can");
    let long_id = "x".repeat(120);
    let many = format!("{{\"id\":\"{long_id}\"}}\n").repeat(500);
    let mut sent = 0_usize;
    while deaf.write(many.as_bytes()).map(|count| sent += count).is_ok() {
        assert!(sent < 64 << 20, "the vault takes lines of somebody who reads nothing");
    }
    serves(&installation, 3);
    wait_until("those who are gone to be forgotten", || {
        installation.json(&["status", "--json"])["sign_connections"]["open"].as_u64() < Some(3)
    });
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

/// A WebSocket at the gateway, opened and spoken by hand.
struct Socket(TcpStream);

impl Socket {
    fn open(gateway: &str, path: &str, more: &str) -> Self {
        let mut stream = TcpStream::connect(gateway.replace("http://", "")).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("it can");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        // No compression is ever agreed to: what is small on the wire is small in memory.
        assert!(!head.to_ascii_lowercase().contains("extensions"), "{head}");
        Self(stream)
    }

    /// One frame: `first` byte, masked payload of `announced` bytes, of which `payload` are sent.
    fn frame(first: u8, announced: u64, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0xff];
        frame.extend(announced.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(payload);
        if announced < 126 {
            frame.splice(1..10, [0x80 | announced.to_be_bytes()[7]]);
        } else if let Ok(short) = u16::try_from(announced) {
            frame.splice(1..10, [&[0xfe][..], &short.to_be_bytes()].concat());
        }
        frame
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        drop(self.0.write_all(&Self::frame(first, payload.len() as u64, payload)));
    }

    /// The next text or binary frame; `None` at the end or at a closing frame.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] & 0x7f {
                126 => {
                    let mut long = [0; 2];
                    self.0.read_exact(&mut long).ok()?;
                    usize::from(u16::from_be_bytes(long))
                }
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).ok()?;
            match head[0] & 0x0f {
                1 | 2 => return Some(payload),
                8 => return None,
                _ => {}
            }
        }
    }

    fn pings(&mut self) -> bool {
        self.send(0x81, br#"{"op":"ping","req_id":"1"}"#);
        self.next().is_some_and(|reply| String::from_utf8_lossy(&reply).contains("pong"))
    }
}

#[test]
fn streams_end_at_broken_frames_and_bombs_and_others_go_on() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let gateway = up.gateway();
    let open = || Socket::open(&gateway, "/v5/private", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let mut well = open();
    assert!(well.pings(), "a stream that means well");
    // In pieces, with a ping between them, and byte by byte: one message.
    let mut pieces = open();
    pieces.send(0x01, br#"{"op":"#);
    pieces.send(0x89, b"are you there");
    pieces.send(0x00, br#""ping","#);
    for byte in Socket::frame(0x80, 13, br#""req_id":"2"}"#) {
        pieces.0.write_all(&[byte]).expect("it reads");
    }
    let reply = pieces.next().expect("an answer");
    assert!(String::from_utf8_lossy(&reply).contains("pong"), "{}", String::from_utf8_lossy(&reply));

    let long = vec![b' '; 33 * 1024];
    let bombs: Vec<(&str, Vec<u8>)> = vec![
        ("a frame of 2^63 bytes", Socket::frame(0x81, u64::MAX >> 1, b"")),
        ("a frame of 2^64 - 1 bytes", Socket::frame(0x81, u64::MAX, b"")),
        ("a frame over the limit", Socket::frame(0x81, long.len() as u64, &long)),
        (
            "pieces over the limit",
            [Socket::frame(0x01, 20_000, &long[..20_000]), Socket::frame(0x80, 20_000, &long[..20_000])]
                .concat(),
        ),
        ("a compressed frame", Socket::frame(0xc1, 4, b"\x4a\x4c\x02\x00")),
        ("a piece of nothing", Socket::frame(0x80, 2, b"{}")),
        (
            "a message within a message",
            [Socket::frame(0x01, 1, b"{"), Socket::frame(0x81, 2, b"{}")].concat(),
        ),
        ("no mask", vec![0x81, 0x02, b'{', b'}']),
        ("text that is none", Socket::frame(0x81, 4, b"\xff\xfe\xc0\x80")),
        ("binary", Socket::frame(0x82, 2, b"{}")),
        ("a long ping", Socket::frame(0x89, 126, &[0; 126])),
        ("a ping in pieces", Socket::frame(0x09, 1, b"x")),
        ("a kind of frame nobody knows", Socket::frame(0x83, 1, b"x")),
        ("a closing frame that is none", Socket::frame(0x88, 1, b"x")),
    ];
    for (what, bytes) in bombs {
        let mut socket = open();
        drop(socket.0.write_all(&bytes));
        assert_eq!(socket.next(), None, "{what} did not end the stream");
        assert!(well.pings(), "{what} hurt another stream");
    }
    // What is text but no request is answered, and the stream goes on.
    let mut socket = open();
    for text in [
        "[",
        "{\"op\":\"ping\",\"op\":\"auth\"}",
        "{\"op\":\"withdraw\"}",
        &"[".repeat(20_000),
        "{\"op\":NaN}",
    ] {
        socket.send(0x81, text.as_bytes());
        let reply = socket.next().map(|reply| String::from_utf8_lossy(&reply).into_owned());
        assert!(
            reply.as_ref().is_some_and(|reply| !reply.contains("\"retCode\":0")),
            "{text:.30}: {reply:?}"
        );
    }
    // More streams than there are places: whoever says least leaves, whoever speaks stays.
    let mut crowd: Vec<Socket> = Vec::new();
    for _ in 0..300 {
        crowd.push(open());
        assert!(well.pings(), "{} silent streams keep out one that speaks", crowd.len());
    }
    assert_eq!(crowd[0].next(), None, "the longest silent had to leave");
    assert!(crowd[299].pings());
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}
