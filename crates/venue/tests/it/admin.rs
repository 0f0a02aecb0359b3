//! What the admin vault says, and what it takes for done.

use trading::{Instrument, Intent, Timestamp, Venue};
use venue::admin::{
    AdminRequest, ApiKey, Confirmed, NotArmed, Product, Reach, Reply, Scope, SpotFilter, SubAccount, Switch,
    binance_scopes, bybit_scopes, meaning, read, request,
};
use venue::watch::OpenOrder;
use venue::{Currency, Signed, Why, decode};

use crate::watch::{finished, wire};

const AT: Timestamp = Timestamp::from_ms(1_672_219_779_140);

fn instrument(text: &str) -> Instrument {
    text.parse().expect("an instrument")
}

fn currency(text: &str) -> Currency {
    Currency::new(text).expect("a currency")
}

fn account(text: &str) -> SubAccount {
    SubAccount::new(text).expect("an account")
}

fn key() -> ApiKey {
    ApiKey::new("XXXXXX-a_1").expect("a key")
}

fn requests() -> Vec<AdminRequest> {
    let linear = instrument("binance:linear:BTCUSDT");
    let mut all: Vec<AdminRequest> = bybit_scopes(&[currency("USDT"), currency("USDC")], &[currency("BTC")])
        .into_iter()
        .chain(binance_scopes(&[instrument("binance:spot:BTCUSDT"), linear.clone()]))
        .map(AdminRequest::Cancel)
        .collect();
    all.extend([
        AdminRequest::DeleteSubKey { venue: Venue::Bybit, account: account("53888001"), key: key() },
        AdminRequest::DeleteSubKey { venue: Venue::Binance, account: account("a+b@test.com"), key: key() },
        AdminRequest::DeleteOwnSubKey,
        AdminRequest::DeleteOwnKey,
        AdminRequest::MakeSubKeyReadOnly { key: key() },
        AdminRequest::Freeze { account: account("53888001") },
        AdminRequest::ListSubKeys { account: account("53888001") },
        AdminRequest::Switch(Switch::armed(Reach::Bybit(Product::Derivatives), 40_000, &[]).expect("armed")),
        AdminRequest::Switch(Switch::armed(Reach::Binance(linear.clone()), 120_000, &[]).expect("armed")),
        AdminRequest::Switch(Switch::stopped(linear)),
    ]);
    all
}

#[test]
fn every_request_means_what_was_asked_and_a_changed_byte_does_not() {
    for asked in requests() {
        let venue = asked.venue();
        let signed = finished(request(&asked, AT, 5000).expect("sayable"));
        assert_eq!(meaning(venue, &signed, &asked).as_ref(), Ok(&asked));
        let http = wire(signed);
        let mut longer = http.clone();
        longer.target.push_str(if longer.target.contains('?') { "&x=1" } else { "?x=1" });
        let mut other = http.clone();
        other.target = other.target.replacen("sub-member", "sub-members", 1).replacen("all", "everything", 1);
        let mut spaced = http.clone();
        spaced.body.push(b' ');
        let mut renamed = http.clone();
        renamed.body =
            String::from_utf8(renamed.body).expect("text").replacen("XXXXXX", "YYYYYY", 1).into_bytes();
        renamed.target = renamed.target.replacen("XXXXXX", "YYYYYY", 1);
        for changed in [longer, other, spaced, renamed] {
            if changed != http {
                let found = meaning(venue, &Signed::Http(changed), &asked);
                assert_ne!(found.as_ref(), Ok(&asked));
            }
        }
    }
}

#[test]
fn a_bots_words_stay_what_they_were() {
    for asked in requests() {
        let decoded = decode(&request(&asked, AT, 5000).expect("sayable"));
        match (&asked, &decoded) {
            // The trade vault has its own cancel and switch, and decides on them by its own rules.
            (AdminRequest::Cancel(_), Ok(Intent::CancelAll(_)))
            | (AdminRequest::Switch(_), Ok(Intent::DeadMansSwitch { .. })) => {}
            (_, Err(error)) => assert!(error.is_endpoint(), "{asked:?}: {error}"),
            _ => panic!("{asked:?} is {decoded:?} to a bot"),
        }
    }
}

#[test]
fn requests_have_the_documented_form() {
    let said = |asked: AdminRequest| {
        let http = wire(finished(request(&asked, AT, 5000).expect("sayable")));
        let target = http.target.split("&signature=").next().unwrap_or_default().to_owned();
        let body = String::from_utf8(http.body).expect("text");
        format!("{} {target} {}", http.method, body.split("&signature=").next().unwrap_or_default())
    };
    assert_eq!(
        said(AdminRequest::Cancel(Scope::BybitLinear(currency("USDT")))),
        r#"POST /v5/order/cancel-all {"category":"linear","settleCoin":"USDT"}"#
    );
    assert_eq!(
        said(AdminRequest::Cancel(Scope::BybitSpot(SpotFilter::TakeProfitStopLoss))),
        r#"POST /v5/order/cancel-all {"category":"spot","orderFilter":"tpslOrder"}"#
    );
    assert_eq!(said(AdminRequest::DeleteOwnSubKey), "POST /v5/user/delete-sub-api {}");
    assert_eq!(said(AdminRequest::DeleteOwnKey), "POST /v5/user/delete-api {}");
    assert_eq!(
        said(AdminRequest::DeleteSubKey { venue: Venue::Bybit, account: account("5"), key: key() }),
        r#"POST /v5/user/delete-sub-api {"apikey":"XXXXXX-a_1"}"#
    );
    assert_eq!(
        said(AdminRequest::MakeSubKeyReadOnly { key: key() }),
        r#"POST /v5/user/update-sub-api {"apikey":"XXXXXX-a_1","readOnly":1}"#
    );
    assert_eq!(
        said(AdminRequest::Freeze { account: account("53888001") }),
        r#"POST /v5/user/frozen-sub-member {"subuid":53888001,"frozen":1}"#
    );
    let switch = Switch::armed(Reach::Bybit(Product::Options), 40_000, &[]).expect("armed");
    assert_eq!(
        said(AdminRequest::Switch(switch)),
        r#"POST /v5/order/disconnected-cancel-all {"product":"OPTIONS","timeWindow":40}"#
    );
    let binance =
        AdminRequest::DeleteSubKey { venue: Venue::Binance, account: account("a@test.com"), key: key() };
    assert_eq!(
        said(binance).trim_end(),
        "DELETE /sapi/v1/sub-account/subAccountApi?email=a%40test.com&subAccountApiKey=XXXXXX-a_1&recvWindow=5000&timestamp=1672219779140"
    );
    let switch =
        Switch::armed(Reach::Binance(instrument("binance:linear:BTCUSDT")), 120_000, &[]).expect("armed");
    assert_eq!(
        said(AdminRequest::Switch(switch)),
        "POST /fapi/v1/countdownCancelAll symbol=BTCUSDT&countdownTime=120000&recvWindow=5000&timestamp=1672219779140"
    );
}

#[test]
fn what_a_venue_cannot_say_is_refused() {
    let cannot = |asked: AdminRequest| request(&asked, AT, 5000).expect_err("cannot be said").field();
    let wrong =
        AdminRequest::DeleteSubKey { venue: Venue::Bybit, account: account("a@test.com"), key: key() };
    assert_eq!(cannot(wrong), "account");
    let wrong =
        AdminRequest::DeleteSubKey { venue: Venue::Binance, account: account("53888001"), key: key() };
    assert_eq!(cannot(wrong), "account");
    assert_eq!(
        cannot(AdminRequest::Cancel(Scope::BinanceConditional(instrument("binance:spot:B")))),
        "instrument"
    );
    assert_eq!(cannot(AdminRequest::Cancel(Scope::Binance(instrument("bybit:linear:B")))), "instrument");
    for text in ["", "0", "01", "-1", "a", "a@b", "@b.c", "a@b@c.d", "a b@c.d", "1234567890123456789"] {
        assert!(SubAccount::new(text).is_err(), "{text}");
    }
    for text in ["", "a b", "a&b=c", "a\"b", &"x".repeat(129)] {
        assert!(ApiKey::new(text).is_err(), "{text}");
    }
    assert_eq!(format!("{:?}", key()), "ApiKey(..)");
}

#[test]
fn a_switch_is_not_armed_where_it_would_remove_a_protective_stop() {
    let order = |instrument_text: &str, protective| OpenOrder {
        instrument: instrument(instrument_text),
        id: "1".parse().expect("an id"),
        client_order_id: None,
        side: trading::Side::Sell,
        protective,
    };
    let binance = || Reach::Binance(instrument("binance:linear:BTCUSDT"));
    let stop = [order("binance:linear:BTCUSDT", true), order("binance:linear:BTCUSDT", false)];
    assert_eq!(Switch::armed(binance(), 60_000, &stop), Err(NotArmed::ProtectiveOrders(1)));
    let elsewhere = [order("binance:linear:ETHUSDT", true), order("binance:spot:BTCUSDT", true)];
    assert!(Switch::armed(binance(), 60_000, &elsewhere).is_ok());
    let inverse = [order("bybit:inverse:BTCUSD", true)];
    assert_eq!(
        Switch::armed(Reach::Bybit(Product::Derivatives), 10_000, &inverse),
        Err(NotArmed::ProtectiveOrders(1))
    );
    assert!(Switch::armed(Reach::Bybit(Product::Spot), 10_000, &inverse).is_ok());
    for (timeout_ms, fine) in
        [(2_999, false), (3_000, true), (3_500, false), (300_000, true), (301_000, false)]
    {
        assert_eq!(Switch::armed(Reach::Bybit(Product::Spot), timeout_ms, &[]).is_ok(), fine, "{timeout_ms}");
    }
    for (timeout_ms, fine) in [(0, false), (4_999, false), (5_000, true), (600_000, true), (600_001, false)] {
        assert_eq!(Switch::armed(binance(), timeout_ms, &[]).is_ok(), fine, "{timeout_ms}");
    }
    let spot = Reach::Binance(instrument("binance:spot:BTCUSDT"));
    assert_eq!(Switch::armed(spot, 60_000, &[]), Err(NotArmed::Instrument));
}

fn became(asked: &AdminRequest, status: u16, body: &str) -> String {
    match read(asked, status, body) {
        Reply::Confirmed(Confirmed::Keys(keys)) => format!("{} keys", keys.len()),
        Reply::Confirmed(confirmed) => format!("{confirmed:?}"),
        Reply::Refused(refusal) => format!("refused: {:?}", refusal.why),
        Reply::Unknown { .. } => "unknown".to_owned(),
    }
}

#[test]
fn bybit_replies() {
    let ok = |result: &str| format!(r#"{{"retCode":0,"retMsg":"OK","result":{result},"time":1}}"#);
    let cancel = AdminRequest::Cancel(Scope::BybitLinear(currency("USDT")));
    assert_eq!(became(&cancel, 200, &ok(r#"{"list":[{"orderId":"a"}],"success":"1"}"#)), "Done");
    assert_eq!(became(&cancel, 200, &ok(r#"{"list":[],"success":"1"}"#)), "AlreadySo");
    assert_eq!(became(&cancel, 200, &ok(r#"{"list":[],"success":"0"}"#)), "unknown");
    assert_eq!(became(&cancel, 200, &ok("{}")), "unknown");
    assert_eq!(became(&cancel, 200, r#"{"retCode":10006,"retMsg":"slow"}"#), "refused: RateLimited");
    assert_eq!(became(&cancel, 200, r#"{"retCode":10002,"retMsg":"clock"}"#), "refused: Clock");
    assert_eq!(became(&cancel, 200, r#"{"retCode":10016,"retMsg":"?"}"#), "unknown");
    assert_eq!(became(&cancel, 500, ""), "unknown");
    let delete = AdminRequest::DeleteSubKey { venue: Venue::Bybit, account: account("5"), key: key() };
    assert_eq!(became(&delete, 200, &ok("{}")), "Done");
    assert_eq!(became(&delete, 200, r#"{"retCode":0}"#), "unknown");
    // The key that signs is not known: that says nothing of the one to be deleted.
    let unknown = r#"{"retCode":10003,"retMsg":"API key is invalid."}"#;
    assert_eq!(became(&delete, 200, unknown), "refused: Key");
    assert_eq!(became(&AdminRequest::DeleteOwnSubKey, 200, unknown), "AlreadySo");
    assert_eq!(became(&AdminRequest::DeleteOwnKey, 200, unknown), "AlreadySo");
    assert_eq!(became(&delete, 200, r#"{"retCode":10005,"retMsg":"no"}"#), "refused: Permission");
    let read_only = AdminRequest::MakeSubKeyReadOnly { key: key() };
    assert_eq!(became(&read_only, 200, &ok(r#"{"apiKey":"XXXXXX-a_1","readOnly":1}"#)), "Done");
    assert_eq!(became(&read_only, 200, &ok(r#"{"apiKey":"XXXXXX-a_1","readOnly":0}"#)), "unknown");
    assert_eq!(became(&read_only, 200, &ok(r#"{"apiKey":"other","readOnly":1}"#)), "unknown");
    let list = AdminRequest::ListSubKeys { account: account("5") };
    let keys = r#"{"result":[{"apiKey":"a"},{"apiKey":"b"}],"nextPageCursor":""}"#;
    assert_eq!(became(&list, 200, &ok(keys)), "2 keys");
    assert_eq!(became(&list, 200, &ok(r#"{"result":[],"nextPageCursor":""}"#)), "0 keys");
    assert_eq!(became(&list, 200, &ok(&keys.replace("\"\"", "\"more\""))), "unknown");
    assert_eq!(became(&list, 200, &ok(r#"{"result":[{}],"nextPageCursor":""}"#)), "unknown");
    assert_eq!(became(&AdminRequest::Freeze { account: account("5") }, 200, &ok("{}")), "Done");
}

#[test]
fn binance_replies() {
    let spot = AdminRequest::Cancel(Scope::Binance(instrument("binance:spot:BTCUSDT")));
    assert_eq!(became(&spot, 200, r#"[{"orderId":1}]"#), "Done");
    assert_eq!(became(&spot, 400, r#"{"code":-2011,"msg":"Unknown order sent."}"#), "AlreadySo");
    assert_eq!(became(&spot, 200, "{}"), "unknown");
    let futures = AdminRequest::Cancel(Scope::Binance(instrument("binance:linear:BTCUSDT")));
    let done = r#"{"code":200,"msg":"The operation of cancel all open order is done."}"#;
    assert_eq!(became(&futures, 200, done), "Done");
    assert_eq!(became(&futures, 200, "{}"), "unknown");
    let conditional = AdminRequest::Cancel(Scope::BinanceConditional(instrument("binance:linear:BTCUSDT")));
    assert_eq!(became(&conditional, 200, &done.replace("200", "\"200\"")), "Done");
    let delete = AdminRequest::DeleteSubKey { venue: Venue::Binance, account: account("a@b.c"), key: key() };
    assert_eq!(became(&delete, 200, "{}"), "Done");
    assert_eq!(became(&delete, 200, r#"{"success":false}"#), "unknown");
    assert_eq!(became(&delete, 401, r#"{"code":-2015,"msg":"x"}"#), "refused: Key");
    assert_eq!(became(&delete, 400, r#"{"code":-12345,"msg":"x"}"#), "refused: Other");
    assert_eq!(became(&delete, 503, r#"{"code":-1000,"msg":"x"}"#), "unknown");
    let linear = instrument("binance:linear:BTCUSDT");
    let switch = AdminRequest::Switch(Switch::armed(Reach::Binance(linear), 100_000, &[]).expect("armed"));
    assert_eq!(became(&switch, 200, r#"{"symbol":"BTCUSDT","countdownTime":"100000"}"#), "Done");
    assert_eq!(became(&switch, 200, r#"{"symbol":"BTCUSDT","countdownTime":"0"}"#), "unknown");
    assert_eq!(became(&switch, 200, r#"{"symbol":"ETHUSDT","countdownTime":"100000"}"#), "unknown");
    assert_eq!(became(&switch, 418, ""), "refused: RateLimited");
    let Reply::Refused(refusal) = read(&switch, 429, "") else { panic!("refused") };
    assert_eq!(refusal.why, Why::RateLimited);
}
