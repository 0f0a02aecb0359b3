//! "Universal Transfer (For Master Account)" and "Query Universal Transfer History" of developers.binance.com,
//! read 2026-11-21. The master's key needs "Permits Universal Transfer" and, as the first page words it,
//! transfers between sub-account and master allowed. The answer names the transfer; its state is in the
//! history, whose `status` is documented by example only (`SUCCESS`).

use trading::{Timestamp, Venue};

use super::auth::Http;
use super::encode;
use crate::answer::Row;
use crate::bybit::admin::sub_account;
use crate::canonical::Parameters;
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::http::Method;
use crate::json::Value;
use crate::skim::{Master, SkimRequest, Status, Transfer, TransferId, Wallet};

const PATH: &str = "/sapi/v1/sub-account/universalTransfer";

/// Says a request in Binance's words.
pub(crate) fn request(
    asked: &SkimRequest,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Unencodable> {
    let transfer = asked.transfer();
    let Master::Binance { wallet } = transfer.from else {
        return Err(Unencodable::new("from", "is of another venue"));
    };
    let to = transfer.to.email()?.to_owned();
    let id = ("clientTranId", transfer.id.digits());
    let (method, parameters) = match asked {
        SkimRequest::Status(_) => (Method::Get, vec![("toEmail", to), id]),
        SkimRequest::Move(_) => {
            let parameters = vec![
                ("toEmail", to),
                ("fromAccountType", wallet.name(Venue::Binance)?.to_owned()),
                ("toAccountType", transfer.to_wallet.name(Venue::Binance)?.to_owned()),
                id,
                ("asset", transfer.currency.to_string()),
                ("amount", transfer.amount.to_string()),
            ];
            (Method::Post, parameters)
        }
    };
    Ok(encode::request(method, PATH.to_owned(), &parameters, sent_at, recv_window_ms))
}

/// What a request asks, before it is compared byte for byte.
pub(crate) fn take_apart(http: &Http, asked: &SkimRequest) -> Result<SkimRequest, Undecodable> {
    let request = &http.request;
    if request.path() != PATH {
        return Err(Undecodable::Endpoint(request.path().into()));
    }
    let body = std::str::from_utf8(&request.body).map_err(|_| Undecodable::bad("body", "is not UTF-8"))?;
    let text = if request.method == Method::Post { body } else { request.query() };
    let parameters = Parameters::new(text);
    let id = TransferId::from_digits(&parameters.get("clientTranId")?);
    let id = id.ok_or_else(|| Undecodable::bad("clientTranId", "is not an id of ours"))?;
    let to = sub_account("toEmail", &parameters.get("toEmail")?)?;
    match request.method {
        Method::Get => Ok(SkimRequest::Status(Transfer { to, id, ..asked.transfer().clone() })),
        Method::Post => {
            let currency = Currency::new(parameters.get("asset")?);
            let amount = parameters.get("amount")?.parse();
            Ok(SkimRequest::Move(Transfer {
                from: Master::Binance {
                    wallet: Wallet::read(&parameters.get("fromAccountType")?, "fromAccountType")?,
                },
                to,
                to_wallet: Wallet::read(&parameters.get("toAccountType")?, "toAccountType")?,
                currency: currency.map_err(|error| Undecodable::bad("asset", error.to_string()))?,
                amount: amount.map_err(|_| Undecodable::bad("amount", "is not a decimal"))?,
                id,
            }))
        }
        Method::Put | Method::Delete => Err(Undecodable::Endpoint(request.path().into())),
    }
}

/// What an answer without an error says; `None` if it does not say what it must.
pub(crate) fn status(asked: &SkimRequest, body: &Value<'_>) -> Option<Status> {
    match asked {
        SkimRequest::Move(transfer) => {
            let row = Row(body);
            let same = row.text("clientTranId").ok()? == transfer.id.digits();
            // The answer has no state; the history has.
            (same && !row.text("tranId").ok()?.is_empty()).then_some(Status::Pending)
        }
        SkimRequest::Status(transfer) => {
            let mut rows = Row(body).rows("result").ok()?;
            let (row, more) = (rows.next(), rows.next());
            match (row, more) {
                (None, _) => Some(Status::Absent),
                (Some(row), None) if is_of(row, transfer)? => match row.text("status").ok()? {
                    "SUCCESS" => Some(Status::Done),
                    "PROCESS" => Some(Status::Pending),
                    "FAILURE" => Some(Status::Failed),
                    _ => None,
                },
                (Some(_), _) => None,
            }
        }
    }
}

/// Whether a row of the history is the transfer; `None` if that cannot be read.
fn is_of(row: Row<'_, '_>, transfer: &Transfer) -> Option<bool> {
    let Master::Binance { wallet } = transfer.from else { return None };
    Some(
        row.text("clientTranId").ok()? == transfer.id.digits()
            && row.text("toEmail").ok()? == transfer.to.as_str()
            && row.text("asset").ok()? == transfer.currency.as_str()
            && row.decimal("amount").ok()? == transfer.amount
            && row.text("fromAccountType").ok()? == wallet.name(Venue::Binance).ok()?
            && row.text("toAccountType").ok()? == transfer.to_wallet.name(Venue::Binance).ok()?,
    )
}
