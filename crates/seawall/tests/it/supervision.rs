//! Each process is killed in turn; trading goes on and the log is whole.

use rustix::process::Signal;

use crate::support::{Bot, Installation, signal, wait_until};

fn survives(name: &str, times: usize) {
    let installation = Installation::new();
    let up = installation.up(&[]);
    let mut bot = Bot::add(&installation, "mine");
    let gateway = up.gateway();
    for _ in 0..times {
        bot.trades();
        let pid = up.processes()[name];
        signal(pid, Signal::KILL);
        up.wait_for_restart(name, pid);
        bot.trades();
    }
    assert_eq!(up.gateway(), gateway, "bots find it where it was");
    let status = installation.json(&["status", "--json"]);
    let process = status["processes"].as_array().expect("a list").iter().find(|one| one["name"] == name);
    assert_eq!(process.expect("it is there")["restarts"], times);
    let summary = up.end(Signal::TERM);
    assert_eq!(summary["verified"], true, "{summary}");
    assert_eq!(
        summary["released"], summary["approved"],
        "what a dead process counted is not lost: {summary}"
    );
    let verified = installation.verify();
    assert_eq!(verified["records"], verified["covered"], "the last checkpoint covers everything");
}

#[test]
fn the_vault_may_die() {
    survives("vault", 3);
}

#[test]
fn the_journal_may_die() {
    survives("journal", 3);
}

#[test]
fn the_gateway_may_die() {
    survives("gateway", 2);
}

#[test]
fn the_paper_venue_may_die() {
    survives("paper", 2);
}

#[test]
fn a_paper_venue_that_starts_again_gives_no_order_id_twice() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        bot.trades();
        let reply = bot.order().expect("a reply");
        let id = reply["result"]["orderId"].as_str().unwrap_or_else(|| panic!("{reply}"));
        assert!(ids.insert(id.to_owned()), "{id} was given before: {ids:?}");
        let paper = up.processes()["paper"];
        signal(paper, Signal::KILL);
        up.wait_for_restart("paper", paper);
    }
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

#[test]
fn a_process_that_dies_again_and_again_is_given_longer_pauses() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let started = std::time::Instant::now();
    for _ in 0..4 {
        let pid = up.processes()["journal"];
        signal(pid, Signal::KILL);
        up.wait_for_restart("journal", pid);
    }
    // 100 + 200 + 400 + 800 ms.
    assert!(started.elapsed() >= std::time::Duration::from_millis(1500), "{:?}", started.elapsed());
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

#[test]
fn while_the_journal_stands_still_nothing_leaves_and_a_halt_is_heard() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let journal = up.processes()["journal"];
    signal(journal, Signal::STOP);
    let waiting = std::thread::spawn(move || {
        let reply = bot.order();
        (bot, reply)
    });
    wait_until("the order to wait in the vault", || {
        let status = installation.json(&["status", "--json"]);
        status["log"]["size"].as_u64() > status["log"]["durable"].as_u64()
    });
    // The command waits for its record to be durable; the state changes at once.
    let mut halt = installation
        .command(&["halt", "--why", "test"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    wait_until("the halt to be in force", || {
        installation.json(&["status", "--json"])["trading_state"]["main"] == "halted"
    });
    if waiting.is_finished() {
        let reply = waiting.join().expect("no panic").1;
        panic!("a reply left before its record was durable: {reply:?}");
    }
    signal(journal, Signal::CONT);
    let (mut bot, reply) = waiting.join().expect("no panic");
    assert_eq!(reply.expect("a reply")["retCode"], 0, "signed before the halt");
    assert!(halt.wait().expect("ours").success());
    assert_ne!(bot.order().expect("a reply")["retCode"], 0);
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

#[test]
fn a_fault_that_stays_ends_up_with_the_reason() {
    let installation = Installation::new();
    installation.ok(&["init"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let config = installation.text("seawall.toml").replace("7811", &port.to_string()).replace("7810", "0");
    std::fs::write(installation.path("seawall.toml"), config).expect("writable");
    let said = installation.fails(&["up", "--for", "1s"]);
    assert!(said.contains("gateway") && said.contains(&port.to_string()), "{said}");
}

#[test]
fn what_was_spent_before_the_vault_died_is_spent_after() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    // Room for five orders of 20 USDT.
    let budget = |line: &str| {
        if line.starts_with("notional_") {
            line.split('=').next().expect("a name").to_owned() + "= \"100\""
        } else {
            line.to_owned()
        }
    };
    let policy = installation.text("policy.toml").lines().map(budget).collect::<Vec<_>>().join("\n");
    std::fs::write(installation.path("policy.toml"), policy).expect("writable");
    installation.ok(&["policy", "apply"]);
    for _ in 0..4 {
        assert_eq!(bot.order().expect("a reply")["retCode"], 0);
    }
    let vault = up.processes()["vault"];
    signal(vault, Signal::KILL);
    up.wait_for_restart("vault", vault);
    wait_until("the fifth order to be taken", || bot.order().is_ok_and(|reply| reply["retCode"] == 0));
    let refused = bot.order().expect("a reply");
    assert!(refused["retMsg"].as_str().expect("a message").contains("100"), "{refused}");
    assert_eq!(up.end(Signal::TERM)["verified"], true);
}

#[test]
fn under_load_no_record_is_lost_or_told_twice_whoever_dies() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let socket = installation.path("run/sign.sock");
    Bot::add(&installation, "mine");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let bots: Vec<_> = (0..3)
        .map(|_| {
            let (socket, stop) = (socket.clone(), std::sync::Arc::clone(&stop));
            std::thread::spawn(move || indices_told(&socket, &stop))
        })
        .collect();
    for name in ["journal", "vault", "journal", "journal", "vault"] {
        let before = installation.json(&["status", "--json"])["log"]["size"].as_u64();
        wait_until("more records", || {
            installation.json(&["status", "--json"])["log"]["durable"].as_u64() > before.map(|size| size + 50)
        });
        let pid = up.processes()[name];
        signal(pid, Signal::KILL);
        up.wait_for_restart(name, pid);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut told: Vec<u64> = bots.into_iter().flat_map(|bot| bot.join().expect("no panic")).collect();
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), count, "an index was told twice");
    let summary = up.end(Signal::TERM);
    assert_eq!(summary["verified"], true, "{summary}");
    assert!(summary["log_size"].as_u64() > told.last().copied(), "what was told is in the log");
    let verified = installation.verify();
    assert_eq!(verified["epochs"], 3, "{verified}");
    assert_eq!(verified["records"], verified["covered"]);
}

/// Asks on the sign socket until told to stop; the indices of the records of all replies.
fn indices_told(socket: &std::path::Path, stop: &std::sync::atomic::AtomicBool) -> Vec<u64> {
    use std::io::{BufRead as _, Write as _};
    let cancel = br#"{"bot":"mine","cancel":{"market":"linear","symbol":"BTCUSDT","client_order_id":"x"}}"#;
    let mut told = Vec::new();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let Ok(mut stream) = std::os::unix::net::UnixStream::connect(socket) else { continue };
        let mut lines = std::io::BufReader::new(stream.try_clone().expect("a twin")).lines();
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            // The vault may die between question and answer; then the bot asks the next one.
            if stream.write_all(&[&cancel[..], b"\n"].concat()).is_err() {
                break;
            }
            let Some(Ok(line)) = lines.next() else { break };
            let reply: serde_json::Value = serde_json::from_str(&line).expect("a reply");
            told.extend(reply["seq"].as_u64());
        }
    }
    told
}
