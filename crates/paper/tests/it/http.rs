//! A client of a few lines: one request, one answer, signatures made here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use paper::{Config, Spawned};
use serde_json::Value;
use sha2::Sha256;

pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

/// A venue that moves only when told.
pub(crate) fn venue() -> Spawned {
    paper::spawn(Config { tick_ms: 0, ..Config::demo(7) }).expect("starts on free ports")
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("fits")
}

pub(crate) fn sign(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut stream = TcpStream::connect(to).expect("listens");
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    // A venue that refuses an overlong body may close while it is still being written.
    let _refused_early = stream.write_all(request.as_bytes());
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Answer { status, head: head.to_ascii_lowercase(), body }
}

pub(crate) fn get(to: SocketAddr, target: &str) -> Value {
    send(to, "GET", target, &[], "").body
}

/// A signed Binance request with the key `paper-binance-<word>`.
pub(crate) fn binance(venue: &Spawned, word: &str, method: &str, path: &str, params: &str) -> Answer {
    let key = format!("paper-binance-{word}");
    let text = format!("{params}&timestamp={}", now_ms());
    let signature = sign(&format!("{key}-secret"), &text);
    let target = format!("{path}?{text}&signature={signature}");
    send(venue.addresses.binance, method, &target, &[("X-MBX-APIKEY", &key)], "")
}

/// A signed Bybit request with the key `paper-bybit-<word>`; `payload` is the query or the body.
pub(crate) fn bybit(venue: &Spawned, word: &str, method: &str, path: &str, payload: &str) -> Answer {
    let key = format!("paper-bybit-{word}");
    let at = now_ms().to_string();
    let signature = sign(&format!("{key}-secret"), &format!("{at}{key}5000{payload}"));
    let headers = [
        ("X-BAPI-API-KEY", key.as_str()),
        ("X-BAPI-TIMESTAMP", at.as_str()),
        ("X-BAPI-RECV-WINDOW", "5000"),
        ("X-BAPI-SIGN", signature.as_str()),
    ];
    match method {
        "GET" => send(venue.addresses.bybit, method, &format!("{path}?{payload}"), &headers, ""),
        _ => send(venue.addresses.bybit, method, path, &headers, payload),
    }
}
