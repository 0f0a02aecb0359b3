//! A request without its authentication, and what is needed to put other authentication in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use trading::{Timestamp, Venue};

use crate::http::{HttpRequest, Method};
use crate::{binance, bybit};

/// What a venue key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// HMAC-SHA256 over a shared secret; sent as lower-case hexadecimal.
    HmacSha256,
    /// Ed25519; sent as base64.
    Ed25519,
    /// RSA PKCS#1 v1.5 with SHA-256; sent as base64.
    RsaPkcs1Sha256,
    /// ECDSA over P-256 with SHA-256, `r ‖ s`; base64.
    EcdsaP256Sha256,
    /// ECDSA over secp256k1 with Keccak-256, `r ‖ s ‖ v` with `v` 27 or 28; hexadecimal after `0x`.
    EcdsaSecp256k1Keccak256,
}

impl Algorithm {
    /// Whether `venue` takes keys of this algorithm.
    #[must_use]
    pub const fn is_taken_by(self, venue: Venue) -> bool {
        match (self, venue) {
            (Self::HmacSha256 | Self::Ed25519 | Self::RsaPkcs1Sha256, Venue::Binance | Venue::Bybit) => true,
            (Self::EcdsaP256Sha256 | Self::EcdsaSecp256k1Keccak256, Venue::Binance | Venue::Bybit) => false,
        }
    }

    /// The signature as venues want it written, before any percent-encoding.
    #[must_use]
    pub fn signature_text(self, signature: &[u8]) -> String {
        match self {
            Self::HmacSha256 => hex::encode(signature),
            Self::Ed25519 | Self::RsaPkcs1Sha256 | Self::EcdsaP256Sha256 => BASE64.encode(signature),
            Self::EcdsaSecp256k1Keccak256 => format!("0x{}", hex::encode(signature)),
        }
    }

    /// Reads a signature as venues' clients write it, and tells which algorithm it looks like: 64
    /// hexadecimal digits, or the base64 of 64 (Ed25519) or at least 128 (RSA) bytes. The curves of
    /// ECDSA are not read: no venue here takes them.
    #[must_use]
    pub fn read_signature(text: &str) -> Option<(Self, Vec<u8>)> {
        if text.len() == 64
            && let Ok(bytes) = hex::decode(text)
        {
            return Some((Self::HmacSha256, bytes));
        }
        let bytes = BASE64.decode(text).ok()?;
        match bytes.len() {
            64 => Some((Self::Ed25519, bytes)),
            128..=1024 => Some((Self::RsaPkcs1Sha256, bytes)),
            _ => None,
        }
    }
}

/// Who claims to have signed a request, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The API key, as sent.
    pub api_key: String,
    /// The signature's bytes; `None` where the endpoint wants only a key.
    pub signature: Option<Vec<u8>>,
    /// The algorithm whose signatures look like that.
    pub algorithm: Option<Algorithm>,
}

/// How the text that was signed differs from the text on the wire.
///
/// HTTP libraries re-encode URLs after the client has signed them, so a signature may verify only
/// over what the client had before. Try each of [`Unsigned::spellings`] on the client's own
/// signature and keep the one that verifies ([`Unsigned::spelled`]): then the new signature covers what
/// the client's library would have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// Signed as on the wire.
    #[default]
    Wire,
    /// Signed before the library percent-encoded what may not stand in a URL (Python `requests`).
    Untidied,
    /// Signed with all escapes resolved.
    Decoded,
    /// Signed percent-encoded though the wire is not (a stream message, signed as a form).
    Encoded,
}

/// What a third party who holds the signed message can no longer change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The parameters, not host, path or method (Binance).
    Parameters,
    /// Query or body, and timestamp, not host, path or method (Bybit).
    Payload,
    /// Nothing but the right to log in until a given time.
    Login,
    /// No signature: the connection's login stands for it, or the key alone is enough.
    Nothing,
}

/// The part of a venue that a request is for: each has its own host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// Binance spot, margin and wallet: `/api`, `/sapi`.
    Spot,
    /// Binance USD-M futures: `/fapi`, `/futures/data`.
    UsdMargined,
    /// Binance COIN-M futures: `/dapi`.
    CoinMargined,
    /// Bybit v5.
    V5,
}

impl Surface {
    /// Scheme and host of the venue's production API.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Spot => "https://api.binance.com",
            Self::UsdMargined => "https://fapi.binance.com",
            Self::CoinMargined => "https://dapi.binance.com",
            Self::V5 => "https://api.bybit.com",
        }
    }
}

/// Something a client wants to send with the real key's signature, without any signature. Bytes and
/// order of everything else are the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned(pub(crate) Form);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    BinanceHttp(binance::auth::Http),
    BinanceCall(binance::stream::Call),
    BybitHttp(bybit::auth::Http),
    BybitLogin(bybit::stream::Login),
    BybitMessage(bybit::stream::OrderMessage),
}

/// A finished message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// An HTTP request.
    Http(HttpRequest),
    /// A text frame for a WebSocket.
    Message(String),
}

impl Signed {
    /// The HTTP request, if it is one.
    #[must_use]
    pub fn http(self) -> Option<HttpRequest> {
        match self {
            Self::Http(request) => Some(request),
            Self::Message(_) => None,
        }
    }

    /// The WebSocket message, if it is one.
    #[must_use]
    pub fn message(self) -> Option<String> {
        match self {
            Self::Http(_) => None,
            Self::Message(text) => Some(text),
        }
    }
}

impl Unsigned {
    /// The venue it is for.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        match &self.0 {
            Form::BinanceHttp(_) | Form::BinanceCall(_) => Venue::Binance,
            Form::BybitHttp(_) | Form::BybitLogin(_) | Form::BybitMessage(_) => Venue::Bybit,
        }
    }

    /// The part of the venue it is for; `None` for a path that belongs to no known part.
    #[must_use]
    pub fn surface(&self) -> Option<Surface> {
        match &self.0 {
            Form::BinanceHttp(http) => binance::endpoints::surface(http.request.path()),
            Form::BinanceCall(call) => Some(call.surface),
            Form::BybitHttp(_) | Form::BybitLogin(_) | Form::BybitMessage(_) => Some(Surface::V5),
        }
    }

    /// The HTTP method; `None` for a stream message.
    #[must_use]
    pub const fn method(&self) -> Option<Method> {
        match &self.0 {
            Form::BinanceHttp(http) => Some(http.request.method),
            Form::BybitHttp(http) => Some(http.request.method),
            Form::BinanceCall(_) | Form::BybitLogin(_) | Form::BybitMessage(_) => None,
        }
    }

    /// The HTTP path, or the stream's method name.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.0 {
            Form::BinanceHttp(http) => http.request.path(),
            Form::BybitHttp(http) => http.request.path(),
            Form::BinanceCall(call) => &call.method,
            Form::BybitLogin(_) => "auth",
            Form::BybitMessage(message) => &message.operation,
        }
    }

    /// The client's own id of a stream message, as JSON text, to be given back in its reply.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match &self.0 {
            Form::BinanceCall(call) => call.id.as_deref(),
            Form::BybitMessage(message) => message.id.as_deref(),
            Form::BybitLogin(login) => login.id.as_deref(),
            Form::BinanceHttp(_) | Form::BybitHttp(_) => None,
        }
    }

    /// When the client says it sent this; a login has the time at which it expires instead.
    #[must_use]
    pub const fn sent_at(&self) -> Option<Timestamp> {
        match &self.0 {
            Form::BinanceHttp(http) => http.sent_at,
            Form::BinanceCall(call) => call.sent_at,
            Form::BybitHttp(http) => http.sent_at,
            Form::BybitMessage(message) => message.sent_at,
            Form::BybitLogin(_) => None,
        }
    }

    /// When a login expires.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match &self.0 {
            Form::BybitLogin(login) => Some(login.expires_at),
            _ => None,
        }
    }

    /// For how many milliseconds after [`Self::sent_at`] the venue takes it, where the client says so.
    #[must_use]
    pub const fn recv_window_ms(&self) -> Option<u64> {
        match &self.0 {
            Form::BinanceHttp(http) => http.recv_window_ms,
            Form::BinanceCall(call) => call.recv_window_ms,
            Form::BybitHttp(http) => http.recv_window_ms,
            Form::BybitMessage(message) => message.recv_window_ms,
            Form::BybitLogin(_) => None,
        }
    }

    /// Whether a signature has a place in it; if not, [`crate::attach`] puts in only the key, if that.
    #[must_use]
    pub const fn takes_signature(&self) -> bool {
        match &self.0 {
            Form::BinanceHttp(http) => http.signature.is_some(),
            Form::BinanceCall(call) => call.signature.is_some(),
            Form::BybitHttp(http) => http.signature_header.is_some(),
            Form::BybitLogin(_) => true,
            Form::BybitMessage(_) => false,
        }
    }

    /// What the signature, once made, binds.
    #[must_use]
    pub const fn binding(&self) -> Binding {
        if !self.takes_signature() {
            return Binding::Nothing;
        }
        match &self.0 {
            Form::BinanceHttp(_) | Form::BinanceCall(_) => Binding::Parameters,
            Form::BybitHttp(_) => Binding::Payload,
            Form::BybitLogin(_) => Binding::Login,
            Form::BybitMessage(_) => Binding::Nothing,
        }
    }

    /// The spellings under which the client may have signed, likeliest first; never empty, and
    /// without those that would sign the same bytes.
    #[must_use]
    pub fn spellings(&self) -> Vec<Spelling> {
        let candidates: &[Spelling] = match &self.0 {
            Form::BinanceHttp(_) | Form::BybitHttp(_) => {
                &[Spelling::Wire, Spelling::Untidied, Spelling::Decoded]
            }
            Form::BinanceCall(_) => &[Spelling::Wire, Spelling::Encoded],
            Form::BybitLogin(_) | Form::BybitMessage(_) => &[Spelling::Wire],
        };
        let mut seen: Vec<(Spelling, Vec<u8>)> = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let Some(bytes) = self.clone().spelled(*candidate).try_signing_input("") else { continue };
            if seen.iter().all(|(_, have)| *have != bytes) {
                seen.push((*candidate, bytes));
            }
        }
        seen.into_iter().map(|(spelling, _)| spelling).collect()
    }

    /// The same request, signed as `spelling` says.
    #[must_use]
    pub fn spelled(mut self, spelling: Spelling) -> Self {
        match &mut self.0 {
            Form::BinanceHttp(http) => http.spelling = spelling,
            Form::BinanceCall(call) => call.spelling = spelling,
            Form::BybitHttp(http) => http.spelling = spelling,
            Form::BybitLogin(_) | Form::BybitMessage(_) => {}
        }
        self
    }

    /// The bytes to sign; `None` if the chosen spelling does not exist for this request.
    pub(crate) fn try_signing_input(&self, api_key: &str) -> Option<Vec<u8>> {
        match &self.0 {
            Form::BinanceHttp(http) => http.signing_input(),
            Form::BinanceCall(call) => Some(call.signing_input(api_key)),
            Form::BybitHttp(http) => http.signing_input(api_key),
            Form::BybitLogin(login) => Some(login.signing_input()),
            Form::BybitMessage(_) => Some(Vec::new()),
        }
    }
}

/// The query as it was when the client signed; `None` if the spelling does not exist for it.
pub(crate) fn respell(query: &str, spelling: Spelling) -> Option<std::borrow::Cow<'_, str>> {
    match spelling {
        Spelling::Wire | Spelling::Encoded => Some(query.into()),
        Spelling::Untidied => crate::form::unquote_tidied(query).map(Into::into),
        Spelling::Decoded => crate::form::percent_decode(query, false)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Into::into),
    }
}

/// A count of milliseconds, or of microseconds if it has 16 digits or more, as both venues take it.
pub(crate) fn read_timestamp(text: &str) -> Option<Timestamp> {
    let number = read_whole(text)?;
    Some(Timestamp::from_ms(if number >= 1_000_000_000_000_000 { number / 1000 } else { number }))
}

/// Decimal digits and nothing else.
pub(crate) fn read_whole(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The only header called `name`, whatever the case of its letters, as an index.
pub(crate) fn single_header(
    headers: &[(String, String)],
    name: &'static str,
) -> Result<Option<usize>, crate::error::Malformed> {
    let mut found = headers.iter().enumerate().filter(|(_, (have, _))| have.eq_ignore_ascii_case(name));
    let first = found.next().map(|(index, _)| index);
    if found.next().is_some() {
        return Err(crate::error::Malformed::new(name, "is there twice"));
    }
    Ok(first)
}

/// Longest body that is taken apart; the largest batch any venue takes is a tenth of it.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// Checks that hold for every venue: bounded sizes, no fragment, no header that overrides the method.
pub(crate) fn check_shape(request: &HttpRequest) -> Result<(), crate::error::Malformed> {
    use crate::error::Malformed;
    if request.body.len() > MAX_BODY || request.target.len() > MAX_BODY {
        return Err(Malformed::new("body", "is too long"));
    }
    if !request.target.starts_with('/') || request.target.contains('#') {
        return Err(Malformed::new("target", "must be a path, and a query if any"));
    }
    if request.headers.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case("x-http-method-override") || name.eq_ignore_ascii_case("x-method-override")
    }) {
        return Err(Malformed::new("X-HTTP-Method-Override", "changes what the request means"));
    }
    Ok(())
}
