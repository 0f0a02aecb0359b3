//! `seawall doctor`: looks at everything an installation stands on and says how to mend each fault.
//!
//! A check is one function that looks at one thing and returns what it found. Checks change nothing,
//! save for one short-lived file that tells how fast the disk syncs.

mod clock;
mod files;
mod log;
mod machine;
mod permissions;
mod sockets;
mod venues;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::commands::say;
use crate::config::Config;
use crate::layout::Layout;
use crate::up::Addresses;

/// How to show it.
#[derive(Debug, Args)]
pub struct Options {
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but someone should know.
    Warn,
    /// Does not work, or is not safe.
    Fault,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    verdict: Verdict,
    /// What was looked at: `area/thing`.
    check: String,
    /// What was found, with its numbers.
    found: String,
    /// A command or an edit; always there unless the verdict is `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, check: check.to_owned(), found: found.into(), mend: None }
    }

    fn warn(check: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, check: check.to_owned(), found: found.into(), mend: Some(mend.into()) }
    }

    fn fault(check: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fault, ..Self::warn(check, found, mend) }
    }
}

/// What every check may look at.
struct Patient {
    layout: Layout,
    /// The wiring, or the defaults where the file does not parse (which is a finding of its own).
    config: Config,
    /// What the running `up` wrote; `None` if none runs.
    addresses: Option<Addresses>,
}

impl Patient {
    /// A command for this very folder.
    fn command(&self, words: &str) -> String {
        crate::typed::command(&self.layout, words)
    }
}

/// Every check, in the order in which a reader wants to know.
const CHECKS: &[fn(&Patient) -> Vec<Finding>] = &[
    machine::check,
    permissions::check,
    files::check,
    log::check,
    clock::check,
    sockets::check,
    venues::check,
];

/// Looks at everything. Exit code 0 without a fault, 1 with one.
pub fn run(layout: Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let patient = Patient {
        config: Config::load(&layout).unwrap_or_default(),
        addresses: Addresses::read(&layout),
        layout,
    };
    let findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&patient)).collect();
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (faults, warnings) = (count(Verdict::Fault), count(Verdict::Warn));
    if options.json {
        say(serde_json::json!({ "faults": faults, "warnings": warnings, "checks": findings }));
    } else {
        for finding in &findings {
            show(finding);
        }
        say(format!("{faults} fault(s), {warnings} warning(s), {} checks", findings.len()));
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(finding: &Finding) {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fault => "fault",
    };
    let mut lines = finding.found.lines();
    say(format!("{verdict:<6}{:<24} {}", finding.check, lines.next().unwrap_or_default()));
    for line in lines {
        say(format!("{:<31}{line}", ""));
    }
    if let Some(mend) = &finding.mend {
        say(format!("{:<31}mend: {mend}", ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_ordered_by_weight() {
        assert!(Verdict::Ok < Verdict::Warn && Verdict::Warn < Verdict::Fault);
    }

    #[test]
    fn everything_but_ok_says_how_to_mend_it() {
        assert_eq!(Finding::ok("a/b", "fine").mend, None);
        assert_eq!(Finding::warn("a/b", "odd", "do this").mend.as_deref(), Some("do this"));
        let fault = Finding::fault("a/b", "broken", "do that");
        assert_eq!((fault.verdict, fault.mend.as_deref()), (Verdict::Fault, Some("do that")));
    }
}
