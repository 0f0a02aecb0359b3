//! The edge of every rule, by name. A limit itself is allowed.

use policy::{OrderName, VenueEvent};
use trading::{
    Amount, CancelAll, Intent, Market, Order, OrderType, Read, Side, StreamChannel, TimeInForce, Timestamp,
    TradingState, Venue,
};

use crate::support::*;

const NONE: [&str; 0] = [];

fn check(order: Order, expected: &[&str]) {
    assert_eq!(bench().codes(place(order)), expected);
}

#[test]
fn an_order_within_every_limit_is_allowed() {
    check(order(), &[]);
}

#[test]
fn quantity_limit_itself_is_allowed_and_one_lot_over_is_denied() {
    check(Order { amount: base("0.05"), price: price("30000"), ..order() }, &[]);
    check(Order { amount: base("0.051"), price: price("20000"), ..order() }, &["quantity_over_limit"]);
}

#[test]
fn notional_limit_itself_is_allowed_and_one_tick_over_is_denied() {
    check(Order { amount: base("0.05"), price: price("30000"), ..order() }, &[]);
    check(Order { amount: base("0.05"), price: price("30000.1"), ..order() }, &["notional_over_limit"]);
}

#[test]
fn a_cheap_sell_is_valued_at_the_mark_price() {
    let sell = Order { side: Side::Sell, amount: base("0.05"), price: price("1"), ..order() };
    check(sell.clone(), &["notional_over_limit"]);
    check(Order { post_only: false, ..sell }, &["notional_over_limit"]);
}

#[test]
fn a_stop_is_valued_at_the_dearest_of_its_prices() {
    let stop = Order {
        order_type: OrderType::StopMarket,
        price: None,
        post_only: false,
        amount: base("0.02"),
        trigger_price: price("75000"),
        ..order()
    };
    check(stop.clone(), &[]);
    check(Order { trigger_price: price("75000.1"), ..stop.clone() }, &["notional_over_limit"]);
    check(Order { trigger_price: price("1"), amount: base("0.026"), ..stop }, &["notional_over_limit"]);
}

#[test]
fn a_market_order_is_valued_at_the_mark_price() {
    check(Order { amount: base("0.025"), ..market_order() }, &[]);
    check(Order { amount: base("0.026"), ..market_order() }, &["notional_over_limit"]);
}

#[test]
fn a_pegged_order_is_judged_as_a_market_order_that_may_rest() {
    let pegged = Order { order_type: OrderType::Pegged, price: None, ..order() };
    check(pegged.clone(), &["order_type_not_allowed"]);
    let mut bench = bench_with(&[("\"limit\", \"market\"", "\"limit\", \"pegged\", \"market\"")]);
    let codes = |bench: &Bench, order: Order| bench.codes(place(order));
    assert_eq!(codes(&bench, Order { amount: base("0.025"), ..pegged.clone() }), NONE);
    assert_eq!(codes(&bench, Order { amount: base("0.026"), ..pegged.clone() }), ["notional_over_limit"]);
    assert_eq!(codes(&bench, Order { price: price("1"), ..pegged.clone() }), ["order_contradictory"]);
    let fill_or_kill = Order { time_in_force: TimeInForce::FillOrKill, post_only: false, ..pegged.clone() };
    assert_eq!(codes(&bench, fill_or_kill), ["time_in_force_not_allowed"]);
    for _ in 0..4 {
        bench.sign(place(Order { amount: base("0.001"), ..pegged.clone() }));
        bench.wait(1000);
    }
    assert_eq!(codes(&bench, Order { amount: base("0.001"), ..pegged.clone() }), ["open_orders_over_limit"]);
    bench.context.mark_prices.clear();
    assert!(codes(&bench, pegged).contains(&"mark_price_missing"));
}

#[test]
fn a_quote_amount_is_judged_as_notional() {
    let spot =
        Order { instrument: instrument("bybit:spot:BTCUSDT"), amount: quote("1500"), ..market_order() };
    check(spot.clone(), &[]);
    check(Order { amount: quote("1500.01"), ..spot.clone() }, &["notional_over_limit"]);
    let mut cheap = bench();
    let mark = cheap.context.mark_prices.get_mut(&spot.instrument).expect("mark");
    mark.price = "20000".parse().expect("price");
    assert_eq!(cheap.codes(place(Order { amount: quote("1000"), ..spot.clone() })), NONE);
    assert_eq!(
        cheap.codes(place(Order { amount: quote("1000.01"), ..spot })),
        ["quote_amount_over_quantity"]
    );
}

#[test]
fn mark_price_age_limit_itself_is_allowed_and_one_ms_over_is_denied() {
    for (at, expected) in
        [(NOW - 2000, vec![]), (NOW - 2001, vec!["mark_price_stale"]), (NOW + 2001, vec!["mark_price_stale"])]
    {
        let mut bench = bench();
        bench.context.mark_prices.values_mut().for_each(|mark| mark.at = Timestamp::from_ms(at));
        assert_eq!(bench.codes(place(market_order())), expected);
    }
}

#[test]
fn a_missing_mark_price_denies_what_nothing_bounds() {
    let mut bench = bench();
    bench.context.mark_prices.clear();
    assert_eq!(bench.codes(place(market_order())), ["mark_price_missing"]);
    let taker_sell = Order { side: Side::Sell, post_only: false, ..order() };
    assert_eq!(bench.codes(place(taker_sell)), ["mark_price_missing"]);
    assert_eq!(bench.codes(place(order())), NONE);
    assert_eq!(bench.codes(place(Order { side: Side::Sell, ..order() })), NONE);
    assert_eq!(bench.codes(place(exit())), NONE, "a dead feed does not lock the exit");
}

#[test]
fn half_a_tick_is_denied() {
    check(Order { price: price("60000.05"), ..order() }, &["price_off_tick"]);
    let stop = Order {
        order_type: OrderType::StopMarket,
        price: None,
        post_only: false,
        trigger_price: price("59000.05"),
        ..order()
    };
    check(stop, &["trigger_price_off_tick"]);
}

#[test]
fn half_a_lot_is_denied() {
    check(Order { amount: base("0.0105"), ..order() }, &["quantity_off_lot"]);
}

#[test]
fn unlisted_symbol_side_type_and_time_are_denied() {
    check(Order { instrument: instrument("bybit:linear:ETHUSDT"), ..order() }, &["symbol_not_allowed"]);
    check(Order { instrument: instrument("bybit:margin:BTCUSDT"), ..order() }, &["symbol_not_allowed"]);
    let take_profit = Order {
        order_type: OrderType::TakeProfitMarket,
        price: None,
        post_only: false,
        trigger_price: price("61000"),
        ..order()
    };
    check(take_profit, &["order_type_not_allowed"]);
    let instant = Order { time_in_force: TimeInForce::FillOrKill, post_only: false, ..order() };
    check(instant, &["time_in_force_not_allowed"]);
    let buys = bench_with(&[(r#"sides = ["buy", "sell"]"#, r#"sides = ["buy"]"#)]);
    assert_eq!(buys.codes(place(Order { side: Side::Sell, ..order() })), ["side_not_allowed"]);
}

#[test]
fn maker_only_denies_takers_and_lets_exits_pass() {
    let maker = bench_with(&[("maker_only = false", "maker_only = true")]);
    assert_eq!(maker.codes(place(order())), NONE);
    assert_eq!(maker.codes(place(Order { post_only: false, ..order() })), ["maker_only"]);
    assert_eq!(maker.codes(place(market_order())), ["maker_only"]);
    assert_eq!(maker.codes(place(exit())), NONE);
}

#[test]
fn a_required_client_order_id_must_be_there() {
    let bench = bench_with(&[("require_client_order_id = false", "require_client_order_id = true")]);
    assert_eq!(bench.codes(place(order())), ["client_order_id_missing"]);
    assert_eq!(bench.codes(place(named("a"))), NONE);
}

#[test]
fn clock_skew_limit_itself_is_allowed_and_one_ms_over_is_denied() {
    for (sent, denied) in [(NOW - 1000, false), (NOW + 1000, false), (NOW - 1001, true), (NOW + 1001, true)] {
        let bench = bench();
        let mut request = bench.request(place(order()));
        request.sent_at = Some(Timestamp::from_ms(sent));
        let expected: &[&str] = if denied { &["clock_skew_over_limit"] } else { &[] };
        assert_eq!(bench.codes_of(request), expected);
    }
}

#[test]
fn receive_window_limit_itself_is_allowed_and_one_ms_over_is_denied() {
    let bench = bench();
    let ask = |window| {
        let mut request = bench.request(place(order()));
        request.recv_window_ms = window;
        bench.codes_of(request)
    };
    assert_eq!(ask(Some(5000)), NONE);
    assert_eq!(ask(Some(5001)), ["recv_window_over_limit"]);
    let short = bench_with(&[("max_recv_window_ms = 5000", "max_recv_window_ms = 4999")]);
    assert_eq!(short.codes(place(order())), ["recv_window_over_limit"], "the venue's default counts");
}

#[test]
fn library_extras_pass_only_if_listed() {
    let bench = bench();
    let mut request = bench.request(place(order()));
    request.extras = vec!["broker-id".into()];
    assert_eq!(bench.codes_of(request.clone()), NONE);
    request.extras.push("referrer".into());
    assert_eq!(bench.codes_of(request), ["extras_not_allowed"]);
}

#[test]
fn the_order_after_the_last_in_a_second_is_denied_and_passes_a_second_later() {
    let mut bench = bench();
    for _ in 0..3 {
        bench.sign(place(Order { amount: base("0.001"), ..order() }));
    }
    let next = || place(Order { amount: base("0.001"), ..order() });
    assert_eq!(bench.codes(next()), ["order_rate_over_limit"]);
    bench.wait(996);
    assert_eq!(bench.codes(next()), ["order_rate_over_limit"]);
    bench.wait(1);
    assert_eq!(bench.codes(next()), NONE);
}

#[test]
fn cancels_fill_the_message_rate_and_are_never_denied_by_it() {
    let mut bench = bench();
    for _ in 0..5 {
        bench.sign(cancel("a"));
    }
    assert_eq!(bench.codes(cancel("a")), NONE);
    assert_eq!(bench.codes(place(order())), ["message_rate_over_limit"]);
    for _ in 0..2000 {
        bench.sign(cancel("a"));
    }
    assert_eq!(bench.codes(place(order())), ["message_rate_over_limit"]);
    bench.wait(1000);
    assert_eq!(bench.codes(place(order())), NONE);
}

#[test]
fn one_live_signature_for_a_client_order_id() {
    let mut bench = bench();
    bench.sign(place(named("a")));
    assert_eq!(bench.codes(place(named("a"))), ["client_order_id_live"]);
    bench.wait(3_600_000);
    assert_eq!(bench.codes(place(named("a"))), ["client_order_id_live"]);
}

#[test]
fn a_lie_about_a_closing_does_not_free_an_id_while_its_signature_lives() {
    let mut bench = bench();
    bench.sign(place(named("a")));
    bench.state.closed(OrderName::Client(id("a")));
    // Window 5000 ms (the venue's default) and tolerated skew 1000 ms.
    bench.wait(5999);
    assert_eq!(bench.codes(place(named("a"))), ["client_order_id_live"]);
    bench.wait(1);
    assert_eq!(bench.codes(place(named("a"))), NONE);
}

#[test]
fn an_id_no_one_confirmed_is_free_after_a_day_and_a_resting_one_is_not() {
    let mut bench = bench();
    bench.sign(place(named("lost")));
    bench.sign(place(named("rests")));
    bench.state.acknowledged(OrderName::Client(id("rests")), venue_id("1"));
    bench.wait(86_400_001);
    assert_eq!(bench.codes(place(named("lost"))), NONE);
    assert_eq!(bench.codes(place(named("rests"))), ["client_order_id_live"]);
    assert_eq!(bench.state.open_orders(bench.context.now), 1);
}

#[test]
fn open_order_limit_itself_is_allowed_and_one_more_is_denied() {
    let mut bench = bench();
    for name in ["a", "b", "c", "d"] {
        bench.sign(place(Order { amount: base("0.001"), ..named(name) }));
        bench.wait(1000);
    }
    let small = |order: Order| place(Order { amount: base("0.001"), ..order });
    assert_eq!(bench.codes(small(order())), ["open_orders_over_limit"]);
    assert_eq!(bench.codes(small(market_order())), NONE, "a market order does not rest");
    let resting_exit = Order { reduce_only: true, side: Side::Sell, ..order() };
    assert_eq!(bench.codes(small(resting_exit)), NONE);
    bench.state.closed(OrderName::Client(id("b")));
    assert_eq!(bench.codes(small(order())), NONE);
}

#[test]
fn day_budget_limit_itself_is_allowed_and_one_tick_over_is_denied() {
    let mut bench = bench_with(&[("max_open_orders = 4", "max_open_orders = 100")]);
    for _ in 0..4 {
        bench.sign(place(Order { amount: base("0.02"), ..order() }));
        bench.wait(1000);
    }
    let rest = |text| place(Order { amount: base("0.01"), price: price(text), ..order() });
    bench.sign(place(Order { amount: base("0.001"), price: price("100000"), ..order() }));
    assert_eq!(bench.codes(rest("10000.1")), ["day_budget_exceeded"]);
    assert_eq!(bench.codes(rest("10000")), NONE);
    assert_eq!(bench.state.signed_today(bench.context.now), decimal("4900"));
    assert_eq!(bench.codes(place(Order { amount: base("0.05"), ..exit() })), NONE, "exits pass");
}

#[test]
fn midnight_frees_the_day_and_not_the_rolling_budget() {
    let mut bench = bench_with(&[("max_open_orders = 4", "max_open_orders = 100")]);
    let day = 86_400_000;
    bench.wait(day - NOW % day - 10_000);
    for _ in 0..4 {
        bench.sign(place(Order { amount: base("0.02"), ..order() }));
        bench.wait(1000);
    }
    assert_eq!(bench.codes(place(Order { amount: base("0.01"), ..order() })), ["day_budget_exceeded"]);
    bench.wait(10_000);
    for _ in 0..2 {
        bench.sign(place(Order { amount: base("0.02"), ..order() }));
        bench.wait(1000);
    }
    bench.sign(place(Order { amount: base("0.01"), ..order() }));
    // 7800 signed; 200 left of the rolling 8000.
    let rest = |text| place(Order { amount: base("0.01"), price: price(text), ..order() });
    assert_eq!(bench.codes(rest("20000")), NONE);
    assert_eq!(bench.codes(rest("20000.1")), ["rolling_budget_exceeded"]);
    bench.wait(day + 300_000);
    assert_eq!(bench.codes(rest("20000.1")), NONE);
}

#[test]
fn leverage_limit_itself_is_allowed_and_more_is_denied() {
    let set = |text| Intent::SetLeverage {
        instrument: instrument("bybit:linear:BTCUSDT"),
        leverage: decimal(text),
    };
    assert_eq!(bench().codes(set("3")), NONE);
    assert_eq!(bench().codes(set("3.01")), ["leverage_over_limit"]);
    assert_eq!(bench().codes(set("0")), ["leverage_over_limit"]);
    assert_eq!(bench().codes(set("-1")), ["leverage_over_limit"]);
}

#[test]
fn only_listed_settings_may_be_set() {
    let set =
        |setting: &str| Intent::SetMode { venue: Venue::Bybit, setting: setting.into(), value: "0".into() };
    assert_eq!(bench().codes(set("switch-mode")), NONE);
    assert_eq!(bench().codes(set("set-margin-mode")), ["setting_not_allowed"]);
}

#[test]
fn bot_account_and_venue_must_be_known() {
    let bench = bench();
    let mut request = bench.request(place(order()));
    request.bot = "other".parse().expect("bot");
    assert_eq!(bench.codes_of(request.clone()), ["bot_unknown"]);
    request.account = account("savings");
    assert_eq!(bench.codes_of(request), ["state_of_another_account", "account_unknown", "bot_unknown"]);
    let elsewhere = Order { instrument: instrument("binance:linear:BTCUSDT"), ..order() };
    assert_eq!(bench.codes(place(elsewhere)), ["venue_not_allowed", "symbol_not_allowed"]);
}

#[test]
fn trading_state_outranks_every_rule() {
    let linear = instrument("bybit:linear:BTCUSDT");
    let cancel_all =
        Intent::CancelAll(CancelAll { venue: Venue::Bybit, market: Market::Linear, instrument: None });
    let read = Intent::Read(Read { venue: Venue::Bybit, endpoint: "GET /v5/x".into(), instrument: None });
    let login = Intent::StreamLogin { venue: Venue::Bybit, channel: StreamChannel::Account };
    let arm = |timeout_ms| Intent::DeadMansSwitch {
        venue: Venue::Bybit,
        market: Market::Linear,
        instrument: None,
        timeout_ms,
    };
    let leverage = Intent::SetLeverage { instrument: linear, leverage: decimal("1") };
    let whole = Order { amount: Amount::WholePosition, ..exit() };
    let mut bench = bench();
    for (intent, reducing, halted) in [
        (cancel("a"), true, true),
        (cancel_all, true, true),
        (read, true, true),
        (login, true, true),
        (arm(1000), true, true),
        (arm(0), false, false),
        (place(exit()), true, false),
        (place(whole), true, false),
        (place(order()), false, false),
        (leverage, false, false),
        (Intent::Batch(vec![cancel("a")]), true, true),
    ] {
        bench.state.set_trading_state(TradingState::Active);
        assert_eq!(bench.codes(intent.clone()), NONE);
        for (state, passes) in [(TradingState::Reducing, reducing), (TradingState::Halted, halted)] {
            bench.state.set_trading_state(state);
            let expected: &[&str] = if passes { &[] } else { &["trading_state_forbids"] };
            assert_eq!(bench.codes(intent.clone()), expected, "{intent} while {state}");
        }
    }
}

#[test]
fn every_denial_is_listed_with_its_numbers() {
    let bench = bench();
    let order = Order { amount: base("0.0605"), price: price("60000.05"), ..order() };
    let policy::Decision::Deny(denied) = bench.decide(bench.request(place(order))) else {
        panic!("approved")
    };
    let texts: Vec<String> = denied.denials().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "quantity 0.0605 exceeds 0.05",
            "notional 3630.003025 exceeds 1500",
            "price 60000.05 is not a multiple of the tick 0.1",
            "quantity 0.0605 is not a multiple of the lot 0.001",
        ]
    );
}

#[test]
fn a_stale_mark_price_never_values_a_sale_lower_than_a_fresh_one() {
    let mut bench = bench();
    let sell = || place(Order { side: Side::Sell, amount: base("0.03"), price: price("1"), ..order() });
    assert_eq!(bench.codes(sell()), ["notional_over_limit"]);
    bench.context.mark_prices.values_mut().for_each(|mark| mark.at = Timestamp::from_ms(0));
    assert_eq!(bench.codes(sell()), ["notional_over_limit"]);
}

#[test]
fn what_the_venue_does_not_list_rests_no_more() {
    let mut bench = bench();
    let small = |name: &str| place(Order { amount: base("0.001"), ..named(name) });
    for name in ["a", "b", "c", "d"] {
        bench.sign(small(name));
        bench.wait(1000);
    }
    for (name, venue) in [("a", "v1"), ("b", "v2"), ("c", "v3")] {
        bench.state.acknowledged(OrderName::Client(id(name)), venue.parse().expect("an id"));
    }
    let listed = |below, open: &[&str]| VenueEvent::Listed {
        market: Market::Linear,
        instrument: None,
        below,
        open: open.iter().map(|id| id.parse().expect("an id")).collect(),
    };
    assert_eq!(bench.state.open_orders(bench.context.now), 4);
    bench.state.observe(&listed(1, &["v2", "v3"]));
    assert_eq!(bench.state.open_orders(bench.context.now), 3, "a is gone");
    bench.state.observe(&listed(2, &[]));
    assert_eq!(bench.state.open_orders(bench.context.now), 2, "c was signed after the question");
    bench.state.observe(&listed(4, &["v3"]));
    assert_eq!(bench.state.open_orders(bench.context.now), 2, "d may still be under way");
    bench.wait(120_000);
    bench.sign(Intent::CancelAll(CancelAll {
        venue: Venue::Bybit,
        market: Market::Linear,
        instrument: None,
    }));
    bench.state.observe(&listed(4, &["v3", "unknown"]));
    assert_eq!(bench.state.open_orders(bench.context.now), 2, "the unknown one may be d");
    bench.state.observe(&listed(4, &["v3"]));
    assert_eq!(bench.state.open_orders(bench.context.now), 1);
}
