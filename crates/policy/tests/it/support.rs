//! A policy, a state and short ways to ask.

use policy::{Context, Decision, Denial, MarkPrice, Policy, Request, State, evaluate};
use trading::{
    AccountName, Amendment, Amount, ClientOrderId, Decimal, Instrument, Intent, Order, OrderReference,
    OrderType, Side, TimeInForce, Timestamp, VenueOrderId,
};

pub(crate) const NOW: u64 = 1_772_600_000_000;

pub(crate) const POLICY: &str = r#"
version = 1
watchdogs = []
[bots.demo]
accounts = ["main"]
uids = []
new_orders_per_second = 9000
messages_per_second = 9000
notional_per_utc_day = "900000"
notional_rolling_24h = "900000"
[accounts.main]
venue = "bybit"
currency = "USDT"
sides = ["buy", "sell"]
order_types = ["limit", "market", "stop_market", "stop_limit"]
time_in_force = ["good_till_cancel", "immediate_or_cancel"]
maker_only = false
require_client_order_id = false
max_clock_skew_ms = 1000
max_recv_window_ms = 5000
max_mark_price_age_ms = 2000
max_price_deviation_bps = 1000000
max_leverage = "3"
max_open_orders = 4
max_open_notional = "1000000000"
max_net_exposure = "1000000000"
prevent_self_crossing = false
new_orders_per_second = 3
messages_per_second = 6
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
allow_settings = ["switch-mode"]
[accounts.main.symbols."linear:BTCUSDT"]
max_quantity = "0.05"
max_notional = "1500"
max_position = "1000000"
max_open_notional = "1000000000"
tick = "0.1"
lot = "0.001"
trading_hours = ["mon-sun 00:00-24:00"]
[accounts.main.symbols."spot:BTCUSDT"]
max_quantity = "0.05"
max_notional = "1500"
max_position = "1000000"
max_open_notional = "1000000000"
tick = "0.01"
lot = "0.00001"
trading_hours = ["mon-sun 00:00-24:00"]
"#;

pub(crate) struct Bench {
    pub policy: Policy,
    pub state: State,
    pub context: Context,
}

pub(crate) fn bench() -> Bench {
    bench_with(&[])
}

/// The policy with lines replaced.
pub(crate) fn text_with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(POLICY.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

pub(crate) fn bench_with(changes: &[(&str, &str)]) -> Bench {
    bench_of(Policy::parse(&text_with(changes)).expect("policy"))
}

pub(crate) fn bench_of(policy: Policy) -> Bench {
    let mut context = Context { now: Timestamp::from_ms(NOW), ..Context::default() };
    for text in ["bybit:linear:BTCUSDT", "bybit:spot:BTCUSDT"] {
        let mark = MarkPrice { price: "60000".parse().expect("price"), at: context.now };
        context.mark_prices.insert(instrument(text), mark);
    }
    Bench { policy, state: State::new(account("main")), context }
}

impl Bench {
    pub(crate) fn request(&self, intent: Intent) -> Request {
        Request::new("demo".parse().expect("bot"), account("main"), intent)
    }

    pub(crate) fn decide(&self, request: Request) -> Decision {
        let explained = policy::explain(&self.policy, &self.state, &request, &self.context);
        let decision = evaluate(&self.policy, &self.state, request, &self.context);
        let told = explained.into_iter().filter_map(|finding| match finding.verdict {
            policy::Verdict::Deny(denial) => Some(denial),
            _ => None,
        });
        let said: Vec<Denial> = match &decision {
            Decision::Approve(_) => Vec::new(),
            Decision::Deny(denied) => denied
                .denials()
                .iter()
                .map(|denial| match denial {
                    Denial::InLeg { denial, .. } => (**denial).clone(),
                    other => other.clone(),
                })
                .collect(),
        };
        assert_eq!(told.collect::<Vec<_>>(), said, "explain and evaluate agree");
        decision
    }

    /// The codes of the denials; empty if approved.
    pub(crate) fn codes(&self, intent: Intent) -> Vec<&'static str> {
        self.codes_of(self.request(intent))
    }

    pub(crate) fn codes_of(&self, request: Request) -> Vec<&'static str> {
        match self.decide(request) {
            Decision::Approve(_) => Vec::new(),
            Decision::Deny(denied) => {
                assert!(!denied.denials().is_empty());
                denied.denials().iter().map(Denial::code).collect()
            }
        }
    }

    /// Approves and commits, or panics with the reasons. A millisecond later the same may come again.
    pub(crate) fn sign(&mut self, intent: Intent) {
        let request = self.request(intent);
        match self.decide(request) {
            Decision::Approve(approved) => self.state.commit(&approved),
            Decision::Deny(denied) => panic!("{:?}", denied.denials()),
        }
        self.wait(1);
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.context.now = Timestamp::from_ms(self.context.now.as_ms() + ms);
        for mark in self.context.mark_prices.values_mut() {
            mark.at = self.context.now;
        }
    }
}

pub(crate) fn account(text: &str) -> AccountName {
    text.parse().expect("account")
}

pub(crate) fn instrument(text: &str) -> Instrument {
    text.parse().expect("instrument")
}

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().expect("decimal")
}

pub(crate) fn id(text: &str) -> ClientOrderId {
    text.parse().expect("id")
}

pub(crate) fn venue_id(text: &str) -> VenueOrderId {
    text.parse().expect("id")
}

/// A post-only limit buy of 0.01 at 60000: 600.
pub(crate) fn order() -> Order {
    Order {
        instrument: instrument("bybit:linear:BTCUSDT"),
        side: Side::Buy,
        order_type: OrderType::Limit,
        amount: base("0.01"),
        price: price("60000"),
        trigger_price: None,
        time_in_force: TimeInForce::GoodTillCancel,
        post_only: true,
        reduce_only: false,
        client_order_id: None,
    }
}

pub(crate) fn base(text: &str) -> Amount {
    Amount::Base(text.parse().expect("quantity"))
}

pub(crate) fn quote(text: &str) -> Amount {
    Amount::Quote(text.parse().expect("notional"))
}

pub(crate) fn price(text: &str) -> Option<trading::Price> {
    Some(text.parse().expect("price"))
}

pub(crate) fn market_order() -> Order {
    Order { order_type: OrderType::Market, price: None, post_only: false, ..order() }
}

pub(crate) fn exit() -> Order {
    Order { side: Side::Sell, reduce_only: true, ..market_order() }
}

pub(crate) fn named(name: &str) -> Order {
    Order { client_order_id: Some(id(name)), ..order() }
}

pub(crate) fn place(order: Order) -> Intent {
    Intent::Place(order)
}

pub(crate) fn cancel(name: &str) -> Intent {
    Intent::Cancel {
        instrument: instrument("bybit:linear:BTCUSDT"),
        target: OrderReference::Client(id(name)),
    }
}

pub(crate) fn amendment(target: OrderReference) -> Amendment {
    Amendment {
        instrument: instrument("bybit:linear:BTCUSDT"),
        target,
        side: None,
        amount: None,
        price: None,
        trigger_price: None,
        new_client_order_id: None,
    }
}

pub(crate) fn amend(name: &str) -> Amendment {
    amendment(OrderReference::Client(id(name)))
}
