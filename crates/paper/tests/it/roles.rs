//! What the watch, admin and skim vaults do to a venue, over real sockets and signatures.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paper::{Config, KeyConfig, Permissions, Spawned};
use serde_json::{Value, json};
use trading::{Decimal, Venue};

use crate::http::{Answer, binance, bybit, get, now_ms, send};

const SUB_UID: u64 = 1_001;
const MASTER_UID: u64 = 1_000;
const SUB: &str = "main.fast@paper.example";

/// A master account `main` and its sub-account `main/fast`, with keys for each role.
fn family() -> Spawned {
    let mut config =
        Config { tick_ms: 0, orders_per_second: 100_000, weight_per_minute: 1_000_000, ..Config::demo(7) };
    let read = Permissions { read: true, ..Permissions::default() };
    let transfer = Permissions { transfer: true, ..read };
    for venue in Venue::ALL {
        config.accounts.push(KeyConfig::demo(venue, "admin", transfer));
        for (word, permissions) in
            [("bot", Permissions::TRADE), ("bot2", Permissions::TRADE), ("watch", read), ("sub", transfer)]
        {
            config.accounts.push(KeyConfig {
                name: "main/fast".to_owned(),
                ..KeyConfig::demo(venue, word, permissions)
            });
        }
    }
    paper::spawn(config).expect("starts on free ports")
}

fn control(venue: &Spawned, path: &str, body: &Value) -> Answer {
    send(venue.addresses.control, "POST", path, &[], &body.to_string())
}

fn flow(venue: &Spawned, at: Venue, kind: &str, amount: &str, market: &str) {
    let body = json!({ "venue": at, "account": "main/fast", "kind": kind, "amount": amount, "asset": "USDT", "market": market });
    let answer = control(venue, "/flow", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn post(venue: &Spawned, word: &str, path: &str, body: &Value) -> Value {
    bybit(venue, word, "POST", path, &body.to_string()).body
}

fn code(answer: &Value) -> i64 {
    answer["retCode"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

fn wallet(venue: &Spawned) -> (Decimal, Decimal) {
    let answer = bybit(venue, "watch", "GET", "/v5/account/wallet-balance", "accountType=UNIFIED").body;
    let account = &answer["result"]["list"][0];
    let coins = account["coin"].as_array().expect("coins");
    let usdt = coins.iter().find(|row| row["coin"] == "USDT").expect("funded");
    (decimal(&account["totalEquity"]), decimal(&usdt["bonus"]))
}

#[test]
fn money_from_outside_is_in_bybits_log_and_equity() {
    let venue = family();
    let (before, _) = wallet(&venue);
    for (kind, amount) in
        [("deposit", "1000"), ("withdrawal", "-200"), ("bonus", "50"), ("bonus", "-20"), ("airdrop", "5")]
    {
        flow(&venue, Venue::Bybit, kind, amount, "spot");
    }
    let order = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.002" });
    assert_eq!(code(&post(&venue, "bot", "/v5/order/create", &order)), 0);
    let log =
        bybit(&venue, "watch", "GET", "/v5/account/transaction-log", "accountType=UNIFIED&limit=50").body;
    let rows = log["result"]["list"].as_array().expect("a list");
    let of = |kind: &str| {
        rows.iter()
            .filter(|row| row["type"] == kind)
            .map(|row| decimal(&row["change"]).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("TRANSFER_IN"), ["1000"]);
    assert_eq!(of("TRANSFER_OUT"), ["-200"]);
    assert_eq!(
        (of("BONUS"), of("BONUS_RECOLLECT"), of("AIRDROP")),
        (vec!["50".into()], vec!["-20".into()], vec!["5".into()])
    );
    let trades = rows.iter().filter(|row| row["type"] == "TRADE");
    for row in trades {
        assert!(decimal(&row["fee"]).is_positive() && decimal(&row["change"]).is_negative(), "{row}");
    }
    let (after, bonus) = wallet(&venue);
    assert_eq!(bonus.to_string(), "30");
    // 835 came in; what trading cost is small.
    let gained = after.checked_sub(before).expect("small");
    assert!(Decimal::from_integer(830) < gained && gained < Decimal::from_integer(836), "{gained}");
    let page =
        bybit(&venue, "watch", "GET", "/v5/account/transaction-log", "accountType=UNIFIED&limit=2").body;
    let cursor = page["result"]["nextPageCursor"].as_str().expect("text").to_owned();
    let next = format!("accountType=UNIFIED&limit=2&cursor={cursor}");
    let next = bybit(&venue, "watch", "GET", "/v5/account/transaction-log", &next).body;
    assert_eq!(next["result"]["list"][0]["id"], rows[2]["id"]);
    let long = format!("startTime=1&endTime={}", now_ms());
    assert_eq!(code(&bybit(&venue, "watch", "GET", "/v5/account/transaction-log", &long).body), 10_001);
}

#[test]
fn money_from_outside_is_in_binances_histories() {
    let venue = family();
    flow(&venue, Venue::Binance, "deposit", "1000", "spot");
    flow(&venue, Venue::Binance, "withdrawal", "-200.5", "spot");
    flow(&venue, Venue::Binance, "transfer", "300", "linear");
    let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.002";
    assert_eq!(binance(&venue, "bot", "POST", "/fapi/v1/order", market).status, 200);
    let read = |path: &str| binance(&venue, "watch", "GET", path, "limit=1000").body;
    assert_eq!(read("/sapi/v1/capital/deposit/hisrec")[0]["amount"], "1000");
    assert_eq!(read("/sapi/v1/capital/withdraw/history")[0]["amount"], "200.5");
    let income = read("/fapi/v1/income");
    let kinds: BTreeSet<&str> =
        income.as_array().expect("a list").iter().filter_map(|row| row["incomeType"].as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["COMMISSION", "TRANSFER"]));
    assert_eq!(income[0]["income"], "300.00000000");
    let account = binance(&venue, "watch", "GET", "/fapi/v3/account", "").body;
    let total =
        decimal(&account["totalWalletBalance"]).checked_add(decimal(&account["totalUnrealizedProfit"]));
    assert_eq!(total, Some(decimal(&account["totalMarginBalance"])));
}

#[test]
fn flows_are_checked() {
    let venue = family();
    for (kind, amount) in [
        ("deposit", "-1"),
        ("withdrawal", "1"),
        ("deposit", "0"),
        ("trade", "1"),
        ("deposit", "0.000000001"),
        ("withdrawal", "-1000000000"),
    ] {
        let body = json!({ "venue": "bybit", "account": "main/fast", "kind": kind, "amount": amount, "asset": "USDT" });
        assert_eq!(control(&venue, "/flow", &body).status, 400, "{kind} {amount}");
    }
    let nobody =
        json!({ "venue": "bybit", "account": "nobody", "kind": "deposit", "amount": "1", "asset": "USDT" });
    assert_eq!(control(&venue, "/flow", &nobody).status, 404);
}

#[test]
fn each_key_does_its_own_and_no_more() {
    let venue = family();
    let order = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002", "price": "50000" });
    let delete = json!({ "apikey": "paper-bybit-bot2" });
    let transfer = |id: &str| {
        json!({ "transferId": id, "coin": "USDT", "amount": "10", "fromMemberId": MASTER_UID, "toMemberId": SUB_UID,
            "fromAccountType": "UNIFIED", "toAccountType": "UNIFIED" })
    };
    let id = "be7a2462-1138-4e27-80b1-62653f24925e";
    let switch = json!({ "product": "DERIVATIVES", "timeWindow": 10 });
    for (word, path, body, expected) in [
        ("watch", "/v5/order/create", &order, 10_005),
        ("watch", "/v5/order/disconnected-cancel-all", &switch, 10_005),
        ("admin", "/v5/order/create", &order, 10_005),
        ("bot", "/v5/asset/transfer/universal-transfer", &transfer(id), 10_005),
        ("bot", "/v5/user/delete-sub-api", &json!({}), 10_005),
        ("bot", "/v5/user/frozen-sub-member", &json!({ "subuid": SUB_UID, "frozen": 1 }), 10_005),
        ("trade", "/v5/user/delete-sub-api", &delete, 10_005),
        ("sub", "/v5/user/delete-sub-api", &delete, 10_001),
        ("sub", "/v5/user/delete-api", &json!({}), 10_005),
        ("sub", "/v5/user/frozen-sub-member", &json!({ "subuid": SUB_UID, "frozen": 1 }), 10_001),
        ("sub", "/v5/asset/transfer/universal-transfer", &transfer(id), 131_209),
        ("admin", "/v5/user/delete-sub-api", &json!({ "apikey": "paper-bybit-trade" }), 10_001),
        ("admin", "/v5/user/delete-sub-api", &json!({}), 10_001),
    ] {
        assert_eq!(code(&post(&venue, word, path, body)), expected, "{word} {path}");
    }
    let refused = |word: &str, method: &str, path: &str, params: &str| {
        binance(&venue, word, method, path, params).body["code"].as_i64().unwrap_or(0)
    };
    let name = format!("email={SUB}&subAccountApiKey=paper-binance-bot2");
    let move_it = format!("toEmail={SUB}&fromAccountType=SPOT&toAccountType=SPOT&asset=USDT&amount=1");
    let delete_path = "/sapi/v1/sub-account/subAccountApi";
    let move_path = "/sapi/v1/sub-account/universalTransfer";
    assert_eq!(
        refused("watch", "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1"),
        -2015
    );
    assert_eq!(refused("bot", "DELETE", delete_path, &name), -2015);
    assert_eq!(refused("trade", "DELETE", delete_path, &name), -2015);
    assert_eq!(refused("sub", "DELETE", delete_path, &name), -12_022);
    assert_eq!(refused("bot", "POST", move_path, &move_it), -2015);
    assert_eq!(refused("sub", "POST", move_path, &move_it), -12_022);
    assert_eq!(
        refused("watch", "POST", "/fapi/v1/countdownCancelAll", "symbol=BTCUSDT&countdownTime=5000"),
        -2015
    );
    assert_eq!(refused("admin", "DELETE", delete_path, &name.replace("bot2", "trade")), -9_000);
}

#[test]
fn a_deleted_key_is_refused_with_the_venues_own_words() {
    let venue = family();
    let alive = |word: &str| code(&bybit(&venue, word, "GET", "/v5/user/query-api", "").body);
    let keys = || {
        let list =
            bybit(&venue, "admin", "GET", "/v5/user/sub-apikeys", &format!("subMemberId={SUB_UID}")).body;
        list["result"]["result"].as_array().unwrap_or_else(|| panic!("{list}")).len()
    };
    assert_eq!((alive("bot"), keys()), (0, 4));
    let deleted = post(&venue, "admin", "/v5/user/delete-sub-api", &json!({ "apikey": "paper-bybit-bot" }));
    assert_eq!(code(&deleted), 0, "{deleted}");
    assert_eq!((alive("bot"), alive("bot2"), keys()), (10_003, 0, 3));
    // Again: no such key any more.
    let again = post(&venue, "admin", "/v5/user/delete-sub-api", &json!({ "apikey": "paper-bybit-bot" }));
    assert_eq!(code(&again), 10_001);
    // A sub-account's key deletes itself, and a master's.
    assert_eq!(code(&post(&venue, "sub", "/v5/user/delete-sub-api", &json!({}))), 0);
    assert_eq!(code(&post(&venue, "sub", "/v5/user/delete-sub-api", &json!({}))), 10_003);
    assert_eq!(code(&post(&venue, "admin", "/v5/user/delete-api", &json!({}))), 0);
    assert_eq!(alive("admin"), 10_003);

    let probe = |word: &str| {
        binance(&venue, word, "GET", "/sapi/v1/account/apiRestrictions", "").body["code"].as_i64()
    };
    assert_eq!(probe("bot"), None);
    let name = format!("email={SUB}&subAccountApiKey=paper-binance-bot");
    let gone = binance(&venue, "admin", "DELETE", "/sapi/v1/sub-account/subAccountApi", &name);
    assert_eq!((gone.status, gone.body), (200, json!({})));
    assert_eq!((probe("bot"), probe("bot2")), (Some(-2015), None));
}

#[test]
fn keys_are_made_read_only_and_accounts_frozen() {
    let venue = family();
    let order = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002", "price": "50000" });
    let place = |word: &str| code(&post(&venue, word, "/v5/order/create", &order));
    assert_eq!((place("bot"), place("bot2")), (0, 0));
    let changed = post(
        &venue,
        "admin",
        "/v5/user/update-sub-api",
        &json!({ "apikey": "paper-bybit-bot", "readOnly": 1 }),
    );
    assert_eq!(
        (&changed["result"]["readOnly"], &changed["result"]["apiKey"]),
        (&json!(1), &json!("paper-bybit-bot"))
    );
    assert_eq!((place("bot"), place("bot2")), (10_005, 0));
    assert_eq!(
        code(&bybit(&venue, "bot", "GET", "/v5/order/realtime", "category=linear&settleCoin=USDT").body),
        0
    );
    let bound = json!({ "apikey": "paper-bybit-watch", "ips": "192.0.2.1" });
    assert_eq!(code(&post(&venue, "admin", "/v5/user/update-sub-api", &bound)), 0);
    assert_eq!(code(&bybit(&venue, "watch", "GET", "/v5/user/query-api", "").body), 10_010);
    let freeze = |frozen: u8| {
        code(&post(
            &venue,
            "admin",
            "/v5/user/frozen-sub-member",
            &json!({ "subuid": SUB_UID, "frozen": frozen }),
        ))
    };
    assert_eq!((freeze(1), place("bot2")), (0, 10_008));
    assert_eq!((freeze(0), place("bot2")), (0, 0));
    let other =
        post(&venue, "admin", "/v5/user/frozen-sub-member", &json!({ "subuid": MASTER_UID, "frozen": 1 }));
    assert_eq!(code(&other), 10_001);
}

#[test]
fn a_transfer_moves_once_and_is_seen_on_both_sides() {
    let venue = family();
    let body = json!({ "transferId": "be7a2462-1138-4e27-80b1-62653f24925e", "coin": "USDT", "amount": "250.5",
        "fromMemberId": MASTER_UID, "toMemberId": SUB_UID, "fromAccountType": "UNIFIED", "toAccountType": "UNIFIED" });
    let (before, _) = wallet(&venue);
    let moved = post(&venue, "admin", "/v5/asset/transfer/universal-transfer", &body);
    assert_eq!(moved["result"]["status"], "SUCCESS", "{moved}");
    let again = post(&venue, "admin", "/v5/asset/transfer/universal-transfer", &body);
    assert_eq!(code(&again), 131_214);
    assert_eq!(wallet(&venue).0.checked_sub(before), Some("250.5".parse().expect("a decimal")));
    let status = "transferId=be7a2462-1138-4e27-80b1-62653f24925e";
    let rows = bybit(&venue, "admin", "GET", "/v5/asset/transfer/query-universal-transfer-list", status).body;
    assert_eq!(rows["result"]["list"][0]["toMemberId"], SUB_UID.to_string());
    let mut too_much = body.clone();
    too_much["transferId"] = "ce7a2462-1138-4e27-80b1-62653f24925e".into();
    too_much["amount"] = "2000000".into();
    assert_eq!(code(&post(&venue, "admin", "/v5/asset/transfer/universal-transfer", &too_much)), 131_212);

    let params = format!(
        "toEmail={SUB}&fromAccountType=SPOT&toAccountType=USDT_FUTURE&clientTranId=a1&asset=USDT&amount=7"
    );
    let moved = binance(&venue, "admin", "POST", "/sapi/v1/sub-account/universalTransfer", &params);
    assert_eq!((moved.status, &moved.body["clientTranId"]), (200, &json!("a1")));
    let again = binance(&venue, "admin", "POST", "/sapi/v1/sub-account/universalTransfer", &params);
    assert_eq!(again.body["code"], -9_000);
    let seen = binance(&venue, "watch", "GET", "/sapi/v1/sub-account/transfer/subUserHistory", "type=1").body;
    assert_eq!((&seen[0]["qty"], &seen[0]["counterParty"]), (&json!("7"), &json!("master")));
    let income = binance(&venue, "watch", "GET", "/fapi/v1/income", "").body;
    assert_eq!((&income[0]["income"], income.as_array().map(Vec::len)), (&json!("7.00000000"), Some(1)));
    let status = format!("toEmail={SUB}&clientTranId=a1");
    let rows = binance(&venue, "admin", "GET", "/sapi/v1/sub-account/universalTransfer", &status).body;
    assert_eq!(rows["result"][0]["status"], "SUCCESS");
}

/// Rests `count` linear orders and `stops` conditional ones.
fn rest(venue: &Spawned, count: usize, stops: usize) {
    let leg =
        json!({ "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "50000" });
    for from in (0..count).step_by(20) {
        let legs = vec![leg.clone(); (count - from).min(20)];
        let answer =
            post(venue, "bot", "/v5/order/create-batch", &json!({ "category": "linear", "request": legs }));
        for row in answer["retExtInfo"]["list"].as_array().expect("results") {
            assert_eq!(row["code"], 0, "{row}");
        }
    }
    for _ in 0..stops {
        let stop = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.001",
            "triggerPrice": "40000", "triggerDirection": 2, "reduceOnly": true });
        assert_eq!(code(&post(venue, "bot", "/v5/order/create", &stop)), 0);
    }
}

/// Every open linear order, page by page.
fn resting(venue: &Spawned) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    for _ in 0..30 {
        let query = format!("category=linear&settleCoin=USDT&limit=50{cursor}");
        let page = bybit(venue, "watch", "GET", "/v5/order/realtime", &query).body;
        count += page["result"]["list"].as_array().expect("a list").len();
        match page["result"]["nextPageCursor"].as_str() {
            Some("") | None => return count,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
    panic!("endless pages")
}

#[test]
fn one_cancel_takes_at_most_500_and_a_fault_makes_it_fewer() {
    let venue = family();
    rest(&venue, 600, 2);
    assert_eq!(resting(&venue), 602);
    let fault = json!({ "venue": "bybit", "next": { "act": "partial_cancel", "at_most": 2, "path": "/v5/order/cancel-all" } });
    assert_eq!(control(&venue, "/faults", &fault).status, 200);
    let all = json!({ "category": "linear", "settleCoin": "USDT" });
    let cancel = || {
        let answer = post(&venue, "bot", "/v5/order/cancel-all", &all);
        assert_eq!(answer["result"]["success"], "1");
        answer["result"]["list"].as_array().expect("a list").len()
    };
    assert_eq!((cancel(), resting(&venue)), (2, 600));
    assert_eq!((cancel(), resting(&venue)), (500, 100));
    assert_eq!((cancel(), resting(&venue)), (100, 0));
    assert_eq!(cancel(), 0);
    // Every scope there is has an answer.
    for body in [
        json!({ "category": "inverse", "settleCoin": "BTC" }),
        json!({ "category": "option" }),
        json!({ "category": "spot", "orderFilter": "OcoOrder" }),
        json!({ "category": "spot", "orderFilter": "StopOrder" }),
    ] {
        assert_eq!(post(&venue, "bot", "/v5/order/cancel-all", &body)["result"]["success"], "1", "{body}");
    }
}

#[test]
fn binances_countdown_takes_protective_stops_too_unless_it_is_renewed() {
    let venue = family();
    let open = || {
        binance(&venue, "watch", "GET", "/fapi/v1/openAlgoOrders", "").body.as_array().expect("a list").len()
    };
    let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.002&price=50000";
    assert_eq!(binance(&venue, "bot", "POST", "/fapi/v1/order", limit).status, 200);
    let stop = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.002&triggerPrice=40000&reduceOnly=true";
    let placed = binance(&venue, "bot", "POST", "/fapi/v1/algoOrder", stop);
    assert_eq!((placed.status, open()), (200, 1), "{}", placed.body);
    let countdown = |ms: u64| {
        let params = format!("symbol=BTCUSDT&countdownTime={ms}");
        assert_eq!(binance(&venue, "bot", "POST", "/fapi/v1/countdownCancelAll", &params).status, 200);
    };
    let later = |ms: i64| {
        assert_eq!(control(&venue, "/condition", &json!({ "venue": "binance", "skew_ms": ms })).status, 200);
        assert_eq!(control(&venue, "/step", &json!({ "count": 1 })).status, 200);
    };
    countdown(60_000);
    later(30_000);
    // Renewing it by the venue's own clock, which is ahead by now.
    let params = format!("symbol=BTCUSDT&countdownTime=60000&timestamp={}", now_ms() + 30_000);
    let signature = crate::http::sign("paper-binance-bot-secret", &params);
    let target = format!("/fapi/v1/countdownCancelAll?{params}&signature={signature}");
    let renewed =
        send(venue.addresses.binance, "POST", &target, &[("X-MBX-APIKEY", "paper-binance-bot")], "");
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    later(80_000);
    later(0);
    assert_eq!(open(), 1, "renewed in time");
    later(95_000);
    later(0);
    assert_eq!(open(), 0, "not renewed");
}

#[test]
fn a_stale_clock_refuses_and_recovers() {
    let venue = family();
    let ask = || {
        let first = binance(&venue, "watch", "GET", "/api/v3/account", "").body["code"].as_i64();
        (first, code(&bybit(&venue, "watch", "GET", "/v5/user/query-api", "").body))
    };
    assert_eq!(ask(), (None, 0));
    for (skew, expected) in
        [(10_000, (Some(-1021), 10_002)), (-10_000, (Some(-1021), 10_002)), (0, (None, 0))]
    {
        assert_eq!(control(&venue, "/condition", &json!({ "skew_ms": skew })).status, 200);
        assert_eq!(ask(), expected, "{skew}");
    }
    assert_eq!(control(&venue, "/condition", &json!({ "skew_ms": 3_600_001 })).status, 400);
}

/// Sends a Bybit order and gives whatever comes back before the connection closes.
fn raw(venue: &Spawned, price: &str) -> String {
    let (key, at) = ("paper-bybit-bot", now_ms().to_string());
    let body = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": price }).to_string();
    let signature = crate::http::sign("paper-bybit-bot-secret", &format!("{at}{key}5000{body}"));
    let mut stream = TcpStream::connect(venue.addresses.bybit).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let head = format!(
        "POST /v5/order/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-BAPI-API-KEY: {key}\r\nX-BAPI-TIMESTAMP: {at}\r\nX-BAPI-RECV-WINDOW: 5000\r\nX-BAPI-SIGN: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("connected");
    let mut text = String::new();
    let _reset_is_no_answer_either = stream.read_to_string(&mut text);
    text
}

#[test]
fn answers_are_lost_hung_and_refused_and_a_dead_venue_says_nothing() {
    let venue = family();
    let fault = |fault: Value| {
        assert_eq!(control(&venue, "/faults", &json!({ "venue": "bybit", "next": fault })).status, 200);
    };
    assert!(raw(&venue, "50000").contains("\"retCode\":0"));
    fault(json!({ "act": "lose", "path": "/v5/order/create" }));
    assert_eq!(raw(&venue, "50000"), "");
    assert_eq!(resting(&venue), 2, "the lost answer was to an order that rests");
    fault(json!({ "act": "drop", "path": "/v5/order/create" }));
    assert_eq!(raw(&venue, "50000"), "");
    fault(json!({ "act": "hang", "ms": 50, "path": "/v5/order/create" }));
    assert_eq!(raw(&venue, "50000"), "");
    fault(json!({ "status": 429, "path": "/v5/order/create" }));
    assert!(raw(&venue, "50000").starts_with("HTTP/1.1 429"));
    fault(json!({ "path": "/v5/order/create" }));
    assert!(raw(&venue, "50000").starts_with("HTTP/1.1 500"));
    assert_eq!(resting(&venue), 2, "nothing else was done");
    assert_eq!(control(&venue, "/condition", &json!({ "venue": "bybit", "dead": true })).status, 200);
    assert_eq!(raw(&venue, "50000"), "");
    assert_eq!(binance(&venue, "watch", "GET", "/api/v3/account", "").status, 200, "the other lives");
    assert_eq!(control(&venue, "/condition", &json!({ "venue": "bybit", "dead": false })).status, 200);
    assert_eq!(resting(&venue), 2);
    assert_eq!(get(venue.addresses.control, "/stats")["faults_served"], 5);
}
