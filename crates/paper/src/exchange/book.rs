//! One instrument's order book, in whole ticks and lots.
//!
//! Matching is `rust_ob` 2.5 (MIT, about 600 lines, one dependency, `rust_decimal`). It was chosen over
//! `orderbook-rs` 0.15 (82 000 lines; `dashmap`, `uuid`, `tracing`, locks and wall-clock timestamps of
//! its own, so a replay from a seed would not be byte-identical). `rust_ob` keeps each side in a
//! `BTreeMap` by price then arrival, so matching is deterministic, and its decimals are exact here
//! because only whole numbers of ticks and lots enter. What it lacks is kept beside it: a depth per
//! price for books and cost estimates, and amendment, which is cancel and re-enter (so an amended
//! order always goes to the back of its level).

use std::collections::BTreeMap;

use rust_ob::OrderBook;
use trading::Side;

/// A resting order met by an incoming one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// The resting order.
    pub order: u64,
    /// Its price, in ticks.
    pub price: i64,
    /// How much traded, in lots.
    pub lots: i64,
}

/// What taking liquidity would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sweep {
    /// Lots that would fill.
    pub lots: i64,
    /// What they cost, in ticks × lots.
    pub value: i128,
    /// The last price touched, in ticks.
    pub worst: i64,
}

#[derive(Debug, Clone, Copy)]
struct Resting {
    side: Side,
    price: i64,
    lots: i64,
}

/// Price–time priority, one instrument.
#[derive(Debug)]
pub(crate) struct Book {
    matcher: OrderBook<u64>,
    resting: BTreeMap<u64, Resting>,
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    /// Counts changes; the update id of depth streams.
    pub version: u64,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            matcher: OrderBook::new(),
            resting: BTreeMap::new(),
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            version: 1,
        }
    }

    /// Matches an incoming order up to `limit` and, if `rest`, leaves the remainder in the book.
    pub(crate) fn enter(&mut self, id: u64, side: Side, limit: i64, lots: i64, rest: bool) -> Vec<Match> {
        self.version += 1;
        let (book_side, price, quantity) = (matcher_side(side), limit.into(), lots.into());
        let Ok(matches) = self.matcher.process_limit_order(id, book_side, price, quantity) else {
            return Vec::new(); // a live id or no lots: the exchange never enters either
        };
        let mut filled = 0;
        let mut makers = Vec::new();
        for found in matches.iter().filter(|found| found.order != id) {
            let lots = i64::try_from(found.quantity.mantissa()).expect("lots went in as i64");
            let price = self.reduce(found.order, lots);
            filled += lots;
            makers.push(Match { order: found.order, price, lots });
        }
        let remainder = lots - filled;
        if remainder > 0 {
            if rest {
                self.resting.insert(id, Resting { side, price: limit, lots: remainder });
                *self.levels_mut(side).entry(limit).or_default() += remainder;
            } else {
                let _absent = self.matcher.cancel_order(id);
            }
        }
        makers
    }

    /// Takes an order out; returns the lots it still had.
    pub(crate) fn cancel(&mut self, id: u64) -> Option<i64> {
        let resting = *self.resting.get(&id)?;
        self.version += 1;
        let _absent = self.matcher.cancel_order(id);
        self.reduce(id, resting.lots);
        Some(resting.lots)
    }

    /// The best price of `side`, in ticks, and its lots.
    pub(crate) fn best(&self, side: Side) -> Option<(i64, i64)> {
        self.levels(side).next()
    }

    /// Price levels of `side`, best first.
    pub(crate) fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (i64, i64)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(price, lots)| (*price, *lots))),
            Side::Sell => Box::new(self.asks.iter().map(|(price, lots)| (*price, *lots))),
        }
    }

    /// What an order of `side` for up to `lots` would take, no further than `limit`.
    pub(crate) fn sweep(&self, side: Side, lots: i64, limit: Option<i64>) -> Sweep {
        let mut sweep = Sweep::default();
        for (price, available) in self.levels(opposite(side)) {
            let taken = available.min(lots - sweep.lots);
            if taken == 0 || limit.is_some_and(|limit| !acceptable(side, limit, price)) {
                break;
            }
            sweep.lots += taken;
            sweep.value += i128::from(price) * i128::from(taken);
            sweep.worst = price;
        }
        sweep
    }

    /// The most whole lots an order of `side` can trade for `value` ticks × lots.
    pub(crate) fn sweep_value(&self, side: Side, value: i128) -> Sweep {
        let mut sweep = Sweep::default();
        for (price, available) in self.levels(opposite(side)) {
            let affordable = (value - sweep.value) / i128::from(price.max(1));
            let taken = available.min(i64::try_from(affordable).unwrap_or(i64::MAX));
            if taken == 0 {
                break;
            }
            sweep.lots += taken;
            sweep.value += i128::from(price) * i128::from(taken);
            sweep.worst = price;
        }
        sweep
    }

    /// Lowers a resting order by `lots`, dropping it at zero; returns its price.
    fn reduce(&mut self, id: u64, lots: i64) -> i64 {
        let resting = self.resting.get_mut(&id).expect("the matcher and this index hold the same orders");
        resting.lots -= lots;
        let Resting { side, price, lots: left } = *resting;
        if left == 0 {
            self.resting.remove(&id);
        }
        let levels = self.levels_mut(side);
        let level = levels.entry(price).or_default();
        *level -= lots;
        if *level == 0 {
            levels.remove(&price);
        }
        price
    }

    fn levels_mut(&mut self, side: Side) -> &mut BTreeMap<i64, i64> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// Levels that differ: gone ones with zero lots, then new and changed ones.
pub(crate) fn difference(before: &[(i64, i64)], after: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let known = |levels: &[(i64, i64)], price| levels.iter().any(|level| level.0 == price);
    let gone = before.iter().filter(|level| !known(after, level.0)).map(|level| (level.0, 0));
    gone.chain(after.iter().filter(|level| !before.contains(level)).copied()).collect()
}

/// The other side.
pub(crate) const fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

const fn acceptable(side: Side, limit: i64, price: i64) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

const fn matcher_side(side: Side) -> rust_ob::Side {
    match side {
        Side::Buy => rust_ob::Side::Buy,
        Side::Sell => rust_ob::Side::Sell,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matches_by_price_then_time() {
        let mut book = Book::new();
        book.enter(1, Side::Sell, 101, 5, true);
        book.enter(2, Side::Sell, 100, 5, true);
        book.enter(3, Side::Sell, 100, 5, true);
        let matches = book.enter(4, Side::Buy, 101, 12, true);
        let expected = [(2, 100, 5), (3, 100, 5), (1, 101, 2)];
        assert_eq!(matches, expected.map(|(order, price, lots)| Match { order, price, lots }));
        assert_eq!(book.best(Side::Sell), Some((101, 3)));
        assert_eq!(book.best(Side::Buy), None);
    }

    #[test]
    fn a_remainder_that_may_not_rest_is_gone() {
        let mut book = Book::new();
        book.enter(1, Side::Sell, 100, 1, true);
        assert_eq!(book.enter(2, Side::Buy, 100, 3, false).len(), 1);
        assert_eq!(book.best(Side::Buy), None);
        assert_eq!(book.cancel(2), None);
    }

    #[test]
    fn sweeps_tell_cost_without_trading() {
        let mut book = Book::new();
        book.enter(1, Side::Sell, 100, 2, true);
        book.enter(2, Side::Sell, 110, 2, true);
        assert_eq!(book.sweep(Side::Buy, 3, None), Sweep { lots: 3, value: 310, worst: 110 });
        assert_eq!(book.sweep(Side::Buy, 3, Some(105)), Sweep { lots: 2, value: 200, worst: 100 });
        assert_eq!(book.sweep_value(Side::Buy, 319), Sweep { lots: 3, value: 310, worst: 110 });
    }

    proptest! {
        #[test]
        fn levels_always_equal_the_resting_orders(
            actions in proptest::collection::vec((any::<bool>(), 90_i64..110, 1_i64..20, any::<bool>(), 0_u64..40), 1..120)
        ) {
            let mut book = Book::new();
            for (at, (buy, price, lots, rest, victim)) in actions.into_iter().enumerate() {
                let side = if buy { Side::Buy } else { Side::Sell };
                book.enter(at as u64, side, price, lots, rest);
                book.cancel(victim);
                let mut summed: BTreeMap<i64, i64> = BTreeMap::new();
                for resting in book.resting.values().filter(|resting| resting.side == Side::Buy) {
                    *summed.entry(resting.price).or_default() += resting.lots;
                }
                prop_assert_eq!(&summed, &book.bids);
                if let (Some((bid, _)), Some((ask, _))) = (book.best(Side::Buy), book.best(Side::Sell)) {
                    prop_assert!(bid < ask);
                }
            }
        }
    }
}
