//! `seawall venue check-vectors`: captured requests, taken through the vault's own code.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::Value;
use vault::vectors::{self, Passed};

use crate::commands::say;
use crate::layout::read_text;

/// What to do with venues.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Strip each captured request of its authentication, sign it again, and compare.
    CheckVectors {
        /// Files in the format of shared/vectors/README.md.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Carries out `command`.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::CheckVectors { files } = command;
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for file in files {
        let document: Value =
            serde_json::from_str(&read_text(file)?).with_context(|| format!("{}", file.display()))?;
        let list = document.get("vectors").and_then(Value::as_array);
        let list = list.with_context(|| format!("{} has no list `vectors`", file.display()))?;
        if list.is_empty() {
            failed += 1;
            say(format!("{}: FAILED it holds no vector", file.display()));
        }
        for vector in list {
            let id = vector.get("id").and_then(Value::as_str).unwrap_or("(no id)");
            match vectors::check(vector) {
                Ok(Passed::Equal) => passed += 1,
                Ok(Passed::Refused) => {
                    passed += 1;
                    say(format!("{id}: signature reproduced; the vault refuses what it asks for"));
                }
                Err(failure) => {
                    failed += 1;
                    say(format!("{id}: FAILED {failure}"));
                }
            }
        }
    }
    say(format!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
