//! Requests: fields, failures, and who sent them.

use serde_json::{Value, json};
use trading::{Decimal, Market, Side};

use crate::auth::{Key, Scope, percent_decode};
use crate::exchange::Reject;
use crate::server::{Raw, Reply};
use crate::state::{Front, count};

/// How far a timestamp may be ahead, in milliseconds.
const MAX_AHEAD_MS: u64 = 1_000;

/// An error as Bybit words it; HTTP stays 200 unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: i64,
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn param(name: &str) -> Self {
        Self::new(10_001, format!("params error: {name} invalid"))
    }
}

/// The envelope of every REST answer.
pub(crate) fn envelope(result: Result<Value, Failure>, now_ms: u64) -> Value {
    match result {
        // A batch answers with its legs' results beside the list of legs.
        Ok(Value::Object(mut fields)) if fields.contains_key("retExtInfo") => {
            let details = fields.remove("retExtInfo");
            json!({ "retCode": 0, "retMsg": "OK", "result": fields, "retExtInfo": details, "time": now_ms })
        }
        Ok(result) => {
            json!({ "retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms })
        }
        Err(failure) => {
            json!({ "retCode": failure.code, "retMsg": failure.message, "result": {}, "retExtInfo": {}, "time": now_ms })
        }
    }
}

pub(crate) fn reply(result: Result<Value, Failure>, now_ms: u64) -> Reply {
    Reply::ok(envelope(result, now_ms))
}

/// The fields of a request, from its query or its JSON body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Value);

impl Fields {
    pub(crate) fn from_query(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|item| item.split_once('='));
        Self(
            pairs.map(|(name, value)| (percent_decode(name), Value::String(percent_decode(value)))).collect(),
        )
    }

    pub(crate) fn from_body(body: &str) -> Result<Self, Failure> {
        match serde_json::from_str(body) {
            Ok(value @ Value::Object(_)) => Ok(Self(value)),
            _ => Err(Failure::new(10_001, "params error: the body is not a JSON object")),
        }
    }

    pub(crate) fn from_value(value: &Value) -> Self {
        Self(value.clone())
    }

    pub(crate) fn value(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// A field's text; numbers keep theirs. Empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        match &self.0[name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn require(&self, name: &str) -> Result<String, Failure> {
        self.get(name).ok_or_else(|| Failure::param(name))
    }

    pub(crate) fn decimal(&self, name: &str) -> Result<Option<Decimal>, Failure> {
        self.get(name).map(|text| text.parse().map_err(|_| Failure::param(name))).transpose()
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.get(name).map(|text| text.parse().map_err(|_| Failure::param(name))).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn limit(&self, default: u64, most: u64) -> Result<usize, Failure> {
        let limit = self.integer("limit")?.unwrap_or(default).clamp(1, most);
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// `category`: `spot` or `linear`; the others exist, empty.
    pub(crate) fn market(&self) -> Result<Market, Failure> {
        match self.require("category")?.as_str() {
            "spot" => Ok(Market::Spot),
            "linear" => Ok(Market::Linear),
            "inverse" => Ok(Market::Inverse),
            "option" => Ok(Market::Option),
            _ => Err(Failure::new(10_001, "params error: category invalid")),
        }
    }

    pub(crate) fn side(&self) -> Result<Side, Failure> {
        // Real clients also send upper case, which Bybit takes.
        match self.require("side")?.to_ascii_lowercase().as_str() {
            "buy" => Ok(Side::Buy),
            "sell" => Ok(Side::Sell),
            _ => Err(Failure::new(10_001, "params error: side invalid")),
        }
    }
}

/// Bybit's code and words for a rejection.
pub(crate) fn failure(market: Market, reject: Reject) -> Failure {
    let spot = market == Market::Spot;
    let (code, words) = match reject {
        Reject::Price if spot => (170_134, "Order price has too many decimals."),
        Reject::Price => (10_001, "params error: price invalid"),
        Reject::Lot if spot => (170_137, "Order quantity has too many decimals."),
        Reject::Lot => (10_001, "Qty invalid"),
        Reject::Notional if spot => (170_140, "Order value exceeded lower limit."),
        Reject::Notional => (110_094, "Order does not meet minimum order value 5USDT"),
        Reject::Duplicate if spot => (170_141, "Duplicate clientOrderId"),
        Reject::Duplicate => (110_072, "OrderLinkedID is duplicate"),
        Reject::TooManyOrders if spot => (170_223, "There are already the maximum number of open orders."),
        Reject::TooManyOrders => (110_009, "The number of stop orders exceeds the maximum allowable limit"),
        Reject::Balance => (170_131, "Insufficient balance."),
        Reject::Margin => (110_007, "CreateOrder, not enough available balance"),
        Reject::ReduceOnly => (110_017, "Reduce-only rule not satisfied"),
        Reject::UnknownOrder if spot => (170_213, "Order does not exist."),
        Reject::UnknownOrder => (110_001, "order not exists or too late to cancel"),
        Reject::Unchanged => {
            (10_001, "The order remains unchanged as the parameters entered match the existing ones.")
        }
        Reject::BelowFilled => (110_036, "The order quantity must be above what has filled"),
        Reject::WouldTrigger => {
            (110_092, "expect Rising or Falling, but trigger_price has been passed already")
        }
        Reject::Leverage => (10_001, "leverage invalid"),
        Reject::WouldTake | Reject::Unfillable => (110_001, "order rejected"),
    };
    Failure::new(code, words)
}

/// Checks everything about a signed request; `payload` is the query or the body as it came.
pub(crate) fn authenticate<'a>(
    front: &'a Front,
    raw: &Raw,
    payload: &str,
    scope: Scope,
    now_ms: u64,
) -> Result<&'a Key, Failure> {
    let (api_key, timestamp) = (raw.header("x-bapi-api-key"), raw.header("x-bapi-timestamp"));
    let (window, signature) = (raw.header("x-bapi-recv-window"), raw.header("x-bapi-sign"));
    if api_key.is_empty() {
        return Err(Failure::new(10_003, "API key is invalid."));
    }
    let key = front.keys.get(api_key).ok_or_else(|| Failure::new(10_003, "API key is invalid."))?;
    let shown_window = if window.is_empty() { "5000" } else { window };
    check_time(timestamp, shown_window, now_ms)?;
    let text = format!("{timestamp}{api_key}{window}{payload}");
    if signature.is_empty() || !key.verifier.verify(text.as_bytes(), signature) {
        count(&front.stats.signatures_refused);
        let words = format!("error sign! origin_string[{text}]");
        return Err(Failure::new(10_004, words));
    }
    permit(front, key, raw.peer, scope)?;
    Ok(key)
}

/// Checks address and scope.
pub(crate) fn permit(front: &Front, key: &Key, peer: std::net::IpAddr, scope: Scope) -> Result<(), Failure> {
    if !key.admits(peer) {
        count(&front.stats.permissions_refused);
        return Err(Failure::new(10_010, "Unmatched IP, please check your API key's bound IP addresses."));
    }
    if !scope.granted(&key.permissions()) {
        count(&front.stats.permissions_refused);
        return Err(Failure::new(10_005, "Permission denied, please check your API key permissions."));
    }
    if scope != Scope::Read && front.is_frozen(key.account) {
        count(&front.stats.permissions_refused);
        return Err(Failure::new(10_008, "Common banned, please check your account mode."));
    }
    Ok(())
}

/// Accepts `now − window ≤ timestamp < now + 1000`.
pub(crate) fn check_time(timestamp: &str, window: &str, now_ms: u64) -> Result<(), Failure> {
    let read = timestamp.parse::<u64>().ok().zip(window.parse::<u64>().ok());
    match read {
        Some((at, window)) if at < now_ms + MAX_AHEAD_MS && at.saturating_add(window) >= now_ms => Ok(()),
        _ => Err(Failure::new(
            10_002,
            format!(
                "invalid request, please check your server timestamp or recv_window param. req_timestamp[{timestamp}],server_timestamp[{now_ms}],recv_window[{window}]"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_exact_at_both_ends() {
        let check = |at: u64| check_time(&at.to_string(), "5000", 1_000_000).is_ok();
        assert!(check(995_000));
        assert!(!check(994_999));
        assert!(check(1_000_999));
        assert!(!check(1_001_000));
        assert!(check_time("x", "5000", 0).is_err());
    }
}
