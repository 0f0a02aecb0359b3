//! Running other programs: without their input, with their output, and never quietly.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `command` with inherited output; a non-zero exit is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = display(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(())
}

/// Whether `command` starts and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs `command` and returns its standard output as text; its standard error is inherited.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = display(command);
    let done = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{name}`"))?;
    if !done.status.success() {
        bail!("`{name}` failed: {}", done.status);
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{name}` did not print text"))
}

/// Which of a program's two outputs [`run_remembering`] reads line by line.
pub(crate) enum Watched {
    Stdout,
    Stderr,
}

/// Runs `command`, repeats every line of the watched output, and returns the last line that holds
/// `marker`, if the program succeeded.
pub(crate) fn run_remembering(
    command: &mut Command,
    watched: &Watched,
    marker: &str,
) -> Result<Option<String>> {
    let name = display(command);
    command.stdin(Stdio::null());
    match watched {
        Watched::Stdout => command.stdout(Stdio::piped()),
        Watched::Stderr => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
    let remembered = match watched {
        Watched::Stdout => child.stdout.take().map(|pipe| echo(pipe, marker)),
        Watched::Stderr => child.stderr.take().map(|pipe| echo(pipe, marker)),
    };
    let status = child.wait()?;
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(remembered.transpose()?.flatten())
}

fn echo(pipe: impl std::io::Read, marker: &str) -> Result<Option<String>> {
    let mut last = None;
    for line in BufReader::new(pipe).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if line.contains(marker) {
            last = Some(line.trim().to_owned());
        }
    }
    Ok(last)
}

/// The command as a person would type it.
pub(crate) fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
