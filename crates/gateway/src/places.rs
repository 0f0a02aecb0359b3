//! How many may be connected at once, and who goes when there is no place left.
//!
//! Whoever just holds a connection open makes room for whoever comes: first of those that have shown no
//! valid login, then of those idle longest. A request that came in whole is never cut off.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The places at one listener.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    /// Counts everything that happens here: a clock for who was idle longest.
    turn: AtomicU64,
    taken: Mutex<BTreeMap<u64, Arc<Place>>>,
}

/// One connection's place.
#[derive(Debug, Default)]
pub(crate) struct Place {
    under_way: AtomicUsize,
    last: AtomicU64,
    known: AtomicBool,
    leave: Notify,
}

/// A place taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    places: Arc<Places>,
    id: u64,
    pub(crate) place: Arc<Place>,
}

/// A request under way until this is dropped.
pub(crate) struct Busy<'a>(&'a Place, &'a Places);

impl Places {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, turn: AtomicU64::new(0), taken: Mutex::new(BTreeMap::new()) })
    }

    /// A place for a new connection; the longest idle one is told to leave if there is none. `None` if
    /// all are at work.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Taken> {
        let mut taken = self.locked();
        if taken.len() >= self.most {
            let idle = taken.iter().filter(|(_, place)| place.under_way.load(Ordering::Acquire) == 0);
            let (&id, _) = idle.min_by_key(|(_, place)| {
                (place.known.load(Ordering::Relaxed), place.last.load(Ordering::Relaxed))
            })?;
            taken.remove(&id)?.leave.notify_one();
        }
        let id = self.tick();
        let place = Arc::new(Place { last: AtomicU64::new(id), ..Place::default() });
        taken.insert(id, Arc::clone(&place));
        Some(Taken { places: Arc::clone(self), id, place })
    }

    fn tick(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whoever is connected has shown a login that is valid.
    pub(crate) fn is_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

impl Taken {
    /// Ends when another needs the place more.
    pub(crate) async fn lost(&self) {
        self.place.leave.notified().await;
    }

    /// Takes note of a request under way.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.place.under_way.fetch_add(1, Ordering::AcqRel);
        Busy(&self.place, &self.places)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.places.locked().remove(&self.id);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.last.store(self.1.tick(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn must_leave(taken: &Taken) -> bool {
        let lost = pin!(taken.lost());
        lost.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_idle_stranger_leaves_first_then_the_longest_idle_and_nobody_at_work() {
        let places = Places::new(3);
        let first = places.take().expect("room");
        let known = places.take().expect("room");
        known.place.is_known();
        let third = places.take().expect("room");
        drop(first.busy());
        let fourth = places.take().expect("the third was idle longest of the strangers");
        assert!(must_leave(&third) && !must_leave(&first) && !must_leave(&known));
        let (one, two) = (first.busy(), fourth.busy());
        let fifth = places.take().expect("the known one is idle");
        assert!(must_leave(&known));
        let three = fifth.busy();
        assert!(places.take().is_none(), "all are at work");
        drop((one, two, three));
        assert!(places.take().is_some());
    }
}
