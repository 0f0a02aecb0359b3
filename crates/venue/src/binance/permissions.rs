//! `GET /sapi/v1/account/apiRestrictions` (wallet documentation, "Get API Key Permission").

use trading::Timestamp;

use super::auth::Http;
use super::encode;
use crate::error::UnreadableReply;
use crate::http::Method;
use crate::json::Value;
use crate::permissions::KeyPermissions;

pub(crate) fn request(sent_at: Timestamp, recv_window_ms: u64) -> Http {
    encode::request(Method::Get, "/sapi/v1/account/apiRestrictions".to_owned(), &[], sent_at, recv_window_ms)
}

pub(crate) fn read(body: &Value<'_>) -> Result<KeyPermissions, UnreadableReply> {
    if let Some(code) = body.get("code").and_then(Value::as_text) {
        let text = body.get("msg").and_then(Value::as_text).unwrap_or_default();
        return Err(UnreadableReply::new("code", format!("{code} {text}")));
    }
    let Value::Object(members) = body else { return Err(UnreadableReply::new("body", "is not an object")) };
    for name in ["ipRestrict", "enableReading", "enableWithdrawals", "enableSpotAndMarginTrading"] {
        if !matches!(body.get(name), Some(Value::Bool(_))) {
            return Err(UnreadableReply::new(name, "is not there"));
        }
    }
    let mut permissions = KeyPermissions::default();
    for (name, value) in members {
        match (&**name, value) {
            ("ipRestrict", value) => permissions.ip_bound = *value == Value::Bool(true),
            ("createTime" | "enableReading" | "enableFixReadOnly", _) | (_, Value::Bool(false)) => {}
            ("tradingAuthorityExpirationTime", value) => {
                permissions.expires_at =
                    value.as_text().and_then(|text| text.parse().ok()).map(Timestamp::from_ms);
            }
            ("enableWithdrawals", _) => permissions.can_withdraw = true,
            ("enableInternalTransfer" | "permitsUniversalTransfer", _) => permissions.can_transfer = true,
            (
                "enableSpotAndMarginTrading"
                | "enableMargin"
                | "enableFutures"
                | "enableVanillaOptions"
                | "enablePortfolioMarginTrading"
                | "enableFixApiTrade",
                _,
            ) => permissions.can_trade = true,
            (other, _) => permissions.unknown.push(other.to_owned()),
        }
    }
    permissions.read_only = !permissions.can_trade && !permissions.is_dangerous();
    Ok(permissions)
}
