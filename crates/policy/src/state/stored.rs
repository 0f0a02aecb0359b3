//! A state as it is written down and read back, so that a restart need not count everything again.
//!
//! What is read is rebuilt through checked constructors: a text that is not a state gives an error,
//! never a state that breaks later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trading::{AccountName, ClientOrderId, Order, Timestamp, TradingState, VenueOrderId};

use super::State;
use super::budget::{DaySpent, RollingSpent};
use super::orders::{Entry, Orders};
use super::window::RateWindow;
use crate::units::Units;

/// Every field of a [`State`], in a form of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    account: AccountName,
    trading: TradingState,
    latest: Timestamp,
    new_orders: StoredWindow,
    messages: StoredWindow,
    day: (u64, String),
    rolling: StoredRolling,
    orders: StoredOrders,
    history: [u8; 32],
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
}

impl From<State> for Stored {
    fn from(state: State) -> Self {
        let (day, spent) = state.day.parts();
        Self {
            account: state.account,
            trading: state.trading,
            latest: state.latest,
            new_orders: state.new_orders.stored(),
            messages: state.messages.stored(),
            day: (day, spent.to_text()),
            rolling: state.rolling.stored(),
            orders: state.orders.stored(),
            history: state.history,
        }
    }
}

impl TryFrom<Stored> for State {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, &'static str> {
        let (day, spent) = stored.day;
        Ok(Self {
            account: stored.account,
            trading: stored.trading,
            latest: stored.latest,
            new_orders: RateWindow::read(stored.new_orders)?,
            messages: RateWindow::read(stored.messages)?,
            day: DaySpent::of(day, units(&spent)?),
            rolling: RollingSpent::read(stored.rolling)?,
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
        let Entry { signed_at, expires, rests, closed, deadline, order, ids, venue_id } = entry;
        Self { signed_at, expires, rests, closed, deadline, order, ids, venue_id }
    }
}

impl From<StoredEntry> for Entry {
    fn from(entry: StoredEntry) -> Self {
        let StoredEntry { signed_at, expires, rests, closed, deadline, order, ids, venue_id } = entry;
        Self { signed_at, expires, rests, closed, deadline, order, ids, venue_id }
    }
}
