//! Kernel, processors, memory, limits, disk.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::{Finding, Patient};

/// Oldest kernel this is built for (`major`, `minor`): the first long-term one with pidfds.
const MIN_KERNEL: (u32, u32) = (5, 4);
/// Memory that all processes together need at least, and comfortably, in MiB.
const MEMORY_MIB: (u64, u64) = (64, 256);
/// Open files that one process needs at least, and comfortably: each bot's connection is one.
const OPEN_FILES: (u64, u64) = (256, 1024);
/// Free disk: below the first nothing can be recorded soon; below the second someone should look.
const DISK_MIB: (u64, u64) = (128, 1024);
/// A sync slower than this makes every order slow.
const SLOW_SYNC: Duration = Duration::from_millis(20);
/// Syncs timed; the median counts.
const SYNCS: usize = 9;

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    let folder = existing(patient.layout.data());
    let mut findings = vec![kernel(), cores(), memory()];
    findings.extend(cgroup());
    findings.extend([open_files(), secrets_in_memory(), disk_space(&folder), file_system(&folder)]);
    findings.extend(sync_time(patient));
    findings
}

/// The nearest folder that exists: where the data folder is or would be made.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    judge_kernel(release.trim())
}

fn judge_kernel(release: &str) -> Finding {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::warn(
            "machine/kernel",
            format!("cannot read a version from {release:?}"),
            "mount /proc, or ignore this if the kernel is Linux 5.4 or newer",
        );
    };
    if (major, minor) >= MIN_KERNEL {
        Finding::ok("machine/kernel", format!("Linux {release}"))
    } else {
        let (major, minor) = MIN_KERNEL;
        Finding::fault(
            "machine/kernel",
            format!("Linux {release} is older than {major}.{minor}"),
            format!("use a machine with Linux {major}.{minor} or newer"),
        )
    }
}

fn cores() -> Finding {
    match std::thread::available_parallelism() {
        Ok(count) if count.get() >= 2 => {
            Finding::ok("machine/processors", format!("{count} for this process"))
        }
        Ok(_) => Finding::warn(
            "machine/processors",
            "one; vault and journal then take turns and every order is slower",
            "give this machine or container two processors",
        ),
        Err(error) => Finding::warn(
            "machine/processors",
            error.to_string(),
            "see why the count of processors cannot be read",
        ),
    }
}

fn memory() -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match meminfo_mib(&text, "MemAvailable") {
        Some(free) => judge_memory("machine/memory", free),
        None => Finding::warn("machine/memory", "/proc/meminfo does not say how much is free", "mount /proc"),
    }
}

/// A field of /proc/meminfo, which counts in KiB, in MiB.
fn meminfo_mib(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn judge_memory(check: &str, mib: u64) -> Finding {
    let (least, comfortable) = MEMORY_MIB;
    let found = format!("{mib} MiB available");
    let mend = format!("free memory or raise the limit: {comfortable} MiB are comfortable");
    match mib {
        mib if mib < least => Finding::fault(check, found, mend),
        mib if mib < comfortable => Finding::warn(check, found, mend),
        _ => Finding::ok(check, found),
    }
}

/// Limits of this process's control group (version 2), where there are any.
fn cgroup() -> Vec<Finding> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else {
        return Vec::new();
    };
    let folder = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    let limit = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let mut findings = Vec::new();
    if let Some(bytes) = limit("memory.max") {
        let used = limit("memory.current").unwrap_or(0);
        findings.push(judge_memory("machine/cgroup-memory", bytes.saturating_sub(used) >> 20));
    }
    if let Some(count) = limit("pids.max").filter(|count| *count < 128) {
        findings.push(Finding::warn(
            "machine/cgroup-threads",
            format!("at most {count} threads"),
            "raise the limit (systemd: TasksMax=256)",
        ));
    }
    findings
}

fn open_files() -> Finding {
    judge_open_files(getrlimit(Resource::Nofile).current)
}

fn judge_open_files(limit: Option<u64>) -> Finding {
    let (least, comfortable) = OPEN_FILES;
    let found = limit.map_or("no limit".to_owned(), |limit| format!("at most {limit} at once"));
    let mend = format!("ulimit -n {comfortable} before `seawall up` (systemd: LimitNOFILE={comfortable})");
    match limit {
        Some(limit) if limit < least => Finding::fault("machine/open-files", found, mend),
        Some(limit) if limit < comfortable => Finding::warn("machine/open-files", found, mend),
        _ => Finding::ok("machine/open-files", found),
    }
}

/// Whether the vault's memory could reach a disk: by swapping. Core files no process leaves, whatever the
/// shell's limit is.
fn secrets_in_memory() -> Finding {
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().nth(1).is_none() {
        return Finding::ok("machine/secrets", "no swap, no core files");
    }
    Finding::warn(
        "machine/secrets",
        "swap is on: the kernel may write the vault's memory to it",
        "swapoff -a, or encrypt the swap with a key of each boot",
    )
}

fn disk_space(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(found) => judge_disk(folder, found.f_bavail.saturating_mul(found.f_frsize) >> 20),
        Err(error) => Finding::fault(
            "machine/disk-space",
            format!("{}: {error}", folder.display()),
            "choose another folder with --data-dir",
        ),
    }
}

fn judge_disk(folder: &Path, mib: u64) -> Finding {
    let (least, comfortable) = DISK_MIB;
    let found = format!("{mib} MiB free at {}", folder.display());
    let mend = "free some space there: when the log cannot grow, nothing is signed";
    match mib {
        mib if mib < least => Finding::fault("machine/disk-space", found, mend),
        mib if mib < comfortable => Finding::warn("machine/disk-space", found, mend),
        _ => Finding::ok("machine/disk-space", found),
    }
}

fn file_system(folder: &Path) -> Finding {
    match rustix::fs::statfs(folder) {
        // The field's type differs from one architecture to the next; magic numbers have 32 bits.
        #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(found) => judge_file_system(folder, found.f_type as u32),
        Err(error) => Finding::fault(
            "machine/file-system",
            format!("{}: {error}", folder.display()),
            "choose another folder with --data-dir",
        ),
    }
}

/// By the magic numbers of statfs(2).
fn judge_file_system(folder: &Path, magic: u32) -> Finding {
    let place = folder.display();
    let (name, fault) = match magic {
        0x0102_1994 => ("tmpfs", "is memory: every record is lost with the power"),
        0x8584_58f6 => ("ramfs", "is memory: every record is lost with the power"),
        0x6969 => ("NFS", "is not here: locks and syncs depend on a server"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => ("SMB", "is not here: locks and syncs depend on a server"),
        0x0102_1997 => ("9p", "is not here: locks and syncs depend on a server"),
        0xef53 => return Finding::ok("machine/file-system", format!("ext4 at {place}")),
        0x5846_5342 => return Finding::ok("machine/file-system", format!("XFS at {place}")),
        0x9123_683e => return Finding::ok("machine/file-system", format!("Btrfs at {place}")),
        0x2fc1_2fc1 => return Finding::ok("machine/file-system", format!("ZFS at {place}")),
        0x794c_7630 => {
            return Finding::warn(
                "machine/file-system",
                format!("overlay at {place}: a container's own layer, gone with the container"),
                "put the data folder on a volume and name it with --data-dir",
            );
        }
        other => return Finding::ok("machine/file-system", format!("type {other:#x} at {place}")),
    };
    Finding::fault(
        "machine/file-system",
        format!("{name} at {place} {fault}"),
        "choose a folder on a local disk with --data-dir",
    )
}

/// How long one small write and `fdatasync` takes: what every order waits for.
fn sync_time(patient: &Patient) -> Option<Finding> {
    let folder = patient.layout.data();
    if !folder.is_dir() {
        return None;
    }
    let path = folder.join(format!(".doctor-{}.tmp", std::process::id()));
    let times = time_syncs(&path);
    // The file holds nothing; if it cannot be removed, it could not be made either.
    drop(std::fs::remove_file(&path));
    Some(match times {
        Ok(median) if median <= SLOW_SYNC => Finding::ok(
            "machine/sync",
            format!("fdatasync takes {} µs (median of {SYNCS})", median.as_micros()),
        ),
        Ok(median) => Finding::warn(
            "machine/sync",
            format!(
                "fdatasync takes {} ms (median of {SYNCS}); every order waits for one",
                median.as_millis()
            ),
            "use a faster disk, or durability = \"pipelined\" in seawall.toml if you accept its window",
        ),
        Err(error) => Finding::fault(
            "machine/sync",
            format!("{}: {error}", path.display()),
            format!("make {} writable for this user and its disk healthy", folder.display()),
        ),
    })
}

fn time_syncs(path: &Path) -> std::io::Result<Duration> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn kernels_are_judged_by_number() {
        for (release, verdict) in [
            ("6.18.44-generic", Verdict::Ok),
            ("5.4.0", Verdict::Ok),
            ("10.0", Verdict::Ok),
            ("5.3.18", Verdict::Fault),
            ("4.19.0-25-amd64", Verdict::Fault),
            ("", Verdict::Warn),
            ("five.four", Verdict::Warn),
        ] {
            assert_eq!(judge_kernel(release).verdict, verdict, "{release}");
        }
    }

    #[test]
    fn limits_include_themselves() {
        for (limit, verdict) in [
            (None, Verdict::Ok),
            (Some(1024), Verdict::Ok),
            (Some(1023), Verdict::Warn),
            (Some(256), Verdict::Warn),
            (Some(255), Verdict::Fault),
        ] {
            assert_eq!(judge_open_files(limit).verdict, verdict, "{limit:?}");
        }
        for (mib, verdict) in
            [(256, Verdict::Ok), (255, Verdict::Warn), (64, Verdict::Warn), (63, Verdict::Fault)]
        {
            assert_eq!(judge_memory("machine/memory", mib).verdict, verdict, "{mib}");
        }
        for (mib, verdict) in [(1024, Verdict::Ok), (1023, Verdict::Warn), (127, Verdict::Fault)] {
            assert_eq!(judge_disk(Path::new("/x"), mib).verdict, verdict, "{mib}");
        }
    }

    #[test]
    fn a_log_in_memory_or_behind_a_network_is_a_fault() {
        for magic in [0x0102_1994, 0x8584_58f6, 0x6969, 0xff53_4d42, 0x0102_1997] {
            let finding = judge_file_system(Path::new("/data"), magic);
            assert_eq!(finding.verdict, Verdict::Fault, "{magic:#x}");
            assert!(finding.mend.is_some_and(|mend| mend.contains("--data-dir")));
        }
        assert_eq!(judge_file_system(Path::new("/data"), 0xef53).verdict, Verdict::Ok);
        assert_eq!(judge_file_system(Path::new("/data"), 0x794c_7630).verdict, Verdict::Warn);
    }

    #[test]
    fn meminfo_counts_in_kib() {
        let text = "MemTotal:        2000000 kB\nMemAvailable:    1048576 kB\n";
        assert_eq!(meminfo_mib(text, "MemAvailable"), Some(1024));
        assert_eq!(meminfo_mib(text, "SwapTotal"), None);
    }
}
