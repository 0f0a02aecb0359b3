//! What the signed orders of each instrument could do together, at their worst.
//!
//! Every order counts from its signature until it is said to be gone. On `linear` what went may have
//! filled, so it goes on counting until the venue's own word on the position must contain it: a fill
//! heard of before one report may have happened after that report's question, so it counts until the
//! next. On spot and margin there is no position to ask for: only what rests counts.

use std::collections::BTreeMap;

use trading::{Amount, Decimal, Instrument, Market, Order, OrderType, Price, Side};

use super::stored::{StoredHeld, StoredShare, StoredSize, units};
use crate::judged::rests;
use crate::units::Units;

/// A quantity of the base currency and what it is worth, in the account's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub quantity: Units,
    pub value: Units,
}

impl Size {
    const NOTHING: Self = Self { quantity: Units::ZERO, value: Units::ZERO };

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            quantity: self.quantity.plus_saturating(other.quantity),
            value: self.value.plus_saturating(other.value),
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            quantity: self.quantity.minus_saturating(other.quantity),
            value: self.value.minus_saturating(other.value),
        }
    }

    pub(crate) fn max(self, other: Self) -> Self {
        Self { quantity: self.quantity.max(other.quantity), value: self.value.max(other.value) }
    }
}

/// What one order adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub instrument: Instrument,
    pub side: Side,
    pub size: Size,
    /// Whether it may stay on the book.
    pub rests: bool,
    /// Where it meets orders of the other side while it rests.
    pub meets: Meets,
}

/// At which prices a resting order trades with one of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meets {
    /// Not before a trigger, or not at all.
    Never,
    /// At this price or better for the other.
    At(Price),
    /// The venue sets its price: at any.
    Anywhere,
}

impl Share {
    /// The share of `order`, which takes `charge` from the budgets; `None` for what can only reduce.
    pub(crate) fn of(order: &Order, charge: Units) -> Option<Self> {
        if order.can_only_reduce() && order.instrument.market == Market::Linear {
            return None;
        }
        let own_price = order.price.max(order.trigger_price);
        let (quantity, value) = match order.amount {
            Amount::Base(quantity) => {
                let own = own_price.and_then(|price| price.times(quantity));
                let value = own.and_then(|worth| Units::at_least(worth.decimal()));
                (Units::at_least(quantity.decimal()).unwrap_or(Units::MOST), value.unwrap_or(charge))
            }
            Amount::Quote(_) | Amount::WholePosition => (Units::ZERO, charge),
        };
        let rests = rests(order.order_type, order.time_in_force);
        let meets = match (order.order_type, order.price) {
            (OrderType::Limit, Some(price)) if rests => Meets::At(price),
            (OrderType::Pegged, _) if rests => Meets::Anywhere,
            _ => Meets::Never,
        };
        let size = Size { quantity, value };
        Some(Self { instrument: order.instrument.clone(), side: order.side, size, rests, meets })
    }

    /// The same order after an amendment: the worst of both.
    pub(crate) fn widened(&self, other: &Self) -> Self {
        let meets = match (self.meets, other.meets) {
            (Meets::At(left), Meets::At(right)) if self.side == Side::Buy => Meets::At(left.max(right)),
            (Meets::At(left), Meets::At(right)) => Meets::At(left.min(right)),
            (Meets::Anywhere, _) | (_, Meets::Anywhere) => Meets::Anywhere,
            (Meets::At(price), Meets::Never) | (Meets::Never, Meets::At(price)) => Meets::At(price),
            (Meets::Never, Meets::Never) => Meets::Never,
        };
        Self { size: self.size.max(other.size), meets, ..self.clone() }
    }

    /// Whether it counts after it is gone, until the position is known.
    fn lingers(&self) -> bool {
        self.instrument.market == Market::Linear
    }

    fn counts(&self) -> bool {
        self.rests || self.lingers()
    }
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It may have filled.
    Perhaps,
    /// It was never on the book.
    Rejected,
}

/// One side of one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Half {
    /// Signed and not said to be gone.
    open: Size,
    /// The part of it that may rest.
    resting: Size,
    /// Gone since the last word on the position, and since the one before.
    since: [Size; 2],
    /// Prices of resting limit orders, and how many stand at each.
    prices: BTreeMap<Price, u32>,
    /// Resting orders whose price the venue sets.
    pegged: u32,
}

/// One instrument.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Book {
    buys: Half,
    sells: Half,
    /// The venue's last word: long, and short.
    long: Size,
    short: Size,
    /// What the instrument adds to [`Exposure::net`].
    net: Units,
}

/// All instruments of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Exposure {
    books: BTreeMap<Instrument, Book>,
    /// What may rest, of all instruments.
    resting: Units,
    /// The worst net position of each instrument, added up.
    net: Units,
}

impl Half {
    const NOTHING: Self = Self {
        open: Size::NOTHING,
        resting: Size::NOTHING,
        since: [Size::NOTHING; 2],
        prices: BTreeMap::new(),
        pegged: 0,
    };
}

impl Book {
    /// An instrument for which nothing was signed.
    pub(crate) const NOTHING: &'static Self = &Self {
        buys: Half::NOTHING,
        sells: Half::NOTHING,
        long: Size::NOTHING,
        short: Size::NOTHING,
        net: Units::ZERO,
    };

    const fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.buys,
            Side::Sell => &self.sells,
        }
    }

    const fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }

    /// The worst position that `side` can reach with what is signed.
    #[inline]
    pub(crate) fn worst(&self, side: Side) -> Size {
        let (own, other) = match side {
            Side::Buy => (self.long, self.short),
            Side::Sell => (self.short, self.long),
        };
        let half = self.half(side);
        own.plus(half.open).plus(half.since[0]).plus(half.since[1]).minus(other)
    }

    /// What may rest, both sides.
    #[inline]
    pub(crate) fn resting(&self) -> Units {
        self.buys.resting.value.plus_saturating(self.sells.resting.value)
    }

    /// Whether an order of the other side rests where one of `side` at `price` would trade with it;
    /// without a price, wherever it rests.
    pub(crate) fn crosses(&self, side: Side, price: Option<Price>) -> bool {
        let other = self.half(side.opposite());
        let best = match side {
            Side::Buy => other.prices.first_key_value(),
            Side::Sell => other.prices.last_key_value(),
        };
        let meets = |best: Price| match (side, price) {
            (_, None) => true,
            (Side::Buy, Some(price)) => price >= best,
            (Side::Sell, Some(price)) => price <= best,
        };
        other.pegged > 0 || best.is_some_and(|(best, _)| meets(*best))
    }
}

impl Size {
    fn stored(self) -> StoredSize {
        (self.quantity.to_text(), self.value.to_text())
    }

    fn read(stored: &StoredSize) -> Result<Self, &'static str> {
        Ok(Self { quantity: units(&stored.0)?, value: units(&stored.1)? })
    }
}

impl Share {
    pub(super) fn stored(&self) -> StoredShare {
        StoredShare {
            instrument: self.instrument.clone(),
            side: self.side,
            size: self.size.stored(),
            rests: self.rests,
            at: match self.meets {
                Meets::At(price) => Some(price),
                Meets::Never | Meets::Anywhere => None,
            },
            anywhere: self.meets == Meets::Anywhere,
        }
    }

    pub(super) fn read(stored: StoredShare) -> Result<Self, &'static str> {
        let StoredShare { instrument, side, size, rests, at, anywhere } = stored;
        let meets = match (at, anywhere) {
            (Some(price), false) => Meets::At(price),
            (None, true) => Meets::Anywhere,
            (None, false) => Meets::Never,
            (Some(_), true) => return Err("an order that meets others at one price and anywhere"),
        };
        Ok(Self { instrument, side, size: Size::read(&size)?, rests, meets })
    }
}

impl Exposure {
    /// What does not follow from the orders: positions, and what went since they were told.
    pub(super) fn stored(&self) -> Vec<StoredHeld> {
        let held = |(instrument, book): (&Instrument, &Book)| StoredHeld {
            instrument: instrument.clone(),
            long: book.long.stored(),
            short: book.short.stored(),
            bought: book.buys.since.map(Size::stored),
            sold: book.sells.since.map(Size::stored),
        };
        self.books.iter().map(held).collect()
    }

    pub(super) fn read(stored: Vec<StoredHeld>) -> Result<Self, &'static str> {
        let mut read = Self::default();
        for held in stored {
            let since =
                |[new, old]: &[StoredSize; 2]| Ok::<_, &'static str>([Size::read(new)?, Size::read(old)?]);
            let half = |since| Half { since, ..Half::default() };
            let book = Book {
                buys: half(since(&held.bought)?),
                sells: half(since(&held.sold)?),
                long: Size::read(&held.long)?,
                short: Size::read(&held.short)?,
                net: Units::ZERO,
            };
            if read.books.insert(held.instrument.clone(), book).is_some() {
                return Err("one instrument twice");
            }
            read.tally(&held.instrument);
        }
        Ok(read)
    }

    /// What is signed for `instrument`.
    #[inline]
    pub(crate) fn book(&self, instrument: &Instrument) -> &Book {
        self.books.get(instrument).unwrap_or(Book::NOTHING)
    }

    /// What may rest of all instruments.
    pub(crate) const fn resting(&self) -> Units {
        self.resting
    }

    /// The worst net positions of all instruments, if `added` came to `side` of the one with `book`.
    #[inline]
    pub(crate) fn net_with(&self, book: &Book, side: Side, added: Units) -> Units {
        let then = book.net.max(book.worst(side).value.plus_saturating(added));
        self.net.minus_saturating(book.net).plus_saturating(then)
    }

    pub(crate) fn add(&mut self, share: &Share) {
        if !share.counts() {
            return;
        }
        let half = self.books.entry(share.instrument.clone()).or_default().half_mut(share.side);
        half.open = half.open.plus(share.size);
        if share.rests {
            half.resting = half.resting.plus(share.size);
            self.resting = self.resting.plus_saturating(share.size.value);
        }
        match share.meets {
            Meets::At(price) => *half.prices.entry(price).or_default() += 1,
            Meets::Anywhere => half.pegged += 1,
            Meets::Never => {}
        }
        self.tally(&share.instrument);
    }

    pub(crate) fn remove(&mut self, share: &Share, gone: Gone) {
        let Some(book) = self.books.get_mut(&share.instrument).filter(|_| share.counts()) else { return };
        let half = book.half_mut(share.side);
        half.open = half.open.minus(share.size);
        if share.rests {
            half.resting = half.resting.minus(share.size);
            self.resting = self.resting.minus_saturating(share.size.value);
        }
        match share.meets {
            Meets::At(price) => {
                if let Some(count) = half.prices.get_mut(&price) {
                    *count -= 1;
                    if *count == 0 {
                        half.prices.remove(&price);
                    }
                }
            }
            Meets::Anywhere => half.pegged = half.pegged.saturating_sub(1),
            Meets::Never => {}
        }
        if share.lingers() && gone == Gone::Perhaps {
            half.since[0] = half.since[0].plus(share.size);
        }
        self.tally(&share.instrument);
    }

    /// The venue's word on the position: positive is long. `price` values it.
    pub(crate) fn position(&mut self, instrument: &Instrument, quantity: Decimal, price: Price) {
        let book = self.books.entry(instrument.clone()).or_default();
        let amount = quantity.checked_abs();
        let value = amount.and_then(|amount| amount.checked_mul(price.decimal()));
        let units = |number: Option<Decimal>| number.and_then(Units::at_least).unwrap_or(Units::MOST);
        let size = Size { quantity: units(amount), value: units(value) };
        let nothing = Size::default();
        (book.long, book.short) = if quantity.is_negative() { (nothing, size) } else { (size, nothing) };
        for half in [&mut book.buys, &mut book.sells] {
            half.since = [nothing, half.since[0]];
        }
        self.tally(instrument);
    }

    fn tally(&mut self, instrument: &Instrument) {
        let Some(book) = self.books.get_mut(instrument) else { return };
        let worst = book.worst(Side::Buy).value.max(book.worst(Side::Sell).value);
        self.net = self.net.minus_saturating(book.net).plus_saturating(worst);
        book.net = worst;
    }
}
