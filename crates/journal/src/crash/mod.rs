//! The journal's own code on a disk that fails: at every single operation, in every way.
//!
//! A *point* is one fault at one operation and one outcome for everything that was not synced. After
//! each, the log is opened again and must hold, unchanged, every record that was called durable and
//! every checkpoint that anyone could have read; and then it must go on.

pub(crate) mod mutants;
mod work;

use std::fmt;

use crate::disk::{Fate, Fault, Memory};
use crate::error::JournalError;
use mutants::Mutant;
use work::{Told, judge, outsider, work};

/// Which points are visited.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Every how manyth operation, and from which on.
    stride: usize,
    first: usize,
    /// How many random outcomes of a power cut.
    draws: u64,
}

/// What came of a search.
#[derive(Debug, Default)]
struct Outcome {
    points: u64,
    lost: u64,
    /// The first point at which something was lost.
    first: Option<String>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.points += other.points;
        self.lost += other.lost;
        self.first = self.first.take().or(other.first);
    }

    fn count(&mut self, point: &dyn fmt::Display, judged: Result<(), String>) {
        self.points += 1;
        if let Err(problem) = judged {
            self.lost += 1;
            self.first.get_or_insert_with(|| format!("{point}: {problem}"));
        }
    }
}

/// How many operations the undisturbed work has.
fn operations() -> u64 {
    let whole = Memory::default();
    work(&whole, &mut Told::default()).expect("an undisturbed run");
    whole.operations()
}

/// Visits the points of `plan`; with a mutant, only until it is caught.
fn search(mutant: Option<Mutant>, plan: Plan) -> Outcome {
    let mut outcome = Outcome::default();
    for at in (0..operations()).skip(plan.first).step_by(plan.stride) {
        for fault in [Fault::PowerCut, Fault::Failed, Fault::Full, Fault::ReadOnly] {
            mutants::with(mutant, || visit(at, fault, plan, &mut outcome));
            if mutant.is_some() && outcome.lost > 0 {
                return outcome;
            }
        }
    }
    outcome
}

/// One fault, and all the outcomes it may have.
fn visit(at: u64, fault: Fault, plan: Plan, outcome: &mut Outcome) {
    let disk = Memory::failing(at, fault);
    let mut told = Told::default();
    let ended = work(&disk, &mut told);
    let point = |what: &str| format!("operation {at}, {fault:?}, {what}");
    // A full disk is no concern of what is there already; everything else ends the work.
    if !matches!(ended, Ok(()) | Err(JournalError::Stopped(_) | JournalError::Io { .. })) {
        outcome.count(&point("while it worked"), Err(format!("{ended:?}")));
    }
    if fault != Fault::PowerCut {
        outcome.count(&point("started again"), judge(&disk.restarted(), &told));
    }
    let draws = if fault == Fault::PowerCut { plan.draws } else { plan.draws.div_ceil(3) };
    let drawn = (0..draws).map(|draw| Fate::Drawn(at * 1000 + draw));
    for fate in [Fate::Lost, Fate::Kept].into_iter().chain(drawn) {
        let after = disk.after_power_cut(fate);
        let judged = outsider(&after).and_then(|()| judge(&after, &told));
        outcome.count(&point(&format!("then a power cut, {fate:?}")), judged);
    }
}

/// Searches on all cores.
fn search_everywhere(draws: u64) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut outcome = Outcome::default();
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..cores)
            .map(|first| scope.spawn(move || search(None, Plan { stride: cores, first, draws })))
            .collect();
        parts.into_iter().for_each(|part| outcome.add(part.join().expect("no panic")));
    });
    outcome
}

/// Lets the harness prove itself: each mutant, and whether it was caught.
fn hunt(plan: Plan) -> Vec<(Mutant, Outcome)> {
    Mutant::ALL.into_iter().map(|mutant| (mutant, search(Some(mutant), plan))).collect()
}

fn report(outcome: &Outcome, mutants: &[(Mutant, Outcome)]) {
    let caught = mutants.iter().filter(|(_, found)| found.lost > 0).count();
    for (mutant, found) in mutants {
        println!("{mutant:?}: {}", found.first.as_deref().unwrap_or("NOT caught"));
    }
    println!(
        "journal: points {}, lost {}, mutants caught {caught}/{}",
        outcome.points,
        outcome.lost,
        mutants.len()
    );
    assert_eq!(outcome.first, None);
    assert_eq!(caught, mutants.len(), "a mutant lives");
}

#[test]
fn a_sample_of_all_points_loses_nothing_and_mutants_are_caught() {
    let outcome = search(None, Plan { stride: 23, first: 3, draws: 3 });
    report(&outcome, &hunt(Plan { stride: 1, first: 0, draws: 1 }));
}

#[test]
fn what_a_failed_sync_left_in_memory_only_is_made_durable_at_the_next_start() {
    let mut outcome = Outcome::default();
    for at in 0..24 {
        visit(at, Fault::Failed, Plan { stride: 1, first: 0, draws: 0 }, &mut outcome);
    }
    assert_eq!(outcome.first, None);
}

/// The full search: `cargo xtask crash`.
#[test]
#[ignore = "takes minutes; run by `cargo xtask crash`"]
fn every_point() {
    let draws = std::env::var("SEAWALL_CRASH_DRAWS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let outcome = search_everywhere(draws);
    report(&outcome, &hunt(Plan { stride: 1, first: 0, draws: 3 }));
}
