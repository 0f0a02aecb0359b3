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

#[test]
fn repair_moves_aside_and_makes_again_what_the_segments_give() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let said = installation.fails(&["log", "repair"]);
    assert!(said.contains("in use"), "{said}");
    up.end(Signal::TERM);
    let records = installation.verify()["records"].clone();
    let checkpoint = installation.text("log/checkpoint");
    // A tile and the checkpoint are hurt, and a crash left something unfinished.
    let tile = files(&installation.path("log/tile")).into_iter().next().expect("a tile");
    std::fs::write(&tile, b"hurt").expect("writable");
    std::fs::write(installation.path("log/checkpoint"), b"hurt").expect("writable");
    std::fs::write(installation.path("log/segments/torn.tmp"), b"half").expect("writable");
    installation.fails(&["log", "verify"]);
    let said = installation.ok(&["log", "repair"]);
    assert!(said.contains("before: ") && said.contains("verified"), "{said}");
    assert_eq!(installation.verify()["records"], records);
    assert_eq!(installation.text("log/checkpoint"), checkpoint, "the same tree gives the same checkpoint");
    let aside: Vec<_> = std::fs::read_dir(installation.path("log"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aside-")))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(std::fs::read(aside[0].join("checkpoint")).expect("kept"), b"hurt");
    assert_eq!(std::fs::read(aside[0].join("segments/torn.tmp")).expect("kept"), b"half");
    let hurt = aside[0].join("tile").join(tile.strip_prefix(installation.path("log/tile")).expect("below"));
    assert_eq!(std::fs::read(hurt).expect("kept"), b"hurt");
    assert!(aside[0].join("README.txt").exists());
    assert_eq!(installation.up(&["--no-demo"]).end(Signal::TERM)["verified"], true);
}

#[test]
fn repair_changes_nothing_where_records_are_hurt() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    up.end(Signal::TERM);
    let segment = files(&installation.path("log/segments")).into_iter().next().expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("readable");
    bytes[700] ^= 1;
    std::fs::write(&segment, &bytes).expect("writable");
    let content = || {
        let all = files(&installation.path("log")).into_iter();
        all.filter(|path| !path.ends_with("LOCK"))
            .map(|path| (std::fs::read(&path).expect("readable"), path))
            .collect::<Vec<_>>()
    };
    let before = content();
    let said = installation.fails(&["log", "repair"]);
    assert!(said.contains("nothing was changed") && said.contains("backup"), "{said}");
    assert_eq!(content(), before);
}

#[test]
fn a_torn_tail_is_cut_off_kept_and_recorded_once() {
    use std::os::unix::fs::FileExt as _;
    let installation = Installation::new();
    installation.up(&["--no-demo"]).end(Signal::TERM);
    let size = installation.verify()["records"].as_u64().expect("a number");
    let segment = installation.path("log/segments/00000000000000000000.seg");
    let content = std::fs::read(&segment).expect("readable");
    let end = content.iter().rposition(|byte| *byte != 0).expect("a header") as u64 + 1;
    let file = std::fs::OpenOptions::new().write(true).open(&segment).expect("a segment");
    file.write_all_at(&[0xa5; 100], end).expect("writable");
    for _ in 0..3 {
        installation.up(&["--no-demo"]).end(Signal::TERM);
    }
    let last = installation.verify()["records"].as_u64().expect("a number");
    let of_torn =
        |index: &u64| installation.json(&["log", "show", &index.to_string()])["operation"] == "torn_tail";
    let found: Vec<u64> = (size..last).filter(of_torn).collect();
    assert_eq!(found, [size + 1], "once, behind the record that opens the next epoch");
    let shown = installation.json(&["log", "show", &found[0].to_string()]);
    assert!(shown["detail"]["text"].as_str().expect("text").starts_with("100 bytes"), "{shown}");
    let kept = files(&installation.path("log/segments")).into_iter().filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&format!("recorded-{}-torn-", found[0])))
    });
    let kept: Vec<_> = kept.collect();
    assert_eq!(std::fs::read(&kept[0]).expect("kept"), vec![0xa5; 100]);
}
