//! Who there is: one venue, two accounts, five bots, their limits, keys and logins.

use std::collections::BTreeMap;

use gateway::StandIn;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keys::{NewKey, Role, RootSecret, SealedStore, SecretText};
use paper::{Config, KeyConfig, Permissions, Secret};
use policy::Policy;
use sha2::Sha256;
use trading::{Decimal, Instrument, Intent, Market, Timestamp, Venue};
use vault::BaseUrls;
use venue::{Algorithm, HttpRequest, Surface};

/// Where the simulated time begins: two hours before midnight UTC.
pub(crate) const START_MS: u64 = 1_772_575_200_000;
/// Host of signed requests.
pub(crate) const BASE: &str = "http://venue.test";
/// How long the venue may take a request of a bot's.
pub(crate) const WINDOW_MS: u64 = 5_000;
const ROOT: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// What an account, or a bot in an account, may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) orders_per_second: usize,
    pub(crate) messages_per_second: usize,
    pub(crate) per_day: i64,
    pub(crate) per_24h: i64,
}

/// An account of the installation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountSetup {
    pub(crate) name: &'static str,
    pub(crate) limits: Limits,
}

/// A bot and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BotSetup {
    pub(crate) name: &'static str,
    pub(crate) account: &'static str,
    pub(crate) uid: u32,
    pub(crate) limits: Limits,
}

pub(crate) const ACCOUNTS: [AccountSetup; 2] = [
    AccountSetup {
        name: "main",
        limits: Limits { orders_per_second: 6, messages_per_second: 12, per_day: 24_000, per_24h: 36_000 },
    },
    AccountSetup {
        name: "swing",
        limits: Limits { orders_per_second: 4, messages_per_second: 8, per_day: 15_000, per_24h: 20_000 },
    },
];

/// Rests orders on both sides, through the gateway.
pub(crate) const GRID: usize = 0;
/// Takes, and exits with reduce-only orders, through the gateway.
pub(crate) const MOMENTUM: usize = 1;
/// Asks on the sign socket and sends by itself, sometimes late, sometimes twice.
pub(crate) const SWIFT: usize = 2;
/// Sends junk, replays, wrong stand-ins and other bots' names by either door.
pub(crate) const LIAR: usize = 3;
/// Trades like the grid and dies in the middle of requests; starts without memory.
pub(crate) const MORTAL: usize = 4;

pub(crate) const BOTS: [BotSetup; 5] = [
    BotSetup {
        name: "grid",
        account: "main",
        uid: 1000,
        limits: Limits { orders_per_second: 4, messages_per_second: 10, per_day: 12_000, per_24h: 18_000 },
    },
    BotSetup {
        name: "momentum",
        account: "main",
        uid: 1001,
        limits: Limits { orders_per_second: 3, messages_per_second: 6, per_day: 10_000, per_24h: 12_000 },
    },
    BotSetup {
        name: "swift",
        account: "swing",
        uid: 1002,
        limits: Limits { orders_per_second: 3, messages_per_second: 6, per_day: 10_000, per_24h: 15_000 },
    },
    BotSetup {
        name: "liar",
        account: "swing",
        uid: 1003,
        limits: Limits { orders_per_second: 2, messages_per_second: 4, per_day: 5_000, per_24h: 6_000 },
    },
    BotSetup {
        name: "mortal",
        account: "main",
        uid: 1004,
        limits: Limits { orders_per_second: 3, messages_per_second: 6, per_day: 6_000, per_24h: 9_000 },
    },
];

const ACCOUNT: &str = r#"
[accounts.{name}]
venue = "bybit"
currency = "USDT"
sides = ["buy", "sell"]
order_types = ["limit", "market"]
time_in_force = ["good_till_cancel", "immediate_or_cancel"]
maker_only = false
require_client_order_id = true
max_clock_skew_ms = 1500
max_recv_window_ms = 5000
max_mark_price_age_ms = 4000
max_price_deviation_bps = 1000
max_leverage = "3"
max_open_orders = 24
max_open_notional = "14000"
max_net_exposure = "16000"
prevent_self_crossing = true
new_orders_per_second = {orders}
messages_per_second = {messages}
kept_for_cancels_per_second = 2
duplicate_window_ms = 5
max_repeats = 30
repeat_window_ms = 10000
notional_per_utc_day = "{day}"
notional_rolling_24h = "{rolling}"
require_thesis = false
require_lease = false
max_daily_loss_bps = 500
max_weekly_loss_bps = 800
max_monthly_loss_bps = 1500
max_drawdown_bps = 1800
weekly_loss_size_factor = "0.5"
allow_library_extras = []
allow_settings = []
[accounts.{name}.symbols."linear:BTCUSDT"]
max_quantity = "0.05"
max_notional = "1500"
max_position = "0.4"
max_open_notional = "12000"
tick = "0.1"
lot = "0.001"
trading_hours = ["mon-sun 00:00-24:00"]
[accounts.{name}.symbols."linear:ETHUSDT"]
max_quantity = "1"
max_notional = "1500"
max_position = "4"
max_open_notional = "9000"
tick = "0.01"
lot = "0.001"
trading_hours = ["mon-sun 00:00-24:00"]
"#;

/// The policy's text.
pub(crate) fn policy_text() -> String {
    let mut text = String::from("version = 1\nwatchdogs = []\n");
    for BotSetup { name, account, uid, limits } in BOTS {
        let Limits { orders_per_second, messages_per_second, per_day, per_24h } = limits;
        text.push_str(&format!(
            "[bots.{name}]\naccounts = [\"{account}\"]\nuids = [\"{uid}\"]\nnew_orders_per_second = {orders_per_second}\n\
             messages_per_second = {messages_per_second}\nnotional_per_utc_day = \"{per_day}\"\n\
             notional_rolling_24h = \"{per_24h}\"\n"
        ));
    }
    for AccountSetup { name, limits } in ACCOUNTS {
        let account = ACCOUNT
            .replace("{name}", name)
            .replace("{orders}", &limits.orders_per_second.to_string())
            .replace("{messages}", &limits.messages_per_second.to_string())
            .replace("{day}", &limits.per_day.to_string())
            .replace("{rolling}", &limits.per_24h.to_string());
        text.push_str(&account);
    }
    text
}

/// The installation's root secret; the same in every simulation, and of no other use.
pub(crate) fn root() -> RootSecret {
    RootSecret::from_hex(ROOT).expect("32 bytes in hex")
}

fn api_key(account: &str) -> String {
    format!("real-key-of-{account}")
}

/// The text that the venue's key of `account` signs with.
pub(crate) fn venue_secret(account: &str) -> String {
    format!("real-secret-of-{account}")
}

/// The account whose venue key is `key`.
pub(crate) fn account_of_key(key: &str) -> Option<&'static str> {
    ACCOUNTS.iter().map(|account| account.name).find(|name| api_key(name) == key)
}

/// The sealed store with the policy and a key for each account.
pub(crate) fn store() -> String {
    let text = policy_text();
    let policy = Policy::parse(&text).expect("the simulation's policy has no mistakes");
    let mut store = SealedStore::new(&text, &policy.hash());
    for AccountSetup { name, .. } in ACCOUNTS {
        let new = NewKey {
            venue: Venue::Bybit,
            account: &name.parse().expect("a name"),
            role: Role::Trade,
            api_key: &api_key(name),
            secret: &SecretText::new(venue_secret(name)),
            added_at: Timestamp::from_ms(START_MS),
        };
        store.add(&root(), &policy.hash(), &new).expect("a new key");
    }
    store.to_json()
}

/// Where signed requests go.
pub(crate) fn bases() -> BaseUrls {
    BaseUrls(BTreeMap::from([(Venue::Bybit, BTreeMap::from([(Surface::V5, BASE.to_owned())]))]))
}

/// The venue's own configuration.
pub(crate) fn venue_config(seed: u64) -> Config {
    let amount: Decimal = "1000000".parse().expect("a number");
    let accounts = ACCOUNTS.iter().map(|account| KeyConfig {
        venue: Venue::Bybit,
        name: account.name.to_owned(),
        api_key: api_key(account.name),
        secret: Secret::Hmac(venue_secret(account.name)),
        permissions: Permissions::TRADE,
        ip_allow_list: None,
        balances: BTreeMap::from([("USDT".to_owned(), amount)]),
        futures_balances: BTreeMap::new(),
    });
    let accounts = accounts.collect();
    let instruments = paper::default_instruments();
    let instruments = instruments.into_iter().filter(|spec| spec.market == Market::Linear).collect();
    Config { accounts, instruments, ..Config::demo(seed) }
}

/// Each bot's login at the gateway.
pub(crate) fn login(bot: &BotSetup) -> StandIn {
    StandIn {
        bot: bot.name.parse().expect("a name"),
        venue: Venue::Bybit,
        account: bot.account.parse().expect("a name"),
        api_key: format!("stand-in-of-{}", bot.name),
        secret: format!("worthless-secret-of-{}", bot.name),
        added_at: Timestamp::from_ms(START_MS),
    }
}

/// What is traded.
pub(crate) fn instruments() -> [Instrument; 2] {
    ["bybit:linear:BTCUSDT", "bybit:linear:ETHUSDT"].map(|name| name.parse().expect("an instrument"))
}

/// HMAC-SHA256, as venues and bots do it.
pub(crate) fn mac(secret: &str, message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// `intent` as a bot's library would send it, signed with `secret` under `api_key`.
pub(crate) fn signed(intent: &Intent, api_key: &str, secret: &str, now_ms: u64) -> Option<HttpRequest> {
    let unsigned = venue::encode(intent, Timestamp::from_ms(now_ms), WINDOW_MS).ok()?;
    let signature = mac(secret, &venue::signing_input(&unsigned, api_key));
    venue::attach(unsigned, api_key, Algorithm::HmacSha256, &signature).http()
}
