//! Repetition, the collar, hours, the thesis, each bot's own share, and what is kept for cancels.

use policy::{MarkPrice, Request};
use trading::{Intent, Order, OrderType, Side, StreamChannel, Timestamp, TradingState, Venue};

use crate::support::*;

const NONE: [&str; 0] = [];

fn small() -> Order {
    Order { amount: base("0.001"), ..order() }
}

fn fast(more: &[(&str, &str)]) -> Bench {
    let mut changes = vec![
        ("new_orders_per_second = 3", "new_orders_per_second = 1000"),
        ("messages_per_second = 6", "messages_per_second = 1000"),
        ("max_open_orders = 4", "max_open_orders = 1000"),
    ];
    changes.extend_from_slice(more);
    bench_with(&changes)
}

#[test]
fn the_same_order_is_a_duplicate_within_the_window_whatever_its_id() {
    let mut bench = fast(&[("duplicate_window_ms = 1", "duplicate_window_ms = 100")]);
    bench.sign(place(small()));
    bench.wait(98);
    let again = || place(Order { client_order_id: Some(id("x")), ..small() });
    assert_eq!(bench.codes(again()), ["order_duplicate"]);
    assert_eq!(bench.codes(place(Order { price: price("60000.1"), ..small() })), NONE);
    assert_eq!(bench.codes(place(Order { amount: base("0.002"), ..small() })), NONE);
    assert_eq!(bench.codes(place(Order { reduce_only: true, side: Side::Sell, ..small() })), NONE);
    bench.wait(1);
    assert_eq!(bench.codes(again()), NONE);
}

#[test]
fn the_last_repetition_stops_its_instrument_until_someone_resumes() {
    let mut bench = fast(&[
        ("max_repeats = 1000", "max_repeats = 3"),
        ("repeat_window_ms = 1", "repeat_window_ms = 1000"),
    ]);
    for _ in 0..3 {
        bench.sign(place(small()));
    }
    let other = || place(Order { price: price("50000"), ..small() });
    let elsewhere = || place(Order { instrument: instrument("bybit:spot:BTCUSDT"), ..small() });
    bench.wait(3_600_000);
    assert_eq!(bench.codes(other()), ["stopped_by_repetition"]);
    assert_eq!(bench.codes(elsewhere()), NONE);
    assert_eq!(bench.codes(place(Order { amount: base("0.001"), ..exit() })), NONE);
    assert_eq!(bench.codes(cancel("a")), NONE);
    bench.state.set_trading_state(TradingState::Active);
    assert_eq!(bench.codes(other()), NONE);
    assert_eq!(bench.codes(place(small())), NONE);
}

#[test]
fn repetitions_outside_the_window_stop_nothing() {
    let mut bench = fast(&[
        ("max_repeats = 1000", "max_repeats = 3"),
        ("repeat_window_ms = 1", "repeat_window_ms = 1000"),
    ]);
    for _ in 0..5 {
        bench.sign(place(small()));
        bench.wait(499);
    }
    assert!(!bench.state.is_stopped(&small().instrument));
    bench.wait(1000);
    let legs: Vec<Intent> = vec![place(small()); 3];
    assert_eq!(bench.codes(Intent::Batch(legs)), ["order_duplicate", "order_duplicate"]);
}

#[test]
fn a_state_restored_from_the_log_is_stopped_too() {
    let mut bench = fast(&[
        ("max_repeats = 1000", "max_repeats = 2"),
        ("repeat_window_ms = 1", "repeat_window_ms = 1000"),
    ]);
    let mut restored = policy::State::new(account("main"));
    for _ in 0..2 {
        let policy::Decision::Approve(approved) = bench.decide(bench.request(place(small()))) else {
            panic!("denied")
        };
        bench.state.commit(&approved);
        let json = serde_json::to_string(approved.recorded()).expect("serialises");
        restored.restore(&serde_json::from_str(&json).expect("reads back"));
        bench.wait(1);
    }
    assert!(restored.is_stopped(&small().instrument));
    assert_eq!(restored.digest(), bench.state.digest());
}

#[test]
fn orders_leave_what_is_kept_for_cancels() {
    let kept = [
        ("new_orders_per_second = 3", "new_orders_per_second = 1000"),
        ("messages_per_second = 6", "messages_per_second = 5"),
        ("kept_for_cancels_per_second = 1", "kept_for_cancels_per_second = 2"),
    ];
    let mut bench = bench_with(&kept);
    for _ in 0..3 {
        bench.sign(place(small()));
    }
    assert_eq!(bench.codes(place(small())), ["message_rate_over_limit"]);
    assert_eq!(bench.codes(cancel("a")), NONE);
}

#[test]
fn the_collar_bounds_what_pays_too_much_and_not_what_waits_far_away() {
    let bench = bench_with(&[("max_price_deviation_bps = 1000000", "max_price_deviation_bps = 100")]);
    let buy = |text: &str| place(Order { price: price(text), ..small() });
    let sell = |text: &str| place(Order { price: price(text), side: Side::Sell, ..small() });
    assert_eq!(bench.codes(buy("60600")), NONE);
    assert_eq!(bench.codes(buy("60600.1")), ["price_outside_collar"]);
    assert_eq!(bench.codes(buy("1")), NONE);
    assert_eq!(bench.codes(sell("59400")), NONE);
    assert_eq!(bench.codes(sell("59399.9")), ["price_outside_collar"]);
    assert_eq!(bench.codes(sell("600000")), NONE);
    let exit = Order { price: price("1"), order_type: OrderType::Limit, amount: base("0.001"), ..exit() };
    assert_eq!(bench.codes(place(exit)), NONE, "an exit passes");
}

#[test]
fn the_collar_of_a_triggered_order_lies_around_its_trigger() {
    let bench = bench_with(&[("max_price_deviation_bps = 1000000", "max_price_deviation_bps = 100")]);
    let stop = |limit: &str| {
        place(Order {
            order_type: OrderType::StopLimit,
            trigger_price: price("70000"),
            price: price(limit),
            post_only: false,
            ..small()
        })
    };
    assert_eq!(bench.codes(stop("70700")), NONE);
    assert_eq!(bench.codes(stop("70700.1")), ["price_outside_collar"]);
}

#[test]
fn without_a_mark_price_the_last_signed_price_is_the_reference() {
    let mut bench = bench_with(&[("max_price_deviation_bps = 1000000", "max_price_deviation_bps = 100")]);
    let buy = |text: &str| place(Order { price: price(text), ..small() });
    bench.context.mark_prices.clear();
    assert_eq!(bench.codes(buy("70000")), NONE, "the first order has no reference");
    bench.sign(buy("50000"));
    assert_eq!(bench.codes(buy("50500")), NONE);
    assert_eq!(bench.codes(buy("50500.1")), ["price_outside_collar"]);
    let old = MarkPrice { price: "40000".parse().expect("price"), at: Timestamp::from_ms(0) };
    bench.context.mark_prices.insert(small().instrument, old);
    assert_eq!(bench.codes(buy("40400.1")), ["price_outside_collar"], "an old mark price still counts");
}

#[test]
fn new_risk_is_taken_within_the_hours_only() {
    // 2026-03-04 04:53:20 UTC, a Wednesday.
    let hours = |text: &str| format!("trading_hours = [\"{text}\"]");
    let at = |text: &str| bench_with(&[("trading_hours = [\"mon-sun 00:00-24:00\"]", &hours(text))]);
    assert_eq!(at("wed 04:53-04:54").codes(place(small())), NONE);
    assert_eq!(at("wed 04:54-05:00").codes(place(small())), ["outside_trading_hours"]);
    assert_eq!(at("wed 04:00-04:53").codes(place(small())), ["outside_trading_hours"]);
    let closed = at("sun 00:00-01:00");
    assert_eq!(closed.codes(place(Order { amount: base("0.001"), ..exit() })), NONE);
    assert_eq!(closed.codes(cancel("a")), NONE);
}

#[test]
fn an_order_says_why_where_that_is_required() {
    let bench = bench_with(&[("require_thesis = false", "require_thesis = true")]);
    let with = |intent: Intent| Request { thesis: Some("mean reversion".into()), ..bench.request(intent) };
    assert_eq!(bench.codes(place(small())), ["thesis_missing"]);
    assert_eq!(bench.codes_of(with(place(small()))), NONE);
    assert_eq!(bench.codes(place(Order { amount: base("0.001"), ..exit() })), NONE);
    assert_eq!(bench.codes(cancel("a")), NONE);
}

#[test]
fn a_bot_has_its_own_share_and_leaves_the_others_theirs() {
    let other = "[bots.other]\naccounts = [\"main\"]\nuids = []\nnew_orders_per_second = 9\nmessages_per_second = 9\nnotional_per_utc_day = \"5000\"\nnotional_rolling_24h = \"5000\"\n[accounts.main]\n";
    let mut bench = fast(&[
        ("[accounts.main]\n", other),
        ("new_orders_per_second = 9000", "new_orders_per_second = 2"),
        ("messages_per_second = 9000", "messages_per_second = 3"),
        ("notional_per_utc_day = \"900000\"", "notional_per_utc_day = \"130\""),
        ("notional_rolling_24h = \"900000\"", "notional_rolling_24h = \"190\""),
    ]);
    let of_other =
        |bench: &Bench, intent| Request { bot: "other".parse().expect("bot"), ..bench.request(intent) };
    bench.sign(place(small()));
    bench.sign(place(small()));
    assert_eq!(bench.codes(place(small())), ["order_rate_over_limit", "day_budget_exceeded"]);
    assert_eq!(bench.codes_of(of_other(&bench, place(small()))), NONE);
    bench.sign(cancel("a"));
    assert!(bench.codes(place(small())).contains(&"message_rate_over_limit"));
    bench.wait(86_400_000 - NOW % 86_400_000);
    bench.sign(place(small()));
    bench.wait(1000);
    assert_eq!(bench.codes(place(small())), ["rolling_budget_exceeded"]);
    assert_eq!(bench.codes_of(of_other(&bench, place(small()))), NONE);
}

#[test]
fn an_exit_takes_no_more_from_the_budgets_than_it_can_be_worth() {
    let mut bench = bench();
    let absurd = Order {
        order_type: OrderType::Limit,
        price: price("99999999999999999999"),
        amount: base("0.05"),
        ..exit()
    };
    bench.sign(place(absurd));
    // 0.05 at the mark price of 60000.
    assert_eq!(bench.state.signed_today(bench.context.now), decimal("3000"));
    assert_eq!(bench.codes(place(small())), NONE);
}

#[test]
fn a_stream_login_holds_no_longer_than_the_receive_window() {
    let bench = bench();
    let login = Intent::StreamLogin { venue: Venue::Bybit, channel: StreamChannel::Account };
    let until =
        |ms: u64| Request { expires_at: Some(Timestamp::from_ms(NOW + ms)), ..bench.request(login.clone()) };
    // Window 5000 ms and tolerated skew 1000 ms.
    assert_eq!(bench.codes_of(until(6000)), NONE);
    assert_eq!(bench.codes_of(until(6001)), ["recv_window_over_limit"]);
    assert_eq!(bench.codes_of(until(1_000_000_000_000)), ["recv_window_over_limit"]);
    let policy::Decision::Approve(approved) = bench.decide(until(6000)) else { panic!("denied") };
    assert!(approved.expires() >= Timestamp::from_ms(NOW + 6000));
}
