//! Matching and books of account, driven without a clock.

use paper::exchange::{
    Cause, Command, Event, Exchange, NewOrder, Recording, Reject, Rules, Size, Status, Target, Trigger,
};
use proptest::prelude::*;
use trading::{Decimal, Market, Side, TimeInForce};

fn decimal(text: &str) -> Decimal {
    text.parse().expect(text)
}

struct Desk {
    exchange: Exchange,
    account: usize,
    spot: usize,
    linear: usize,
}

impl Desk {
    fn new(seed: u64) -> Self {
        let rules = Rules {
            unified: false,
            client_ids_once: false,
            spot_fee: decimal("0.001"),
            maker_fee: decimal("0.0002"),
            taker_fee: decimal("0.0005"),
            leverage: 10,
        };
        let listed =
            paper::default_instruments().into_iter().map(|spec| (spec, Recording::default())).collect();
        let mut exchange = Exchange::new(rules, listed, seed, 1_000_000_000);
        let account = exchange.open_account("main");
        exchange.deposit(account, Market::Spot, "USDT", decimal("100000"));
        exchange.deposit(account, Market::Spot, "BTC", decimal("1"));
        exchange.deposit(account, Market::Linear, "USDT", decimal("10000"));
        let spot = exchange.instrument(Market::Spot, "BTCUSDT").expect("listed");
        let linear = exchange.instrument(Market::Linear, "BTCUSDT").expect("listed");
        Self { exchange, account, spot, linear }
    }

    fn order(&self, instrument: usize, side: Side, price: Option<&str>, quantity: &str) -> NewOrder {
        NewOrder {
            account: self.account,
            instrument,
            side,
            price: price.map(decimal),
            size: Size::Base(decimal(quantity)),
            time_in_force: if price.is_some() {
                TimeInForce::GoodTillCancel
            } else {
                TimeInForce::ImmediateOrCancel
            },
            post_only: false,
            reduce_only: false,
            trigger: None,
            client_id: String::new(),
            type_name: "LIMIT",
            reject_unfit: false,
        }
    }

    fn place(&mut self, order: NewOrder) -> Result<u64, Reject> {
        self.exchange.apply(Command::Place(order), 1_000_000_100).result.map(|ids| ids[0])
    }

    fn status(&self, id: u64) -> (Status, Option<Cause>) {
        let order = self.exchange.order(id).expect("remembered");
        (order.status, order.cause)
    }

    fn step(&mut self, at: u64) -> Vec<Event> {
        self.exchange.apply(Command::Step, at).events
    }
}

#[test]
fn the_same_seed_and_commands_give_the_same_events() {
    let run = |seed| {
        let mut desk = Desk::new(seed);
        let mut events = Vec::new();
        for at in 0..50 {
            let order = desk.order(desk.spot, Side::Buy, None, "0.01");
            events.extend(desk.exchange.apply(Command::Place(order), 1_000_000_000 + at).events);
            events.extend(desk.step(1_000_000_000 + at));
        }
        events
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_resting_buy_fills_as_maker_when_the_price_comes_to_it() {
    let mut desk = Desk::new(1);
    let id = desk.place(desk.order(desk.spot, Side::Buy, Some("59000"), "0.5")).expect("rests");
    assert_eq!(desk.status(id), (Status::New, None));
    let price = Command::SetPrice { instrument: desk.spot, price: decimal("58000") };
    let events = desk.exchange.apply(price, 1_000_000_200).events;
    assert_eq!(desk.status(id).0, Status::Filled);
    let fills = events.iter().filter_map(|event| match event {
        Event::Order { fill: Some(fill), .. } => Some(fill),
        _ => None,
    });
    for fill in fills {
        assert!(fill.maker && fill.price == decimal("59000"));
    }
}

#[test]
fn post_only_is_rejected_or_cancelled_and_fill_or_kill_is_whole_or_nothing() {
    let mut desk = Desk::new(1);
    let post = NewOrder { post_only: true, ..desk.order(desk.spot, Side::Buy, Some("61000"), "0.1") };
    assert_eq!(desk.place(NewOrder { reject_unfit: true, ..post.clone() }), Err(Reject::WouldTake));
    let id = desk.place(post).expect("accepted, then cancelled");
    assert_eq!(desk.status(id), (Status::Cancelled, Some(Cause::WouldTake)));
    let kill = NewOrder {
        time_in_force: TimeInForce::FillOrKill,
        ..desk.order(desk.spot, Side::Sell, Some("60100"), "0.5")
    };
    let id = desk.place(kill).expect("accepted, then cancelled");
    assert_eq!(desk.status(id), (Status::Cancelled, Some(Cause::Unfillable)));
    let taken = NewOrder {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..desk.order(desk.spot, Side::Buy, Some("60010"), "1")
    };
    let id = desk.place(taken).expect("accepted");
    assert!(matches!(desk.status(id).0, Status::Filled | Status::Cancelled));
}

#[test]
fn filters_are_exact() {
    let mut desk = Desk::new(1);
    let mut check = |price: &str, quantity: &str, expected| {
        assert_eq!(desk.place(desk.order(desk.spot, Side::Buy, Some(price), quantity)).err(), expected);
    };
    check("50000.001", "0.001", Some(Reject::Price));
    check("1000000.01", "0.001", Some(Reject::Price));
    check("50000", "0.000001", Some(Reject::Lot));
    check("50000", "9000.00001", Some(Reject::Lot));
    check("99999999999999999999", "99999999999999999", Some(Reject::Price));
    check("50000", "0.00009", Some(Reject::Notional));
    check("50000", "0.0001", None);
    check("50000", "2", Some(Reject::Balance));
}

#[test]
fn a_client_id_may_live_once() {
    let mut desk = Desk::new(1);
    let named =
        NewOrder { client_id: "a".to_owned(), ..desk.order(desk.spot, Side::Buy, Some("50000"), "0.001") };
    let id = desk.place(named.clone()).expect("first");
    assert_eq!(desk.place(named.clone()), Err(Reject::Duplicate));
    let target = Target::Client("a".to_owned());
    let cancel = Command::Cancel { account: desk.account, instrument: desk.spot, target };
    assert_eq!(desk.exchange.apply(cancel.clone(), 0).result, Ok(vec![id]));
    assert_eq!(desk.exchange.apply(cancel, 0).result, Err(Reject::UnknownOrder));
    assert!(desk.place(named).is_ok());
}

#[test]
fn open_orders_are_bounded() {
    let mut desk = Desk::new(1);
    for _ in 0..paper::exchange::MAX_OPEN_ORDERS {
        desk.place(desk.order(desk.spot, Side::Buy, Some("50000"), "0.0002")).expect("room");
    }
    let one_more = desk.order(desk.spot, Side::Buy, Some("50000"), "0.0002");
    assert_eq!(desk.place(one_more), Err(Reject::TooManyOrders));
}

#[test]
fn an_amendment_that_cannot_be_paid_leaves_the_order_as_it_was() {
    let mut desk = Desk::new(1);
    let id = desk.place(desk.order(desk.spot, Side::Buy, Some("50000"), "1")).expect("rests");
    let amend = |quantity: &str| Command::Amend {
        account: desk.account,
        instrument: desk.spot,
        target: Target::Id(id),
        price: None,
        quantity: Some(decimal(quantity)),
        trigger_price: None,
    };
    let (too_much, enough, same) = (amend("3"), amend("2"), amend("2"));
    assert_eq!(desk.exchange.apply(too_much, 1).result, Err(Reject::Balance));
    assert_eq!(desk.exchange.order(id).expect("open").locked, decimal("50000"));
    assert!(desk.exchange.apply(enough, 1).result.is_ok());
    assert_eq!(desk.exchange.order(id).expect("open").locked, decimal("100000"));
    assert_eq!(desk.exchange.apply(same, 1).result, Err(Reject::Unchanged));
}

#[test]
fn reduce_only_never_opens_and_margin_bounds_what_does() {
    let mut desk = Desk::new(1);
    let reduce = |desk: &Desk, quantity| NewOrder {
        reduce_only: true,
        ..desk.order(desk.linear, Side::Sell, None, quantity)
    };
    assert_eq!(desk.place(reduce(&desk, "0.1")), Err(Reject::ReduceOnly));
    assert_eq!(desk.place(desk.order(desk.linear, Side::Buy, None, "2")), Err(Reject::Margin));
    desk.place(desk.order(desk.linear, Side::Buy, None, "0.1")).expect("opens");
    let id = desk.place(reduce(&desk, "0.5")).expect("shrinks to the position");
    assert_eq!(desk.exchange.order(id).expect("done").filled, decimal("0.1"));
    assert_eq!(desk.place(reduce(&desk, "0.1")), Err(Reject::ReduceOnly));
}

#[test]
fn a_stop_wakes_when_the_price_passes_it() {
    let mut desk = Desk::new(1);
    let trigger = Some(Trigger { price: decimal("62000"), rising: true });
    let stop = NewOrder { trigger, ..desk.order(desk.linear, Side::Buy, None, "0.01") };
    let id = desk.place(stop.clone()).expect("waits");
    assert_eq!(desk.status(id).0, Status::Untriggered);
    for (at, price) in ["61000", "62500", "62500", "62500", "62500", "62500"].into_iter().enumerate() {
        let price = Command::SetPrice { instrument: desk.linear, price: decimal(price) };
        desk.exchange.apply(price, 1_000_000_000 + at as u64);
    }
    assert_eq!(desk.status(id).0, Status::Filled);
    assert_eq!(desk.place(stop), Err(Reject::WouldTrigger));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is asked, balances never go negative and locks equal what open orders hold.
    #[test]
    fn money_is_conserved(
        asks in proptest::collection::vec((any::<bool>(), 58_000_i64..62_000, 1_i64..40_000, 0_u8..5), 1..60),
        seed in 0_u64..1_000
    ) {
        let mut desk = Desk::new(seed);
        let mut last = std::collections::BTreeMap::new();
        for (at, (buy, price, lots, shape)) in asks.into_iter().enumerate() {
            let side = if buy { Side::Buy } else { Side::Sell };
            let quantity = Decimal::new(i128::from(lots), 5).expect("digits").to_string();
            let price = price.to_string();
            let mut order = desk.order(desk.spot, side, (shape != 0).then_some(price.as_str()), &quantity);
            order.post_only = shape == 1;
            if shape == 2 {
                order.time_in_force = TimeInForce::FillOrKill;
            }
            let mut events = desk.exchange.apply(Command::Place(order), 1_000_000_000 + at as u64).events;
            if shape == 3 {
                let all = Command::CancelAll { account: desk.account, market: Market::Spot, instrument: None };
                events.extend(desk.exchange.apply(all, 1_000_000_000 + at as u64).events);
            }
            events.extend(desk.step(1_000_000_000 + at as u64));
            for event in events {
                if let Event::Balances { changed, .. } = event {
                    for (asset, balance) in changed {
                        prop_assert!(!balance.free.is_negative() && !balance.locked.is_negative());
                        last.insert(asset, balance);
                    }
                }
            }
            let held = |side| desk.exchange.open_orders(desk.account).filter(|order| order.request.side == side)
                .fold(Decimal::ZERO, |sum, order| sum.checked_add(order.locked).expect("small"));
            let locked = |asset: &str| last.get(asset).copied().unwrap_or_default().locked;
            prop_assert_eq!(held(Side::Buy), locked("USDT"));
            prop_assert_eq!(held(Side::Sell), locked("BTC"));
        }
    }
}
