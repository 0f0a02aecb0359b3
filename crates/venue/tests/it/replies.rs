//! Replies in our words.

use trading::{Intent, Market, Timestamp, Venue};
use venue::{
    Outcome, Transport, acknowledgement, decode, instruments_request, mark_prices_request,
    permissions_request, read_instruments, read_mark_prices, read_permissions,
};

fn cancel(venue: Venue) -> Intent {
    Intent::Cancel {
        instrument: format!("{venue}:spot:BTCUSDT").parse().expect("an instrument"),
        target: trading::OrderReference::Venue(trading::VenueOrderId::new("1").expect("an id")),
    }
}

fn ids(outcome: &Outcome) -> (Option<&str>, Option<&str>, Option<&str>) {
    match outcome {
        Outcome::Acknowledged(ack) => (
            ack.venue_order_id.as_ref().map(trading::VenueOrderId::as_str),
            ack.client_order_id.as_ref().map(trading::ClientOrderId::as_str),
            ack.status.as_deref(),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn binance_acknowledgements() {
    let one = cancel(Venue::Binance);
    let read = |transport, body| acknowledgement(Venue::Binance, &one, transport, body);
    let ok = read(Transport::Http(200), r#"{"symbol":"B","orderId":28,"clientOrderId":"x","status":"NEW"}"#);
    assert_eq!(ids(&ok[0]), (Some("28"), Some("x"), Some("NEW")));
    let stream = read(Transport::Stream, r#"{"id":1,"status":200,"result":{"orderId":28}}"#);
    assert_eq!(ids(&stream[0]).0, Some("28"));
    let rejected = Outcome::Rejected { code: "-2010".into(), message: "no".into() };
    assert_eq!(read(Transport::Http(400), r#"{"code":-2010,"msg":"no"}"#)[0], rejected);
    let refused = read(Transport::Stream, r#"{"id":1,"status":400,"error":{"code":-2010,"msg":"no"}}"#);
    assert_eq!(refused[0], rejected);
    for (status, body) in [
        (503, "{}"),
        (200, "not json"),
        (200, "{\"what\":1}"),
        (504, "{\"code\":-1007,\"msg\":\"\"}"),
        (400, "{\"code\":-1006,\"msg\":\"\"}"),
    ] {
        assert_eq!(read(Transport::Http(status), body), [Outcome::Unknown], "{body}");
    }
    let batch = Intent::Batch(vec![one.clone(), one.clone()]);
    let legs = acknowledgement(
        Venue::Binance,
        &batch,
        Transport::Http(200),
        r#"[{"orderId":1},{"code":-2010,"msg":"no"}]"#,
    );
    assert_eq!(ids(&legs[0]).0, Some("1"));
    assert_eq!(legs[1], rejected);
    let replaced = acknowledgement(
        Venue::Binance,
        &batch,
        Transport::Http(400),
        r#"{"code":-2022,"msg":"x","data":{"cancelResult":"FAILURE","newOrderResult":"NOT_ATTEMPTED","cancelResponse":{"code":-2011,"msg":"Unknown order sent."},"newOrderResponse":null}}"#,
    );
    assert!(matches!(&replaced[0], Outcome::Rejected { code, .. } if &**code == "-2011"));
    assert!(matches!(&replaced[1], Outcome::Rejected { code, .. } if &**code == "NOT_ATTEMPTED"));
    let whole = acknowledgement(Venue::Binance, &batch, Transport::Http(400), r#"{"code":-2010,"msg":"no"}"#);
    assert_eq!(whole, [rejected.clone(), rejected]);
}

#[test]
fn bybit_acknowledgements() {
    let one = cancel(Venue::Bybit);
    let read = |transport, body| acknowledgement(Venue::Bybit, &one, transport, body);
    let ok = read(
        Transport::Http(200),
        r#"{"retCode":0,"retMsg":"OK","result":{"orderId":"a-1","orderLinkId":""}}"#,
    );
    assert_eq!(ids(&ok[0]), (Some("a-1"), None, None));
    let stream =
        read(Transport::Stream, r#"{"reqId":"1","retCode":0,"op":"order.create","data":{"orderId":"a-1"}}"#);
    assert_eq!(ids(&stream[0]).0, Some("a-1"));
    assert!(matches!(
        &read(Transport::Http(200), r#"{"retCode":110001,"retMsg":"no"}"#)[0],
        Outcome::Rejected { .. }
    ));
    assert_eq!(read(Transport::Http(200), r#"{"retCode":10016,"retMsg":"x"}"#), [Outcome::Unknown]);
    let batch = Intent::Batch(vec![one.clone(), one.clone()]);
    let legs = acknowledgement(
        Venue::Bybit,
        &batch,
        Transport::Http(200),
        r#"{"retCode":0,"result":{"list":[{"orderId":"1"},{"orderId":""}]},"retExtInfo":{"list":[{"code":0,"msg":"OK"},{"code":170213,"msg":"no"}]}}"#,
    );
    assert_eq!(ids(&legs[0]).0, Some("1"));
    assert!(matches!(&legs[1], Outcome::Rejected { code, .. } if &**code == "170213"));
}

#[test]
fn instruments_and_prices() {
    let spot = r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","filters":[
        {"filterType":"PRICE_FILTER","tickSize":"0.01000000"},
        {"filterType":"LOT_SIZE","stepSize":"0.00001000","minQty":"0.00001000","maxQty":"9000.0"},
        {"filterType":"NOTIONAL","minNotional":"5.00000000"}]},{"symbol":"X"}]}"#;
    let page = read_instruments(Venue::Binance, Market::Spot, spot).expect("readable");
    assert_eq!(page.instruments.len(), 1);
    let rules = &page.instruments[0];
    assert_eq!(rules.tick.map(|tick| tick.to_string()).as_deref(), Some("0.01"));
    assert_eq!(rules.lot.map(|lot| lot.to_string()).as_deref(), Some("0.00001"));
    assert_eq!(rules.min_notional.map(|value| value.to_string()).as_deref(), Some("5"));
    let linear = r#"{"retCode":0,"result":{"category":"linear","nextPageCursor":"a%3D","list":[{"symbol":"BTCUSDT","status":"Trading",
        "priceFilter":{"tickSize":"0.10"},"lotSizeFilter":{"qtyStep":"0.001","minOrderQty":"0.001","maxOrderQty":"1190","minNotionalValue":"5"}}]}}"#;
    let page = read_instruments(Venue::Bybit, Market::Linear, linear).expect("readable");
    assert_eq!(page.next.as_deref(), Some("a%3D"));
    assert!(page.instruments[0].trading);
    let request = instruments_request(Venue::Bybit, Market::Linear, Some("a%3D")).expect("there is one");
    assert_eq!(request.target, "/v5/market/instruments-info?category=linear&limit=1000&cursor=a%3D");
    let book = r#"[{"symbol":"BTCUSDT","bidPrice":"100.1","askPrice":"100.2"},{"symbol":"E","bidPrice":"0","askPrice":"0"}]"#;
    let prices = read_mark_prices(Venue::Binance, Market::Spot, book).expect("readable");
    assert_eq!(prices.len(), 1);
    assert_eq!(prices[0].1.to_string(), "100.15");
    let tickers = r#"{"retCode":0,"result":{"list":[{"symbol":"BTCUSDT","markPrice":"60000.5"}]}}"#;
    let prices = read_mark_prices(Venue::Bybit, Market::Linear, tickers).expect("readable");
    assert_eq!(prices[0].1.to_string(), "60000.5");
    let request = mark_prices_request(Venue::Binance, Market::Linear, None).expect("there is one");
    assert_eq!(request.target, "/fapi/v1/premiumIndex");
    assert!(read_mark_prices(Venue::Bybit, Market::Linear, r#"{"retCode":10001,"retMsg":"x"}"#).is_err());
}

#[test]
fn key_permissions() {
    let sent_at = Timestamp::from_ms(1_772_600_061_460);
    for venue in Venue::ALL {
        assert_eq!(decode(&permissions_request(venue, sent_at, 5000)).expect("decodes").operation(), "read");
    }
    let binance = r#"{"ipRestrict":true,"createTime":1,"enableReading":true,"enableWithdrawals":false,
        "enableInternalTransfer":false,"enableSpotAndMarginTrading":true,"enableFutures":false}"#;
    let permissions = read_permissions(Venue::Binance, binance).expect("readable");
    assert!(permissions.can_trade && permissions.ip_bound && !permissions.is_dangerous());
    for (from, to) in [
        ("\"enableWithdrawals\":false", "\"enableWithdrawals\":true"),
        ("\"enableInternalTransfer\":false", "\"enableInternalTransfer\":true"),
        ("\"enableFutures\":false", "\"enableTeleport\":true"),
        ("\"enableFutures\":false", "\"enableTeleport\":1"),
    ] {
        let permissions = read_permissions(Venue::Binance, &binance.replace(from, to)).expect("readable");
        assert!(permissions.is_dangerous(), "{to}");
    }
    assert!(read_permissions(Venue::Binance, "{}").is_err());
    assert!(read_permissions(Venue::Binance, r#"{"code":-2015,"msg":"x"}"#).is_err());
    let bybit = r#"{"retCode":0,"result":{"readOnly":0,"permissions":{"ContractTrade":["Order","Position"],"Spot":["SpotTrade"],
        "Wallet":[],"Exchange":["ExchangeHistory"]},"ips":["*"],"expiredAt":"2026-12-31T00:00:00Z"}}"#;
    let permissions = read_permissions(Venue::Bybit, bybit).expect("readable");
    assert!(permissions.can_trade && !permissions.ip_bound && !permissions.is_dangerous());
    assert!(permissions.expires_at.is_some());
    for (from, to) in [
        ("\"Wallet\":[]", "\"Wallet\":[\"AccountTransfer\"]"),
        ("\"Wallet\":[]", "\"Wallet\":[\"Withdraw\"]"),
        ("\"Wallet\":[]", "\"FiatP2P\":[\"FiatP2POrder\"]"),
    ] {
        let permissions = read_permissions(Venue::Bybit, &bybit.replace(from, to)).expect("readable");
        assert!(permissions.is_dangerous(), "{to}");
    }
    let read_only = bybit.replace("\"readOnly\":0", "\"readOnly\":1");
    assert!(read_permissions(Venue::Bybit, &read_only).expect("readable").read_only);
}
