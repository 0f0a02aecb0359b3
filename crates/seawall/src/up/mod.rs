//! `seawall up`: everything on one machine, supervised, and shown working.

pub mod accounts;
mod addresses;
mod demo;
mod lock;
mod screen;
pub mod stack;
mod summary;
pub mod supervisor;
mod tally;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use crate::installation::Installation;
use crate::layout::Layout;
use crate::notices::Notices;
use crate::up::lock::Lock;
use crate::up::screen::{Plain, Screen, View};
use crate::up::stack::Stack;
use crate::up::summary::Summary;

pub use addresses::Addresses;
pub use screen::OrderLine;
pub use stack::{bases, checkpoint_text};

/// Pause between two looks at the processes.
const TEND_PAUSE: Duration = Duration::from_millis(20);
/// Pause between two pictures.
const SHOW_PAUSE: Duration = Duration::from_millis(500);

/// How to start.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// Stop by itself after this time, for example 20s or 2m.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    run_for: Option<Duration>,
    /// Print one JSON object at the end, and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// Do not run the demonstration bot.
    #[arg(long)]
    no_demo: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let count: u64 = digits.parse().map_err(|_| "must read like 20s, 500ms, 2m or 1h".to_owned())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(count)),
        "s" | "" => Ok(Duration::from_secs(count)),
        "m" => Ok(Duration::from_secs(count.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(count.saturating_mul(3600))),
        unit => Err(format!("unit {unit} is not one of ms, s, m, h")),
    }
}

/// Runs until told to stop, then stops everything in order and verifies the log from its files.
pub fn run(layout: Layout, options: &Options, notices: &Notices) -> anyhow::Result<ExitCode> {
    layout.create()?;
    let _lock = Lock::take(&layout)?;
    let installation = Installation::open(layout)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot watch for signals")?;
    }
    let up_log = installation.layout.process_logs().join("up.log");
    let mut stack = Stack::prepare(installation, options.no_demo, notices)?;
    stack.start(&|| !stop.load(Ordering::Relaxed))?;
    let mut view = view(options, notices, &up_log);
    let shown = attend(&mut stack, view.as_mut(), options.run_for, &stop);
    drop(view);
    notices.to_stderr();
    if notices.last().is_some() {
        tracing::warn!("there were warnings; see {}", up_log.display());
    }
    stack.stop();
    shown?;
    let summary = Summary::of(&mut stack)?;
    if options.json {
        crate::commands::say(serde_json::to_string(&summary)?);
    } else {
        crate::commands::say(&summary);
    }
    Ok(if summary.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn view(options: &Options, notices: &Notices, up_log: &Path) -> Box<dyn View> {
    if options.json {
        Box::new(screen::Silent)
    } else if std::io::stdout().is_terminal() {
        match Screen::open() {
            Ok(screen) => {
                if let Err(error) = notices.to_file(up_log) {
                    tracing::warn!("cannot write {}: {error}", up_log.display());
                }
                Box::new(screen)
            }
            Err(error) => {
                tracing::warn!(%error, "no full screen here; printing lines");
                Box::new(Plain::default())
            }
        }
    } else {
        Box::new(Plain::default())
    }
}

/// Looks after the processes and shows them until the time is up or someone wants to stop.
fn attend(
    stack: &mut Stack,
    view: &mut dyn View,
    run_for: Option<Duration>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut show_at = started;
    while !stop.load(Ordering::Relaxed) && run_for.is_none_or(|limit| started.elapsed() < limit) {
        stack.tend()?;
        if show_at <= Instant::now() {
            let picture = stack.picture();
            if view.show(&picture)? {
                return Ok(());
            }
            show_at = Instant::now() + SHOW_PAUSE;
        }
        std::thread::sleep(TEND_PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("soon").is_err() && duration("5d").is_err());
    }
}
