//! What the watch vault says and reads: the documentation's own forms, and nothing from half an answer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use trading::{Price, Timestamp, Venue};
use venue::watch::{
    Answer, BinanceReading, Book, BybitReading, Cursor, Direction, Equity, FlowKind, Gathering, ListenKey,
    MAX_PAGES, MAX_WINDOW_MS, OtherWallet, OwnTransfer, Probe, Question, Reading, Step, Window, meaning,
    read, read_probe, read_time, request, time_request,
};
use venue::{Algorithm, Currency, HttpRequest, Incomplete, Signed, Surface, Unsigned, attach, decode};

const AT: Timestamp = Timestamp::from_ms(1_772_600_061_460);
const WINDOW: Window =
    Window { since: Timestamp::from_ms(1_672_000_000_000), until: Timestamp::from_ms(1_672_200_000_000) };

fn usdt() -> Currency {
    Currency::new("USDT").expect("a currency")
}

pub(crate) fn finished(unsigned: Unsigned) -> Signed {
    attach(unsigned, "key", Algorithm::HmacSha256, &[7; 32])
}

pub(crate) fn wire(signed: Signed) -> HttpRequest {
    signed.http().expect("HTTP")
}

fn readings() -> Vec<Reading> {
    use BinanceReading as N;
    use BybitReading as B;
    let mut all: Vec<Reading> = [
        B::Wallet,
        B::Positions(Book::Linear(usdt())),
        B::Positions(Book::Inverse),
        B::Positions(Book::Option),
        B::Orders(Book::Spot),
        B::Orders(Book::Linear(usdt())),
        B::Orders(Book::Inverse),
        B::Log(WINDOW),
        B::Key,
        B::StreamLogin(AT),
    ]
    .map(Reading::Bybit)
    .to_vec();
    all.extend(
        [
            N::Spot,
            N::Margin,
            N::Positions,
            N::SpotOrders,
            N::FuturesOrders,
            N::AlgoOrders,
            N::Income(WINDOW),
            N::Deposits(WINDOW),
            N::Withdrawals(WINDOW),
            N::SubTransfers(Direction::In, WINDOW),
            N::SubTransfers(Direction::Out, WINDOW),
            N::Key,
            N::FuturesListenKey(ListenKey::Open),
            N::FuturesListenKey(ListenKey::KeepAlive),
            N::SpotListenKey(ListenKey::Open),
            N::SpotListenKey(ListenKey::KeepAliveOf("abc123".into())),
        ]
        .map(Reading::Binance),
    );
    for other in OtherWallet::ALL {
        for direction in [Direction::In, Direction::Out] {
            all.push(Reading::Binance(N::OwnTransfers(OwnTransfer { direction, other }, WINDOW)));
        }
    }
    all
}

#[test]
fn every_question_means_what_was_asked_and_a_changed_byte_does_not() {
    for reading in readings() {
        let question = Question::from(reading);
        let venue = question.reading.venue();
        let signed = finished(request(&question, AT, 5000).expect("sayable"));
        assert_eq!(meaning(venue, &signed).as_ref(), Ok(&question), "{signed:?}");
        let Signed::Http(http) = signed else { continue };
        let mut longer = http.clone();
        longer.target.push_str(if longer.target.contains('?') { "&x=1" } else { "?x=1" });
        let mut moved = http.clone();
        moved.target = moved.target.replacen("/v5/", "/v5/x", 1).replacen("api", "apix", 1);
        let mut bodied = http.clone();
        bodied.body = b"{}".to_vec();
        for changed in [longer, moved, bodied] {
            let found = meaning(venue, &Signed::Http(changed.clone()));
            assert!(found.is_err(), "{changed:?} means {found:?}");
        }
    }
}

#[test]
fn an_order_has_no_meaning_as_a_question() {
    let intent = trading::Intent::Cancel {
        instrument: "bybit:linear:BTCUSDT".parse().expect("an instrument"),
        target: trading::OrderReference::Venue("1".parse().expect("an id")),
    };
    let order = finished(venue::encode(&intent, AT, 5000).expect("sayable"));
    assert!(meaning(Venue::Bybit, &order).is_err());
    let unsigned = Question::from(Reading::Bybit(BybitReading::Wallet));
    let mut bare = wire(finished(request(&unsigned, AT, 5000).expect("sayable")));
    bare.headers.retain(|(name, _)| name != "X-BAPI-SIGN");
    assert!(meaning(Venue::Bybit, &Signed::Http(bare)).is_err());
}

#[test]
fn histories_are_no_words_of_a_bot() {
    for reading in readings() {
        let history = matches!(
            reading,
            Reading::Binance(
                BinanceReading::Deposits(_)
                    | BinanceReading::Withdrawals(_)
                    | BinanceReading::OwnTransfers(..)
                    | BinanceReading::SubTransfers(..)
            )
        );
        let unsigned = request(&reading.clone().into(), AT, 5000).expect("sayable");
        assert!(!history || decode(&unsigned).is_err(), "{reading:?}");
    }
}

#[test]
fn questions_have_the_documented_form() {
    let target = |reading: Reading, page: Option<&str>| {
        let page = page.map(|text| serde_json::from_value::<Cursor>(json!(text)).expect("a cursor"));
        wire(finished(request(&Question { reading, page }, AT, 5000).expect("sayable"))).target
    };
    use BinanceReading as N;
    use BybitReading as B;
    assert_eq!(target(Reading::Bybit(B::Wallet), None), "/v5/account/wallet-balance?accountType=UNIFIED");
    assert_eq!(
        target(Reading::Bybit(B::Positions(Book::Linear(usdt()))), Some("a%3A1%2Cb")),
        "/v5/position/list?category=linear&settleCoin=USDT&limit=200&cursor=a%3A1%2Cb"
    );
    assert_eq!(
        target(Reading::Bybit(B::Log(WINDOW)), None),
        "/v5/account/transaction-log?accountType=UNIFIED&startTime=1672000000000&endTime=1672200000000&limit=50"
    );
    let signature = "07".repeat(32);
    assert_eq!(
        target(Reading::Binance(N::Income(WINDOW)), Some("2")),
        format!(
            "/fapi/v1/income?startTime=1672000000000&endTime=1672200000000&limit=1000&page=2&recvWindow=5000&timestamp=1772600061460&signature={signature}"
        )
    );
    let way = OwnTransfer { direction: Direction::Out, other: OtherWallet::UsdMargined };
    assert!(
        target(Reading::Binance(N::OwnTransfers(way, WINDOW)), None)
            .starts_with("/sapi/v1/asset/transfer?type=MAIN_UMFUTURE&startTime=")
    );
    assert_eq!(target(Reading::Binance(N::FuturesListenKey(ListenKey::Open)), None), "/fapi/v1/listenKey");
    assert_eq!(time_request(Surface::UsdMargined).target, "/fapi/v1/time");
}

#[test]
fn a_window_has_its_limits() {
    let log = |since: u64, until: u64| {
        let window = Window { since: Timestamp::from_ms(since), until: Timestamp::from_ms(until) };
        request(&Reading::Bybit(BybitReading::Log(window)).into(), AT, 5000).is_ok()
    };
    assert!(log(5, 5 + MAX_WINDOW_MS));
    assert!(!log(5, 6 + MAX_WINDOW_MS));
    assert!(!log(6, 5));
    let spot = Reading::Bybit(BybitReading::Positions(Book::Spot));
    assert!(request(&spot.into(), AT, 5000).is_err());
}

fn bybit(result: &Value) -> Value {
    json!({ "retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1_672_132_481_405_u64 })
}

/// From "Get Wallet Balance", with a bonus.
fn wallet() -> Value {
    bybit(&json!({ "list": [{
        "totalEquity": "1103.31216591", "accountType": "UNIFIED", "totalWalletBalance": "1103.00326056",
        "coin": [
            { "coin": "USDT", "walletBalance": "1100", "equity": "1103", "usdValue": "1103.11", "unrealisedPnl": "3", "bonus": "100" },
            { "coin": "BTC", "walletBalance": "0", "equity": "0", "usdValue": "0", "unrealisedPnl": "0", "bonus": "0" },
        ],
    }] }))
}

fn position() -> Value {
    bybit(&json!({ "nextPageCursor": "", "list": [
        { "symbol": "BTCUSDT", "side": "Sell", "size": "0.25", "markPrice": "60000.5" },
    ] }))
}

/// Rows of "Get Transaction Log" and one of each kind of flow.
fn log() -> Value {
    let row = |kind: &str, change: &str| json!({ "id": format!("592324_{kind}"), "type": kind, "change": change, "currency": "USDT", "transactionTime": "1672128000000" });
    bybit(&json!({ "nextPageCursor": "", "list": [
        row("SETTLEMENT", "-0.003676"), row("TRADE", "-0.0190872"), row("TRANSFER_IN", "250"), row("TRANSFER_OUT", "-50"),
        row("BONUS", "10"), row("BONUS_RECOLLECT", "-4"), row("AIRDROP", "1"), row("INTEREST", "-1"), row("FEE_REFUND", "1"),
        row("LIQUIDATION", "-7"),
    ] }))
}

fn margin() -> Value {
    json!({
        "totalWalletBalance": "103.12345678", "totalUnrealizedProfit": "-3.00000000", "totalMarginBalance": "100.12345678",
        "assets": [
            { "asset": "USDT", "walletBalance": "103.12345678", "unrealizedProfit": "-3", "marginBalance": "100.12345678" },
            { "asset": "BNB", "walletBalance": "2", "unrealizedProfit": "0", "marginBalance": "2" },
        ],
        "positions": [{ "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.500" }],
    })
}

fn spot() -> Value {
    json!({ "balances": [
        { "asset": "BTC", "free": "0.5", "locked": "0.25" }, { "asset": "USDT", "free": "10", "locked": "0" },
        { "asset": "币安人生", "free": "0.00000000", "locked": "0.00000000" },
    ] })
}

fn risk() -> Value {
    json!([{ "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.500", "markPrice": "60000.00000000" }])
}

fn income() -> Value {
    json!([
        { "symbol": "", "incomeType": "TRANSFER", "income": "-0.37500000", "asset": "USDT", "time": 1_672_060_800_000_u64, "tranId": 9_689_322_392_u64 },
        { "symbol": "BTCUSDT", "incomeType": "COMMISSION", "income": "-0.01000000", "asset": "USDT", "time": 1_672_063_680_000_u64, "tranId": 9_689_322_392_u64 },
    ])
}

fn deposits() -> Value {
    json!([{ "id": "769800519366885376", "amount": "0.001", "coin": "BNB", "status": 1, "insertTime": 1_672_060_800_000_u64 }])
}

fn withdrawals() -> Value {
    json!([{ "id": "b6ae22b3aa844210a7041aee7589627c", "amount": "8.91000000", "transactionFee": "0.004", "coin": "USDT",
        "status": 6, "applyTime": "2022-12-27 11:12:02" }])
}

fn own_transfers() -> Value {
    json!({ "total": 1, "rows": [
        { "asset": "USDT", "amount": "1", "type": "MAIN_UMFUTURE", "status": "CONFIRMED", "tranId": 11_415_955_596_u64, "timestamp": 1_672_060_800_000_u64 },
    ] })
}

fn sub_transfers() -> Value {
    json!([{ "counterParty": "master", "email": "master@test.com", "type": 1, "asset": "BTC", "qty": "1",
        "toAccountType": "SPOT", "status": "SUCCESS", "tranId": 11_798_835_829_u64, "time": 1_672_060_800_000_u64 }])
}

fn binance_order() -> Value {
    json!([{ "symbol": "BTCUSDT", "orderId": 28, "clientOrderId": "x", "side": "SELL", "type": "STOP_MARKET", "reduceOnly": true,
        "closePosition": false }])
}

fn bybit_order() -> Value {
    bybit(
        &json!({ "nextPageCursor": "", "list": [{ "symbol": "BTCUSDT", "orderId": "a-1", "orderLinkId": "", "side": "Sell",
        "stopOrderType": "Stop", "reduceOnly": true, "closeOnTrigger": false }] }),
    )
}

fn examples() -> Vec<(Reading, Value)> {
    use BinanceReading as N;
    use BybitReading as B;
    let linear = || Book::Linear(usdt());
    let way = OwnTransfer { direction: Direction::Out, other: OtherWallet::UsdMargined };
    vec![
        (Reading::Bybit(B::Wallet), wallet()),
        (Reading::Bybit(B::Positions(linear())), position()),
        (Reading::Bybit(B::Orders(linear())), bybit_order()),
        (Reading::Bybit(B::Log(WINDOW)), log()),
        (Reading::Binance(N::Spot), spot()),
        (Reading::Binance(N::Margin), margin()),
        (Reading::Binance(N::Positions), risk()),
        (Reading::Binance(N::FuturesOrders), binance_order()),
        (Reading::Binance(N::Income(WINDOW)), income()),
        (Reading::Binance(N::Deposits(WINDOW)), deposits()),
        (Reading::Binance(N::Withdrawals(WINDOW)), withdrawals()),
        (Reading::Binance(N::OwnTransfers(way, WINDOW)), own_transfers()),
        (Reading::Binance(N::SubTransfers(Direction::In, WINDOW)), sub_transfers()),
    ]
}

/// Every value below `value` without one member, and with it made unreadable.
fn damaged(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let mut without = members.clone();
                without.remove(name);
                found.push((format!("-{name}"), Value::Object(without)));
                for (path, changed) in damaged(member) {
                    let mut with = members.clone();
                    with.insert(name.clone(), changed);
                    found.push((format!("{name}.{path}"), Value::Object(with)));
                }
            }
        }
        Value::Array(rows) => {
            for (at, row) in rows.iter().enumerate() {
                for (path, changed) in damaged(row) {
                    let mut with = rows.clone();
                    with[at] = changed;
                    found.push((format!("{at}.{path}"), Value::Array(with)));
                }
            }
        }
        _ => found.push(("null".to_owned(), Value::Null)),
    }
    found
}

#[test]
fn without_any_field_that_is_needed_there_is_no_answer() {
    // What nothing is decided by; the answer without it is the same answer.
    let unneeded = [
        "retMsg",
        "retExtInfo",
        "totalWalletBalance",
        "positionSide",
        "counterParty",
        "email",
        "insertTime",
        "0.symbol",
        "1.symbol",
    ];
    for (reading, example) in examples() {
        let question = Question::from(reading.clone());
        let whole = read(&question, 200, &example.to_string()).expect("whole");
        let mut refused = 0;
        for (path, changed) in damaged(&example) {
            match read(&question, 200, &changed.to_string()) {
                Err(_) => refused += 1,
                Ok(page) => {
                    let harmless = unneeded.iter().any(|name| path.contains(name))
                        // Rows of results, and empty rows, are not looked into further.
                        || matches!(reading, Reading::Bybit(BybitReading::Log(_)) | Reading::Binance(BinanceReading::Income(_)));
                    assert!(harmless, "{reading:?} without {path}");
                    assert_eq!(page.answer, whole.answer, "{reading:?} without {path}");
                }
            }
        }
        assert!(refused >= 4, "{reading:?}: {refused}");
    }
}

#[test]
fn errors_of_the_venue_are_no_empty_answers() {
    for (reading, example) in examples() {
        let question = Question::from(reading.clone());
        for (status, body) in [
            (500, example.to_string()),
            (429, String::new()),
            (200, String::new()),
            (200, "{}".to_owned()),
            (200, "null".to_owned()),
            (200, r#"{"retCode":10006,"retMsg":"x","result":{},"time":5}"#.to_owned()),
            (200, r#"{"code":-1003,"msg":"x"}"#.to_owned()),
        ] {
            assert!(read(&question, status, &body).is_err(), "{reading:?} {status} {body}");
        }
    }
    let limited = read(&Reading::Binance(BinanceReading::Spot).into(), 429, "").expect_err("refused");
    assert!(limited.is_passing());
}

#[test]
fn flows_are_told_from_results_and_the_unknown_is_never_guessed() {
    let question = Question::from(Reading::Bybit(BybitReading::Log(WINDOW)));
    let Answer::Flows(flows) = read(&question, 200, &log().to_string()).expect("whole").answer else {
        panic!("flows")
    };
    let said: Vec<(FlowKind, String, String)> =
        flows.iter().map(|flow| (flow.kind, flow.amount.to_string(), flow.counted.to_string())).collect();
    let row = |kind, amount: &str, counted: &str| (kind, amount.to_owned(), counted.to_owned());
    assert_eq!(
        said,
        [
            row(FlowKind::Transfer, "250", "250"),
            row(FlowKind::Transfer, "-50", "-50"),
            row(FlowKind::Bonus, "10", "0"),
            row(FlowKind::BonusRecollected, "-4", "0"),
            row(FlowKind::Airdrop, "1", "1"),
        ]
    );
    for (from, to) in [
        ("\"SETTLEMENT\"", "\"PEF_PROFIT_SHARE\""),
        ("\"LIQUIDATION\"", "\"TRANSFER_IN_INS_LOAN\""),
        ("\"change\":\"250\"", "\"change\":\"-250\""),
        ("\"change\":\"-50\"", "\"change\":\"50\""),
        ("1672128000000", "1671128000000"),
    ] {
        let changed = log().to_string().replace(from, to);
        assert_ne!(changed, log().to_string());
        assert!(read(&question, 200, &changed).is_err(), "{to}");
    }
    let question = Question::from(Reading::Binance(BinanceReading::Income(WINDOW)));
    let changed = income().to_string().replace("COMMISSION", "SURPRISE");
    assert_eq!(
        read(&question, 200, &changed),
        Err(Incomplete::UnknownWord { field: "incomeType", word: "SURPRISE".into() })
    );
}

#[test]
fn binance_flows_have_their_sign_and_only_those_that_count() {
    let flows = |reading: BinanceReading, body: String| {
        let page = read(&Reading::Binance(reading).into(), 200, &body).expect("whole");
        let Answer::Flows(flows) = page.answer else { panic!("flows") };
        flows.iter().map(|flow| format!("{:?} {} {}", flow.kind, flow.amount, flow.at)).collect::<Vec<_>>()
    };
    use BinanceReading as N;
    assert_eq!(flows(N::Income(WINDOW), income().to_string()), ["Transfer -0.375 2022-12-26T13:20:00.000Z"]);
    assert_eq!(
        flows(N::Deposits(WINDOW), deposits().to_string()),
        ["Deposit 0.001 2022-12-26T13:20:00.000Z"]
    );
    let pending = deposits().to_string().replace("\"status\":1", "\"status\":0");
    assert!(flows(N::Deposits(WINDOW), pending).is_empty());
    assert_eq!(
        flows(N::Withdrawals(WINDOW), withdrawals().to_string()),
        ["Withdrawal -8.914 2022-12-27T11:12:02.000Z"]
    );
    let failed = withdrawals().to_string().replace("\"status\":6", "\"status\":5");
    assert!(flows(N::Withdrawals(WINDOW), failed).is_empty());
    let way = OwnTransfer { direction: Direction::Out, other: OtherWallet::UsdMargined };
    assert_eq!(
        flows(N::OwnTransfers(way, WINDOW), own_transfers().to_string()),
        ["Transfer -1 2022-12-26T13:20:00.000Z"]
    );
    assert_eq!(
        flows(N::SubTransfers(Direction::In, WINDOW), sub_transfers().to_string()),
        ["Transfer 1 2022-12-26T13:20:00.000Z"]
    );
    // What went into the futures wallet is in its income.
    let futures = sub_transfers().to_string().replace("\"SPOT\"", "\"USDT_FUTURE\"");
    assert!(flows(N::SubTransfers(Direction::In, WINDOW), futures).is_empty());
}

#[test]
fn equity_leaves_the_bonus_out() {
    let part = |reading: BybitReading, body: Value| {
        let page = read(&Reading::Bybit(reading).into(), 200, &body.to_string()).expect("whole");
        (page.answer, page.at.expect("Bybit says when"))
    };
    let (Answer::Wallet(held), at) = part(BybitReading::Wallet, wallet()) else { panic!("a wallet") };
    // 100 of 1103 USDT that are worth 1103.11 USD, rounded up: 100.00997281.
    assert_eq!(held.total.to_string(), "1003.3021931");
    let (Answer::Positions(open), later) = part(BybitReading::Positions(Book::Linear(usdt())), position())
    else {
        panic!("positions")
    };
    assert_eq!(
        (open[0].quantity.to_string(), open[0].value.to_string()),
        ("-0.25".into(), "-15000.125".into())
    );
    let equity = Equity::bybit((held.clone(), at), (open.clone(), later)).expect("fits");
    assert_eq!((equity.currency.as_str(), equity.holdings.len(), equity.at), ("USD", 2, at));
    let apart = Timestamp::from_ms(later.as_ms() + 5_001);
    assert_eq!(Equity::bybit((held.clone(), at), (open, apart)), Err(Incomplete::Disagree("time")));
    let none = Equity::bybit((held, at), (Vec::new(), later));
    assert_eq!(none, Err(Incomplete::Disagree("unrealisedPnl")));
    let worthless = wallet().to_string().replace("1103.11", "0");
    assert!(read(&Reading::Bybit(BybitReading::Wallet).into(), 200, &worthless).is_err());
}

#[test]
fn equity_of_binance_needs_a_price_for_everything_and_the_same_positions() {
    let part = |reading: BinanceReading, body: Value| {
        read(&Reading::Binance(reading).into(), 200, &body.to_string()).expect("whole").answer
    };
    let Answer::Holdings(held) = part(BinanceReading::Spot, spot()) else { panic!("holdings") };
    let Answer::Margin(account) = part(BinanceReading::Margin, margin()) else { panic!("margin") };
    let Answer::Positions(open) = part(BinanceReading::Positions, risk()) else { panic!("positions") };
    let price = |text: &str| text.parse::<Price>().expect("a price");
    let mut prices = BTreeMap::from([(Currency::new("BTC").expect("a currency"), price("60000"))]);
    let equity = |futures, prices: &_| Equity::binance(Some(held.clone()), futures, usdt(), prices, AT);
    let futures = Some((account.clone(), open.clone()));
    assert_eq!(equity(futures.clone(), &prices), Err(Incomplete::NoPrice("BNB".into())));
    prices.insert(Currency::new("BNB").expect("a currency"), price("500"));
    // 45000 of bitcoin, 10, 100.12345678, and 1000 of BNB.
    assert_eq!(equity(futures, &prices).expect("fits").total.to_string(), "46110.12345678");
    assert_eq!(equity(None, &prices).expect("fits").total.to_string(), "45010");
    let flat = Some((account, Vec::new()));
    assert_eq!(equity(flat, &prices), Err(Incomplete::Disagree("positionAmt")));
    let torn = margin().to_string().replace("\"-3.00000000\"", "\"-2.99\"");
    let read = read(&Reading::Binance(BinanceReading::Margin).into(), 200, &torn);
    assert_eq!(read, Err(Incomplete::Disagree("totalMarginBalance")));
}

#[test]
fn pages_are_followed_to_their_end_and_not_beyond_the_bound() {
    let page = |rows: usize, next: &str| {
        let row = json!({ "id": "1", "type": "TRANSFER_IN", "change": "1", "currency": "USDT", "transactionTime": "1672128000000" });
        bybit(&json!({ "nextPageCursor": next, "list": vec![row; rows] })).to_string()
    };
    let start = || Gathering::new(Reading::Bybit(BybitReading::Log(WINDOW)));
    let Ok(Step::More(second)) = start().take(200, &page(50, "a%3A1")) else { panic!("more") };
    let asked = wire(finished(request(second.question(), AT, 5000).expect("sayable"))).target;
    assert!(asked.ends_with("&limit=50&cursor=a%3A1"), "{asked}");
    let signed = finished(request(second.question(), AT, 5000).expect("sayable"));
    assert_eq!(meaning(Venue::Bybit, &signed).as_ref(), Ok(second.question()));
    assert_eq!(second.clone().take(200, &page(1, "a%3A1")).expect_err("a circle"), Incomplete::Circle);
    assert!(second.clone().take(500, "").is_err());
    assert!(second.clone().take(200, &page(1, "a&category=x")).is_err());
    let Ok(Step::Whole(Answer::Flows(flows), Some(_))) = second.take(200, &page(3, "")) else {
        panic!("whole")
    };
    assert_eq!(flows.len(), 53);
    let mut endless = start();
    for number in 1..MAX_PAGES {
        let Ok(Step::More(next)) = endless.take(200, &page(1, &number.to_string())) else { panic!("more") };
        endless = next;
    }
    assert_eq!(endless.take(200, &page(1, "last")).expect_err("bounded"), Incomplete::TooMuch);
}

#[test]
fn binance_pages_are_counted() {
    let row = json!({ "asset": "USDT", "amount": "1", "type": "FUNDING_MAIN", "status": "CONFIRMED", "tranId": 1, "timestamp": 1_672_060_800_000_u64 });
    let page =
        |total: usize, rows: usize| json!({ "total": total, "rows": vec![row.clone(); rows] }).to_string();
    let way = OwnTransfer { direction: Direction::In, other: OtherWallet::Funding };
    let start = || Gathering::new(Reading::Binance(BinanceReading::OwnTransfers(way, WINDOW)));
    let Ok(Step::More(second)) = start().take(200, &page(130, 100)) else { panic!("more") };
    assert!(
        wire(finished(request(second.question(), AT, 5000).expect("sayable"))).target.contains("&current=2&")
    );
    assert!(second.clone().take(200, &page(130, 29)).is_err(), "one is missing");
    assert!(matches!(second.take(200, &page(130, 30)), Ok(Step::Whole(..))));
    assert!(matches!(start().take(200, r#"{"total":0}"#), Ok(Step::Whole(..))));
    let many = json!(vec![sub_transfers()[0].clone(); 500]).to_string();
    let sub = Question::from(Reading::Binance(BinanceReading::SubTransfers(Direction::In, WINDOW)));
    assert_eq!(read(&sub, 200, &many), Err(Incomplete::TooMuch));
    let deposits = json!(vec![deposits()[0].clone(); 1000]).to_string();
    let first = Gathering::new(Reading::Binance(BinanceReading::Deposits(WINDOW)));
    let Ok(Step::More(second)) = first.take(200, &deposits) else { panic!("more") };
    assert!(
        wire(finished(request(second.question(), AT, 5000).expect("sayable")))
            .target
            .contains("&offset=1000&")
    );
}

#[test]
fn protective_orders_are_told_apart() {
    let protective = |reading: Reading, body: &str| {
        let Answer::Orders(orders) = read(&reading.into(), 200, body).expect("whole").answer else {
            panic!("orders")
        };
        orders[0].protective
    };
    let linear = || Reading::Bybit(BybitReading::Orders(Book::Linear(usdt())));
    let text = bybit_order().to_string();
    assert!(protective(linear(), &text));
    assert!(!protective(linear(), &text.replace("\"reduceOnly\":true", "\"reduceOnly\":false")));
    assert!(!protective(linear(), &text.replace("\"Stop\"", "\"\"")));
    assert!(protective(
        linear(),
        &text.replace("\"Stop\"", "\"StopLoss\"").replace("\"reduceOnly\":true", "\"reduceOnly\":false")
    ));
    let text = binance_order().to_string();
    let futures = || Reading::Binance(BinanceReading::FuturesOrders);
    assert!(protective(futures(), &text));
    assert!(!protective(futures(), &text.replace("STOP_MARKET", "LIMIT")));
    assert!(read(&futures().into(), 200, &text.replace("STOP_MARKET", "WISH")).is_err());
    let spot = || Reading::Binance(BinanceReading::SpotOrders);
    assert!(protective(spot(), &text.replace("STOP_MARKET", "STOP_LOSS_LIMIT")));
}

#[test]
fn keys_times_and_probes() {
    let key = bybit(
        &json!({ "readOnly": 1, "permissions": { "ContractTrade": ["Order"] }, "ips": ["18.181.170.164"],
        "expiredAt": "1970-01-01T00:00:00Z" }),
    );
    let question = Question::from(Reading::Bybit(BybitReading::Key));
    let Answer::Key(permissions) = read(&question, 200, &key.to_string()).expect("whole").answer else {
        panic!("a key")
    };
    // A key bound to addresses has no end, which Bybit writes as the first second of 1970.
    assert!(permissions.read_only && permissions.ip_bound && permissions.expires_at.is_none());
    for name in ["readOnly", "permissions", "ips", "expiredAt"] {
        let mut without = key.clone();
        without["result"].as_object_mut().expect("an object").remove(name);
        assert!(read(&question, 200, &without.to_string()).is_err(), "{name}");
    }
    let time =
        r#"{"retCode":0,"result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"time":1}"#;
    assert_eq!(read_time(Surface::V5, 200, time), Ok(Timestamp::from_ms(1_688_639_403_423)));
    assert_eq!(
        read_time(Surface::Spot, 200, r#"{"serverTime":1499827319559}"#),
        Ok(Timestamp::from_ms(1_499_827_319_559))
    );
    assert!(read_time(Surface::Spot, 200, "{}").is_err());
    let probe = |venue, status, body: &str| match read_probe(venue, status, body) {
        Probe::Dead => "dead",
        Probe::Alive => "alive",
        Probe::Unknown(_) => "unknown",
    };
    for (status, body, expected) in [
        (200, r#"{"retCode":10003,"retMsg":"API key is invalid."}"#, "dead"),
        (200, r#"{"retCode":33004,"retMsg":"expired"}"#, "dead"),
        (200, r#"{"retCode":0,"result":{}}"#, "alive"),
        (200, r#"{"retCode":10005,"retMsg":"Permission denied"}"#, "alive"),
        (200, r#"{"retCode":10010,"retMsg":"Unmatched IP"}"#, "alive"),
        (200, r#"{"retCode":10002,"retMsg":"clock"}"#, "unknown"),
        (200, r#"{"retCode":12345,"retMsg":"?"}"#, "unknown"),
        (502, "", "unknown"),
    ] {
        assert_eq!(probe(Venue::Bybit, status, body), expected, "{body}");
    }
    assert_eq!(probe(Venue::Binance, 401, r#"{"code":-2015,"msg":"x"}"#), "dead");
    assert_eq!(probe(Venue::Binance, 200, "{}"), "alive");
    assert_eq!(probe(Venue::Binance, 429, ""), "unknown");
}

proptest! {
    /// Whatever a venue sends, it is an answer or an error.
    #[test]
    fn no_answer_panics(at in any::<prop::sample::Index>(), text in "[ -~é]{0,8}", whole in "[\\[\\]{}:,\"0-9a-z.-]{0,60}", status in 100_u16..600) {
        for (reading, example) in examples() {
            let question = Question::from(reading);
            let mut body = example.to_string();
            let places: Vec<usize> = body.char_indices().map(|(place, _)| place).collect();
            body.insert_str(places[at.index(places.len())], &text);
            let _either = read(&question, 200, &body);
            let _either = read(&question, status, &whole);
        }
    }
}
