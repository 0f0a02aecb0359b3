//! Which orders were signed of late, so that a repetition is seen. Bounded.

use std::collections::{BTreeMap, VecDeque};

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
        let mut mixed = Mixed::default();
        let decimals = [
            match amount {
                Amount::Base(quantity) => Some(quantity.decimal()),
                Amount::Quote(notional) => Some(notional.decimal()),
                Amount::WholePosition => None,
            },
            price.map(Price::decimal),
            trigger_price.map(Price::decimal),
        ];
        let mut scales = 0;
        for decimal in decimals {
            // What is not said has a scale that no number has.
            let (mantissa, scale) =
                decimal.map_or((0, u8::MAX), |decimal| (decimal.mantissa(), decimal.scale()));
            mixed.add(mantissa as u64);
            mixed.add((mantissa >> 64) as u64);
            scales = scales << 8 | u64::from(scale);
        }
        mixed.add(scales);
        let words = [
            instrument.venue as u8,
            instrument.market as u8,
            *side as u8,
            *order_type as u8,
            matches!(amount, Amount::Base(_)).into(),
            matches!(amount, Amount::Quote(_)).into(),
            *time_in_force as u8,
            u8::from(*post_only) | u8::from(*reduce_only) << 1,
        ];
        mixed.add(u64::from_le_bytes(words));
        let symbol = instrument.symbol.as_str().as_bytes();
        let (whole, rest) = symbol.as_chunks();
        whole.iter().for_each(|chunk| mixed.add(u64::from_le_bytes(*chunk)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mixed.add(u64::from_le_bytes(last));
        mixed.add(symbol.len() as u64);
        Self(mixed.0)
    }
}

/// Mixes words into one. The same in every build, because records of restarts keep it. Not made
/// against someone who looks for collisions: one denies, and never allows.
#[derive(Default)]
struct Mixed(u64);

impl Mixed {
    #[inline]
    const fn add(&mut self, word: u64) {
        // An odd constant without a pattern: 2^64 over the golden ratio.
        let product = ((self.0.rotate_left(23) ^ word) as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

/// Whether at least `least` of `times` lie in the `window_ms` before `now`; looks at one of them only.
#[inline]
pub(crate) fn has_within(
    times: Option<&VecDeque<Timestamp>>,
    window_ms: u64,
    least: u64,
    now: Timestamp,
) -> bool {
    let Some(back) = least.checked_sub(1) else { return true };
    let from_the_end = |times: &VecDeque<Timestamp>| {
        let last = times.len().checked_sub(1)?;
        times.get(last.checked_sub(usize::try_from(back).ok()?)?).copied()
    };
    times.and_then(from_the_end).is_some_and(|at| now.since_ms(at) < window_ms)
}

/// How many of `times` lie in the `window_ms` before `now`.
pub(crate) fn within(times: Option<&VecDeque<Timestamp>>, window_ms: u64, now: Timestamp) -> u64 {
    let Some(times) = times else { return 0 };
    times.iter().rev().take_while(|at| now.since_ms(**at) < window_ms).count() as u64
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

    /// The contents signed at each time, in order.
    pub(super) fn stored(&self) -> Vec<(Timestamp, Vec<u64>)> {
        let mut stored: Vec<(Timestamp, Vec<u64>)> = Vec::new();
        for &(at, content) in &self.signed {
            match stored.last_mut().filter(|(same, _)| *same == at) {
                Some((_, contents)) => contents.push(content),
                None => stored.push((at, vec![content])),
            }
        }
        stored
    }

    pub(super) fn read(stored: Vec<(Timestamp, Vec<u64>)>) -> Result<Self, &'static str> {
        if stored.iter().map(|(_, contents)| contents.len()).sum::<usize>() > REMEMBERED {
            return Err("more orders than are remembered");
        }
        let mut read = Self::default();
        let each =
            stored.into_iter().flat_map(|(at, contents)| contents.into_iter().map(move |one| (at, one)));
        for (at, content) in each {
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
