//! What must hold whatever is asked; for the fields of the policy see `tightening`.

use policy::{Decision, Policy, evaluate};
use proptest::prelude::*;
use trading::{
    Amendment, Amount, Decimal, Intent, Order, OrderType, Price, Quantity, Side, TimeInForce, TradingState,
};

use crate::support::*;

fn number(mantissa: i64, scale: u8) -> Decimal {
    Decimal::new(i128::from(mantissa), scale).expect("scale")
}

/// An order, a change of one, or several of both.
pub(crate) fn some_intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        6 => some_order(),
        2 => some_amendment(),
        1 => prop::collection::vec(prop_oneof![some_order(), some_amendment()], 1..4).prop_map(Intent::Batch),
    ]
}

fn some_amendment() -> impl Strategy<Value = Intent> {
    let lots = prop::option::of(1_i64..80);
    let ticks = prop::option::of(1_i64..800_000);
    (1_u8..6, lots, ticks, 0_u8..9).prop_map(|(name, lots, ticks, new)| {
        Intent::Amend(Amendment {
            amount: lots.map(|lots| Amount::Base(Quantity::new(number(lots, 3)).expect("positive"))),
            price: ticks.map(|ticks| Price::new(number(ticks, 1)).expect("positive")),
            new_client_order_id: (1..6).contains(&new).then(|| id(&new.to_string())),
            ..amend(&name.to_string())
        })
    })
}

fn some_order() -> impl Strategy<Value = Intent> {
    let amount = prop_oneof![
        8 => (1_i64..80).prop_map(|lots| Amount::Base(Quantity::new(number(lots, 3)).expect("positive"))),
        1 => (1_i64..2000).prop_map(|sum| Amount::Quote(trading::Notional::new(number(sum, 0)).expect("positive"))),
        1 => Just(Amount::WholePosition),
    ];
    let price = (1_i64..800_000).prop_map(|ticks| Price::new(number(ticks, 1)).expect("positive"));
    (
        amount,
        price,
        prop::sample::select(OrderType::ALL),
        prop::sample::select(TimeInForce::ALL),
        any::<[bool; 3]>(),
        0_u8..6,
        prop::sample::select(vec!["bybit:linear:BTCUSDT", "bybit:spot:BTCUSDT", "bybit:linear:ETHUSDT"]),
    )
        .prop_map(
            |(amount, price, order_type, time_in_force, [sells, post_only, reduce_only], name, at)| {
                Intent::Place(Order {
                    instrument: instrument(at),
                    side: if sells { Side::Sell } else { Side::Buy },
                    order_type,
                    amount,
                    price: order_type.has_limit_price().then_some(price),
                    trigger_price: order_type.is_triggered().then_some(price),
                    time_in_force,
                    post_only,
                    reduce_only,
                    client_order_id: (name > 0).then(|| id(&name.to_string())),
                })
            },
        )
}

pub(crate) fn approves(policy: &Policy, bench: &Bench, request: &policy::Request) -> bool {
    matches!(evaluate(policy, &bench.state, request.clone(), &bench.context), Decision::Approve(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_stricter_trading_state_never_approves_more(intents in prop::collection::vec(some_intent(), 1..10)) {
        let mut bench = bench();
        for intent in intents {
            bench.wait(300);
            let request = bench.request(intent);
            let mut approved = Vec::new();
            for state in [TradingState::Halted, TradingState::Reducing, TradingState::Active] {
                bench.state.set_trading_state(state);
                approved.push(approves(&bench.policy, &bench, &request));
            }
            prop_assert!(approved.is_sorted(), "{request:?}: {approved:?}");
            if let Decision::Approve(approved) = evaluate(&bench.policy, &bench.state, request, &bench.context) {
                bench.state.commit(&approved);
            }
        }
    }

    #[test]
    fn what_is_signed_stays_within_the_budgets(intents in prop::collection::vec(some_intent(), 1..60), gap in 1_u64..4_000_000) {
        let mut bench = bench_with(&[("max_open_orders = 4", "max_open_orders = 1000")]);
        let mut signed: Vec<(u64, Decimal)> = Vec::new();
        for intent in intents {
            bench.wait(gap);
            let is_exit = matches!(&intent, Intent::Place(order) if order.can_only_reduce());
            let request = bench.request(intent);
            if let Decision::Approve(approved) = bench.decide(request) {
                bench.state.commit(&approved);
                if !is_exit {
                    signed.push((bench.context.now.as_ms(), approved.notional()));
                }
            }
            let now = bench.context.now.as_ms();
            let sum = signed
                .iter()
                .filter(|(at, _)| now - at < 86_400_000)
                .fold(Decimal::ZERO, |sum, (_, worth)| sum.checked_add(*worth).expect("small"));
            prop_assert!(sum <= decimal("8000"), "{sum}");
        }
    }

    #[test]
    fn arbitrary_text_is_never_a_panic(text in "(version|bots|accounts|main|\\[|\\]|\\.|=| |\"|1|\n|é){0,60}") {
        let _ = Policy::parse(&text);
    }
}
