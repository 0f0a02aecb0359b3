//! The size factor: limits on size for new risk, scaled; nothing else.

use policy::{MarkPrice, State};
use proptest::prelude::*;
use trading::{Amount, Order, OrderType, Side, SizeFactor, TimeInForce, TradingState};

use crate::support::*;

const NONE: [&str; 0] = [];

fn factor(text: &str) -> SizeFactor {
    text.parse().expect("a factor")
}

fn at(text: &str, changes: &[(&str, &str)]) -> Bench {
    let mut bench = bench_with(changes);
    bench.state.set_size_factor(factor(text));
    bench
}

fn buy(quantity: &str, at: &str) -> Order {
    Order { amount: base(quantity), price: price(at), ..order() }
}

#[test]
fn quantity_at_below_and_above_its_share() {
    // Of 0.05 a half is 0.025.
    let bench = at("0.5", &[]);
    for (quantity, expected) in [
        ("0.024", &[][..]),
        ("0.025", &[]),
        ("0.026", &["quantity_over_limit"]),
        ("0.05", &["quantity_over_limit"]),
    ] {
        assert_eq!(bench.codes(place(buy(quantity, "10000"))), expected, "{quantity}");
    }
}

#[test]
fn a_share_between_two_lots_is_exact() {
    // Of 0.05 this is 0.016665: 0.016 fits, 0.017 does not, and neither is it rounded up to a lot.
    let bench = at("0.3333", &[("lot = \"0.001\"", "lot = \"0.000001\"")]);
    assert_eq!(bench.codes(place(buy("0.016665", "10000"))), NONE);
    assert_eq!(bench.codes(place(buy("0.016666", "10000"))), ["quantity_over_limit"]);
    let denied = bench.decide(bench.request(place(buy("0.016666", "10000"))));
    let policy::Decision::Deny(denied) = denied else { panic!("approved") };
    assert_eq!(denied.denials()[0].to_string(), "quantity 0.016666 exceeds 0.016665");
}

#[test]
fn notional_at_below_and_above_its_share() {
    // Of 1500 a half is 750.
    let bench = at("0.5", &[]);
    for (at, expected) in [("29999.9", &[][..]), ("30000", &[]), ("30000.1", &["notional_over_limit"])] {
        assert_eq!(bench.codes(place(buy("0.025", at))), expected, "{at}");
    }
}

#[test]
fn an_amount_in_quote_currency_is_compared_with_the_share_at_the_mark_price() {
    // A tenth of 0.05 at 60000 is 300; the notional's tenth is 150 and comes first.
    let changes = [("max_notional = \"1500\"", "max_notional = \"100000\"")];
    let mut bench = at("0.1", &changes);
    let spot = |sum: &str| {
        let amount = quote(sum);
        place(Order { instrument: instrument("bybit:spot:BTCUSDT"), amount, ..market_order() })
    };
    assert_eq!(bench.codes(spot("300")), NONE);
    assert_eq!(bench.codes(spot("300.01")), ["quote_amount_over_quantity"]);
    bench.state.set_size_factor(SizeFactor::ONE);
    assert_eq!(bench.codes(spot("3000")), NONE);
    assert_eq!(bench.codes(spot("3000.01")), ["quote_amount_over_quantity"]);
}

#[test]
fn resting_notional_at_below_and_above_its_share() {
    for field in ["account", "symbol"] {
        let account =
            ("max_open_notional = \"1000000000\"\nmax_net", "max_open_notional = \"1000\"\nmax_net");
        let symbol = ("max_open_notional = \"1000000000\"\ntick", "max_open_notional = \"1000\"\ntick");
        let (change, code) = match field {
            "account" => (account, "open_notional_over_limit"),
            _ => (symbol, "symbol_open_notional_over_limit"),
        };
        let mut bench = at("0.5", &[change]);
        bench.sign(place(buy("0.01", "30000")));
        for (at, expected) in [("19999.9", &[][..]), ("20000", &[]), ("20000.1", &[code])] {
            assert_eq!(bench.codes(place(buy("0.01", at))), expected, "{field} {at}");
        }
    }
}

#[test]
fn position_and_net_exposure_at_below_and_above_their_share() {
    let mut bench = at("0.5", &[("max_position = \"1000000\"", "max_position = \"0.04\"")]);
    bench.sign(place(buy("0.01", "30000")));
    for (quantity, expected) in [("0.009", &[][..]), ("0.01", &[]), ("0.011", &["position_over_limit"])] {
        assert_eq!(bench.codes(place(buy(quantity, "30000"))), expected, "{quantity}");
    }
    let mut bench = at("0.5", &[("max_net_exposure = \"1000000000\"", "max_net_exposure = \"1000\"")]);
    bench.sign(place(buy("0.01", "30000")));
    for (at, expected) in [("19999.9", &[][..]), ("20000", &[]), ("20000.1", &["net_exposure_over_limit"])] {
        assert_eq!(bench.codes(place(buy("0.01", at))), expected, "{at}");
    }
}

#[test]
fn reductions_are_never_scaled() {
    let mut bench = at("0.0001", &[]);
    assert_eq!(bench.codes(place(Order { amount: base("0.05"), ..exit() })), NONE);
    assert_eq!(bench.codes(place(Order { amount: base("0.051"), ..exit() })), ["quantity_over_limit"]);
    assert_eq!(bench.codes(place(Order { amount: Amount::WholePosition, ..exit() })), NONE);
    let resting = Order {
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        price: price("60000"),
        amount: base("0.05"),
        ..exit()
    };
    assert_eq!(bench.codes(place(resting)), NONE);
    assert_eq!(bench.codes(cancel("a")), NONE);
    bench.state.set_trading_state(TradingState::Reducing);
    assert_eq!(bench.codes(place(Order { amount: base("0.05"), ..exit() })), NONE);
    // On spot nothing keeps an order from opening one: that is new risk.
    bench.state.set_trading_state(TradingState::Active);
    let spot = Order { instrument: instrument("bybit:spot:BTCUSDT"), amount: base("0.05"), ..exit() };
    assert_eq!(bench.codes(place(spot)), ["quantity_over_limit", "notional_over_limit"]);
}

#[test]
fn an_amendment_is_new_risk() {
    let mut bench = bench();
    bench.sign(place(Order { amount: base("0.02"), price: price("30000"), ..named("a") }));
    bench.state.set_size_factor(factor("0.2"));
    let to =
        |quantity| trading::Intent::Amend(trading::Amendment { amount: Some(base(quantity)), ..amend("a") });
    assert_eq!(bench.codes(to("0.01")), NONE);
    assert_eq!(bench.codes(to("0.011")), ["quantity_over_limit", "notional_over_limit"]);
}

#[test]
fn budgets_rates_and_counts_are_not_sizes() {
    let changes = [("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"900\"")];
    let mut bench = at("0.2", &changes);
    for name in ["a", "b", "c"] {
        bench.sign(place(Order { amount: base("0.01"), price: price("30000"), ..named(name) }));
    }
    assert_eq!(bench.codes(place(buy("0.01", "20000"))), ["order_rate_over_limit", "day_budget_exceeded"]);
}

#[test]
fn the_largest_limit_a_policy_may_state_has_an_exact_share() {
    let most = "999999999999999.999999999999999999";
    let changes = [
        ("max_notional = \"1500\"", format!("max_notional = \"{most}\"")),
        ("max_position = \"1000000\"", format!("max_position = \"{most}\"")),
        ("max_open_notional = \"1000000000\"", format!("max_open_notional = \"{most}\"")),
    ];
    let changes = changes.each_ref().map(|(from, to)| (*from, to.as_str()));
    for text in ["0.0001", "0.3333", "0.9999"] {
        let bench = at(text, &changes);
        assert_eq!(bench.codes(place(buy("0.000001", "60000"))), ["quantity_off_lot"], "{text}: no overflow");
    }
}

#[test]
fn no_trading_state_changes_it() {
    let mut bench = at("0.5", &[]);
    for state in [TradingState::Halted, TradingState::Reducing, TradingState::Active] {
        bench.state.set_trading_state(state);
        assert_eq!(bench.state.size_factor(), factor("0.5"));
    }
}

#[test]
fn it_is_part_of_the_state_that_is_written_down() {
    let mut bench = bench();
    let before = (bench.state.digest(), serde_json::to_string(&bench.state).expect("text"));
    assert!(!before.1.contains("size_factor"), "a state without one reads as it always did");
    bench.state.set_size_factor(factor("0.25"));
    let text = serde_json::to_string(&bench.state).expect("text");
    let back: State = serde_json::from_str(&text).expect("a state");
    assert_eq!((&back, back.digest()), (&bench.state, bench.state.digest()));
    assert_eq!(back.size_factor(), factor("0.25"));
    // A factor that was changed in the text does not have the digest of the record.
    for other in ["0.5", "1"] {
        let forged: State =
            serde_json::from_str(&text.replace("\"0.25\"", &format!("\"{other}\""))).expect("a state");
        assert_ne!(forged.digest(), bench.state.digest());
    }
    for bad in ["0", "1.1", "-1", "0.00001"] {
        assert!(serde_json::from_str::<State>(&text.replace("0.25", bad)).is_err(), "{bad}");
    }
    bench.state.set_size_factor(SizeFactor::ONE);
    assert_ne!(bench.state.digest(), before.0, "the history is another");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_smaller_factor_never_approves_more(
        intents in prop::collection::vec(crate::properties::some_intent(), 1..12),
        factors in (1_u16..=10_000, 1_u16..=10_000),
        tight in any::<bool>(),
    ) {
        let steps = |steps: u16| -> SizeFactor {
            trading::Decimal::new(steps.into(), 4).expect("scale").try_into().expect("within 0 and 1")
        };
        let (small, large) = (steps(factors.0.min(factors.1)), steps(factors.0.max(factors.1)));
        let limits: &[(&str, &str)] = if tight {
            &[("max_position = \"1000000\"", "max_position = \"0.08\""), ("max_open_notional = \"1000000000\"", "max_open_notional = \"2000\"")]
        } else {
            &[]
        };
        let mut bench = bench_with(limits);
        for intent in intents {
            bench.wait(400);
            let mark = MarkPrice { price: "20000".parse().expect("price"), at: bench.context.now };
            bench.context.mark_prices.values_mut().for_each(|own| *own = mark);
            let request = bench.request(intent);
            let approves = |bench: &Bench| crate::properties::approves(&bench.policy, bench, &request);
            bench.state.set_size_factor(small);
            let under_small = approves(&bench);
            bench.state.set_size_factor(large);
            let under_large = approves(&bench);
            prop_assert!(!under_small || under_large, "{request:?}");
            let reduces = matches!(&request.intent, trading::Intent::Place(order)
                if order.can_only_reduce() && order.instrument == instrument("bybit:linear:BTCUSDT") && order.side == Side::Sell);
            prop_assert!(!reduces || under_small == under_large, "an exit was scaled: {request:?}");
            if let policy::Decision::Approve(approved) = policy::evaluate(&bench.policy, &bench.state, request, &bench.context) {
                bench.state.commit(&approved);
            }
        }
    }
}
