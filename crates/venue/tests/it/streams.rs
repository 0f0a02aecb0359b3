//! Stream messages.

use trading::{Intent, StreamChannel, Timestamp};
use venue::{
    Algorithm, Harmless, Spelling, Stream, StreamMessage, Surface, Unsigned, attach, bybit_login, decode,
    extras, names_of, signing_input, split_message,
};

const SPOT: Stream = Stream::BinanceApi(Surface::Spot);
const HMAC: &str = "e194fa62d4c02e39016af156ae21faf2d31358a34aaddd0521a42dfbeeee47f6";

fn request(stream: Stream, text: &str) -> Unsigned {
    match split_message(stream, text).expect(text) {
        StreamMessage::Request(_, unsigned) => unsigned,
        StreamMessage::Harmless(kind) => panic!("{text}: {kind:?}"),
    }
}

fn call(method: &str, params: &str) -> String {
    format!(
        "{{\"id\": 7, \"method\": \"{method}\", \"params\": {{\"signature\":\"{HMAC}\",{params}\"apiKey\":\"stand-in\",\"timestamp\":1772600061460}}}}"
    )
}

#[test]
fn a_call_changes_only_in_key_and_signature() {
    let text = call("order.place", r#""symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.50,"#);
    let unsigned = request(SPOT, &text);
    let input = signing_input(&unsigned, "real");
    assert_eq!(
        input,
        b"apiKey=real&quantity=0.50&side=BUY&symbol=BTCUSDT&timestamp=1772600061460&type=MARKET"
    );
    let out = attach(unsigned.clone(), "real", Algorithm::HmacSha256, &[0; 32]).message().expect("a message");
    assert_eq!(out, text.replace("stand-in", "real").replace(HMAC, &"00".repeat(32)));
    assert!(matches!(decode(&unsigned), Ok(Intent::Place(_))));
    assert_eq!(unsigned.request_id(), Some("7"));
}

#[test]
fn a_call_may_be_signed_as_a_form() {
    let text = call("order.cancel", r#""symbol":"BTCUSDT","origClientOrderId":"a b/é","#);
    let unsigned = request(SPOT, &text);
    assert_eq!(unsigned.spellings(), [Spelling::Wire, Spelling::Encoded]);
    let encoded = signing_input(&unsigned.spelled(Spelling::Encoded), "k");
    let text = String::from_utf8(encoded).expect("ASCII");
    assert!(text.contains("origClientOrderId=a+b%2F%C3%A9&symbol"), "{text}");
}

#[test]
fn calls_are_decided_one_by_one() {
    for (method, params, expected) in [
        ("openOrders.cancelAll", r#""symbol":"B","#, "cancel_all"),
        ("openOrders.status", "", "read"),
        ("account.status", r#""returnRateLimits":false,"#, "read"),
        ("session.logon", "", "stream_login"),
        ("userDataStream.subscribe.signature", "", "stream_login"),
    ] {
        let intent = decode(&request(SPOT, &call(method, params))).expect(method);
        assert_eq!(intent.operation(), expected);
    }
    for method in ["withdraw", "orderList.place.oco", "sapi.transfer"] {
        assert!(decode(&request(SPOT, &call(method, ""))).expect_err(method).is_endpoint());
    }
    let injected = call("order.cancel", r#""symbol":"B","origClientOrderId":"a&orderId=7","#);
    assert_eq!(decode(&request(SPOT, &injected)).expect_err("injected").field(), Some("origClientOrderId"));
    let modified =
        call("order.modify", r#""symbol":"B","side":"BUY","quantity":"1","price":"2","orderId":5,"#);
    let futures = Stream::BinanceApi(Surface::UsdMargined);
    assert_eq!(decode(&request(futures, &modified)).expect("decodes").operation(), "amend");
    assert!(decode(&request(SPOT, &modified)).is_err());
}

#[test]
fn after_a_logon_calls_need_no_key() {
    let text =
        r#"{"id":"a","method":"order.cancel","params":{"symbol":"B","orderId":5,"timestamp":1772600061460}}"#;
    let unsigned = request(SPOT, text);
    assert!(!unsigned.takes_signature());
    assert_eq!(attach(unsigned.clone(), "k", Algorithm::HmacSha256, &[]).message().as_deref(), Some(text));
    assert_eq!(decode(&unsigned).expect("decodes").operation(), "cancel");
}

#[test]
fn harmless_messages_pass() {
    for (stream, text, expected) in [
        (SPOT, r#"{"id":1,"method":"ping"}"#, Harmless::Call),
        (
            Stream::BinanceData(Surface::Spot),
            r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}"#,
            Harmless::Call,
        ),
        (Stream::BybitPublic, r#"{"op":"ping"}"#, Harmless::Ping),
        (
            Stream::BybitPrivate,
            r#"{"op":"subscribe","args":["order"],"req_id":"1"}"#,
            Harmless::Subscribe(vec!["order".into()]),
        ),
    ] {
        assert_eq!(split_message(stream, text), Ok(StreamMessage::Harmless(expected)), "{text}");
    }
    for (stream, text) in [
        (SPOT, "{\"id\":1,\"id\":2,\"method\":\"ping\"}"),
        (SPOT, "{\"id\":1,\"method\":\"ping\",\"extra\":1}"),
        (Stream::BinanceData(Surface::Spot), "{\"id\":1,\"method\":\"order.place\",\"params\":{}}"),
        (Stream::BybitPublic, "{\"op\":\"auth\",\"args\":[\"k\",\"1\",\"00\"]}"),
        (Stream::BybitPrivate, "{\"op\":\"order.create\",\"args\":[{}]}"),
        (Stream::BybitPrivate, "not json"),
    ] {
        assert!(split_message(stream, text).is_err(), "{text}");
    }
}

#[test]
fn bybit_order_entry_is_decided_per_message() {
    let order =
        r#"{"category":"linear","symbol":"B","side":"Buy","orderType":"Limit","qty":"1","price":"5"}"#;
    let message = |operation: &str, args: &str| {
        format!(
            "{{\"reqId\":\"r1\",\"header\":{{\"X-BAPI-TIMESTAMP\":\"1772600061460\"}},\"op\":\"{operation}\",\"args\":[{args}]}}"
        )
    };
    let unsigned = request(Stream::BybitTrade, &message("order.create", order));
    assert_eq!(decode(&unsigned).expect("decodes").operation(), "place");
    assert_eq!(unsigned.request_id(), Some("\"r1\""));
    assert_eq!(unsigned.sent_at(), Some(Timestamp::from_ms(1_772_600_061_460)));
    let text = message("order.create", order);
    assert_eq!(attach(unsigned, "k", Algorithm::HmacSha256, &[]).message(), Some(text));
    let batch = format!(
        "{{\"category\":\"linear\",\"request\":[{}]}}",
        order.replace("\"category\":\"linear\",", "")
    );
    let unsigned = request(Stream::BybitTrade, &message("order.create-batch", &batch));
    assert_eq!(decode(&unsigned).expect("decodes").operation(), "batch");
    let unsigned = request(Stream::BybitTrade, &message("asset.withdraw", order));
    assert!(decode(&unsigned).expect_err("unknown").is_endpoint());
    let two = request(Stream::BybitTrade, &message("order.create", &format!("{order},{order}")));
    assert_eq!(decode(&two).expect_err("two").field(), Some("args"));
}

#[test]
fn our_own_login_reads_as_one() {
    let login = bybit_login(StreamChannel::Trade, Timestamp::from_ms(1_772_623_440_857));
    assert_eq!(signing_input(&login, "k"), b"GET/realtime1772623440857");
    let text = attach(login.clone(), "key", Algorithm::HmacSha256, &[0; 32]).message().expect("a message");
    let again = request(Stream::BybitTrade, &text);
    assert_eq!(again, login);
    assert!(matches!(decode(&again), Ok(Intent::StreamLogin { channel: StreamChannel::Trade, .. })));
}

#[test]
fn broker_ids_are_found_in_frames_as_in_requests() {
    let names = |unsigned: &Unsigned| -> Vec<String> {
        extras(unsigned).into_iter().map(|extra| format!("{}={}", extra.name, extra.value)).collect()
    };
    let place = |id: &str| {
        let params =
            format!(r#""symbol":"B","side":"BUY","type":"MARKET","quantity":1,"newClientOrderId":"{id}","#);
        request(SPOT, &call("order.place", &params))
    };
    assert_eq!(names(&place("x-TKT5PX2F1")), ["newClientOrderId=x-TKT5PX2F1"]);
    assert_eq!(names(&place("mine-1")), [""; 0]);
    let text = r#"{"reqId":"1","header":{"X-BAPI-TIMESTAMP":"1772600061460","Referer":"CCXT"},"op":"order.cancel","args":[{"category":"linear","symbol":"B","orderId":"5"}]}"#;
    assert_eq!(names(&request(Stream::BybitTrade, text)), ["Referer=CCXT"]);
}

#[test]
fn a_key_that_is_there_twice_is_named_and_the_message_still_has_its_id() {
    for (stream, text, key, id, operation) in [
        (
            Stream::BybitTrade,
            r#"{"reqId":"r-7","header":{"X-BAPI-TIMESTAMP":"1"},"op":"order.create","args":[{"symbol":"A","symbol":"B"}]}"#,
            "symbol",
            Some(r#""r-7""#),
            "order.create",
        ),
        (Stream::BybitPrivate, r#"{"req_id":"a","op":"auth","op":"ping"}"#, "op", Some(r#""a""#), ""),
        (
            Stream::BybitTrade,
            r#"{"reqId":"a","reqId":"b","op":"order.create"}"#,
            "reqId",
            None,
            "order.create",
        ),
        (
            Stream::BinanceApi(Surface::Spot),
            r#"{"id":5,"method":"order.place","params":{"symbol":"A","side":"BUY","symbol":"B"}}"#,
            "symbol",
            Some("5"),
            "order.place",
        ),
        (Stream::BinanceApi(Surface::Spot), "{", "frame", None, ""),
        (Stream::BybitTrade, "[1,", "message", None, ""),
    ] {
        let error = split_message(stream, text).expect_err(text);
        assert_eq!(error.field(), key, "{text}: {error}");
        let (own_id, own_operation) = names_of(stream, text);
        assert_eq!((own_id.as_deref(), own_operation.as_str()), (id, operation), "{text}");
    }
}
