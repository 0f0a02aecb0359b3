//! System calls of the real processes as points of failure: which there are, and what becomes of one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use vault::Durability;

use super::judge::judge;
use super::rig::{Rig, Who, Word};

/// What the journal's and the vault's points are taken from.
const JOURNAL_CALLS: &[&str] = &[
    "write",
    "pwrite64",
    "fdatasync",
    "fsync",
    "rename",
    "openat",
    "unlink",
    "mkdir",
    "ftruncate",
    "sendto",
    "recvfrom",
    "read",
];
const VAULT_CALLS: &[&str] = &["sendto", "recvfrom", "read", "write"];
/// Calls that change what is on the disk.
const CHANGING: &[&str] =
    &["write", "pwrite64", "fdatasync", "fsync", "rename", "openat", "unlink", "mkdir", "ftruncate"];

/// What happens at a call. `…From`: at every one from there on, until the process is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Kill,
    InputOutput,
    NoSpace,
    NoSpaceFrom,
    ReadOnlyFrom,
}

/// Under which load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scene {
    pub(crate) pipelined: bool,
    /// Whether a log with a torn tail and records without leaves is there already.
    pub(crate) continued: bool,
    pub(crate) orders: usize,
    pub(crate) batch: usize,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) scene: Scene,
    pub(crate) who_is_vault: bool,
    pub(crate) call: &'static str,
    /// Which call of its thread, from 1.
    pub(crate) number: u32,
    pub(crate) effect: Effect,
}

pub(crate) const SCENES: &[Scene] = &[
    Scene { pipelined: false, continued: false, orders: 12, batch: 1 },
    Scene { pipelined: false, continued: true, orders: 30, batch: 3 },
    Scene { pipelined: true, continued: true, orders: 30, batch: 5 },
    Scene { pipelined: true, continued: false, orders: 40, batch: 1 },
    Scene { pipelined: false, continued: true, orders: 60, batch: 1 },
    Scene { pipelined: false, continued: false, orders: 260, batch: 2 },
];

impl Point {
    fn who(&self) -> Who {
        if self.who_is_vault { Who::Vault } else { Who::Journal }
    }

    fn injection(&self) -> String {
        let (what, plus) = match self.effect {
            Effect::Kill => ("signal=KILL", ""),
            Effect::InputOutput => ("error=EIO", ""),
            Effect::NoSpace => ("error=ENOSPC", ""),
            Effect::NoSpaceFrom => ("error=ENOSPC", "+"),
            Effect::ReadOnlyFrom => ("error=EROFS", "+"),
        };
        format!("inject={}:{what}:when={}{plus}", self.call, self.number)
    }

    /// Makes it happen, has everything started again, and judges. Whether the call was met, and what
    /// does not hold.
    pub(crate) fn visit(&self) -> (bool, Result<(), String>) {
        let mut rig = self.scene.rig();
        let trace = rig.path().join("strace.out");
        let before = strace(&trace, self.call, Some(&self.injection()));
        if self.who_is_vault {
            rig.start(Who::Journal, &[]);
        }
        rig.start(self.who(), &before);
        rig.start_both();
        rig.ask(self.scene.orders, self.scene.batch);
        rig.look_after();
        rig.stop();
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        let was_met = rig.traced_was_killed || text.contains("(INJECTED)");
        let judged = judge(&rig).or_else(|problem| {
            if !self.scene.pipelined {
                return Err(problem);
            }
            // The vault may have ended without its journal: what then may be missing is the next one's word.
            rig.start_both();
            rig.stop();
            judge(&rig)
        });
        (was_met, judged.map_err(|problem| format!("{self:?}: {problem}\n{}", rig.errors())))
    }
}

impl Scene {
    fn durability(self) -> Durability {
        if self.pipelined { Durability::Pipelined } else { Durability::Disk }
    }

    fn rig(self) -> Rig {
        let rig = Rig::new(self.durability());
        if self.continued { left_behind(self.pipelined).copy_into(rig) } else { rig }
    }

    /// The calls of an undisturbed run of `who` that concern the log or a socket: for each its numbers.
    fn calls(self, who: Who) -> BTreeMap<&'static str, BTreeSet<u32>> {
        let names = if who == Who::Vault { VAULT_CALLS } else { JOURNAL_CALLS };
        let mut rig = self.rig();
        let trace = rig.path().join("strace.out");
        if who == Who::Vault {
            rig.start(Who::Journal, &[]);
        }
        rig.start(who, &strace(&trace, &names.join(","), None));
        rig.start_both();
        rig.ask(self.orders, self.batch);
        rig.stop();
        let text = std::fs::read_to_string(&trace).expect("strace wrote it");
        let ours = rig.path().display().to_string();
        let mut counted: BTreeMap<(&str, &'static str), u32> = BTreeMap::new();
        let mut found: BTreeMap<&'static str, BTreeSet<u32>> = BTreeMap::new();
        for line in text.lines() {
            let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
            let call = call.trim_start();
            let Some(name) =
                names.iter().find(|name| call.strip_prefix(**name).is_some_and(|rest| rest.starts_with('(')))
            else {
                continue;
            };
            let number = counted.entry((thread, name)).or_default();
            *number += 1;
            if call.contains(&ours) || call.contains("socket:") || call.contains("UNIX") {
                found.entry(name).or_default().insert(*number);
            }
        }
        found
    }

    /// All points of this scene.
    pub(crate) fn points(self) -> Vec<Point> {
        let mut points = Vec::new();
        for (who, who_is_vault) in [(Who::Journal, false), (Who::Vault, true)] {
            for (call, numbers) in self.calls(who) {
                let mut effects = vec![Effect::Kill, Effect::InputOutput];
                if !who_is_vault && CHANGING.contains(&call) {
                    effects.extend([Effect::NoSpace, Effect::NoSpaceFrom, Effect::ReadOnlyFrom]);
                }
                for number in numbers {
                    let point = |&effect: &Effect| Point { scene: self, who_is_vault, call, number, effect };
                    points.extend(effects.iter().map(point));
                }
            }
        }
        points
    }
}

/// What a crash left behind, for each durability made once and then copied.
fn left_behind(pipelined: bool) -> &'static Left {
    static LEFT: [OnceLock<Left>; 2] = [const { OnceLock::new() }; 2];
    LEFT[usize::from(pipelined)].get_or_init(|| {
        let mut rig = Rig::new(if pipelined { Durability::Pipelined } else { Durability::Disk });
        rig.start_both();
        rig.ask(3, 1);
        for who in [Who::Vault, Who::Journal] {
            rig.signal(who, rustix::process::Signal::KILL);
        }
        rig.forget_dead();
        tear(&rig);
        let (told, checkpoints) = (std::mem::take(&mut rig.told), std::mem::take(&mut rig.checkpoints));
        Left { told, checkpoints, rig: Mutex::new(rig) }
    })
}

struct Left {
    told: Vec<Word>,
    checkpoints: Vec<String>,
    rig: Mutex<Rig>,
}

impl Left {
    fn copy_into(&self, mut rig: Rig) -> Rig {
        let left = self.rig.lock().expect("nobody panics with it");
        for below in ["data", "log.key"] {
            let (from, to) = (left.path().join(below), rig.path().join(below));
            if from.is_dir() { crate::support::copy(&from, &to) } else { drop(std::fs::copy(from, to)) }
        }
        rig.told.clone_from(&self.told);
        rig.checkpoints.clone_from(&self.checkpoints);
        rig
    }
}

/// Leaves half a frame at the end of the log, as a crash of the machine would.
fn tear(rig: &Rig) {
    use std::os::unix::fs::FileExt as _;
    let path = rig.log().join("segments/00000000000000000000.seg");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("a segment");
    let content = std::fs::read(&path).expect("readable");
    let end = content.iter().rposition(|byte| *byte != 0).expect("a header") as u64 + 1;
    file.write_all_at(&[0xa5; 300], end + 40).expect("writable");
}

fn strace(output: &Path, calls: &str, injection: Option<&str>) -> Vec<String> {
    let mut words: Vec<String> =
        ["strace", "-f", "-q", "-y", "--seccomp-bpf", "-e", "signal=none"].map(str::to_owned).to_vec();
    words.extend(["-o".to_owned(), output.display().to_string()]);
    words.extend(["-e".to_owned(), format!("trace={calls}")]);
    if let Some(injection) = injection {
        words.extend(["-e".to_owned(), injection.to_owned()]);
    }
    words
}

/// Why system calls cannot be made to fail here, if so.
pub(crate) fn obstacle() -> Option<String> {
    let try_it = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=getppid:error=EIO", "true"])
        .stdin(Stdio::null())
        .output();
    match try_it {
        Ok(done) if done.status.success() => None,
        Ok(done) => {
            Some(format!("strace may not trace here: {}", String::from_utf8_lossy(&done.stderr).trim()))
        }
        Err(error) => Some(format!("strace does not start ({error}); `cargo xtask setup` installs it")),
    }
}
