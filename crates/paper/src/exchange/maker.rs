//! The market maker: moves the price, quotes around it, trades a little, wakes triggered orders.

use trading::{Decimal, Market, Side};

use super::prices::walk;
use super::types::{Event, InstrumentSpec, Status};
use super::{Exchange, num, opposite};
use crate::num::Round;

/// Ids from here on are the generator's own orders.
pub(super) const FIRST_QUOTE_ID: u64 = 1 << 62;
/// Levels quoted on each side.
const LEVELS: i64 = 25;
/// What a level holds at least, in quote currency.
const LEVEL_VALUE: i64 = 20_000;

impl Exchange {
    pub(super) fn step(&mut self, now_ms: u64) {
        for instrument in 0..self.listings.len() {
            let elapsed = now_ms.saturating_sub(self.started_ms);
            let listing = &mut self.listings[instrument];
            listing.fair = match listing.recording.at(elapsed) {
                Some(price) => num::whole_units(price, listing.spec.tick).max(1),
                None => walk(&mut self.random, listing.fair, listing.home),
            };
            self.refresh(instrument, now_ms);
        }
    }

    pub(super) fn set_price(&mut self, instrument: usize, price: Decimal, now_ms: u64) {
        let listing = &mut self.listings[instrument];
        let price = price.min(listing.spec.max_price);
        listing.fair = num::whole_units(price, listing.spec.tick).max(100);
        listing.home = listing.fair;
        self.refresh(instrument, now_ms);
    }

    fn refresh(&mut self, instrument: usize, now_ms: u64) {
        self.listings[instrument].tape.current(now_ms);
        self.requote(instrument, now_ms);
        self.take_a_little(instrument, now_ms);
        self.events.push(Event::Book { instrument });
        self.fire_triggers(instrument, now_ms);
        self.trim_reduce_only(instrument, now_ms);
    }

    /// Replaces the generator's quotes. A user's order in their way is filled as the resting side.
    fn requote(&mut self, instrument: usize, now_ms: u64) {
        for id in std::mem::take(&mut self.listings[instrument].quotes) {
            self.listings[instrument].book.cancel(id);
        }
        let listing = &self.listings[instrument];
        let (fair, lots) = (listing.fair, lots_worth(&listing.spec, LEVEL_VALUE));
        let half_spread = (fair / 20_000).max(1);
        let gap = (fair / 12_000).max(1);
        for level in 0..LEVELS {
            let away = half_spread + level * gap;
            for (side, price) in [(Side::Buy, fair - away), (Side::Sell, fair + away)] {
                if price > 0 {
                    let lots = lots + self.random.below(lots);
                    let id = self.enter_quote(instrument, side, price, lots, true, now_ms);
                    self.listings[instrument].quotes.push(id);
                }
            }
        }
    }

    /// A small order against the best price, on most steps, so that the tape moves.
    fn take_a_little(&mut self, instrument: usize, now_ms: u64) {
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let listing = &self.listings[instrument];
        let (most, best) = (lots_worth(&listing.spec, LEVEL_VALUE / 20), listing.book.best(opposite(side)));
        let lots = 1 + self.random.below(most);
        if let Some((price, _)) = best
            && self.random.below(4) != 0
        {
            self.enter_quote(instrument, side, price, lots, false, now_ms);
        }
    }

    fn enter_quote(
        &mut self,
        instrument: usize,
        side: Side,
        price: i64,
        lots: i64,
        rest: bool,
        now_ms: u64,
    ) -> u64 {
        let id = self.next_quote_id;
        self.next_quote_id += 1;
        for found in self.listings[instrument].book.enter(id, side, price, lots, rest) {
            self.trade(instrument, id, side, &found, now_ms);
        }
        id
    }

    fn fire_triggers(&mut self, instrument: usize, now_ms: u64) {
        let last = self.listings[instrument].last();
        let woken: Vec<u64> = self
            .accounts
            .iter()
            .flat_map(|account| account.open.iter())
            .filter_map(|id| self.orders.get(id))
            .filter(|order| order.request.instrument == instrument && order.status == Status::Untriggered)
            .filter(|order| {
                order.request.trigger.is_some_and(|trigger| {
                    if trigger.rising { last >= trigger.price } else { last <= trigger.price }
                })
            })
            .map(|order| order.id)
            .collect();
        for id in woken {
            self.wake(id, now_ms);
        }
    }
}

/// Lots of an instrument worth about `value` of its quote currency, at least one.
pub(super) fn lots_worth(spec: &InstrumentSpec, value: i64) -> i64 {
    debug_assert!(matches!(spec.market, Market::Spot | Market::Linear));
    let lot_value = num::mul(spec.start_price, spec.lot);
    let lots = num::divide(Decimal::from_integer(value), lot_value, 0, Round::Down);
    i64::try_from(lots.mantissa()).unwrap_or(i64::MAX / 4).max(1)
}
