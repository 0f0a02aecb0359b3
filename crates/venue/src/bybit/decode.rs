//! Requests to intents.

use trading::{CancelAll, Intent, MAX_BATCH, Market, Read, Venue};

use super::auth::{Http, RECV_WINDOW_HEADER, TIMESTAMP_HEADER};
use super::endpoints::{self, Kind};
use super::order;
use crate::binance::decode::{MAX_RECV_WINDOW_MS, check_name, take};
use crate::error::Undecodable;
use crate::fields::{
    self, Fields, Scalar, append_form, from_object, known_fields, one_of, optional, required, whole_if_there,
};
use crate::http::Method;
use crate::json::{self, Value};

/// Parameters that no read takes and that an order, a transfer or a setting is made of. The venue
/// signs neither path nor method; it reads such requests from a JSON body only, which a query is not,
/// but that is the venue's word and may change.
const NEVER_IN_A_READ: [&str; 17] = [
    "qty",
    "orderType",
    "request",
    "triggerPrice",
    "takeProfit",
    "stopLoss",
    "trailingStop",
    "amount",
    "address",
    "fromAccountType",
    "fromMemberId",
    "toMemberId",
    "buyLeverage",
    "sellLeverage",
    "setMarginMode",
    "tpSlMode",
    "timeWindow",
];

/// Reads an HTTP request.
pub(crate) fn decode(http: &Http) -> Result<Intent, Undecodable> {
    let (method, path) = (http.request.method, http.request.path());
    let kind = endpoints::find(method, path)
        .ok_or_else(|| Undecodable::Endpoint(format!("{method} {path}").into()))?;
    if http.signature_header.is_none() {
        return Err(Undecodable::MissingField("X-BAPI-SIGN"));
    }
    if http.sent_at.is_none() {
        return Err(Undecodable::MissingField(TIMESTAMP_HEADER));
    }
    if http.recv_window_ms.is_some_and(|window| window > MAX_RECV_WINDOW_MS) {
        return Err(Undecodable::bad(RECV_WINDOW_HEADER, "is not between 0 and 60000 ms"));
    }
    if method == Method::Get {
        if !http.request.body.is_empty() {
            return Err(Undecodable::bad("body", "is not signed for a read"));
        }
        let mut fields = Fields::with_capacity(8);
        append_form(&mut fields, http.request.query())?;
        return read(&fields, format!("{method} {path}"));
    }
    if !http.request.query().is_empty() {
        return Err(Undecodable::bad("query", "is not signed beside a body"));
    }
    let body =
        std::str::from_utf8(&http.request.body).map_err(|_| Undecodable::bad("body", "is not UTF-8"))?;
    let Value::Object(object) = json::parse(body)? else {
        return Err(Undecodable::bad("body", "is not a JSON object"));
    };
    intent(kind, from_object(object)?)
}

/// Reads the members of a body, or the one argument of a stream message.
pub(crate) fn intent(kind: Kind, mut fields: Fields<'_>) -> Result<Intent, Undecodable> {
    match kind {
        Kind::Order => {
            let category = category(&mut fields)?;
            order::read(fields, category).map(Intent::Place)
        }
        Kind::Amend => {
            let category = category(&mut fields)?;
            order::read_amendment(fields, category).map(Intent::Amend)
        }
        Kind::Cancel => {
            let category = category(&mut fields)?;
            cancel(fields, category)
        }
        Kind::CancelAll => cancel_all(fields),
        Kind::BatchPlace => batch(fields, |leg, category| order::read(leg, category).map(Intent::Place)),
        Kind::BatchAmend => {
            batch(fields, |leg, category| order::read_amendment(leg, category).map(Intent::Amend))
        }
        Kind::BatchCancel => batch(fields, cancel),
        Kind::Read => Err(Undecodable::Endpoint("a read with a body".into())),
        Kind::DeadMansSwitch => dead_mans_switch(fields),
        Kind::Leverage => leverage(fields),
        Kind::Mode(setting) => mode(fields, setting),
    }
}

fn cancel(fields: Fields<'_>, category: Market) -> Result<Intent, Undecodable> {
    let (instrument, target) = order::read_cancel(fields, category)?;
    Ok(Intent::Cancel { instrument, target })
}

/// Takes out `category`, without which a body means nothing.
fn category(fields: &mut Fields<'_>) -> Result<Market, Undecodable> {
    let (_, value) = take(fields, "category").ok_or(Undecodable::MissingField("category"))?;
    category_market(value.text("category")?)
}

pub(crate) fn category_market(text: &str) -> Result<Market, Undecodable> {
    match text {
        "spot" => Ok(Market::Spot),
        "linear" => Ok(Market::Linear),
        "inverse" => Ok(Market::Inverse),
        "option" => Ok(Market::Option),
        _ => Err(Undecodable::bad("category", "is not one of: spot, linear, inverse, option")),
    }
}

fn batch<'a>(
    mut fields: Fields<'a>,
    mut leg: impl FnMut(Fields<'a>, Market) -> Result<Intent, Undecodable>,
) -> Result<Intent, Undecodable> {
    let category = category(&mut fields)?;
    known_fields! { RawBatch { request = "request" } }
    let raw = RawBatch::fill(fields)?;
    let Some(Scalar::Nested(Value::Array(elements))) = raw.request else {
        return Err(Undecodable::bad("request", "is not a list"));
    };
    if !(1..=MAX_BATCH).contains(&elements.len()) {
        return Err(Undecodable::bad("request", format!("is not a list of 1 to {MAX_BATCH}")));
    }
    let mut legs = Vec::with_capacity(elements.len());
    for element in elements {
        let Value::Object(object) = element else {
            return Err(Undecodable::bad("request", "has an element that is no object"));
        };
        legs.push(leg(from_object(object)?, category)?);
    }
    Ok(Intent::Batch(legs))
}

fn cancel_all(mut fields: Fields<'_>) -> Result<Intent, Undecodable> {
    let market = category(&mut fields)?;
    known_fields! {
        RawCancelAll {
            symbol = "symbol",
            base_coin = "baseCoin",
            settle_coin = "settleCoin",
            order_filter = "orderFilter",
            stop_order_type = "stopOrderType",
        }
    }
    let raw = RawCancelAll::fill(fields)?;
    one_of(
        &raw.order_filter,
        "orderFilter",
        &["Order", "StopOrder", "tpslOrder", "OcoOrder", "BidirectionalTpslOrder"],
    )?;
    one_of(&raw.stop_order_type, "stopOrderType", &["Stop"])?;
    for (slot, name) in [(&raw.base_coin, "baseCoin"), (&raw.settle_coin, "settleCoin")] {
        optional(slot, |value| value.text(name).map(|_| ()))?;
    }
    let instrument =
        optional(&raw.symbol, |value| fields::instrument(Venue::Bybit, market, value.text("symbol")?))?;
    Ok(Intent::CancelAll(CancelAll { venue: Venue::Bybit, market, instrument }))
}

fn read(fields: &Fields<'_>, endpoint: String) -> Result<Intent, Undecodable> {
    let (mut market, mut symbol) = (None, None);
    for (key, value) in fields {
        if NEVER_IN_A_READ.contains(&&**key) {
            return Err(Undecodable::unknown(key));
        }
        check_name(key)?;
        match &**key {
            "category" => market = category_market(value.text("category")?).ok(),
            "symbol" => symbol = Some(value.text("symbol")?),
            _ => {}
        }
    }
    let instrument = match (market, symbol) {
        (Some(market), Some(symbol)) if !symbol.is_empty() => {
            Some(fields::instrument(Venue::Bybit, market, symbol)?)
        }
        _ => None,
    };
    Ok(Intent::Read(Read { venue: Venue::Bybit, endpoint: endpoint.into(), instrument }))
}

/// `timeWindow` is in seconds; a missing product means options (documentation, "Set Disconnect
/// Cancel All").
fn dead_mans_switch(fields: Fields<'_>) -> Result<Intent, Undecodable> {
    known_fields! { RawDcp { product = "product", window = "timeWindow" } }
    let raw = RawDcp::fill(fields)?;
    let market = match optional(&raw.product, |value| value.text("product"))? {
        None | Some("OPTIONS") => Market::Option,
        Some("SPOT") => Market::Spot,
        Some("DERIVATIVES") => Market::Linear,
        Some(_) => return Err(Undecodable::bad("product", "is not one of: OPTIONS, SPOT, DERIVATIVES")),
    };
    let seconds = required(&raw.window, "timeWindow")?.whole("timeWindow")?;
    let timeout_ms =
        seconds.checked_mul(1000).ok_or_else(|| Undecodable::bad("timeWindow", "is too large"))?;
    Ok(Intent::DeadMansSwitch { venue: Venue::Bybit, market, instrument: None, timeout_ms })
}

fn leverage(mut fields: Fields<'_>) -> Result<Intent, Undecodable> {
    let market = category(&mut fields)?;
    known_fields! { RawLeverage { symbol = "symbol", buy = "buyLeverage", sell = "sellLeverage" } }
    let raw = RawLeverage::fill(fields)?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let buy = required(&raw.buy, "buyLeverage")?.decimal("buyLeverage")?;
    let sell = required(&raw.sell, "sellLeverage")?.decimal("sellLeverage")?;
    if !buy.is_positive() || !sell.is_positive() {
        return Err(Undecodable::bad("buyLeverage", "must be above zero"));
    }
    let instrument = fields::instrument(Venue::Bybit, market, symbol)?;
    Ok(Intent::SetLeverage { instrument, leverage: buy.max(sell) })
}

fn mode(mut fields: Fields<'_>, setting: &'static str) -> Result<Intent, Undecodable> {
    let (_, value) = take(&mut fields, setting).ok_or(Undecodable::MissingField(setting))?;
    known_fields! { RawMode { category = "category", symbol = "symbol", coin = "coin" } }
    let raw = RawMode::fill(fields)?;
    let market = optional(&raw.category, |value| category_market(value.text("category")?))?;
    optional(&raw.symbol, |value| {
        fields::instrument(Venue::Bybit, market.unwrap_or(Market::Linear), value.text("symbol")?)
    })?;
    optional(&raw.coin, |value| value.text("coin").map(|_| ()))?;
    let slot = Some(value);
    match setting {
        "mode" => {
            if !matches!(whole_if_there(&slot, setting)?, Some(0 | 3)) {
                return Err(Undecodable::bad(setting, "is neither 0 (one-way) nor 3 (hedge)"));
            }
        }
        "setMarginMode" => {
            one_of(&slot, setting, &["ISOLATED_MARGIN", "REGULAR_MARGIN", "PORTFOLIO_MARGIN"])?;
        }
        "setHedgingMode" => one_of(&slot, setting, &["ON", "OFF"])?,
        _ => one_of(&slot, setting, &["Full", "Partial"])?,
    }
    let value = required(&slot, setting)?.text(setting)?.into();
    Ok(Intent::SetMode { venue: Venue::Bybit, setting: setting.into(), value })
}
