//! What requests mean, and what is refused by name.

use trading::{Amount, Intent, Market, Order, OrderType, TimeInForce, Timestamp, Venue};
use venue::{Operation, Undecodable, Unsigned, decode, extras, from_native_json, is_public, split};

use crate::support::request;

const HMAC: &str = "e194fa62d4c02e39016af156ae21faf2d31358a34aaddd0521a42dfbeeee47f6";

fn binance(endpoint: &str, parameters: &str) -> Unsigned {
    let (method, path) = endpoint.split_once(' ').expect("METHOD /path");
    let target = format!("{path}?{parameters}&timestamp=1772600061460&signature={HMAC}");
    split(Venue::Binance, request(method, &target, &[("X-MBX-APIKEY", "k")], "")).expect("well formed").1
}

fn bybit(endpoint: &str, payload: &str) -> Unsigned {
    let (method, path) = endpoint.split_once(' ').expect("METHOD /path");
    let headers = [
        ("X-BAPI-API-KEY", "k"),
        ("X-BAPI-TIMESTAMP", "1772603128310"),
        ("X-BAPI-RECV-WINDOW", "5000"),
        ("X-BAPI-SIGN", HMAC),
        ("Referer", "CCXT"),
    ];
    let (target, body) =
        if method == "GET" { (format!("{path}?{payload}"), "") } else { (path.to_owned(), payload) };
    split(Venue::Bybit, request(method, &target, &headers, body)).expect("well formed").1
}

fn placed(unsigned: &Unsigned) -> Order {
    match decode(unsigned).expect("decodes") {
        Intent::Place(order) => order,
        other => panic!("{other:?}"),
    }
}

fn refused(unsigned: &Unsigned) -> String {
    let error = decode(unsigned).expect_err("is refused");
    error.field().unwrap_or("endpoint").to_owned()
}

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=5";

#[test]
fn binance_orders_mean_what_the_documentation_says() {
    let order = placed(&binance("POST /api/v3/order", ORDER));
    assert_eq!(
        (order.order_type, order.post_only, order.instrument.market),
        (OrderType::Limit, false, Market::Spot)
    );
    let order = placed(&binance(
        "POST /sapi/v1/margin/order",
        &format!("{ORDER}&isIsolated=TRUE&sideEffectType=AUTO_REPAY"),
    ));
    assert_eq!(order.instrument.market, Market::Margin);
    let order = placed(&binance("POST /fapi/v1/order", &ORDER.replace("GTC", "GTX")));
    assert!(order.post_only && order.time_in_force == TimeInForce::GoodTillCancel);
    let hedge = |side: &str, position: &str| {
        let text = format!("symbol=B&side={side}&positionSide={position}&type=MARKET&quantity=1");
        placed(&binance("POST /dapi/v1/order", &text)).reduce_only
    };
    assert!(hedge("SELL", "LONG") && hedge("BUY", "SHORT"));
    assert!(!hedge("BUY", "LONG") && !hedge("SELL", "SHORT") && !hedge("SELL", "BOTH"));
    let whole = placed(&binance(
        "POST /fapi/v1/algoOrder",
        "algoType=CONDITIONAL&symbol=B&side=SELL&type=STOP_MARKET&triggerPrice=5&closePosition=true&clientAlgoId=x-1",
    ));
    assert_eq!((whole.amount, whole.order_type), (Amount::WholePosition, OrderType::StopMarket));
    assert!(whole.can_only_reduce() && whole.trigger_price.is_some() && whole.client_order_id.is_some());
    let spot_type = |name: &str, more: &str| {
        placed(&binance("POST /api/v3/order", &format!("symbol=B&side=SELL&type={name}&quantity=1&{more}")))
            .order_type
    };
    assert_eq!(spot_type("TAKE_PROFIT", "stopPrice=5"), OrderType::TakeProfitMarket);
    assert_eq!(
        spot_type("TAKE_PROFIT_LIMIT", "stopPrice=5&price=4&timeInForce=GTC"),
        OrderType::TakeProfitLimit
    );
    assert_eq!(spot_type("STOP_LOSS", "trailingDelta=100"), OrderType::TrailingStop);
}

#[test]
fn binance_refuses_by_name() {
    for (field, parameters) in [
        ("colour", format!("{ORDER}&colour=red")),
        ("price", format!("{ORDER}&price=6")),
        ("price", format!("{ORDER}&%70rice=6")),
        ("quantity", ORDER.replace("quantity=1", "quantity=0")),
        ("quantity", ORDER.replace("quantity=1", "quantity=1,5")),
        ("quantity", ORDER.replace("&quantity=1", "")),
        ("side", ORDER.replace("BUY", "buy")),
        ("timeInForce", ORDER.replace("GTC", "GTX2")),
        ("positionSide", format!("{ORDER}&positionSide=LONG")),
        ("reduceOnly", format!("{ORDER}&reduceOnly=true")),
        ("quoteOrderQty", format!("{ORDER}&quoteOrderQty=5")),
        ("stopPrice", format!("{ORDER}&stopPrice=5")),
        ("pegPriceType", format!("{ORDER}&pegPriceType=LOOSE_PEG")),
        ("pegOffsetValue", format!("{ORDER}&pegOffsetValue=1")),
        ("priceMatch", format!("{ORDER}&priceMatch=QUEUE")),
        ("selfTradePreventionMode", format!("{ORDER}&selfTradePreventionMode=TRANSFER")),
        ("recvWindow", format!("{ORDER}&recvWindow=60001")),
        ("newClientOrderId", format!("{ORDER}&newClientOrderId=a=b")),
        ("newClientOrderId", format!("{ORDER}&newClientOrderId=[a=b]")),
        ("newClientOrderId", format!("{ORDER}&newClientOrderId=%ff")),
        ("symbol", ORDER.replace("BTCUSDT", "BTC%0AUSDT")),
        ("icebergQty", format!("{ORDER}&icebergQty")),
    ] {
        assert_eq!(refused(&binance("POST /api/v3/order", &parameters)), field, "{parameters}");
    }
    let futures = |more: &str| refused(&binance("POST /fapi/v1/order", &format!("{ORDER}&{more}")));
    assert_eq!(futures("reduceOnly=True"), "reduceOnly");
    assert_eq!(futures("priceMatch=QUEUE_7"), "priceMatch");
    assert_eq!(futures("pegPriceType=PRIMARY_PEG"), "pegPriceType");
    assert_eq!(futures("closePosition=true"), "quantity");
    assert_eq!(futures("isIsolated=TRUE"), "isIsolated");
}

#[test]
fn a_price_the_venue_sets_is_not_taken_from_the_order() {
    let spot = placed(&binance("POST /api/v3/order", &format!("{ORDER}&pegPriceType=MARKET_PEG")));
    assert_eq!((spot.order_type, spot.price), (OrderType::Pegged, None));
    let futures =
        |text: &str| placed(&binance("POST /fapi/v1/order", &format!("symbol=B&side=BUY&quantity=1&{text}")));
    let queued = futures("type=LIMIT&timeInForce=GTX&priceMatch=QUEUE_5");
    assert_eq!((queued.order_type, queued.price, queued.post_only), (OrderType::Pegged, None, true));
    let stop = futures("type=STOP&stopPrice=5&timeInForce=GTC&priceMatch=OPPONENT");
    assert_eq!((stop.order_type, stop.price), (OrderType::StopMarket, None));
    let stated = futures("type=LIMIT&timeInForce=GTC&price=5&priceMatch=NONE");
    assert_eq!(stated.order_type, OrderType::Limit);
    assert_eq!(
        refused(&binance("POST /fapi/v1/order", "symbol=B&side=BUY&quantity=1&type=MARKET&priceMatch=QUEUE")),
        "type"
    );
    assert_eq!(
        refused(&binance("PUT /fapi/v1/order", "symbol=B&side=BUY&quantity=1&orderId=1&priceMatch=QUEUE")),
        "priceMatch"
    );
    let limit = r#","side":"Buy","orderType":"Limit","price":"5","timeInForce":"PostOnly""#;
    for (category, more) in
        [("option", r#","orderIv":"0.65""#), ("linear", r#","bboSideType":"Queue","bboLevel":"1""#)]
    {
        let order = placed(&bybit_order(category, &format!("{limit}{more}")));
        assert_eq!((order.order_type, order.price, order.post_only), (OrderType::Pegged, None, true));
    }
    let stop = r#","side":"Buy","orderType":"Limit","triggerPrice":"5","triggerDirection":1,"bboSideType":"Queue","bboLevel":"1""#;
    assert_eq!(placed(&bybit_order("linear", stop)).order_type, OrderType::StopMarket);
    assert_eq!(
        refused(&bybit_order("option", r#","side":"Buy","orderType":"Market","orderIv":"0.65""#)),
        "orderType"
    );
}

#[test]
fn nothing_else_is_signable() {
    for endpoint in [
        "POST /sapi/v1/capital/withdraw/apply",
        "GET /sapi/v1/capital/withdraw/history",
        "POST /sapi/v1/asset/transfer",
        "POST /sapi/v1/margin/transfer",
        "POST /api/v3/order/oco",
        "POST /api/v3/orderList/oco",
        "POST /api/v4/order",
        "GET /papi/v1/account",
        "PUT /api/v3/order",
        "POST /fapi/v1/positionMargin",
        "POST /api/v3/order/",
        "POST //api/v3/order",
    ] {
        assert!(decode(&binance(endpoint, ORDER)).expect_err(endpoint).is_endpoint(), "{endpoint}");
    }
    for endpoint in [
        "POST /v5/asset/withdraw/create",
        "POST /v5/asset/transfer/inter-transfer",
        "POST /v5/position/trading-stop",
        "POST /v5/position/add-margin",
        "POST /v5/user/create-sub-api",
        "GET /v5/asset/withdraw/query-record",
        "POST /v5/order/realtime",
        "POST /v3/order/create",
    ] {
        assert!(decode(&bybit(endpoint, "{}")).expect_err(endpoint).is_endpoint(), "{endpoint}");
    }
}

#[test]
fn a_reads_signature_is_good_for_nothing_else() {
    let read = |parameters: &str| decode(&binance("GET /api/v3/openOrders", parameters));
    assert!(matches!(read("symbol=BTCUSDT&omit=x"), Ok(Intent::Read(_))));
    assert_eq!(read(ORDER).expect_err("an order").field(), Some("side"));
    assert_eq!(read("symbol=A&quantity=1").expect_err("an order").field(), Some("quantity"));
    assert_eq!(read("symbol=A&symbol=B").expect_err("doubled"), Undecodable::DuplicateField("symbol".into()));
    // Bybit signs neither path nor method: a query that is a body's JSON is refused.
    let body = r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy"}"#;
    assert!(decode(&bybit("GET /v5/order/realtime", body)).is_err());
    assert!(decode(&bybit("GET /v5/order/realtime", &format!("{body}=1"))).is_err());
    assert!(decode(&bybit("GET /v5/order/realtime", "category=linear&symbol=BTCUSDT")).is_ok());
}

#[test]
fn the_boundary_between_query_and_body_cannot_move() {
    let body = format!("quantity=1&price=5&timestamp=5&signature={HMAC}");
    let target = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC";
    let (_, unsigned) =
        split(Venue::Binance, request("POST", target, &[("X-MBX-APIKEY", "k")], &body)).expect("well formed");
    assert_eq!(refused(&unsigned), "body");
}

#[test]
fn binance_batches() {
    let legs = "batchOrders=[{\"symbol\":\"B\",\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":\"1\"}]";
    let Ok(Intent::Batch(batch)) = decode(&binance("POST /fapi/v1/batchOrders", legs)) else {
        panic!("a batch")
    };
    assert_eq!(batch.len(), 1);
    let doubled = legs.replace("\"1\"", "\"1\",\"quantity\":\"2\"");
    assert_eq!(refused(&binance("POST /fapi/v1/batchOrders", &doubled)), "quantity");
    let one = "{\"symbol\":\"B\",\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":1},";
    let many = format!("batchOrders=[{}]", one.repeat(21).trim_end_matches(','));
    assert_eq!(refused(&binance("POST /fapi/v1/batchOrders", &many)), "batchOrders");
    let cancel = "symbol=B&orderidlist=%5B1%2C2%5D&origclientorderidlist=%5B%22a%22%5D";
    let Ok(Intent::Batch(batch)) = decode(&binance("DELETE /fapi/v1/batchOrders", cancel)) else {
        panic!("a batch")
    };
    assert_eq!(batch.len(), 3);
    let replace = format!("{ORDER}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId=7");
    let Ok(Intent::Batch(batch)) = decode(&binance("POST /api/v3/order/cancelReplace", &replace)) else {
        panic!("a batch")
    };
    assert!(matches!(batch.as_slice(), [Intent::Cancel { .. }, Intent::Place(_)]));
}

#[test]
fn binance_settings_and_listen_keys() {
    let leverage = decode(&binance("POST /fapi/v1/leverage", "symbol=B&leverage=7")).expect("decodes");
    assert!(matches!(leverage, Intent::SetLeverage { .. }));
    let mode = decode(&binance("POST /fapi/v1/positionSide/dual", "dualSidePosition=true")).expect("decodes");
    assert!(
        matches!(mode, Intent::SetMode { setting, value, .. } if &*setting == "dualSidePosition" && &*value == "true")
    );
    let switch =
        decode(&binance("POST /fapi/v1/countdownCancelAll", "symbol=B&countdownTime=1000")).expect("decodes");
    assert!(matches!(switch, Intent::DeadMansSwitch { timeout_ms: 1000, .. }));
    let key_only = request("PUT", "/fapi/v1/listenKey", &[("x-mbx-apikey", "k")], "listenKey=abc");
    let (presented, unsigned) = split(Venue::Binance, key_only).expect("well formed");
    assert!(presented.signature.is_none() && !unsigned.takes_signature());
    assert!(matches!(decode(&unsigned), Ok(Intent::StreamLogin { .. })));
    let unsigned_order =
        request("POST", &format!("/api/v3/order?{ORDER}&timestamp=5"), &[("X-MBX-APIKEY", "k")], "");
    assert_eq!(refused(&split(Venue::Binance, unsigned_order).expect("well formed").1), "signature");
}

fn bybit_order(category: &str, more: &str) -> Unsigned {
    let body = format!("{{\"category\":\"{category}\",\"symbol\":\"BTCUSDT\",\"qty\":\"2\"{more}}}");
    bybit("POST /v5/order/create", &body)
}

#[test]
fn bybit_orders_mean_what_the_documentation_says() {
    let amount = |more: &str| placed(&bybit_order("spot", more)).amount;
    let (buy, sell) = (r#","side":"Buy","orderType":"Market""#, r#","side":"Sell","orderType":"Market""#);
    let base = Amount::Base("2".parse().expect("a quantity"));
    let quote = Amount::Quote("2".parse().expect("an amount"));
    assert_eq!(amount(buy), quote);
    assert_eq!(amount(sell), base);
    assert_eq!(amount(&format!(r#"{buy},"marketUnit":"baseCoin""#)), base);
    assert_eq!(amount(&format!(r#"{sell},"marketUnit":"quoteCoin""#)), quote);
    let linear = |more: &str| placed(&bybit_order("linear", more));
    assert_eq!(linear(buy).amount, base);
    assert!(linear(&format!(r#"{sell},"positionIdx":1"#)).reduce_only);
    assert!(!linear(&format!(r#"{sell},"positionIdx":2"#)).reduce_only);
    assert!(linear(&format!(r#"{sell},"reduceOnly":true"#)).reduce_only);
    let kind = |more: &str| linear(&format!(r#"{more},"triggerPrice":"5""#)).order_type;
    assert_eq!(kind(&format!(r#"{buy},"triggerDirection":1"#)), OrderType::StopMarket);
    assert_eq!(kind(&format!(r#"{buy},"triggerDirection":2"#)), OrderType::TakeProfitMarket);
    assert_eq!(kind(&format!(r#"{sell},"triggerDirection":2"#)), OrderType::StopMarket);
    let whole = r#"{"category":"linear","symbol":"B","side":"Sell","orderType":"Market","qty":"0","reduceOnly":true,"closeOnTrigger":true}"#;
    assert_eq!(placed(&bybit("POST /v5/order/create", whole)).amount, Amount::WholePosition);
    let leveraged = placed(&bybit_order("spot", &format!(r#"{sell},"isLeverage":1"#)));
    assert_eq!(leveraged.instrument.market, Market::Margin);
    let attached = linear(&format!(r#"{buy},"takeProfit":"9","stopLoss":"1","tpslMode":"Full""#));
    assert!(!attached.reduce_only);
}

#[test]
fn bybit_refuses_by_name() {
    let buy = r#","side":"Buy","orderType":"Limit","price":"5""#;
    for (category, more, field) in [
        ("linear", r#","colour":1"#, "colour"),
        ("linear", r#","qty":"3""#, "qty"),
        ("linear", r#","QTY":"3""#, "QTY"),
        ("linear", r#","orderIv":"0.6""#, "orderIv"),
        ("linear", r#","bboLevel":"6""#, "bboLevel"),
        ("option", r#","bboLevel":"1""#, "bboLevel"),
        ("linear", r#","marketUnit":"baseCoin""#, "marketUnit"),
        ("linear", r#","positionIdx":3"#, "positionIdx"),
        ("linear", r#","reduceOnly":null"#, "reduceOnly"),
        ("linear", r#","timeInForce":"RPI""#, "timeInForce"),
        ("spot", r#","reduceOnly":true"#, "reduceOnly"),
        ("spot", r#","takeProfit":"9""#, "takeProfit"),
        ("spot", r#","triggerPrice":"9""#, "triggerPrice"),
        ("spot", r#","orderFilter":"StopOrder""#, "triggerPrice"),
        ("option", r#","isLeverage":1"#, "isLeverage"),
        ("futures", "", "category"),
    ] {
        assert_eq!(refused(&bybit_order(category, &format!("{buy}{more}"))), field, "{more}");
    }
    assert_eq!(refused(&bybit_order("linear", r#","side":"Buy","orderType":"Market","price":"5""#)), "price");
    let nested = r#"{"category":"linear","request":[{"symbol":"B","symbol":"C"}]}"#;
    assert_eq!(refused(&bybit("POST /v5/order/create-batch", nested)), "symbol");
    let with_query = bybit("POST /v5/order/cancel?category=spot", "{}");
    assert_eq!(refused(&with_query), "query");
}

#[test]
fn raw_json_keeps_its_number_text() {
    let sent_at = Timestamp::from_ms(1_772_600_061_460);
    let body = r#"{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.50}"#;
    let native = |venue, body| from_native_json(venue, Market::Spot, Operation::Place, body, sent_at, 5000);
    let unsigned = native(Venue::Binance, body).expect("an object");
    assert_eq!(
        venue::signing_input(&unsigned, "k"),
        b"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.50&recvWindow=5000&timestamp=1772600061460"
    );
    assert_eq!(placed(&unsigned).amount, Amount::Base("0.5".parse().expect("a quantity")));
    let doubled = r#"{"symbol":"A","symbol":"B"}"#;
    for venue in Venue::ALL {
        assert_eq!(native(venue, doubled), Err(Undecodable::DuplicateField("symbol".into())));
        assert!(native(venue, "[]").is_err());
    }
    assert!(native(Venue::Binance, r#"{"symbol":"A","signature":"x"}"#).is_err());
    let body = r#"{"category":"spot", "symbol":"BTCUSDT","side":"Sell","orderType":"Market","qty":0.1}"#;
    let unsigned = native(Venue::Bybit, body).expect("an object");
    assert!(venue::signing_input(&unsigned, "k").ends_with(body.as_bytes()));
    assert_eq!(placed(&unsigned).amount, Amount::Base("0.1".parse().expect("a quantity")));
}

#[test]
fn public_data_and_extras_are_recognised() {
    let get = |target: &str| request("GET", target, &[("X-MBX-APIKEY", "k")], "");
    assert!(is_public(Venue::Binance, &get("/api/v3/exchangeInfo")));
    assert!(is_public(Venue::Binance, &get("/fapi/v1/premiumIndex?symbol=B")));
    assert!(!is_public(Venue::Binance, &get("/api/v3/account")));
    let history = get("/api/v3/historicalTrades?symbol=B");
    assert!(!is_public(Venue::Binance, &history));
    let (_, keyed) = split(Venue::Binance, history).expect("well formed");
    assert!(matches!(decode(&keyed), Ok(Intent::Read(_))));
    assert!(!is_public(Venue::Binance, &get("/api/v3/klines?signature=x")));
    assert!(is_public(Venue::Bybit, &get("/v5/market/tickers?category=spot")));
    assert!(!is_public(Venue::Bybit, &get("/v5/market/../order/realtime")));
    let headers = venue::without_credentials(get("/api/v3/time")).headers;
    assert!(headers.is_empty());
    let order = binance("POST /api/v3/order", &format!("{ORDER}&newClientOrderId=x-TKT5PX2F1"));
    assert_eq!(extras(&order)[0].value, "x-TKT5PX2F1");
    assert_eq!(extras(&bybit("POST /v5/order/create", "{}"))[0].value, "CCXT");
}

#[test]
fn a_read_may_have_any_plain_parameter_but_none_that_acts() {
    // docs/decisions/0008: the parameters of reads change often and change nothing.
    decode(&bybit("GET /v5/order/realtime", "category=linear&symbol=BTCUSDT&newlyAdded=1")).expect("a read");
    decode(&binance("GET /api/v3/openOrders", "symbol=BTCUSDT&newlyAdded=1")).expect("a read");
    for acting in ["qty", "orderType", "amount", "address", "fromAccountType", "buyLeverage", "stopLoss"] {
        assert_eq!(refused(&bybit("GET /v5/order/realtime", &format!("category=linear&{acting}=1"))), acting);
    }
    for acting in ["side", "quantity", "amount", "address", "leverage", "batchOrders"] {
        assert_eq!(
            refused(&binance("GET /api/v3/openOrders", &format!("symbol=BTCUSDT&{acting}=1"))),
            acting
        );
    }
}
