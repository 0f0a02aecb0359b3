//! Where secrets are not.

use rustix::process::Signal;

use crate::support::{Bot, Installation, files};

#[test]
fn no_secret_is_in_arguments_environments_logs_or_records() {
    let installation = Installation::new();
    let up = installation.up(&[]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let root = installation.text("keys/root.key").trim().to_owned();
    assert_eq!(root.len(), 64);
    let mut secrets = vec![root, bot.secret.clone()];
    for (_, api_key, secret) in installation.paper_keys() {
        secrets.extend([api_key, secret]);
    }
    let holds = |bytes: &[u8]| {
        secrets.iter().position(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
    };
    let mut processes = up.processes();
    processes.insert("up".to_owned(), up.pid());
    assert_eq!(processes.len(), 5);
    for (name, pid) in &processes {
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).expect("ours");
            assert_eq!(holds(&bytes), None, "secret in {file} of {name}");
        }
    }
    let vault = processes["vault"];
    let sockets = std::fs::read_dir(format!("/proc/{vault}/fd")).expect("ours").flatten().count();
    assert!(sockets < 64, "the vault holds few descriptors");
    assert_eq!(up.end(Signal::TERM)["verified"], true);
    let logs = files(&installation.path("process-logs")).into_iter().chain(files(&installation.path("log")));
    let said = ["up.out", "up.err", "keys/trade.sealed", "policy.toml"].map(|name| installation.path(name));
    for file in logs.chain(said) {
        let bytes = std::fs::read(&file).expect("readable");
        assert_eq!(holds(&bytes), None, "secret in {}", file.display());
    }
}

#[test]
fn a_data_folder_that_others_could_read_is_closed_and_a_link_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (data, link) = (folder.path().join("data"), folder.path().join("link"));
    std::fs::create_dir(&data).expect("writable");
    std::os::unix::fs::symlink(&data, &link).expect("writable");
    let init = |path: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"));
        let output = command.arg("--data-dir").arg(path).arg("init").output().expect("the program starts");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (done, said) = init(&link);
    assert!(!done && said.contains("is a link") && said.contains(&*data.to_string_lossy()), "{said}");
    for (before, after) in [(0o755, 0o711), (0o711, 0o711), (0o700, 0o700)] {
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(before)).expect("ours");
        let (_, said) = init(&data);
        let mode = std::fs::metadata(&data).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, after, "{before:o}: {said}");
        assert_eq!(said.contains("could be read by others"), before != after, "{said}");
    }
}

#[test]
fn what_holds_secrets_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mode =
        |name: &str| std::fs::metadata(installation.path(name)).expect(name).permissions().mode() & 0o777;
    for folder in ["keys", "run", "process-logs", "log"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in [
        "keys/root.key",
        "keys/trade.sealed",
        "keys/log.key",
        "stand-ins.json",
        "paper-accounts.json",
        "policy.toml",
        "run/admin.sock",
        "run/gateway.sock",
        "run/journal.sock",
        "change.lock",
        "log/index.sqlite",
        "log/checkpoint",
    ] {
        assert_eq!(mode(file) & 0o077, 0, "{file}");
    }
    assert_eq!(mode("run/sign.sock"), 0o666, "bots of other users may be let in");
    up.end(Signal::TERM);
}
