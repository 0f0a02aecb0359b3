//! One bot floods, stalls, lies and dies; another goes on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Bot, Installation, LIMIT};

/// Requests of the quiet bot in each phase.
const ASKED: usize = if cfg!(debug_assertions) { 300 } else { 5_000 };
/// What its p99 may be in bad company on any machine that builds at the same time. The measured figures
/// are in `docs/performance.md`.
const BOUND: Duration = Duration::from_millis(500);

/// A durable answer each: an approval or a denial, in the log before it is told.
fn ask(stream: &mut BufReader<UnixStream>, bot: &str, number: usize) -> Duration {
    let line = format!(
        r#"{{"bot":"{bot}","account":"main","cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"{bot}-{number}"}}}}"#
    );
    let start = Instant::now();
    stream.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it reads");
    let mut reply = String::new();
    stream.read_line(&mut reply).expect("a reply");
    assert!(reply.contains("\"record\""), "{reply}");
    start.elapsed()
}

fn connect(socket: &PathBuf) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("it can");
    stream
}

/// p50 and p99 of the quiet bot.
fn measured(socket: &PathBuf) -> (Duration, Duration) {
    let mut stream = BufReader::new(connect(socket));
    let mut times: Vec<Duration> = (0..ASKED).map(|number| ask(&mut stream, "quiet", number)).collect();
    times.sort();
    (times[ASKED / 2], times[ASKED * 99 / 100])
}

/// Does one bad thing over and over until told to stop; counts how often.
fn misbehave(
    socket: &PathBuf,
    stop: &Arc<AtomicBool>,
    act: fn(&PathBuf),
) -> (JoinHandle<()>, Arc<AtomicU64>) {
    let (socket, stop, count) = (socket.clone(), Arc::clone(stop), Arc::new(AtomicU64::new(0)));
    let own = Arc::clone(&count);
    let thread = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            act(&socket);
            own.fetch_add(1, Ordering::Relaxed);
        }
    });
    (thread, count)
}

/// Many orders in one go, and not one reply read for as long as it lives.
fn flood(socket: &PathBuf) {
    let mut stream = connect(socket);
    let order = r#"{"bot":"loud","account":"main","cancel":{"market":"linear","symbol":"BTCUSDT","client_order_id":"l"}}"#;
    let many = format!("{order}\n").repeat(500);
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("it can");
    drop(stream.write_all(many.as_bytes()));
    std::thread::sleep(Duration::from_millis(100));
}

/// Half a line, then silence.
fn stall(socket: &PathBuf) {
    let mut stream = connect(socket);
    drop(stream.write_all(br#"{"bot":"loud","#));
    std::thread::sleep(Duration::from_millis(5));
}

/// Somebody else's name, and gone before the answer.
fn lie_and_die(socket: &PathBuf) {
    drop(connect(socket).write_all(b"{\"bot\":\"quiet\",\"order\":{}}\n[[[[\n"));
    std::thread::sleep(Duration::from_millis(1));
}

#[test]
fn a_bot_in_bad_company_is_still_served() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    for name in ["quiet", "loud"] {
        drop(Bot::add(&installation, name));
    }
    let socket = installation.path("run/sign.sock");
    let alone = measured(&socket);
    let stop = Arc::new(AtomicBool::new(false));
    let bad = [flood, stall, lie_and_die].map(|act| misbehave(&socket, &stop, act));
    let among = measured(&socket);
    stop.store(true, Ordering::Relaxed);
    let counts = bad.map(|(thread, count)| {
        thread.join().expect("it ends");
        count.load(Ordering::Relaxed)
    });
    println!(
        "alone p50 {:?} p99 {:?}; in bad company p50 {:?} p99 {:?}; {counts:?}",
        alone.0, alone.1, among.0, among.1
    );
    assert!(counts.iter().all(|count| *count > 0), "the others did nothing: {counts:?}");
    assert!(among.1 <= BOUND.max(alone.1 * 2), "p99 alone {:?}, in bad company {:?}", alone.1, among.1);
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}
