//! From a line to a question the policy can judge: who asks, for which account, what.

use policy::{Policy, Request};
use protocol::sign::{
    ErrorCode, ErrorText, HttpMessage, MAX_ID, MAX_THESIS, NativeOperation, Reply, ReplyOutcome, SignLine,
    StreamFrame,
};
use serde_json::value::RawValue;
use trading::{AccountName, BotName, Instrument, Intent, Market, Read, Timestamp, Venue};
use venue::{Spelling, Stream, StreamMessage, Surface, Unsigned};

/// Validity of requests that we make ourselves, in milliseconds; what ccxt and the SDKs default to.
const RECV_WINDOW_MS: u64 = 5_000;
/// The policy's name for what earns a library's author a commission.
const BROKER_ID: &str = "broker-id";

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

/// Reads a line.
pub(crate) fn parse(line: &[u8]) -> Result<SignLine<'_>, ErrorText> {
    let parsed: SignLine<'_> = serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
    if parsed.id.is_some_and(|id| id.get().len() > MAX_ID) {
        return Err(malformed(format!("`id` is longer than {MAX_ID} bytes")));
    }
    Ok(parsed)
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
) -> Result<Asked, ErrorText> {
    let bot = bot_of(&line, caller, policy)?;
    let account = account_of(&line, &bot, policy)?;
    let venue = venue_of(policy, &account)
        .ok_or_else(|| forbidden(format!("account {account} is not in the policy")))?;
    if line.venue.is_some_and(|named| named != venue) {
        return Err(forbidden(format!("account {account} is on {venue}, not on the venue named")));
    }
    let thesis = thesis_of(&line)?;
    let (way, unsigned) = body_of(line, caller, venue, now)?;
    let extras =
        venue::extras(&unsigned).into_iter().map(|extra| format!("{}={}", extra.name, extra.value)).collect();
    Ok(Asked { bot, account, venue, unsigned, extras, way, thesis })
}

fn venue_of(policy: &Policy, account: &AccountName) -> Option<Venue> {
    policy.account(account).map(policy::Account::venue)
}

/// Why the bot asks: 1 to [`MAX_THESIS`] bytes, if it says anything.
fn thesis_of(line: &SignLine<'_>) -> Result<Option<Box<str>>, ErrorText> {
    match line.thesis.as_deref() {
        None => Ok(None),
        Some(text) if !text.trim().is_empty() && text.len() <= MAX_THESIS => Ok(Some(text.into())),
        Some(_) => Err(malformed(format!("`thesis` must have 1 to {MAX_THESIS} bytes"))),
    }
}

fn bot_of(line: &SignLine<'_>, caller: Caller, policy: &Policy) -> Result<BotName, ErrorText> {
    let Caller::Direct { uid } = caller else {
        return line.bot.clone().ok_or_else(|| malformed("`bot` is missing".into()));
    };
    let mut own = policy.bots_of_uid(uid);
    match &line.bot {
        Some(named) if own.any(|bot| bot == named) => Ok(named.clone()),
        Some(named) => {
            Err(forbidden(format!("user {uid} may not speak for bot {named}; see `uids` in the policy")))
        }
        None => match (own.next(), own.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(forbidden(format!("user {uid} may speak for no bot; see `uids` in the policy"))),
            (Some(_), Some(_)) => Err(malformed(format!("user {uid} has several bots; name one in `bot`"))),
        },
    }
}

fn account_of(line: &SignLine<'_>, bot: &BotName, policy: &Policy) -> Result<AccountName, ErrorText> {
    if let Some(named) = &line.account {
        return Ok(named.clone());
    }
    let mut usable = policy
        .accounts_of(bot)
        .filter(|account| line.venue.is_none_or(|venue| venue_of(policy, account) == Some(venue)));
    match (usable.next(), usable.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(forbidden(format!("bot {bot} may use no account here"))),
        (Some(_), Some(_)) => {
            Err(malformed(format!("bot {bot} has several accounts; name one in `account`")))
        }
    }
}

/// The one body of a line, without authentication.
fn body_of(
    line: SignLine<'_>,
    caller: Caller,
    venue: Venue,
    now: Timestamp,
) -> Result<(Way, Unsigned), ErrorText> {
    let bodies = [
        line.order.is_some(),
        line.place.is_some(),
        line.amend.is_some(),
        line.cancel.is_some(),
        line.cancel_all.is_some(),
        line.http.is_some(),
        line.frame.is_some(),
        line.open_orders.is_some(),
        line.position.is_some(),
    ];
    if bodies.iter().filter(|&&there| there).count() != 1 {
        return Err(malformed(
            "exactly one of `order`, `place`, `amend`, `cancel`, `cancel_all` must be there".into(),
        ));
    }
    if let Some(order) = line.order {
        let market = line.market.unwrap_or(Market::Spot);
        let operation = native(line.operation.unwrap_or(NativeOperation::Place));
        return venue::from_native_json(venue, market, operation, order.get(), now, RECV_WINDOW_MS)
            .map(|unsigned| (Way::Socket, unsigned))
            .map_err(|error| malformed(error.to_string()));
    }
    if let Some(http) = line.http {
        gateway_only(caller)?;
        return from_http(venue, &http).map(|unsigned| (Way::Http, unsigned));
    }
    if let Some(frame) = line.frame {
        gateway_only(caller)?;
        return from_frame(venue, &frame);
    }
    if let Some((instrument, read)) = question(&line) {
        gateway_only(caller)?;
        let read = read.ok_or_else(|| malformed(format!("{instrument} cannot be asked about")))?;
        return venue::encode(&Intent::Read(read), now, RECV_WINDOW_MS)
            .map(|unsigned| (Way::Http, unsigned))
            .map_err(|error| malformed(error.to_string()));
    }
    let intent = neutral_intent(line, venue)?;
    venue::encode(&intent, now, RECV_WINDOW_MS)
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

fn gateway_only(caller: Caller) -> Result<(), ErrorText> {
    if caller.is_gateway() {
        Ok(())
    } else {
        Err(forbidden("`http` and `frame` are for the gateway; use `order` or a neutral order".into()))
    }
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

const fn malformed(message: String) -> ErrorText {
    ErrorText { code: ErrorCode::Malformed, message }
}

const fn forbidden(message: String) -> ErrorText {
    ErrorText { code: ErrorCode::Forbidden, message }
}
