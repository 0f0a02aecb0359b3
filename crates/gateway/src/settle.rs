//! Takes note of orders that rest no more: filled, expired, or cancelled by someone else.
//!
//! The vault counts an order as open until it hears that it is gone. So the gateway asks the venue
//! what rests, for each account and instrument on which something may, and tells the vault.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::sign::{Listed, ReadyRequest, ReplyOutcome};
use serde::Serialize;
use trading::{AccountName, BotName, Instrument, Venue};

use crate::endpoint::Endpoint;
use crate::stand_ins::StandIn;
use crate::upstream;

/// Pause between two rounds.
const PACE: Duration = Duration::from_secs(5);

/// Accounts and instruments on which orders may rest that the vault counts as open.
#[derive(Debug, Default)]
pub(crate) struct Unsettled(Mutex<BTreeSet<(AccountName, Instrument)>>);

impl Unsettled {
    /// An order was sent.
    pub(crate) fn note(&self, account: &AccountName, instrument: &Instrument) {
        self.with(|places| places.insert((account.clone(), instrument.clone())));
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeSet<(AccountName, Instrument)>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A question to the vault.
#[derive(Serialize)]
struct Question<'a> {
    bot: &'a BotName,
    account: &'a AccountName,
    venue: Venue,
    open_orders: &'a Instrument,
}

/// Asks the venue what rests, for ever; nothing is asked while nothing can rest.
pub(crate) async fn keep_settled(endpoint: Arc<Endpoint>) {
    let mut tick = tokio::time::interval(PACE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut started = false;
    loop {
        tick.tick().await;
        if !endpoint.vault.is_connected() {
            continue;
        }
        let logins = endpoint.logins.one_for_each_account(endpoint.venue);
        if !started {
            // What rests from before this process started is known to the vault from the log.
            started = true;
            for (login, instrument) in pairs(&logins, &endpoint.logins.instruments(endpoint.venue)) {
                endpoint.unsettled.note(&login.account, instrument);
            }
        }
        for (account, instrument) in endpoint.unsettled.with(|places| places.clone()) {
            let Some(login) = logins.iter().find(|login| login.account == account) else { continue };
            settle(&endpoint, login, &instrument).await;
        }
    }
}

fn pairs<'a>(
    logins: &'a [StandIn],
    instruments: &'a [Instrument],
) -> impl Iterator<Item = (&'a StandIn, &'a Instrument)> {
    logins.iter().flat_map(move |login| instruments.iter().map(move |instrument| (login, instrument)))
}

/// One question for one instrument. Whatever goes wrong, nothing is told: unknown is never gone.
async fn settle(endpoint: &Endpoint, login: &StandIn, instrument: &Instrument) {
    let StandIn { bot, account, venue, .. } = login;
    // Taken off first: an order sent from here on puts it back.
    endpoint.unsettled.with(|places| places.remove(&(account.clone(), instrument.clone())));
    let question = Question { bot, account, venue: *venue, open_orders: instrument };
    let empty = match endpoint.vault.ask(&question).await {
        ReplyOutcome::Approved { request, .. } => list(endpoint, account, instrument, &request).await,
        ReplyOutcome::Denied { .. } => Some(true),
        ReplyOutcome::Error { error, .. } => {
            tracing::debug!(%instrument, error = error.message, "open orders were not asked for");
            None
        }
    };
    if empty != Some(true) {
        endpoint.unsettled.note(account, instrument);
    }
}

/// Sends the read and tells what it listed; returns whether nothing rests, if that is known.
async fn list(
    endpoint: &Endpoint,
    account: &AccountName,
    instrument: &Instrument,
    request: &ReadyRequest,
) -> Option<bool> {
    let pairs = request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let headers = upstream::header_map(pairs).ok()?;
    let reply = endpoint.upstream.send(&request.method, &request.url, headers, Bytes::new()).await;
    let reply =
        reply.inspect_err(|error| tracing::debug!(%instrument, %error, "open orders unknown")).ok()?;
    let text = std::str::from_utf8(reply.body()).ok()?;
    let open = venue::read_open_orders(endpoint.venue, text)
        .inspect_err(|error| tracing::debug!(%instrument, %error, "open orders unknown"))
        .ok()?;
    if !open.complete {
        return Some(false);
    }
    let empty = open.ids.is_empty();
    endpoint.listed(&Listed {
        account: account.clone(),
        market: instrument.market,
        instrument: Some(instrument.clone()),
        below: request.first_order?,
        open: open.ids,
    });
    Some(empty)
}
