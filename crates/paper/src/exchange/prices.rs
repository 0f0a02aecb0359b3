//! Prices: a seeded random walk or a recording, candles and the trade tape.

use std::collections::VecDeque;

use trading::Decimal;

use super::types::PublicTrade;
use crate::num;

/// Milliseconds in the shortest candle.
pub(crate) const MINUTE_MS: u64 = 60_000;
/// Candles kept per instrument: two days of minutes.
const CANDLES: usize = 2_880;
/// Public trades kept per instrument.
const TRADES: usize = 1_000;

/// `SplitMix64` (Steele, Lea, Flood 2014): tiny, seedable, the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound.max(1).unsigned_abs()).cast_signed()
    }
}

/// The generator's next price in ticks: a walk of at most 0.03 % a step, drawn back to `home`.
pub(crate) fn walk(random: &mut Random, now: i64, home: i64) -> i64 {
    let reach = (now / 3_333).max(1);
    let drift = (home - now) / 2_048;
    (now + random.below(2 * reach + 1) - reach + drift).max(home / 4).max(100)
}

/// One candle. Prices in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candle {
    pub open_ms: u64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    /// In lots.
    pub volume: i64,
    /// In ticks × lots.
    pub value: i128,
    pub trades: u64,
}

impl Candle {
    const fn flat(open_ms: u64, price: i64) -> Self {
        Self { open_ms, open: price, high: price, low: price, close: price, volume: 0, value: 0, trades: 0 }
    }

    fn touch(&mut self, price: i64) {
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
    }

    fn join(&mut self, later: &Self) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.value += later.value;
        self.trades += later.trades;
    }
}

/// What has traded on one instrument.
#[derive(Debug)]
pub(crate) struct Tape {
    candles: VecDeque<Candle>,
    trades: VecDeque<PublicTrade>,
    next_trade_id: u64,
}

impl Tape {
    /// A tape with two days of generated history that ends at `price` now.
    pub(crate) fn with_history(random: &mut Random, price: i64, lots_per_minute: i64, now_ms: u64) -> Self {
        let mut candles = VecDeque::with_capacity(CANDLES);
        let mut close = price;
        let mut open_ms = now_ms - now_ms % MINUTE_MS;
        for _ in 0..CANDLES {
            let mut candle = Candle::flat(open_ms, close);
            candle.touch(walk(random, close, price));
            candle.touch(walk(random, close, price));
            candle.open = candle.close;
            candle.close = close;
            candle.volume = 1 + random.below(lots_per_minute);
            candle.value = i128::from(candle.volume) * i128::from(close);
            candle.trades = 1 + random.next() % 50;
            close = candle.open;
            candles.push_front(candle);
            open_ms = open_ms.saturating_sub(MINUTE_MS);
        }
        Self { candles, trades: VecDeque::new(), next_trade_id: 1 }
    }

    /// Numbers the trades from here on.
    pub(crate) fn number_from(&mut self, first_id: u64) {
        self.next_trade_id = first_id;
    }

    /// Notes a trade of `lots` at `ticks`; `trade`'s id is set here.
    pub(crate) fn record(&mut self, mut trade: PublicTrade, ticks: i64, lots: i64) -> PublicTrade {
        trade.id = self.next_trade_id;
        self.next_trade_id += 1;
        if self.trades.len() == TRADES {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
        let candle = self.current(trade.time_ms);
        candle.touch(ticks);
        candle.volume += lots;
        candle.value += i128::from(ticks) * i128::from(lots);
        candle.trades += 1;
        trade
    }

    /// Opens the candles up to `now_ms`, so that quiet minutes exist too.
    pub(crate) fn current(&mut self, now_ms: u64) -> &mut Candle {
        let minute = now_ms - now_ms % MINUTE_MS;
        let last = *self.candles.back().expect("history is never empty");
        // A clock that jumped far is not walked minute by minute.
        let first = (last.open_ms + MINUTE_MS).max(minute.saturating_sub(CANDLES as u64 * MINUTE_MS));
        let mut open_ms = first;
        while open_ms <= minute {
            if self.candles.len() == CANDLES {
                self.candles.pop_front();
            }
            self.candles.push_back(Candle::flat(open_ms, last.close));
            open_ms += MINUTE_MS;
        }
        self.candles.back_mut().expect("history is never empty")
    }

    /// The last traded price, in ticks.
    pub(crate) fn last(&self) -> i64 {
        self.candles.back().expect("history is never empty").close
    }

    /// Public trades, oldest first.
    pub(crate) fn trades(&self) -> impl DoubleEndedIterator<Item = &PublicTrade> {
        self.trades.iter()
    }

    /// Candles of `interval_ms` that open in `from..=to`, oldest first; the last `limit`, or with
    /// `from_first` the first `limit`.
    pub(crate) fn candles(
        &self,
        interval_ms: u64,
        from: Option<u64>,
        to: Option<u64>,
        limit: usize,
    ) -> Vec<Candle> {
        let mut joined: Vec<Candle> = Vec::new();
        for candle in &self.candles {
            let open_ms = candle.open_ms - candle.open_ms % interval_ms;
            if from.is_some_and(|from| open_ms < from) || to.is_some_and(|to| open_ms > to) {
                continue;
            }
            match joined.last_mut() {
                Some(last) if last.open_ms == open_ms => last.join(candle),
                _ => joined.push(Candle { open_ms, ..*candle }),
            }
        }
        if from.is_some() {
            joined.truncate(limit);
        } else if joined.len() > limit {
            joined.drain(..joined.len() - limit);
        }
        joined
    }

    /// The last 24 hours as one candle.
    pub(crate) fn day(&self) -> Candle {
        let recent = self.candles.iter().skip(self.candles.len().saturating_sub(1_440));
        let mut recent = recent.copied();
        let mut day = recent.next().expect("history is never empty");
        recent.for_each(|candle| day.join(&candle));
        day
    }
}

/// A recorded price path: `(milliseconds, price)` from oldest to newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording(Vec<(u64, Decimal)>);

/// Most lines a recording may have.
const MAX_RECORDED: usize = 1_000_000;

impl Recording {
    /// Reads `ts_ms,symbol,price` lines (a first line that starts with `ts` is a heading); keeps
    /// those of `symbol`.
    ///
    /// # Errors
    ///
    /// The number of the line that is malformed, goes back in time, or is one too many.
    pub fn parse(text: &str, symbol: &str) -> Result<Self, usize> {
        let mut points: Vec<(u64, Decimal)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.is_empty() || (at == 0 && line.starts_with("ts")) {
                continue;
            }
            let mut cells = line.split(',').map(str::trim);
            let parsed = match (cells.next(), cells.next(), cells.next(), cells.next()) {
                (Some(time), Some(name), Some(price), None) => {
                    time.parse::<u64>().ok().zip(price.parse::<Decimal>().ok()).map(|point| (name, point))
                }
                _ => None,
            };
            let (name, point) = parsed.filter(|(_, (_, price))| price.is_positive()).ok_or(at + 1)?;
            if name != symbol {
                continue;
            }
            if points.len() == MAX_RECORDED || points.last().is_some_and(|last| last.0 > point.0) {
                return Err(at + 1);
            }
            points.push(point);
        }
        Ok(Self(points))
    }

    /// The price `elapsed_ms` after the recording's start, which repeats when it ends.
    pub(crate) fn at(&self, elapsed_ms: u64) -> Option<Decimal> {
        let (first, last) = (self.0.first()?.0, self.0.last()?.0);
        let wanted = first + elapsed_ms % (last - first + 1);
        let after = self.0.partition_point(|point| point.0 <= wanted);
        Some(self.0[after.saturating_sub(1)].1)
    }
}

/// `ticks` as a price.
pub(crate) fn price_of(ticks: i64, tick: Decimal) -> Decimal {
    num::of_units(ticks, tick)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_path() {
        let path = |seed| {
            let mut random = Random::new(seed);
            (0..100)
                .scan(60_000, |now, _| {
                    *now = walk(&mut random, *now, 60_000);
                    Some(*now)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(path(7), path(7));
        assert_ne!(path(7), path(8));
    }

    #[test]
    fn candles_join_into_longer_ones() {
        let mut tape = Tape::with_history(&mut Random::new(1), 60_000, 100, 3_600_000 * 1_000);
        tape.current(3_600_000 * 1_000 + 59_000).touch(61_000);
        let hours = tape.candles(3_600_000, None, None, 2);
        assert_eq!(hours.len(), 2);
        assert_eq!(hours[1].high, 61_000);
        assert_eq!(hours[1].open_ms - hours[0].open_ms, 3_600_000);
        assert_eq!(tape.candles(MINUTE_MS, None, None, 10_000).len(), CANDLES);
    }

    #[test]
    fn a_recording_holds_its_last_price_and_repeats() {
        let text = "ts_ms,symbol,price\n1000,BTCUSDT,10\n1500,ETHUSDT,1\n2000,BTCUSDT,20\n";
        let recording = Recording::parse(text, "BTCUSDT").expect("well formed");
        assert_eq!(recording.at(999), Some(num::constant("10")));
        assert_eq!(recording.at(1_000), Some(num::constant("20")));
        assert_eq!(recording.at(1_001), Some(num::constant("10")));
        assert_eq!(Recording::parse("1000,BTCUSDT", "BTCUSDT"), Err(1));
        assert_eq!(Recording::parse("2,A,1\n1,A,1", "A"), Err(2));
    }
}
