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
fn what_holds_secrets_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mode =
        |name: &str| std::fs::metadata(installation.path(name)).expect(name).permissions().mode() & 0o777;
    for folder in ["keys", "run", "process-logs"] {
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
    ] {
        assert_eq!(mode(file) & 0o077, 0, "{file}");
    }
    up.end(Signal::TERM);
}
