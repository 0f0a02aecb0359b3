//! One venue as its front sees it: the exchange behind a lock, keys, limits, faults, counters.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use trading::{Market, Venue};

use crate::auth::Keys;
use crate::exchange::{Command, Event, Exchange, Reject};

/// Event batches a slow stream may lag behind before it is closed.
const BACKLOG: usize = 4_096;
/// Distinct addresses or keys counted at once; the oldest is forgotten.
const MAX_COUNTED: usize = 1_024;
/// Distinct faults waiting.
const MAX_FAULTS: usize = 64;

/// What a venue has seen. Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub requests: AtomicU64,
    pub orders_accepted: AtomicU64,
    pub orders_rejected: AtomicU64,
    pub orders_amended: AtomicU64,
    pub orders_cancelled: AtomicU64,
    pub signatures_refused: AtomicU64,
    pub permissions_refused: AtomicU64,
    pub withdrawals: AtomicU64,
    pub transfers: AtomicU64,
    pub rate_limited: AtomicU64,
    pub faults_served: AtomicU64,
    pub streams: AtomicU64,
}

impl Clock {
    pub(crate) fn now_ms(&self) -> u64 {
        match self {
            Self::Wall => now_ms(),
            #[cfg(feature = "sim")]
            Self::Set(now) => now.load(Ordering::Relaxed),
        }
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Stats {
    pub(crate) fn to_json(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "requests": read(&self.requests),
            "orders_accepted": read(&self.orders_accepted),
            "orders_rejected": read(&self.orders_rejected),
            "orders_amended": read(&self.orders_amended),
            "orders_cancelled": read(&self.orders_cancelled),
            "signatures_refused": read(&self.signatures_refused),
            "permissions_refused": read(&self.permissions_refused),
            "withdrawals": read(&self.withdrawals),
            "transfers": read(&self.transfers),
            "rate_limited": read(&self.rate_limited),
            "faults_served": read(&self.faults_served),
            "streams": read(&self.streams),
        })
    }
}

/// An answer to give instead of the real one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// How many requests get it.
    #[serde(default = "one")]
    pub count: u32,
    /// Only requests whose path starts so.
    #[serde(default)]
    pub path: String,
    /// The body, instead of an empty one.
    #[serde(default)]
    pub body: String,
}

const fn one() -> u32 {
    1
}

/// A fixed window of uses per owner.
#[derive(Debug, Default)]
struct Windows(BTreeMap<String, (u64, u32)>);

impl Windows {
    /// Adds `weight` to `owner`'s current window; returns the sum.
    fn add(&mut self, owner: &str, window: u64, weight: u32) -> u32 {
        if self.0.len() >= MAX_COUNTED && !self.0.contains_key(owner) {
            self.0.pop_first();
        }
        let entry = self.0.entry(owner.to_owned()).or_default();
        if entry.0 != window {
            *entry = (window, 0);
        }
        entry.1 = entry.1.saturating_add(weight);
        entry.1
    }
}

/// A Binance listen key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListenKey {
    pub account: usize,
    pub expires_ms: u64,
}

/// Shared by every connection of one venue.
pub(crate) struct Front {
    pub venue: Venue,
    pub keys: Keys,
    pub stats: Stats,
    pub weight_per_minute: u32,
    pub orders_per_second: u32,
    pub listen_keys: Mutex<BTreeMap<String, ListenKey>>,
    /// Binance's cancel-on-silence timers: account and instrument to the time they fire.
    pub countdowns: Mutex<BTreeMap<(usize, usize), u64>>,
    exchange: Mutex<Exchange>,
    events: broadcast::Sender<Arc<Vec<Event>>>,
    windows: Mutex<Windows>,
    faults: Mutex<VecDeque<Fault>>,
    serial: AtomicU64,
    clock: Clock,
}

/// What time it is at the venue.
pub(crate) enum Clock {
    /// The machine's.
    Wall,
    /// Set from outside, in milliseconds since 1970.
    #[cfg(feature = "sim")]
    Set(AtomicU64),
}

impl Front {
    pub(crate) fn new(
        venue: Venue,
        exchange: Exchange,
        keys: Keys,
        limits: (u32, u32),
        clock: Clock,
    ) -> Self {
        Self {
            venue,
            keys,
            stats: Stats::default(),
            weight_per_minute: limits.0,
            orders_per_second: limits.1,
            listen_keys: Mutex::default(),
            countdowns: Mutex::default(),
            exchange: Mutex::new(exchange),
            events: broadcast::channel(BACKLOG).0,
            windows: Mutex::default(),
            faults: Mutex::default(),
            serial: AtomicU64::new(1),
            clock,
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Sets a clock that is set from outside.
    #[cfg(feature = "sim")]
    pub(crate) fn set_clock(&self, now_ms: u64) {
        if let Clock::Set(now) = &self.clock {
            now.store(now_ms, Ordering::Relaxed);
        }
    }

    /// The exchange, to read from.
    pub(crate) fn exchange(&self) -> MutexGuard<'_, Exchange> {
        lock(&self.exchange)
    }

    /// Changes the exchange now and tells the streams.
    pub(crate) fn apply(&self, command: Command) -> Result<Vec<u64>, Reject> {
        let counter = match &command {
            Command::Place(_) => Some(&self.stats.orders_accepted),
            Command::Amend { .. } => Some(&self.stats.orders_amended),
            Command::Cancel { .. } => Some(&self.stats.orders_cancelled),
            _ => None,
        };
        let places = matches!(command, Command::Place(_));
        // The events are sent under the lock, so that streams see them in the order they happened.
        let mut exchange = self.exchange();
        let outcome = exchange.apply(command, self.now_ms());
        if !outcome.events.is_empty() {
            // No receiver is no error.
            let _unheard = self.events.send(Arc::new(outcome.events));
        }
        drop(exchange);
        match (&outcome.result, counter) {
            (Ok(_), Some(counter)) => count(counter),
            (Err(_), _) if places => count(&self.stats.orders_rejected),
            _ => {}
        }
        outcome.result
    }

    /// Moves the market on by one step and fires the timers that are due.
    pub(crate) fn step(&self) {
        let _never_rejected = self.apply(Command::Step);
        let now = self.now_ms();
        let mut due = Vec::new();
        lock(&self.countdowns).retain(|owner, fires_ms| {
            let waits = *fires_ms > now;
            if !waits {
                due.push(*owner);
            }
            waits
        });
        for (account, instrument) in due {
            let command =
                Command::CancelAll { account, market: Market::Linear, instrument: Some(instrument) };
            let _never_rejected = self.apply(command);
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Vec<Event>>> {
        self.events.subscribe()
    }

    /// Adds request weight to an address's minute; returns the sum.
    pub(crate) fn weigh(&self, peer: IpAddr, family: &str, weight: u32) -> u32 {
        lock(&self.windows).add(&format!("{family} {peer}"), self.now_ms() / 60_000, weight)
    }

    /// Counts a key's order request in a window of `window_ms`; returns how many that window has.
    pub(crate) fn count_order(&self, api_key: &str, window_ms: u64, orders: u32) -> u32 {
        lock(&self.windows).add(&format!("order {window_ms} {api_key}"), self.now_ms() / window_ms, orders)
    }

    /// A number never given before.
    pub(crate) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a fault; `false` if too many wait.
    pub(crate) fn add_fault(&self, fault: Fault) -> bool {
        let mut faults = lock(&self.faults);
        let room = faults.len() < MAX_FAULTS;
        if room {
            faults.push_back(fault);
        }
        room
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// The fault to answer a request for `path` with, if one waits.
    pub(crate) fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let at = faults.iter().position(|fault| path.starts_with(&fault.path))?;
        let fault = faults[at].clone();
        if fault.count <= 1 {
            faults.remove(at);
        } else {
            faults[at].count -= 1;
        }
        count(&self.stats.faults_served);
        Some(fault)
    }
}

/// Locks; a thread that panicked while holding it left state that is still whole enough to report.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
