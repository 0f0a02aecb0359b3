//! `seawall log`: what outsiders check.

use rustix::process::Signal;

use crate::support::{Bot, Installation, copy, files};

#[test]
fn records_are_shown_verified_and_proved() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let denied = bot.post(
        "/v5/order/create",
        r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"50"}"#,
    );
    assert_ne!(denied.expect("a reply")["retCode"], 0);
    assert_eq!(installation.verify()["verified"], true, "also while it runs");
    let summary = up.end(Signal::TERM);
    let size = summary["log_size"].as_u64().expect("a number");

    let shown = installation.json(&["log", "show", &(size - 1).to_string()]);
    assert_eq!(shown["outcome"], "denied");
    assert!(shown["denials"].as_array().expect("a list").len() > 1, "every reason: {shown}");
    assert_eq!(shown["actor"], "mine");
    installation.fails(&["log", "show", &size.to_string()]);
    let tail = installation.ok(&["log", "tail", "-n", "3"]);
    assert_eq!(tail.lines().count(), 3, "{tail}");
    assert!(tail.lines().last().expect("a line").contains("denied"), "{tail}");

    // Without its index, and with one that lies.
    let index = |name: &str| installation.path(&format!("log/index.sqlite{name}"));
    for name in ["-wal", "-shm"] {
        drop(std::fs::remove_file(index(name)));
    }
    std::fs::rename(index(""), index(".kept")).expect("it was there");
    assert_eq!(installation.ok(&["log", "tail", "-n", "3"]), tail, "read from the segments");
    assert!(installation.verify()["index"].as_str().expect("text").contains("missing"));
    let denied = installation.ok(&["log", "tail", "--outcome", "denied"]);
    assert!(denied.lines().count() == 1 && denied.contains("mine"), "{denied}");
    std::fs::rename(index(".kept"), index("")).expect("it was moved");
    assert!(installation.verify()["index"].as_str().expect("text").contains("agrees"));

    // A copy on another machine: nothing of the installation is needed.
    let elsewhere = Installation::new();
    copy(&installation.path("log"), &elsewhere.path("copied"));
    let folder = elsewhere.path("copied").display().to_string();
    let verified = elsewhere.json(&["log", "verify", &folder, "--json"]);
    assert_eq!(verified["records"], size);
    let key = verified["log_key"].as_str().expect("a key").to_owned();
    elsewhere.ok(&["log", "verify", &folder, "--key", &key]);

    for index in [0, size / 2, size - 1] {
        let proof = elsewhere.path("proof.json");
        let bundle = installation.ok(&["log", "prove", &index.to_string()]);
        std::fs::write(&proof, &bundle).expect("writable");
        let file = proof.display().to_string();
        elsewhere.ok(&["log", "verify-proof", &file]);
        let said = elsewhere.ok(&["log", "verify-proof", &file, "--key", &key]);
        assert!(said.contains(&format!("record {index} is in the expected log")), "{said}");
        let altered = bundle.replacen("\"index\": ", "\"index\": 1", 1);
        let altered =
            if altered == bundle { bundle.replacen("\"index\":", "\"index\":1", 1) } else { altered };
        assert_ne!(altered, bundle, "{bundle}");
        std::fs::write(&proof, altered).expect("writable");
        elsewhere.fails(&["log", "verify-proof", &file]);
    }
    installation.fails(&["log", "prove", &size.to_string()]);
}

#[test]
fn the_tail_shows_what_was_just_done() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    for turn in 0..8 {
        let why = format!("turn {turn}");
        installation.ok(&["halt", "--why", &why]);
        let tail = installation.ok(&["log", "tail", "-n", "1"]);
        assert!(tail.contains(&why), "{tail}");
        installation.ok(&["resume", "--why", &why]);
    }
    up.end(Signal::TERM);
}

#[test]
fn a_flipped_bit_is_found_at_its_record() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    for _ in 0..5 {
        bot.trades();
    }
    up.end(Signal::TERM);
    let size = installation.verify()["records"].as_u64().expect("a number");
    for index in [1, size / 2, size - 1] {
        let elsewhere = Installation::new();
        copy(&installation.path("log"), &elsewhere.path("copied"));
        let shown = installation.json(&["log", "show", &index.to_string()]);
        let salt = shown["salt"].as_str().expect("text");
        let salt: Vec<u8> = (0..salt.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&salt[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let mut found = false;
        for file in files(&elsewhere.path("copied/segments")) {
            let mut bytes = std::fs::read(&file).expect("readable");
            if let Some(at) = bytes.windows(salt.len()).position(|window| window == salt) {
                bytes[at] ^= 1;
                std::fs::write(&file, bytes).expect("writable");
                found = true;
            }
        }
        assert!(found, "the record is in a segment");
        let folder = elsewhere.path("copied").display().to_string();
        let output = elsewhere.run(&["log", "verify", &folder, "--json"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(verdict["first_bad"], index, "{verdict}");
        assert_eq!(verdict["records"], index, "those before it are right");
    }
}
