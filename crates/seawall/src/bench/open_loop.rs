//! Orders at a fixed rate, whatever the answers do: the time counts from when an order was due.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::line::LineBuffer;

use crate::bench::Plan;
use crate::bench::algorithm::Algorithm;
use crate::bench::endurance::VAULT_BUDGET;
use crate::bench::memory::{mebibytes, pss};
use crate::bench::orders::{APPROVED, requests};
use crate::bench::report::{Report, Role};
use crate::bench::rig::{Rig, Server};
use crate::bench::rows::{Budget, Row};
use crate::bench::samples::{Distribution, Samples};
use crate::bench::sockets::Vaults;

/// Orders per second.
const RATE: u64 = 2_000;
/// Who is asked.
const ALGORITHM: Algorithm = Algorithm::Ed25519;

/// Measures the rows of this file: slices of some seconds, in turns.
pub fn measure(plan: Plan, rig: &Rig<'_>, vaults: &Vaults, report: &mut Report) -> anyhow::Result<()> {
    let (slices, orders) = if plan.is_quick() { (1, RATE / 10) } else { (6, 5 * RATE) };
    let bare = Server::bare("ol", ALGORITHM, false, rig)?;
    let synced = Server::bare("ols", ALGORITHM, true, rig)?;
    let asked: [(&str, Role, &Server, &[u8]); 4] = [
        ("bare socket signer", Role::Bare, &bare, b""),
        ("socket, pipelined", Role::Pipelined, &vaults.pipelined, APPROVED),
        ("bare socket signer + write + fdatasync", Role::BareSynced, &synced, b""),
        ("socket, record durable", Role::Durable, &vaults.durable, APPROVED),
    ];
    let mut samples: [Samples; 4] = Default::default();
    for _ in 0..slices {
        for ((_, _, server, good), samples) in asked.iter().zip(&mut samples) {
            rig.check()?;
            samples.extend(slice(server, good, orders)?);
        }
    }
    let mut found: Vec<Distribution> = Vec::new();
    for (at, samples) in samples.into_iter().enumerate() {
        let times = samples.finish()?;
        let (name, role, ..) = asked[at];
        let seconds = times.len() as u64 / RATE;
        let row = Row::floor(format!("{RATE}/s for {seconds} s: {name}, {ALGORITHM}"), times.summary());
        report.add(if at % 2 == 1 { row.against(&found[at - 1]) } else { row });
        report.draw(format!("{RATE} orders a second, {ALGORITHM}"), role, &times);
        found.push(times);
    }
    let pid = vaults.durable.pid("vault").context("no vault")?;
    let row = Row::figure(
        format!("memory of the vault (PSS) after {RATE} orders a second"),
        "MiB",
        mebibytes(pss(pid)?),
    );
    report.add(row.within(Budget::Most(VAULT_BUDGET)));
    Ok(())
}

/// Sends `orders` when they are due and takes the replies, which come in the same order.
fn slice(server: &Server, good: &[u8], orders: u64) -> anyhow::Result<Samples> {
    let stream = UnixStream::connect(server.socket())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut sender = stream.try_clone()?;
    let lines = requests(ALGORITHM, 9_000);
    let start = Instant::now() + Duration::from_millis(5);
    let due = |number: u64| start + Duration::from_nanos(number * 1_000_000_000 / RATE);
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || -> std::io::Result<()> {
            for (number, line) in (0..orders).zip(lines.iter().cycle()) {
                let wait = due(number).saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    std::thread::sleep(wait);
                }
                sender.write_all(format!("{line}\n").as_bytes())?;
            }
            Ok(())
        });
        let taken = take(stream, good, orders, due);
        let sent = sending.join().map_err(|_| anyhow::anyhow!("the sender ended"))?;
        sent.context("the server takes no more").and(taken)
    })
}

fn take(
    mut stream: UnixStream,
    good: &[u8],
    orders: u64,
    due: impl Fn(u64) -> Instant,
) -> anyhow::Result<Samples> {
    let (mut replies, mut chunk) = (LineBuffer::new(), vec![0; 64 * 1024]);
    let (mut samples, mut taken) = (Samples::default(), 0);
    while taken < orders {
        let count = std::io::Read::read(&mut stream, &mut chunk)?;
        anyhow::ensure!(count > 0, "the server closed the connection");
        let arrived = Instant::now();
        replies.extend(&chunk[..count]);
        while let Some(reply) = replies.next_line()? {
            anyhow::ensure!(reply.starts_with(good), "answered {}", String::from_utf8_lossy(reply));
            samples.add(arrived.saturating_duration_since(due(taken)), 1);
            taken += 1;
        }
    }
    Ok(samples)
}
