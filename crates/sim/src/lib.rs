//! The real cores against a simulated clock, disk, network and market, from one seed.
//!
//! Real are the vault's state machine and its start, the journal's log and recovery, the policy, the
//! venue words, the gateway's decisions and the paper venue with its own signature checks. Simulated
//! are time, the disk behind the journal, every message between processes, and the bots. One thread
//! takes one event after the other from a queue ordered by time; after each, what must hold is checked
//! by a ledger that keeps its own account of everything.
//!
//! The same seed gives the same run: [`Report::hash`] covers every event and its content.

mod bots;
mod disk;
mod faults;
mod gate;
mod ledger;
mod log_side;
mod random;
mod setup;
mod vault_side;
mod world;

pub use ledger::Violation;

use world::World;

/// A fault planted on purpose: a simulation that does not find it is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The vault lets signatures go before the journal has acknowledged their records.
    ReleasesBeforeDurable,
    /// The vault does not read its counters from the log when it starts.
    ForgetsCounters,
    /// The vault counts a signature once it is out.
    CountsAtRelease,
    /// The journal acknowledges what it has not synced.
    AcknowledgesBeforeSync,
    /// The journal's syncs of files do nothing.
    SkipsFileSync,
    /// The journal's syncs of folders do nothing.
    SkipsFolderSync,
}

impl Mutant {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::ReleasesBeforeDurable,
        Self::ForgetsCounters,
        Self::CountsAtRelease,
        Self::AcknowledgesBeforeSync,
        Self::SkipsFileSync,
        Self::SkipsFolderSync,
    ];
}

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How often each bot acts before the faults stop and everything has to settle.
    pub turns: u64,
    /// A planted fault.
    pub mutant: Option<Mutant>,
    /// Whether to print each event.
    pub trace: bool,
}

impl Plan {
    /// What CI runs with `seed`.
    #[must_use]
    pub const fn short(seed: u64) -> Self {
        Self { seed, turns: 24, mutant: None, trace: false }
    }
}

/// What came of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// SHA-256 over every event and its content.
    pub hash: [u8; 32],
    /// What must never happen, if it did; the simulation ended there.
    pub violation: Option<Violation>,
    /// What there was.
    pub counts: Counts,
}

/// How much of what there was in a simulation, or in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Events taken from the queue.
    pub events: u64,
    /// Simulated time, in milliseconds.
    pub time_ms: u64,
    /// Records made.
    pub records: u64,
    /// Requests signed.
    pub approved: u64,
    /// Requests denied.
    pub denied: u64,
    /// Signatures that left.
    pub released: u64,
    /// Orders that the venue took.
    pub orders: u64,
    /// Checkpoints published.
    pub checkpoints: u64,
    /// Processes killed, power cuts included.
    pub kills: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Disk errors that stopped the journal.
    pub disk_errors: u64,
    /// Messages lost or doubled.
    pub mishaps: u64,
}

impl Counts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        let Self {
            events,
            time_ms,
            records,
            approved,
            denied,
            released,
            orders,
            checkpoints,
            kills,
            power_cuts,
            disk_errors,
            mishaps,
        } = other;
        self.events += events;
        self.time_ms += time_ms;
        self.records += records;
        self.approved += approved;
        self.denied += denied;
        self.released += released;
        self.orders += orders;
        self.checkpoints += checkpoints;
        self.kills += kills;
        self.power_cuts += power_cuts;
        self.disk_errors += disk_errors;
        self.mishaps += mishaps;
    }
}

/// Runs one simulation to its end or to the first violation. A panic in a core is a violation too.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let mut world = World::new(plan);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let violation = match outcome {
        Ok(checked) => checked.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(Violation { invariant: "nothing panics", seen: text.unwrap_or_default() })
        }
    };
    world.report(violation)
}
