//! The log replayed gives the same counters and the same decisions.

use policy::{Context, Decision, MarkPrice, Request, State};
use proptest::prelude::*;

use super::*;
use crate::core::reports::MAX_HEARD;
use crate::core::{Everywhere, Gathered, Past, STATE_OPERATION, state_of};
use crate::detail::{Detail, past};
use trading::{SizeFactor, TradingState};

/// What a session may bring.
#[derive(Debug, Clone)]
enum Event {
    Place { quantity: u32, price: u32, market: bool, id: u8 },
    Cancel { id: u8 },
    Amend { id: u8, quantity: u32 },
    Nonsense,
    State { state: TradingState, only_main: bool },
    Size { factor: SizeFactor, only_main: bool },
    Report { number: u64, closed: bool },
    Listed { below: u64, open: Vec<u64> },
    Mark { price: u32 },
    Clock { ms: i64 },
    Policy { tight: bool },
    Lease { other: bool, reducing: bool, factor: SizeFactor, life_ms: u64, price: u32 },
}

fn event() -> impl Strategy<Value = Event> {
    let state =
        prop_oneof![Just(TradingState::Active), Just(TradingState::Reducing), Just(TradingState::Halted)];
    prop_oneof![
        6 => (1..80_u32, 59_000..61_000_u32, any::<bool>(), 0..30_u8)
            .prop_map(|(quantity, price, market, id)| Event::Place { quantity, price, market, id }),
        2 => (0..30_u8).prop_map(|id| Event::Cancel { id }),
        2 => (0..30_u8, 1..80_u32).prop_map(|(id, quantity)| Event::Amend { id, quantity }),
        1 => Just(Event::Nonsense),
        1 => (state, any::<bool>()).prop_map(|(state, only_main)| Event::State { state, only_main }),
        1 => (1..=10_000_u16, any::<bool>()).prop_map(|(steps, only_main)| Event::Size { factor: size(steps), only_main }),
        3 => (0..20_u64, any::<bool>()).prop_map(|(number, closed)| Event::Report { number, closed }),
        1 => (0..30_u64, prop::collection::vec(0..20_u64, 0..4))
            .prop_map(|(below, open)| Event::Listed { below, open }),
        2 => (59_000..61_000_u32).prop_map(|price| Event::Mark { price }),
        3 => (-2_000..40_000_i64).prop_map(|ms| Event::Clock { ms }),
        1 => any::<bool>().prop_map(|tight| Event::Policy { tight }),
        4 => (any::<bool>(), any::<bool>(), 5_000..=10_000_u16, 0..7_000_u64, 59_000..61_000_u32).prop_map(
            |(other, reducing, steps, life_ms, price)| {
                Event::Lease { other, reducing, factor: size(steps), life_ms, price }
            }
        ),
    ]
}

/// So many ten-thousandths.
fn size(steps: u16) -> SizeFactor {
    trading::Decimal::new(steps.into(), 4).expect("scale").try_into().expect("within 0 and 1")
}

/// Limits that a session of random requests reaches, and two watchdogs.
fn limits() -> Vec<(&'static str, String)> {
    vec![
        ("\"1000000\"", "\"9000\"".to_owned()),
        ("max_open_orders = 5000", "max_open_orders = 5".to_owned()),
        ("new_orders_per_second = 5000", "new_orders_per_second = 3".to_owned()),
        ("watchdogs = []", leases::watchdogs()),
    ]
}

/// Beside these, what only the tighter of two policies says.
const TIGHTER: [(&str, &str); 2] = [
    ("max_quantity = \"0.05\"", "max_quantity = \"0.02\""),
    ("require_lease = false", "require_lease = true"),
];

fn feed(bench: &mut Bench, event: &Event, stores: &[SealedStore; 2]) {
    match event {
        Event::Place { quantity, price, market, id } => {
            let id = if id % 3 == 0 { String::new() } else { format!(r#","client_order_id":"id-{id}""#) };
            let kind = if *market { r#""market""#.to_owned() } else { format!(r#""limit","price":"{price}""#) };
            let order = format!(
                r#"{{"place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","quantity":"0.{quantity:03}","type":{kind}{id}}}}}"#
            );
            bench.bot(1, &order);
        }
        Event::Cancel { id } => bench.bot(
            1,
            &format!(r#"{{"cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"id-{id}"}}}}"#),
        ),
        Event::Amend { id, quantity } => bench.bot(
            1,
            &format!(
                r#"{{"amend":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"id-{id}","quantity":"0.{quantity:03}"}}}}"#
            ),
        ),
        Event::Nonsense => {
            bench.bot(1, r#"{"order":{"symbol":"BTCUSDT","out":1}}"#);
            bench.bot(1, r#"{"place":{"market":"linear"}}"#);
            bench.bot(1, r#"{"bot":"other","place":5}"#);
        }
        Event::State { state, only_main } => {
            let account = only_main.then_some("main");
            let command = serde_json::json!({
                "command": "set_state", "state": state, "account": account, "why": "test",
            });
            bench.command(2, &command.to_string());
        }
        Event::Size { factor, only_main } => {
            let account = only_main.then_some("main");
            let command = serde_json::json!({
                "command": "set_size_factor", "factor": factor, "account": account, "why": "test",
            });
            bench.command(2, &command.to_string());
        }
        Event::Report { number, closed } => {
            let event = if *closed { "closed" } else { "acknowledged" };
            assert!(!bench.gateway(&format!(
                r#"{{"report":{{"account":"main","order_number":{number},"venue_order_id":"v{number}","event":"{event}"}}}}"#
            )));
        }
        Event::Listed { below, open } => {
            let open: Vec<String> = open.iter().map(|number| format!("v{number}")).collect();
            let line = serde_json::json!({
                "listed": { "account": "main", "market": "linear", "below": below, "open": open },
            });
            assert!(!bench.gateway(&line.to_string()));
        }
        Event::Mark { price } => {
            let at = bench.now;
            bench.gateway(&format!(
                r#"{{"marks":[{{"instrument":"bybit:linear:BTCUSDT","price":"{price}","at":{at}}}]}}"#
            ));
        }
        Event::Clock { ms } => bench.now = bench.now.saturating_add_signed(*ms),
        Event::Policy { tight } => {
            let command = serde_json::json!({
                "command": "load", "store": stores[usize::from(*tight)].to_json(),
                "change": { "kind": "policy", "text": "changed" },
            });
            bench.command(2, &command.to_string());
        }
        Event::Lease { other, reducing, factor, life_ms, price } => {
            let mut lease = leases::lease(bench);
            lease.trading = if *reducing { TradingState::Reducing } else { TradingState::Active };
            lease.size_factor = *factor;
            lease.expires_at = Timestamp::from_ms(bench.now + life_ms);
            let price = trading::Decimal::from_integer((*price).into());
            let instrument = "bybit:linear:BTCUSDT".parse().expect("an instrument");
            lease.marks = vec![protocol::sign::Mark { instrument, price, at: lease.sampled_at }];
            leases::put(bench, &leases::signed(&lease, leases::SEEDS[usize::from(*other)]));
        }
    }
    bench.sync();
}

/// Records in a block of these tests.
const BLOCK: u64 = 16;

/// Starts as the vault does: from the last record that holds the counters. Says whether there is one.
fn restart(core: &mut Core, log: &[(Vec<u8>, Vec<u8>)]) -> bool {
    let decoded: Vec<_> =
        log.iter().map(|(body, detail)| (Body::decode(body).expect("a body"), detail)).collect();
    let Some(last) = decoded.iter().rposition(|(body, _)| body.operation == STATE_OPERATION) else {
        return false;
    };
    let (mut gathered, mut known) = (Gathered::default(), false);
    for (body, detail) in &decoded[last..] {
        if known {
            let past = past(body, detail).expect("a detail");
            core.restore(body, past);
        } else {
            known = core.load_state(&mut gathered, body, detail);
        }
    }
    assert!(known, "the record of the counters is whole");
    true
}

/// All counters as they are written down: without what no window can reach.
fn written(core: &Core) -> Value {
    let everywhere = core.everywhere;
    serde_json::json!([everywhere.trading, everywhere.size_factor, core.states.values().collect::<Vec<_>>()])
}

/// A third party's check: every decision of the log made again from the log alone.
fn judge_again(log: &[(Vec<u8>, Vec<u8>)], policies: &BTreeMap<[u8; 32], Policy>) {
    let mut states = BTreeMap::new();
    let mut everywhere = Everywhere::default();
    for (index, (body, raw)) in log.iter().enumerate() {
        let body = Body::decode(body).expect("a body");
        match past(&body, raw).expect("a detail") {
            Past::State { state, account: None } => {
                everywhere.trading = state;
                states.values_mut().for_each(|own: &mut State| own.set_trading_state(state));
            }
            Past::State { state, account: Some(account) } => {
                state_of(&mut states, everywhere, &account).set_trading_state(state);
            }
            Past::SizeFactor { factor, account: None } => {
                everywhere.size_factor = factor;
                states.values_mut().for_each(|own: &mut State| own.set_size_factor(factor));
            }
            Past::SizeFactor { factor, account: Some(account) } => {
                state_of(&mut states, everywhere, &account).set_size_factor(factor);
            }
            Past::Decision { account, heard, .. } => {
                let state = state_of(&mut states, everywhere, &account);
                heard.iter().for_each(|event| state.observe(event));
                if body.outcome == Outcome::Event {
                    continue;
                }
                let detail: Detail = serde_json::from_slice(raw).expect("a detail");
                if let Some(intent) = detail.intent() {
                    let request = Request {
                        sent_at: detail.sent_at,
                        recv_window_ms: detail.recv_window_ms,
                        extras: detail.extras.iter().map(|_| "broker-id".into()).collect(),
                        ..Request::new(detail.bot.clone(), account, intent.clone())
                    };
                    let mark = |(instrument, price, at): &(_, _, _)| {
                        let price = trading::Price::new(*price).expect("above zero");
                        (Clone::clone(instrument), MarkPrice { price, at: *at })
                    };
                    let context =
                        Context { now: body.time, mark_prices: detail.marks.iter().map(mark).collect() };
                    match policy::evaluate(&policies[&body.policy_hash], state, request, &context) {
                        Decision::Approve(approved) => {
                            assert_eq!(body.outcome, Outcome::Approved, "record {index}");
                            assert_eq!(detail.approved.as_ref(), Some(approved.recorded()));
                            state.commit(&approved);
                        }
                        Decision::Deny(denied) => {
                            let Outcome::Denied(recorded) = &body.outcome else { panic!("record {index}") };
                            let codes: Vec<_> = denied.denials().iter().map(|denial| denial.code()).collect();
                            assert_eq!(
                                recorded.iter().map(|denial| denial.code.as_str()).collect::<Vec<_>>(),
                                codes,
                                "record {index}"
                            );
                        }
                    }
                }
                assert_eq!(state.digest(), body.state_digest, "record {index}");
            }
            Past::Lent { account, lent } => state_of(&mut states, everywhere, &account).set_lent(lent),
            Past::Epoch => {
                states.values_mut().filter(|own| own.lent().is_some()).for_each(|own| own.set_lent(None));
            }
            Past::Nothing => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_log_replayed_gives_the_same_counters_and_decisions(
        events in prop::collection::vec(event(), 1..120),
        split in any::<prop::sample::Index>(),
    ) {
        let limits = limits();
        let limits: Vec<(&str, &str)> = limits.iter().map(|(from, to)| (*from, to.as_str())).collect();
        let mut bench = Bench::with(Durability::Disk, &limits);
        bench.core.set_block(BLOCK);
        let loose = bench.store.clone();
        let tight = sealed(&bench.root, &changed(&[&limits[..], &TIGHTER].concat()));
        let stores = [loose, tight];
        for event in &events {
            feed(&mut bench, event, &stores);
        }
        // What was heard last is written down with the next decision.
        bench.ask(&small());
        let policies = stores.iter().map(|store| {
            let policy = Policy::parse(store.policy()).expect("a policy");
            (policy.hash(), policy)
        }).collect();
        judge_again(&bench.log, &policies);

        // A vault that starts from this log stands where this one stands.
        let mut fresh = core(&bench.root, &bench.store, Durability::Disk);
        for (body, detail) in &bench.log {
            let body = Body::decode(body).expect("a body");
            let past = past(&body, detail).expect("a detail");
            fresh.restore(&body, past);
        }
        prop_assert_eq!(&fresh.states, &bench.core.states);
        prop_assert_eq!(fresh.everywhere, bench.core.everywhere);

        // So does one that starts from the last record of the counters.
        bench.core.write_down_state([3; 16], &mut Vec::new());
        let mut late = core(&bench.root, &bench.store, Durability::Disk);
        let known = restart(&mut late, &bench.log);
        if known {
            prop_assert_eq!(written(&late), written(&fresh));
        } else {
            prop_assert!(bench.log.len() < 2 * usize::try_from(BLOCK).expect("small"));
        }

        // And one that starts in the middle of it has at least counted everything until there.
        let until = split.index(bench.log.len()) + 1;
        let mut half = core(&bench.root, &bench.store, Durability::Disk);
        let mut last = BTreeMap::new();
        for (body, detail) in &bench.log[..until] {
            let body = Body::decode(body).expect("a body");
            if let (Some(account), true) = (&body.account, body.outcome != Outcome::Event) {
                last.insert(name(account), body.state_digest);
            } else if !matches!(past(&body, detail).expect("a detail"), Past::Nothing) {
                last.clear();
            }
            let past = past(&body, detail).expect("a detail");
            half.restore(&body, past);
        }
        for (account, digest) in last {
            prop_assert_eq!(half.states[&account].digest(), digest);
        }
    }
}

#[test]
fn a_halt_survives_a_restart() {
    let mut bench = Bench::new();
    bench.order(r#"{"command":"set_state","state":"halted","why":"test"}"#);
    let mut fresh = core(&bench.root, &bench.store, Durability::Disk);
    for (body, detail) in &bench.log {
        let body = Body::decode(body).expect("a body");
        let past = past(&body, detail).expect("a detail");
        fresh.restore(&body, past);
    }
    bench.core = fresh;
    bench.log.clear();
    assert!(codes(&bench.ask(&small())).contains(&"trading_state_forbids"));
}

#[test]
fn reports_without_a_decision_make_a_record_of_their_own() {
    let mut bench = Bench::new();
    bench.ask(&small());
    for _ in 0..MAX_HEARD {
        bench.gateway(
            r#"{"report":{"account":"main","order_number":0,"venue_order_id":"v","event":"acknowledged"}}"#,
        );
    }
    assert_eq!(bench.log.len(), 2);
    assert_eq!(bench.last_body().operation, "heard");
    assert!(bench.core.heard.is_empty());
    bench.gateway(r#"{"report":{"account":"nowhere","order_number":0,"event":"closed"}}"#);
    assert!(!bench.core.heard.contains_key(&name("nowhere")));
}

#[test]
fn what_was_approved_but_not_signed_is_not_counted_after_a_restart_either() {
    let mut bench = Bench::new();
    let policy = Policy::parse(POLICY).expect("a policy");
    let without_keys = SealedStore::new(POLICY, &policy.hash());
    bench.core = core(&bench.root, &without_keys, Durability::Disk);
    assert_eq!(bench.ask(&small())["error"]["code"], "no_key");
    let (body, detail) = bench.log.remove(0);
    let body = Body::decode(&body).expect("a body");
    let past = past(&body, &detail).expect("a detail");
    let mut fresh = core(&bench.root, &bench.store, Durability::Disk);
    fresh.restore(&body, past);
    assert_eq!(fresh.states[&name("main")].digest(), body.state_digest);
}

#[test]
fn listings_fit_the_records_that_hold_them() {
    let mut bench = Bench::new();
    bench.ask(&small());
    let open: Vec<String> = (0..1500).map(|number| format!("{number:036}")).collect();
    let listing = serde_json::json!({
        "listed": { "account": "main", "market": "linear", "below": 0, "open": open },
    });
    let report =
        r#"{"report":{"account":"main","order_number":0,"venue_order_id":"v","event":"acknowledged"}}"#;
    for _ in 0..20 {
        for _ in 0..100 {
            bench.gateway(report);
        }
        bench.gateway(&listing.to_string());
    }
    bench.ask(&small());
    let longest = bench.log.iter().map(|(_, detail)| detail.len()).max().expect("records");
    assert!(longest > 40_000, "something was heard: {longest}");
    assert!(longest < protocol::journal::MAX_DETAIL, "{longest}");
}

#[test]
fn counters_that_were_changed_are_passed_over() {
    let mut bench = Bench::new();
    bench.core.set_block(2);
    bench.ask(&small());
    bench.now += 1;
    bench.bot(1, &small());
    let at = bench
        .log
        .iter()
        .position(|(body, _)| Body::decode(body).expect("a body").operation == STATE_OPERATION);
    let (body, detail) = bench.log[at.expect("a block has passed")].clone();
    let body = Body::decode(&body).expect("a body");
    let mut fresh = core(&bench.root, &bench.store, Durability::Disk);
    let text = String::from_utf8(detail.clone()).expect("text");
    let less = text.replacen("\\\"total\\\":2", "\\\"total\\\":1", 1);
    assert_ne!(text, less);
    assert!(!fresh.load_state(&mut Gathered::default(), &body, less.as_bytes()));
    assert!(fresh.states.is_empty());
    assert!(!fresh.load_state(&mut Gathered::default(), &body, b"{}"));
    assert!(fresh.load_state(&mut Gathered::default(), &body, &detail));
    assert_eq!(written(&fresh), written(&bench.core));
}

#[test]
fn counters_that_need_many_records_are_put_together_again() {
    let mut bench = Bench::new();
    for number in 0..600 {
        bench.now += 1;
        bench.ask(&limit("0.001", "60000", &format!(r#","id":{number}"#)));
    }
    let mut out = Vec::new();
    bench.core.write_down_state([3; 16], &mut out);
    assert!(out.len() > 2, "{} records", out.len());
    let mut fresh = core(&bench.root, &bench.store, Durability::Disk);
    let mut gathered = Gathered::default();
    let loaded: Vec<bool> = out
        .iter()
        .map(|output| {
            let Output::Append { body, detail, .. } = output else { panic!("a record") };
            assert!(detail.len() < protocol::journal::MAX_DETAIL);
            fresh.load_state(&mut gathered, &Body::decode(body).expect("a body"), detail)
        })
        .collect();
    assert_eq!(loaded.iter().filter(|loaded| **loaded).count(), 1);
    assert_eq!(loaded.last(), Some(&true));
    assert_eq!(written(&fresh), written(&bench.core));
}

#[test]
fn a_size_factor_survives_a_restart_from_the_log_and_from_the_counters() {
    let mut bench = Bench::new();
    bench.order(r#"{"command":"set_size_factor","factor":"0.5","why":"test"}"#);
    bench.order(r#"{"command":"set_size_factor","factor":"0.25","account":"main","why":"test"}"#);
    let mut out = Vec::new();
    let mut from_log = core(&bench.root, &bench.store, Durability::Disk);
    for (body, detail) in &bench.log {
        let body = Body::decode(body).expect("a body");
        let past = past(&body, detail).expect("a detail");
        from_log.restore(&body, past);
    }
    bench.core.write_down_state([3; 16], &mut out);
    let mut from_counters = core(&bench.root, &bench.store, Durability::Disk);
    let Some(Output::Append { body, detail, .. }) = out.last() else { panic!("a record") };
    let body = Body::decode(body).expect("a body");
    let forged = String::from_utf8(detail.clone()).expect("text").replace("0.25", "0.75");
    assert!(!from_counters.load_state(&mut Gathered::default(), &body, forged.as_bytes()));
    let forged = String::from_utf8(detail.clone()).expect("text").replace("0.5", "0.75");
    assert!(!from_counters.load_state(&mut Gathered::default(), &body, forged.as_bytes()));
    assert!(from_counters.load_state(&mut Gathered::default(), &body, detail));
    for fresh in [from_log, from_counters] {
        assert_eq!(written(&fresh), written(&bench.core));
        bench.core = fresh;
        bench.log.clear();
        assert_eq!(codes(&bench.ask(&limit("0.013", "20000", ""))), ["quantity_over_limit"]);
        let status = bench.order(r#"{"command":"status"}"#);
        assert_eq!(status["size_factors"], serde_json::json!([["main", "0.25"], ["spot", "0.5"]]));
    }
}
