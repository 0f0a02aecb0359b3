//! Which orders were signed of late, so that a repetition is seen. Bounded.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use trading::{Order, Timestamp};

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
        let mut hasher = DefaultHasher::new();
        instrument.hash(&mut hasher);
        (side, order_type, amount, price, trigger_price).hash(&mut hasher);
        (time_in_force, post_only, reduce_only).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Recent {
    /// How many orders of this content were signed in the `window_ms` before `now`, counted up to
    /// `most`.
    pub(crate) fn count(&self, content: Content, window_ms: u64, most: u64, now: Timestamp) -> u64 {
        let Some(times) = self.times.get(&content.0) else { return 0 };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        times.iter().rev().take(most).take_while(|at| now.since_ms(**at) < window_ms).count() as u64
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
