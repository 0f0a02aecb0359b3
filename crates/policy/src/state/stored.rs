//! A state as it is written down and read back, so that a restart need not count everything again.
//!
//! What is read is rebuilt through checked constructors: a text that is not a state gives an error,
//! never a state that breaks later.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trading::{
    AccountName, Amount, BotName, ClientOrderId, Instrument, Order, OrderType, Price, Side, SizeFactor,
    TimeInForce, Timestamp, TradingState, VenueOrderId,
};

use super::counters::Counters;
use super::exposure::Share;
use super::orders::{Entry, Orders};
use super::recent::Recent;
use super::{Lent, State};
use crate::units::Units;

/// Every field of a [`State`], in a form of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    account: AccountName,
    trading: TradingState,
    #[serde(default, skip_serializing_if = "SizeFactor::is_one")]
    size_factor: SizeFactor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lent: Option<Lent>,
    latest: Timestamp,
    whole: StoredCounters,
    bots: BTreeMap<BotName, StoredCounters>,
    recent: Vec<(Timestamp, Vec<u64>)>,
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

/// The times that may still count, each with how many events it had, and how many there ever were.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredWindow {
    pub(super) total: u64,
    pub(super) recent: Vec<(Timestamp, u64)>,
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

/// One order of the table. There may be tens of thousands, and they are written while orders wait: without
/// names, and what the share has in common with the order once.
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

/// An order's fields in the order of [`Order`]'s; flags: post-only 1, reduce-only 2.
type OrderFields<I, C> =
    (I, Side, OrderType, Amount, Option<Price>, Option<Price>, TimeInForce, u8, Option<C>);
/// Quantity, value, price at which it meets; flags: rests 1, meets anywhere 2; instrument and side where
/// they are not the order's.
type ShareFields<I, S> = (S, S, Option<Price>, u8, Option<(I, Side)>);
/// Signed at, expires; flags: rests 1, closed 2; deadline, order, ids, the venue's id, share.
type EntryFields<I, C, S, Ids, V> = (
    Timestamp,
    Timestamp,
    u8,
    Option<Timestamp>,
    Option<OrderFields<I, C>>,
    Ids,
    Option<V>,
    Option<ShareFields<I, S>>,
);

const fn flags(first: bool, second: bool) -> u8 {
    first as u8 | (second as u8) << 1
}

/// The two flags, if there are no more.
fn unflagged<E: Error>(flags: u8) -> Result<(bool, bool), E> {
    if flags > 3 { Err(E::custom("a flag that has no meaning")) } else { Ok((flags & 1 > 0, flags & 2 > 0)) }
}

impl Serialize for StoredEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let order = self.order.as_ref();
        let order_fields: Option<OrderFields<&Instrument, &ClientOrderId>> = order.map(|order| {
            (
                &order.instrument,
                order.side,
                order.order_type,
                order.amount,
                order.price,
                order.trigger_price,
                order.time_in_force,
                flags(order.post_only, order.reduce_only),
                order.client_order_id.as_ref(),
            )
        });
        let share: Option<ShareFields<&Instrument, &str>> = self.share.as_ref().map(|share| {
            let same =
                order.is_some_and(|order| order.instrument == share.instrument && order.side == share.side);
            let (quantity, value) = &share.size;
            let other = (!same).then_some((&share.instrument, share.side));
            (quantity.as_str(), value.as_str(), share.at, flags(share.rests, share.anywhere), other)
        });
        let fields: EntryFields<_, _, _, &[ClientOrderId], &VenueOrderId> = (
            self.signed_at,
            self.expires,
            flags(self.rests, self.closed),
            self.deadline,
            order_fields,
            &self.ids,
            self.venue_id.as_ref(),
            share,
        );
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Fields = EntryFields<Instrument, ClientOrderId, String, Vec<ClientOrderId>, VenueOrderId>;
        let (signed_at, expires, state, deadline, order, ids, venue_id, share) =
            Fields::deserialize(deserializer)?;
        let order = order.map(|fields| {
            let (instrument, side, order_type, amount, price, trigger_price, time_in_force, only, id) =
                fields;
            let (post_only, reduce_only) = unflagged(only)?;
            Ok(Order {
                instrument,
                side,
                order_type,
                amount,
                price,
                trigger_price,
                time_in_force,
                post_only,
                reduce_only,
                client_order_id: id,
            })
        });
        let order = order.transpose()?;
        let share = share.map(|(quantity, value, at, state, other)| {
            let of_order = || order.as_ref().map(|order| (order.instrument.clone(), order.side));
            let (instrument, side) =
                other.or_else(of_order).ok_or_else(|| D::Error::custom("a share of nothing"))?;
            let (rests, anywhere) = unflagged(state)?;
            Ok(StoredShare { instrument, side, size: (quantity, value), rests, at, anywhere })
        });
        let (share, (rests, closed)) = (share.transpose()?, unflagged(state)?);
        Ok(Self { signed_at, expires, rests, closed, deadline, order, ids, venue_id, share })
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::from(self).serialize(serializer)
    }
}

impl From<&State> for Stored {
    fn from(state: &State) -> Self {
        Self {
            account: state.account.clone(),
            trading: state.trading,
            size_factor: state.size_factor,
            lent: state.lent,
            latest: state.latest,
            whole: state.whole.stored(),
            bots: state.bots.iter().map(|(bot, own)| (bot.clone(), own.stored())).collect(),
            recent: state.recent.stored(),
            stopped: state.stopped.clone(),
            prices: state.prices.iter().map(|(of, price)| (of.clone(), *price)).collect(),
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
            lent: stored.lent,
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

impl From<&Entry> for StoredEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            signed_at: entry.signed_at,
            expires: entry.expires,
            rests: entry.rests,
            closed: entry.closed,
            deadline: entry.deadline,
            order: entry.order.clone(),
            ids: entry.ids.clone(),
            venue_id: entry.venue_id.clone(),
            share: entry.share.as_ref().map(Share::stored),
        }
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
