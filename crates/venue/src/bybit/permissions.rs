//! `GET /v5/user/query-api` (documentation, "Get API Key Information").

use trading::Timestamp;

use super::auth::Http;
use crate::error::UnreadableReply;
use crate::http::{HttpRequest, Method};
use crate::json::Value;
use crate::permissions::KeyPermissions;

pub(crate) fn request(sent_at: Timestamp, recv_window_ms: u64) -> Http {
    let target = "/v5/user/query-api".to_owned();
    let request = HttpRequest { method: Method::Get, target, headers: Vec::new(), body: Vec::new() };
    Http::new(request, sent_at, recv_window_ms)
}

pub(crate) fn read(body: &Value<'_>) -> Result<KeyPermissions, UnreadableReply> {
    let code = body.get("retCode").and_then(Value::as_text).unwrap_or("missing");
    if code != "0" {
        let text = body.get("retMsg").and_then(Value::as_text).unwrap_or_default();
        return Err(UnreadableReply::new("retCode", format!("{code} {text}")));
    }
    let missing = |name: &str| UnreadableReply::new(name, "is not there");
    let result = body.get("result").ok_or_else(|| missing("result"))?;
    let Some(Value::Object(groups)) = result.get("permissions") else {
        return Err(missing("result.permissions"));
    };
    let read_only =
        result.get("readOnly").and_then(Value::as_text).ok_or_else(|| missing("result.readOnly"))?;
    let mut permissions = KeyPermissions::default();
    for (group, names) in groups {
        for name in names.as_array().ok_or_else(|| missing("result.permissions"))? {
            let name = name.as_text().unwrap_or("?");
            match (&**group, name) {
                ("ContractTrade", "Order" | "Position")
                | ("Spot", "SpotTrade")
                | ("Options", "OptionsTrade")
                | ("Derivatives", "DerivativesTrade") => permissions.can_trade = true,
                ("Wallet", "Withdraw") => permissions.can_withdraw = true,
                ("Wallet", "AccountTransfer" | "SubMemberTransfer" | "SubMemberTransferList") => {
                    permissions.can_transfer = true;
                }
                ("Exchange", "ExchangeHistory") => {}
                _ => permissions.unknown.push(format!("{group}.{name}")),
            }
        }
    }
    if read_only == "1" {
        // The listed groups then only say what may be read.
        permissions = KeyPermissions { read_only: true, ..KeyPermissions::default() };
    }
    let ips = result.get("ips").and_then(Value::as_array).unwrap_or_default();
    permissions.ip_bound =
        !ips.is_empty() && ips.iter().all(|ip| ip.as_text().is_some_and(|ip| ip != "*" && !ip.is_empty()));
    // A key bound to addresses never expires, which the venue writes as the first second of 1970.
    permissions.expires_at =
        result.get("expiredAt").and_then(Value::as_text).and_then(read_utc).filter(|at| at.as_ms() > 0);
    Ok(permissions)
}

/// Reads `2026-12-31T23:59:59Z`; other forms are no date.
pub(crate) fn read_utc(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| -> Option<u64> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if text.len() != 20 || marks.iter().any(|(at, mark)| text.as_bytes()[*at] != *mark) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let shifted_year = year - u64::from(month <= 2);
    let era = shifted_year / 400;
    let year_of_era = shifted_year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(Timestamp::from_ms(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_date() {
        assert_eq!(
            read_utc("2026-03-04T04:54:21Z").map(|at| at.to_string()).as_deref(),
            Some("2026-03-04T04:54:21.000Z")
        );
        for text in ["", "2026-03-04 04:54:21Z", "2026-13-04T04:54:21Z", "1969-12-31T23:59:59Z", "never"] {
            assert_eq!(read_utc(text), None, "{text}");
        }
    }
}
