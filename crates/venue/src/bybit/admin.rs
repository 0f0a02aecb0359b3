//! Cancelling, keys and DCP: "Cancel All Orders", "Delete Sub API Key", "Delete Master API Key", "Modify Sub
//! API Key", "Freeze Sub UID", "Get Sub Account All API Keys", "Set DCP" of the v5 documentation, read
//! 2026-11-21. All of the key endpoints want "Account Transfer", "Sub Member Transfer" or "Withdrawal".

use trading::Timestamp;

use super::auth::Http;
use super::encode::{self, Member, Members, object, text};
use super::watch::{get, list};
use crate::admin::{AdminRequest, ApiKey, Confirmed, Product, Reach, Scope, SpotFilter, SubAccount, Switch};
use crate::answer::Row;
use crate::canonical::Parameters;
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::http::Method;
use crate::json::{self, Value};

/// Keys of a page; an account may have 20.
const KEYS: usize = 20;

/// Says a request in Bybit's words.
pub(crate) fn request(
    asked: &AdminRequest,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Unencodable> {
    let (name, members): (_, Members) = match asked {
        AdminRequest::Cancel(scope) => ("order/cancel-all", cancel(scope)?),
        AdminRequest::DeleteSubKey { key, account, .. } => {
            account.uid()?;
            ("user/delete-sub-api", vec![("apikey", text(key.as_str()))])
        }
        AdminRequest::DeleteOwnSubKey => ("user/delete-sub-api", Vec::new()),
        AdminRequest::DeleteOwnKey => ("user/delete-api", Vec::new()),
        AdminRequest::MakeSubKeyReadOnly { key } => {
            ("user/update-sub-api", vec![("apikey", text(key.as_str())), ("readOnly", Member::Whole(1))])
        }
        AdminRequest::Freeze { account } => (
            "user/frozen-sub-member",
            vec![("subuid", Member::Whole(account.uid()?)), ("frozen", Member::Whole(1))],
        ),
        AdminRequest::ListSubKeys { account } => {
            let target = format!("/v5/user/sub-apikeys?subMemberId={}&limit={KEYS}", account.uid()?);
            return Ok(get(target, sent_at, recv_window_ms));
        }
        AdminRequest::Switch(switch) => ("order/disconnected-cancel-all", switched(switch)?),
    };
    Ok(encode::post(name, object(&members), sent_at, recv_window_ms))
}

fn cancel(scope: &Scope) -> Result<Members, Unencodable> {
    Ok(match scope {
        Scope::BybitSpot(filter) => {
            vec![("category", text("spot")), ("orderFilter", text(filter.as_str()))]
        }
        Scope::BybitLinear(settle) => vec![("category", text("linear")), ("settleCoin", text(settle))],
        Scope::BybitInverse(settle) => vec![("category", text("inverse")), ("settleCoin", text(settle))],
        Scope::BybitOption => vec![("category", text("option"))],
        Scope::Binance(_) | Scope::BinanceConditional(_) => {
            return Err(Unencodable::new("scope", "is of another venue"));
        }
    })
}

fn switched(switch: &Switch) -> Result<Members, Unencodable> {
    let Reach::Bybit(product) = switch.reach() else {
        return Err(Unencodable::new("reach", "is of another venue"));
    };
    Ok(vec![
        ("product", text(product_name(*product))),
        ("timeWindow", Member::Whole(switch.timeout_ms() / 1_000)),
    ])
}

const fn product_name(product: Product) -> &'static str {
    match product {
        Product::Spot => "SPOT",
        Product::Derivatives => "DERIVATIVES",
        Product::Options => "OPTIONS",
    }
}

/// What a request asks, before it is compared byte for byte.
pub(crate) fn take_apart(http: &Http, asked: &AdminRequest) -> Result<AdminRequest, Undecodable> {
    let path = http.request.path();
    if http.request.method == Method::Get && path == "/v5/user/sub-apikeys" {
        let uid = Parameters::new(http.request.query()).get("subMemberId")?;
        return Ok(AdminRequest::ListSubKeys { account: sub_account("subMemberId", &uid)? });
    }
    if http.request.method != Method::Post {
        return Err(Undecodable::Endpoint(path.into()));
    }
    let body =
        std::str::from_utf8(&http.request.body).map_err(|_| Undecodable::bad("body", "is not UTF-8"))?;
    let body = json::parse(body)?;
    let said =
        |name: &'static str| body.get(name).and_then(Value::as_text).ok_or(Undecodable::MissingField(name));
    let key = || ApiKey::new(said("apikey")?).map_err(|error| Undecodable::bad("apikey", error.to_string()));
    Ok(match path {
        "/v5/order/cancel-all" => AdminRequest::Cancel(match said("category")? {
            "spot" => {
                let name = said("orderFilter")?;
                let filter = SpotFilter::ALL.into_iter().find(|filter| filter.as_str() == name);
                Scope::BybitSpot(filter.ok_or_else(|| Undecodable::bad("orderFilter", "is not known"))?)
            }
            "linear" => Scope::BybitLinear(settle(said("settleCoin")?)?),
            "inverse" => Scope::BybitInverse(settle(said("settleCoin")?)?),
            "option" => Scope::BybitOption,
            _ => return Err(Undecodable::bad("category", "is not known")),
        }),
        "/v5/user/delete-sub-api" if body.get("apikey").is_none() => AdminRequest::DeleteOwnSubKey,
        "/v5/user/delete-sub-api" => {
            // The body does not say whose key it is.
            let AdminRequest::DeleteSubKey { venue, account, .. } = asked else {
                return Err(Undecodable::bad("apikey", "was not asked for"));
            };
            AdminRequest::DeleteSubKey { venue: *venue, account: account.clone(), key: key()? }
        }
        "/v5/user/delete-api" => AdminRequest::DeleteOwnKey,
        "/v5/user/update-sub-api" => AdminRequest::MakeSubKeyReadOnly { key: key()? },
        "/v5/user/frozen-sub-member" => {
            AdminRequest::Freeze { account: sub_account("subuid", said("subuid")?)? }
        }
        "/v5/order/disconnected-cancel-all" => {
            let product = match said("product")? {
                "SPOT" => Product::Spot,
                "DERIVATIVES" => Product::Derivatives,
                "OPTIONS" => Product::Options,
                _ => return Err(Undecodable::bad("product", "is not known")),
            };
            let seconds = crate::unsigned::read_whole(said("timeWindow")?)
                .filter(|seconds| (3..=300).contains(seconds))
                .ok_or_else(|| Undecodable::bad("timeWindow", "is not 3 to 300 s"))?;
            AdminRequest::Switch(Switch::read(Reach::Bybit(product), seconds * 1_000))
        }
        other => return Err(Undecodable::Endpoint(other.into())),
    })
}

pub(crate) fn sub_account(field: &str, text: &str) -> Result<SubAccount, Undecodable> {
    SubAccount::new(text).map_err(|error| Undecodable::bad(field, error.to_string()))
}

fn settle(text: &str) -> Result<Currency, Undecodable> {
    Currency::new(text).map_err(|error| Undecodable::bad("settleCoin", error.to_string()))
}

/// What an answer with `retCode` 0 confirms; `None` if it does not say what it must.
pub(crate) fn confirmed(asked: &AdminRequest, body: &Value<'_>) -> Option<Confirmed> {
    let result = body.get("result")?;
    match asked {
        AdminRequest::Cancel(_) => {
            let cancelled = result.get("list")?.as_array()?;
            // Accounts of the first unified kind leave `success` out on inverse.
            if result.get("success").is_some_and(|success| success.as_text() != Some("1")) {
                return None;
            }
            Some(if cancelled.is_empty() { Confirmed::AlreadySo } else { Confirmed::Done })
        }
        AdminRequest::MakeSubKeyReadOnly { key } => {
            let same = result.get("apiKey")?.as_text() == Some(key.as_str());
            (same && result.get("readOnly")?.as_text() == Some("1")).then_some(Confirmed::Done)
        }
        AdminRequest::ListSubKeys { .. } => {
            // Another page may hold the key that is looked for.
            if !Row(result).text("nextPageCursor").ok()?.is_empty() {
                return None;
            }
            let rows = list(body, "result").ok()?;
            let keys = rows.map(|row| ApiKey::new(row.text("apiKey").ok()?).ok());
            keys.collect::<Option<Vec<_>>>().map(Confirmed::Keys)
        }
        AdminRequest::DeleteSubKey { .. }
        | AdminRequest::DeleteOwnSubKey
        | AdminRequest::DeleteOwnKey
        | AdminRequest::Freeze { .. }
        | AdminRequest::Switch(_) => matches!(result, Value::Object(_)).then_some(Confirmed::Done),
    }
}
