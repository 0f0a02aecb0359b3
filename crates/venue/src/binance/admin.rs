//! Cancelling, keys and countdowns: "Cancel all Open Orders on a Symbol" (spot), "Cancel All Open Orders" and
//! "Cancel All Algo Open Orders" (USD-M), "Auto-Cancel All Open Orders", "Delete Sub-account API Key (For
//! Master Account)" of developers.binance.com, read 2026-11-21.
//!
//! The last wants a key of the master account with trading allowed, passes a check of the caller's address
//! against its identity records, weighs 3000 of the account's limit, and is not for asset-management
//! sub-accounts. Its answer is `{}`; which code says that the key is not there is not documented.

use trading::{Instrument, Market, Symbol, Timestamp, Venue};

use super::auth::Http;
use super::encode;
use crate::admin::{AdminRequest, ApiKey, Confirmed, Reach, Scope, Switch};
use crate::bybit::admin::sub_account;
use crate::canonical::Parameters;
use crate::error::{Undecodable, Unencodable};
use crate::http::Method;
use crate::json::Value;

const SPOT_CANCEL: &str = "/api/v3/openOrders";
const FUTURES_CANCEL: &str = "/fapi/v1/allOpenOrders";
const CONDITIONAL_CANCEL: &str = "/fapi/v1/algoOpenOrders";
const COUNTDOWN: &str = "/fapi/v1/countdownCancelAll";
const SUB_KEY: &str = "/sapi/v1/sub-account/subAccountApi";

/// Says a request in Binance's words.
pub(crate) fn request(
    asked: &AdminRequest,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Unencodable> {
    let (method, path, parameters) = match asked {
        AdminRequest::Cancel(scope) => {
            let (path, instrument) = match scope {
                Scope::Binance(instrument) if instrument.market == Market::Spot => (SPOT_CANCEL, instrument),
                Scope::Binance(instrument) => (FUTURES_CANCEL, linear(instrument)?),
                Scope::BinanceConditional(instrument) => (CONDITIONAL_CANCEL, linear(instrument)?),
                _ => return Err(Unencodable::new("scope", "is of another venue")),
            };
            if instrument.venue != Venue::Binance {
                return Err(Unencodable::new("instrument", "is of another venue"));
            }
            (Method::Delete, path, vec![("symbol", instrument.symbol.to_string())])
        }
        AdminRequest::DeleteSubKey { account, key, .. } => {
            let parameters =
                vec![("email", account.email()?.to_owned()), ("subAccountApiKey", key.as_str().to_owned())];
            (Method::Delete, SUB_KEY, parameters)
        }
        AdminRequest::Switch(switch) => {
            let Reach::Binance(instrument) = switch.reach() else {
                return Err(Unencodable::new("reach", "is of another venue"));
            };
            let parameters = vec![
                ("symbol", linear(instrument)?.symbol.to_string()),
                ("countdownTime", switch.timeout_ms().to_string()),
            ];
            (Method::Post, COUNTDOWN, parameters)
        }
        _ => return Err(Unencodable::new("request", "is not known on Binance")),
    };
    Ok(encode::request(method, path.to_owned(), &parameters, sent_at, recv_window_ms))
}

fn linear(instrument: &Instrument) -> Result<&Instrument, Unencodable> {
    if instrument.market == Market::Linear && instrument.venue == Venue::Binance {
        Ok(instrument)
    } else {
        Err(Unencodable::new("instrument", "is not a USD-M instrument of Binance"))
    }
}

/// What a request asks, before it is compared byte for byte.
pub(crate) fn take_apart(http: &Http) -> Result<AdminRequest, Undecodable> {
    let request = &http.request;
    let body = std::str::from_utf8(&request.body).map_err(|_| Undecodable::bad("body", "is not UTF-8"))?;
    let text = if request.method == Method::Post { body } else { request.query() };
    let parameters = Parameters::new(text);
    let instrument = |market| {
        let symbol = Symbol::new(parameters.get("symbol")?);
        let symbol = symbol.map_err(|error| Undecodable::name("symbol", &error))?;
        Ok::<_, Undecodable>(Instrument { venue: Venue::Binance, market, symbol })
    };
    Ok(match (request.method, request.path()) {
        (Method::Delete, SPOT_CANCEL) => AdminRequest::Cancel(Scope::Binance(instrument(Market::Spot)?)),
        (Method::Delete, FUTURES_CANCEL) => AdminRequest::Cancel(Scope::Binance(instrument(Market::Linear)?)),
        (Method::Delete, CONDITIONAL_CANCEL) => {
            AdminRequest::Cancel(Scope::BinanceConditional(instrument(Market::Linear)?))
        }
        (Method::Delete, SUB_KEY) => {
            let key = ApiKey::new(&parameters.get("subAccountApiKey")?);
            AdminRequest::DeleteSubKey {
                venue: Venue::Binance,
                account: sub_account("email", &parameters.get("email")?)?,
                key: key.map_err(|error| Undecodable::bad("subAccountApiKey", error.to_string()))?,
            }
        }
        (Method::Post, COUNTDOWN) => {
            let reach = Reach::Binance(instrument(Market::Linear)?);
            AdminRequest::Switch(Switch::read(reach, parameters.time("countdownTime")?.as_ms()))
        }
        (method, path) => return Err(Undecodable::Endpoint(format!("{method} {path}").into())),
    })
}

/// What an answer without an error confirms; `None` if it does not say what it must.
pub(crate) fn confirmed(asked: &AdminRequest, body: &Value<'_>) -> Option<Confirmed> {
    match asked {
        AdminRequest::Cancel(Scope::Binance(instrument)) if instrument.market == Market::Spot => {
            let cancelled = body.as_array()?;
            Some(if cancelled.is_empty() { Confirmed::AlreadySo } else { Confirmed::Done })
        }
        AdminRequest::Cancel(_) => (body.get("code")?.as_text() == Some("200")).then_some(Confirmed::Done),
        AdminRequest::Switch(switch) => {
            let Reach::Binance(instrument) = switch.reach() else { return None };
            let same = body.get("symbol")?.as_text() == Some(instrument.symbol.as_str())
                && body.get("countdownTime")?.as_text() == Some(&switch.timeout_ms().to_string());
            same.then_some(Confirmed::Done)
        }
        AdminRequest::DeleteSubKey { .. } => {
            matches!(body, Value::Object(members) if members.is_empty()).then_some(Confirmed::Done)
        }
        _ => None,
    }
}
