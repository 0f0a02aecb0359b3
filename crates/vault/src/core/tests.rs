//! The state machine alone: no socket, no disk, no clock.

pub(super) mod crash;
mod decisions;
#[path = "../../../journal/tests/it/disk.rs"]
mod disk;
mod durability;
mod leases;
mod operators;
mod replay;

use std::collections::BTreeMap;

use keys::{NewKey, RecordKey, Role, RootSecret, SealedStore, SecretText};
use policy::Policy;
use serde_json::Value;
use trading::{AccountName, Timestamp, Venue};
use transparency::{Body, Outcome};
use venue::Surface;

use super::{CallerToken, Core, Durability, Input, Output};
use crate::recorder::Recorder;
use crate::request::Caller;
use crate::signer::{BaseUrls, Signer};
use crate::ticket::DurableBelow;

const NOW: u64 = 1_772_600_000_000;
const UID: u32 = 1000;

const POLICY: &str = r#"
version = 1
watchdogs = []
[bots.demo]
accounts = ["main"]
uids = ["1000"]
new_orders_per_second = 32000
messages_per_second = 32000
notional_per_utc_day = "1000000000000"
notional_rolling_24h = "1000000000000"
[bots.other]
accounts = ["main", "spot"]
uids = ["1001"]
new_orders_per_second = 32000
messages_per_second = 32000
notional_per_utc_day = "1000000000000"
notional_rolling_24h = "1000000000000"
[accounts.main]
venue = "bybit"
currency = "USDT"
sides = ["buy", "sell"]
order_types = ["limit", "market"]
time_in_force = ["good_till_cancel", "immediate_or_cancel"]
maker_only = false
require_client_order_id = false
max_clock_skew_ms = 1000
max_recv_window_ms = 5000
max_mark_price_age_ms = 2000
max_price_deviation_bps = 1000000
max_leverage = "3"
max_open_orders = 5000
max_open_notional = "1000000000"
max_net_exposure = "1000000000"
prevent_self_crossing = false
new_orders_per_second = 5000
messages_per_second = 5000
kept_for_cancels_per_second = 1
duplicate_window_ms = 1
max_repeats = 1000
repeat_window_ms = 1
notional_per_utc_day = "1000000"
notional_rolling_24h = "1000000"
require_thesis = false
require_lease = false
max_daily_loss_bps = 500
max_weekly_loss_bps = 800
max_monthly_loss_bps = 1500
max_drawdown_bps = 1800
weekly_loss_size_factor = "0.5"
allow_library_extras = ["broker-id"]
allow_settings = []
[accounts.main.symbols."linear:BTCUSDT"]
max_quantity = "0.05"
max_notional = "1500"
max_position = "1000000"
max_open_notional = "1000000000"
tick = "0.1"
lot = "0.001"
trading_hours = ["mon-sun 00:00-24:00"]
[accounts.spot]
venue = "binance"
currency = "USDT"
sides = ["buy", "sell"]
order_types = ["limit"]
time_in_force = ["good_till_cancel"]
maker_only = false
require_client_order_id = false
max_clock_skew_ms = 1000
max_recv_window_ms = 5000
max_mark_price_age_ms = 2000
max_price_deviation_bps = 1000000
max_leverage = "1"
max_open_orders = 100
max_open_notional = "1000000000"
max_net_exposure = "1000000000"
prevent_self_crossing = false
new_orders_per_second = 100
messages_per_second = 100
kept_for_cancels_per_second = 1
duplicate_window_ms = 1
max_repeats = 1000
repeat_window_ms = 1
notional_per_utc_day = "5000"
notional_rolling_24h = "8000"
require_thesis = false
require_lease = false
max_daily_loss_bps = 500
max_weekly_loss_bps = 800
max_monthly_loss_bps = 1500
max_drawdown_bps = 1800
weekly_loss_size_factor = "0.5"
allow_library_extras = ["broker-id"]
allow_settings = []
[accounts.spot.symbols."spot:BTCUSDT"]
max_quantity = "0.05"
max_notional = "1500"
max_position = "1000000"
max_open_notional = "1000000000"
tick = "0.01"
lot = "0.00001"
trading_hours = ["mon-sun 00:00-24:00"]
"#;

/// A core with the outside played by the test.
struct Bench {
    core: Core,
    root: RootSecret,
    store: SealedStore,
    now: u64,
    /// Every record, as the journal would have it.
    log: Vec<(Vec<u8>, Vec<u8>)>,
    /// Replies since last looked at: to whom, the line.
    replies: Vec<(CallerToken, Value)>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Durability::Disk, &[])
    }

    fn with(durability: Durability, changes: &[(&str, &str)]) -> Self {
        let root = RootSecret::generate();
        let store = sealed(&root, &changed(changes));
        let core = core(&root, &store, durability);
        Self { core, root, store, now: NOW, log: Vec::new(), replies: Vec::new() }
    }

    /// Feeds one input and sorts what comes out; checks that records are in order.
    fn step(&mut self, input: Input<'_>) -> bool {
        let mut out = Vec::new();
        let due = self.core.step(input, Timestamp::from_ms(self.now), &mut out);
        for output in out {
            match output {
                Output::Append { index, body, detail } => {
                    assert_eq!(index, self.log.len() as u64, "an index was skipped or used twice");
                    self.log.push((body, detail));
                }
                Output::Reply { to, index, line } => {
                    if let Some(index) = index {
                        assert!(index < self.log.len() as u64, "a reply before its record was handed over");
                    }
                    self.replies.push((to, serde_json::from_slice(&line).expect("replies are JSON")));
                }
            }
        }
        due
    }

    fn bot(&mut self, from: CallerToken, line: &str) {
        assert!(self.step(Input::Line {
            from,
            caller: Caller::Direct { uid: UID },
            line: line.as_bytes(),
            salt: [from as u8; 16],
        }));
    }

    fn gateway(&mut self, line: &str) -> bool {
        self.step(Input::Line { from: 900, caller: Caller::Gateway, line: line.as_bytes(), salt: [9; 16] })
    }

    fn command(&mut self, from: CallerToken, line: &str) {
        assert!(self.step(Input::Command { from, uid: UID, line: line.as_bytes(), salt: [7; 16] }));
    }

    fn durable(&mut self, below: u64) {
        self.step(Input::Durable(DurableBelow::acknowledged(below)));
    }

    /// Everything handed over becomes durable; the replies that follow.
    fn sync(&mut self) -> Vec<Value> {
        self.durable(self.log.len() as u64);
        self.take()
    }

    fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.replies).into_iter().map(|(_, line)| line).collect()
    }

    /// The reply to one line of a bot, its record made durable.
    fn ask(&mut self, line: &str) -> Value {
        self.bot(1, line);
        let mut replies = self.sync();
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    fn order(&mut self, command: &str) -> Value {
        self.command(2, command);
        let mut replies = self.sync();
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    fn last_body(&self) -> Body {
        Body::decode(&self.log.last().expect("a record").0).expect("a body")
    }
}

fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(POLICY.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

fn name(text: &str) -> AccountName {
    text.parse().expect("a name")
}

/// The policy with a key for each of its accounts, sealed.
fn sealed(root: &RootSecret, text: &str) -> SealedStore {
    let policy = Policy::parse(text).expect("a policy");
    let mut store = SealedStore::new(text, &policy.hash());
    for (account, own) in policy.accounts() {
        let secret = SecretText::new(format!("secret-of-{account}"));
        let key = format!("key-of-{account}");
        let new = NewKey {
            venue: own.venue(),
            account,
            role: Role::Trade,
            api_key: &key,
            secret: &secret,
            added_at: Timestamp::from_ms(NOW),
        };
        store.add(root, &policy.hash(), &new).expect("a new key");
    }
    store
}

fn bases() -> BaseUrls {
    let url = |text: &str| text.to_owned();
    BaseUrls(BTreeMap::from([
        (Venue::Bybit, BTreeMap::from([(Surface::V5, url("http://bybit.test"))])),
        (Venue::Binance, BTreeMap::from([(Surface::Spot, url("http://binance.test"))])),
    ]))
}

fn core(root: &RootSecret, store: &SealedStore, durability: Durability) -> Core {
    let twin = RootSecret::from_hex(&root.to_hex()).expect("its own form");
    let (signer, policy) = Signer::open(twin, &store.to_json(), bases()).expect("a sealed store");
    let recorder = Recorder::new(1, RecordKey::from_seed(&[5; 32]), 0, [0; 32]);
    Core::new(policy, signer, recorder, durability)
}

/// A bot's neutral limit order; `more` is spliced into the line.
fn limit(quantity: &str, price: &str, more: &str) -> String {
    format!(
        r#"{{"place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"{quantity}","price":"{price}"}}{more}}}"#
    )
}

fn small() -> String {
    limit("0.001", "60000", "")
}

fn codes(reply: &Value) -> Vec<&str> {
    assert_eq!(reply["status"], "denied", "{reply}");
    reply["denials"]
        .as_array()
        .expect("denials")
        .iter()
        .map(|denial| denial["code"].as_str().expect("a code"))
        .collect()
}
