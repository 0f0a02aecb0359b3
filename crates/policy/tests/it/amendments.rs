//! An amendment is judged as the order that would result.

use policy::OrderName;
use trading::{Amendment, Intent, Order, OrderReference, OrderType, Side, TradingState};

use crate::support::*;

const NONE: [&str; 0] = [];

fn with_a() -> Bench {
    let mut bench = bench();
    bench.sign(place(named("a")));
    bench
}

#[test]
fn the_resulting_order_must_be_within_every_limit() {
    let bench = with_a();
    let ask = |change: Amendment| bench.codes(Intent::Amend(change));
    assert_eq!(ask(Amendment { amount: Some(base("0.025")), ..amend("a") }), NONE);
    assert_eq!(ask(Amendment { amount: Some(base("0.026")), ..amend("a") }), ["notional_over_limit"]);
    assert_eq!(ask(Amendment { price: price("150000.1"), ..amend("a") }), ["notional_over_limit"]);
    assert_eq!(ask(Amendment { price: price("60000.05"), ..amend("a") }), ["price_off_tick"]);
}

#[test]
fn an_amendment_counts_whole_in_the_budget() {
    let mut bench = with_a();
    bench.sign(Intent::Amend(Amendment { amount: Some(base("0.02")), ..amend("a") }));
    assert_eq!(bench.state.signed_today(bench.context.now), decimal("1800"));
}

#[test]
fn two_amendments_may_arrive_in_either_order_so_the_worst_of_both_counts() {
    let mut bench = with_a();
    bench.sign(Intent::Amend(Amendment { price: price("100000"), ..amend("a") }));
    // At 60000 this would be 1200; at the price signed a moment ago it is 2000.
    let grow = Amendment { amount: Some(base("0.02")), ..amend("a") };
    assert_eq!(bench.codes(Intent::Amend(grow.clone())), ["notional_over_limit"]);
    bench.sign(Intent::Amend(Amendment { price: price("60000"), ..amend("a") }));
    assert_eq!(bench.codes(Intent::Amend(grow)), ["notional_over_limit"], "the withheld one still lives");
}

#[test]
fn an_unknown_order_needs_amount_and_price_and_is_no_maker() {
    let bench = bench();
    assert_eq!(bench.codes(Intent::Amend(amend("x"))), ["amendment_incomplete"]);
    let price_only = Amendment { price: price("60000"), ..amend("x") };
    assert_eq!(bench.codes(Intent::Amend(price_only)), ["amendment_incomplete"]);
    let whole = Amendment { price: price("60000"), amount: Some(base("0.01")), ..amend("x") };
    assert_eq!(bench.codes(Intent::Amend(whole.clone())), NONE);
    let maker = bench_with(&[("maker_only = false", "maker_only = true")]);
    assert_eq!(maker.codes(Intent::Amend(whole.clone())), ["maker_only"]);
    let buys = bench_with(&[(r#"sides = ["buy", "sell"]"#, r#"sides = ["buy"]"#)]);
    assert_eq!(buys.codes(Intent::Amend(whole)), ["side_unknown"]);
}

#[test]
fn a_maker_stays_a_maker() {
    let mut bench = bench_with(&[("maker_only = false", "maker_only = true")]);
    bench.sign(place(named("a")));
    bench.state.acknowledged(OrderName::Client(id("a")), venue_id("7"));
    assert_eq!(bench.codes(Intent::Amend(Amendment { price: price("59000"), ..amend("a") })), NONE);
    let by_venue = Amendment { price: price("59000"), ..amendment(OrderReference::Venue(venue_id("7"))) };
    assert_eq!(bench.codes(Intent::Amend(by_venue)), NONE);
    let both = OrderReference::Both { client: id("b"), venue: venue_id("7") };
    let disagreeing = Amendment { price: price("59000"), ..amendment(both) };
    assert_eq!(bench.codes(Intent::Amend(disagreeing)), ["amendment_incomplete", "maker_only"]);
}

#[test]
fn an_amendment_is_never_an_exit() {
    let mut bench = bench();
    bench.sign(place(Order { reduce_only: true, side: Side::Sell, ..named("a") }));
    bench.state.set_trading_state(TradingState::Reducing);
    let change = Amendment { price: price("61000"), ..amend("a") };
    assert_eq!(bench.codes(Intent::Amend(change)), ["trading_state_forbids"]);
}

#[test]
fn a_closed_order_is_not_known_any_more() {
    let mut bench = with_a();
    bench.state.rejected(OrderName::Client(id("a")));
    let change = Amendment { price: price("61000"), ..amend("a") };
    assert_eq!(bench.codes(Intent::Amend(change)), ["amendment_incomplete"]);
}

#[test]
fn a_new_client_order_id_is_taken_from_then_on() {
    let mut bench = with_a();
    bench.sign(Intent::Amend(Amendment {
        price: price("61000"),
        new_client_order_id: Some(id("b")),
        ..amend("a")
    }));
    assert_eq!(bench.codes(place(named("a"))), ["client_order_id_live"]);
    assert_eq!(bench.codes(place(named("b"))), ["client_order_id_live"]);
    bench.sign(Intent::Amend(Amendment { price: price("62000"), ..amend("b") }));
}

#[test]
fn the_new_id_of_an_unknown_order_is_remembered() {
    let mut bench = bench();
    bench.sign(Intent::Amend(Amendment {
        price: price("60000"),
        amount: Some(base("0.01")),
        new_client_order_id: Some(id("b")),
        ..amend("x")
    }));
    assert_eq!(bench.codes(place(named("b"))), ["client_order_id_live"]);
    let partial = Amendment { price: price("60000"), ..amend("b") };
    assert_eq!(bench.codes(Intent::Amend(partial)), ["amendment_incomplete"]);
}

#[test]
fn an_amendment_of_a_known_order_without_a_price_needs_none() {
    let mut bench = bench();
    let stop = Order {
        order_type: OrderType::StopMarket,
        price: None,
        trigger_price: price("59000"),
        post_only: false,
        ..named("stop")
    };
    bench.sign(place(stop));
    let more = Intent::Amend(Amendment { amount: Some(base("0.02")), ..amend("stop") });
    assert_eq!(bench.codes(more), [""; 0]);
}
