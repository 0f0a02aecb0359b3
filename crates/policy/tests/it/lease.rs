//! The trading lease: no new risk without one where it is required, and what it forbids.

use policy::{Lent, State};
use trading::{Intent, TradingState};

use crate::support::*;

const NONE: [&str; 0] = [];
const SHRUNK: [&str; 2] = ["quantity_over_limit", "notional_over_limit"];

fn lent(rung: u8, trading: TradingState, factor: &str) -> Lent {
    Lent { rung, trading, size_factor: factor.parse().expect("a factor") }
}

fn requiring() -> Bench {
    bench_with(&[("require_lease = false", "require_lease = true")])
}

/// What passes without a lease: nothing that adds risk.
fn needs_none(bench: &Bench) {
    assert_eq!(bench.codes(cancel("a")), NONE);
    assert_eq!(bench.codes(place(exit())), NONE);
}

#[test]
fn without_a_lease_only_cancels_and_exits_pass() {
    let mut bench = requiring();
    needs_none(&bench);
    assert_eq!(bench.codes(place(order())), ["lease_missing"]);
    bench.state.set_lent(Some(lent(0, TradingState::Active, "1")));
    assert_eq!(bench.codes(place(order())), NONE);
    bench.sign(place(named("a")));
    bench.state.set_lent(None);
    assert!(
        bench.codes(Intent::Amend(amend("a"))).contains(&"lease_missing"),
        "an amendment may be new risk"
    );
    assert_eq!(bench.codes(Intent::Batch(vec![cancel("a"), place(order())])), ["lease_missing"]);
    needs_none(&bench);
}

#[test]
fn where_none_is_required_its_absence_forbids_nothing() {
    let mut bench = bench();
    assert_eq!(bench.codes(place(order())), NONE);
    bench.state.set_lent(Some(lent(3, TradingState::Reducing, "1")));
    assert_eq!(bench.codes(place(order())), ["lease_forbids"], "but a live one counts");
    needs_none(&bench);
}

#[test]
fn a_lease_that_halts_lets_only_cancels_pass() {
    let mut bench = requiring();
    bench.state.set_lent(Some(lent(4, TradingState::Halted, "1")));
    assert_eq!(bench.codes(place(exit())), ["lease_forbids"]);
    assert_eq!(bench.codes(cancel("a")), NONE);
}

#[test]
fn the_stricter_factor_and_the_stricter_state_win() {
    let mut bench = requiring();
    let half = named("a");
    for (own, of_lease, expected) in [("1", "1", &[][..]), ("0.01", "1", &SHRUNK), ("1", "0.01", &SHRUNK)] {
        bench.state.set_size_factor(own.parse().expect("a factor"));
        bench.state.set_lent(Some(lent(0, TradingState::Active, of_lease)));
        assert_eq!(bench.codes(place(half.clone()))[..], *expected, "{own} and {of_lease}");
    }
    bench.state.set_size_factor("1".parse().expect("a factor"));
    bench.state.set_lent(Some(lent(0, TradingState::Active, "1")));
    bench.state.set_trading_state(TradingState::Halted);
    assert_eq!(bench.codes(place(exit())), ["trading_state_forbids"], "a lease loosens nothing");
}

#[test]
fn of_two_the_strictest_of_each() {
    let (one, other) = (lent(1, TradingState::Active, "0.5"), lent(0, TradingState::Reducing, "1"));
    assert_eq!(one.and(other), lent(1, TradingState::Reducing, "0.5"));
    assert_eq!(one.and(other), other.and(one));
}

#[test]
fn what_is_lent_is_part_of_the_state() {
    let mut state = State::new(account("main"));
    let plain = (state.digest_bytes(), serde_json::to_string(&state).expect("a state"));
    assert!(!plain.1.contains("lent"));
    state.set_lent(Some(lent(2, TradingState::Active, "0.5")));
    let text = serde_json::to_string(&state).expect("a state");
    let again: State = serde_json::from_str(&text).expect("its own form");
    assert_eq!(again, state);
    assert_ne!(state.digest_bytes(), plain.0);
    state.set_lent(None);
    assert_ne!(state.digest_bytes(), plain.0, "that there was one stays in the digest");
}
