//! The table of signed orders and of client order ids that have a live signature. Bounded.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use trading::{
    Amendment, Amount, ClientOrderId, Decimal, Instrument, Market, Order, OrderReference, Price, Timestamp,
    VenueOrderId,
};

use super::exposure::{Exposure, Gone, Share};
use super::stored::StoredOrders;
use crate::judged::rests;
use crate::units::Units;

/// Most orders, and most client order ids, that the table holds.
pub(crate) const CAPACITY: usize = 65_536;
/// Age after which an order that no one confirmed to rest is taken for gone, and after which any
/// entry may make room for a new one.
const OLD_MS: u64 = 86_400_000;

/// Orders signed for one account, by the number of their signing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Orders {
    /// Boxed: a node of the tree has room for eleven, and half of them are empty.
    entries: BTreeMap<u64, Box<Entry>>,
    by_client: BTreeMap<ClientOrderId, u64>,
    by_venue: BTreeMap<VenueOrderId, u64>,
    /// When each entry that will leave by itself leaves.
    deadlines: BTreeSet<(Timestamp, u64)>,
    /// Of these, the entries that count as open: judging looks at no others, however many lapsed.
    lapsing: BTreeSet<(Timestamp, u64)>,
    /// Entries that count as open.
    open: u64,
    /// What all entries could do together.
    exposure: Exposure,
    next: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) signed_at: Timestamp,
    /// Until when (inclusive) the venue may accept a signature that names the order's ids.
    pub(super) expires: Timestamp,
    pub(super) rests: bool,
    pub(super) closed: bool,
    /// When the entry leaves by itself; `None` for an order known to rest.
    pub(super) deadline: Option<Timestamp>,
    /// The worst of everything signed for the order; `None` if it was not signed here.
    pub(super) order: Option<Order>,
    pub(super) ids: Vec<ClientOrderId>,
    pub(super) venue_id: Option<VenueOrderId>,
    /// What it adds to the exposure, until it is said to be gone.
    pub(super) share: Option<Share>,
}

/// An order that an amendment names.
pub(crate) struct Known<'a> {
    pub number: u64,
    pub order: &'a Order,
}

impl Entry {
    fn counts_as_open(&self) -> bool {
        self.rests && !self.closed
    }

    fn is_live(&self, now: Timestamp) -> bool {
        self.deadline.is_none_or(|deadline| now <= deadline)
    }
}

impl Orders {
    pub(super) fn stored(&self) -> StoredOrders {
        StoredOrders {
            next: self.next,
            entries: self.entries.iter().map(|(number, entry)| (*number, (&**entry).into())).collect(),
            by_client: self.by_client.clone(),
            held: self.exposure.stored(),
        }
    }

    /// Builds the table again; everything that follows from the entries is made from them.
    pub(super) fn read(stored: StoredOrders) -> Result<Self, &'static str> {
        let exposure = Exposure::read(stored.held)?;
        let mut read = Self { next: stored.next, exposure, ..Self::default() };
        for (number, entry) in stored.entries {
            let entry = Entry::try_from(entry)?;
            if number >= read.next {
                return Err("an order has a number that was not given yet");
            }
            read.open += u64::from(entry.counts_as_open());
            if let Some(share) = &entry.share {
                read.exposure.add(share);
            }
            let deadline = entry.deadline.map(|deadline| (deadline, number));
            read.deadlines.extend(deadline);
            read.lapsing.extend(deadline.filter(|_| entry.counts_as_open()));
            if let Some(id) = &entry.venue_id
                && read.by_venue.insert(id.clone(), number).is_some()
            {
                return Err("two orders have one venue order id");
            }
            if read.entries.insert(number, Box::new(entry)).is_some() {
                return Err("two orders have one number");
            }
        }
        for (id, number) in stored.by_client {
            if !read.entries.get(&number).is_some_and(|entry| entry.ids.contains(&id)) {
                return Err("a client order id names an order that does not have it");
            }
            read.by_client.insert(id, number);
        }
        Ok(read)
    }

    /// The order that has a live signature under `id`.
    pub(crate) fn live(&self, id: &ClientOrderId, now: Timestamp) -> Option<u64> {
        let number = *self.by_client.get(id)?;
        self.entries.get(&number).is_some_and(|entry| entry.is_live(now)).then_some(number)
    }

    /// The order that `amendment` names, if it was signed here, is not reported closed, and is
    /// where and what the amendment says. If both ids are given, venues follow their own.
    pub(crate) fn amendable(&self, amendment: &Amendment, now: Timestamp) -> Option<Known<'_>> {
        let number = match &amendment.target {
            OrderReference::Client(client) => *self.by_client.get(client)?,
            OrderReference::Venue(venue) | OrderReference::Both { venue, .. } => *self.by_venue.get(venue)?,
        };
        let entry = self.entries.get(&number)?;
        let order = entry.order.as_ref()?;
        let client_agrees = amendment.target.client().is_none_or(|client| entry.ids.contains(client));
        let side_agrees = amendment.side.is_none_or(|side| side == order.side);
        let is_it = client_agrees && side_agrees && order.instrument == amendment.instrument;
        (is_it && !entry.closed && entry.is_live(now)).then_some(Known { number, order })
    }

    /// Orders that may be open at `now`.
    pub(crate) fn open(&self, now: Timestamp) -> u64 {
        self.open.saturating_sub(self.lapsed(now).count() as u64)
    }

    /// At least as many as [`Self::open`], without looking at any entry.
    pub(crate) const fn open_at_most(&self) -> u64 {
        self.open
    }

    /// Whether `more` entries fit, counting those that may be dropped for them.
    pub(crate) fn has_room(&self, more: u64, now: Timestamp) -> bool {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        let used = self.entries.len().max(self.by_client.len());
        let needed = used.saturating_add(more).saturating_sub(CAPACITY);
        needed == 0 || {
            let droppable = |entry: &&Entry| !entry.is_live(now) || is_old(entry, now);
            self.entries.values().map(AsRef::as_ref).filter(droppable).take(needed).count() == needed
        }
    }

    /// What all orders could do together at `now`. What lapsed and could not rest counts the same
    /// before and after: as a fill that the position may not hold yet.
    pub(crate) fn exposure(&self, now: Timestamp) -> Cow<'_, Exposure> {
        let mut lapsed = self.lapsed(now).filter_map(|entry| entry.share.as_ref()).peekable();
        if lapsed.peek().is_none() {
            return Cow::Borrowed(&self.exposure);
        }
        let mut exposure = self.exposure.clone();
        lapsed.for_each(|share| exposure.remove(share, Gone::Perhaps));
        Cow::Owned(exposure)
    }

    /// What the order of this number adds to the exposure.
    pub(crate) fn share(&self, number: u64) -> Option<&Share> {
        self.entries.get(&number)?.share.as_ref()
    }

    /// The venue's word on a position. Orders that cannot rest and whose signature has expired are
    /// over, and in it.
    pub(crate) fn position(
        &mut self,
        instrument: &Instrument,
        quantity: Decimal,
        price: Price,
        below: u64,
        now: Timestamp,
    ) {
        let is_over = |entry: &Entry| {
            let of_it = entry.share.as_ref().is_some_and(|share| share.instrument == *instrument);
            of_it && !entry.rests && entry.expires < now
        };
        let over: Vec<u64> = self
            .entries
            .range(..below)
            .filter(|(_, entry)| is_over(entry))
            .map(|(&number, _)| number)
            .collect();
        for number in over {
            if let Some(share) = self.entries.get_mut(&number).and_then(|entry| entry.share.take()) {
                self.exposure.remove(&share, Gone::Perhaps);
            }
        }
        self.exposure.position(instrument, quantity, price);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a signed order, which took `charge` from the budgets.
    pub(crate) fn sign(&mut self, order: &Order, charge: Units, now: Timestamp, expires: Timestamp) {
        let rests = rests(order.order_type, order.time_in_force);
        let id = order.client_order_id.clone();
        let share = Share::of(order, charge);
        let order = Order { client_order_id: None, ..order.clone() };
        let number = self.insert(Some(order), id, rests, now, expires);
        self.set_share(number, share);
    }

    /// Widens the order that `amendment` names to the worst of what it was and what was signed.
    pub(crate) fn amend(&mut self, amendment: &Amendment, charge: Units, now: Timestamp, expires: Timestamp) {
        self.make_room(now);
        let new_id = amendment.new_client_order_id.clone();
        let Some(number) = self.amendable(amendment, now).map(|known| known.number) else {
            // Not signed here: only the new id's signature is ours to remember.
            if new_id.is_some() {
                self.insert(None, new_id, true, now, expires);
            }
            return;
        };
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.expires = entry.expires.max(expires);
        let result = entry.order.as_ref().map(|order| amended(order, amendment));
        entry.order = entry.order.take().and_then(|order| worst(order, amendment));
        let share = result.and_then(|order| Share::of(&order, charge));
        let share = match (&entry.share, share) {
            (Some(was), Some(new)) => Some(was.widened(&new)),
            (was, new) => was.clone().or(new),
        };
        if let Some(id) = new_id
            && !entry.ids.contains(&id)
        {
            self.by_client.insert(id.clone(), number);
            entry.ids.push(id);
        }
        let counts = !entry.closed;
        if counts {
            self.set_share(number, share);
        }
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if let Some(deadline) = entry.deadline.map(|deadline| deadline.max(expires)) {
            self.set_deadline(number, Some(deadline));
        }
    }

    /// The venue is said to have taken the order under its own id. The first report counts.
    pub(crate) fn acknowledge(&mut self, number: u64, venue_id: VenueOrderId) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.closed || entry.venue_id.is_some() || self.by_venue.contains_key(&venue_id) {
            return;
        }
        entry.venue_id = Some(venue_id.clone());
        let rests = entry.rests;
        self.by_venue.insert(venue_id, number);
        if rests {
            self.set_deadline(number, None);
        }
    }

    /// The order is said to be gone: its ids are free when its last signature has expired.
    pub(crate) fn close(&mut self, number: u64, gone: Gone) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        self.open -= u64::from(entry.counts_as_open());
        entry.closed = true;
        if let Some(share) = entry.share.take() {
            self.exposure.remove(&share, gone);
        }
        let expires = entry.expires;
        self.set_deadline(number, Some(expires));
    }

    /// The venue is said to have only `open` on its book of the scope, of all orders below `below`.
    pub(crate) fn close_unlisted(
        &mut self,
        market: Market,
        instrument: Option<&Instrument>,
        below: u64,
        open: &BTreeSet<VenueOrderId>,
        now: Timestamp,
    ) {
        let all_known = open.iter().all(|id| self.by_venue.contains_key(id));
        let is_gone = |entry: &Entry| {
            let Some(order) = &entry.order else { return false };
            let in_scope = order.instrument.market == market
                && instrument.is_none_or(|instrument| *instrument == order.instrument);
            let unlisted = match &entry.venue_id {
                Some(id) => !open.contains(id),
                None => all_known && entry.expires < now,
            };
            in_scope && entry.counts_as_open() && unlisted
        };
        let gone: Vec<u64> = self
            .entries
            .range(..below)
            .filter(|(_, entry)| is_gone(entry))
            .map(|(&number, _)| number)
            .collect();
        for number in gone {
            self.close(number, Gone::Perhaps);
        }
    }

    /// The number of the latest order under a client order id, live or not.
    pub(crate) fn by_client(&self, id: &ClientOrderId) -> Option<u64> {
        self.by_client.get(id).copied()
    }

    /// The number of the order that was acknowledged under a venue order id.
    pub(crate) fn by_venue(&self, id: &VenueOrderId) -> Option<u64> {
        self.by_venue.get(id).copied()
    }

    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Drops entries whose deadline has passed.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        while let Some(&(deadline, number)) = self.deadlines.first()
            && deadline < now
        {
            self.drop_entry(number);
        }
    }

    fn insert(
        &mut self,
        order: Option<Order>,
        id: Option<ClientOrderId>,
        rests: bool,
        now: Timestamp,
        expires: Timestamp,
    ) -> u64 {
        self.make_room(now);
        let number = self.next;
        self.next += 1;
        self.open += u64::from(rests);
        if let Some(id) = &id {
            self.by_client.insert(id.clone(), number);
        }
        let ids = id.into_iter().collect();
        let entry = Entry {
            signed_at: now,
            expires,
            rests,
            closed: false,
            deadline: None,
            order,
            ids,
            venue_id: None,
            share: None,
        };
        self.entries.insert(number, Box::new(entry));
        // What cannot rest is over when its signature is; of what can, the venue has to say so.
        let lapses =
            if rests { Timestamp::from_ms(now.as_ms().saturating_add(OLD_MS)).max(expires) } else { expires };
        self.set_deadline(number, Some(lapses));
        number
    }

    /// Gives an entry another share of the exposure.
    fn set_share(&mut self, number: u64, share: Option<Share>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if let Some(old) = entry.share.take() {
            self.exposure.remove(&old, Gone::Rejected);
        }
        if let Some(new) = &share {
            self.exposure.add(new);
        }
        entry.share = share;
    }

    fn set_deadline(&mut self, number: u64, deadline: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if let Some(old) = entry.deadline {
            self.deadlines.remove(&(old, number));
            self.lapsing.remove(&(old, number));
        }
        entry.deadline = deadline;
        if let Some(new) = deadline {
            self.deadlines.insert((new, number));
            if entry.counts_as_open() {
                self.lapsing.insert((new, number));
            }
        }
    }

    /// Keeps one place free: drops the oldest entries of a full table. Only entries past a day are
    /// ever dropped so; evaluation denies what finds no such room.
    fn make_room(&mut self, now: Timestamp) {
        self.prune(now);
        while self.entries.len().max(self.by_client.len()) >= CAPACITY
            && let Some((&oldest, entry)) = self.entries.first_key_value()
            && is_old(entry, now)
        {
            self.drop_entry(oldest);
        }
    }

    fn drop_entry(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.open -= u64::from(entry.counts_as_open());
        if let Some(share) = &entry.share {
            self.exposure.remove(share, Gone::Perhaps);
        }
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, number));
            self.lapsing.remove(&(deadline, number));
        }
        for id in &entry.ids {
            // The id may meanwhile name a later order.
            if self.by_client.get(id) == Some(&number) {
                self.by_client.remove(id);
            }
        }
        if let Some(venue_id) = &entry.venue_id {
            self.by_venue.remove(venue_id);
        }
    }

    /// Entries that counted as open until their deadline passed.
    fn lapsed(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        self.lapsing
            .range(..(now, 0))
            .filter_map(|(_, number)| self.entries.get(number).map(|entry| &**entry))
    }
}

fn is_old(entry: &Entry, now: Timestamp) -> bool {
    now.since_ms(entry.signed_at) >= OLD_MS
}

/// The order that `amendment` makes of `order`.
fn amended(order: &Order, amendment: &Amendment) -> Order {
    Order {
        amount: amendment.amount.unwrap_or(order.amount),
        price: amendment.price.or(order.price),
        trigger_price: amendment.trigger_price.or(order.trigger_price),
        ..order.clone()
    }
}

/// The order with each number the larger of what it was and what `amendment` states; `None` if
/// the two amounts cannot be compared.
fn worst(order: Order, amendment: &Amendment) -> Option<Order> {
    let amount = match (order.amount, amendment.amount) {
        (was, None) => was,
        (Amount::Base(was), Some(Amount::Base(new))) => Amount::Base(was.max(new)),
        (Amount::Quote(was), Some(Amount::Quote(new))) => Amount::Quote(was.max(new)),
        (_, Some(_)) => return None,
    };
    Some(Order {
        amount,
        price: order.price.max(amendment.price),
        trigger_price: order.trigger_price.max(amendment.trigger_price),
        ..order
    })
}
