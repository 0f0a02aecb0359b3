//! What a paper venue is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use trading::{Decimal, Market, Venue};

use crate::exchange::InstrumentSpec;
use crate::num::constant;

/// Everything the venue process needs. Nothing in it is worth anything elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where Binance (spot, USD-M, all streams) is served; port 0 lets the system choose.
    pub binance: SocketAddr,
    /// Where Bybit v5 (REST and streams) is served.
    pub bybit: SocketAddr,
    /// Where statistics and faults are served; must be loopback.
    pub control: SocketAddr,
    /// Seed of prices and liquidity.
    pub seed: u64,
    /// Id of the first order, and of each instrument's first trade; below [`Config::MAX_FIRST_ID`].
    /// A venue that starts again needs a higher one: ids that come twice name two orders.
    pub first_id: u64,
    /// Milliseconds between steps of the market maker; 0 leaves stepping to `POST /step`.
    pub tick_ms: u64,
    /// Request weight an address may use per minute on Binance, spot and futures each.
    pub weight_per_minute: u32,
    /// Order requests a key may send per second on Bybit.
    pub orders_per_second: u32,
    /// Instruments, listed on both venues.
    pub instruments: Vec<InstrumentSpec>,
    /// A recorded price path, `ts_ms,symbol,price`, used instead of the generator where it knows a symbol.
    pub prices: Option<PathBuf>,
    /// API keys. Keys of one venue with the same `name` act on the same account.
    pub accounts: Vec<KeyConfig>,
}

/// One API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The venue.
    pub venue: Venue,
    /// The account it acts on.
    pub name: String,
    /// The key as sent with requests.
    pub api_key: String,
    /// What its signatures are checked with.
    pub secret: Secret,
    /// What it may do.
    pub permissions: Permissions,
    /// The addresses it may be used from; any, if absent.
    #[serde(default)]
    pub ip_allow_list: Option<Vec<IpAddr>>,
    /// What the account starts with: spot wallet, or the unified account on Bybit.
    #[serde(default)]
    pub balances: BTreeMap<String, Decimal>,
    /// What the USD-M futures wallet starts with; Binance only.
    #[serde(default)]
    pub futures_balances: BTreeMap<String, Decimal>,
}

/// What a key's signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// The shared secret text of HMAC-SHA256.
    Hmac(String),
    /// An Ed25519 public key, PEM (`SubjectPublicKeyInfo`).
    Ed25519(String),
    /// An RSA public key, PEM (`SubjectPublicKeyInfo`).
    Rsa(String),
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Read balances, orders, fills, positions.
    #[serde(default)]
    pub read: bool,
    /// Place, amend and cancel orders; set leverage.
    #[serde(default)]
    pub trade: bool,
    /// Move money between accounts.
    #[serde(default)]
    pub transfer: bool,
    /// Take money out.
    #[serde(default)]
    pub withdraw: bool,
}

impl Permissions {
    /// What a trading bot needs and no more.
    pub const TRADE: Self = Self { read: true, trade: true, transfer: false, withdraw: false };
}

impl Config {
    /// Where ids start unless told otherwise, so that a seed gives the same exchange each time.
    pub const FIRST_ID: u64 = 10_000_001;
    /// Ids from here on would outgrow the twelve hexadecimal digits of Bybit's form within 2^40 orders.
    pub const MAX_FIRST_ID: u64 = (1 << 48) - (1 << 40);

    /// Loopback on free ports, four instruments, and on each venue an account `main` with two keys:
    /// one that trades and one that may also withdraw.
    #[must_use]
    pub fn demo(seed: u64) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut accounts = Vec::new();
        for venue in Venue::ALL {
            accounts.push(KeyConfig::demo(venue, "trade", Permissions::TRADE));
            let all = Permissions { transfer: true, withdraw: true, ..Permissions::TRADE };
            accounts.push(KeyConfig::demo(venue, "withdraw", all));
        }
        Self {
            binance: loopback,
            bybit: loopback,
            control: loopback,
            seed,
            first_id: Self::FIRST_ID,
            tick_ms: 250,
            weight_per_minute: 6_000,
            orders_per_second: 50,
            instruments: default_instruments(),
            prices: None,
            accounts,
        }
    }
}

impl KeyConfig {
    /// An HMAC key `paper-<venue>-<word>` with the secret `paper-<venue>-<word>-secret`, on account
    /// `main` with money to play with.
    #[must_use]
    pub fn demo(venue: Venue, word: &str, permissions: Permissions) -> Self {
        let api_key = format!("paper-{venue}-{word}");
        let balances = [("USDT", "1000000"), ("BTC", "10"), ("ETH", "100")];
        let futures = if venue == Venue::Binance { &balances[..1] } else { &[] };
        let read = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(asset, amount)| ((*asset).to_owned(), constant(amount))).collect()
        };
        Self {
            venue,
            name: "main".to_owned(),
            secret: Secret::Hmac(format!("{api_key}-secret")),
            api_key,
            permissions,
            ip_allow_list: None,
            balances: read(&balances),
            futures_balances: read(futures),
        }
    }
}

/// Bitcoin and ether against USDT, spot and linear.
#[must_use]
pub fn default_instruments() -> Vec<InstrumentSpec> {
    let listed = |market, base: &str, tick, lot, max_quantity, min_notional, start_price| InstrumentSpec {
        market,
        symbol: format!("{base}USDT"),
        base: base.to_owned(),
        quote: "USDT".to_owned(),
        tick: constant(tick),
        lot: constant(lot),
        max_quantity: constant(max_quantity),
        max_price: constant("1000000"),
        min_notional: constant(min_notional),
        start_price: constant(start_price),
    };
    vec![
        listed(Market::Spot, "BTC", "0.01", "0.00001", "9000", "5", "60000"),
        listed(Market::Spot, "ETH", "0.01", "0.0001", "9000", "5", "3000"),
        listed(Market::Linear, "BTC", "0.1", "0.001", "1000", "5", "60000"),
        listed(Market::Linear, "ETH", "0.01", "0.001", "10000", "5", "3000"),
    ]
}
