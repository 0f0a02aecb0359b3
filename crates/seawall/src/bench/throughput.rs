//! Durable orders per second with many clients, beside writing and syncing alone.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bench::Plan;
use crate::bench::flood::{Flood, for_time};
use crate::bench::orders::of_two_bots;
use crate::bench::report::Report;
use crate::bench::rig::{Rig, Server};
use crate::bench::rows::{Budget, Row};

/// Least orders per second with the most clients.
const BUDGET: f64 = 20_000.0;
/// How many clients at once.
const CLIENTS: [usize; 3] = [1, 8, 64];
/// Requests that each client has under way.
pub const DEPTH: usize = 32;
/// Different orders.
pub const ORDERS: usize = 20_000;
/// Bytes of one record with its leaf, which the raw writer writes for each.
const RECORD: usize = 1000;
/// Bytes of the raw writer's file, written before; then it starts over.
const FILE: u64 = 64 << 20;

/// Measures the rows of this file.
pub fn measure(plan: Plan, rig: &Rig<'_>, durable: &Server, report: &mut Report) -> anyhow::Result<()> {
    let file = prepared(&rig.scratch.join("group"))?;
    let (turns, length) =
        if plan.is_quick() { (1, Duration::from_millis(100)) } else { (6, Duration::from_millis(1000)) };
    for clients in CLIENTS {
        let mut flood = Flood::connect(&durable.socket(), clients, DEPTH, of_two_bots(ORDERS))?;
        let (mut own, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            rig.check()?;
            let started = Instant::now();
            let count = flood.run(for_time(length))?;
            own.push(per_second(count, started.elapsed()));
            raw.push(group_commit(&file, clients, length)?);
        }
        let name = |who: &str| format!("{who}, {clients} clients with {DEPTH} under way each");
        let (own, raw) = (median(own), median(raw));
        let floor = format!("raw group commit of {RECORD} B, {clients} threads with {DEPTH} under way each");
        report.add(Row::figure(floor, "/s", raw));
        let row = Row::figure(name("durable orders, HMAC-SHA256"), "/s", own).beside(raw);
        let most = CLIENTS.last() == Some(&clients);
        report.add(if most { row.within(Budget::Least(BUDGET)) } else { row });
    }
    Ok(())
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a rate, no money")]
pub fn per_second(count: u64, took: Duration) -> f64 {
    (count as f64 / took.as_secs_f64().max(1e-9)).round()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn prepared(path: &Path) -> anyhow::Result<File> {
    let file = File::create_new(path)?;
    for page in 0..FILE / 4096 {
        file.write_all_at(&[0; 4096], page * 4096)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// What the threads and the writer share.
#[derive(Default)]
struct Shared {
    pending: Vec<u8>,
    submitted: u64,
    durable: u64,
}

/// Threads that submit records and wait until they are durable, and one writer that writes and syncs
/// whatever has gathered meanwhile. Returns records per second.
fn group_commit(file: &File, threads: usize, length: Duration) -> anyhow::Result<f64> {
    let (shared, work, done) = (Mutex::new(Shared::default()), Condvar::new(), Condvar::new());
    let over = AtomicBool::new(false);
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let submit = || {
        let records = [7; RECORD * DEPTH];
        while !over.load(Ordering::Relaxed) {
            let mut state = lock();
            state.pending.extend_from_slice(&records);
            state.submitted += DEPTH as u64;
            let own = state.submitted;
            work.notify_one();
            while state.durable < own && !over.load(Ordering::Relaxed) {
                state = done.wait_timeout(state, length).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    };
    let write = || -> std::io::Result<u64> {
        let (mut batch, mut offset) = (Vec::new(), 0);
        while started.elapsed() < length {
            let upto = {
                let mut state = lock();
                while state.pending.is_empty() {
                    state = work.wait_timeout(state, length).unwrap_or_else(PoisonError::into_inner).0;
                }
                std::mem::swap(&mut batch, &mut state.pending);
                state.submitted
            };
            if offset + batch.len() as u64 > FILE {
                offset = 0;
            }
            file.write_all_at(&batch, offset)?;
            rustix::fs::fdatasync(file)?;
            offset += batch.len() as u64;
            batch.clear();
            lock().durable = upto;
            done.notify_all();
        }
        Ok(lock().durable)
    };
    let written = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(submit);
        }
        let written = write();
        over.store(true, Ordering::Relaxed);
        done.notify_all();
        written
    })?;
    Ok(per_second(written, started.elapsed()))
}
