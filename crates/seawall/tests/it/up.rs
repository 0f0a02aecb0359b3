//! `seawall up`: start, summary, stop, resume.

use rustix::process::Signal;

use crate::support::{Bot, Installation, is_alive, wait_until};

#[test]
fn it_trades_sums_up_and_resumes() {
    let installation = Installation::new();
    let first = installation.up(&["--for", "4s"]).wait();
    for name in
        ["approved", "denied", "rejected", "released", "log_size", "checkpoint", "latency_us", "verified"]
    {
        assert!(first.get(name).is_some(), "{name} is not in {first}");
    }
    for name in ["p50", "p99", "p999"] {
        assert!(first["latency_us"][name].as_u64().is_some_and(|us| us > 0), "{first}");
    }
    let count = |summary: &serde_json::Value, name: &str| summary[name].as_u64().expect("a number");
    assert_eq!(first["verified"], true);
    assert!(count(&first, "approved") > 0, "{first}");
    assert!(count(&first, "denied") > 0, "{first}");
    assert_eq!(count(&first, "released"), count(&first, "approved"), "{first}");
    let size = count(&first, "log_size");
    assert!(first["checkpoint"].as_str().expect("text").starts_with(&format!("{size}@")), "{first}");

    let second = installation.up(&["--for", "2s"]).wait();
    assert_eq!(second["verified"], true);
    assert!(count(&second, "log_size") > size);
    let decided = count(&second, "approved") + count(&second, "denied");
    assert!(size + decided < count(&second, "log_size"), "counts of this run alone, beside events");
    let records = installation.verify();
    assert_eq!(records["records"], second["log_size"]);
    assert_eq!(records["epochs"], 2);
}

#[test]
fn run_after_run_the_demo_is_denied_only_what_it_asks_for_in_jest() {
    let installation = Installation::new();
    // Too short for the bot to take its grid off: each run leaves some twenty orders to be forgotten.
    for _ in 0..4 {
        let summary = installation.up(&["--for", "2500ms"]).wait();
        assert!(summary["approved"].as_u64() > summary["denied"].as_u64().map(|few| few * 5), "{summary}");
    }
    let log = installation.ok(&["log", "tail", "-n", "1000", "--outcome", "denied"]);
    assert!(log.contains("DOGEUSDT"), "{log}");
    assert!(!log.contains("open orders"), "orders of a venue that is gone count as open: {log}");
}

#[test]
fn one_that_stops_at_once_counts_what_left_while_it_stopped() {
    let installation = Installation::new();
    for _ in 0..3 {
        let output = installation.ok(&["up", "--for", "0s", "--json"]);
        let summary: serde_json::Value = serde_json::from_str(&output).expect("one JSON object");
        assert_eq!(summary["released"], summary["approved"], "{summary}");
    }
}

#[test]
fn after_init_nothing_trades_but_the_operators_bots() {
    let installation = Installation::new();
    installation.ok(&["init"]);
    // With the demo enabled too: it has no account of its own here.
    let free = installation.text("seawall.toml").replace("7810", "0").replace("7811", "0");
    for config in [free.clone(), free.replace("enabled = false", "enabled = true")] {
        std::fs::write(installation.path("seawall.toml"), config).expect("writable");
        let summary = installation.up(&["--for", "2s"]).wait();
        assert_eq!((&summary["approved"], &summary["denied"]), (&0.into(), &0.into()), "{summary}");
    }
    assert!(installation.text("up.err").contains("demo"), "it says why");
    assert!(!installation.ok(&["bot", "list"]).contains("demo"));
}

#[test]
fn the_next_commands_work_as_they_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("it's a folder");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"))
        .arg("--data-dir")
        .arg(&data)
        .args(["up", "--for", "1s"])
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let tries: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("try: ")).collect();
    assert_eq!(tries.len(), 3, "{said}");
    for (number, command) in tries.iter().enumerate() {
        let output = std::process::Command::new("sh").args(["-c", command]).output().expect("sh runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Only the vault can halt, and it has stopped by now.
        let fits = if number == 1 { said.contains("nothing runs") } else { output.status.success() };
        assert!(fits, "{command}: {output:?}");
    }
}

#[test]
fn a_second_one_on_the_same_folder_is_refused_with_the_pid() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let said = installation.fails(&["up", "--for", "1s"]);
    assert!(said.contains(&format!("process {}", up.pid())), "{said}");
    assert_eq!(up.end(Signal::TERM)["verified"], true);
    assert_eq!(installation.up(&["--for", "200ms"]).wait()["verified"], true);
}

#[test]
fn signals_stop_everything_in_order() {
    let installation = Installation::new();
    for how in [Signal::INT, Signal::TERM] {
        let up = installation.up(&[]);
        let processes = up.processes();
        assert_eq!(processes.len(), 4, "{processes:?}");
        assert_eq!(up.end(how)["verified"], true);
        for (name, pid) in processes {
            assert!(!is_alive(pid), "{name} outlived its parent");
        }
        assert!(!installation.path("run/addresses.json").exists());
        let status = installation.run(&["status", "--json"]);
        assert_eq!(status.status.code(), Some(1));
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
        assert_eq!(status["running"], false);
    }
}

#[test]
fn a_killed_one_leaves_no_orphan_and_can_be_started_again_at_once() {
    let installation = Installation::new();
    for _ in 0..3 {
        let up = installation.up(&[]);
        let mut bot = Bot::add(&installation, "mine");
        bot.trades();
        let processes = up.processes();
        up.kill();
        // The next one does not wait for the processes of the first.
        let next = installation.up(&[]);
        for (name, pid) in processes {
            wait_until(&format!("{name} to end"), || !is_alive(pid));
        }
        let status = installation.json(&["status", "--json"]);
        assert_eq!(status["healthy"], true, "{status}");
        Bot::add(&installation, "mine").trades();
        assert_eq!(next.end(Signal::TERM)["verified"], true);
    }
}

#[test]
fn what_a_killed_one_left_is_not_taken_for_a_running_one() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    up.kill();
    assert!(installation.path("run/addresses.json").exists(), "nobody could remove it");
    let status = installation.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!((&status["running"], status["healthy"].as_bool()), (&false.into(), Some(false)));
}
