//! Which orders were signed of late, so that a repetition is seen. Bounded.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};

use trading::{Amount, Order, Price, Timestamp};

/// Longest time a policy may look back, in milliseconds.
pub(crate) const MOST_MS: u64 = 60_000;
/// Orders remembered. A policy that looks back further than they reach denies.
const REMEMBERED: usize = 65_536;

/// The last orders signed, by what they say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recent {
    /// When orders of one content were signed, oldest first.
    times: BTreeMap<u64, VecDeque<Timestamp>>,
    /// In the order of signing: when, and the content.
    signed: VecDeque<(Timestamp, u64)>,
}

/// What an order says but for its client order id. A collision denies, never allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content(u64);

impl Content {
    pub(crate) fn of(order: &Order) -> Self {
        let Order {
            instrument,
            side,
            order_type,
            amount,
            price,
            trigger_price,
            time_in_force,
            post_only,
            reduce_only,
            client_order_id: _,
        } = order;
        let decimals = [
            match amount {
                Amount::Base(quantity) => Some(quantity.decimal()),
                Amount::Quote(notional) => Some(notional.decimal()),
                Amount::WholePosition => None,
            },
            price.map(Price::decimal),
            trigger_price.map(Price::decimal),
        ];
        // Gathered first, because the hasher is slow to start and stop.
        let mut bytes = [0; 3 * 17 + 9];
        for (part, decimal) in bytes.chunks_exact_mut(17).zip(decimals) {
            let decimal = decimal.unwrap_or_default();
            part[..16].copy_from_slice(&decimal.mantissa().to_le_bytes());
            part[16] = decimal.scale();
        }
        bytes[3 * 17..].copy_from_slice(&[
            instrument.venue as u8,
            instrument.market as u8,
            *side as u8,
            *order_type as u8,
            matches!(amount, Amount::Base(_)).into(),
            matches!(amount, Amount::Quote(_)).into(),
            *time_in_force as u8,
            u8::from(price.is_some()) | u8::from(trigger_price.is_some()) << 1,
            u8::from(*post_only) | u8::from(*reduce_only) << 1,
        ]);
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        hasher.write(instrument.symbol.as_str().as_bytes());
        Self(hasher.finish())
    }
}

/// How many of `times` lie in the `window_ms` before `now`, counted up to `most`.
pub(crate) fn within(times: Option<&VecDeque<Timestamp>>, window_ms: u64, most: u64, now: Timestamp) -> u64 {
    let Some(times) = times else { return 0 };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    times.iter().rev().take(most).take_while(|at| now.since_ms(**at) < window_ms).count() as u64
}

impl Recent {
    /// When orders of this content were signed, oldest first.
    #[inline]
    pub(crate) fn of(&self, content: Content) -> Option<&VecDeque<Timestamp>> {
        self.times.get(&content.0)
    }

    /// Whether everything signed in the `window_ms` before `now` is still remembered once `more`
    /// orders are added.
    pub(crate) fn reaches(&self, window_ms: u64, more: u64, now: Timestamp) -> bool {
        let forgotten = (self.signed.len() as u64 + more).saturating_sub(REMEMBERED as u64);
        let Some(last) = forgotten.checked_sub(1) else { return true };
        let last = usize::try_from(last).ok().and_then(|last| self.signed.get(last));
        last.is_some_and(|(at, _)| now.since_ms(*at) >= window_ms)
    }

    pub(crate) fn sign(&mut self, order: &Order, now: Timestamp) {
        self.forget(now);
        let Content(content) = Content::of(order);
        self.times.entry(content).or_default().push_back(now);
        self.signed.push_back((now, content));
    }

    pub(super) fn stored(&self) -> Vec<(Timestamp, u64)> {
        self.signed.iter().copied().collect()
    }

    pub(super) fn read(stored: Vec<(Timestamp, u64)>) -> Result<Self, &'static str> {
        if stored.len() > REMEMBERED {
            return Err("more orders than are remembered");
        }
        let mut read = Self::default();
        for (at, content) in stored {
            read.times.entry(content).or_default().push_back(at);
            read.signed.push_back((at, content));
        }
        Ok(read)
    }

    /// Starts to count anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(&(at, content)) = self.signed.front()
            && (now.since_ms(at) >= MOST_MS || self.signed.len() >= REMEMBERED)
        {
            self.signed.pop_front();
            if let Some(times) = self.times.get_mut(&content) {
                times.pop_front();
                if times.is_empty() {
                    self.times.remove(&content);
                }
            }
        }
    }
}
