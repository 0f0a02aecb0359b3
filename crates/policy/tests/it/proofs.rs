//! The arithmetic that decides, for every value of small domains, against fractions.
//!
//! What is small here is small only in digits: the same code runs for all numbers that fit, and the
//! edges where they cease to fit are tried by name.

use num_bigint::BigInt;
use num_rational::BigRational;
use policy::{Decision, Denial, MarkPrice, OrderName, Policy, State, VenueEvent, evaluate};
use trading::{Amount, Decimal, Market, Notional, Order, OrderType, Price, Quantity, Side, SizeFactor};

use crate::support::*;

const LINEAR: &str = "bybit:linear:BTCUSDT";
const DAY_MS: u64 = 86_400_000;
const BUCKET_MS: u64 = 300_000;

fn number(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).expect("scale")
}

fn whole(mantissa: u64) -> Decimal {
    number(mantissa.into(), 0)
}

fn ratio(decimal: Decimal) -> BigRational {
    BigRational::new(decimal.mantissa().into(), BigInt::from(10).pow(decimal.scale().into()))
}

fn limit_order(side: Side, quantity: u64, price: u64) -> Order {
    Order {
        side,
        amount: Amount::Base(Quantity::new(whole(quantity)).expect("positive")),
        price: Some(Price::new(whole(price)).expect("positive")),
        ..order()
    }
}

/// A policy of whole numbers in which only what `changes` says can deny.
fn wide(changes: &[(&str, &str)]) -> Policy {
    let text = text_with(&[
        ("max_open_orders = 4", "max_open_orders = 10000"),
        ("max_quantity = \"0.05\"", "max_quantity = \"1000000\""),
        ("max_notional = \"1500\"", "max_notional = \"1000000000\""),
        ("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"1000000000\""),
        ("notional_rolling_24h = \"8000\"", "notional_rolling_24h = \"1000000000\""),
        ("\"900000\"", "\"1000000000\""),
        ("new_orders_per_second = 3", "new_orders_per_second = 9000"),
        ("messages_per_second = 6", "messages_per_second = 9000"),
    ]);
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    Policy::parse(&text).expect("policy")
}

fn bench_at(policy: Policy, mark: u64) -> Bench {
    let mut bench = bench_of(policy);
    set_mark(&mut bench, mark);
    bench
}

fn set_mark(bench: &mut Bench, mark: u64) {
    let mark = MarkPrice { price: Price::new(whole(mark)).expect("positive"), at: bench.context.now };
    bench.context.mark_prices.values_mut().for_each(|own| *own = mark);
}

fn codes(bench: &Bench, state: &State, order: Order) -> Vec<&'static str> {
    match evaluate(&bench.policy, state, bench.request(place(order)), &bench.context) {
        Decision::Approve(_) => Vec::new(),
        Decision::Deny(denied) => denied.denials().iter().map(Denial::code).collect(),
    }
}

fn expect(found: &[&str], code: &str, denied: bool, what: &dyn std::fmt::Debug) {
    let expected: &[&str] = if denied { &[code] } else { &[] };
    assert_eq!(found, expected, "{what:?}");
}

#[test]
fn a_notional_is_the_exact_product() {
    for (price, price_scale) in (1..=40).flat_map(|price| [0, 1, 5, 12].map(|scale| (price, scale))) {
        for (quantity, scale) in (1..=40).flat_map(|quantity| [0, 2, 8, 18].map(|scale| (quantity, scale))) {
            let (price, quantity) = (number(price, price_scale), number(quantity, scale));
            let product =
                Price::new(price).expect("positive").times(Quantity::new(quantity).expect("positive"));
            assert_eq!(ratio(product.expect("small").decimal()), ratio(price) * ratio(quantity));
        }
    }
}

#[test]
fn a_product_that_does_not_fit_is_none_and_the_last_that_fits_is_exact() {
    let times = |price: Decimal, quantity: Decimal| {
        Price::new(price).expect("positive").times(Quantity::new(quantity).expect("positive"))
    };
    let most = number(i128::MAX, 0);
    assert_eq!(times(most, Decimal::ONE).map(Notional::decimal), Some(most));
    assert_eq!(times(most, whole(2)), None);
    assert_eq!(
        times(number(i128::MAX / 2, 0), whole(2)).map(Notional::decimal),
        Some(number(i128::MAX - 1, 0))
    );
    assert_eq!(times(number(i128::MAX / 2 + 1, 0), whole(2)), None);
    assert_eq!(times(number(1, 38), Decimal::ONE).map(Notional::decimal), Some(number(1, 38)));
    assert_eq!(times(number(1, 38), number(1, 1)), None, "39 digits behind the point");
    assert_eq!(times(number(5, 38), number(2, 1)).map(Notional::decimal), Some(number(1, 38)));
}

#[test]
fn the_quantity_and_notional_limits_compare_exactly_at_every_size_factor() {
    for limit in 1..=8_u64 {
        let text = format!("max_quantity = \"{limit}\"");
        let quantities = wide(&[("max_quantity = \"1000000\"", &text)]);
        let text = format!("max_notional = \"{limit}\"");
        let notionals = wide(&[("max_notional = \"1000000000\"", &text)]);
        for tenths in 1..=10_u64 {
            let factor: SizeFactor = number(tenths.into(), 1).try_into().expect("within 0 and 1");
            let (mut by_quantity, mut by_notional) =
                (bench_at(quantities.clone(), 1), bench_at(notionals.clone(), 1));
            by_quantity.state.set_size_factor(factor);
            by_notional.state.set_size_factor(factor);
            for quantity in 1..=9 {
                let found = codes(&by_quantity, &by_quantity.state, limit_order(Side::Buy, quantity, 1));
                let over = quantity * 10 > limit * tenths;
                expect(&found, "quantity_over_limit", over, &(limit, tenths, quantity));
                for price in 1..=4 {
                    let order = limit_order(Side::Buy, quantity, price);
                    let found = codes(&by_notional, &by_notional.state, order);
                    let over = quantity * price * 10 > limit * tenths;
                    expect(&found, "notional_over_limit", over, &(limit, tenths, quantity, price));
                }
            }
        }
    }
}

#[test]
fn every_size_factor_of_every_small_limit_is_exact() {
    for steps in 1..=10_000_u16 {
        let factor: SizeFactor = number(steps.into(), 4).try_into().expect("within 0 and 1");
        for limit in [1, 3, 7, 10, 33] {
            let share = factor.quantity(Quantity::new(number(limit, 3)).expect("positive")).expect("small");
            // 10^-7 is the finest digit of both.
            let share = share.decimal();
            let scaled = share.mantissa() * 10_i128.pow(7 - u32::from(share.scale()));
            assert_eq!(scaled, limit * i128::from(steps), "{limit} {steps}");
        }
    }
}

#[test]
fn the_collar_compares_exactly() {
    for points in [1_u64, 2_500, 5_000, 9_999, 10_000, 10_001, 25_000] {
        let text = format!("max_price_deviation_bps = {points}");
        let policy =
            wide(&[("max_price_deviation_bps = 1000000", &text), ("tick = \"0.1\"", "tick = \"1\"")]);
        for reference in 1..=24 {
            let bench = bench_at(policy.clone(), reference);
            for price in 1..=40 {
                for side in [Side::Buy, Side::Sell] {
                    let found = codes(&bench, &bench.state, limit_order(side, 1, price));
                    let over = match side {
                        Side::Buy => price * 10_000 > reference * (10_000 + points),
                        Side::Sell => (price * 10_000) + reference * points < reference * 10_000,
                    };
                    expect(&found, "price_outside_collar", over, &(points, reference, price, side));
                }
            }
        }
    }
}

#[test]
fn tick_and_lot_are_exact_divisors() {
    for step in 1..=12_u64 {
        let (tick, lot) = (format!("tick = \"{step}\""), format!("lot = \"{step}\""));
        let by_tick = bench_at(wide(&[("tick = \"0.1\"", &tick)]), 1);
        let by_lot = bench_at(wide(&[("lot = \"0.001\"", &lot)]), 1);
        for value in 1..=40 {
            let found = codes(&by_tick, &by_tick.state, limit_order(Side::Buy, 1, value));
            expect(&found, "price_off_tick", value % step != 0, &(step, value));
            let found = codes(&by_lot, &by_lot.state, limit_order(Side::Buy, value, 1));
            expect(&found, "quantity_off_lot", value % step != 0, &(step, value));
        }
    }
}

/// Calls `visit` with every sequence of `length` of `0..kinds`.
fn sequences(kinds: usize, length: u32, mut visit: impl FnMut(&[usize])) {
    let mut sequence = vec![0; length as usize];
    for mut number in 0..kinds.pow(length) {
        for place in &mut sequence {
            (*place, number) = (number % kinds, number / kinds);
        }
        visit(&sequence);
    }
}

#[test]
fn the_order_rate_counts_exactly_the_last_second() {
    const GAPS: [u64; 5] = [0, 1, 500, 999, 1000];
    for limit in 1..=3_u64 {
        let text = format!("new_orders_per_second = {limit}");
        let policy = wide(&[
            ("new_orders_per_second = 9000", &text),
            ("duplicate_window_ms = 1", "duplicate_window_ms = 1"),
        ]);
        sequences(GAPS.len(), 4, |gaps| {
            let mut bench = bench_at(policy.clone(), 1);
            let mut signed: Vec<u64> = Vec::new();
            for (turn, gap) in gaps.iter().enumerate() {
                bench.wait(GAPS[*gap]);
                let now = bench.context.now.as_ms();
                // Each order says something else, so that none is a duplicate.
                let order = limit_order(Side::Buy, 1 + turn as u64, 1);
                let request = bench.request(place(order));
                let within = signed.iter().filter(|at| now - **at < 1000).count() as u64;
                match evaluate(&bench.policy, &bench.state, request, &bench.context) {
                    Decision::Approve(approved) => {
                        assert!(within < limit, "{gaps:?} {limit}");
                        bench.state.commit(&approved);
                        signed.push(now);
                    }
                    Decision::Deny(denied) => {
                        assert!(within >= limit, "{gaps:?} {limit}: {:?}", denied.denials());
                    }
                }
            }
        });
    }
}

#[test]
fn budgets_count_the_day_and_the_buckets_exactly() {
    const LIMIT: u64 = 3;
    const GAPS: [u64; 5] = [1, BUCKET_MS, DAY_MS - 1, DAY_MS, DAY_MS + BUCKET_MS - 1];
    let is_of_day = |at: u64, now: u64| at / DAY_MS == now / DAY_MS;
    let is_of_buckets = |at: u64, now: u64| now / BUCKET_MS - at / BUCKET_MS <= 288;
    let fields: [(_, _, &dyn Fn(u64, u64) -> bool); 2] = [
        ("notional_per_utc_day", "day_budget_exceeded", &is_of_day),
        ("notional_rolling_24h", "rolling_budget_exceeded", &is_of_buckets),
    ];
    for (field, code, counts) in fields {
        let before = format!("{field} = \"1000000000\"");
        let text = format!("{field} = \"{LIMIT}\"");
        let policy = wide(&[(before.as_str(), text.as_str())]);
        sequences(GAPS.len() * 2, 3, |steps| {
            let mut bench = bench_at(policy.clone(), 1);
            // The first order is signed in the last millisecond of a day, or in the first of the next.
            bench.wait(DAY_MS - NOW % DAY_MS - 2);
            let mut signed: Vec<(u64, u64)> = Vec::new();
            for step in steps {
                bench.wait(GAPS[step % GAPS.len()]);
                let (now, amount) = (bench.context.now.as_ms(), 1 + (step / GAPS.len()) as u64);
                let spent: u64 = signed.iter().filter(|(at, _)| counts(*at, now)).map(|(_, sum)| sum).sum();
                let request = bench.request(place(limit_order(Side::Buy, amount, 1)));
                match evaluate(&bench.policy, &bench.state, request, &bench.context) {
                    Decision::Approve(approved) => {
                        assert!(spent + amount <= LIMIT, "{field} {steps:?}");
                        bench.state.commit(&approved);
                        signed.push((now, amount));
                    }
                    Decision::Deny(denied) => {
                        // The bot's own budget is the same and is met with the account's.
                        let codes: Vec<_> = denied.denials().iter().map(Denial::code).collect();
                        assert!(
                            spent + amount > LIMIT && codes == [code, code],
                            "{field} {steps:?}: {codes:?}"
                        );
                    }
                }
            }
        });
    }
}

/// A signed order as the exposure counts it: side, quantity, and how many words on the position came
/// since it went (`None` while it is open).
type Known = (Side, i64, Option<u8>);

#[test]
fn the_worst_position_is_counted_exactly() {
    // Buy 1 or 2, sell 1 or 2, close or reject the first or second order, tell −2, 0 or 2.
    const STEPS: usize = 11;
    let limits: Vec<Bench> = (1..=4)
        .map(|limit| {
            let text = format!("max_position = \"{limit}\"");
            bench_at(wide(&[("max_position = \"1000000\"", &text)]), 1)
        })
        .collect();
    let signing = bench_at(wide(&[]), 1);
    sequences(STEPS, 3, |steps| {
        let mut state = State::new(account("main"));
        let (mut orders, mut told): (Vec<Option<Known>>, i64) = (Vec::new(), 0);
        for (turn, step) in steps.iter().enumerate() {
            match step {
                0..4 => {
                    let side = if step % 2 == 0 { Side::Buy } else { Side::Sell };
                    let quantity = 1 + (step / 2) as u64;
                    let order = limit_order(side, quantity, 1 + turn as u64);
                    let request = signing.request(place(order));
                    let Decision::Approve(approved) =
                        evaluate(&signing.policy, &state, request, &signing.context)
                    else {
                        panic!("{steps:?}")
                    };
                    state.commit(&approved);
                    orders.push(Some((side, i64::try_from(quantity).expect("small"), None)));
                }
                4..8 => {
                    let at = step % 2;
                    let name = OrderName::Number(at as u64);
                    if *step < 6 {
                        state.closed(name);
                    } else {
                        state.rejected(name);
                    }
                    if let Some(own) = orders.get_mut(at)
                        && let Some((_, _, gone @ None)) = own
                    {
                        *gone = Some(0);
                        if *step >= 6 {
                            *own = None;
                        }
                    }
                }
                _ => {
                    told = [-2, 0, 2][step - 8];
                    let (instrument, quantity) = (instrument(LINEAR), Decimal::from_integer(told));
                    let price = "1".parse().expect("price");
                    let below = state.next_order();
                    state.observe(&VenueEvent::Position { instrument, quantity, price, below });
                    for (_, _, gone) in orders.iter_mut().flatten() {
                        *gone = gone.map(|words| words + 1);
                    }
                }
            }
        }
        for side in [Side::Buy, Side::Sell] {
            let counts = |known: &&Known| known.0 == side && known.2.is_none_or(|words| words < 2);
            let signed: i64 = orders.iter().flatten().filter(counts).map(|known| known.1).sum();
            let held = if side == Side::Buy { told } else { -told };
            let worst = (held + signed).max(0);
            for (limit, bench) in (1..).zip(&limits) {
                let found = codes(bench, &state, limit_order(side, 1, 9));
                expect(&found, "position_over_limit", worst + 1 > limit, &(steps, side, limit));
            }
        }
    });
}

#[test]
fn an_age_of_a_price_is_its_distance_from_the_clock() {
    for limit in [1_u64, 2, 5] {
        let bench_of_limit =
            wide(&[("max_mark_price_age_ms = 2000", &format!("max_mark_price_age_ms = {limit}"))]);
        for (age, ahead) in (0..=8_u64).flat_map(|age| [(age, false), (age, true)]) {
            let mut bench = bench_at(bench_of_limit.clone(), 1);
            let now = bench.context.now.as_ms();
            let at = if ahead { now + age } else { now - age };
            bench.context.mark_prices.values_mut().for_each(|mark| mark.at = trading::Timestamp::from_ms(at));
            let order = Order {
                order_type: OrderType::Market,
                price: None,
                post_only: false,
                ..limit_order(Side::Buy, 1, 1)
            };
            assert_eq!(order.instrument.market, Market::Linear);
            expect(
                &codes(&bench, &bench.state, order),
                "mark_price_stale",
                age > limit,
                &(limit, age, ahead),
            );
        }
    }
}
