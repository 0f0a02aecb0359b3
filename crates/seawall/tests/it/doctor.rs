//! `seawall doctor` against installations that something is wrong with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// An installation as `seawall init` leaves it, on a disk.
struct Patient {
    _folder: TempDir,
    data: PathBuf,
}

impl Patient {
    fn absent() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable");
        let data = folder.path().join("d");
        Self { _folder: folder, data }
    }

    fn new() -> Self {
        let patient = Self::absent();
        assert!(patient.run(&["init"]).status.success());
        patient
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("--data-dir").arg(&self.data).args(words);
        command.output().expect("the binary runs")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.file(name);
        let text = fs::read_to_string(&path).expect("init wrote it");
        assert!(text.contains(from), "{name} holds no {from}");
        fs::write(&path, text.replacen(from, to, 1)).expect("it is ours");
    }

    fn diagnosis(&self) -> Diagnosis {
        self.diagnosis_with(&[])
    }

    fn diagnosis_with(&self, environment: &[(&str, &Path)]) -> Diagnosis {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("--data-dir").arg(&self.data).args(["doctor", "--json"]);
        let output = command.envs(environment.iter().copied()).output().expect("the binary runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(output.status.success(), report["faults"] == 0, "the exit code tells of faults");
        Diagnosis(report["checks"].as_array().expect("a list").clone())
    }
}

struct Diagnosis(Vec<Value>);

impl Diagnosis {
    /// The finding of `check` that is not right: its verdict, what was found, how to mend it.
    fn wrong(&self, check: &str) -> (&str, &str, &str) {
        let fits = |finding: &&Value| finding["check"] == check && finding["verdict"] != "ok";
        let finding = self.0.iter().find(fits);
        let finding = finding.unwrap_or_else(|| panic!("{check} is not wrong in {:#?}", self.0));
        let text = |field: &str| finding[field].as_str().expect("all three are there");
        (text("verdict"), text("found"), text("mend"))
    }

    fn faults(&self, area: &str) -> Vec<&Value> {
        let fits = |finding: &&Value| {
            finding["verdict"] == "fault"
                && finding["check"].as_str().is_some_and(|check| check.starts_with(area))
        };
        self.0.iter().filter(fits).collect()
    }
}

#[test]
fn where_nothing_is_set_up_it_says_how_to_begin_and_makes_nothing() {
    let patient = Patient::absent();
    let diagnosis = patient.diagnosis();
    let (verdict, found, mend) = diagnosis.wrong("files/data-folder");
    assert_eq!(verdict, "warn");
    assert!(found.contains("nothing is set up"), "{found}");
    assert!(mend.contains(" up") && mend.contains(" init"), "{mend}");
    assert!(!patient.data.exists());
}

#[test]
fn a_fresh_installation_has_no_fault_in_its_files() {
    let patient = Patient::new();
    let diagnosis = patient.diagnosis();
    for area in ["files/", "log/", "clock/"] {
        assert!(diagnosis.faults(area).is_empty(), "{:#?}", diagnosis.faults(area));
    }
    let left: Vec<_> = fs::read_dir(&patient.data).expect("a folder").collect();
    assert!(
        left.iter().flatten().all(|entry| !entry.file_name().to_string_lossy().contains("doctor")),
        "{left:?}"
    );
}

#[test]
fn a_root_key_that_others_may_read_is_named_with_its_chmod() {
    let patient = Patient::new();
    let path = patient.file("keys/root.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let diagnosis = patient.diagnosis();
    let (verdict, found, mend) = diagnosis.wrong("files/root.key");
    assert_eq!(verdict, "fault");
    assert!(found.contains(&*path.to_string_lossy()) && found.contains("0644"), "{found}");
    assert_eq!(mend, format!("chmod 0600 {}", path.display()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    assert!(patient.diagnosis().faults("files/").is_empty(), "the mend mends it");
}

#[test]
fn a_data_folder_open_to_all_is_named() {
    let patient = Patient::new();
    fs::set_permissions(&patient.data, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let diagnosis = patient.diagnosis();
    let (verdict, _, mend) = diagnosis.wrong("files/d");
    assert_eq!((verdict, mend), ("fault", format!("chmod 0700 {}", patient.data.display()).as_str()));
}

#[test]
fn a_damaged_policy_is_named_with_its_line() {
    let patient = Patient::new();
    patient.edit("policy.toml", "max_open_orders = 50", "max_open_ordres = 50");
    let diagnosis = patient.diagnosis();
    let (verdict, found, mend) = diagnosis.wrong("files/policy.toml");
    assert_eq!(verdict, "fault");
    assert!(found.contains("policy.toml") && found.contains("max_open_ordres"), "{found}");
    assert!(found.contains("line "), "{found}");
    assert!(mend.contains("policy check"), "{mend}");
}

#[test]
fn an_edited_policy_waits_for_apply() {
    let patient = Patient::new();
    patient.edit("policy.toml", "max_open_orders = 50", "max_open_orders = 49");
    let diagnosis = patient.diagnosis();
    let (verdict, found, mend) = diagnosis.wrong("files/policy.toml");
    assert_eq!(verdict, "warn");
    assert!(found.contains("not the policy in force") && mend.contains("policy apply"), "{found} {mend}");
    assert!(patient.run(&["policy", "apply"]).status.success());
    assert!(
        !patient
            .diagnosis()
            .0
            .iter()
            .any(|finding| { finding["check"] == "files/policy.toml" && finding["verdict"] != "ok" })
    );
}

#[test]
fn damaged_wiring_store_and_logins_are_named() {
    for (file, from, to, check) in [
        ("seawall.toml", "seed = 7", "seed = \"seven\"", "files/seawall.toml"),
        ("keys/trade.sealed", "{", "", "files/trade.sealed"),
        ("stand-ins.json", "{", "[", "files/stand-ins.json"),
    ] {
        let patient = Patient::new();
        patient.edit(file, from, to);
        let diagnosis = patient.diagnosis();
        let (verdict, found, mend) = diagnosis.wrong(check);
        assert_eq!(verdict, "fault", "{file}");
        assert!(found.contains(&*patient.file(file).to_string_lossy()), "{found}");
        assert!(!mend.is_empty());
    }
}

#[test]
fn a_policy_altered_inside_the_sealed_store_opens_nothing() {
    let patient = Patient::new();
    patient.edit("keys/trade.sealed", "max_open_orders = 50", "max_open_orders = 5000");
    let diagnosis = patient.diagnosis();
    let (verdict, found, _) = diagnosis.wrong("files/keys");
    assert_eq!(verdict, "fault");
    assert!(found.contains("trade.sealed"), "{found}");
}

#[test]
fn a_lost_root_key_is_named() {
    let patient = Patient::new();
    fs::remove_file(patient.file("keys/root.key")).expect("init wrote it");
    let diagnosis = patient.diagnosis();
    let (verdict, found, mend) = diagnosis.wrong("files/root.key");
    assert_eq!(verdict, "fault");
    assert!(found.contains("root.key") && mend.contains("backup"), "{found} {mend}");
}

#[test]
fn a_path_too_long_for_sockets_is_a_fault_only_where_no_shorter_one_helps() {
    let patient = Patient::absent();
    let long = Patient { data: patient.data.join("a".repeat(100)), _folder: patient._folder };
    let short = TempDir::new().expect("a temporary folder");
    let diagnosis = long.diagnosis_with(&[("XDG_RUNTIME_DIR", short.path())]);
    let (verdict, found, mend) = diagnosis.wrong("sockets/path");
    assert_eq!(verdict, "warn");
    assert!(found.contains(&*short.path().to_string_lossy()) && mend.contains("--data-dir"), "{found}");
    let diagnosis = long.diagnosis_with(&[("XDG_RUNTIME_DIR", &long.data)]);
    let (verdict, found, mend) = diagnosis.wrong("sockets/path");
    assert_eq!(verdict, "fault");
    assert!(found.contains("gateway.sock") && found.contains("107"), "{found}");
    assert!(mend.contains("--data-dir"), "{mend}");
}

#[test]
fn a_folder_where_a_socket_goes_is_named_with_its_mv() {
    let patient = Patient::new();
    for name in ["run/admin.sock", "run/journal.sock"] {
        let path = patient.file(name);
        fs::create_dir(&path).expect("it is ours");
        let diagnosis = patient.diagnosis();
        let (verdict, found, mend) = diagnosis.wrong("sockets/blocked");
        assert_eq!(verdict, "fault");
        assert!(found.contains(name), "{found}");
        assert!(Command::new("sh").args(["-c", mend]).status().expect("sh runs").success(), "{mend}");
        assert!(patient.diagnosis().faults("sockets/blocked").is_empty(), "the mend mends it");
    }
}

#[test]
fn a_damaged_log_is_named() {
    let patient = Patient::new();
    let (log, key) = (patient.file("log"), patient.file("keys/log.key"));
    drop(journal::open_dir(&log, &key).expect("a new log"));
    assert!(patient.diagnosis().faults("log/").is_empty(), "{:#?}", patient.diagnosis().0);

    let checkpoint = fs::read(log.join("checkpoint")).expect("a new log has one");
    let mut altered = checkpoint.clone();
    let at = altered.len() - 6;
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    fs::write(log.join("checkpoint"), altered).expect("it is ours");
    let diagnosis = patient.diagnosis();
    let (verdict, _, mend) = diagnosis.wrong("log/checkpoint");
    assert_eq!(verdict, "fault");
    assert!(mend.contains("log verify") && mend.contains("log rebuild"), "{mend}");
    fs::write(log.join("checkpoint"), checkpoint).expect("it is ours");

    fs::write(&key, "00".repeat(32)).expect("it is ours");
    let diagnosis = patient.diagnosis();
    let (verdict, found, mend) = diagnosis.wrong("log/key");
    assert_eq!(verdict, "fault");
    assert!(found.contains("log.key") && mend.contains("backup"), "{found} {mend}");
}
