//! Trading state and policy, as operators change them.

use super::*;

const HALT: &str = r#"{"command":"set_state","state":"halted","why":"test"}"#;
const RESUME: &str = r#"{"command":"set_state","state":"active","why":"test"}"#;

fn load(store: &SealedStore) -> String {
    serde_json::json!({
        "command": "load", "store": store.to_json(), "change": { "kind": "policy", "text": "changed" },
    })
    .to_string()
}

#[test]
fn a_halt_denies_at_once_and_a_resume_restores() {
    let mut bench = Bench::new();
    bench.command(2, HALT);
    bench.bot(1, &small());
    let replies = bench.sync();
    assert_eq!(replies[0]["status"], "done");
    assert!(codes(&replies[1]).contains(&"trading_state_forbids"), "before the halt was durable");
    let cancel = r#"{"cancel":{"market":"linear","symbol":"BTCUSDT","client_order_id":"a"}}"#;
    assert_eq!(bench.ask(cancel)["status"], "approved", "cancels pass");
    assert_eq!(bench.order(RESUME)["status"], "done");
    assert_eq!(bench.ask(&small())["status"], "approved");
    let body = Body::decode(&bench.log[0].0).expect("a body");
    assert_eq!((body.actor.as_str(), body.operation.as_str()), ("uid:1000", "halt"));
}

#[test]
fn one_account_can_be_halted_alone() {
    let mut bench = Bench::new();
    let halt = r#"{"command":"set_state","state":"halted","account":"spot","why":"test"}"#;
    assert_eq!(bench.order(halt)["status"], "done");
    assert_eq!(bench.ask(&small())["status"], "approved");
    let unknown = halt.replace("spot", "nowhere");
    assert_eq!(bench.order(&unknown)["status"], "error");
    let silent = r#"{"command":"set_state","state":"halted","why":"  "}"#;
    assert_eq!(bench.order(silent)["status"], "error", "say why");
    let status = bench.order(r#"{"command":"status"}"#);
    assert_eq!(status["states"], serde_json::json!([["main", "active"], ["spot", "halted"]]));
}

#[test]
fn a_store_of_another_vault_is_not_opened() {
    let mut bench = Bench::new();
    let policy = Policy::parse(bench.store.policy()).expect("a policy");
    for role in [Role::Watch, Role::Admin, Role::Skim] {
        let mut other = SealedStore::new(bench.store.policy(), &policy.hash());
        let secret = SecretText::new("secret of another vault".to_owned());
        let account = name("main");
        let new = NewKey {
            venue: Venue::Bybit,
            account: &account,
            role,
            api_key: "key",
            secret: &secret,
            added_at: Timestamp::from_ms(NOW),
        };
        other.add(&bench.root, &policy.hash(), &new).expect("a new key");
        let reply = bench.order(&load(&other));
        assert_eq!(reply["status"], "error");
        let said = reply["error"]["message"].as_str().expect("text");
        assert!(said.contains(&format!("is for {role}, and this is the trade vault")), "{said}");
        // Whoever writes another role into the file voids the seal.
        let relabelled =
            load(&other).replace(&format!("\\\"role\\\": \\\"{role}"), "\\\"role\\\": \\\"trade");
        assert_ne!(relabelled, load(&other));
        assert_eq!(bench.order(&relabelled)["status"], "error");
    }
    assert_eq!(bench.ask(&small())["status"], "approved", "the keys from before are still there");
}

#[test]
fn a_policy_replaces_the_old_one_whole_or_not_at_all() {
    let mut bench = Bench::new();
    let before = bench.core.policy.hash();
    let tighter = changed(&[("\"0.05\"", "\"0.001\"")]);
    let good = sealed(&bench.root, &tighter);
    let mut bad = vec![
        load(&good).replace("0.001", "0.002"),
        load(&good).replace("\\\"version\\\": 1", "\\\"version\\\": 2"),
        load(&sealed(&RootSecret::generate(), &tighter)),
        r#"{"command":"load","store":"{}","change":{"kind":"policy","text":"x"}}"#.to_owned(),
    ];
    bad.push(load(&good).replace("\"kind\":\"policy\"", "\"kind\":\"halt\""));
    bad.push(load(&good).replace("\"kind\":\"policy\"", &format!("\"kind\":\"{}\"", "k".repeat(300))));
    for line in bad {
        assert_ne!(line, load(&good));
        assert_eq!(bench.order(&line)["status"], "error", "{line}");
        assert_eq!(bench.core.policy.hash(), before);
        bench.now += 1;
        assert_eq!(bench.ask(&limit("0.01", "60000", ""))["status"], "approved", "the keys are there too");
    }
    bench.now += 1;
    bench.bot(1, &limit("0.01", "60000", ""));
    bench.command(2, &load(&good));
    bench.bot(1, &limit("0.01", "60000", ""));
    let replies = bench.sync();
    assert_eq!(replies[0]["status"], "approved", "in flight keeps what it was judged by");
    assert_eq!(replies[1]["status"], "done");
    assert!(codes(&replies[2]).contains(&"quantity_over_limit"));
    assert_ne!(bench.last_body().policy_hash, before);
}

#[test]
fn an_account_that_leaves_the_policy_and_returns_has_its_budget_and_its_halt_still() {
    let mut bench = Bench::with(Durability::Disk, &[("\"1000000\"", "\"100\"")]);
    assert_eq!(bench.ask(&small())["status"], "approved");
    let halt = r#"{"command":"set_state","state":"halted","account":"main","why":"test"}"#;
    assert_eq!(bench.order(halt)["status"], "done");
    let start = POLICY.find("[accounts.main]").expect("there");
    let end = POLICY.find("[accounts.spot]").expect("there");
    let without = format!("{}{}", &POLICY[..start], &POLICY[end..])
        .replace("[\"main\", \"spot\"]", "[\"spot\"]")
        .replace("accounts = [\"main\"]", "accounts = [\"spot\"]");
    let (without, with) = (sealed(&bench.root, &without), bench.store.clone());
    assert_eq!(bench.order(&load(&without))["status"], "done");
    assert_eq!(bench.order(&load(&with))["status"], "done");
    assert!(codes(&bench.ask(&small())).contains(&"trading_state_forbids"));
    assert_eq!(bench.order(RESUME)["status"], "done");
    assert!(codes(&bench.ask(&small())).contains(&"day_budget_exceeded"));
}

#[test]
fn an_account_added_while_everything_is_halted_is_halted() {
    let mut bench = Bench::new();
    bench.order(HALT);
    let more =
        sealed(&bench.root, &changed(&[("[accounts.spot", "[accounts.fresh"), ("\"spot\"]", "\"fresh\"]")]));
    assert_eq!(bench.order(&load(&more))["status"], "done");
    let status = bench.order(r#"{"command":"status"}"#);
    assert_eq!(status["states"], serde_json::json!([["fresh", "halted"], ["main", "halted"]]));
}

#[test]
fn a_note_that_would_not_fit_a_record_is_refused() {
    let mut bench = Bench::new();
    let note = |kind: &str, text: &str| {
        serde_json::json!({ "command": "note", "change": { "kind": kind, "text": text } }).to_string()
    };
    assert_eq!(bench.order(&note("bot", "added"))["status"], "done");
    for (kind, text) in [("", "x"), ("two words", "x"), ("heard", "x"), ("bot", ""), (&*"k".repeat(200), "x")]
    {
        assert_eq!(bench.order(&note(kind, text))["status"], "error", "{kind}");
    }
    assert_eq!(bench.order(&note("bot", &"x".repeat(1001)))["status"], "error");
    assert_eq!(bench.log.len(), 1);
}

fn size(factor: &str, account: &str) -> String {
    format!(r#"{{"command":"set_size_factor","factor":"{factor}",{account}"why":"test"}}"#)
}

#[test]
fn a_size_factor_holds_at_once_and_until_an_operator_sets_another() {
    let mut bench = Bench::new();
    let half = limit("0.025", "20000", "");
    let more = limit("0.026", "20000", "");
    bench.command(2, &size("0.5", ""));
    bench.bot(1, &more);
    let replies = bench.sync();
    assert_eq!(replies[0]["status"], "done");
    assert_eq!(codes(&replies[1]), ["quantity_over_limit"], "before the factor was durable");
    let body = Body::decode(&bench.log[0].0).expect("a body");
    assert_eq!((body.actor.as_str(), body.operation.as_str()), ("uid:1000", "size_factor"));
    assert_eq!(bench.ask(&half)["status"], "approved");
    for other in [HALT, RESUME, &load(&bench.store.clone())] {
        assert_eq!(bench.order(other)["status"], "done");
    }
    assert_eq!(codes(&bench.ask(&more)), ["quantity_over_limit"], "neither resume nor policy loosens it");
    assert_eq!(bench.order(&size("1", ""))["status"], "done");
    assert_eq!(bench.ask(&more)["status"], "approved");
}

#[test]
fn a_size_factor_of_one_account_is_its_own() {
    let mut bench = Bench::new();
    assert_eq!(bench.order(&size("0.25", r#""account":"spot","#))["status"], "done");
    assert_eq!(bench.ask(&limit("0.05", "20000", ""))["status"], "approved");
    let status = bench.order(r#"{"command":"status"}"#);
    assert_eq!(status["size_factors"], serde_json::json!([["main", "1"], ["spot", "0.25"]]));
    assert_eq!(bench.order(&size("0.5", ""))["status"], "done");
    let status = bench.order(r#"{"command":"status"}"#);
    assert_eq!(status["size_factors"], serde_json::json!([["main", "0.5"], ["spot", "0.5"]]));
}

#[test]
fn a_size_factor_that_is_none_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.order(&size("0.5", ""));
    let log = bench.log.len();
    for factor in ["0", "-0.5", "1.0001", "0.00001", "half", ""] {
        assert_eq!(bench.order(&size(factor, ""))["status"], "error", "{factor}");
    }
    for line in [
        size("1", r#""account":"nowhere","#),
        size("1", "").replace("test", "  "),
        size("1", "").replace("test", &"x".repeat(501)),
        size("1", "").replace("\"1\"", "1"),
        size("1", "").replace("\"why\"", "\"what\""),
        r#"{"command":"note","change":{"kind":"size_factor","text":"x"}}"#.to_owned(),
    ] {
        assert_eq!(bench.order(&line)["status"], "error", "{line}");
    }
    assert_eq!(bench.log.len(), log);
    assert_eq!(codes(&bench.ask(&limit("0.026", "20000", ""))), ["quantity_over_limit"]);
}

#[test]
fn an_account_added_while_a_size_factor_holds_everywhere_has_it() {
    let mut bench = Bench::new();
    bench.order(&size("0.5", ""));
    let more =
        sealed(&bench.root, &changed(&[("[accounts.spot", "[accounts.fresh"), ("\"spot\"]", "\"fresh\"]")]));
    assert_eq!(bench.order(&load(&more))["status"], "done");
    let status = bench.order(r#"{"command":"status"}"#);
    assert_eq!(status["size_factors"], serde_json::json!([["fresh", "0.5"], ["main", "0.5"]]));
}
