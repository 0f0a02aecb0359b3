//! What CI simulates: a hundred seeds and more, the same seed twice, and every planted fault.

#![allow(missing_docs, reason = "tests")]

mod roles;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sim::{Counts, Mutant, Plan, Report, run};

/// Runs `seeds` on as many threads as there are processors; stops early when `enough` says so.
fn simulate(seeds: std::ops::Range<u64>, mutant: Option<Mutant>, enough: fn(&Report) -> bool) -> Vec<Report> {
    let (next, end) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    let reports = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) {
                        return;
                    }
                    let report = run(Plan { mutant, ..Plan::short(seed) });
                    if enough(&report) {
                        end.store(0, Ordering::Relaxed);
                    }
                    reports.lock().expect("no thread panics").push(report);
                }
            });
        }
    });
    reports.into_inner().expect("no thread panics")
}

#[test]
fn what_must_hold_holds_over_the_seeds() {
    let reports = simulate(0..112, None, |report| report.violation.is_some());
    let mut total = Counts::default();
    for Report { seed, violation, counts, .. } in &reports {
        assert_eq!(*violation, None, "replay: cargo xtask sim --seed {seed} --trace");
        total.add(counts);
    }
    // A simulation in which nothing happens proves nothing.
    let Counts {
        approved,
        denied,
        released,
        orders,
        checkpoints,
        kills,
        power_cuts,
        disk_errors,
        mishaps,
        ..
    } = total;
    let least = [
        ("approved", approved, 10_000),
        ("denied", denied, 4_000),
        ("released", released, 10_000),
        ("orders", orders, 3_000),
        ("checkpoints", checkpoints, 2_000),
        ("kills", kills, 500),
        ("power cuts", power_cuts, 60),
        ("disk errors", disk_errors, 20),
        ("mishaps", mishaps, 1_500),
    ];
    for (what, was, least) in least {
        assert!(was >= least, "only {was} {what} in {total:?}");
    }
}

#[test]
fn one_seed_gives_one_run() {
    for seed in [3, 4] {
        let (first, again) = (run(Plan::short(seed)), run(Plan::short(seed)));
        assert_eq!(first, again, "seed {seed}");
    }
    assert_ne!(run(Plan::short(3)).hash, run(Plan::short(8)).hash);
}

/// The invariants that may find a planted fault first.
fn finds(mutant: Mutant, invariants: &[&str]) {
    let reports = simulate(0..112, Some(mutant), |report| report.violation.is_some());
    let found =
        reports.iter().find_map(|report| report.violation.clone().map(|violation| (report.seed, violation)));
    let (seed, violation) =
        found.unwrap_or_else(|| panic!("{mutant:?} is not found in {} seeds", reports.len()));
    println!("{mutant:?}: seed {seed}, {violation}");
    assert!(invariants.contains(&violation.invariant), "{mutant:?}: seed {seed}: {violation}");
}

#[test]
fn a_release_before_the_record_is_durable_is_found() {
    finds(Mutant::ReleasesBeforeDurable, &["nothing leaves before its record is durable"]);
}

#[test]
fn counters_forgotten_at_a_restart_are_found() {
    finds(Mutant::ForgetsCounters, &["a restart forgets nothing"]);
}

#[test]
fn a_signature_that_counts_only_once_it_is_out_is_found() {
    finds(Mutant::CountsAtRelease, &["counters follow from the log"]);
}

#[test]
fn an_acknowledgement_before_the_sync_is_found() {
    finds(Mutant::AcknowledgesBeforeSync, &["what is acknowledged is on the disk"]);
}

#[test]
fn a_sync_that_is_left_out_is_found() {
    finds(Mutant::SkipsFileSync, &["what is acknowledged is on the disk"]);
}

#[test]
fn a_folder_that_is_not_synced_is_found() {
    finds(Mutant::SkipsFolderSync, &["what is acknowledged is on the disk"]);
}
