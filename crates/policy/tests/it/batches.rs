//! Every leg is judged, with what the legs before it add; one bad leg denies all.

use policy::{Decision, Denial};
use trading::{Amendment, Intent, MAX_BATCH, Order, OrderReference};

use crate::support::*;

const NONE: [&str; 0] = [];

fn small() -> Intent {
    small_at("60000")
}

fn small_at(text: &str) -> Intent {
    place(Order { amount: base("0.001"), price: price(text), ..order() })
}

#[test]
fn a_bad_leg_denies_all_and_says_which() {
    let bench = bench();
    let bad = place(Order { amount: base("0.06"), price: price("20000"), ..order() });
    let Decision::Deny(denied) = bench.decide(bench.request(Intent::Batch(vec![small(), bad, cancel("a")])))
    else {
        panic!("approved")
    };
    let [Denial::InLeg { leg: 1, denial }] = denied.denials() else { panic!("{denied:?}") };
    assert_eq!(denial.to_string(), "quantity 0.06 exceeds 0.05");
}

#[test]
fn rates_count_within_a_batch() {
    let three = vec![small(), small_at("59999"), small_at("59998")];
    assert_eq!(bench().codes(Intent::Batch(three.clone())), NONE);
    let codes = bench().codes(Intent::Batch([three, vec![small_at("59997")]].concat()));
    assert_eq!(codes, ["order_rate_over_limit"]);
}

#[test]
fn budgets_and_open_orders_count_within_a_batch() {
    let bench = bench_with(&[
        ("new_orders_per_second = 3", "new_orders_per_second = 100"),
        ("messages_per_second = 6", "messages_per_second = 100"),
    ]);
    let big = |text| place(Order { amount: base("0.02"), price: price(text), ..order() });
    let four = vec![big("60000"), big("60001"), big("60002"), big("60003")];
    assert_eq!(bench.codes(Intent::Batch(four.clone())), NONE);
    let codes = bench.codes(Intent::Batch([four, vec![big("60004")]].concat()));
    assert_eq!(codes, ["open_orders_over_limit", "day_budget_exceeded"]);
}

#[test]
fn an_id_stands_once_in_a_batch() {
    let codes = bench()
        .codes(Intent::Batch(vec![place(named("a")), place(Order { price: price("59999"), ..named("a") })]));
    assert_eq!(codes, ["client_order_id_repeated"]);
}

#[test]
fn two_amendments_of_one_order_are_denied() {
    let mut bench = bench();
    bench.sign(place(named("a")));
    let grow = Intent::Amend(Amendment { amount: Some(base("0.02")), ..amend("a") });
    let lift = Intent::Amend(Amendment { price: price("100000"), ..amend("a") });
    assert_eq!(bench.codes(grow.clone()), NONE);
    assert_eq!(bench.codes(lift.clone()), NONE);
    assert_eq!(bench.codes(Intent::Batch(vec![grow, lift])), ["amendment_repeated"]);
}

#[test]
fn size_and_kind_of_legs_are_bounded() {
    let bench = bench();
    assert_eq!(bench.codes(Intent::Batch(vec![])), ["batch_size"]);
    assert_eq!(bench.codes(Intent::Batch(vec![cancel("a"); MAX_BATCH])), NONE);
    assert_eq!(bench.codes(Intent::Batch(vec![cancel("a"); MAX_BATCH + 1])), ["batch_size"]);
    let nested = Intent::Batch(vec![Intent::Batch(vec![cancel("a")])]);
    assert!(bench.codes(nested).contains(&"batch_leg_not_allowed"));
}

#[test]
fn a_committed_batch_counts_every_leg() {
    let mut bench = bench();
    bench.sign(Intent::Batch(vec![
        place(named("a")),
        place(Order { amount: base("0.02"), price: price("30000"), ..named("b") }),
    ]));
    assert_eq!(bench.state.signed_today(bench.context.now), decimal("1200"));
    assert_eq!(bench.state.open_orders(bench.context.now), 2);
    assert_eq!(bench.codes(place(named("b"))), ["client_order_id_live"]);
}

#[test]
fn amendments_of_two_orders_pass_by_whichever_names() {
    let bench = bench();
    let by = |target| {
        Intent::Amend(Amendment { amount: Some(base("0.01")), price: price("60000"), ..amendment(target) })
    };
    let client = |name| by(OrderReference::Client(id(name)));
    let venue = |name| by(OrderReference::Venue(venue_id(name)));
    assert_eq!(bench.codes(Intent::Batch(vec![client("a"), client("b")])), NONE);
    assert_eq!(bench.codes(Intent::Batch(vec![venue("a"), venue("b")])), NONE);
    assert_eq!(bench.codes(Intent::Batch(vec![client("a"), client("a")])), ["amendment_repeated"]);
    assert_eq!(bench.codes(Intent::Batch(vec![venue("a"), venue("a")])), ["amendment_repeated"]);
}
