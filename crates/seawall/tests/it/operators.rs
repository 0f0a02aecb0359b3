//! Operators' commands, while everything runs.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Bot, Installation, wait_until};

#[test]
fn halt_and_resume() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let said = installation.ok(&["halt", "--why", "storm"]);
    assert!(said.contains("record"), "{said}");
    let refused = bot.order().expect("a reply");
    assert!(refused["retMsg"].as_str().expect("a message").contains("halted"), "{refused}");
    assert_eq!(bot.cancel_all().expect("a reply")["retCode"], 0, "cancels pass");
    let vault = up.processes()["vault"];
    crate::support::signal(vault, Signal::KILL);
    up.wait_for_restart("vault", vault);
    wait_until("the gateway to find the vault", || {
        bot.order().is_ok_and(|reply| reply["retMsg"].as_str().is_some_and(|text| text.contains("halted")))
    });
    installation.fails(&["resume", "--account", "nowhere", "--why", "x"]);
    installation.ok(&["resume", "--why", "calm"]);
    bot.trades();
    up.end(Signal::TERM);
    let log = installation.ok(&["log", "tail", "--outcome", "event"]);
    assert!(log.contains("halt: storm") && log.contains("resume: calm"), "{log}");
    assert!(installation.fails(&["halt"]).contains("nothing runs"), "there is nobody to halt");
}

#[test]
fn status_tells_everything() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let status = installation.json(&["status", "--json"]);
    for name in [
        "processes",
        "gateway",
        "sign_socket",
        "admin_socket",
        "journal_socket",
        "trading_state",
        "policy_hash",
        "log",
        "keys",
        "lease",
        "isolation",
    ] {
        assert!(!status[name].is_null(), "{name} is not in {status}");
    }
    assert_eq!(status["healthy"], true);
    assert_eq!(status["policy_file"], "is in force");
    assert_eq!(status["trading_state"]["main"], "active");
    let keys = status["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), installation.paper_keys().len(), "{status}");
    up.end(Signal::TERM);
}

#[test]
fn a_removed_bot_is_refused_at_once() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    let mut other = Bot::add(&installation, "other");
    bot.trades();
    let list = installation.ok(&["bot", "list"]);
    assert!(list.contains("mine") && list.contains(&bot.api_key), "{list}");
    assert!(!list.contains(&bot.secret), "{list}");
    assert!(!installation.ok(&["bot", "list", "--json"]).contains(&bot.secret));
    let right = std::mem::replace(&mut bot.secret, "wrong".into());
    assert_eq!(bot.order().expect("a reply")["retCode"], 10004, "a wrong signature");
    bot.secret = right;
    installation.ok(&["bot", "remove", "mine"]);
    let refused = bot.order().expect("a reply");
    assert_eq!(refused["retCode"], 10003, "{refused}");
    other.trades();
    assert!(!installation.ok(&["bot", "list"]).contains("mine"));
    installation.fails(&["bot", "remove", "mine"]);
    installation.fails(&["bot", "add", "x", "--venue", "binance", "--account", "main"]);
    installation.fails(&["bot", "add", "x", "--venue", "bybit", "--account", "nowhere"]);
    up.end(Signal::TERM);
}

#[test]
fn one_of_two_logins_is_revoked_alone() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut first = Bot::add(&installation, "mine");
    let mut second = Bot::add(&installation, "mine");
    first.trades();
    second.trades();
    let said = installation.fails(&["bot", "remove", "mine", "--key", "unknown"]);
    assert!(said.contains("no such login") && said.contains("bot list"), "{said}");
    let said = installation.ok(&["bot", "remove", "mine", "--key", &first.api_key]);
    assert!(said.contains(&first.api_key), "{said}");
    assert_eq!(first.order().expect("a reply")["retCode"], 10003);
    second.trades();
    installation.fails(&["bot", "remove", "mine", "--venue", "binance"]);
    up.end(Signal::TERM);
    let log = installation.ok(&["log", "tail", "-n", "100", "--outcome", "event"]);
    assert!(log.contains(&format!("revoked login {} of bot mine", first.api_key)), "{log}");
}

#[test]
fn a_bot_that_the_policy_does_not_name_any_more_is_revoked_with_a_record() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let before = installation.text("policy.toml");
    let bot = Bot::add(&installation, "mine");
    std::fs::write(installation.path("policy.toml"), &before).expect("writable");
    installation.ok(&["policy", "apply"]);
    let said = installation.ok(&["bot", "remove", "mine"]);
    assert!(said.contains("revoked 1 login"), "{said}");
    assert_eq!(installation.text("policy.toml"), before);
    assert!(!installation.ok(&["bot", "list"]).contains(&bot.api_key));
    for name in ["mine", "nobody"] {
        let said = installation.fails(&["bot", "remove", name]);
        assert!(said.contains(&format!("there is no bot {name}; see `seawall bot list`")), "{said}");
    }
    up.end(Signal::TERM);
    let log = installation.ok(&["log", "tail", "-n", "100", "--outcome", "event"]);
    assert!(log.contains("revoked 1 login(s) of bot mine"), "{log}");
}

#[test]
fn commands_that_change_something_take_turns() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let names: Vec<String> = (0..6).map(|number| format!("bot-{number}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            installation
                .command(&["bot", "add", name, "--venue", "bybit", "--account", "main"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("ours").success());
    }
    let list = installation.ok(&["bot", "list"]);
    let policy = installation.text("policy.toml");
    for name in &names {
        assert!(list.contains(name.as_str()), "{name} is lost: {list}");
        assert!(policy.contains(name.as_str()), "{name} is not in the policy");
    }
    up.end(Signal::TERM);
}

const BYBIT: [&str; 6] = ["--venue", "bybit", "--account", "main", "--role", "trade"];

fn key_id(installation: &Installation) -> String {
    let list = installation.json(&["key", "list", "--json"]);
    let keys = list["keys"].as_array().expect("keys");
    let own = keys.iter().find(|key| key["account"] == "main" && key["stage"] == "active");
    own.expect("a key")["key_id"].as_str().expect("text").to_owned()
}

#[test]
fn keys_are_taken_judged_listed_and_removed() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    let (api_key, secret) = installation.paper_key("main");
    let add = |key: &str, secret: &str| {
        installation.with_input(&[&["key", "add"], &BYBIT[..]].concat(), &format!("{key}\n{secret}\n"))
    };
    let list = installation.ok(&["key", "list"]);
    assert!(!list.contains(&secret) && !list.contains(&api_key), "{list}");
    let there = add(&api_key, &secret);
    assert!(!there.status.success(), "there is an active key already");

    installation.ok(&["key", "remove", &key_id(&installation)]);
    assert_ne!(bot.order().expect("a reply")["retCode"], 0, "no key, no order");
    let withdraws = add(&format!("{api_key}W"), &secret);
    let said = String::from_utf8_lossy(&withdraws.stderr).into_owned();
    assert!(!withdraws.status.success() && said.contains("withdraw"), "{said}");
    let wrong = add(&api_key, "not the secret");
    assert!(!wrong.status.success(), "the venue does not know it");
    for output in [&withdraws, &wrong, &there] {
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(&secret));
    }
    assert!(!installation.ok(&["key", "list"]).contains(" main "));
    let taken = add(&api_key, &secret);
    assert!(taken.status.success(), "{taken:?}");
    bot.trades();
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

#[test]
fn a_rotation_under_load_loses_no_order() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    let (api_key, secret) = installation.paper_key("main");
    let old = key_id(&installation);
    bot.trades();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = std::sync::Arc::clone(&stop);
    let load = std::thread::spawn(move || {
        let mut replies: Vec<Value> = Vec::new();
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            replies.push(bot.order().expect("the gateway answers"));
            replies.push(bot.cancel_all().expect("the gateway answers"));
            // Below the policy's rates.
            std::thread::sleep(std::time::Duration::from_millis(120));
        }
        replies
    });
    let rotate = [&["key", "rotate", "--drop-now"], &BYBIT[..]].concat();
    let output = installation.with_input(&rotate, &format!("{api_key}R\n{secret}\n"));
    assert!(output.status.success(), "{output:?}");
    let new = key_id(&installation);
    assert_ne!(new, old);
    let decided = |key: &str| {
        let log = installation.ok(&["log", "tail", "-n", "400", "--json"]);
        log.lines().filter(|line| line.contains(key) && line.contains("key_id")).count()
    };
    wait_until("orders under the new key", || decided(&new) > 4);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let replies = load.join().expect("no panic");
    assert!(replies.iter().all(|reply| reply["retCode"] == 0), "{replies:?}");
    assert!(!installation.ok(&["key", "list"]).contains(&old), "the old one is dropped");
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

/// Interrupts a rotation in its wait, and pretends that the wait is over long ago.
fn interrupted_rotation(installation: &Installation, letter: &str) -> String {
    let old = key_id(installation);
    let (api_key, secret) = installation.paper_key("main");
    let mut child = installation
        .command(&[&["key", "rotate"], &BYBIT[..]].concat())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let input = format!("{api_key}{letter}\n{secret}\n");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("it reads");
    let said = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let waits = std::io::BufRead::lines(said).map_while(Result::ok).find(|line| line.contains("Ctrl-C"));
    assert!(waits.is_some_and(|line| line.contains("70 s")), "it says what an interruption does");
    crate::support::signal(child.id(), Signal::INT);
    assert!(!child.wait().expect("ours").success());
    let mut store: Value = serde_json::from_str(&installation.text("keys/trade.sealed")).expect("JSON");
    let entries = store["entries"].as_array_mut().expect("keys");
    let retiring = entries.iter_mut().find(|entry| entry["description"]["key_id"] == old.as_str());
    let retiring = retiring.expect("it is kept");
    assert_eq!(retiring["description"]["stage"], "retiring");
    assert!(retiring["retiring_since"].is_number(), "{retiring}");
    retiring["retiring_since"] = 1.into();
    std::fs::write(installation.path("keys/trade.sealed"), store.to_string()).expect("writable");
    old
}

#[test]
fn a_key_left_by_an_interrupted_rotation_is_named_and_dropped_with_a_record() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let first = interrupted_rotation(&installation, "R");
    let doctor = installation.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains(&format!("key remove {first}")), "{said}");
    installation.fails(&["key", "remove", "nothing"]);
    assert!(!installation.ok(&["key", "list"]).contains(&first), "the next key command drops it");
    assert!(!installation.ok(&["status", "--json"]).contains(&first), "the vault too");
    up.end(Signal::TERM);

    // While nothing runs the next `up` drops it, and records that.
    let store = installation.text("keys/trade.sealed");
    let mut store: Value = serde_json::from_str(&store).expect("JSON");
    let entries = store["entries"].as_array_mut().expect("keys");
    let last = entries.iter_mut().find(|entry| entry["description"]["account"] == "main").expect("a key");
    last["description"]["stage"] = "retiring".into();
    let second = last["description"]["key_id"].as_str().expect("text").to_owned();
    std::fs::write(installation.path("keys/trade.sealed"), store.to_string()).expect("writable");
    let up = installation.up(&["--no-demo"]);
    assert!(!installation.ok(&["key", "list"]).contains(&second));
    assert_eq!(up.end(Signal::TERM)["verified"], true);
    let log = installation.ok(&["log", "tail", "-n", "100", "--outcome", "event"]);
    for key in [&first, &second] {
        assert!(log.contains(&format!("dropped bybit trade key {key}")), "{log}");
    }
    assert!(log.contains("while nothing ran"), "{log}");
}

#[test]
fn what_changed_while_nothing_ran_is_recorded_at_the_next_start() {
    let installation = Installation::new();
    installation.up(&["--no-demo"]).end(Signal::TERM);
    let policy =
        installation.text("policy.toml").replace("max_quantity = \"0.05\"", "max_quantity = \"0.01\"");
    std::fs::write(installation.path("policy.toml"), policy).expect("writable");
    installation.ok(&["policy", "apply"]);
    installation.ok(&["bot", "add", "mine", "--venue", "bybit", "--account", "main"]);
    assert!(installation.path("unrecorded.json").exists());
    let up = installation.up(&["--no-demo"]);
    up.end(Signal::TERM);
    assert!(!installation.path("unrecorded.json").exists());
    let log = installation.ok(&["log", "tail", "-n", "100", "--outcome", "event"]);
    let at = |part: &str| log.lines().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{log}"));
    assert!(at("policy: tightened the policy (at ") < at("bot: bot mine may use account main"), "{log}");
    let again = installation.up(&["--no-demo"]);
    again.end(Signal::TERM);
    let log = installation.ok(&["log", "tail", "-n", "100", "--outcome", "event"]);
    assert_eq!(log.matches("tightened the policy").count(), 1, "once: {log}");
}

#[test]
fn policies_are_checked_compared_explained_and_applied() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let path = |name: &str| installation.path(name).display().to_string();
    let policy = installation.text("policy.toml");
    assert!(installation.ok(&["policy", "check", &path("policy.toml")]).contains("valid"));
    std::fs::write(installation.path("bad.toml"), policy.replace("maker_only", "maker_onli"))
        .expect("writable");
    let said = installation.fails(&["policy", "check", &path("bad.toml")]);
    assert!(said.contains("maker_onli") && said.contains("fix:") && said.contains("bad.toml:"), "{said}");
    assert!(said.contains("mistake(s)"), "{said}");

    let order = r#"{"bot":"mine","account":"main","place":{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.001","price":"20000","post_only":true}}"#;
    std::fs::write(installation.path("order.json"), order).expect("writable");
    let said = installation.ok(&["policy", "explain", &path("order.json")]);
    assert!(said.contains("max_quantity") && said.contains("verdict: approved (with nothing"), "{said}");
    assert!(said.contains("trading state: active, as the running vault says"), "{said}");
    let tier = said.lines().find(|line| line.starts_with("max_open_orders")).expect("a rule");
    assert_eq!(tier.split_whitespace().nth(1), Some("O"), "{said}");
    installation.ok(&["halt", "--why", "test"]);
    let said = installation.fails(&["policy", "explain", &path("order.json")]);
    assert!(said.contains("trading state: halted") && said.contains("verdict: denied (with"), "{said}");
    let output = installation.run(&["policy", "explain", "--json", &path("order.json")]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&said["trading_state"], &said["trading_state_known"]), (&"halted".into(), &true.into()));
    installation.ok(&["resume", "--why", "test"]);

    // One digit: 0.05 becomes 0.01, and an order of 0.02 is too large.
    let tight = policy.replace("max_quantity = \"0.05\"", "max_quantity = \"0.01\"");
    std::fs::write(installation.path("policy.toml"), &tight).expect("writable");
    let large = r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","timeInForce":"PostOnly","qty":"0.02","price":"20000"}"#;
    assert_eq!(bot.post("/v5/order/create", large).expect("a reply")["retCode"], 0, "not in force yet");
    let status = installation.json(&["status", "--json"]);
    assert!(status["policy_file"].as_str().expect("text").starts_with("differs"), "{status}");
    let said = installation.fails(&["bot", "add", "other", "--venue", "bybit", "--account", "main"]);
    assert!(said.contains("policy apply"), "{said}");
    assert_eq!(installation.text("policy.toml"), tight, "edits are not overwritten");
    std::fs::write(installation.path("old.toml"), &policy).expect("writable");
    let said = installation.ok(&["policy", "diff", &path("old.toml"), &path("policy.toml")]);
    assert!(said.contains("tighter") && said.contains("max_quantity"), "{said}");
    // Neither more nor less: other prices.
    let other = policy.replace("tick = \"0.1\"", "tick = \"0.25\"");
    std::fs::write(installation.path("other.toml"), other).expect("writable");
    let said = installation.ok(&["policy", "diff", &path("old.toml"), &path("other.toml")]);
    assert!(said.starts_with("looser") && said.contains("tick: 0.1 -> 0.25"), "{said}");
    let said = installation.json(&["policy", "diff", "--json", &path("old.toml"), &path("other.toml")]);
    let directions = said["fields"].as_array().expect("a list").iter().map(|field| &field["direction"]);
    let directions: std::collections::BTreeSet<&str> = directions.filter_map(Value::as_str).collect();
    assert_eq!(Vec::from_iter(directions), ["equal", "looser"], "{said}");
    let said = installation.ok(&["policy", "apply"]);
    assert!(said.contains("tightened"), "{said}");
    let refused = bot.post("/v5/order/create", large).expect("a reply");
    assert!(refused["retMsg"].as_str().expect("a message").contains("0.01"), "{refused}");
    assert_eq!(installation.json(&["status", "--json"])["policy_file"], "is in force");
    let before = installation.json(&["status", "--json"])["policy_hash"].clone();
    let summary = up.end(Signal::TERM);
    assert_eq!(summary["verified"], true);

    // An edit while nothing runs is not in force either, until it is applied.
    std::fs::write(installation.path("policy.toml"), &policy).expect("writable");
    let up = installation.up(&["--no-demo"]);
    assert!(installation.text("up.err").contains("not the policy in force"), "it says so");
    assert_eq!(installation.json(&["status", "--json"])["policy_hash"], before);
    up.end(Signal::TERM);
}
