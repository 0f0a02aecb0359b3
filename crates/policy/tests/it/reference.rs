//! The rules' arithmetic against a second telling of them: lists of everything that happened, and
//! fractions of numbers without bounds. It shares nothing with the crate but its words.
//!
//! The million is `cargo nextest run --release -p policy --run-ignored all -E 'test(a_million)'`.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_rational::BigRational;
use policy::{MarkPrice, OrderName, VenueEvent};
use trading::{Amount, Decimal, Instrument, Order, OrderType, Price, Quantity, Side, TimeInForce};

use crate::support::*;

/// What is compared.
const CODES: [&str; 14] = [
    "quantity_over_limit",
    "notional_over_limit",
    "price_off_tick",
    "quantity_off_lot",
    "order_rate_over_limit",
    "message_rate_over_limit",
    "day_budget_exceeded",
    "rolling_budget_exceeded",
    "open_orders_over_limit",
    "open_notional_over_limit",
    "symbol_open_notional_over_limit",
    "position_over_limit",
    "net_exposure_over_limit",
    "price_outside_collar",
];
const ORDERS_A_SESSION: usize = 60;
const DAY_MS: u64 = 86_400_000;
const BUCKET_MS: u64 = 300_000;

/// A small generator with a seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = usize::try_from(self.below(all.len() as u64)).expect("an index");
        all[at]
    }
}

fn ratio(decimal: Decimal) -> BigRational {
    BigRational::new(BigInt::from(decimal.mantissa()), BigInt::from(10).pow(u32::from(decimal.scale())))
}

fn of(text: &str) -> BigRational {
    ratio(decimal(text))
}

fn zero() -> BigRational {
    of("0")
}

/// What the account may do, drawn for a session.
struct Limits {
    quantity: &'static str,
    notional: &'static str,
    position: &'static str,
    symbol_open: &'static str,
    open: &'static str,
    net: &'static str,
    day: &'static str,
    rolling: &'static str,
    collar_bps: u64,
    open_orders: usize,
    orders_a_second: usize,
    messages_a_second: usize,
    kept: usize,
}

impl Limits {
    fn draw(random: &mut Random) -> Self {
        Self {
            quantity: random.one_of(&["0.02", "0.05", "1"]),
            notional: random.one_of(&["900", "1500", "2999.99"]),
            position: random.one_of(&["0.03", "0.1", "5"]),
            symbol_open: random.one_of(&["1000", "4000.5", "100000"]),
            open: random.one_of(&["1500", "6000.25", "100000"]),
            net: random.one_of(&["1200", "5000.000001", "100000"]),
            day: random.one_of(&["3000", "12000.5", "1000000"]),
            rolling: random.one_of(&["4000", "15000", "1000000"]),
            collar_bps: random.one_of(&[1, 100, 5_000]),
            open_orders: random.one_of(&[2, 6, 100]),
            orders_a_second: random.one_of(&[1, 3, 50]),
            messages_a_second: random.one_of(&[3, 6, 60]),
            kept: random.one_of(&[1, 2]),
        }
    }

    fn bench(&self) -> Bench {
        let table = |tick: &str| {
            format!(
                "max_quantity = \"{}\"\nmax_notional = \"{}\"\nmax_position = \"{}\"\nmax_open_notional = \"{}\"\ntick = \"{tick}\"",
                self.quantity, self.notional, self.position, self.symbol_open
            )
        };
        let plain = |tick: &str| {
            format!(
                "max_quantity = \"0.05\"\nmax_notional = \"1500\"\nmax_position = \"1000000\"\nmax_open_notional = \"1000000000\"\ntick = \"{tick}\""
            )
        };
        let changes = [
            (plain("0.1"), table("0.1")),
            (plain("0.01"), table("0.01")),
            (
                "max_open_notional = \"1000000000\"\nmax_net".into(),
                format!("max_open_notional = \"{}\"\nmax_net", self.open),
            ),
            ("max_net_exposure = \"1000000000\"".into(), format!("max_net_exposure = \"{}\"", self.net)),
            ("notional_per_utc_day = \"5000\"".into(), format!("notional_per_utc_day = \"{}\"", self.day)),
            (
                "notional_rolling_24h = \"8000\"".into(),
                format!("notional_rolling_24h = \"{}\"", self.rolling),
            ),
            (
                "max_price_deviation_bps = 1000000".into(),
                format!("max_price_deviation_bps = {}", self.collar_bps),
            ),
            ("max_open_orders = 4".into(), format!("max_open_orders = {}", self.open_orders)),
            ("new_orders_per_second = 3".into(), format!("new_orders_per_second = {}", self.orders_a_second)),
            ("messages_per_second = 6".into(), format!("messages_per_second = {}", self.messages_a_second)),
            (
                "kept_for_cancels_per_second = 1".into(),
                format!("kept_for_cancels_per_second = {}", self.kept),
            ),
            ("\"900000\"".into(), "\"900000000\"".into()),
        ];
        let changes: Vec<(&str, &str)> =
            changes.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        bench_with(&changes)
    }
}

/// A signed order as the second telling keeps it.
struct Signed {
    number: u64,
    order: Order,
    at: u64,
    charge: BigRational,
    /// What it is worth at its own price.
    value: BigRational,
    /// `None` while it counts as open; how many words on the position have come since it went.
    gone_for: Option<u8>,
    rejected: bool,
}

impl Signed {
    fn is_linear(&self) -> bool {
        self.order.instrument.market == trading::Market::Linear
    }

    fn quantity(&self) -> BigRational {
        ratio(self.order.quantity().expect("stated").decimal())
    }

    fn rests(&self) -> bool {
        self.order.time_in_force == TimeInForce::GoodTillCancel
    }

    fn is_exit(&self) -> bool {
        self.order.reduce_only && self.is_linear()
    }

    fn is_open(&self) -> bool {
        self.gone_for.is_none() && !self.rejected
    }

    /// Whether it may be part of the position beyond what the venue told.
    fn may_be_held(&self) -> bool {
        let lingers = self.is_linear() && self.gone_for.is_some_and(|told| told < 2);
        !self.rejected
            && !self.is_exit()
            && (lingers || (self.is_open() && (self.is_linear() || self.rests())))
    }
}

/// Everything that happened.
struct History {
    signed: Vec<Signed>,
    messages: Vec<u64>,
    position: BigRational,
    mark: BigRational,
}

impl History {
    fn spent(&self, counts: impl Fn(u64) -> bool) -> BigRational {
        self.signed.iter().filter(|signed| counts(signed.at)).map(|signed| signed.charge.clone()).sum()
    }

    /// The worst long and short position of an instrument, in base currency or in value.
    fn worst(
        &self,
        instrument: &Instrument,
        measure: impl Fn(&Signed) -> BigRational,
        price: &BigRational,
    ) -> [BigRational; 2] {
        let on = |side: Side| -> BigRational {
            let counts = |signed: &&Signed| {
                signed.may_be_held() && signed.order.instrument == *instrument && signed.order.side == side
            };
            self.signed.iter().filter(counts).map(&measure).sum()
        };
        let linear = instrument.market == trading::Market::Linear;
        let held = if linear { self.position.clone() * price } else { zero() };
        let floor = |sum: BigRational| if sum < zero() { zero() } else { sum };
        [floor(on(Side::Buy) + held.clone()), floor(on(Side::Sell) - held)]
    }

    /// The codes that an order must be denied with.
    fn judge(&self, order: &Order, limits: &Limits, now: u64) -> BTreeSet<&'static str> {
        let mut codes = BTreeSet::new();
        let mut deny = |code: &'static str, when: bool| {
            if when {
                codes.insert(code);
            }
        };
        let new = new_entry(order, now, &self.mark, limits);
        let exit = new.is_exit();
        let quantity = new.quantity();
        deny("quantity_over_limit", quantity > of(limits.quantity));
        deny("quantity_off_lot", !(quantity.clone() / of(lot(order))).is_integer());
        let price = order.price.map(|price| ratio(price.decimal()));
        deny("price_off_tick", price.as_ref().is_some_and(|price| !(price / of(tick(order))).is_integer()));
        let within = |at: u64| now - at < 1000;
        let orders = self.signed.iter().filter(|signed| within(signed.at)).count();
        deny("order_rate_over_limit", orders + 1 > limits.orders_a_second);
        let messages = self.messages.iter().filter(|at| within(**at)).count();
        deny("message_rate_over_limit", messages + 1 > limits.messages_a_second - limits.kept);
        if exit {
            return codes;
        }
        deny("notional_over_limit", new.charge > of(limits.notional));
        let today = self.spent(|at| at / DAY_MS == now / DAY_MS) + &new.charge;
        deny("day_budget_exceeded", today > of(limits.day));
        let last_day = self.spent(|at| now / BUCKET_MS - at / BUCKET_MS < 289) + &new.charge;
        deny("rolling_budget_exceeded", last_day > of(limits.rolling));
        if let Some(price) = &price {
            let share = BigRational::new(BigInt::from(limits.collar_bps), BigInt::from(10_000));
            let beyond = match order.side {
                Side::Buy => price > &(&self.mark * (of("1") + share)),
                Side::Sell => price < &(&self.mark * (of("1") - share)),
            };
            deny("price_outside_collar", beyond);
        }
        let resting = |signed: &&Signed| signed.is_open() && signed.rests() && !signed.is_exit();
        if new.rests() {
            let open = self.signed.iter().filter(|signed| signed.is_open() && signed.rests()).count();
            deny("open_orders_over_limit", open + 1 > limits.open_orders);
            let all: BigRational =
                self.signed.iter().filter(resting).map(|signed| signed.value.clone()).sum();
            deny("open_notional_over_limit", all + &new.charge > of(limits.open));
            let same = self
                .signed
                .iter()
                .filter(resting)
                .filter(|signed| signed.order.instrument == order.instrument);
            let same: BigRational = same.map(|signed| signed.value.clone()).sum();
            deny("symbol_open_notional_over_limit", same + &new.charge > of(limits.symbol_open));
        }
        if new.rests() || new.is_linear() {
            let side = order.side as usize;
            let mut worst = self.worst(&order.instrument, Signed::quantity, &of("1"));
            worst[side] += quantity;
            deny(
                "position_over_limit",
                self.added(&order.instrument, order.side, &new.quantity()) > of(limits.position),
            );
            deny("net_exposure_over_limit", self.net_with(order, &new.charge) > of(limits.net));
        }
        codes
    }

    /// The position with `more` on `side`: what is held the other way counts against it.
    fn added(&self, instrument: &Instrument, side: Side, more: &BigRational) -> BigRational {
        self.worst(instrument, Signed::quantity, &of("1"))[side as usize].clone() + more
    }

    fn net_with(&self, order: &Order, more: &BigRational) -> BigRational {
        let mut sum = zero();
        for instrument in ["bybit:linear:BTCUSDT", "bybit:spot:BTCUSDT"].map(instrument) {
            let mut worst = self.worst(&instrument, |signed| signed.value.clone(), &of("60000"));
            let before = worst.iter().max().expect("two").clone();
            if instrument == order.instrument {
                worst[order.side as usize] += more;
            }
            sum += worst.iter().max().expect("two").max(&before);
        }
        sum
    }
}

fn lot(order: &Order) -> &'static str {
    if order.instrument.market == trading::Market::Linear { "0.001" } else { "0.00001" }
}

fn tick(order: &Order) -> &'static str {
    if order.instrument.market == trading::Market::Linear { "0.1" } else { "0.01" }
}

/// The order as signed now, with what it takes from the budgets and what it is worth.
fn new_entry(order: &Order, at: u64, mark: &BigRational, limits: &Limits) -> Signed {
    let quantity = ratio(order.quantity().expect("stated").decimal());
    let own = order.price.map(|price| ratio(price.decimal()));
    let worst = match (&own, order.side) {
        (Some(own), Side::Buy) => own.clone(),
        (Some(own), Side::Sell) => own.max(mark).clone(),
        (None, _) => mark.clone(),
    };
    let mut charge = &quantity * worst;
    if order.reduce_only {
        // An exit takes no more than it can be worth, whatever price it states.
        charge = charge.min((&quantity * mark).max(of(limits.notional)));
    }
    let value = own.map_or(charge.clone(), |own| &quantity * own);
    Signed { number: 0, order: order.clone(), at, charge, value, gone_for: None, rejected: false }
}

fn draw_order(random: &mut Random) -> Order {
    let linear = random.below(3) > 0;
    let market = random.below(4) == 0;
    let exact = if linear { 3 } else { 5 };
    // Now and then a digit too many.
    let scale = if random.below(12) == 0 { exact + 1 } else { exact };
    let lots =
        Decimal::new(i128::from(1 + random.below(if linear { 60 } else { 6_000 })), scale).expect("scale");
    let cents =
        Decimal::new(i128::from(5_900_000 + random.below(200_000)), if random.below(8) == 0 { 3 } else { 2 });
    let tenths = Decimal::new(i128::from(590_000 + random.below(20_000)), 1);
    let price = Price::new(if linear && random.below(8) > 0 { tenths } else { cents }.expect("scale"))
        .expect("positive");
    let side = random.one_of(Side::ALL);
    Order {
        instrument: instrument(if linear { "bybit:linear:BTCUSDT" } else { "bybit:spot:BTCUSDT" }),
        side,
        order_type: if market { OrderType::Market } else { OrderType::Limit },
        amount: Amount::Base(Quantity::new(lots).expect("positive")),
        price: (!market).then_some(price),
        trigger_price: None,
        time_in_force: if market { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel },
        post_only: false,
        reduce_only: linear && random.below(10) == 0,
        client_order_id: None,
    }
}

/// One session; returns how many orders were compared.
fn session(seed: u64) -> usize {
    let mut random = Random(seed);
    let limits = Limits::draw(&mut random);
    let mut bench = limits.bench();
    let mut history =
        History { signed: Vec::new(), messages: Vec::new(), position: zero(), mark: of("60000") };
    for turn in 0..ORDERS_A_SESSION {
        bench.wait(1 + random.one_of(&[0, 50, 400, 999, 1000, 20_000]));
        happen(&mut random, &mut bench, &mut history);
        let order = draw_order(&mut random);
        let now = bench.context.now.as_ms();
        let expected = history.judge(&order, &limits, now);
        let said = bench.codes(place(order.clone()));
        let compared: BTreeSet<&str> = said.iter().copied().filter(|code| CODES.contains(code)).collect();
        assert_eq!(compared, expected, "seed {seed}, turn {turn}: {order:?}");
        if said.is_empty() {
            let number = bench.state.next_order();
            let at = bench.context.now.as_ms();
            history.signed.push(Signed { number, ..new_entry(&order, at, &history.mark, &limits) });
            history.messages.push(at);
            bench.sign(place(order));
        }
    }
    ORDERS_A_SESSION
}

/// What the venue or the bot does between two orders.
fn happen(random: &mut Random, bench: &mut Bench, history: &mut History) {
    match random.below(8) {
        0 | 1 if !history.signed.is_empty() => {
            let at = usize::try_from(random.below(history.signed.len() as u64)).expect("an index");
            let signed = &mut history.signed[at];
            if signed.is_open() && signed.rests() {
                let name = OrderName::Number(signed.number);
                if random.below(3) == 0 {
                    bench.state.rejected(name);
                    signed.rejected = true;
                } else {
                    bench.state.closed(name);
                    signed.gone_for = Some(0);
                }
            }
        }
        2 => tell_position(random, bench, history),
        3 => {
            history.messages.push(bench.context.now.as_ms());
            bench.sign(cancel("any"));
            lapse(bench, history);
        }
        4 => {
            let mark = Decimal::new(i128::from(595_000 + random.below(10_000)), 1).expect("scale");
            history.mark = ratio(mark);
            let now = bench.context.now;
            for own in bench.context.mark_prices.values_mut() {
                *own = MarkPrice { price: Price::new(mark).expect("positive"), at: now };
            }
        }
        5 if random.below(20) == 0 => bench.wait(DAY_MS / 3),
        _ => {}
    }
}

/// Orders that cannot rest are over when their signature has expired: window 5000 ms, skew 1000 ms.
fn lapse(bench: &Bench, history: &mut History) {
    let counted = bench.context.now.as_ms() - 1;
    for signed in history.signed.iter_mut().filter(|signed| signed.is_open() && !signed.rests()) {
        if signed.at + 6000 < counted {
            signed.gone_for = Some(0);
        }
    }
}

fn tell_position(random: &mut Random, bench: &mut Bench, history: &mut History) {
    // Counts as a moment of its own, so that what has expired is over for both tellings.
    history.messages.push(bench.context.now.as_ms());
    bench.sign(cancel("any"));
    lapse(bench, history);
    let quantity = Decimal::new(i128::from(random.below(60)) - 30, 3).expect("scale");
    history.position = ratio(quantity);
    for signed in history.signed.iter_mut().filter(|signed| signed.is_linear()) {
        signed.gone_for = signed.gone_for.map(|told| told.saturating_add(1));
    }
    let below = bench.state.next_order();
    let price = "60000".parse().expect("price");
    let instrument = instrument("bybit:linear:BTCUSDT");
    bench.state.observe(&VenueEvent::Position { instrument, quantity, price, below });
}

fn compare(cases: usize) {
    let (mut compared, mut seed) = (0, 1);
    while compared < cases {
        compared += session(seed);
        seed += 1;
    }
    println!("{compared} orders judged alike, seeds 1 to {}", seed - 1);
}

#[test]
fn two_tellings_of_the_rules_agree() {
    compare(4_000);
}

#[test]
#[ignore = "minutes; the figures are in docs/policy.md"]
fn two_tellings_of_the_rules_agree_a_million_times() {
    compare(1_000_000);
}
