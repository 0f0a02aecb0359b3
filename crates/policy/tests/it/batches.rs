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

#[test]
fn messages_count_within_a_batch() {
    let bench = bench_with(&[("max_open_orders = 4", "max_open_orders = 100")]);
    let amends = |count: u32| {
        let one = |number: u32| {
            let target = OrderReference::Client(id(&number.to_string()));
            Intent::Amend(Amendment {
                amount: Some(base("0.001")),
                price: price("60000"),
                ..amendment(target)
            })
        };
        Intent::Batch((0..count).map(one).collect())
    };
    assert_eq!(bench.codes(amends(5)), NONE, "six, of which one is for cancels");
    assert_eq!(bench.codes(amends(6)), ["message_rate_over_limit"]);
    let with_cancels = |legs: Intent| match legs {
        Intent::Batch(legs) => Intent::Batch([vec![cancel("x"), cancel("y")], legs].concat()),
        other => other,
    };
    assert_eq!(bench.codes(with_cancels(amends(3))), NONE);
    assert_eq!(bench.codes(with_cancels(amends(4))), ["message_rate_over_limit"], "cancels count");
}

/// The legs, and behind them as many small resting orders as are open at most, and one.
fn open_after(bench: &Bench, legs: &[Intent]) -> usize {
    let fits = |more: usize| {
        let resting = (0..more).map(|number| small_at(&(60_000 - number).to_string()));
        let codes = bench.codes(Intent::Batch(legs.iter().cloned().chain(resting).collect()));
        assert!(codes.iter().all(|code| *code == "open_orders_over_limit"), "{codes:?}");
        codes.is_empty()
    };
    4 - (0..=5).rev().find(|more| fits(*more)).expect("at least none")
}

#[test]
fn within_a_batch_only_what_may_rest_counts_as_open() {
    let mut bench = bench_with(&[
        ("new_orders_per_second = 3", "new_orders_per_second = 100"),
        ("messages_per_second = 6", "messages_per_second = 100"),
    ]);
    let market = |name: Option<&str>| {
        let client_order_id = name.map(id);
        place(Order { amount: base("0.001"), client_order_id, ..market_order() })
    };
    let unknown = |new: Option<&str>| {
        let new_client_order_id = new.map(id);
        let target = OrderReference::Client(id("elsewhere"));
        let price = price("60000");
        Intent::Amend(Amendment {
            amount: Some(base("0.001")),
            price,
            new_client_order_id,
            ..amendment(target)
        })
    };
    assert_eq!(open_after(&bench, &[]), 0);
    assert_eq!(open_after(&bench, &[small_at("50000")]), 1);
    assert_eq!(open_after(&bench, &[market(None)]), 0, "it never rests");
    assert_eq!(open_after(&bench, &[market(Some("m"))]), 0, "an id alone does not rest");
    assert_eq!(open_after(&bench, &[unknown(None)]), 0, "nothing of it is ours to remember");
    assert_eq!(open_after(&bench, &[unknown(Some("new"))]), 1, "its new id is");
    assert_eq!(open_after(&bench, &[cancel("a")]), 0);
    // One known order is open; amending it, under another id or not, opens no second one.
    bench.sign(place(Order { amount: base("0.001"), ..named("a") }));
    bench.wait(1000);
    assert_eq!(open_after(&bench, &[]), 1);
    let amends = |new: Option<&str>| {
        Intent::Amend(Amendment {
            amount: Some(base("0.002")),
            new_client_order_id: new.map(id),
            ..amend("a")
        })
    };
    assert_eq!(open_after(&bench, &[amends(None)]), 1);
    assert_eq!(open_after(&bench, &[amends(Some("b"))]), 1);
}

#[test]
fn one_order_under_two_kinds_of_names_is_one_order() {
    let mut bench = bench();
    bench.sign(place(named("a")));
    bench.sign(place(Order { price: price("59000"), ..named("b") }));
    bench.state.acknowledged(policy::OrderName::Client(id("a")), venue_id("v1"));
    let to = |target| Intent::Amend(Amendment { amount: Some(base("0.02")), ..amendment(target) });
    let client = |name| to(OrderReference::Client(id(name)));
    let venue = |name| to(OrderReference::Venue(venue_id(name)));
    assert_eq!(bench.codes(Intent::Batch(vec![client("a"), venue("v1")])), ["amendment_repeated"]);
    assert_eq!(bench.codes(Intent::Batch(vec![client("b"), venue("v1")])), NONE);
}

#[test]
fn only_the_other_side_of_the_same_instrument_crosses_within_a_batch() {
    let bench = bench_with(&[("prevent_self_crossing = false", "prevent_self_crossing = true")]);
    let taker = |side, at: &str, text: &str| {
        let (amount, post_only) = (base("0.001"), false);
        place(Order { instrument: instrument(at), side, amount, price: price(text), post_only, ..order() })
    };
    let (linear, spot) = ("bybit:linear:BTCUSDT", "bybit:spot:BTCUSDT");
    let (buy, sell) = (trading::Side::Buy, trading::Side::Sell);
    let codes = |legs: [Intent; 2]| bench.codes(Intent::Batch(legs.into()));
    assert_eq!(codes([taker(buy, linear, "60000"), taker(buy, linear, "60001")]), NONE);
    assert_eq!(codes([taker(sell, linear, "60001"), taker(sell, linear, "60000")]), NONE);
    assert_eq!(codes([taker(buy, spot, "60000"), taker(sell, linear, "59999")]), NONE);
    assert_eq!(codes([taker(buy, linear, "60000"), taker(sell, linear, "60000.1")]), NONE);
    assert_eq!(codes([taker(buy, linear, "60000"), taker(sell, linear, "60000")]), ["self_crossing"]);
    assert_eq!(codes([taker(sell, linear, "60000"), taker(buy, linear, "60000")]), ["self_crossing"]);
    assert_eq!(codes([taker(sell, linear, "60000"), taker(buy, linear, "59999.9")]), NONE);
}
