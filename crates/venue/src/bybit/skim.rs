//! "Create Universal Transfer" and "Get Universal Transfer Records" of the v5 documentation, read 2026-11-21.
//! A master key needs `SubMemberTransfer`.

use trading::{Timestamp, Venue};

use super::admin::sub_account;
use super::auth::Http;
use super::encode::{self, Member, object, text};
use super::watch::{get, list};
use crate::canonical::Parameters;
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::http::Method;
use crate::json::{self, Value};
use crate::skim::{Master, SkimRequest, Status, Transfer, TransferId, Wallet};

const MOVE: &str = "/v5/asset/transfer/universal-transfer";
const RECORDS: &str = "/v5/asset/transfer/query-universal-transfer-list";

/// Says a request in Bybit's words.
pub(crate) fn request(
    asked: &SkimRequest,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Unencodable> {
    let transfer = asked.transfer();
    let Master::Bybit { uid, wallet } = transfer.from else {
        return Err(Unencodable::new("from", "is of another venue"));
    };
    let to = transfer.to.uid()?;
    if to == uid {
        return Err(Unencodable::new("to", "is the master account"));
    }
    if matches!(asked, SkimRequest::Status(_)) {
        return Ok(get(format!("{RECORDS}?transferId={}", transfer.id), sent_at, recv_window_ms));
    }
    let members = vec![
        ("transferId", text(&transfer.id)),
        ("coin", text(&transfer.currency)),
        ("amount", text(&transfer.amount)),
        ("fromMemberId", Member::Whole(uid)),
        ("toMemberId", Member::Whole(to)),
        ("fromAccountType", text(wallet.name(Venue::Bybit)?)),
        ("toAccountType", text(transfer.to_wallet.name(Venue::Bybit)?)),
    ];
    let name = MOVE.strip_prefix("/v5/").expect("a v5 path");
    Ok(encode::post(name, object(&members), sent_at, recv_window_ms))
}

/// What a request asks, before it is compared byte for byte.
pub(crate) fn take_apart(http: &Http, asked: &SkimRequest) -> Result<SkimRequest, Undecodable> {
    match (http.request.method, http.request.path()) {
        (Method::Get, RECORDS) => {
            let id = Parameters::new(http.request.query()).get("transferId")?;
            let id = TransferId::parse(&id).ok_or_else(|| Undecodable::bad("transferId", "is not a UUID"))?;
            Ok(SkimRequest::Status(Transfer { id, ..asked.transfer().clone() }))
        }
        (Method::Post, MOVE) => {
            let body = std::str::from_utf8(&http.request.body)
                .map_err(|_| Undecodable::bad("body", "is not UTF-8"))?;
            moved(&json::parse(body)?).map(SkimRequest::Move)
        }
        (method, path) => Err(Undecodable::Endpoint(format!("{method} {path}").into())),
    }
}

/// The transfer in a body, or in a row of the records, which is written alike.
fn moved(body: &Value<'_>) -> Result<Transfer, Undecodable> {
    let said =
        |name: &'static str| body.get(name).and_then(Value::as_text).ok_or(Undecodable::MissingField(name));
    let uid = crate::unsigned::read_whole(said("fromMemberId")?);
    Ok(Transfer {
        from: Master::Bybit {
            uid: uid.ok_or_else(|| Undecodable::bad("fromMemberId", "is not a number"))?,
            wallet: Wallet::read(said("fromAccountType")?, "fromAccountType")?,
        },
        to: sub_account("toMemberId", said("toMemberId")?)?,
        to_wallet: Wallet::read(said("toAccountType")?, "toAccountType")?,
        currency: Currency::new(said("coin")?)
            .map_err(|error| Undecodable::bad("coin", error.to_string()))?,
        amount: said("amount")?.parse().map_err(|_| Undecodable::bad("amount", "is not a decimal"))?,
        id: TransferId::parse(said("transferId")?)
            .ok_or_else(|| Undecodable::bad("transferId", "is not a UUID"))?,
    })
}

/// What an answer with `retCode` 0 says; `None` if it does not say what it must.
pub(crate) fn status(asked: &SkimRequest, body: &Value<'_>) -> Option<Status> {
    match asked {
        SkimRequest::Move(transfer) => {
            let result = body.get("result")?;
            if result.get("transferId")?.as_text()? != transfer.id.to_string() {
                return None;
            }
            word(result.get("status")?.as_text()?)
        }
        SkimRequest::Status(transfer) => {
            let mut rows = list(body, "list").ok()?;
            let (row, more) = (rows.next(), rows.next());
            match (row, more) {
                (None, _) => Some(Status::Absent),
                // A record of another transfer under our id would be a different truth: nobody knows.
                (Some(row), None) if moved(row.0).as_ref() == Ok(transfer) => word(row.text("status").ok()?),
                (Some(_), _) => None,
            }
        }
    }
}

fn word(status: &str) -> Option<Status> {
    match status {
        "SUCCESS" => Some(Status::Done),
        "PENDING" => Some(Status::Pending),
        "FAILED" => Some(Status::Failed),
        _ => None,
    }
}
