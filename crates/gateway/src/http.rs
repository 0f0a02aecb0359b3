//! One HTTP request of a bot: who is it, what does the vault say, what does the venue say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use protocol::sign::{ErrorCode, HttpMessage, ReadyRequest, ReplyOutcome};
use serde::Serialize;
use trading::{AccountName, BotName, Venue};
use venue::{DenialKind, HttpRequest, Spelling, Transport, Unsigned};

use crate::endpoint::Endpoint;
use crate::mask::Mask;
use crate::places::Taken;
use crate::report;
use crate::shares::Share;
use crate::stand_ins::StandIn;
use crate::upstream::{self, UpstreamError};

/// Longest request body taken from a bot, in bytes: what fits one line to the vault.
const MAX_BODY: usize = 32 * 1024;
/// Longest wait for the whole of it.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A question to the vault.
#[derive(Serialize)]
pub(crate) struct Question<'a> {
    pub(crate) bot: &'a BotName,
    pub(crate) account: &'a AccountName,
    pub(crate) venue: Venue,
    pub(crate) http: &'a HttpMessage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thesis: Option<String>,
}

/// The header in which a bot may say why it asks. It is ours and never reaches the venue.
const THESIS_HEADER: &str = "x-seawall-thesis";

/// Takes the bot's reason out of the headers.
fn take_thesis(message: &mut HttpMessage) -> Option<String> {
    let at = message.headers.iter().position(|(name, _)| name.eq_ignore_ascii_case(THESIS_HEADER))?;
    let (_, thesis) = message.headers.remove(at);
    message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(THESIS_HEADER));
    Some(thesis)
}

/// Answers one request. Never fails: whatever goes wrong has the venue's own error shape.
pub(crate) async fn answer(
    endpoint: Arc<Endpoint>,
    request: Request<Incoming>,
    taken: &Taken,
) -> Response<Full<Bytes>> {
    let mut message = match read(request).await {
        Ok(message) => message,
        Err(problem) => return refusal(endpoint.venue, DenialKind::BadRequest, &problem),
    };
    // Not before it is there: whoever never sends the rest is as idle as whoever sends nothing.
    let _busy = taken.busy();
    let thesis = take_thesis(&mut message);
    let native = match native(&message) {
        Ok(native) => native,
        Err(problem) => return refusal(endpoint.venue, DenialKind::BadRequest, &problem),
    };
    if venue::is_public(endpoint.venue, &native) {
        let Ok(_room) = endpoint.public.try_acquire() else {
            let why = "too many requests without a login are under way";
            return refusal(endpoint.venue, DenialKind::Unavailable, why);
        };
        return pass_through(&endpoint, venue::without_credentials(native)).await;
    }
    match admit(&endpoint, native) {
        Ok((login, spelling)) => {
            taken.place.is_known();
            let Some(share) = endpoint.shares.take(&login.bot) else {
                return refusal(
                    endpoint.venue,
                    DenialKind::Unavailable,
                    "too many requests of this bot are under way",
                );
            };
            message.spelling = spelling_name(spelling);
            decide(&endpoint, &login, &share, &message, thesis).await
        }
        Err((kind, problem)) => refusal(endpoint.venue, kind, &problem),
    }
}

/// Reads the whole request, or says why not.
async fn read(request: Request<Incoming>) -> Result<HttpMessage, String> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect())
        .await
        .map_err(|_| "the body did not come in time".to_owned())?
        .map_err(|_| format!("the body is longer than {MAX_BODY} bytes or broke off"))?
        .to_bytes();
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        let value = value.to_str().map_err(|_| format!("header {name} is not plain text"))?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let body = String::from_utf8(body.into()).map_err(|_| "the body is not UTF-8".to_owned())?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Ok(HttpMessage { method: head.method.as_str().to_owned(), target, headers, body, spelling: None })
}

fn native(message: &HttpMessage) -> Result<HttpRequest, String> {
    Ok(HttpRequest {
        method: message.method.parse().map_err(|_| format!("{} is not a method here", message.method))?,
        target: message.target.clone(),
        headers: message.headers.clone(),
        body: message.body.clone().into_bytes(),
    })
}

/// Checks the stand-in key and the signature made with it, before anything else is looked at.
fn admit(endpoint: &Endpoint, request: HttpRequest) -> Result<(StandIn, Spelling), (DenialKind, String)> {
    let (presented, unsigned) =
        venue::split(endpoint.venue, request).map_err(|error| (DenialKind::UnknownKey, error.to_string()))?;
    check_login(endpoint, &presented, &unsigned)
}

/// Finds the login that `presented` names and the spelling its signature verifies with.
pub(crate) fn check_login(
    endpoint: &Endpoint,
    presented: &venue::Presented,
    unsigned: &Unsigned,
) -> Result<(StandIn, Spelling), (DenialKind, String)> {
    let login = endpoint
        .logins
        .find(endpoint.venue, &presented.api_key)
        .ok_or_else(|| (DenialKind::UnknownKey, "unknown stand-in key; see `seawall bot list`".to_owned()))?;
    match spelling_of(&login, presented, unsigned) {
        Some(spelling) => Ok((login, spelling)),
        None => Err((DenialKind::BadSignature, "the stand-in secret does not fit this signature".to_owned())),
    }
}

/// The spelling that the signature made with `login` verifies with.
pub(crate) fn spelling_of(
    login: &StandIn,
    presented: &venue::Presented,
    unsigned: &Unsigned,
) -> Option<Spelling> {
    if !unsigned.takes_signature() {
        return Some(Spelling::Wire);
    }
    let signature = presented.signature.as_deref().unwrap_or_default();
    let fits = |spelling: &Spelling| {
        let input = venue::signing_input(&unsigned.clone().spelled(*spelling), &presented.api_key);
        login.has_signed(&input, signature)
    };
    unsigned.spellings().into_iter().find(fits)
}

/// The name by which the vault knows `spelling`; the usual one needs none.
pub(crate) fn spelling_name(spelling: Spelling) -> Option<String> {
    if spelling == Spelling::Wire {
        return None;
    }
    serde_json::to_value(spelling).ok()?.as_str().map(ToOwned::to_owned)
}

/// How a vault's error is told in the venue's words.
pub(crate) const fn kind_of(code: ErrorCode) -> DenialKind {
    match code {
        ErrorCode::Malformed => DenialKind::BadRequest,
        ErrorCode::Forbidden => DenialKind::Forbidden,
        ErrorCode::NoKey => DenialKind::UnknownKey,
        ErrorCode::Unavailable => DenialKind::Unavailable,
    }
}

/// How denials are told in the venue's words.
pub(crate) fn denied_kind(denials: &[protocol::sign::DenialText]) -> DenialKind {
    let only = |codes: &[&str]| denials.iter().all(|denial| codes.contains(&denial.code.as_str()));
    if only(&["not_signable", "forbidden"]) {
        DenialKind::Forbidden
    } else if only(&["not_decoded"]) {
        DenialKind::BadRequest
    } else if only(&["clock_skew_over_limit"]) {
        DenialKind::Clock
    } else {
        DenialKind::Order
    }
}

pub(crate) fn reasons(denials: &[protocol::sign::DenialText]) -> String {
    denials.iter().map(|denial| denial.text.as_str()).collect::<Vec<_>>().join("; ")
}

async fn decide(
    endpoint: &Endpoint,
    login: &StandIn,
    share: &Share,
    message: &HttpMessage,
    thesis: Option<String>,
) -> Response<Full<Bytes>> {
    let StandIn { bot, account, .. } = login;
    let question = Question { bot, account, venue: endpoint.venue, http: message, thesis };
    let turn = share.turn().await;
    let outcome = endpoint.vault.ask(&question).await;
    drop(turn);
    match outcome {
        ReplyOutcome::Approved { request, .. } => send(endpoint, login, &request).await,
        ReplyOutcome::Denied { denials, .. } => {
            refusal(endpoint.venue, denied_kind(&denials), &reasons(&denials))
        }
        ReplyOutcome::Error { error, .. } => refusal(endpoint.venue, kind_of(error.code), &error.message),
    }
}

/// Sends the signed request and tells the vault what became of its orders.
async fn send(endpoint: &Endpoint, login: &StandIn, ready: &ReadyRequest) -> Response<Full<Bytes>> {
    let pairs = ready.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let mut headers = match upstream::header_map(pairs) {
        Ok(headers) => headers,
        Err(error) => return refusal(endpoint.venue, DenialKind::BadRequest, &error.to_string()),
    };
    // The reply has to be read here, so the venue must not compress it.
    headers.insert(http::header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
    let body = Bytes::from(ready.body.clone());
    match endpoint.upstream.send(&ready.method, &ready.url, headers, body).await {
        Ok(reply) => {
            let transport = Transport::Http(reply.status().as_u16());
            report::acknowledged(endpoint, &login.account, ready, transport, reply.body());
            let mask = Mask::of_http(endpoint.venue, ready, &login.api_key);
            relayed(reply.map(|body| match &mask {
                Some(mask) => mask.hide_body(body),
                None => body,
            }))
        }
        Err(error) => unreachable(endpoint.venue, &error),
    }
}

async fn pass_through(endpoint: &Endpoint, request: HttpRequest) -> Response<Full<Bytes>> {
    let surface = venue::surface_of(endpoint.venue, request.path());
    let Some(base) = surface.and_then(|surface| endpoint.bases.http.get(&surface)) else {
        return refusal(endpoint.venue, DenialKind::Forbidden, "no venue host serves this path");
    };
    let url = format!("{base}{}", request.target);
    let pairs = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers = upstream::header_map(pairs).unwrap_or_default();
    match endpoint.upstream.send(request.method.as_str(), &url, headers, Bytes::new()).await {
        Ok(reply) => relayed(reply),
        Err(error) => unreachable(endpoint.venue, &error),
    }
}

/// The venue's reply as it is: status, headers, body.
fn relayed(reply: Response<Bytes>) -> Response<Full<Bytes>> {
    let (mut head, body) = reply.into_parts();
    let own: HeaderMap = std::mem::take(&mut head.headers);
    for (name, value) in &own {
        if upstream::is_end_to_end(name.as_str()) {
            head.headers.append(name, value.clone());
        }
    }
    Response::from_parts(head, Full::new(body))
}

fn unreachable(venue: Venue, error: &UpstreamError) -> Response<Full<Bytes>> {
    tracing::warn!(%venue, %error, "no reply from the venue");
    refusal(venue, DenialKind::Unavailable, &error.to_string())
}

/// Our refusal in the venue's own shape.
fn refusal(venue: Venue, kind: DenialKind, why: &str) -> Response<Full<Bytes>> {
    let reply = venue::denial_reply(venue, kind, why);
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_REQUEST);
    if let Ok(value) = http::HeaderValue::try_from(reply.content_type) {
        response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::sign::DenialText;

    #[test]
    fn the_venue_s_error_fits_the_reason() {
        let kind = |codes: &[&str]| {
            let denial = |code: &&str| DenialText { code: (*code).to_owned(), text: String::new() };
            denied_kind(&codes.iter().map(denial).collect::<Vec<_>>())
        };
        assert_eq!(kind(&["not_signable"]), DenialKind::Forbidden);
        assert_eq!(kind(&["forbidden"]), DenialKind::Forbidden);
        assert_eq!(kind(&["not_decoded"]), DenialKind::BadRequest);
        assert_eq!(kind(&["clock_skew_over_limit"]), DenialKind::Clock);
        assert_eq!(kind(&["clock_skew_over_limit", "maker_only"]), DenialKind::Order);
    }
}
