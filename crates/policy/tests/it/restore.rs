//! Counters rebuilt from the log are the counters that were.

use policy::{Decision, OrderName, Recorded, State};
use proptest::prelude::*;
use trading::{Amendment, Intent, Order, Side};

use crate::support::*;

#[derive(Debug, Clone)]
enum Step {
    Ask(Box<Intent>),
    Wait(u64),
    Acknowledge(u8),
    Close(u8),
}

fn name(number: u8) -> String {
    format!("id-{number}")
}

fn step() -> impl Strategy<Value = Step> {
    let some_order = (0_u8..6, 1_i64..30, prop::bool::ANY).prop_map(|(number, lots, market)| {
        let amount = base(&trading::Decimal::new(i128::from(lots), 3).expect("scale").to_string());
        let order = if market { market_order() } else { order() };
        place(Order { amount, client_order_id: Some(id(&name(number))), ..order })
    });
    let some_amendment = (0_u8..6, 1_i64..30, 0_u8..9).prop_map(|(number, lots, new)| {
        let amount = base(&trading::Decimal::new(i128::from(lots), 3).expect("scale").to_string());
        let new_client_order_id = (new < 6).then(|| id(&name(new)));
        Intent::Amend(Amendment {
            amount: Some(amount),
            price: price("50000"),
            new_client_order_id,
            ..amend(&name(number))
        })
    });
    prop_oneof![
        4 => some_order.clone().prop_map(|intent| Step::Ask(Box::new(intent))),
        2 => some_amendment.clone().prop_map(|intent| Step::Ask(Box::new(intent))),
        1 => (some_order, some_amendment).prop_map(|(one, other)| Step::Ask(Box::new(Intent::Batch(vec![one, other])))),
        1 => (0_u8..6).prop_map(|number| Step::Ask(Box::new(cancel(&name(number))))),
        3 => (0_u64..10_000_000).prop_map(Step::Wait),
        3 => (0_u64..2_000).prop_map(Step::Wait),
        2 => (0_u8..6).prop_map(Step::Acknowledge),
        2 => (0_u8..6).prop_map(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn restoring_is_committing(steps in prop::collection::vec(step(), 1..80)) {
        let mut bench = bench_with(&[
            ("max_open_orders = 4", "max_open_orders = 40"),
            ("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"50000\""),
            ("notional_rolling_24h = \"8000\"", "notional_rolling_24h = \"80000\""),
        ]);
        let mut restored = State::new(account("main"));
        for (index, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wait(ms) => bench.wait(ms),
                Step::Ask(intent) => {
                    let request = bench.request(*intent);
                    if let Decision::Approve(approved) = bench.decide(request) {
                        bench.state.commit(&approved);
                        let kept = serde_json::to_string(approved.recorded()).expect("serialises");
                        let read: Recorded = serde_json::from_str(&kept).expect("reads");
                        restored.restore(&read);
                    }
                }
                Step::Acknowledge(number) => {
                    let venue_id = venue_id(&format!("v{index}"));
                    bench.state.acknowledged(OrderName::Client(id(&name(number))), venue_id.clone());
                    restored.acknowledged(OrderName::Client(id(&name(number))), venue_id);
                }
                Step::Close(number) => {
                    bench.state.closed(OrderName::Client(id(&name(number))));
                    restored.closed(OrderName::Client(id(&name(number))));
                }
            }
            prop_assert_eq!(&bench.state, &restored);
            prop_assert_eq!(bench.state.digest(), restored.digest());
        }
    }
}

#[test]
fn the_table_is_full_at_its_capacity_and_makes_room_of_what_is_old() {
    let rate = [
        ("new_orders_per_second = 3", "new_orders_per_second = 1000"),
        ("messages_per_second = 6", "messages_per_second = 1000"),
        ("max_open_orders = 4", "max_open_orders = 10000"),
        ("notional_rolling_24h = \"900000\"", "notional_rolling_24h = \"900000000\""),
        ("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"1000000000\""),
        ("notional_rolling_24h = \"8000\"", "notional_rolling_24h = \"1000000000\""),
    ];
    let mut bench = bench_with(&rate);
    let resting = |number: usize| Order {
        amount: base("0.001"),
        client_order_id: Some(id(&number.to_string())),
        ..order()
    };
    let Decision::Approve(first) = bench.decide(bench.request(place(resting(0)))) else { panic!("denied") };
    let sign = |bench: &mut Bench, number: usize| {
        let at = bench.context.now;
        let expires = trading::Timestamp::from_ms(at.as_ms() + 6000);
        bench.state.restore(&Recorded {
            intent: place(resting(number)),
            at,
            expires,
            ..first.recorded().clone()
        });
    };
    for number in 0..65_534 {
        if number % 500 == 0 {
            bench.wait(1000);
        }
        sign(&mut bench, number);
    }
    bench.wait(1000);
    let full = |bench: &Bench, legs: Vec<Intent>| {
        let codes = bench.codes(Intent::Batch(legs));
        codes.iter().filter(|code| **code == "order_table_full").count()
    };
    let named = |number: usize| place(Order { client_order_id: Some(id(&number.to_string())), ..order() });
    let renamed = |new: Option<&str>| {
        let new_client_order_id = new.map(id);
        Intent::Amend(Amendment { amount: Some(base("0.001")), new_client_order_id, ..amend("9") })
    };
    assert_eq!(full(&bench, vec![named(70_000)]), 0, "two places are left");
    assert_eq!(full(&bench, vec![named(70_000), named(70_001)]), 0);
    assert_eq!(full(&bench, vec![named(70_000), named(70_001), named(70_002)]), 1);
    assert_eq!(full(&bench, vec![place(market_order()), place(market_order()), named(70_002)]), 1);
    assert_eq!(full(&bench, vec![renamed(Some("x")), named(70_001), named(70_002)]), 1, "a new id takes one");
    assert_eq!(full(&bench, vec![renamed(None), named(70_001), named(70_002)]), 0, "no new id takes none");
    assert_eq!(full(&bench, vec![cancel("9"), named(70_001), named(70_002)]), 0);
    for number in 65_534..65_536 {
        sign(&mut bench, number);
    }
    bench.wait(1000);
    assert!(bench.codes(place(resting(70_000))).contains(&"order_table_full"));
    assert!(bench.codes(place(market_order())).contains(&"order_table_full"), "without an id too");
    bench.wait(86_400_000 - 133_001);
    assert!(bench.codes(place(resting(70_000))).contains(&"order_table_full"));
    bench.wait(1);
    assert!(!bench.codes(place(resting(70_000))).contains(&"order_table_full"));
    bench.wait(200_000);
    bench.sign(place(resting(70_000)));
}

#[test]
fn what_cannot_rest_leaves_the_table_with_its_signature() {
    let mut bench = bench();
    let instant = Order { amount: base("0.001"), client_order_id: Some(id("a")), ..market_order() };
    bench.sign(place(instant.clone()));
    // Window 5000 ms (the venue's default) and tolerated skew 1000 ms, from a millisecond ago.
    bench.wait(5999);
    assert_eq!(bench.codes(place(instant.clone())), ["client_order_id_live"]);
    bench.wait(1);
    assert_eq!(bench.codes(place(instant)), [""; 0]);
}

#[test]
fn a_state_written_down_and_read_back_judges_the_same() {
    let mut bench = bench_with(&[
        ("max_repeats = 1000", "max_repeats = 2"),
        ("repeat_window_ms = 1", "repeat_window_ms = 1000"),
        ("prevent_self_crossing = false", "prevent_self_crossing = true"),
        ("max_net_exposure = \"1000000000\"", "max_net_exposure = \"2500\""),
    ]);
    let linear = order().instrument;
    let position = |bench: &mut Bench, quantity: &str| {
        let price = price("60000").expect("price");
        let (instrument, below) = (linear.clone(), bench.state.next_order());
        bench.state.observe(&policy::VenueEvent::Position {
            instrument,
            quantity: decimal(quantity),
            price,
            below,
        });
    };
    position(&mut bench, "0.01");
    bench.sign(place(named("rests")));
    bench.sign(place(Order { amount: base("0.002"), ..market_order() }));
    bench.state.closed(OrderName::Client(id("rests")));
    bench.wait(1000);
    bench.sign(place(Order { side: Side::Sell, price: price("61000"), ..named("sells") }));
    position(&mut bench, "0.02");
    let spot = || Order { instrument: instrument("bybit:spot:BTCUSDT"), amount: base("0.001"), ..order() };
    bench.sign(place(spot()));
    bench.sign(place(spot()));
    bench.wait(900);
    let text = serde_json::to_string(&bench.state).expect("serialises");
    let read: State = serde_json::from_str(&text).expect("reads back");
    assert_eq!(read.digest(), bench.state.digest());
    assert!(read.is_stopped(&spot().instrument));
    let other = Bench { policy: bench.policy.clone(), state: read, context: bench.context.clone() };
    for asked in [
        place(order()),
        place(spot()),
        place(Order { post_only: false, price: price("61000"), ..order() }),
        place(Order { post_only: false, price: price("60999"), ..order() }),
        place(Order { amount: base("0.025"), ..order() }),
        place(Order { side: Side::Sell, amount: base("0.025"), ..order() }),
        place(named("rests")),
        place(named("sells")),
        cancel("sells"),
    ] {
        assert_eq!(bench.codes(asked.clone()), other.codes(asked));
    }
}

#[test]
fn what_is_not_a_state_is_not_read_as_one() {
    let text = serde_json::to_string(&bench().state).expect("serialises");
    for (from, to) in [
        ("\"total\":0", "\"total\":-1"),
        ("\"recent\":[]", "\"recent\":[1]"),
        ("\"recent\":[]", "\"recent\":[[1,18446744073709551615]]"),
        ("\"recent\":[]", "\"recent\":[[1,18446744073709551615],[1,1]]"),
        ("\"next\":0", "\"nex\":0"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text);
        assert!(serde_json::from_str::<State>(&bad).is_err(), "{bad}");
    }
}
