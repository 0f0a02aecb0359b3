//! Tightening never approves more, whatever is asked.

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

/// The policy text with every number as given: counts, then amounts.
fn text(counts: &[u64; 6], amounts: &[i64; 5], steps: (i64, i64)) -> String {
    let [skew, window, age, open, orders, messages] = counts;
    let [leverage, day, rolling, quantity, notional] = amounts;
    let set = |from: &'static str, to: String| (from, to);
    let changes = [
        set("max_clock_skew_ms = 1000", format!("max_clock_skew_ms = {skew}")),
        set("max_recv_window_ms = 5000", format!("max_recv_window_ms = {window}")),
        set("max_mark_price_age_ms = 2000", format!("max_mark_price_age_ms = {age}")),
        set("max_open_orders = 4", format!("max_open_orders = {open}")),
        set("new_orders_per_second = 3", format!("new_orders_per_second = {orders}")),
        set("messages_per_second = 6", format!("messages_per_second = {}", messages + 1)),
        set("max_leverage = \"3\"", format!("max_leverage = \"{leverage}\"")),
        set("notional_per_utc_day = \"5000\"", format!("notional_per_utc_day = \"{day}\"")),
        set("notional_rolling_24h = \"8000\"", format!("notional_rolling_24h = \"{rolling}\"")),
        set("max_quantity = \"0.05\"", format!("max_quantity = \"{}\"", number(*quantity, 3))),
        set("max_notional = \"1500\"", format!("max_notional = \"{notional}\"")),
        set("tick = \"0.1\"", format!("tick = \"{}\"", number(steps.0, 1))),
        set("lot = \"0.001\"", format!("lot = \"{}\"", number(steps.1, 3))),
    ];
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    text_with(&changes)
}

const COUNTS: [u64; 6] = [2000, 8000, 4000, 8, 8, 8];
const AMOUNTS: [i64; 5] = [5, 5000, 6000, 60, 2500];

fn shrunk(field: usize, part: i64) -> Policy {
    let (mut counts, mut amounts, mut steps) = (COUNTS, AMOUNTS, (1, 1));
    match field {
        0..6 => counts[field] = (counts[field] * part.unsigned_abs() / 100).max(1),
        6..11 => amounts[field - 6] = (amounts[field - 6] * part / 100).max(1),
        11 => steps.0 = part,
        _ => steps.1 = part,
    }
    Policy::parse(&text(&counts, &amounts, steps)).expect("policy")
}

pub(crate) fn approves(policy: &Policy, bench: &Bench, request: &policy::Request) -> bool {
    matches!(evaluate(policy, &bench.state, request.clone(), &bench.context), Decision::Approve(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn tightening_a_number_never_approves_more(
        intents in prop::collection::vec(some_intent(), 1..20),
        field in 0_usize..13,
        part in 1_i64..100,
        age in 0_u64..5000,
        skew in 0_i64..3000,
        window in prop::option::of(1_u64..10_000),
    ) {
        let loose = Policy::parse(&text(&COUNTS, &AMOUNTS, (1, 1))).expect("policy");
        let tight = shrunk(field, part);
        prop_assert!(loose.is_tightening(&tight));
        let mut bench = bench();
        for intent in intents {
            bench.wait(300);
            let at = trading::Timestamp::from_ms(bench.context.now.as_ms() - age);
            bench.context.mark_prices.values_mut().for_each(|mark| mark.at = at);
            let mut request = bench.request(intent);
            request.recv_window_ms = window;
            request.sent_at = Some(trading::Timestamp::from_ms(bench.context.now.as_ms() - skew.unsigned_abs()));
            if approves(&tight, &bench, &request) {
                prop_assert!(approves(&loose, &bench, &request), "{request:?}");
            }
            if let Decision::Approve(approved) = evaluate(&loose, &bench.state, request, &bench.context) {
                bench.state.commit(&approved);
            }
        }
    }

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
