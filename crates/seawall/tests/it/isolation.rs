//! One bot floods, stalls, lies and dies; another goes on.
//!
//! A flood also takes processor time that no scheduling inside the vault can give back. So beside the quiet
//! bot alone and the quiet bot in bad company there is a third measurement: alone, while threads that have
//! nothing to do with the installation burn as much processor time as the bad company cost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Bot, Installation, LIMIT, Up};

/// Rounds of the three measurements, one after the other, and requests in each.
const ROUNDS: usize = if cfg!(debug_assertions) { 2 } else { 8 };
const ASKED: usize = if cfg!(debug_assertions) { 100 } else { 500 };
/// What the p99 may be on any machine that builds at the same time; `cargo xtask isolation` has the figures.
const BOUND: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 5 });

/// A quiet bot's request: sends it, waits for the answer.
type Ask<'a> = Box<dyn FnMut() + 'a>;

/// A bad act, over and over until told to stop.
type Act = Box<dyn FnMut() + Send>;

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("it can");
    stream.set_write_timeout(Some(LIMIT)).expect("it can");
    stream
}

fn cancel(bot: &str, id: &str) -> String {
    format!(
        r#"{{"bot":"{bot}","account":"main","cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"{id}"}}}}"#
    ) + "\n"
}

/// A durable answer each: an approval or a denial, in the log before it is told.
fn by_socket(socket: &Path) -> Ask<'static> {
    let mut stream = BufReader::new(connect(socket));
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let line = cancel("quiet", &format!("q-{number}"));
        stream.get_mut().write_all(line.as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_line(&mut reply).expect("a reply");
        assert!(reply.contains("\"seq\""), "{reply}");
    })
}

/// An answer of the gateway, durable too, and by way of the venue where it was approved.
fn by_gateway(mut bot: Bot) -> Ask<'static> {
    Box::new(move || assert!(bot.cancel_all().expect("an answer")["retCode"].is_i64()))
}

/// On one connection: sixty-four lines in one go, their replies, and again.
fn flood(socket: &Path) -> Act {
    let mut stream = BufReader::new(connect(socket));
    let many = cancel("loud", "l").repeat(64);
    Box::new(move || {
        stream.get_mut().write_all(many.as_bytes()).expect("it reads");
        let mut reply = String::new();
        for _ in 0..64 {
            stream.read_line(&mut reply).expect("a reply");
        }
    })
}

/// Many lines, and not one reply read for as long as the connection lives.
fn deaf(socket: &Path) -> Act {
    let (socket, many) = (socket.to_owned(), cancel("loud", "d").repeat(500));
    Box::new(move || {
        let mut stream = connect(&socket);
        stream.set_write_timeout(Some(Duration::from_millis(50))).expect("it can");
        drop(stream.write_all(many.as_bytes()));
        std::thread::sleep(Duration::from_millis(20));
    })
}

/// Half a line, then silence.
fn stall(socket: &Path) -> Act {
    let socket = socket.to_owned();
    Box::new(move || {
        let mut stream = connect(&socket);
        drop(stream.write_all(br#"{"bot":"loud","#));
        std::thread::sleep(Duration::from_millis(5));
    })
}

/// Somebody else's name, and gone before the answer.
fn lie_and_die(socket: &Path) -> Act {
    let socket = socket.to_owned();
    Box::new(move || {
        drop(connect(&socket).write_all(b"{\"bot\":\"quiet\",\"order\":{}}\n[[[[\n"));
        std::thread::sleep(Duration::from_millis(1));
    })
}

fn flood_gateway(mut bot: Bot) -> Act {
    Box::new(move || drop(bot.cancel_all()))
}

/// Threads at their acts; ended and counted by [`Company::leave`].
struct Company {
    stop: Arc<AtomicBool>,
    members: Vec<(JoinHandle<()>, Arc<AtomicU64>)>,
}

impl Company {
    fn of(acts: Vec<Act>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |mut act: Act| {
            let (stop, count) = (Arc::clone(&stop), Arc::new(AtomicU64::new(0)));
            let own = Arc::clone(&count);
            let thread = std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    act();
                    own.fetch_add(1, Ordering::Relaxed);
                }
            });
            (thread, count)
        };
        let members = acts.into_iter().map(start).collect();
        Self { stop, members }
    }

    /// How often each did its act.
    fn leave(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.members.into_iter().map(|(thread, count)| {
            thread.join().expect("it ends");
            count.load(Ordering::Relaxed)
        });
        ended.collect()
    }
}

/// Burns so many thousandths of one core, in slices of two milliseconds.
fn burn(share: u64) -> Act {
    let slice = Duration::from_millis(2);
    let work = Duration::from_micros(2 * share.min(1_000));
    Box::new(move || {
        let start = Instant::now();
        while start.elapsed() < work {
            std::hint::spin_loop();
        }
        std::thread::sleep(slice.saturating_sub(start.elapsed()));
    })
}

/// Processor time of this process and all of `up`'s, in ticks of a hundredth of a second.
fn ticks(up: &Up<'_>) -> u64 {
    let of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        number(11) + number(12)
    };
    up.processes().into_values().chain([up.pid(), std::process::id()]).map(of).sum()
}

/// Times of one measurement, and how much of a core everybody together kept busy, in thousandths.
fn measured(up: &Up<'_>, ask: &mut Ask<'_>) -> (Vec<Duration>, u64) {
    let (before, start) = (ticks(up), Instant::now());
    let one = |ask: &mut Ask<'_>| {
        let start = Instant::now();
        ask();
        start.elapsed()
    };
    let times = (0..ASKED).map(|_| one(ask)).collect();
    let took = u64::try_from(start.elapsed().as_millis()).expect("short").max(1);
    let cores = (ticks(up) - before) * 10 * 1_000 / took;
    (times, cores)
}

#[derive(Default)]
struct Figures {
    alone: Vec<Duration>,
    burned: Vec<Duration>,
    company: Vec<Duration>,
    acts: Vec<u64>,
}

fn compare(up: &Up<'_>, ask: &mut Ask<'_>, acts: impl Fn() -> Vec<Act>) -> Figures {
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        let (alone, usual) = measured(up, ask);
        let company = Company::of(acts());
        let (times, cores) = measured(up, ask);
        figures.acts = company.leave();
        assert!(figures.acts.iter().all(|count| *count > 0), "somebody did nothing: {:?}", figures.acts);
        let share = cores.saturating_sub(usual) / 2;
        let burners = Company::of(vec![burn(share), burn(share)]);
        let (burned, _) = measured(up, ask);
        burners.leave();
        figures.alone.extend(alone);
        figures.company.extend(times);
        figures.burned.extend(burned);
    }
    figures
}

fn quantiles(times: &[Duration]) -> (Duration, Duration) {
    let mut times = times.to_vec();
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn judge(what: &str, figures: &Figures) {
    let [alone, burned, company] =
        [&figures.alone, &figures.burned, &figures.company].map(|times| quantiles(times));
    let ratio = |base: Duration| {
        let percent = company.1.as_micros() * 100 / base.as_micros().max(1);
        format!("{}.{:02}", percent / 100, percent % 100)
    };
    for (name, (p50, p99)) in [("alone", alone), ("processor shared", burned), ("in bad company", company)] {
        println!("{what}, {name}: p50 {p50:?}, p99 {p99:?}");
    }
    println!(
        "{what}: p99 in bad company is {} x alone, {} x alone with as much of the processor taken; {:?}",
        ratio(alone.1),
        ratio(burned.1),
        figures.acts
    );
    let most = BOUND.max(2 * alone.1.max(burned.1));
    assert!(company.1 <= most, "{what}: p99 {:?} in bad company, at most {most:?}", company.1);
}

#[test]
fn a_bot_in_bad_company_is_still_served() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let [quiet, loud] = ["quiet", "loud"].map(|name| Bot::add(&installation, name));
    let socket: PathBuf = installation.path("run/sign.sock");
    let mut ask = by_socket(&socket);
    let bad = || vec![flood(&socket), flood(&socket), deaf(&socket), stall(&socket), lie_and_die(&socket)];
    judge("sign socket", &compare(&up, &mut ask, bad));
    let mut ask = by_gateway(quiet.again());
    let bad = || (0..4).map(|_| flood_gateway(loud.again())).collect();
    judge("gateway", &compare(&up, &mut ask, bad));
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}
