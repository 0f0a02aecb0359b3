//! REST flows of both venues, over real sockets.

use paper::{Config, Error};
use serde_json::{Value, json};

use crate::http::{binance, bybit, get, now_ms, send, sign, venue};

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.002&price=50000";

#[test]
fn binance_spot_places_finds_replaces_and_cancels() {
    let venue = venue();
    let placed = binance(&venue, "trade", "POST", "/api/v3/order", &format!("{BUY}&newClientOrderId=a"));
    assert_eq!((placed.status, &placed.body["status"]), (200, &json!("NEW")), "{}", placed.body);
    assert!(placed.head.contains("x-mbx-used-weight-1m: "));
    let again = binance(&venue, "trade", "POST", "/api/v3/order", &format!("{BUY}&newClientOrderId=a"));
    assert_eq!((again.status, &again.body["code"]), (400, &json!(-2010)));
    let replaced = binance(
        &venue,
        "trade",
        "POST",
        "/api/v3/order/cancelReplace",
        &format!("{BUY}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrigClientOrderId=a"),
    );
    assert_eq!(replaced.body["newOrderResult"], "SUCCESS", "{}", replaced.body);
    let account = binance(&venue, "trade", "GET", "/api/v3/account", "omitZeroBalances=true").body;
    let balances = account["balances"].as_array().expect("a list");
    let usdt = balances.iter().find(|row| row["asset"] == "USDT").expect("funded");
    assert_eq!(usdt["locked"], "100.00000000");
    let cancelled = binance(&venue, "trade", "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
    assert_eq!(cancelled.body.as_array().map(Vec::len), Some(1));
    let gone = binance(&venue, "trade", "DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=a");
    assert_eq!(gone.body["code"], -2011);
}

#[test]
fn binance_refuses_with_its_own_codes() {
    let venue = venue();
    let code = |word: &str, method: &str, path: &str, params: &str| {
        let answer = binance(&venue, word, method, path, params);
        (answer.status, answer.body["code"].as_i64().unwrap_or(0))
    };
    let order = |change: &str| format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&{change}");
    assert_eq!(code("trade", "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY"), (400, -1102));
    assert_eq!(code("trade", "POST", "/api/v3/order", "symbol=NOPE&side=BUY&type=MARKET"), (400, -1121));
    assert_eq!(code("trade", "POST", "/api/v3/order", &order("quantity=0.000001&price=50000")), (400, -1013));
    assert_eq!(code("trade", "POST", "/api/v3/order", &order("quantity=900&price=50000")), (400, -2010));
    assert_eq!(code("trade", "GET", "/api/v3/order", "symbol=BTCUSDT&orderId=1"), (400, -2013));
    let maker = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.002&price=61000";
    assert_eq!(code("trade", "POST", "/api/v3/order", maker), (400, -2010));
    let crossing = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.002&price=61000";
    assert_eq!(code("trade", "POST", "/fapi/v1/order", crossing), (400, -5022));
    let nothing = "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.002&reduceOnly=true";
    assert_eq!(code("trade", "POST", "/fapi/v1/order", nothing), (400, -2022));
    let stop = "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.002&stopPrice=50000";
    assert_eq!(code("trade", "POST", "/fapi/v1/order", stop), (400, -4120));
    assert_eq!(code("nobody", "GET", "/api/v3/account", ""), (401, -2015));
    assert_eq!(code("trade", "GET", "/api/v3/account", "recvWindow=60001"), (400, -1131));

    let old = format!("timestamp={}", now_ms() - 6_000);
    let signed = format!("/api/v3/account?{old}&signature={}", sign("paper-binance-trade-secret", &old));
    let key = [("X-MBX-APIKEY", "paper-binance-trade")];
    assert_eq!(send(venue.addresses.binance, "GET", &signed, &key, "").body["code"], -1021);
    let wrong = format!("/api/v3/account?timestamp={}&signature={}", now_ms(), "0".repeat(64));
    assert_eq!(send(venue.addresses.binance, "GET", &wrong, &key, "").body["code"], -1022);
    let stats = get(venue.addresses.control, "/stats");
    assert_eq!(stats["signatures_refused"], 1);
}

#[test]
fn bybit_places_amends_cancels_and_batches() {
    let venue = venue();
    let order = |change: Value| {
        let mut body = json!({
            "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002",
            "price": "50000",
        });
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        body.to_string()
    };
    let placed = bybit(&venue, "trade", "POST", "/v5/order/create", &order(json!({ "orderLinkId": "a" })));
    assert_eq!((placed.status, &placed.body["retCode"]), (200, &json!(0)), "{}", placed.body);
    assert!(placed.head.contains("x-bapi-limit: "));
    let again = bybit(&venue, "trade", "POST", "/v5/order/create", &order(json!({ "orderLinkId": "a" })));
    assert_eq!(again.body["retCode"], 110_072);
    let amend = json!({ "category": "linear", "symbol": "BTCUSDT", "orderLinkId": "a", "price": "49000" });
    assert_eq!(bybit(&venue, "trade", "POST", "/v5/order/amend", &amend.to_string()).body["retCode"], 0);
    let open = bybit(&venue, "trade", "GET", "/v5/order/realtime", "category=linear&symbol=BTCUSDT").body;
    assert_eq!(open["result"]["list"][0]["price"], "49000");
    let legs = json!({ "category": "linear", "request": [
        { "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002", "price": "50000" },
        { "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002", "price": "50000.05" },
    ]});
    let batch = bybit(&venue, "trade", "POST", "/v5/order/create-batch", &legs.to_string()).body;
    assert_eq!(batch["retExtInfo"]["list"][0]["code"], 0);
    assert_eq!(batch["retExtInfo"]["list"][1]["code"], 10_001);
    let post = bybit(
        &venue,
        "trade",
        "POST",
        "/v5/order/create",
        &order(json!({ "price": "61000", "timeInForce": "PostOnly" })),
    );
    let id = post.body["result"]["orderId"].as_str().expect("accepted").to_owned();
    let history =
        bybit(&venue, "trade", "GET", "/v5/order/history", &format!("category=linear&orderId={id}")).body;
    assert_eq!(history["result"]["list"][0]["rejectReason"], "EC_PostOnlyWillTakeLiquidity");
    let market = bybit(&venue, "trade", "POST", "/v5/order/create", &order(json!({ "orderType": "Market" })));
    assert_eq!(market.body["retCode"], 0);
    let position = bybit(&venue, "trade", "GET", "/v5/position/list", "category=linear&symbol=BTCUSDT").body;
    assert_eq!(position["result"]["list"][0]["size"], "0.002");
    let all = json!({ "category": "linear", "symbol": "BTCUSDT" }).to_string();
    let gone = bybit(&venue, "trade", "POST", "/v5/order/cancel-all", &all).body;
    assert_eq!(gone["result"]["list"].as_array().map(Vec::len), Some(2));
}

#[test]
fn bybit_refuses_with_its_own_codes() {
    let venue = venue();
    let code = |word: &str, path: &str, body: &str| {
        bybit(&venue, word, "POST", path, body).body["retCode"].as_i64().unwrap_or(0)
    };
    assert_eq!(code("nobody", "/v5/order/create", "{}"), 10_003);
    assert_eq!(code("trade", "/v5/order/create", "{}"), 10_001);
    let spot = r#"{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"2000000"}"#;
    assert_eq!(code("trade", "/v5/order/create", spot), 170_131);
    let cancel = r#"{"category":"linear","symbol":"BTCUSDT","orderId":"x"}"#;
    assert_eq!(code("trade", "/v5/order/cancel", cancel), 110_001);
    let at = now_ms().to_string();
    let mut headers =
        vec![("X-BAPI-API-KEY", "paper-bybit-trade"), ("X-BAPI-TIMESTAMP", &at), ("X-BAPI-SIGN", "00")];
    let target = "/v5/account/info";
    assert_eq!(send(venue.addresses.bybit, "GET", target, &headers, "").body["retCode"], 10_004);
    headers[1].1 = "1";
    assert_eq!(send(venue.addresses.bybit, "GET", target, &headers, "").body["retCode"], 10_002);
}

#[test]
fn a_key_does_what_it_may_and_attempts_to_withdraw_are_counted() {
    let venue = venue();
    let withdraw = |word: &str| {
        let first =
            binance(&venue, word, "POST", "/sapi/v1/capital/withdraw/apply", "coin=USDT&address=x&amount=1");
        let second = bybit(&venue, word, "POST", "/v5/asset/withdraw/create", r#"{"coin":"USDT"}"#);
        (first.body["code"].as_i64().unwrap_or(0), second.body["retCode"].as_i64().unwrap_or(0))
    };
    assert_eq!(get(venue.addresses.control, "/stats")["withdrawals"], 0);
    assert_eq!(withdraw("trade"), (-2015, 10_005));
    assert_eq!(withdraw("withdraw"), (-4019, 131_001));
    assert_eq!(get(venue.addresses.control, "/stats")["withdrawals"], 4);
    let restrictions = binance(&venue, "trade", "GET", "/sapi/v1/account/apiRestrictions", "").body;
    assert_eq!(restrictions["enableWithdrawals"], false);
    let key = bybit(&venue, "withdraw", "GET", "/v5/user/query-api", "").body;
    assert_eq!(key["result"]["permissions"]["Wallet"][2], "Withdraw");
}

#[test]
fn a_key_works_only_from_its_addresses() {
    let mut config = Config { tick_ms: 0, ..Config::demo(1) };
    for key in &mut config.accounts {
        key.ip_allow_list = Some(vec!["192.0.2.1".parse().expect("address")]);
    }
    let venue = paper::spawn(config).expect("starts");
    assert_eq!(binance(&venue, "trade", "GET", "/api/v3/account", "").body["code"], -2015);
    assert_eq!(bybit(&venue, "trade", "GET", "/v5/account/info", "").body["retCode"], 10_010);
}

#[test]
fn faults_are_served_and_then_over() {
    let venue = venue();
    let fault = r#"{"next":{"status":503,"count":2},"venue":"binance"}"#;
    assert_eq!(send(venue.addresses.control, "POST", "/faults", &[], fault).status, 200);
    let ping = || send(venue.addresses.binance, "GET", "/api/v3/ping", &[], "").status;
    assert_eq!([ping(), ping(), ping()], [503, 503, 200]);
    assert_eq!(get(venue.addresses.control, "/stats")["faults_served"], 2);
}

#[test]
fn prices_can_be_set() {
    let venue = venue();
    let price = r#"{"symbol":"BTCUSDT","price":"70000"}"#;
    assert_eq!(send(venue.addresses.control, "POST", "/price", &[], price).status, 200);
    let mark = get(venue.addresses.binance, "/fapi/v1/premiumIndex?symbol=BTCUSDT");
    assert_eq!(mark["markPrice"], "70000");
}

#[test]
fn what_is_too_much_is_refused() {
    let venue =
        paper::spawn(Config { tick_ms: 0, weight_per_minute: 30, ..Config::demo(1) }).expect("starts");
    let to = venue.addresses.binance;
    assert_eq!(send(to, "POST", "/api/v3/order", &[], &"x".repeat(70_000)).status, 413);
    let statuses: Vec<u16> = (0..40).map(|_| send(to, "GET", "/api/v3/ping", &[], "").status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    let many: Vec<(String, String)> = (0..100).map(|at| (format!("x-{at}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(send(to, "GET", "/api/v3/ping", &many, "").status, 431);
}

#[test]
fn a_bad_configuration_is_named() {
    let demo = Config { tick_ms: 0, ..Config::demo(1) };
    let twice = Config { accounts: [demo.accounts.clone(), demo.accounts.clone()].concat(), ..demo.clone() };
    assert!(matches!(paper::spawn(twice), Err(Error::Key(_))));
    let open = Config { control: "0.0.0.0:0".parse().expect("address"), ..demo };
    assert!(matches!(paper::spawn(open), Err(Error::ControlNotLoopback(_))));
}

/// The ids of an order on Binance and on Bybit, and of the trade that filled the first.
fn ids(first_id: u64) -> (u64, String, u64) {
    let venue = paper::spawn(Config { tick_ms: 0, first_id, ..Config::demo(7) }).expect("starts");
    let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.002";
    let filled = binance(&venue, "trade", "POST", "/api/v3/order", market).body;
    let order = json!({
        "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002",
        "price": "50000",
    });
    let placed = bybit(&venue, "trade", "POST", "/v5/order/create", &order.to_string()).body;
    let own = placed["result"]["orderId"].as_str().unwrap_or_else(|| panic!("{placed}")).to_owned();
    let cancel = json!({ "category": "linear", "symbol": "BTCUSDT", "orderId": own });
    let cancelled = bybit(&venue, "trade", "POST", "/v5/order/cancel", &cancel.to_string()).body;
    assert_eq!(cancelled["retCode"], 0, "{cancelled}");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{filled}"));
    (number(&filled["orderId"]), own, number(&filled["fills"][0]["tradeId"]))
}

#[test]
fn ids_begin_where_they_are_told_to_and_keep_the_venues_forms() {
    let (order, own, _) = ids(Config::FIRST_ID);
    assert_eq!((order, own.as_str()), (10_000_001, "5ea3a110-0000-4000-8000-000000989681"));
    let later = Config::MAX_FIRST_ID - 1;
    let (order, own, trade) = ids(later);
    assert_eq!((order, own.len()), (later, 36));
    assert!(trade >= later && trade < 1 << 53, "{trade}");
    for first_id in [0, Config::MAX_FIRST_ID] {
        let refused = paper::spawn(Config { first_id, ..Config::demo(7) });
        assert!(matches!(refused.err(), Some(Error::FirstId(id)) if id == first_id));
    }
}
