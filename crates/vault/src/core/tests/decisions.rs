//! What is decided, and what the record says of it.

use super::*;

#[test]
fn a_denial_is_recorded_with_every_reason() {
    let mut bench = Bench::new();
    let reply = bench.ask(&limit("0.0605", "60000.05", ""));
    let told = codes(&reply);
    for code in ["quantity_over_limit", "notional_over_limit", "price_off_tick", "quantity_off_lot"] {
        assert!(told.contains(&code), "{code} is not in {told:?}");
    }
    let Outcome::Denied(recorded) = bench.last_body().outcome else { panic!("recorded as denied") };
    assert_eq!(recorded.iter().map(|denial| denial.code.as_str()).collect::<Vec<_>>(), told);
    assert!(bench.last_body().signature_digest.is_none());
}

#[test]
fn what_cannot_be_decoded_is_a_denial_that_names_the_field() {
    let mut bench = Bench::new();
    let order = r#"{"order":{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000","withdrawTo":"me"}}"#;
    let reply = bench.ask(order);
    assert_eq!(codes(&reply), ["not_decoded"]);
    assert!(reply["denials"][0]["text"].as_str().expect("text").contains("withdrawTo"), "{reply}");
    assert_eq!(bench.last_body().operation, "unknown");
    let withdrawal = r#"{"bot":"demo","account":"main","http":{"method":"POST","target":"/v5/asset/withdraw/create","headers":[["X-BAPI-API-KEY","k"],["X-BAPI-SIGN","0000000000000000000000000000000000000000000000000000000000000000"],["X-BAPI-RECV-WINDOW","5000"],["X-BAPI-TIMESTAMP","1772600000000"]],"body":"{\"coin\":\"BTC\"}"}}"#;
    bench.gateway(withdrawal);
    let reply = bench.sync().remove(0);
    assert_eq!(codes(&reply), ["not_signable"], "{reply}");
    assert_eq!(bench.log.len(), 2, "both are in the log");
}

/// A batch of Bybit orders as the gateway hands it over.
fn batch(legs: &[String]) -> String {
    let body = format!(r#"{{"category":"linear","request":[{}]}}"#, legs.join(",")).replace('"', "\\\"");
    format!(
        r#"{{"bot":"demo","account":"main","http":{{"method":"POST","target":"/v5/order/create-batch","headers":[["X-BAPI-API-KEY","k"],["X-BAPI-SIGN","0000000000000000000000000000000000000000000000000000000000000000"],["X-BAPI-TIMESTAMP","{NOW}"],["X-BAPI-RECV-WINDOW","5000"]],"body":"{body}"}}}}"#
    )
}

#[test]
fn nothing_a_client_sends_stops_the_vault() {
    let mut bench = Bench::new();
    let long = "x".repeat(60_000);
    let order = format!(r#"{{"order":{{"category":"linear","symbol":"BTCUSDT","{long}":"1"}}}}"#);
    assert_eq!(codes(&bench.ask(&order)), ["not_decoded"]);
    let wide = "é".repeat(20_000);
    let order = format!(r#"{{"order":{{"category":"linear","symbol":"BTCUSDT","side":"{wide}"}}}}"#);
    assert_eq!(bench.ask(&order)["status"], "denied");
    let target = format!(
        r#"{{"bot":"demo","account":"main","http":{{"method":"POST","target":"/{}","headers":[],"body":""}}}}"#,
        "y".repeat(30_000)
    );
    bench.gateway(&target);
    assert_eq!(bench.sync().len(), 1);
    let id = "é".repeat(60);
    let leg = format!(
        r#"{{"symbol":"DOGEUSDT","side":"Buy","orderType":"Limit","qty":"99.12345","price":"60000.01","timeInForce":"FOK","orderLinkId":"{id}"}}"#
    );
    bench.gateway(&batch(&vec![leg; 20]));
    let reply = bench.sync().remove(0);
    assert_eq!(reply["status"], "denied", "{reply}");
}

#[test]
fn a_frame_that_cannot_be_read_is_denied_by_the_name_of_the_field() {
    let mut bench = Bench::new();
    let text = r#"{"reqId":"r","header":{},"op":"order.create","args":[{"symbol":"A","symbol":"B"}]}"#;
    let question = serde_json::json!({
        "bot": "demo", "account": "main", "frame": { "path": "/v5/trade", "text": text },
    });
    bench.gateway(&question.to_string());
    let reply = bench.sync().remove(0);
    assert_eq!(codes(&reply), ["not_decoded"]);
    assert_eq!(reply["denials"][0]["text"], "`symbol` is there twice");
    assert_eq!(
        (bench.last_body().actor.as_str(), bench.last_body().account.as_deref()),
        ("demo", Some("main"))
    );
}

#[test]
fn a_batch_with_one_bad_leg_is_denied_whole() {
    let mut bench = Bench::new();
    let leg = |qty: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"{qty}","price":"60000","timeInForce":"GTC"}}"#
        )
    };
    bench.gateway(&batch(&[leg("0.001"), leg("0.002")]));
    let reply = bench.sync().remove(0);
    assert_eq!(reply["status"], "approved", "{reply}");
    let before = bench.core.states[&name("main")].digest();
    bench.gateway(&batch(&[leg("0.001"), leg("7")]));
    let reply = bench.sync().remove(0);
    assert!(codes(&reply).contains(&"quantity_over_limit"), "{reply}");
    assert!(reply.get("request").is_none());
    assert_eq!(bench.core.states[&name("main")].digest(), before, "no leg was counted");
}

#[test]
fn who_is_not_known_and_what_is_no_object_has_no_record() {
    let mut bench = Bench::new();
    let errors = [
        (4242, small(), "may speak for no bot"),
        (4242, "{}".into(), "may speak for no bot"),
        (4242, r#"{"id":1,"bot":"demo","bot":"demo"}"#.into(), "may speak for no bot"),
        (4242, r#"{"bot":"demo","place":5}"#.into(), "may speak for no bot"),
        (UID, "nonsense".into(), "expected"),
        (UID, r#"["demo"]"#.into(), "one JSON object"),
        (UID, r#"{"bot":"demo""#.into(), "EOF"),
    ];
    for (uid, line, part) in errors {
        let caller = Caller::Direct { uid };
        bench.step(Input::Line { from: 1, caller, line: line.as_bytes(), salt: [0; 16] });
        let reply = bench.take().remove(0);
        assert_eq!(reply["status"], "error", "{line}");
        assert!(reply.to_string().contains(part), "{part} is not in {reply}");
    }
    bench.step(Input::TooLong { from: 1 });
    let reply = bench.take().remove(0);
    assert_eq!(reply["error"]["message"], "a line is longer than 65536 bytes", "{reply}");
    assert!(bench.log.is_empty());
}

#[test]
fn whatever_a_known_caller_gets_wrong_is_denied_and_recorded() {
    let mut bench = Bench::new();
    let spot = |more: &str| format!(r#"{{"bot":"other","account":"spot",{more}}}"#);
    let refused = [
        // Who and for which account.
        (UID, limit("0.001", "60000", r#","account":"nowhere""#), "forbidden", "not in the policy"),
        (UID, limit("0.001", "60000", r#","bot":"other""#), "forbidden", "may not speak"),
        (UID, limit("0.001", "60000", r#","venue":"binance""#), "forbidden", "no account here"),
        (UID, limit("0.001", "60000", r#","account":"main","venue":"binance""#), "forbidden", "is on bybit"),
        (1001, small(), "not_decoded", "several accounts"),
        (
            UID,
            r#"{"bot":"demo","http":{"method":"GET","target":"/","headers":[],"body":""}}"#.into(),
            "forbidden",
            "gateway",
        ),
        (UID, r#"{"open_orders":"bybit:linear:BTCUSDT"}"#.into(), "forbidden", "gateway"),
        // What.
        (
            UID,
            r#"{"bot":"demo","report":{"account":"main","order_number":0,"event":"closed"}}"#.into(),
            "not_decoded",
            "exactly one",
        ),
        (UID, r#"{"bot":"demo","marks":[]}"#.into(), "not_decoded", "exactly one"),
        (UID, "{}".into(), "not_decoded", "exactly one"),
        (UID, r#"{"bott":"demo"}"#.into(), "not_decoded", "bott"),
        (UID, r#"{"bot":"demo","bot":"demo"}"#.into(), "not_decoded", "duplicate field `bot`"),
        (UID, format!(r#"{{"id":"{}"}}"#, "x".repeat(200)), "not_decoded", "`id` is longer"),
        (UID, limit("much", "60000", ""), "not_decoded", "much"),
        (
            UID,
            limit("0.001", "60000", "").replace(r#""side""#, r#""colour":1,"side""#),
            "not_decoded",
            "colour",
        ),
        (
            UID,
            limit("0.001", "60000", "").replace(r#""price""#, r#""side":"buy","price""#),
            "not_decoded",
            "side",
        ),
        (UID, small().replace(r#","price":"60000""#, ""), "not_decoded", "`price` is missing"),
        (UID, r#"{"place":["linear","BTCUSDT","buy","limit"]}"#.into(), "not_decoded", "object"),
        (UID, r#"{"order":{"category":"linear","symbol":"A","symbol":"B"}}"#.into(), "not_decoded", "symbol"),
        (
            1001,
            spot(r#""order":{"symbol":"BTCUSDT","side":"BUY","signature":"ab"}"#),
            "not_decoded",
            "signature",
        ),
        (
            1001,
            spot(
                r#""amend":{"market":"spot","symbol":"BTCUSDT","client_order_id":"a","quantity":"1","price":"5"}"#,
            ),
            "not_decoded",
            "price",
        ),
    ];
    let count = refused.len();
    for (at, (uid, line, code, part)) in refused.into_iter().enumerate() {
        let caller = Caller::Direct { uid };
        bench.step(Input::Line { from: 1, caller, line: line.as_bytes(), salt: [0; 16] });
        let reply = bench.sync().remove(0);
        assert_eq!(codes(&reply), [code], "{line}: {reply}");
        assert!(reply["denials"][0]["text"].as_str().expect("text").contains(part), "{line}: {reply}");
        assert_eq!(reply["seq"], at, "{reply}");
        let leaf = bench.core.recorder().leaf_hash(at as u64).expect("kept: its leaf was not handed over");
        assert_eq!(reply["leaf"], hex::encode(leaf), "{reply}");
        let Outcome::Denied(recorded) = bench.last_body().outcome else { panic!("recorded as denied") };
        assert_eq!(recorded[0].code, code);
    }
    assert_eq!(bench.log.len(), count);
    assert!(!bench.core.states.contains_key(&name("nowhere")), "a name in a line makes no counters");
    for (body, detail) in &bench.log {
        let body = Body::decode(body).expect("a body");
        crate::detail::past(&body, detail).expect("the log reads back");
    }
    assert_eq!(bench.ask(&small())["status"], "approved");
    // Another bot's account is named by the policy, so this is a decision, and is recorded.
    let foreign = r#"{"account":"spot","place":{"market":"spot","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.001","price":"60000"}}"#;
    assert!(codes(&bench.ask(foreign)).contains(&"account_not_allowed"));
}

#[test]
fn a_bot_left_out_is_the_only_one_that_fits_the_line() {
    let mut bench = Bench::with(Durability::Disk, &[("uids = [\"1001\"]", "uids = [\"1000\", \"1001\"]")]);
    let spot = r#"{"venue":"binance","place":{"market":"spot","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.001","price":"60000"}}"#;
    assert_eq!(bench.ask(spot)["status"], "approved");
    assert_eq!(bench.last_body().actor, "other");
    let reply = bench.ask(&small());
    assert_eq!(codes(&reply), ["not_decoded"]);
    assert!(reply["denials"][0]["text"].as_str().expect("text").contains("several bots"), "{reply}");
    assert_eq!((bench.last_body().actor.as_str(), bench.last_body().account), ("uid:1000", None));
    assert_eq!(bench.ask(&limit("0.001", "60000", r#","bot":"demo""#))["status"], "approved");
}

#[test]
fn a_clock_set_back_frees_no_budget() {
    let mut bench = Bench::with(Durability::Disk, &[("\"1000000\"", "\"100\"")]);
    assert_eq!(bench.ask(&small())["status"], "approved");
    assert!(codes(&bench.ask(&small())).contains(&"day_budget_exceeded"));
    bench.now = NOW - 3 * 86_400_000;
    assert!(codes(&bench.ask(&small())).contains(&"day_budget_exceeded"));
    assert_eq!(bench.last_body().time, Timestamp::from_ms(NOW));
    bench.now = NOW + 25 * 3_600_000;
    assert_eq!(bench.ask(&small())["status"], "approved");
}

#[test]
fn marks_are_kept_for_named_instruments_and_never_from_the_future() {
    let mut bench = Bench::new();
    let market =
        r#"{"place":{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"market","quantity":"0.001"}}"#;
    assert!(codes(&bench.ask(market)).contains(&"mark_price_missing"));
    let mark = |symbol: &str, at: u64| {
        format!(r#"{{"marks":[{{"instrument":"bybit:linear:{symbol}","price":"60000","at":{at}}}]}}"#)
    };
    assert!(!bench.gateway(&mark("BTCUSDT", NOW + 3_600_000)), "marks have no reply");
    for index in 0..1000 {
        bench.gateway(&mark(&format!("X{index}USDT"), NOW));
    }
    assert_eq!(bench.core.context.mark_prices.len(), 1);
    assert_eq!(bench.ask(market)["status"], "approved");
    bench.now += 2001;
    assert!(codes(&bench.ask(market)).contains(&"mark_price_stale"));
}

#[test]
fn a_neutral_order_is_valid_no_longer_than_the_policy_allows() {
    let mut bench =
        Bench::with(Durability::Disk, &[("max_recv_window_ms = 5000", "max_recv_window_ms = 700")]);
    let reply = bench.ask(
        r#"{"bot":"demo","account":"main","place":{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.001","price":"20000"}}"#,
    );
    assert_eq!(reply["status"], "approved", "{reply}");
    assert_eq!(reply["request"]["headers"]["X-BAPI-RECV-WINDOW"], "700");
}

/// What a line costs without sockets and disk: a figure to profile, no test.
#[test]
#[ignore = "prints a figure"]
fn cost_of_a_line() {
    const LINES: u64 = 60_000;
    let mut bench = Bench::with(
        Durability::Pipelined,
        &[
            ("max_recv_window_ms = 5000", "max_recv_window_ms = 100"),
            ("_per_second = 5000", "_per_second = 32000"),
            ("= \"1000000\"\n", "= \"1000000000000\"\n"),
        ],
    );
    let line = |number: u64| {
        let (tenths, lots) = (number % 10, number / 10 % 30 + 10);
        format!(
            r#"{{"bot":"demo","account":"main","place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.0{lots}","price":"20000.{tenths}","time_in_force":"immediate_or_cancel"}}}}"#
        )
    };
    let lines: Vec<String> = (0..300).map(line).collect();
    let (mut out, mut approved) = (Vec::new(), 0);
    let started = std::time::Instant::now();
    for (number, line) in (0..LINES).zip(lines.iter().cycle()) {
        bench.now += u64::from(number % 20 == 0);
        let now = Timestamp::from_ms(bench.now);
        let (caller, line) = (Caller::Direct { uid: UID }, line.as_bytes());
        bench.core.step(Input::Line { from: 1, caller, line, salt: [1; 16] }, now, &mut out);
        bench.core.step(Input::Durable(DurableBelow::acknowledged(number + 1)), now, &mut out);
        bench.core.recorder().all_leaves_sent();
        approved += out.drain(..).filter(is_approval).count();
    }
    println!(
        "{} ns a line, {approved} of {LINES} approved",
        started.elapsed().as_nanos() / u128::from(LINES)
    );
    assert_eq!(approved as u64, LINES);
}

fn is_approval(output: &Output) -> bool {
    matches!(output, Output::Reply { line, .. } if line.starts_with(br#"{"status":"approved""#))
}
