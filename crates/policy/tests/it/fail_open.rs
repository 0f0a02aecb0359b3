//! Hunts for ways in which something unjudged could pass.

use policy::{Context, Denial, Policy, State, evaluate};
use trading::{Amount, Decimal, Order, OrderType, Side, TimeInForce, Timestamp};

use crate::support::*;

const NONE: [&str; 0] = [];

#[test]
fn a_product_that_does_not_fit_is_denied() {
    let huge = trading::Quantity::new(Decimal::new(i128::MAX, 0).expect("scale")).expect("positive");
    let bench = bench();
    let codes = bench.codes(place(Order { amount: Amount::Base(huge), ..order() }));
    assert_eq!(codes, ["quantity_over_limit", "arithmetic", "quantity_off_lot"]);
    let codes = bench.codes(place(Order { amount: Amount::Base(huge), ..exit() }));
    assert_eq!(codes, ["quantity_over_limit", "quantity_off_lot"], "an exit is bounded by its quantity");
}

#[test]
fn numbers_too_fine_to_compare_are_off_the_grid() {
    let fine = trading::Price::new(Decimal::new(1, 38).expect("scale")).expect("positive");
    let codes = bench().codes(place(Order { price: Some(fine), ..order() }));
    assert!(codes.contains(&"price_off_tick"), "{codes:?}");
}

#[test]
fn look_alike_symbols_are_other_symbols() {
    for symbol in ["B\u{422}CUSDT", "btcusdt", "BTCUSDT\u{200b}", "ВТСUSDT", "BTCUSD\u{ff34}"] {
        let codes = bench()
            .codes(place(Order { instrument: instrument(&format!("bybit:linear:{symbol}")), ..order() }));
        assert_eq!(codes, ["symbol_not_allowed"], "{symbol:?}");
    }
}

#[test]
fn reduce_only_means_nothing_on_spot() {
    let mut bench = bench_with(&[("maker_only = false", "maker_only = true")]);
    bench.context.mark_prices.clear();
    let spot = Order { instrument: instrument("bybit:spot:BTCUSDT"), ..exit() };
    let codes = bench.codes(place(spot.clone()));
    assert_eq!(codes, ["maker_only", "mark_price_missing"]);
    let codes = bench.codes(place(Order { amount: Amount::WholePosition, ..spot }));
    assert_eq!(codes, ["order_contradictory", "maker_only", "mark_price_missing"]);
}

#[test]
fn a_contradictory_order_is_denied() {
    let bench = bench_with(&[("maker_only = false", "maker_only = true")]);
    for contradiction in [
        Order { order_type: OrderType::Market, price: None, ..order() },
        Order { order_type: OrderType::Market, price: price("0.1"), post_only: false, ..order() },
        Order { price: None, ..order() },
        Order { time_in_force: TimeInForce::ImmediateOrCancel, ..order() },
        Order { trigger_price: price("1"), ..order() },
        Order { order_type: OrderType::StopLimit, ..order() },
        Order { amount: Amount::WholePosition, instrument: instrument("bybit:spot:BTCUSDT"), ..order() },
    ] {
        let codes = bench.codes(place(contradiction.clone()));
        assert!(codes.contains(&"order_contradictory"), "{contradiction:?}: {codes:?}");
    }
}

#[test]
fn a_stated_price_does_not_cheapen_a_market_order() {
    let codes = bench().codes(place(Order { amount: base("0.05"), price: price("0.1"), ..market_order() }));
    assert_eq!(codes, ["order_contradictory", "notional_over_limit"]);
}

#[test]
fn an_exit_of_unknown_worth_takes_the_symbols_whole_limit() {
    let mut bench = bench();
    bench.sign(place(Order { amount: Amount::WholePosition, ..exit() }));
    assert_eq!(bench.state.signed_today(bench.context.now), decimal("1500"));
}

#[test]
fn setting_the_clock_back_frees_nothing() {
    let mut bench = bench();
    for name in ["a", "b", "c"] {
        bench.sign(place(Order { amount: base("0.02"), ..named(name) }));
    }
    bench.wait(60_000);
    bench.sign(place(Order { amount: base("0.02"), ..order() }));
    let later = bench.context.now;
    for earlier in [0, NOW - 86_400_000, NOW] {
        bench.context.now = Timestamp::from_ms(earlier);
        assert_eq!(bench.state.signed_today(bench.context.now), decimal("4800"));
        let codes = bench.codes(place(Order { amount: base("0.02"), side: Side::Buy, ..named("a") }));
        assert_eq!(
            codes,
            ["client_order_id_live", "order_duplicate", "open_orders_over_limit", "day_budget_exceeded"],
            "{earlier} before {later}"
        );
    }
}

#[test]
fn an_empty_world_denies() {
    let policy = Policy::parse("version = 1\nwatchdogs = []\n[bots]\n[accounts]\n").expect("policy");
    let state = State::new(account("main"));
    let bench = bench();
    let request = bench.request(place(order()));
    let policy::Decision::Deny(denied) = evaluate(&policy, &state, request, &Context::default()) else {
        panic!("approved")
    };
    let codes: Vec<&str> = denied.denials().iter().map(Denial::code).collect();
    assert_eq!(codes, ["account_unknown", "bot_unknown"]);
    assert_eq!(bench.codes(cancel("unknown")), NONE);
}

#[test]
fn absurd_times_deny_instead_of_wrapping() {
    let mut bench = bench();
    let mut request = bench.request(place(order()));
    request.sent_at = Some(Timestamp::from_ms(u64::MAX));
    request.recv_window_ms = Some(u64::MAX);
    assert_eq!(bench.codes_of(request), ["clock_skew_over_limit", "recv_window_over_limit"]);
    bench.context.now = Timestamp::from_ms(u64::MAX);
    assert_eq!(bench.codes(place(order())), ["not_judged"]);
}
