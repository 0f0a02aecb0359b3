//! Trading leases: whose count, for how long, and what the log says of them.

use keys::LeaseKey;
use protocol::lease::{Lease, LeaseReply, SignedLease, message};
use protocol::sign::Mark;
use trading::{SizeFactor, TradingState};

use super::*;

/// Of the two watchdogs' keys.
pub(super) const SEEDS: [[u8; 32]; 2] = [[5; 32], [6; 32]];
const SEED: [u8; 32] = SEEDS[0];
const OTHER_SEED: [u8; 32] = SEEDS[1];

fn key(seed: [u8; 32]) -> LeaseKey {
    LeaseKey::from_seed(&seed)
}

pub(super) fn watchdogs() -> String {
    let keys = SEEDS.map(|seed| format!("\"{}\"", hex::encode(key(seed).public_key())));
    format!("watchdogs = [{}]", keys.join(", "))
}

/// A vault that needs a lease for `main`.
fn bench() -> Bench {
    Bench::with(
        Durability::Disk,
        &[("watchdogs = []", &watchdogs()), ("require_lease = false", "require_lease = true")],
    )
}

pub(super) fn lease(bench: &Bench) -> Lease {
    let at = Timestamp::from_ms(bench.now);
    Lease {
        account: name("main"),
        rung: 0,
        trading: TradingState::Active,
        size_factor: SizeFactor::ONE,
        marks: Vec::new(),
        positions: Vec::new(),
        sampled_at: at,
        issued_at: at,
        expires_at: Timestamp::from_ms(bench.now + 5_000),
        policy_hash: hex::encode(bench.core.policy_hash()),
    }
}

pub(super) fn signed(lease: &Lease, seed: [u8; 32]) -> SignedLease {
    let text = serde_json::to_string(lease).expect("plain values");
    let signature = key(seed).sign(&message(&text));
    SignedLease {
        watchdog: hex::encode(key(seed).public_key()),
        lease: text,
        signature: hex::encode(signature),
    }
}

pub(super) fn put(bench: &mut Bench, signed: &SignedLease) -> LeaseReply {
    let line = serde_json::to_vec(signed).expect("plain values");
    bench.step(Input::Lease { from: 7, line: &line, salt: [7; 16] });
    let reply = bench.replies.pop().expect("an answer at once");
    assert_eq!(reply.0, 7);
    serde_json::from_value(reply.1).expect("the documented form")
}

fn lend(bench: &mut Bench, change: impl FnOnce(&mut Lease)) -> LeaseReply {
    let mut lease = lease(bench);
    change(&mut lease);
    put(bench, &signed(&lease, SEED))
}

fn refused(reply: LeaseReply, part: &str) {
    let LeaseReply::Refused { why } = reply else { panic!("taken where {part} was expected") };
    assert!(why.contains(part), "{why}");
}

#[test]
fn new_risk_needs_a_lease_and_ends_with_it() {
    let mut bench = bench();
    assert_eq!(codes(&bench.ask(&small())), ["lease_missing"]);
    let until = bench.now + 5_000;
    assert_eq!(lend(&mut bench, |_| ()), LeaseReply::Taken { until: Timestamp::from_ms(until) });
    assert_eq!(bench.ask(&small())["status"], "approved");
    bench.now = until;
    assert_eq!(bench.ask(&small())["status"], "approved", "inclusive");
    bench.now = until + 1;
    assert_eq!(codes(&bench.ask(&small())), ["lease_missing"]);
    let cancel = r#"{"venue":"bybit","cancel_all":{"market":"linear","symbol":"BTCUSDT"}}"#;
    assert_eq!(bench.ask(cancel)["status"], "approved");
    let exit = r#"{"venue":"bybit","place":{"market":"linear","symbol":"BTCUSDT","side":"sell","type":"market","quantity":"0.001","reduce_only":true}}"#;
    assert_eq!(bench.ask(exit)["status"], "approved");
}

#[test]
fn a_lease_lives_five_seconds_whatever_it_says() {
    let mut bench = bench();
    let until = Timestamp::from_ms(bench.now + 5_000);
    assert_eq!(
        lend(&mut bench, |lease| lease.expires_at = Timestamp::from_ms(u64::MAX)),
        LeaseReply::Taken { until }
    );
}

#[test]
fn the_stricter_of_two_wins_and_one_is_enough() {
    let mut bench = bench();
    lend(&mut bench, |_| ());
    let mut stricter = lease(&bench);
    stricter.trading = TradingState::Reducing;
    stricter.rung = 3;
    stricter.expires_at = Timestamp::from_ms(bench.now + 2_000);
    assert!(matches!(put(&mut bench, &signed(&stricter, OTHER_SEED)), LeaseReply::Taken { .. }));
    assert_eq!(codes(&bench.ask(&small())), ["lease_forbids"]);
    let status = bench.core.lease_status().remove(0);
    let lent = status.lent.expect("live");
    assert!(status.required && lent.rung == 3 && lent.left_ms == 2_000);
    bench.now += 2_001;
    assert_eq!(bench.ask(&small())["status"], "approved", "the other is live still");
}

#[test]
fn only_a_fresh_lease_of_a_named_watchdog_for_this_policy_counts() {
    let mut bench = bench();
    let good = lease(&bench);
    let change = |change: fn(&mut Lease)| {
        let mut lease = good.clone();
        change(&mut lease);
        lease
    };
    for (signed, part) in [
        (signed(&good, [9; 32]), "does not name"),
        (SignedLease { signature: hex::encode([0; 64]), ..signed(&good, SEED) }, "signature"),
        (
            SignedLease {
                lease: signed(&good, SEED).lease.replace("\"rung\":0", "\"rung\":1"),
                ..signed(&good, SEED)
            },
            "signature",
        ),
        (SignedLease { watchdog: "ab".into(), ..signed(&good, SEED) }, "64 hexadecimal digits"),
        (signed(&change(|lease| lease.policy_hash = "00".into()), SEED), "policy_hash"),
        (signed(&change(|lease| lease.account = name("else")), SEED), "not in the policy"),
        (signed(&change(|lease| lease.rung = 5), SEED), "`rung` is 5"),
        (signed(&change(|lease| lease.issued_at = Timestamp::from_ms(NOW + 1_001)), SEED), "clock"),
        (signed(&change(|lease| lease.sampled_at = Timestamp::from_ms(NOW + 1)), SEED), "clock"),
        (signed(&change(|lease| lease.expires_at = Timestamp::from_ms(NOW - 1)), SEED), "run out"),
        (
            signed(
                &change(|lease| {
                    (lease.sampled_at, lease.issued_at) =
                        (Timestamp::from_ms(NOW - 5_001), Timestamp::from_ms(NOW - 5_001));
                }),
                SEED,
            ),
            "run out",
        ),
    ] {
        refused(put(&mut bench, &signed), part);
        assert_eq!(codes(&bench.ask(&small())), ["lease_missing"], "{part}");
    }
    let once = signed(&good, SEED);
    assert!(matches!(put(&mut bench, &once), LeaseReply::Taken { .. }));
    refused(put(&mut bench, &once), "`issued_at` is not after");
    bench.step(Input::Lease { from: 7, line: b"{}", salt: [7; 16] });
    assert_eq!(bench.replies.pop().expect("an answer").1["status"], "refused");
}

#[test]
fn a_lease_shrinks_sizes_and_brings_prices() {
    let mut bench = bench();
    let mark = Mark {
        instrument: "bybit:linear:BTCUSDT".parse().expect("an instrument"),
        price: "60000".parse().expect("a price"),
        at: Timestamp::from_ms(bench.now),
    };
    lend(&mut bench, |lease| {
        lease.size_factor = "0.01".parse().expect("a factor");
        lease.marks = vec![mark.clone()];
    });
    assert_eq!(codes(&bench.ask(&small())), ["quantity_over_limit", "notional_over_limit"]);
    assert_eq!(bench.core.context.mark_prices.len(), 1);
    // Where a watchdog may lend, the gateway's prices do not count.
    let other = serde_json::json!({"marks": [{"instrument": mark.instrument, "price": "1", "at": mark.at}]});
    bench.gateway(&other.to_string());
    let known = bench.core.context.mark_prices.values().next().expect("the watchdog's");
    assert_eq!(known.price.to_string(), "60000");
}

#[test]
fn another_policy_and_another_epoch_begin_without_leases() {
    let mut bench = bench();
    lend(&mut bench, |_| ());
    bench.ask(&small());
    let store = bench.store.clone();
    let load = serde_json::json!({"command": "load", "store": store.to_json(), "change": {"kind": "policy", "text": "the same"}});
    bench.step(Input::Command { from: 3, uid: 0, line: load.to_string().as_bytes(), salt: [3; 16] });
    assert_eq!(bench.sync().last().expect("a reply")["status"], "done");
    assert_eq!(codes(&bench.ask(&limit("0.001", "59000", ""))), ["lease_missing"]);
    bench.now += 1;
    lend(&mut bench, |_| ());
    assert_eq!(bench.ask(&limit("0.001", "58000", ""))["status"], "approved");

    let said: Vec<_> = bench
        .log
        .iter()
        .filter(|(body, _)| Body::decode(body).expect("a body").operation == "lease")
        .map(|(_, detail)| serde_json::from_slice::<Value>(detail).expect("JSON")["lent"]["rung"].clone())
        .collect();
    assert_eq!(said, [Value::from(0), Value::Null, Value::from(0)], "each change, and nothing else");

    let mut fresh = core(&bench.root, &bench.store, Durability::Disk);
    for (body, detail) in &bench.log {
        let body = Body::decode(body).expect("a body");
        let past = crate::detail::past(&body, detail).expect("a detail");
        fresh.restore(&body, past);
    }
    assert_eq!(fresh.states, bench.core.states, "the log gives the same state");
    fresh.restore(
        &Body { operation: transparency::Epoch::OPERATION.to_owned(), ..bench.last_body() },
        crate::core::Past::Epoch,
    );
    assert!(fresh.states.values().all(|state| state.lent().is_none()));
}
