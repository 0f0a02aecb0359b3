//! A million orders through one vault: its memory on the way, and what becomes of their log.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use journal::{Folder, Index};
use transparency::{Options, verify, verify_proof};
use vault::Durability;

use crate::bench::Plan;
use crate::bench::algorithm::Algorithm;
use crate::bench::flood::Flood;
use crate::bench::memory::{mebibytes, pss};
use crate::bench::orders::{of_two_bots, requests};
use crate::bench::report::Report;
use crate::bench::rig::{Rig, Server};
use crate::bench::rows::{Budget, Row, micros};
use crate::bench::samples::Samples;
use crate::bench::throughput::{DEPTH, ORDERS, per_second};

/// Clients that send them.
const CLIENTS: usize = 64;
/// Orders between two looks at the memory.
const STEP: u64 = 100_000;
/// Longest that the orders may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Most memory of the vault, in MiB.
pub const VAULT_BUDGET: f64 = 15.0;
/// Most that it may grow from the first look to the last, in MiB.
const GROWTH_BUDGET: f64 = 1.0;
/// Least records verified in a second.
const VERIFY_BUDGET: f64 = 50_000.0;
/// Most that a start may take, in seconds; for ten times this log.
const RESTART_BUDGET: f64 = 10.0;
/// Proofs made.
const PROOFS: u64 = 200;

/// Measures the rows of this file.
pub fn measure(plan: Plan, rig: &Rig<'_>, report: &mut Report) -> anyhow::Result<()> {
    let (orders, step) = if plan.is_quick() { (500, 50) } else { (10 * STEP, STEP) };
    let mut server = Server::vault("endurance", Durability::Disk, rig)?;
    memory(orders, step, rig, &server, report)?;
    server.stop();
    drop(server);
    log(rig, report)
}

fn memory(orders: u64, step: u64, rig: &Rig<'_>, server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let pid = server.pid("vault").context("no vault")?;
    let mut flood = Flood::connect(&server.socket(), CLIENTS, DEPTH, of_two_bots(ORDERS))?;
    let (idle, started, mut looks) = (pss(pid)?, Instant::now(), Vec::new());
    let count = flood.run(|replies| {
        rig.check()?;
        if replies >= step * (looks.len() as u64 + 1) {
            looks.push(pss(pid)?);
        }
        Ok(replies >= orders || started.elapsed() > LIMIT)
    })?;
    let rate = per_second(count, started.elapsed());
    let (first, last) = (*looks.first().unwrap_or(&idle), *looks.last().unwrap_or(&idle));
    let seen: Vec<String> = looks.iter().map(|bytes| format!("{:.2}", mebibytes(*bytes))).collect();
    let note = format!(
        "idle {:.2}, then at steps of {step} orders {} MiB; {CLIENTS} clients, {rate:.0} orders/s",
        mebibytes(idle),
        seen.join(" ")
    );
    let most = looks.iter().chain([&idle]).max().copied().unwrap_or(idle);
    let row =
        Row::figure(format!("memory of the vault (PSS), most over {count} orders"), "MiB", mebibytes(most));
    report.add(row.within(Budget::Most(VAULT_BUDGET)).noting(note));
    let growth = mebibytes(last.saturating_sub(first));
    let row = Row::figure(format!("its growth from order {step} to order {count}"), "MiB", growth);
    report.add(row.within(Budget::Most(GROWTH_BUDGET)));
    Ok(())
}

/// The log that is there now.
fn log(rig: &Rig<'_>, report: &mut Report) -> anyhow::Result<()> {
    let dir = rig.scratch.join("endurance").join("log");
    let folder = Folder::open_read_only(&dir)?;
    let threads = std::thread::available_parallelism().unwrap_or(std::num::NonZero::<usize>::MIN);
    rig.check()?;
    let started = Instant::now();
    let found = verify(&folder, &Options { threads, ..Options::default() });
    let took = started.elapsed();
    anyhow::ensure!(found.is_intact(), "the log does not verify: {:?}", found.fault);
    let size = folder.current_checkpoint()?.0.size;
    let row = Row::figure(
        format!("log verify, {size} records, {threads} threads"),
        "/s",
        per_second(found.records, took),
    );
    report.add(row.within(Budget::Least(VERIFY_BUDGET)));
    rig.check()?;
    Index::open(&dir.join("index.sqlite"))?.catch_up(&folder, size)?;
    let mut times = Samples::default();
    for number in 0..PROOFS {
        // A prime stride walks over all of the log.
        let index = number * 7_368_787 % size;
        let started = Instant::now();
        let bundle = folder.prove(index)?;
        times.add(started.elapsed(), 1);
        verify_proof(&bundle, None).map_err(|error| anyhow::anyhow!("a proof does not verify: {error}"))?;
    }
    let row = Row::floor(format!("log prove N, {size} records"), times.finish()?.summary());
    report.add(row.noting("growth up to 10^7 records: `cargo xtask biglog`"));
    restart(size, rig, report)
}

/// From nothing running until the first order is decided.
fn restart(size: u64, rig: &Rig<'_>, report: &mut Report) -> anyhow::Result<()> {
    let started = Instant::now();
    let server = Server::vault("endurance", Durability::Disk, rig)?;
    server.connect()?.exchange(requests(Algorithm::Hmac, 1)[0].as_bytes())?;
    let took = u64::try_from(started.elapsed().as_nanos() * 1000).unwrap_or(u64::MAX);
    let seconds = seconds(micros(took));
    let row = Row::figure(format!("restart to the first decision, {size} records"), "s", seconds);
    report.add(
        row.within(Budget::Most(RESTART_BUDGET))
            .noting("the budget is for 10^7 records: `cargo xtask biglog`"),
    );
    Ok(())
}

#[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
fn seconds(micros: f64) -> f64 {
    (micros / 1e3).round() / 1e3
}
