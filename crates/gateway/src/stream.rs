//! Streams: market data is relayed, logins and orders go through the vault frame by frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use protocol::sign::{ReadyRequest, ReplyOutcome, StreamFrame};
use serde::Serialize;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, connect_async_with_config};
use trading::{AccountName, BotName, Venue};
use venue::{DenialKind, Stream as VenueStream, StreamMessage, Transport, Unsigned};

use crate::endpoint::Endpoint;
use crate::http::{check_login, denied_kind, kind_of, reasons, spelling_name};
use crate::mask::Mask;
use crate::network::route;
use crate::places::Taken;
use crate::report;
use crate::shares::Share;
use crate::stand_ins::StandIn;
use crate::upstream::ensure_private;

/// Longest frame from a bot, in bytes.
const MAX_BOT_FRAME: usize = 32 * 1024;
/// Longest frame from a venue, in bytes (a full order book).
const MAX_VENUE_FRAME: usize = 4 * 1024 * 1024;
/// Most orders of one stream whose answers are waited for.
const MAX_UNDER_WAY: usize = 256;
/// Longest wait for the venue to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A question to the vault.
#[derive(Serialize)]
struct Question<'a> {
    bot: &'a BotName,
    account: &'a AccountName,
    venue: Venue,
    frame: &'a StreamFrame,
}

/// Whether `request` asks for a WebSocket.
pub(crate) fn is_upgrade(request: &Request<Incoming>) -> bool {
    request
        .headers()
        .get(http::header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Opens the venue's side first, then the bot's: a bot is never told yes for a venue that is away.
pub(crate) async fn open(endpoint: Arc<Endpoint>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let Some(key) = request.headers().get("sec-websocket-key").cloned() else {
        return status(StatusCode::BAD_REQUEST);
    };
    let Some(route) = route(endpoint.venue, &target) else { return status(StatusCode::NOT_FOUND) };
    let Some(base) = endpoint.bases.streams.get(&route.kind) else { return status(StatusCode::NOT_FOUND) };
    let Some(taken) = endpoint.streams.take() else {
        tracing::warn!(venue = %endpoint.venue, "refused a stream: too many are open");
        return status(StatusCode::SERVICE_UNAVAILABLE);
    };
    let url = format!("{base}{}", route.rest);
    let venue_side = match connect(&url).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(venue = %endpoint.venue, %error, "the venue's stream cannot be opened");
            return status(StatusCode::BAD_GATEWAY);
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_BOT_FRAME))
            .max_frame_size(Some(MAX_BOT_FRAME));
        let bot_side =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
        let path = target.split('?').next().unwrap_or("/").to_owned();
        let conversation = Conversation {
            endpoint,
            path,
            stream: route.stream,
            login: None,
            mask: None,
            under_way: VecDeque::new(),
            taken,
            share: None,
        };
        relay(conversation, bot_side, venue_side).await;
    });
    switching(&derive_accept_key(key.as_bytes()))
}

async fn connect(
    url: &str,
) -> Result<
    WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
    Box<dyn std::error::Error + Send + Sync>,
> {
    ensure_private(&url.parse::<Uri>()?)?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_VENUE_FRAME))
        .max_frame_size(Some(MAX_VENUE_FRAME));
    let connecting = connect_async_with_config(url, Some(limits), true);
    let (stream, _) = tokio::time::timeout(CONNECT_LIMIT, connecting).await??;
    Ok(stream)
}

/// One bot's stream, and as whom it has logged in.
struct Conversation {
    endpoint: Arc<Endpoint>,
    path: String,
    stream: VenueStream,
    login: Option<StandIn>,
    /// The last authentication that went to the venue, which the bot must not hear back.
    mask: Option<Mask>,
    /// Orders sent whose answers have not come, with the client's id of each message.
    under_way: VecDeque<(String, AccountName, ReadyRequest)>,
    /// Its place among the streams.
    taken: Taken,
    /// Its bot's share of the streams, once it has logged in.
    share: Option<Share>,
}

/// What to do with a frame of the bot's.
enum Onward {
    /// Send this to the venue.
    Venue(String),
    /// Tell the bot this.
    Bot(String),
}

/// Carries frames both ways until either side ends.
async fn relay<B, V>(mut conversation: Conversation, bot: B, venue: V)
where
    B: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
    V: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let (mut to_bot, mut from_bot) = bot.split();
    let (mut to_venue, mut from_venue) = venue.split();
    loop {
        let carried = tokio::select! {
            frame = from_venue.next() => match frame {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                // Pings are answered by the library on each side by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
                Some(Ok(Message::Text(text))) => {
                    if conversation.is_revoked() {
                        break;
                    }
                    conversation.overhear(&text);
                    to_bot.send(Message::Text(conversation.shown(text))).await
                }
                Some(Ok(message)) => to_bot.send(message).await,
            },
            () = conversation.taken.lost() => break,
            frame = from_bot.next() => match frame {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(Message::Text(text))) => match conversation.judge(&text).await {
                    Onward::Venue(text) => to_venue.send(Message::Text(text.into())).await,
                    Onward::Bot(text) => to_bot.send(Message::Text(text.into())).await,
                },
                Some(Ok(Message::Binary(_))) => break,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    drop(conversation.taken.busy());
                    Ok(())
                }
            },
        };
        if carried.is_err() {
            break;
        }
    }
    drop(to_bot.close().await);
    drop(to_venue.close().await);
}

impl Conversation {
    /// Decides what becomes of one frame of the bot's.
    async fn judge(&mut self, text: &Utf8Bytes) -> Onward {
        drop(self.taken.busy());
        let (presented, unsigned) = match venue::split_message(self.stream, text) {
            Ok(StreamMessage::Harmless(_)) => return Onward::Venue(text.as_str().to_owned()),
            Ok(StreamMessage::Request(presented, unsigned)) => (presented, unsigned),
            Err(error) => return self.refuse_unreadable(text, &error.to_string()).await,
        };
        let (login, spelling) = if presented.api_key.is_empty() {
            match self.current_login() {
                Some(login) => (login, None),
                None => return self.refuse(&unsigned, DenialKind::UnknownKey, "log in first"),
            }
        } else {
            match check_login(&self.endpoint, &presented, &unsigned) {
                Ok((login, spelling)) => (login, spelling_name(spelling)),
                Err((kind, why)) => return self.refuse(&unsigned, kind, &why),
            }
        };
        // Frames without a key act on the account that the connection logged in for, and only the
        // venue knows which of two logins that is.
        if self.login.as_ref().is_some_and(|own| own.account != login.account || own.bot != login.bot) {
            let why = "this stream is another bot's or account's; open one for each";
            return self.refuse(&unsigned, DenialKind::Forbidden, why);
        }
        if self.share.is_none() {
            self.share = self.endpoint.stream_shares.take(&login.bot);
        }
        if self.share.is_none() {
            return self.refuse(&unsigned, DenialKind::Unavailable, "too many streams of this bot are open");
        }
        let frame = StreamFrame { path: self.path.clone(), text: text.as_str().to_owned(), spelling };
        let venue = self.endpoint.venue;
        let question = Question { bot: &login.bot, account: &login.account, venue, frame: &frame };
        let Some(share) = self.endpoint.shares.take(&login.bot) else {
            return self.refuse(
                &unsigned,
                DenialKind::Unavailable,
                "too many requests of this bot are under way",
            );
        };
        let turn = share.turn().await;
        let outcome = self.endpoint.vault.ask(&question).await;
        drop(turn);
        let onward = match outcome {
            ReplyOutcome::Approved { request, .. } => {
                let text = request.body.clone();
                self.mask = Mask::of_frame(self.stream, &text, &login.api_key).or(self.mask.take());
                self.remember(&unsigned, &login.account, request);
                Onward::Venue(text)
            }
            ReplyOutcome::Denied { denials, .. } => {
                return self.refuse(&unsigned, denied_kind(&denials), &reasons(&denials));
            }
            ReplyOutcome::Error { error, .. } => {
                return self.refuse(&unsigned, kind_of(error.code), &error.message);
            }
        };
        self.taken.place.is_known();
        self.login = Some(login);
        onward
    }

    /// Answers a message that cannot be read. Of a bot that has logged in the vault hears too, so that
    /// the refusal is in the log.
    async fn refuse_unreadable(&self, text: &Utf8Bytes, why: &str) -> Onward {
        let (id, operation) = venue::names_of(self.stream, text);
        let mut answer = (DenialKind::BadRequest, why.to_owned());
        if let Some(login) = self.current_login() {
            let frame =
                StreamFrame { path: self.path.clone(), text: text.as_str().to_owned(), spelling: None };
            let venue = self.endpoint.venue;
            let question = Question { bot: &login.bot, account: &login.account, venue, frame: &frame };
            answer = match self.endpoint.vault.ask(&question).await {
                ReplyOutcome::Denied { denials, .. } => (denied_kind(&denials), reasons(&denials)),
                ReplyOutcome::Error { error, .. } => (kind_of(error.code), error.message),
                // What cannot be read here is not sent, whatever the vault makes of it.
                ReplyOutcome::Approved { .. } => answer,
            };
        }
        let (kind, why) = answer;
        Onward::Bot(venue::denial_message(self.stream, id.as_deref(), &operation, kind, &why))
    }

    /// Keeps a request until its answer comes by.
    fn remember(&mut self, unsigned: &Unsigned, account: &AccountName, request: ReadyRequest) {
        let Some(id) = unsigned.request_id() else { return };
        if self.under_way.len() == MAX_UNDER_WAY {
            self.under_way.pop_front();
        }
        self.under_way.push_back((id.to_owned(), account.clone(), request));
    }

    /// Looks whether a frame of the venue's answers one of the bot's orders, and reports it.
    fn overhear(&mut self, text: &str) {
        if self.under_way.is_empty() {
            return;
        }
        let Some(id) = venue::answered_id(self.stream, text) else { return };
        let Some(at) = self.under_way.iter().position(|(own, ..)| *own == id) else { return };
        if let Some((_, account, request)) = self.under_way.remove(at) {
            report::acknowledged(&self.endpoint, &account, &request, Transport::Stream, text.as_bytes());
        }
    }

    /// A frame of the venue's as the bot may see it.
    fn shown(&self, text: Utf8Bytes) -> Utf8Bytes {
        match self.mask.as_ref().and_then(|mask| mask.hide(&text)) {
            Some(shown) => shown.into(),
            None => text,
        }
    }

    /// The login of this stream, if it was not revoked meanwhile.
    fn current_login(&self) -> Option<StandIn> {
        let login = self.login.as_ref()?;
        self.endpoint.logins.find(self.endpoint.venue, &login.api_key)
    }

    /// Whether this stream was logged in with a stand-in that has been revoked since.
    fn is_revoked(&self) -> bool {
        self.login.is_some() && self.current_login().is_none()
    }

    fn refuse(&self, unsigned: &Unsigned, kind: DenialKind, why: &str) -> Onward {
        let (id, operation) = (unsigned.request_id(), unsigned.path());
        Onward::Bot(venue::denial_message(self.stream, id, operation, kind, why))
    }
}

fn switching(accept: &str) -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.insert(http::header::UPGRADE, http::HeaderValue::from_static("websocket"));
    if let Ok(accept) = http::HeaderValue::from_str(accept) {
        headers.insert("sec-websocket-accept", accept);
    }
    response
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = code;
    response
}
