//! Facts about the machine, without which no figure means anything.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// What the figures depend on.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    /// Kind and source of the file system the logs were on.
    file_system: String,
    /// Runnable processes over the last minute, before the run.
    load: String,
    /// `release` or `debug`.
    build: &'static str,
}

impl Machine {
    /// This machine; `data` is where the logs of the run lie.
    pub fn of(data: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned());
        Self {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            processor,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mountinfo"), data),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

/// Kind and source of what is mounted over `path` (proc(5): the kind follows the lone dash).
fn file_system(mounts: &str, path: &Path) -> String {
    let covering = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?;
        path.starts_with(point).then_some((point.len(), right))
    });
    // Of equal points the later one is on top.
    match covering.max_by_key(|(length, _)| *length) {
        Some((_, right)) => right.split(' ').take(2).collect::<Vec<_>>().join(" on "),
        None => "unknown".to_owned(),
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, kernel, file_system, load, build } = self;
        writeln!(
            formatter,
            "{cores} cores of {processor}, Linux {kernel}, log on {file_system}, load {load}"
        )?;
        if *build == "debug" {
            writeln!(formatter, "A debug build: measure with `cargo run --release -- bench` instead.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:5 / /tmp rw - tmpfs tmpfs rw\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs on tmpfs");
        assert_eq!(file_system(mounts, Path::new("/tmpx")), "ext4 on /dev/vda");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }
}
