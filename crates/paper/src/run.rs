//! Starting and stopping.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use trading::{Decimal, Market, Venue};

use crate::auth::Keys;
use crate::config::Config;
use crate::control;
use crate::exchange::{Exchange, InstrumentSpec, Recording, Rules};
use crate::num::constant;
use crate::server::{answer, serve};
use crate::state::{Clock, Front};

/// Largest configured balance, so that sums stay exact.
const MAX_BALANCE: i64 = 1_000_000_000_000;

/// Where the venue listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Addresses {
    /// Binance, HTTP and WebSocket.
    pub binance: SocketAddr,
    /// Bybit, HTTP and WebSocket.
    pub bybit: SocketAddr,
    /// Statistics and faults, HTTP.
    pub control: SocketAddr,
}

/// Why the venue did not start.
#[derive(Debug, Error)]
pub enum Error {
    /// An address could not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The control address is not loopback.
    #[error("the control address {0} is not loopback")]
    ControlNotLoopback(SocketAddr),
    /// The price file could not be read.
    #[error("cannot read {path}")]
    PriceFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The price file is malformed.
    #[error("line {line} of {path} is not `ts_ms,symbol,price` in order of time")]
    PriceLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
    },
    /// An instrument makes no sense.
    #[error("instrument {0}: spot or linear, positive steps, and at most 10^7 of anything")]
    Instrument(String),
    /// An API key is given twice, or its PEM cannot be read.
    #[error("API key {0} is given twice or its PEM cannot be read")]
    Key(String),
    /// A balance is negative or above 10^12.
    #[error("a balance of account {0} is negative, above 10^12, or finer than 8 digits")]
    Balance(String),
    /// Ids would outgrow the venues' forms.
    #[error("first id {0} is not between 1 and {max}", max = Config::MAX_FIRST_ID - 1)]
    FirstId(u64),
    /// The helper thread of [`spawn`] could not start.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Serves until `shutdown` completes; calls `ready` once with the bound addresses.
///
/// # Errors
///
/// [`enum@Error`] says what in the configuration, or of the machine, keeps it from starting.
pub async fn run(
    config: Config,
    ready: impl FnOnce(Addresses),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    if !config.control.ip().is_loopback() {
        return Err(Error::ControlNotLoopback(config.control));
    }
    if !(1..Config::MAX_FIRST_ID).contains(&config.first_id) {
        return Err(Error::FirstId(config.first_id));
    }
    let fronts: Arc<[Arc<Front>]> = Venue::ALL
        .iter()
        .map(|venue| open(*venue, &config, Clock::Wall).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let (binance, binance_at) = bind(config.binance).await?;
    let (bybit, bybit_at) = bind(config.bybit).await?;
    let (admin, control_at) = bind(config.control).await?;
    ready(Addresses { binance: binance_at, bybit: bybit_at, control: control_at });
    let serve_front = |listener, at: usize| {
        let front = Arc::clone(&fronts[at]);
        serve(listener, move |request, peer| answer(Arc::clone(&front), request, peer))
    };
    let all = Arc::clone(&fronts);
    tokio::select! {
        () = shutdown => {}
        () = serve_front(binance, 0) => {}
        () = serve_front(bybit, 1) => {}
        () = serve(admin, move |request, peer| {
            let all = Arc::clone(&all);
            async move { Some(control::answer(all, request, peer).await) }
        }) => {}
        () = keep_stepping(&fronts, config.tick_ms) => {}
    }
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let refused = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

async fn keep_stepping(fronts: &[Arc<Front>], tick_ms: u64) {
    if tick_ms == 0 {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(tick_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for front in fronts {
            front.step();
        }
    }
}

/// Builds one venue from the configuration.
pub(crate) fn open(venue: Venue, config: &Config, clock: Clock) -> Result<Front, Error> {
    let mut instruments = Vec::new();
    for spec in &config.instruments {
        check_instrument(spec)?;
        instruments.push((spec.clone(), recording(config, &spec.symbol)?));
    }
    let salt = if venue == Venue::Binance { 0 } else { 1 };
    let mut exchange =
        Exchange::new(rules(venue), instruments, config.seed.wrapping_mul(2) + salt, clock.now_ms());
    exchange.number_from(config.first_id);
    let mut keys = Keys::default();
    let mut funded = Vec::new();
    for key in config.accounts.iter().filter(|key| key.venue == venue) {
        let account = exchange.open_account(&key.name);
        if !keys.insert(key, account) {
            return Err(Error::Key(key.api_key.clone()));
        }
        if funded.contains(&account) {
            continue; // another key of an account that has its money already
        }
        let wallets = [(Market::Spot, &key.balances), (Market::Linear, &key.futures_balances)];
        for (market, balances) in wallets {
            for (asset, amount) in balances {
                let most = Decimal::from_integer(MAX_BALANCE);
                if amount.is_negative() || *amount > most || amount.scale() > 8 {
                    return Err(Error::Balance(key.name.clone()));
                }
                exchange.deposit(account, market, asset, *amount);
                funded.push(account);
            }
        }
    }
    Ok(Front::new(
        venue,
        exchange,
        keys,
        (config.weight_per_minute, config.orders_per_second),
        clock,
        config.seed.wrapping_mul(2) + salt,
    ))
}

/// Fees of the lowest tier, as the venues publish them.
fn rules(venue: Venue) -> Rules {
    match venue {
        Venue::Binance => Rules {
            unified: false,
            client_ids_once: false,
            spot_fee: constant("0.001"),
            maker_fee: constant("0.0002"),
            taker_fee: constant("0.0005"),
            leverage: 20,
        },
        Venue::Bybit => Rules {
            unified: true,
            client_ids_once: true,
            spot_fee: constant("0.001"),
            maker_fee: constant("0.0002"),
            taker_fee: constant("0.00055"),
            leverage: 10,
        },
    }
}

fn check_instrument(spec: &InstrumentSpec) -> Result<(), Error> {
    let most = Decimal::from_integer(10_000_000);
    let positive = [spec.tick, spec.lot, spec.max_quantity, spec.max_price, spec.start_price];
    let steps_fit = spec.tick.scale() <= 6 && spec.lot.scale() <= 6 && spec.min_notional.scale() <= 6;
    let sane = positive.iter().all(|value| value.is_positive() && *value <= most)
        && !spec.min_notional.is_negative()
        && spec.min_notional <= most
        && spec.start_price <= spec.max_price
        && matches!(spec.market, Market::Spot | Market::Linear);
    if sane && steps_fit { Ok(()) } else { Err(Error::Instrument(spec.symbol.clone())) }
}

fn recording(config: &Config, symbol: &str) -> Result<Recording, Error> {
    let Some(path) = &config.prices else { return Ok(Recording::default()) };
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::PriceFile { path: path.clone(), source })?;
    Recording::parse(&text, symbol).map_err(|line| Error::PriceLine { path: path.clone(), line })
}

/// A venue on a thread of its own; stops when dropped.
pub struct Spawned {
    /// Where it listens.
    pub addresses: Addresses,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Spawned {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Starts a venue on a thread of its own and waits until it listens.
///
/// # Errors
///
/// As [`run()`], and [`Error::Thread`].
pub fn spawn(config: Config) -> Result<Spawned, Error> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (started, starting) = std::sync::mpsc::channel::<Result<Addresses, Error>>();
    let failed = started.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
    let body = move || {
        let ready = move |addresses| {
            let _caller_gone = started.send(Ok(addresses));
        };
        let shutdown = async {
            let _dropped = stopped.await;
        };
        if let Err(error) = runtime.block_on(run(config, ready, shutdown)) {
            let _caller_gone = failed.send(Err(error));
        }
    };
    let thread = std::thread::Builder::new().name("paper".to_owned()).spawn(body).map_err(Error::Thread)?;
    let gone = || Error::Thread(io::Error::other("the venue's thread ended early"));
    let addresses = starting.recv().unwrap_or_else(|_| Err(gone()))?;
    Ok(Spawned { addresses, stop: Some(stop), thread: Some(thread) })
}
