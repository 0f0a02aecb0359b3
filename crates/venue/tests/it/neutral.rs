//! What is encoded decodes to the same, for whatever the venue can express.

use proptest::prelude::*;
use trading::{
    Amendment, Amount, CancelAll, ClientOrderId, Decimal, Instrument, Intent, Market, Notional, Order,
    OrderReference, OrderType, Price, Quantity, Read, Side, Symbol, TimeInForce, Timestamp, Venue,
    VenueOrderId,
};
use venue::{Algorithm, attach, decode, encode, signing_input, split};

const SENT_AT: Timestamp = Timestamp::from_ms(1_772_600_061_460);

fn positive() -> impl Strategy<Value = Decimal> {
    (1_i128..1_000_000_000_000, 0_u8..=12)
        .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).expect("small"))
}

fn price() -> impl Strategy<Value = Price> {
    positive().prop_map(|value| Price::new(value).expect("positive"))
}

fn quantity() -> impl Strategy<Value = Quantity> {
    positive().prop_map(|value| Quantity::new(value).expect("positive"))
}

fn client_order_id() -> impl Strategy<Value = ClientOrderId> {
    "[ -~éж😀]{1,30}".prop_map(|text| ClientOrderId::new(text).expect("printable"))
}

fn instrument() -> impl Strategy<Value = Instrument> {
    let venues = prop_oneof![Just(Venue::Binance), Just(Venue::Bybit)];
    let markets = prop_oneof![
        Just(Market::Spot),
        Just(Market::Margin),
        Just(Market::Linear),
        Just(Market::Inverse),
        Just(Market::Option)
    ];
    let symbols =
        prop_oneof![Just("BTCUSDT"), Just("币安人生USDT"), Just("BTC-25DEC26-90000-C"), Just("A&B=C%")];
    (venues, markets, symbols).prop_map(|(venue, market, symbol)| Instrument {
        venue,
        market,
        symbol: Symbol::new(symbol).expect("a symbol"),
    })
}

fn target() -> impl Strategy<Value = OrderReference> {
    let venue_id = || "[1-9][0-9]{0,12}".prop_map(|text| VenueOrderId::new(text).expect("digits"));
    prop_oneof![
        client_order_id().prop_map(OrderReference::Client),
        venue_id().prop_map(OrderReference::Venue),
        (client_order_id(), venue_id()).prop_map(|(client, venue)| OrderReference::Both { client, venue }),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    let types = prop::sample::select(OrderType::ALL);
    let times = prop::sample::select(TimeInForce::ALL);
    let amounts = prop_oneof![
        4 => quantity().prop_map(Amount::Base),
        1 => positive().prop_map(|value| Amount::Quote(Notional::new(value).expect("positive"))),
        1 => Just(Amount::WholePosition),
    ];
    (
        (instrument(), prop::sample::select(Side::ALL), types, amounts),
        (price(), price(), times, any::<bool>(), any::<bool>(), prop::option::of(client_order_id())),
    )
        .prop_map(
            |((instrument, side, order_type, amount), (limit, trigger, time, post, reduce, id))| Order {
                instrument,
                side,
                order_type,
                amount,
                price: order_type.has_limit_price().then_some(limit),
                trigger_price: order_type.is_triggered().then_some(trigger),
                time_in_force: time,
                post_only: post,
                reduce_only: reduce,
                client_order_id: id,
            },
        )
}

/// Bends an order towards what venues can say, so that most cases get past the encoder.
fn sensible(order: Order) -> Order {
    let limit = order.order_type.has_limit_price();
    let time_in_force = match (order.order_type, order.time_in_force) {
        (OrderType::Market, _) => TimeInForce::ImmediateOrCancel,
        (_, TimeInForce::GoodTillDate) => TimeInForce::GoodTillCancel,
        (_, stated) if limit && !order.post_only => stated,
        _ => TimeInForce::GoodTillCancel,
    };
    let futures = matches!(order.instrument.market, Market::Linear | Market::Inverse);
    let whole = order.amount == Amount::WholePosition;
    let reduce_only = whole || (order.reduce_only && futures);
    Order { time_in_force, post_only: order.post_only && limit, reduce_only, ..order }
}

fn amendment() -> impl Strategy<Value = Amendment> {
    (
        (instrument(), target(), prop::option::of(prop::sample::select(Side::ALL))),
        (prop::option::of(quantity()), prop::option::of(price()), prop::option::of(price())),
        prop::option::of(client_order_id()),
    )
        .prop_map(|((instrument, target, side), (quantity, price, trigger), id)| Amendment {
            instrument,
            target,
            side,
            amount: quantity.map(Amount::Base),
            price,
            trigger_price: trigger,
            new_client_order_id: id,
        })
}

fn single() -> impl Strategy<Value = Intent> {
    prop_oneof![
        1 => order().prop_map(Intent::Place),
        4 => order().prop_map(sensible).prop_map(Intent::Place),
        2 => amendment().prop_map(Intent::Amend),
        2 => (instrument(), target()).prop_map(|(instrument, target)| Intent::Cancel { instrument, target }),
        1 => (instrument(), any::<bool>()).prop_map(|(instrument, all)| Intent::CancelAll(CancelAll {
            venue: instrument.venue,
            market: instrument.market,
            instrument: (!all).then_some(instrument),
        })),
    ]
}

/// Encodes and, where that works, checks that signing and reading give the same intent.
fn round_trip(intent: &Intent) -> Result<(), TestCaseError> {
    let unsigned = match encode(intent, SENT_AT, 5000) {
        Ok(unsigned) => unsigned,
        Err(error) => {
            // Every refusal names what cannot be said; "comes back different" would be our mistake.
            prop_assert_ne!(error.field(), "intent", "{:?}", intent);
            return Ok(());
        }
    };
    prop_assert_eq!(&decode(&unsigned), &Ok(intent.clone()));
    prop_assert_eq!(unsigned.sent_at(), Some(SENT_AT));
    prop_assert_eq!(unsigned.recv_window_ms(), Some(5000));
    let input = signing_input(&unsigned, "key");
    let sent = attach(unsigned.clone(), "key", Algorithm::Ed25519, &[7; 64]).http().expect("HTTP");
    let (presented, again) = split(unsigned.venue(), sent).expect("well formed");
    prop_assert_eq!(presented.api_key.as_str(), "key");
    prop_assert_eq!(presented.signature, Some(vec![7; 64]));
    prop_assert_eq!(signing_input(&again, "key"), input);
    prop_assert_eq!(&decode(&again), &Ok(intent.clone()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn one_intent_comes_back(intent in single()) {
        round_trip(&intent)?;
    }

    #[test]
    fn a_batch_comes_back(first in single(), others in prop::collection::vec(single(), 0..4), swap in any::<bool>()) {
        // Legs of one kind and market, so that the venue can express them.
        let mut legs = vec![first];
        for other in others {
            if std::mem::discriminant(&other) == std::mem::discriminant(&legs[0]) || swap {
                legs.push(moved_to(other, &legs[0]));
            }
        }
        round_trip(&Intent::Batch(legs))?;
    }

    #[test]
    fn no_bytes_panic(body in "[ -~]{0,80}", query in "[ -~]{0,40}", head in "[0-9a-f]{64}") {
        for venue in Venue::ALL {
            for path in ["/api/v3/order", "/fapi/v1/batchOrders", "/v5/order/create", "/v5/order/realtime"] {
                for method in ["GET", "POST", "DELETE"] {
                    let target = format!("{path}?{query}&timestamp=5&signature={head}");
                    let headers = [("X-MBX-APIKEY", "k"), ("X-BAPI-API-KEY", "k"), ("X-BAPI-SIGN", &head), ("X-BAPI-TIMESTAMP", "5")];
                    let request = crate::support::request(method, &target, &headers, &body);
                    if let Ok((presented, unsigned)) = split(venue, request.clone()) {
                        let _ = decode(&unsigned);
                        let signature = presented.signature.unwrap_or_default();
                        let algorithm = presented.algorithm.unwrap_or(Algorithm::HmacSha256);
                        let out = attach(unsigned, &presented.api_key, algorithm, &signature).http();
                        prop_assert_eq!(out, Some(request));
                    }
                }
            }
        }
    }
}

fn moved_to(leg: Intent, to: &Intent) -> Intent {
    let place = match to {
        Intent::Place(order) => order.instrument.clone(),
        Intent::Amend(amendment) => amendment.instrument.clone(),
        Intent::Cancel { instrument, .. } => instrument.clone(),
        _ => return leg,
    };
    match leg {
        Intent::Place(order) => Intent::Place(Order { instrument: place, ..order }),
        Intent::Amend(amendment) => Intent::Amend(Amendment { instrument: place, ..amendment }),
        Intent::Cancel { target, .. } => Intent::Cancel { instrument: place, target },
        other => other,
    }
}

fn limit(text: &str) -> Order {
    Order {
        instrument: text.parse().expect(text),
        side: Side::Buy,
        order_type: OrderType::Limit,
        amount: Amount::Base("0.5".parse().expect("a quantity")),
        price: Some("60000.5".parse().expect("a price")),
        trigger_price: None,
        time_in_force: TimeInForce::GoodTillCancel,
        post_only: false,
        reduce_only: false,
        client_order_id: None,
    }
}

fn field(order: Order) -> &'static str {
    encode(&Intent::Place(order), SENT_AT, 5000).expect_err("cannot be said").field()
}

#[test]
fn common_orders_can_be_said_everywhere() {
    let markets = ["binance:spot", "binance:margin", "binance:linear", "binance:inverse"];
    let more = ["bybit:spot", "bybit:margin", "bybit:linear", "bybit:inverse", "bybit:option"];
    for market in markets.into_iter().chain(more) {
        let base = limit(&format!("{market}:BTCUSDT"));
        let post_only = Order { post_only: true, ..base.clone() };
        let market_order = Order {
            order_type: OrderType::Market,
            price: None,
            time_in_force: TimeInForce::ImmediateOrCancel,
            ..base.clone()
        };
        for order in [base, post_only, market_order] {
            encode(&Intent::Place(order.clone()), SENT_AT, 5000).expect(market);
        }
    }
    for endpoint in ["GET /api/v3/openOrders", "GET /fapi/v1/openOrders", "GET /v5/order/realtime"] {
        let venue = if endpoint.contains("v5") { Venue::Bybit } else { Venue::Binance };
        let market = if endpoint.contains("api/v3") { "spot" } else { "linear" };
        let read = Read {
            venue,
            endpoint: endpoint.into(),
            instrument: Some(format!("{venue}:{market}:BTCUSDT").parse().expect("an instrument")),
        };
        encode(&Intent::Read(read), SENT_AT, 5000).expect(endpoint);
    }
}

#[test]
fn what_a_venue_cannot_say_is_named() {
    assert_eq!(field(Order { reduce_only: true, ..limit("binance:spot:BTCUSDT") }), "reduce_only");
    assert_eq!(field(Order { reduce_only: true, ..limit("bybit:spot:BTCUSDT") }), "reduce_only");
    assert_eq!(
        field(Order { time_in_force: TimeInForce::GoodTillDate, ..limit("bybit:linear:X") }),
        "time_in_force"
    );
    assert_eq!(field(Order { price: None, ..limit("bybit:linear:X") }), "price");
    assert_eq!(field(limit("binance:option:X")), "market");
    let quote = Amount::Quote("5".parse().expect("an amount"));
    assert_eq!(field(Order { amount: quote, ..limit("binance:linear:X") }), "amount");
    assert_eq!(field(Order { amount: quote, ..limit("bybit:spot:X") }), "amount");
}
