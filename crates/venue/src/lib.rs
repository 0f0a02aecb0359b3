//! What venues speak, and nothing else: no socket, clock, randomness or secret in here.
//!
//! One order's way: an [`HttpRequest`] as the client's library signed it is [`split`] into
//! [`Presented`] (who claims to sign) and [`Unsigned`] (everything else, byte for byte);
//! [`decode`] says what it asks for or names the field nobody understands; [`signing_input`] has the
//! bytes for the real key, and [`attach`] puts key and signature where the client had its own.
//! Neutral orders enter through [`encode`], raw JSON through [`from_native_json`], stream messages
//! through [`split_message`].
//!
//! [`split`], [`signing_input`] and [`attach`] know nothing of endpoints, so a stand-in's signature
//! can be checked on any request; only [`decode`] says what may be signed at all.

mod acknowledgement;
pub mod admin;
mod answer;
mod binance;
mod bybit;
mod canonical;
mod currency;
mod denial;
mod error;
mod fields;
mod form;
mod http;
mod json;
mod market;
mod native;
mod open_orders;
mod permissions;
mod position;
pub mod skim;
mod stream;
mod unsigned;
pub mod watch;
mod withheld;

use trading::{Intent, Timestamp, Venue};

pub use acknowledgement::{Ack, Outcome, Transport, acknowledgement};
pub use answer::{Incomplete, MAX_ANSWER, Refusal, Why};
pub use currency::{Currency, NotACurrency};
pub use denial::{DENIED, DenialKind, UNAVAILABLE, denial_message, denial_reply};
pub use error::{Malformed, Undecodable, Unencodable, UnreadableReply};
pub use http::{HttpReply, HttpRequest, Method, UnknownMethod};
pub use market::{
    InstrumentPage, InstrumentRules, PublicRequest, instruments_request, mark_prices_request,
    read_instruments, read_mark_prices,
};
pub use native::{Operation, from_native_json};
pub use open_orders::{OpenOrders, open_orders_read, read_open_orders};
pub use permissions::{KeyPermissions, permissions_request, read_permissions};
pub use position::{Position, position_read, read_position};
pub use stream::{
    Harmless, Stream, StreamMessage, answered_id, bybit_login, is_private_topic, names_of, split_message,
};
pub use unsigned::{Algorithm, Binding, Presented, Signed, Spelling, Surface, Unsigned};
pub use withheld::is_withheld;

use unsigned::Form;

/// Takes a request apart into who claims to have signed it and everything else.
///
/// # Errors
///
/// Names the header or parameter of the authentication that is missing, doubled or not readable.
pub fn split(venue: Venue, request: HttpRequest) -> Result<(Presented, Unsigned), Malformed> {
    match venue {
        Venue::Binance => binance::auth::split(request)
            .map(|(presented, http)| (presented, Unsigned(Form::BinanceHttp(http)))),
        Venue::Bybit => {
            bybit::auth::split(request).map(|(presented, http)| (presented, Unsigned(Form::BybitHttp(http))))
        }
    }
}

/// Says what a request asks for. Whatever is not fully understood is an error.
///
/// # Errors
///
/// Names the endpoint that may not be signed, or the field that is unknown, doubled, missing or has
/// a value that is not understood.
pub fn decode(unsigned: &Unsigned) -> Result<Intent, Undecodable> {
    match &unsigned.0 {
        Form::BinanceHttp(http) => binance::decode::decode(http),
        Form::BinanceCall(call) => call.decode(),
        Form::BybitHttp(http) => bybit::decode::decode(http),
        Form::BybitLogin(login) => Ok(login.decode()),
        Form::BybitMessage(message) => message.decode(),
    }
}

/// Says an intent in its venue's own words, so that [`decode`] gives the same intent back.
///
/// # Errors
///
/// Names the field that the venue cannot express.
pub fn encode(intent: &Intent, sent_at: Timestamp, recv_window_ms: u64) -> Result<Unsigned, Unencodable> {
    let venue = intent.venue().ok_or(Unencodable::new("batch", "is empty"))?;
    if let Intent::Batch(legs) = intent
        && legs.iter().any(|leg| leg.venue() != Some(venue))
    {
        return Err(Unencodable::new("batch", "spans venues"));
    }
    let form = match venue {
        Venue::Binance => Form::BinanceHttp(binance::encode::encode(intent, sent_at, recv_window_ms)?),
        Venue::Bybit => Form::BybitHttp(bybit::encode::encode(intent, sent_at, recv_window_ms)?),
    };
    let unsigned = Unsigned(form);
    // What cannot be read back as the same intent is not sent (an id with an odd character, say).
    if decode(&unsigned).as_ref() == Ok(intent) {
        Ok(unsigned)
    } else {
        Err(Unencodable::new("intent", "does not come back the same from the venue's own words"))
    }
}

/// The exact bytes to hand to the key's algorithm; empty where nothing is to be signed.
#[must_use]
pub fn signing_input(unsigned: &Unsigned, api_key: &str) -> Vec<u8> {
    unsigned.try_signing_input(api_key).unwrap_or_default()
}

/// Puts a key and a signature in, exactly where the client's library had its own.
///
/// The algorithm is that of the real key; it decides how the signature is written, whatever the
/// stand-in's was. Where the request takes no signature ([`Unsigned::takes_signature`]) only the
/// key goes in, if that.
#[must_use]
pub fn attach(unsigned: Unsigned, api_key: &str, algorithm: Algorithm, signature: &[u8]) -> Signed {
    match unsigned.0 {
        Form::BinanceHttp(http) => Signed::Http(http.attach(api_key, algorithm, signature)),
        Form::BybitHttp(http) => Signed::Http(http.attach(api_key, algorithm, signature)),
        Form::BinanceCall(call) => Signed::Message(call.attach(api_key, algorithm, signature)),
        Form::BybitLogin(login) => Signed::Message(login.attach(api_key, algorithm, signature)),
        Form::BybitMessage(message) => Signed::Message(message.into_text()),
    }
}

/// Whether this is public market data that needs no key; libraries send their key along all the same, so it
/// has to be removed before the request goes on: see [`without_credentials`].
#[must_use]
pub fn is_public(venue: Venue, request: &HttpRequest) -> bool {
    if request.method != Method::Get || !request.body.is_empty() {
        return false;
    }
    match venue {
        Venue::Binance => {
            binance::endpoints::is_public(request.path())
                && form::pairs(request.query())
                    .all(|(key, _)| form::decode(key).is_some_and(|key| key != "signature"))
        }
        Venue::Bybit => {
            bybit::endpoints::is_public(request.path())
                && request.header(bybit::auth::SIGNATURE_HEADER).is_none()
        }
    }
}

/// The part of `venue` that serves `path`; `None` if no known part does.
#[must_use]
pub fn surface_of(venue: Venue, path: &str) -> Option<Surface> {
    match venue {
        Venue::Binance => binance::endpoints::surface(path),
        Venue::Bybit => path.starts_with("/v5/").then_some(Surface::V5),
    }
}

/// The same request without any header that could carry a key.
#[must_use]
pub fn without_credentials(mut request: HttpRequest) -> HttpRequest {
    request.headers.retain(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name != "x-mbx-apikey" && !name.starts_with("x-bapi-") && name != "authorization" && name != "cookie"
    });
    request
}

/// Something a client's library adds unasked, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// The header or parameter.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What earns somebody else a commission: broker ids in client order ids (`x-…`) and in `Referer`.
#[must_use]
pub fn extras(unsigned: &Unsigned) -> Vec<Extra> {
    let request = match &unsigned.0 {
        Form::BinanceHttp(http) => &http.request,
        Form::BybitHttp(http) => &http.request,
        Form::BinanceCall(call) => return extras_among(call.texts()),
        Form::BybitMessage(message) => return extras_among(message.header()),
        Form::BybitLogin(_) => return Vec::new(),
    };
    let mut pairs = request.headers.clone();
    if unsigned.venue() == Venue::Binance {
        let body = std::str::from_utf8(&request.body).unwrap_or_default();
        let params = form::pairs(request.query()).chain(form::pairs(body));
        pairs.extend(params.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    }
    extras_among(pairs)
}

fn extras_among(pairs: Vec<(String, String)>) -> Vec<Extra> {
    let is_extra = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("referer")
            || name.eq_ignore_ascii_case("x-referer")
            || (value.starts_with("x-")
                && matches!(name.as_str(), "newClientOrderId" | "clientAlgoId" | "origClientOrderId"))
    };
    pairs.into_iter().filter(is_extra).map(|(name, value)| Extra { name, value }).collect()
}
