//! The clock: against itself, against the log, and whether anyone keeps it right.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use journal::Folder;
use transparency::Body;

use super::{Finding, Patient};
use crate::installation::now;

/// 2026-01-01T00:00:00Z in milliseconds; this program is younger.
const EARLIEST_MS: u64 = 1_767_225_600_000;
/// How long the two clocks are compared.
const LOOK: Duration = Duration::from_millis(50);
/// How far they may run apart in that time before someone is setting the clock.
const APART: Duration = Duration::from_millis(10);
/// Files by which time services of common systems show that they run.
const TIME_SERVICES: &[&str] = &[
    "/run/systemd/timesync/synchronized",
    "/run/chrony/chronyd.pid",
    "/run/chronyd.pid",
    "/run/ntpd.pid",
    "/run/openntpd.pid",
];

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![steady()];
    findings.extend(against_log(patient));
    if !patient.config.venues.is_empty() {
        findings.push(kept(TIME_SERVICES.iter().any(|path| Path::new(path).exists())));
    }
    findings
}

/// Compares the wall clock with the one that cannot be set.
fn steady() -> Finding {
    let (wall, steady) = (SystemTime::now(), Instant::now());
    std::thread::sleep(LOOK);
    let passed = steady.elapsed();
    judge_steady(now().as_ms(), wall.elapsed().ok(), passed)
}

fn judge_steady(now_ms: u64, wall: Option<Duration>, steady: Duration) -> Finding {
    let mend = "set the clock (timedatectl set-ntp true, or chronyc makestep)";
    if now_ms < EARLIEST_MS {
        return Finding::fault("clock/steady", "the clock stands before 2026", mend);
    }
    match wall.map(|wall| wall.abs_diff(steady)) {
        Some(apart) if apart <= APART => Finding::ok(
            "clock/steady",
            format!("{} µs apart from the steady clock in {} ms", apart.as_micros(), steady.as_millis()),
        ),
        Some(apart) => Finding::warn(
            "clock/steady",
            format!("jumped by {} ms within {} ms", apart.as_millis(), steady.as_millis()),
            "use a time service that slews the clock instead of stepping it",
        ),
        None => Finding::warn("clock/steady", "went back while it was looked at", mend),
    }
}

/// Records carry the clock: a clock before the last of them went back since.
fn against_log(patient: &Patient) -> Option<Finding> {
    let folder = Folder::open_read_only(&patient.layout.log()).ok()?;
    let (checkpoint, _) = folder.current_checkpoint().ok()?;
    let last = folder.record(checkpoint.size.checked_sub(1)?, None).ok()?;
    let body = Body::decode(&last.record.body).ok()?;
    Some(judge_log(now().as_ms(), body.time.as_ms(), &body.time.to_string()))
}

fn judge_log(now_ms: u64, last_ms: u64, last: &str) -> Finding {
    if now_ms + 1_000 < last_ms {
        return Finding::fault(
            "clock/log",
            format!("stands {} s before the last record ({last})", (last_ms - now_ms) / 1_000),
            "set the clock right; budgets and rates do not go back with it",
        );
    }
    Finding::ok("clock/log", format!("stands behind the last record ({last})"))
}

fn kept(service: bool) -> Finding {
    if service {
        return Finding::ok("clock/service", "a time service keeps the clock");
    }
    Finding::warn(
        "clock/service",
        "no sign of a time service; venues refuse requests whose time is off",
        "install chrony, or: timedatectl set-ntp true (in a container: on the host)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_jump_or_an_unset_clock_is_seen() {
        let ms = Duration::from_millis;
        assert_eq!(judge_steady(EARLIEST_MS, Some(ms(51)), ms(50)).verdict, Verdict::Ok);
        assert_eq!(judge_steady(EARLIEST_MS, Some(ms(70)), ms(50)).verdict, Verdict::Warn);
        assert_eq!(judge_steady(EARLIEST_MS, None, ms(50)).verdict, Verdict::Warn);
        assert_eq!(judge_steady(EARLIEST_MS - 1, Some(ms(50)), ms(50)).verdict, Verdict::Fault);
    }

    #[test]
    fn a_clock_before_the_last_record_went_back() {
        assert_eq!(judge_log(10_000, 10_000, "t").verdict, Verdict::Ok);
        assert_eq!(judge_log(9_000, 10_000, "t").verdict, Verdict::Ok);
        assert_eq!(judge_log(8_999, 10_000, "t").verdict, Verdict::Fault);
    }
}
