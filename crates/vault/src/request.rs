//! From a line to a question the policy can judge: who asks, for which account, what.

use policy::{Policy, Request};
use protocol::envelope::Envelope;
use protocol::sign::{
    DenialText, ErrorCode, ErrorText, HttpMessage, MAX_THESIS, NativeOperation, Reply, ReplyOutcome,
    SignLine, StreamFrame,
};
use serde_json::value::RawValue;
use trading::{AccountName, BotName, Instrument, Intent, Market, Read, Timestamp, Venue};
use venue::{Spelling, Stream, StreamMessage, Surface, Unsigned};

use crate::place::{Names, Place, Refused, Unresolved, place_of};

/// Validity of requests that we make ourselves, in milliseconds, unless the account's policy allows
/// less; what ccxt and the SDKs default to.
const RECV_WINDOW_MS: u64 = 5_000;
/// The policy's name for what earns a library's author a commission.
const BROKER_ID: &str = "broker-id";
/// The code of a denial of what cannot be read.
pub(crate) const NOT_DECODED: &str = "not_decoded";

/// Who is at the other end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A process of this user, on the sign socket.
    Direct {
        /// Its user id.
        uid: u32,
    },
    /// The gateway, which has checked the bot's stand-in signature.
    Gateway,
}

impl Caller {
    pub(crate) const fn is_gateway(self) -> bool {
        matches!(self, Self::Gateway)
    }
}

/// A question: one bot, one account, one request without authentication.
pub(crate) struct Asked {
    pub(crate) bot: BotName,
    pub(crate) account: AccountName,
    pub(crate) venue: Venue,
    pub(crate) unsigned: Unsigned,
    /// What the client's library added unasked, as `name=value`.
    pub(crate) extras: Vec<String>,
    pub(crate) way: Way,
    /// Why, in the bot's words.
    pub(crate) thesis: Option<Box<str>>,
}

/// How a request came, and so how it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a bot on the sign socket: the reply holds the finished request.
    Socket,
    /// As an HTTP request through the gateway.
    Http,
    /// As a WebSocket frame through the gateway.
    Frame(Stream),
}

impl Way {
    pub(crate) const fn is_gateway(self) -> bool {
        !matches!(self, Self::Socket)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Http => "gateway",
            Self::Frame(_) => "gateway stream",
        }
    }
}

impl Asked {
    /// The same as the policy sees it.
    pub(crate) fn policy_request(&self, intent: Intent) -> Request {
        Request {
            bot: self.bot.clone(),
            account: self.account.clone(),
            intent,
            sent_at: self.unsigned.sent_at(),
            recv_window_ms: self.unsigned.recv_window_ms(),
            // Every extra that is recognised pays somebody else a commission.
            expires_at: self.unsigned.expires_at(),
            thesis: self.thesis.clone(),
            extras: self.extras.iter().map(|_| BROKER_ID.into()).collect(),
        }
    }

    /// The endpoint, for records and people.
    pub(crate) fn endpoint(&self) -> String {
        match self.unsigned.method() {
            Some(method) => format!("{} {}", method.as_str(), self.unsigned.path()),
            None => self.unsigned.path().to_owned(),
        }
    }
}

/// The line that says why a request came to nothing.
pub(crate) fn error_line(id: Option<Box<RawValue>>, error: ErrorText) -> Vec<u8> {
    let reply = Reply { id, outcome: ReplyOutcome::Error { error, record: None } };
    serde_json::to_vec(&reply).expect("an error holds only strings")
}

/// Finds out who asks for which account, and takes the request apart.
pub(crate) fn resolve(
    line: SignLine<'_>,
    caller: Caller,
    policy: &Policy,
    now: Timestamp,
) -> Result<Asked, Unresolved> {
    let names = Names { bot: line.bot.as_ref(), account: line.account.as_ref(), venue: line.venue };
    let place = place_of(&names, caller, policy)?;
    let (door, what) = (door_of(&line), what_of(&line));
    let refuse = |error| Unresolved::Refused(Box::new(Refused::at(&place, door, &what, error)));
    if bodies(&line).iter().filter(|(_, there)| *there).count() != 1 {
        let why = "exactly one of `order`, `place`, `amend`, `cancel`, `cancel_all` must be there";
        return Err(refuse(malformed(why.into())));
    }
    let question = question(&line);
    let is_of_gateway = line.http.is_some() || line.frame.is_some() || question.is_some();
    if is_of_gateway && !caller.is_gateway() {
        let why = "`http` and `frame` are for the gateway; use `order` or a neutral order";
        return Err(refuse(forbidden(why.into())));
    }
    if let Some((instrument, read)) = question {
        // The gateway's own question, not a bot's: there is nobody to deny anything to.
        let unsigned = question_to_venue(instrument, read, now).map_err(Unresolved::Error)?;
        return Ok(place.asked(Way::Http, unsigned, None));
    }
    let thesis = match thesis_of(&line) {
        Ok(thesis) => thesis,
        Err(error) => return Err(refuse(error)),
    };
    let venue = place.venue;
    let most = policy.account(&place.account).map_or(u64::MAX, policy::Account::max_recv_window_ms);
    match body_of(line, venue, now, RECV_WINDOW_MS.min(most)) {
        Ok((way, unsigned)) => Ok(place.asked(way, unsigned, thesis)),
        Err(error) => Err(refuse(error)),
    }
}

/// What becomes of an object that is not a request: of a caller who may speak for somebody it is
/// denied, so that the log has it.
pub(crate) fn unreadable(
    envelope: &Envelope<'_>,
    caller: Caller,
    policy: &Policy,
    problem: String,
) -> Unresolved {
    if caller.is_gateway() {
        return Unresolved::Error(malformed(problem));
    }
    let names =
        Names { bot: envelope.bot.as_ref(), account: envelope.account.as_ref(), venue: envelope.venue };
    match place_of(&names, caller, policy) {
        Ok(place) => {
            let refused = Refused::at(&place, Way::Socket.as_str(), "a line", malformed(problem));
            Unresolved::Refused(Box::new(refused))
        }
        Err(Unresolved::Refused(refused)) => Unresolved::Refused(Box::new(Refused {
            denial: DenialText { code: NOT_DECODED.into(), text: problem },
            ..*refused
        })),
        Err(error @ Unresolved::Error(_)) => error,
    }
}

impl Place {
    fn asked(self, way: Way, unsigned: Unsigned, thesis: Option<Box<str>>) -> Asked {
        let extras = venue::extras(&unsigned)
            .into_iter()
            .map(|extra| format!("{}={}", extra.name, extra.value))
            .collect();
        let Self { bot, account, venue } = self;
        Asked { bot, account, venue, unsigned, extras, way, thesis }
    }
}

/// By which door a line's body came.
const fn door_of(line: &SignLine<'_>) -> &'static str {
    if line.frame.is_some() {
        // Which stream is not known yet; its name is.
        Way::Frame(Stream::BybitTrade).as_str()
    } else if line.http.is_some() {
        Way::Http.as_str()
    } else {
        Way::Socket.as_str()
    }
}

/// What a line asks for, for records and people.
fn what_of(line: &SignLine<'_>) -> String {
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    if let Some(http) = &line.http {
        return format!("{} {}", http.method, path(&http.target));
    }
    if let Some(frame) = &line.frame {
        return path(&frame.path);
    }
    bodies(line).iter().find(|(_, there)| *there).map_or("a line", |(name, _)| name).to_owned()
}

/// Which bodies there are; the last four come from the gateway only.
const fn bodies(line: &SignLine<'_>) -> [(&'static str, bool); 9] {
    [
        ("order", line.order.is_some()),
        ("place", line.place.is_some()),
        ("amend", line.amend.is_some()),
        ("cancel", line.cancel.is_some()),
        ("cancel_all", line.cancel_all.is_some()),
        ("http", line.http.is_some()),
        ("frame", line.frame.is_some()),
        ("open_orders", line.open_orders.is_some()),
        ("position", line.position.is_some()),
    ]
}

/// Why the bot asks: 1 to [`MAX_THESIS`] bytes, if it says anything.
fn thesis_of(line: &SignLine<'_>) -> Result<Option<Box<str>>, ErrorText> {
    match line.thesis.as_deref() {
        None => Ok(None),
        Some(text) if !text.trim().is_empty() && text.len() <= MAX_THESIS => Ok(Some(text.into())),
        Some(_) => Err(malformed(format!("`thesis` must have 1 to {MAX_THESIS} bytes"))),
    }
}

/// The signed read that answers a question of the gateway's own.
fn question_to_venue(
    instrument: &Instrument,
    read: Option<Read>,
    now: Timestamp,
) -> Result<Unsigned, ErrorText> {
    let read = read.ok_or_else(|| malformed(format!("{instrument} cannot be asked about")))?;
    venue::encode(&Intent::Read(read), now, RECV_WINDOW_MS).map_err(|error| malformed(error.to_string()))
}

/// The one body of a line that is a request, without authentication. What says nothing of its validity
/// gets `validity_ms`.
fn body_of(
    line: SignLine<'_>,
    venue: Venue,
    now: Timestamp,
    validity_ms: u64,
) -> Result<(Way, Unsigned), ErrorText> {
    if let Some(order) = line.order {
        let market = line.market.unwrap_or(Market::Spot);
        let operation = native(line.operation.unwrap_or(NativeOperation::Place));
        return venue::from_native_json(venue, market, operation, order.get(), now, validity_ms)
            .map(|unsigned| (Way::Socket, unsigned))
            .map_err(|error| malformed(error.to_string()));
    }
    if let Some(http) = line.http {
        return from_http(venue, &http).map(|unsigned| (Way::Http, unsigned));
    }
    if let Some(frame) = line.frame {
        return from_frame(venue, &frame);
    }
    let intent = neutral_intent(line, venue)?;
    venue::encode(&intent, now, validity_ms)
        .map(|unsigned| (Way::Socket, unsigned))
        .map_err(|error| malformed(error.to_string()))
}

/// A question of the gateway's own: about which instrument, and the read that answers it.
fn question<'a>(line: &'a SignLine<'_>) -> Option<(&'a Instrument, Option<Read>)> {
    let orders = line.open_orders.as_ref().map(|of| (of, venue::open_orders_read(of)));
    orders.or_else(|| line.position.as_ref().map(|of| (of, venue::position_read(of))))
}

fn neutral_intent(line: SignLine<'_>, venue: Venue) -> Result<Intent, ErrorText> {
    let intent = if let Some(order) = line.place {
        order.into_intent(venue)
    } else if let Some(target) = line.amend {
        target.into_amendment(venue)
    } else if let Some(target) = line.cancel {
        target.into_cancel(venue)
    } else if let Some(scope) = line.cancel_all {
        Ok(scope.into_cancel_all(venue))
    } else {
        return Err(malformed("there is no order in this line".into()));
    };
    intent.map_err(|error| malformed(error.to_string()))
}

/// Takes an HTTP request of the gateway's apart.
pub(crate) fn from_http(venue: Venue, http: &HttpMessage) -> Result<Unsigned, ErrorText> {
    let (_, unsigned) =
        venue::split(venue, native_http(http)?).map_err(|error| malformed(error.to_string()))?;
    spelled(unsigned, http.spelling.as_deref())
}

pub(crate) fn native_http(http: &HttpMessage) -> Result<venue::HttpRequest, ErrorText> {
    let method = http.method.parse().map_err(|_| malformed("`method` is not an HTTP method".into()))?;
    Ok(venue::HttpRequest {
        method,
        target: http.target.clone(),
        headers: http.headers.clone(),
        body: http.body.clone().into_bytes(),
    })
}

/// Takes a WebSocket frame of the gateway's apart.
pub(crate) fn from_frame(venue: Venue, frame: &StreamFrame) -> Result<(Way, Unsigned), ErrorText> {
    let stream = stream_of(venue, &frame.path)
        .ok_or_else(|| malformed(format!("{} is not a stream of {venue}", frame.path)))?;
    match venue::split_message(stream, &frame.text) {
        Ok(StreamMessage::Request(_, unsigned)) => {
            Ok((Way::Frame(stream), spelled(unsigned, frame.spelling.as_deref())?))
        }
        Ok(StreamMessage::Harmless(_)) => Err(malformed("this frame needs no decision".into())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

/// The streams on which decisions are asked for, by the gateway's paths.
fn stream_of(venue: Venue, path: &str) -> Option<Stream> {
    match (venue, path) {
        (Venue::Binance, "/ws-api/v3") => Some(Stream::BinanceApi(Surface::Spot)),
        (Venue::Binance, "/ws-fapi/v1") => Some(Stream::BinanceApi(Surface::UsdMargined)),
        (Venue::Bybit, "/v5/private") => Some(Stream::BybitPrivate),
        (Venue::Bybit, "/v5/trade") => Some(Stream::BybitTrade),
        _ => None,
    }
}

fn spelled(unsigned: Unsigned, name: Option<&str>) -> Result<Unsigned, ErrorText> {
    let Some(name) = name else { return Ok(unsigned) };
    let spelling: Spelling = serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|_| malformed("`spelling` is not one".into()))?;
    Ok(unsigned.spelled(spelling))
}

const fn native(operation: NativeOperation) -> venue::Operation {
    match operation {
        NativeOperation::Place => venue::Operation::Place,
        NativeOperation::Amend => venue::Operation::Amend,
        NativeOperation::Cancel => venue::Operation::Cancel,
        NativeOperation::CancelAll => venue::Operation::CancelAll,
    }
}

pub(crate) const fn malformed(message: String) -> ErrorText {
    ErrorText { code: ErrorCode::Malformed, message }
}

pub(crate) const fn forbidden(message: String) -> ErrorText {
    ErrorText { code: ErrorCode::Forbidden, message }
}
