//! stub
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub struct Options {}
pub fn run(_: &Options) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
