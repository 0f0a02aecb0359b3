//! What all signed orders could do together: positions, what rests, own orders that would meet.

use policy::{OrderName, VenueEvent};
use trading::{Amendment, Instrument, Intent, Order, OrderType, Side, TimeInForce};

use crate::support::*;

const NONE: [&str; 0] = [];
const LINEAR: &str = "tick = \"0.1\"";

/// A policy with a position limit of 0.05 and open notional of 2000 on the linear symbol.
fn limited() -> Bench {
    bench_with(&[
        (
            "max_position = \"1000000\"\nmax_open_notional = \"1000000000\"\ntick = \"0.1\"",
            &format!("max_position = \"0.05\"\nmax_open_notional = \"2000\"\n{LINEAR}"),
        ),
        ("max_open_orders = 4", "max_open_orders = 100"),
        ("new_orders_per_second = 3", "new_orders_per_second = 100"),
        ("messages_per_second = 6", "messages_per_second = 100"),
        ("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"500000\""),
        ("notional_rolling_24h = \"8000\"", "notional_rolling_24h = \"500000\""),
    ])
}

fn buy(lots: &str, at: &str) -> Order {
    Order { amount: base(lots), price: price(at), ..order() }
}

fn sell(lots: &str, at: &str) -> Order {
    Order { side: Side::Sell, ..buy(lots, at) }
}

fn spot(order: Order) -> Order {
    Order { instrument: instrument("bybit:spot:BTCUSDT"), ..order }
}

fn position(bench: &mut Bench, of: &Instrument, quantity: &str) {
    let below = bench.state.next_order();
    let price = price("60000").expect("price");
    let event = VenueEvent::Position { instrument: of.clone(), quantity: decimal(quantity), price, below };
    bench.state.observe(&event);
}

fn linear() -> Instrument {
    order().instrument
}

#[test]
fn the_position_limit_itself_is_allowed_and_one_lot_over_is_denied_on_each_side() {
    let mut bench = limited();
    bench.sign(place(Order { client_order_id: Some(id("a")), ..buy("0.03", "20000") }));
    assert_eq!(bench.codes(place(buy("0.02", "20000"))), NONE);
    assert_eq!(bench.codes(place(buy("0.021", "20000"))), ["position_over_limit"]);
    // What is bought may never fill: the short side has all its room still.
    assert_eq!(bench.codes(place(sell("0.016", "60000"))), NONE);
    let exit = Order { amount: base("0.05"), ..exit() };
    assert_eq!(bench.codes(place(exit)), NONE, "an exit passes");
}

#[test]
fn a_rejected_order_counts_no_more_and_a_closed_one_until_the_position_is_told_twice() {
    let mut bench = limited();
    let more = || place(buy("0.03", "20000"));
    bench.sign(place(Order { client_order_id: Some(id("a")), ..buy("0.03", "20000") }));
    assert_eq!(bench.codes(more()), ["position_over_limit"]);
    bench.state.rejected(OrderName::Client(id("a")));
    assert_eq!(bench.codes(more()), NONE);
    bench.sign(place(Order { client_order_id: Some(id("b")), ..buy("0.03", "20001") }));
    bench.state.closed(OrderName::Client(id("b")));
    assert_eq!(bench.codes(more()), ["position_over_limit"], "it may have filled");
    position(&mut bench, &linear(), "0");
    assert_eq!(bench.codes(more()), ["position_over_limit"], "the question may be older than the fill");
    position(&mut bench, &linear(), "0");
    assert_eq!(bench.codes(more()), NONE);
}

#[test]
fn the_venues_position_counts_on_its_side_and_leaves_room_on_the_other() {
    let mut bench = limited();
    position(&mut bench, &linear(), "0.04");
    assert_eq!(bench.codes(place(buy("0.01", "20000"))), NONE);
    assert_eq!(bench.codes(place(buy("0.011", "20000"))), ["position_over_limit"]);
    position(&mut bench, &linear(), "-0.04");
    assert_eq!(bench.codes(place(buy("0.05", "20000"))), NONE);
    assert_eq!(bench.codes(place(sell("0.011", "60000"))), ["position_over_limit"]);
}

#[test]
fn a_market_order_counts_until_its_fill_must_be_in_the_position() {
    let mut bench = limited();
    bench.sign(place(Order { amount: base("0.025"), ..market_order() }));
    let more = || place(buy("0.03", "20000"));
    assert_eq!(bench.codes(more()), ["position_over_limit"]);
    position(&mut bench, &linear(), "0");
    position(&mut bench, &linear(), "0");
    assert_eq!(bench.codes(more()), ["position_over_limit"], "its signature still lives");
    bench.wait(6001);
    bench.sign(cancel("anything later"));
    position(&mut bench, &linear(), "0");
    position(&mut bench, &linear(), "0");
    assert_eq!(bench.codes(more()), NONE);
}

#[test]
fn what_rests_is_bounded_per_symbol_and_in_all() {
    let mut bench = limited();
    bench.sign(place(Order { client_order_id: Some(id("a")), ..buy("0.02", "60000") }));
    assert_eq!(bench.codes(place(sell("0.01", "80000"))), NONE);
    assert_eq!(bench.codes(place(sell("0.01", "80000.1"))), ["symbol_open_notional_over_limit"]);
    let taker =
        Order { time_in_force: TimeInForce::ImmediateOrCancel, post_only: false, ..sell("0.02", "60000") };
    assert_eq!(bench.codes(place(taker)), NONE, "it cannot rest");
    bench.state.closed(OrderName::Client(id("a")));
    assert_eq!(bench.codes(place(sell("0.01", "80000.1"))), NONE);

    let mut all = bench_with(&[
        ("max_open_notional = \"1000000000\"\nmax_net", "max_open_notional = \"1500\"\nmax_net"),
        ("max_repeats = 1000", "max_repeats = 999"),
    ]);
    all.sign(place(spot(buy("0.01", "60000"))));
    assert_eq!(all.codes(place(buy("0.015", "60000"))), NONE);
    assert_eq!(all.codes(place(buy("0.016", "60000"))), ["open_notional_over_limit"]);
    let legs = vec![place(buy("0.01", "60000")), place(buy("0.01", "50000"))];
    assert!(all.codes(Intent::Batch(legs)).contains(&"open_notional_over_limit"));
}

#[test]
fn the_net_exposure_adds_up_the_worse_side_of_each_symbol() {
    let mut bench = bench_with(&[("max_net_exposure = \"1000000000\"", "max_net_exposure = \"1000\"")]);
    bench.sign(place(spot(buy("0.01", "40000"))));
    // 400 on spot; the linear symbol may add 600, whichever side is the worse.
    assert_eq!(bench.codes(place(buy("0.01", "60000"))), NONE);
    assert_eq!(bench.codes(place(buy("0.011", "60000"))), ["net_exposure_over_limit"]);
    bench.sign(place(buy("0.01", "60000")));
    assert_eq!(bench.codes(place(sell("0.01", "60000"))), NONE, "the short side is not worse than the long");
    assert_eq!(bench.codes(place(sell("0.011", "60000"))), ["net_exposure_over_limit"]);
    assert_eq!(bench.codes(place(exit())), NONE);
}

#[test]
fn an_amendment_counts_for_what_it_adds() {
    let mut bench = limited();
    bench.sign(place(Order { client_order_id: Some(id("a")), ..buy("0.03", "20000") }));
    let grow = |lots: &str| Intent::Amend(Amendment { amount: Some(base(lots)), ..amend("a") });
    assert_eq!(bench.codes(grow("0.05")), NONE);
    bench.sign(grow("0.05"));
    assert_eq!(bench.codes(place(buy("0.001", "20000"))), ["position_over_limit"]);
    bench.sign(grow("0.01"));
    // Both amendments may reach the venue in either order.
    assert_eq!(bench.codes(place(buy("0.001", "20000"))), ["position_over_limit"]);
}

#[test]
fn an_own_order_is_not_crossed() {
    let mut bench = bench_with(&[("prevent_self_crossing = false", "prevent_self_crossing = true")]);
    bench.sign(place(Order { client_order_id: Some(id("a")), ..sell("0.001", "61000") }));
    let taking = |order: Order| place(Order { post_only: false, ..order });
    assert_eq!(bench.codes(taking(buy("0.001", "60999.9"))), NONE);
    assert_eq!(bench.codes(taking(buy("0.001", "61000"))), ["self_crossing"]);
    assert_eq!(
        bench.codes(place(buy("0.001", "61000"))),
        NONE,
        "the venue cancels a post-only order instead"
    );
    assert_eq!(bench.codes(place(Order { amount: base("0.001"), ..market_order() })), ["self_crossing"]);
    assert_eq!(bench.codes(taking(spot(buy("0.001", "61000")))), NONE, "another book");
    assert_eq!(bench.codes(taking(sell("0.001", "50000"))), NONE, "the same side");
    let stop = Order {
        order_type: OrderType::StopMarket,
        trigger_price: price("62000"),
        price: None,
        ..buy("0.001", "1")
    };
    assert_eq!(bench.codes(taking(stop)), NONE, "it waits for its trigger");
    let pair = vec![place(sell("0.001", "60500")), taking(buy("0.001", "60500"))];
    assert_eq!(bench.codes(Intent::Batch(pair)), ["self_crossing"], "nor one of the same batch");
    bench.state.closed(OrderName::Client(id("a")));
    assert_eq!(bench.codes(taking(buy("0.001", "61000"))), NONE);
}

#[test]
fn an_amended_order_is_met_wherever_it_may_be() {
    let mut bench = bench_with(&[("prevent_self_crossing = false", "prevent_self_crossing = true")]);
    bench.sign(place(Order { client_order_id: Some(id("a")), ..sell("0.001", "61000") }));
    bench.sign(Intent::Amend(Amendment { price: price("60500"), ..amend("a") }));
    let at = |text: &str| place(Order { post_only: false, ..buy("0.001", text) });
    assert_eq!(bench.codes(at("60500")), ["self_crossing"]);
    bench.wait(1000);
    bench.sign(Intent::Amend(Amendment { price: price("61500"), ..amend("a") }));
    assert_eq!(bench.codes(at("60500")), ["self_crossing"], "the first amendment may arrive last");
    assert_eq!(bench.codes(at("60499.9")), NONE);
}
