//! Parameters, failures, and who sent them.

use serde_json::{Value, json};
use trading::{Decimal, Side};

use crate::auth::{Key, Scope, percent_decode};
use crate::server::{Raw, Reply};
use crate::state::{Front, count};

/// Largest `recvWindow`, in milliseconds.
const MAX_WINDOW_MS: u64 = 60_000;
/// How far a timestamp may be ahead, in milliseconds.
const MAX_AHEAD_MS: u64 = 1_000;

/// An error as Binance words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub status: u16,
    pub code: i32,
    pub message: String,
    /// Details of a request that was half done.
    pub data: Option<Box<Value>>,
}

impl Failure {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        let status = match code {
            -2014 | -2015 => 401,
            -1003 => 429,
            -1002 => 403,
            _ => 400,
        };
        Self { status, code, message: message.into(), data: None }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut body = json!({ "code": self.code, "msg": self.message });
        if let Some(data) = &self.data {
            body["data"] = (**data).clone();
        }
        body
    }

    pub(crate) fn into_reply(self) -> Reply {
        Reply { status: self.status, headers: Vec::new(), body: self.to_json() }
    }
}

/// Decoded parameters in the order they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes form texts.
    pub(crate) fn parse(parts: &[&str]) -> Result<Self, Failure> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for item in parts.iter().flat_map(|part| part.split('&')).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let name = percent_decode(name);
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Failure::new(-1101, format!("Duplicate values for parameter '{name}'.")));
            }
            pairs.push((name, percent_decode(value)));
        }
        Ok(Self(pairs))
    }

    /// Takes a JSON object; numbers keep their text.
    pub(crate) fn from_json(value: &Value) -> Self {
        let fields = value.as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self(fields.map(|(name, value)| (name.clone(), text(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn require(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| missing(name))
    }

    pub(crate) fn decimal(&self, name: &str) -> Result<Option<Decimal>, Failure> {
        self.get(name).map(|text| text.parse().map_err(|_| illegal(name))).transpose()
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.get(name).map(|text| text.parse().map_err(|_| illegal(name))).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// `limit`, at most `most`.
    pub(crate) fn limit(&self, default: u64, most: u64) -> Result<usize, Failure> {
        let limit = self.integer("limit")?.unwrap_or(default).clamp(1, most);
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    pub(crate) fn side(&self) -> Result<Side, Failure> {
        match self.require("side")? {
            "BUY" => Ok(Side::Buy),
            "SELL" => Ok(Side::Sell),
            _ => Err(Failure::new(-1117, "Invalid side.")),
        }
    }

    /// The WebSocket API's text to sign: everything but the signature, by name, not encoded.
    fn sorted_text(&self) -> String {
        let mut pairs: Vec<&(String, String)> =
            self.0.iter().filter(|(name, _)| name != "signature").collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// What a request without a parameter it needs is told.
pub(crate) fn missing(name: &str) -> Failure {
    Failure::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
}

fn illegal(name: &str) -> Failure {
    Failure::new(-1100, format!("Illegal characters found in parameter '{name}'."))
}

fn refused() -> Failure {
    Failure::new(-2015, "Invalid API-key, IP, or permissions for action.")
}

/// The text a REST request signs: query, then body, as they came, without the signature itself.
fn signed_text(raw: &Raw) -> String {
    let unsigned = |part: &str| {
        part.split('&').filter(|item| !item.starts_with("signature=")).collect::<Vec<_>>().join("&")
    };
    unsigned(&raw.query) + &unsigned(&raw.body)
}

/// Checks key, address and scope; for endpoints that want only the key.
pub(crate) fn known_key<'a>(
    front: &'a Front,
    api_key: &str,
    peer: std::net::IpAddr,
    scope: Scope,
) -> Result<&'a Key, Failure> {
    let printable = api_key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if api_key.is_empty() || !printable || api_key.len() > 128 {
        return Err(Failure::new(-2014, "API-key format invalid."));
    }
    let key = front.keys.get(api_key).ok_or_else(refused)?;
    if !key.admits(peer) || !scope.granted(&key.permissions()) {
        count(&front.stats.permissions_refused);
        return Err(refused());
    }
    if scope != Scope::Read && front.is_frozen(key.account) {
        return Err(refused());
    }
    Ok(key)
}

/// Checks everything about a signed REST request.
pub(crate) fn authenticate<'a>(
    front: &'a Front,
    raw: &Raw,
    params: &Params,
    scope: Scope,
    now_ms: u64,
) -> Result<&'a Key, Failure> {
    let api_key = raw.header("x-mbx-apikey");
    let signer = front.keys.get(api_key);
    check_signature(front, signer, signed_text(raw).as_bytes(), params, now_ms)?;
    known_key(front, api_key, raw.peer, scope)
}

/// Checks everything about a signed WebSocket API request.
pub(crate) fn authenticate_message<'a>(
    front: &'a Front,
    params: &Params,
    peer: std::net::IpAddr,
    scope: Scope,
    now_ms: u64,
) -> Result<&'a Key, Failure> {
    let api_key = params.require("apiKey")?;
    let signer = front.keys.get(api_key);
    check_signature(front, signer, params.sorted_text().as_bytes(), params, now_ms)?;
    known_key(front, api_key, peer, scope)
}

fn check_signature(
    front: &Front,
    signer: Option<&Key>,
    text: &[u8],
    params: &Params,
    now_ms: u64,
) -> Result<(), Failure> {
    check_time(params, now_ms)?;
    let signature = params.require("signature")?;
    match signer {
        Some(key) if key.verifier.verify(text, signature) => Ok(()),
        Some(_) => {
            count(&front.stats.signatures_refused);
            Err(Failure::new(-1022, "Signature for this request is not valid."))
        }
        None => Ok(()), // the caller refuses the unknown key with its own words
    }
}

/// Checks `timestamp` and `recvWindow`.
pub(crate) fn check_time(params: &Params, now_ms: u64) -> Result<(), Failure> {
    params.require("timestamp")?;
    let timestamp = params.integer("timestamp")?.unwrap_or_default();
    let window = params.integer("recvWindow")?.unwrap_or(5_000);
    if window > MAX_WINDOW_MS {
        return Err(Failure::new(-1131, "recvWindow must be less than 60000"));
    }
    if timestamp >= now_ms + MAX_AHEAD_MS {
        let text = "Timestamp for this request was 1000ms ahead of the server's time.";
        return Err(Failure::new(-1021, text));
    }
    if timestamp + window < now_ms {
        return Err(Failure::new(-1021, "Timestamp for this request is outside of the recvWindow."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(timestamp: u64, window: &str) -> Params {
        Params::parse(&[&format!("timestamp={timestamp}{window}")]).expect("well formed")
    }

    #[test]
    fn the_window_is_exact_at_both_ends() {
        let now = 1_000_000;
        assert_eq!(check_time(&times(now - 5_000, ""), now), Ok(()));
        assert_eq!(check_time(&times(now - 5_001, ""), now).map_err(|failure| failure.code), Err(-1021));
        assert_eq!(check_time(&times(now + 999, ""), now), Ok(()));
        assert_eq!(check_time(&times(now + 1_000, ""), now).map_err(|failure| failure.code), Err(-1021));
        assert_eq!(
            check_time(&times(now, "&recvWindow=60001"), now).map_err(|failure| failure.code),
            Err(-1131)
        );
    }

    #[test]
    fn duplicates_are_refused() {
        assert_eq!(Params::parse(&["a=1&b=2", "a=3"]).map_err(|failure| failure.code).unwrap_err(), -1101);
    }
}
