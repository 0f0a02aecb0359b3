//! What the skim vault says, and what it takes for moved.

use trading::Timestamp;
use venue::admin::SubAccount;
use venue::skim::{Master, SkimRequest, Status, Transfer, TransferId, Wallet, meaning, read, request};
use venue::{Currency, Signed, decode};

use crate::watch::{finished, wire};

const AT: Timestamp = Timestamp::from_ms(1_672_189_449_697);

fn transfer(from: Master, to: &str, to_wallet: Wallet) -> Transfer {
    Transfer {
        from,
        to: SubAccount::new(to).expect("an account"),
        to_wallet,
        currency: Currency::new("ETH").expect("a currency"),
        amount: "0.5".parse().expect("a decimal"),
        id: TransferId::parse("be7a2462-1138-4e27-80b1-62653f24925e").expect("a UUID"),
    }
}

/// The documentation's own example, between its two accounts.
fn bybit() -> Transfer {
    transfer(Master::Bybit { uid: 592_334, wallet: Wallet::Funding }, "691355", Wallet::Unified)
}

fn binance() -> Transfer {
    transfer(Master::Binance { wallet: Wallet::Spot }, "a@test.com", Wallet::UsdMargined)
}

#[test]
fn every_request_means_what_was_asked_and_a_changed_byte_does_not() {
    for transfer in [bybit(), binance()] {
        for asked in [SkimRequest::Move(transfer.clone()), SkimRequest::Status(transfer.clone())] {
            let signed = finished(request(&asked, AT, 5000).expect("sayable"));
            assert_eq!(meaning(transfer.venue(), &signed, &asked).as_ref(), Ok(&asked));
            assert!(
                decode(&request(&asked, AT, 5000).expect("sayable")).expect_err("not a bot's").is_endpoint()
            );
            let http = wire(signed);
            for (from, to) in [
                ("0.5", "5"),
                ("691355", "691356"),
                ("a%40test", "b%40test"),
                ("ETH", "BTC"),
                ("be7a", "ce7a"),
            ] {
                let mut changed = http.clone();
                changed.target = changed.target.replacen(from, to, 1);
                changed.body =
                    String::from_utf8(changed.body).expect("text").replacen(from, to, 1).into_bytes();
                if changed != http {
                    let found = meaning(transfer.venue(), &Signed::Http(changed), &asked);
                    assert_ne!(found.as_ref(), Ok(&asked), "{from}");
                }
            }
            let mut more = http.clone();
            more.target.push_str(if more.target.contains('?') { "&fromEmail=x" } else { "?fromEmail=x" });
            assert!(meaning(transfer.venue(), &Signed::Http(more), &asked).is_err());
        }
    }
}

#[test]
fn transfers_have_the_documented_form() {
    let said = |asked: SkimRequest| {
        let http = wire(finished(request(&asked, AT, 5000).expect("sayable")));
        let body = String::from_utf8(http.body).expect("text");
        let cut = |text: &str| text.split("&signature=").next().unwrap_or_default().to_owned();
        (http.method.to_string(), cut(&http.target), cut(&body))
    };
    let (method, target, body) = said(SkimRequest::Move(bybit()));
    assert_eq!((method.as_str(), target.as_str()), ("POST", "/v5/asset/transfer/universal-transfer"));
    assert_eq!(
        body,
        r#"{"transferId":"be7a2462-1138-4e27-80b1-62653f24925e","coin":"ETH","amount":"0.5","fromMemberId":592334,"toMemberId":691355,"fromAccountType":"FUND","toAccountType":"UNIFIED"}"#
    );
    let (_, target, _) = said(SkimRequest::Status(bybit()));
    assert_eq!(
        target,
        "/v5/asset/transfer/query-universal-transfer-list?transferId=be7a2462-1138-4e27-80b1-62653f24925e"
    );
    let (method, target, body) = said(SkimRequest::Move(binance()));
    assert_eq!((method.as_str(), target.as_str()), ("POST", "/sapi/v1/sub-account/universalTransfer"));
    assert_eq!(
        body,
        "toEmail=a%40test.com&fromAccountType=SPOT&toAccountType=USDT_FUTURE&clientTranId=be7a246211384e2780b162653f24925e&asset=ETH&amount=0.5&recvWindow=5000&timestamp=1672189449697"
    );
}

#[test]
fn what_is_no_transfer_from_master_to_sub_account_cannot_be_said() {
    let cannot =
        |transfer: Transfer| request(&SkimRequest::Move(transfer), AT, 5000).expect_err("no").field();
    for amount in ["0", "-1"] {
        assert_eq!(cannot(Transfer { amount: amount.parse().expect("a decimal"), ..bybit() }), "amount");
    }
    assert_eq!(cannot(Transfer { to: SubAccount::new("592334").expect("an account"), ..bybit() }), "to");
    assert_eq!(cannot(Transfer { to: binance().to, ..bybit() }), "account");
    assert_eq!(cannot(Transfer { to: bybit().to, ..binance() }), "account");
    assert_eq!(cannot(Transfer { to_wallet: Wallet::Spot, ..bybit() }), "wallet");
    assert_eq!(cannot(Transfer { to_wallet: Wallet::Unified, ..binance() }), "wallet");
}

fn became(asked: &SkimRequest, status: u16, body: &str) -> &'static str {
    match read(asked, status, body) {
        Status::Done => "done",
        Status::Pending => "pending",
        Status::Failed => "failed",
        Status::Known => "known",
        Status::Absent => "absent",
        Status::Refused(_) => "refused",
        Status::Unknown { .. } => "unknown",
    }
}

#[test]
fn bybit_replies() {
    let id = "be7a2462-1138-4e27-80b1-62653f24925e";
    let ok = |result: String| format!(r#"{{"retCode":0,"retMsg":"success","result":{result},"time":1}}"#);
    let moved = SkimRequest::Move(bybit());
    for (word, expected) in [
        ("SUCCESS", "done"),
        ("PENDING", "pending"),
        ("FAILED", "failed"),
        ("STATUS_UNKNOWN", "unknown"),
        ("?", "unknown"),
    ] {
        let body = ok(format!(r#"{{"transferId":"{id}","status":"{word}"}}"#));
        assert_eq!(became(&moved, 200, &body), expected, "{word}");
        assert_eq!(became(&moved, 200, &body.replace("be7a", "ce7a")), "unknown");
    }
    for (code, expected) in [
        (131_214, "known"),
        (131_212, "refused"),
        (131_228, "refused"),
        (131_001, "unknown"),
        (131_230, "unknown"),
        (10_016, "unknown"),
        (10_005, "refused"),
    ] {
        assert_eq!(
            became(&moved, 200, &format!(r#"{{"retCode":{code},"retMsg":"x","result":{{}}}}"#)),
            expected,
            "{code}"
        );
    }
    assert_eq!(became(&moved, 500, ""), "unknown");
    let asked = SkimRequest::Status(bybit());
    let row = format!(
        r#"{{"transferId":"{id}","coin":"ETH","amount":"0.50","fromMemberId":"592334","toMemberId":"691355","fromAccountType":"FUND","toAccountType":"UNIFIED","timestamp":"1","status":"SUCCESS"}}"#
    );
    let list = |rows: &str| ok(format!(r#"{{"list":[{rows}],"nextPageCursor":""}}"#));
    assert_eq!(became(&asked, 200, &list(&row)), "done");
    assert_eq!(became(&asked, 200, &list("")), "absent");
    for (from, to) in
        [("0.50", "0.51"), ("691355", "1"), ("ETH", "BTC"), ("\"FUND\"", "\"UNIFIED\""), ("SUCCESS", "?")]
    {
        assert_eq!(became(&asked, 200, &list(&row.replacen(from, to, 1))), "unknown", "{to}");
    }
    assert_eq!(became(&asked, 200, &list(&format!("{row},{row}"))), "unknown");
}

#[test]
fn binance_replies() {
    let id = "be7a246211384e2780b162653f24925e";
    let moved = SkimRequest::Move(binance());
    let taken = format!(r#"{{"tranId":11945860693,"clientTranId":"{id}"}}"#);
    assert_eq!(became(&moved, 200, &taken), "pending");
    assert_eq!(became(&moved, 200, &taken.replace("be7a", "ce7a")), "unknown");
    assert_eq!(became(&moved, 200, "{}"), "unknown");
    assert_eq!(became(&moved, 400, r#"{"code":-4019,"msg":"x"}"#), "refused");
    assert_eq!(became(&moved, 408, r#"{"code":-1007,"msg":"x"}"#), "unknown");
    let asked = SkimRequest::Status(binance());
    let row = format!(
        r#"{{"tranId":92275823339,"fromEmail":"m@test.com","toEmail":"a@test.com","asset":"ETH","amount":"0.5","createTimeStamp":1640317374000,"fromAccountType":"SPOT","toAccountType":"USDT_FUTURE","status":"SUCCESS","clientTranId":"{id}"}}"#
    );
    let list = |rows: &str| format!(r#"{{"result":[{rows}],"totalCount":1}}"#);
    assert_eq!(became(&asked, 200, &list(&row)), "done");
    assert_eq!(became(&asked, 200, &list("")), "absent");
    for (from, to) in
        [("0.5", "0.6"), ("a@test", "b@test"), ("ETH", "BTC"), ("\"SPOT\"", "\"MARGIN\""), ("SUCCESS", "?")]
    {
        assert_eq!(became(&asked, 200, &list(&row.replacen(from, to, 1))), "unknown", "{to}");
    }
}
