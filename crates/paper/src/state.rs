//! One venue as its front sees it: the exchange behind a lock, keys, limits, faults, counters.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::broadcast;
use trading::{Decimal, Market, Venue};

use crate::auth::Keys;
use crate::exchange::{Command, EntryKind, Event, Exchange, Reject, Target};
use crate::faults::{Fault, Faults};

/// Event batches a slow stream may lag behind before it is closed.
const BACKLOG: usize = 4_096;
/// Distinct addresses or keys counted at once; the oldest is forgotten.
const MAX_COUNTED: usize = 1_024;
/// Transfers remembered; the oldest is forgotten.
const MAX_TRANSFERS: usize = 10_000;
/// Most futures orders that one cancel of Bybit takes.
const BYBIT_CANCELS: usize = 500;

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

/// A transfer between accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferRecord {
    /// The sender's own id.
    pub id: String,
    /// Ours.
    pub serial: u64,
    pub from: usize,
    pub to: usize,
    pub asset: String,
    pub amount: Decimal,
    pub from_wallet: String,
    pub to_wallet: String,
    pub at_ms: u64,
}

/// Bybit's disconnect protection of one account and product.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Protection {
    /// After how much silence it cancels; absent until it is set.
    pub window_ms: Option<u64>,
    /// Private streams that have the topic.
    pub listeners: u32,
    /// When it cancels, if no stream comes back.
    pub fires_ms: Option<u64>,
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
    /// Bybit's disconnect protection, by account and market.
    pub protections: Mutex<BTreeMap<(usize, Market), Protection>>,
    /// Transfers between accounts, oldest first.
    pub transfers: Mutex<VecDeque<TransferRecord>>,
    frozen: Mutex<BTreeSet<usize>>,
    exchange: Mutex<Exchange>,
    events: broadcast::Sender<Arc<Vec<Event>>>,
    windows: Mutex<Windows>,
    faults: Mutex<Faults>,
    skew_ms: AtomicI64,
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
        seed: u64,
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
            faults: Mutex::new(Faults::new(seed)),
            skew_ms: AtomicI64::new(0),
            protections: Mutex::default(),
            transfers: Mutex::default(),
            frozen: Mutex::default(),
            serial: AtomicU64::new(1),
            clock,
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms().saturating_add_signed(self.skew_ms.load(Ordering::Relaxed))
    }

    /// Sets the venue's clock so far ahead of the machine's, or behind.
    pub(crate) fn set_skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
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
        self.fire_protections();
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

    /// Queues a fault; `false` if too many wait or it makes no sense.
    pub(crate) fn add_fault(&self, fault: Fault) -> bool {
        lock(&self.faults).add(fault)
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// The fault to answer a request for `path` with, if one waits.
    pub(crate) fn take_fault(&self, path: &str) -> Option<Fault> {
        let fault = lock(&self.faults).take(path, false)?;
        count(&self.stats.faults_served);
        Some(fault)
    }

    /// Lets nothing through any more, or everything again.
    pub(crate) fn set_dead(&self, dead: bool) {
        lock(&self.faults).dead = dead;
    }

    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.faults).dead
    }

    pub(crate) fn set_frozen(&self, account: usize, frozen: bool) {
        let mut all = lock(&self.frozen);
        if frozen {
            all.insert(account);
        } else {
            all.remove(&account);
        }
    }

    pub(crate) fn is_frozen(&self, account: usize) -> bool {
        lock(&self.frozen).contains(&account)
    }

    /// Cancels an account's open orders on some instruments, of one kind if `waiting` says so; as many as a
    /// fault, or Bybit's bound for futures, lets through. Returns the ids.
    pub(crate) fn cancel_some(
        &self,
        path: &str,
        account: usize,
        instruments: &[usize],
        waiting: Option<bool>,
    ) -> Vec<u64> {
        let (ids, futures): (Vec<(u64, usize)>, bool) = {
            let exchange = self.exchange();
            let chosen = exchange.open_orders(account).filter(|order| {
                let is_waiting = order.status == crate::exchange::Status::Untriggered;
                instruments.contains(&order.request.instrument)
                    && waiting.is_none_or(|wanted| wanted == is_waiting)
            });
            let futures = instruments.iter().any(|at| exchange.listings()[*at].spec.market == Market::Linear);
            (chosen.map(|order| (order.id, order.request.instrument)).collect(), futures)
        };
        let places: BTreeMap<u64, usize> = ids.iter().copied().collect();
        let bound = if futures && self.venue == Venue::Bybit { BYBIT_CANCELS } else { usize::MAX };
        let fault = lock(&self.faults).take(path, true);
        if fault.is_some() {
            count(&self.stats.faults_served);
        }
        let at_most = fault.map_or(bound, |fault| fault.at_most.min(bound));
        let chosen = lock(&self.faults).pick(places.keys().copied().collect(), at_most);
        chosen
            .into_iter()
            .filter(|id| {
                let command = Command::Cancel { account, instrument: places[id], target: Target::Id(*id) };
                self.apply(command).is_ok()
            })
            .collect()
    }

    /// Moves money between accounts, both sides or none; the same id again moves nothing. `Err(None)` is an
    /// id that is known.
    pub(crate) fn transfer(
        &self,
        mut record: TransferRecord,
        markets: (Market, Market),
    ) -> Result<TransferRecord, Option<Reject>> {
        let mut transfers = lock(&self.transfers);
        if transfers.iter().any(|known| known.id == record.id) {
            return Err(None);
        }
        let flow = |account, market, amount| Command::Flow {
            account,
            market,
            asset: record.asset.clone(),
            amount,
            kind: EntryKind::Transfer,
        };
        let taken =
            self.apply(flow(record.from, markets.0, crate::num::negate(record.amount))).map_err(Some)?;
        self.apply(flow(record.to, markets.1, record.amount)).map_err(Some)?;
        record.serial = taken.first().copied().unwrap_or_default();
        record.at_ms = self.now_ms();
        if transfers.len() == MAX_TRANSFERS {
            transfers.pop_front();
        }
        transfers.push_back(record.clone());
        Ok(record)
    }

    /// Notes that a private stream has, or no longer has, the topic of the disconnect protection.
    pub(crate) fn protect(&self, account: usize, market: Market, joins: bool) {
        let now = self.now_ms();
        let mut all = lock(&self.protections);
        let protection = all.entry((account, market)).or_default();
        if joins {
            protection.listeners += 1;
            protection.fires_ms = None;
        } else {
            protection.listeners = protection.listeners.saturating_sub(1);
            if protection.listeners == 0 {
                protection.fires_ms = protection.window_ms.map(|window| now.saturating_add(window));
            }
        }
    }

    /// Fires the disconnect protections that are due. They look at no position.
    fn fire_protections(&self) {
        let now = self.now_ms();
        let mut due = Vec::new();
        for (owner, protection) in lock(&self.protections).iter_mut() {
            if protection.fires_ms.is_some_and(|fires| fires <= now) {
                protection.fires_ms = None;
                due.push(*owner);
            }
        }
        for (account, market) in due {
            let _never_rejected = self.apply(Command::CancelAll { account, market, instrument: None });
        }
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
