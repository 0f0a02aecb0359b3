//! Takes note of orders that rest no more, and of the positions they left: filled, expired, or
//! cancelled by someone else.
//!
//! The vault counts an order as open until it hears that it is gone, and what went as filled until it
//! hears of the position. So the gateway asks the venue what rests and what is held, for each account
//! and instrument on which something may be under way, and tells the vault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::sign::{Held, Listed, ReadyRequest, ReplyOutcome};
use serde::Serialize;
use trading::{AccountName, BotName, Instrument, Venue};

use crate::endpoint::Endpoint;
use crate::stand_ins::StandIn;
use crate::upstream;

/// Pause between two rounds.
const PACE: Duration = Duration::from_secs(2);
/// Pause before the vault is looked for again: after a start, what is gone should be known at once.
const CONNECTION_PACE: Duration = Duration::from_millis(50);
/// Rounds in which a place is asked about after nothing rests there any more: a fill counts until the
/// second word on the position after it.
const ROUNDS: u8 = 3;

/// Accounts and instruments on which something may be under way, and for how many more rounds they
/// are asked about once nothing rests.
#[derive(Debug, Default)]
pub(crate) struct Unsettled(Mutex<BTreeMap<(AccountName, Instrument), u8>>);

impl Unsettled {
    /// An order was sent.
    pub(crate) fn note(&self, account: &AccountName, instrument: &Instrument) {
        self.with(|places| places.insert((account.clone(), instrument.clone()), ROUNDS));
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<(AccountName, Instrument), u8>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every place on the list.
    pub(crate) fn places(&self) -> Vec<(AccountName, Instrument)> {
        self.with(|places| places.keys().cloned().collect())
    }

    /// Takes a place off the list for the time of the question: an order sent from here on puts it
    /// back. Returns the rounds it had left.
    pub(crate) fn take(&self, place: &(AccountName, Instrument)) -> u8 {
        self.with(|places| places.remove(place)).unwrap_or_default()
    }

    /// Puts a place back, unless an order has done so.
    pub(crate) fn put_back(&self, place: (AccountName, Instrument), rounds: u8) {
        if rounds > 0 {
            self.with(|places| *places.entry(place).or_insert(rounds));
        }
    }
}

/// A question to the vault.
#[derive(Serialize)]
pub(crate) struct Question<'a> {
    pub(crate) bot: &'a BotName,
    pub(crate) account: &'a AccountName,
    pub(crate) venue: Venue,
    #[serde(flatten)]
    pub(crate) about: About<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About<'a> {
    OpenOrders(&'a Instrument),
    Position(&'a Instrument),
}

/// Asks the venue what rests, for ever; nothing is asked while nothing can rest.
pub(crate) async fn keep_settled(endpoint: Arc<Endpoint>) {
    let mut started = false;
    loop {
        if !endpoint.vault.is_connected() {
            tokio::time::sleep(CONNECTION_PACE).await;
            continue;
        }
        let logins = endpoint.logins.one_for_each_account(endpoint.venue);
        if !started {
            // What is under way from before this process started is known to the vault from the log.
            started = true;
            for (login, instrument) in pairs(&logins, &endpoint.logins.instruments(endpoint.venue)) {
                endpoint.unsettled.note(&login.account, instrument);
            }
        }
        for place in endpoint.unsettled.places() {
            let Some(login) = logins.iter().find(|login| login.account == place.0) else { continue };
            settle(&endpoint, login, place).await;
        }
        tokio::time::sleep(PACE).await;
    }
}

fn pairs<'a>(
    logins: &'a [StandIn],
    instruments: &'a [Instrument],
) -> impl Iterator<Item = (&'a StandIn, &'a Instrument)> {
    logins.iter().flat_map(move |login| instruments.iter().map(move |instrument| (login, instrument)))
}

/// The questions for one place. Whatever goes wrong, nothing is told: unknown is never gone.
async fn settle(endpoint: &Endpoint, login: &StandIn, place: (AccountName, Instrument)) {
    let instrument = &place.1;
    let rounds = endpoint.unsettled.take(&place);
    let empty = match ask(endpoint, login, About::OpenOrders(instrument)).await {
        Asked::Allowed(request) => list(endpoint, login, instrument, &request).await,
        Asked::Denied => Some(true),
        Asked::Unknown => None,
    };
    let told = match venue::position_read(instrument) {
        None => true,
        Some(_) => match ask(endpoint, login, About::Position(instrument)).await {
            Asked::Allowed(request) => hold(endpoint, login, instrument, &request).await.is_some(),
            Asked::Denied => true,
            Asked::Unknown => false,
        },
    };
    endpoint.unsettled.put_back(place, rounds_left(rounds, empty, told));
}

/// For how many more rounds a place is asked about: `empty` says whether nothing rests there, if that
/// is known, `told` whether the position is known as far as venues tell it.
pub(crate) fn rounds_left(rounds: u8, empty: Option<bool>, told: bool) -> u8 {
    if empty == Some(true) && told { rounds.saturating_sub(1) } else { ROUNDS }
}

/// What the vault makes of a question.
enum Asked {
    Allowed(Box<ReadyRequest>),
    Denied,
    Unknown,
}

async fn ask(endpoint: &Endpoint, login: &StandIn, about: About<'_>) -> Asked {
    let StandIn { bot, account, venue, .. } = login;
    match endpoint.vault.ask(&Question { bot, account, venue: *venue, about }).await {
        ReplyOutcome::Approved { request, .. } => Asked::Allowed(Box::new(request)),
        ReplyOutcome::Denied { .. } => Asked::Denied,
        ReplyOutcome::Error { error, .. } => {
            tracing::debug!(%account, error = error.message, "the account was not asked about");
            Asked::Unknown
        }
    }
}

/// Sends the read; its reply's text, if there is one.
async fn read(endpoint: &Endpoint, request: &ReadyRequest) -> Option<String> {
    let pairs = request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let headers = upstream::header_map(pairs).ok()?;
    let reply = endpoint.upstream.send(&request.method, &request.url, headers, Bytes::new()).await;
    let reply = reply.inspect_err(|error| tracing::debug!(%error, "the venue did not answer")).ok()?;
    String::from_utf8(reply.body().to_vec()).ok()
}

/// Tells what rests; returns whether nothing does, if that is known.
async fn list(
    endpoint: &Endpoint,
    login: &StandIn,
    instrument: &Instrument,
    request: &ReadyRequest,
) -> Option<bool> {
    let text = read(endpoint, request).await?;
    let listed = listed(&login.account, instrument, request, &text)?;
    let empty = listed.as_ref().is_some_and(|listed| listed.open.is_empty());
    if let Some(listed) = listed {
        endpoint.listed(&listed);
    }
    Some(empty)
}

/// What rests, from the venue's reply: `None` if that is unknown, `Some(None)` if it is more than one
/// page tells.
pub(crate) fn listed(
    account: &AccountName,
    instrument: &Instrument,
    request: &ReadyRequest,
    text: &str,
) -> Option<Option<Listed>> {
    let open = venue::read_open_orders(instrument.venue, text)
        .inspect_err(|error| tracing::debug!(%instrument, %error, "open orders unknown"))
        .ok()?;
    if !open.complete {
        return Some(None);
    }
    Some(Some(Listed {
        account: account.clone(),
        market: instrument.market,
        instrument: Some(instrument.clone()),
        below: request.first_order?,
        open: open.ids,
    }))
}

/// Tells what is held.
async fn hold(
    endpoint: &Endpoint,
    login: &StandIn,
    instrument: &Instrument,
    request: &ReadyRequest,
) -> Option<()> {
    let text = read(endpoint, request).await?;
    endpoint.held(&held(&login.account, instrument, request, &text)?);
    Some(())
}

/// What is held, from the venue's reply; `None` if that is unknown.
pub(crate) fn held(
    account: &AccountName,
    instrument: &Instrument,
    request: &ReadyRequest,
    text: &str,
) -> Option<Held> {
    let position = venue::read_position(instrument, text)
        .inspect_err(|error| tracing::debug!(%instrument, %error, "position unknown"))
        .ok()?;
    Some(Held {
        account: account.clone(),
        instrument: instrument.clone(),
        quantity: position.quantity,
        price: position.mark_price.decimal(),
        below: request.first_order?,
    })
}
