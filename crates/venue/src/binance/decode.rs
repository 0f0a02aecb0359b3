//! Requests to intents.

use std::borrow::Cow;

use trading::{CancelAll, Instrument, Intent, MAX_BATCH, Market, OrderReference, Read, StreamChannel, Venue};

use super::auth::Http;
use super::endpoints::{self, Kind};
use super::order;
use crate::error::Undecodable;
use crate::fields::{
    self, Fields, Scalar, append_form, client_order_id, flag_if_there, from_object, known_fields, one_of,
    required, venue_order_id,
};
use crate::json::{self, Value};

/// Longest window the venue takes (documentation, "Timing security").
pub(crate) const MAX_RECV_WINDOW_MS: u64 = 60_000;

/// Parameters that would make a read's signature good for something else: the venue does not sign
/// the path, so whoever gets a signed read could send its parameters to another endpoint.
const NEVER_IN_A_READ: [&str; 16] = [
    "side",
    "quantity",
    "quoteOrderQty",
    "closePosition",
    "batchOrders",
    "newQty",
    "amount",
    "address",
    "leverage",
    "marginType",
    "dualSidePosition",
    "multiAssetsMargin",
    "countdownTime",
    "cancelReplaceMode",
    "algoType",
    "positionSide",
];

/// Reads an HTTP request.
pub(crate) fn decode(http: &Http) -> Result<Intent, Undecodable> {
    let (method, path) = (http.request.method, http.request.path());
    let (kind, market) = endpoints::find(method, path)
        .ok_or_else(|| Undecodable::Endpoint(format!("{method} {path}").into()))?;
    let body =
        std::str::from_utf8(&http.request.body).map_err(|_| Undecodable::bad("body", "is not UTF-8"))?;
    let query = http.request.query();
    if kind != Kind::Read && !query.is_empty() && !body.is_empty() {
        // Binance signs the two without a separator: the boundary could be moved afterwards.
        return Err(Undecodable::bad("body", "has parameters while the query has some, too"));
    }
    let mut fields = Fields::with_capacity(16);
    append_form(&mut fields, query)?;
    append_form(&mut fields, body)?;
    if kind == Kind::ListenKey {
        return listen_key(fields);
    }
    let needs_signature = !path.ends_with("/historicalTrades");
    if needs_signature && http.signature.is_none() {
        return Err(Undecodable::MissingField("signature"));
    }
    if needs_signature && http.sent_at.is_none() {
        return Err(Undecodable::MissingField("timestamp"));
    }
    take_times(&mut fields)?;
    intent(kind, market, fields, || format!("{method} {path}"))
}

/// Takes out the two parameters that every signed request has, checking them.
pub(crate) fn take_times(fields: &mut Fields<'_>) -> Result<(), Undecodable> {
    if let Some((_, value)) = take(fields, "timestamp") {
        value.whole("timestamp")?;
    }
    if let Some((_, value)) = take(fields, "recvWindow") {
        let window = value.decimal("recvWindow")?;
        if window.is_negative() || window > trading::Decimal::from_integer(MAX_RECV_WINDOW_MS.cast_signed()) {
            return Err(Undecodable::bad("recvWindow", "is not between 0 and 60000 ms"));
        }
    }
    Ok(())
}

/// Takes a field out; the order of the others stays.
pub(crate) fn take<'a>(fields: &mut Fields<'a>, name: &str) -> Option<(Cow<'a, str>, Scalar<'a>)> {
    let at = fields.iter().position(|(key, _)| key == name)?;
    Some(fields.remove(at))
}

/// Reads the parameters of one operation.
pub(crate) fn intent(
    kind: Kind,
    market: Market,
    fields: Fields<'_>,
    name: impl FnOnce() -> String,
) -> Result<Intent, Undecodable> {
    match kind {
        Kind::Order => order::read(fields, market, false).map(Intent::Place),
        Kind::AlgoOrder => order::read(fields, market, true).map(Intent::Place),
        Kind::CancelReplace => cancel_replace(fields, market),
        Kind::Amend => order::read_amendment(fields, market).map(Intent::Amend),
        Kind::AmendKeepPriority => order::read_keep_priority(fields, market).map(Intent::Amend),
        Kind::Cancel => cancel(order::read_cancel(fields, market, false)?),
        Kind::AlgoCancel => cancel(order::read_cancel(fields, market, true)?),
        Kind::CancelAll => cancel_all(fields, market),
        Kind::BatchPlace => batch(fields, |leg| order::read(leg, market, false).map(Intent::Place)),
        Kind::BatchAmend => batch(fields, |leg| order::read_amendment(leg, market).map(Intent::Amend)),
        Kind::BatchCancel => batch_cancel(fields, market),
        Kind::Read => read(&fields, market, name()),
        Kind::ListenKey => listen_key(fields),
        Kind::DeadMansSwitch => dead_mans_switch(fields, market),
        Kind::Leverage => leverage(fields, market),
        Kind::Mode(setting) => mode(fields, market, setting),
    }
}

fn cancel((instrument, target): (Instrument, OrderReference)) -> Result<Intent, Undecodable> {
    Ok(Intent::Cancel { instrument, target })
}

fn cancel_all(fields: Fields<'_>, market: Market) -> Result<Intent, Undecodable> {
    known_fields! { RawCancelAll { symbol = "symbol", is_isolated = "isIsolated" } }
    let raw = RawCancelAll::fill(fields)?;
    if market != Market::Margin {
        fields::absent(&raw.is_isolated, "isIsolated")?;
    }
    one_of(&raw.is_isolated, "isIsolated", &["TRUE", "FALSE", "true", "false"])?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let instrument = Some(fields::instrument(Venue::Binance, market, symbol)?);
    Ok(Intent::CancelAll(CancelAll { venue: Venue::Binance, market, instrument }))
}

/// Cancel and place in one request. Where the cancel fails the venue places nothing or, with
/// `ALLOW_FAILURE`, places all the same; both legs are judged either way.
fn cancel_replace(mut fields: Fields<'_>, market: Market) -> Result<Intent, Undecodable> {
    known_fields! {
        RawReplaced {
            mode = "cancelReplaceMode",
            new_client_order_id = "cancelNewClientOrderId",
            client_order_id = "cancelOrigClientOrderId",
            order_id = "cancelOrderId",
            restrictions = "cancelRestrictions",
            rate_limit_mode = "orderRateLimitExceededMode",
        }
    }
    let mut replaced = Fields::new();
    for name in [
        "cancelReplaceMode",
        "cancelNewClientOrderId",
        "cancelOrigClientOrderId",
        "cancelOrderId",
        "cancelRestrictions",
        "orderRateLimitExceededMode",
    ] {
        replaced.extend(take(&mut fields, name));
    }
    let raw = RawReplaced::fill(replaced)?;
    required(&raw.mode, "cancelReplaceMode")?;
    one_of(&raw.mode, "cancelReplaceMode", &["STOP_ON_FAILURE", "ALLOW_FAILURE"])?;
    one_of(&raw.restrictions, "cancelRestrictions", &["ONLY_NEW", "ONLY_PARTIALLY_FILLED"])?;
    one_of(&raw.rate_limit_mode, "orderRateLimitExceededMode", &["DO_NOTHING", "CANCEL_ONLY"])?;
    client_order_id(&raw.new_client_order_id, "cancelNewClientOrderId")?;
    let target = fields::order_reference(
        venue_order_id(&raw.order_id, "cancelOrderId")?,
        client_order_id(&raw.client_order_id, "cancelOrigClientOrderId")?,
        "cancelOrderId",
    )?;
    let order = order::read(fields, market, false)?;
    Ok(Intent::Batch(vec![
        Intent::Cancel { instrument: order.instrument.clone(), target },
        Intent::Place(order),
    ]))
}

/// The elements of `batchOrders`, each a whole order or change.
fn batch(
    fields: Fields<'_>,
    mut leg: impl FnMut(Fields<'_>) -> Result<Intent, Undecodable>,
) -> Result<Intent, Undecodable> {
    known_fields! { RawBatch { orders = "batchOrders" } }
    let raw = RawBatch::fill(fields)?;
    let text = required(&raw.orders, "batchOrders")?.text("batchOrders")?;
    let mut legs = Vec::with_capacity(5);
    for element in elements("batchOrders", text)? {
        let Value::Object(object) = element else {
            return Err(Undecodable::bad("batchOrders", "has an element that is no object"));
        };
        legs.push(leg(from_object(object)?)?);
    }
    Ok(Intent::Batch(legs))
}

/// The values of a JSON array of 1 to [`MAX_BATCH`] elements.
fn elements<'a>(name: &'static str, text: &'a str) -> Result<Vec<Value<'a>>, Undecodable> {
    let value = json::parse(text).map_err(|error| match error {
        json::JsonError::Duplicate(key) => Undecodable::DuplicateField(key),
        other => Undecodable::bad(name, other.to_string()),
    })?;
    match value {
        Value::Array(values) if (1..=MAX_BATCH).contains(&values.len()) => Ok(values),
        _ => Err(Undecodable::bad(name, format!("is not a list of 1 to {MAX_BATCH}"))),
    }
}

fn batch_cancel(fields: Fields<'_>, market: Market) -> Result<Intent, Undecodable> {
    known_fields! {
        RawBatchCancel {
            symbol = "symbol",
            order_ids = "orderIdList" | "orderidlist",
            client_order_ids = "origClientOrderIdList" | "origclientorderidlist",
        }
    }
    let raw = RawBatchCancel::fill(fields)?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let instrument = fields::instrument(Venue::Binance, market, symbol)?;
    let mut legs = Vec::new();
    let mut push = |target| legs.push(Intent::Cancel { instrument: instrument.clone(), target });
    if let Some(list) = &raw.order_ids {
        for value in elements("orderIdList", list.text("orderIdList")?)? {
            let slot = value.as_text().map(|text| Scalar::Text(text.to_owned().into()));
            let id = venue_order_id(&slot, "orderIdList")?;
            push(fields::order_reference(id, None, "orderIdList")?);
        }
    }
    if let Some(list) = &raw.client_order_ids {
        for value in elements("origClientOrderIdList", list.text("origClientOrderIdList")?)? {
            let slot = value.as_text().map(|text| Scalar::Text(text.to_owned().into()));
            let id = client_order_id(&slot, "origClientOrderIdList")?;
            push(fields::order_reference(None, id, "origClientOrderIdList")?);
        }
    }
    if legs.is_empty() {
        return Err(Undecodable::MissingField("orderIdList"));
    }
    if legs.len() > MAX_BATCH {
        return Err(Undecodable::bad("orderIdList", format!("is not a list of 1 to {MAX_BATCH}")));
    }
    Ok(Intent::Batch(legs))
}

fn read(fields: &Fields<'_>, market: Market, endpoint: String) -> Result<Intent, Undecodable> {
    let mut instrument = None;
    for (key, value) in fields {
        if NEVER_IN_A_READ.contains(&&**key) {
            return Err(Undecodable::unknown(key));
        }
        check_name(key)?;
        if key == "symbol" {
            instrument = Some(fields::instrument(Venue::Binance, market, value.text("symbol")?)?);
        }
    }
    Ok(Intent::Read(Read { venue: Venue::Binance, endpoint: endpoint.into(), instrument }))
}

/// A read's parameters may have any plain name.
pub(crate) fn check_name(name: &str) -> Result<(), Undecodable> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    if name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(Undecodable::unknown(name))
    }
}

fn listen_key(fields: Fields<'_>) -> Result<Intent, Undecodable> {
    known_fields! {
        RawListenKey {
            listen_key = "listenKey",
            symbol = "symbol",
            timestamp = "timestamp",
            recv_window = "recvWindow",
        }
    }
    RawListenKey::fill(fields)?;
    Ok(Intent::StreamLogin { venue: Venue::Binance, channel: StreamChannel::Account })
}

fn dead_mans_switch(fields: Fields<'_>, market: Market) -> Result<Intent, Undecodable> {
    known_fields! { RawCountdown { symbol = "symbol", countdown = "countdownTime" } }
    let raw = RawCountdown::fill(fields)?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    Ok(Intent::DeadMansSwitch {
        venue: Venue::Binance,
        market,
        instrument: Some(fields::instrument(Venue::Binance, market, symbol)?),
        timeout_ms: required(&raw.countdown, "countdownTime")?.whole("countdownTime")?,
    })
}

fn leverage(fields: Fields<'_>, market: Market) -> Result<Intent, Undecodable> {
    known_fields! { RawLeverage { symbol = "symbol", leverage = "leverage" } }
    let raw = RawLeverage::fill(fields)?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let leverage = required(&raw.leverage, "leverage")?.decimal("leverage")?;
    if !leverage.is_positive() {
        return Err(Undecodable::bad("leverage", "must be above zero"));
    }
    Ok(Intent::SetLeverage { instrument: fields::instrument(Venue::Binance, market, symbol)?, leverage })
}

fn mode(mut fields: Fields<'_>, market: Market, setting: &'static str) -> Result<Intent, Undecodable> {
    known_fields! {
        RawMode { symbol = "symbol", margin_type = "marginType", dual = "dualSidePosition", multi = "multiAssetsMargin" }
    }
    let (_, value) = take(&mut fields, setting).ok_or(Undecodable::MissingField(setting))?;
    let raw = RawMode::fill(fields)?;
    fields::absent(&raw.margin_type, "marginType")?;
    fields::absent(&raw.dual, "dualSidePosition")?;
    fields::absent(&raw.multi, "multiAssetsMargin")?;
    if setting == "marginType" {
        fields::instrument(Venue::Binance, market, required(&raw.symbol, "symbol")?.text("symbol")?)?;
        one_of(&Some(value.clone()), setting, &["ISOLATED", "CROSSED"])?;
    } else {
        fields::absent(&raw.symbol, "symbol")?;
        flag_if_there(&Some(value.clone()), setting)?;
    }
    let value = value.text(setting)?.into();
    Ok(Intent::SetMode { venue: Venue::Binance, setting: setting.into(), value })
}
