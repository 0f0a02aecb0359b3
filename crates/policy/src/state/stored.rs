//! A state as it is written down and read back, so that a restart need not count everything again.
//!
//! What is read is rebuilt through checked constructors: a text that is not a state gives an error,
//! never a state that breaks later.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trading::{
    AccountName, BotName, ClientOrderId, Instrument, Order, Price, Side, SizeFactor, Timestamp, TradingState,
    VenueOrderId,
};

use super::State;
use super::counters::Counters;
use super::exposure::Share;
use super::orders::{Entry, Orders};
use super::recent::Recent;
use crate::units::Units;

/// Every field of a [`State`], in a form of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    account: AccountName,
    trading: TradingState,
    #[serde(default, skip_serializing_if = "SizeFactor::is_one")]
    size_factor: SizeFactor,
    latest: Timestamp,
    whole: StoredCounters,
    bots: BTreeMap<BotName, StoredCounters>,
    recent: Vec<(Timestamp, u64)>,
    stopped: BTreeSet<Instrument>,
    prices: Vec<(Instrument, Price)>,
    orders: StoredOrders,
    history: [u8; 32],
}

/// Rates and budgets of an account or of one of its bots.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredCounters {
    pub(super) new_orders: StoredWindow,
    pub(super) messages: StoredWindow,
    pub(super) day: (u64, String),
    pub(super) rolling: StoredRolling,
}

/// Quantity and value.
pub(super) type StoredSize = (String, String);

/// What an order adds to the exposure.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredShare {
    pub(super) instrument: Instrument,
    pub(super) side: Side,
    pub(super) size: StoredSize,
    pub(super) rests: bool,
    pub(super) at: Option<Price>,
    pub(super) anywhere: bool,
}

/// A position, and what went since it was told.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredHeld {
    pub(super) instrument: Instrument,
    pub(super) long: StoredSize,
    pub(super) short: StoredSize,
    pub(super) bought: [StoredSize; 2],
    pub(super) sold: [StoredSize; 2],
}

/// The times that may still count, and how many there ever were.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredWindow {
    pub(super) total: u64,
    pub(super) recent: Vec<Timestamp>,
}

/// Only the buckets that hold something.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredRolling {
    pub(super) newest: u64,
    pub(super) total: String,
    pub(super) buckets: BTreeMap<usize, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredOrders {
    pub(super) next: u64,
    pub(super) entries: Vec<(u64, StoredEntry)>,
    pub(super) by_client: BTreeMap<ClientOrderId, u64>,
    pub(super) held: Vec<StoredHeld>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredEntry {
    pub(super) signed_at: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) rests: bool,
    pub(super) closed: bool,
    pub(super) deadline: Option<Timestamp>,
    pub(super) order: Option<Order>,
    pub(super) ids: Vec<ClientOrderId>,
    pub(super) venue_id: Option<VenueOrderId>,
    pub(super) share: Option<StoredShare>,
}

impl From<State> for Stored {
    fn from(state: State) -> Self {
        Self {
            account: state.account,
            trading: state.trading,
            size_factor: state.size_factor,
            latest: state.latest,
            whole: state.whole.stored(),
            bots: state.bots.iter().map(|(bot, own)| (bot.clone(), own.stored())).collect(),
            recent: state.recent.stored(),
            stopped: state.stopped,
            prices: state.prices.into_iter().collect(),
            orders: state.orders.stored(),
            history: state.history,
        }
    }
}

impl TryFrom<Stored> for State {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, &'static str> {
        let bots = stored.bots.into_iter().map(|(bot, own)| Ok((bot, Counters::read(own)?)));
        Ok(Self {
            account: stored.account,
            trading: stored.trading,
            size_factor: stored.size_factor,
            latest: stored.latest,
            whole: Counters::read(stored.whole)?,
            bots: bots.collect::<Result<_, &'static str>>()?,
            recent: Recent::read(stored.recent)?,
            stopped: stored.stopped,
            prices: stored.prices.into_iter().collect(),
            orders: Orders::read(stored.orders)?,
            history: stored.history,
        })
    }
}

/// Reads what [`Units::to_text`] wrote.
pub(super) fn units(text: &str) -> Result<Units, &'static str> {
    Units::from_text(text).ok_or("a sum is not one")
}

impl From<Entry> for StoredEntry {
    fn from(entry: Entry) -> Self {
        let Entry { signed_at, expires, rests, closed, deadline, order, ids, venue_id, share } = entry;
        let share = share.map(|share| share.stored());
        Self { signed_at, expires, rests, closed, deadline, order, ids, venue_id, share }
    }
}

impl TryFrom<StoredEntry> for Entry {
    type Error = &'static str;

    fn try_from(entry: StoredEntry) -> Result<Self, &'static str> {
        let StoredEntry { signed_at, expires, rests, closed, deadline, order, ids, venue_id, share } = entry;
        let share = share.map(Share::read).transpose()?;
        Ok(Self { signed_at, expires, rests, closed, deadline, order, ids, venue_id, share })
    }
}
