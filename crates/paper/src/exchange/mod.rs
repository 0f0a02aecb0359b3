//! The exchange: a state machine without clock, sockets or randomness of its own making.
//!
//! Every change enters through [`Exchange::apply`] with the time it happens at, and comes back as a
//! result and a list of events. The same seed and the same calls give the same exchange.

mod account;
mod book;
mod ledger;
mod maker;
mod orders;
mod prices;
mod settle;
mod types;

use std::collections::BTreeMap;

use trading::{Decimal, Market};

pub(crate) use account::Account;
pub(crate) use book::{Book, difference, opposite};
pub use ledger::{Entry, EntryKind, MAX_LEDGER};
pub use prices::Recording;
pub(crate) use prices::{Candle, Random, Tape, price_of};
pub use types::{
    Balance, Cause, Command, Event, Fill, InstrumentSpec, NewOrder, OrderState, Position, PublicTrade,
    Reject, Size, Status, Target, Trigger,
};

use crate::num;

/// Most open orders one account may have.
pub const MAX_OPEN_ORDERS: usize = 1_000;
/// Closed orders, and fills, kept per account.
pub const MAX_HISTORY: usize = 1_000;
/// Largest leverage.
pub const MAX_LEVERAGE: u32 = 125;

/// The rules in which the venues differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Spot and linear share one wallet (Bybit's unified account).
    pub unified: bool,
    /// A client order id may not come again while its order is remembered (Bybit), rather than only
    /// while it is open (Binance).
    pub client_ids_once: bool,
    /// Share of the value every spot order pays.
    pub spot_fee: Decimal,
    /// Share of the value a resting linear order pays.
    pub maker_fee: Decimal,
    /// Share of the value a taking linear order pays.
    pub taker_fee: Decimal,
    /// Leverage before it is set.
    pub leverage: u32,
}

impl Rules {
    /// Share of the value an order pays.
    #[must_use]
    pub fn fee(&self, market: Market, maker: bool) -> Decimal {
        match (market, maker) {
            (Market::Spot, _) => self.spot_fee,
            (_, true) => self.maker_fee,
            (_, false) => self.taker_fee,
        }
    }
}

/// One instrument: its filters, its book, its prices.
pub(crate) struct Listing {
    pub spec: InstrumentSpec,
    pub book: Book,
    pub tape: Tape,
    recording: Recording,
    /// The generator's price, in ticks: mark and index.
    fair: i64,
    home: i64,
    quotes: Vec<u64>,
}

impl Listing {
    /// The mark (and index) price.
    pub(crate) fn mark(&self) -> Decimal {
        price_of(self.fair, self.spec.tick)
    }

    /// The last traded price.
    pub(crate) fn last(&self) -> Decimal {
        price_of(self.tape.last(), self.spec.tick)
    }

    /// `ticks × lots` as an amount of quote currency.
    pub(crate) fn value(&self, units: i128) -> Decimal {
        num::mul(Decimal::new(units, 0).expect("no digits"), num::mul(self.spec.tick, self.spec.lot))
    }
}

/// What [`Exchange::apply`] gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The orders concerned, or why nothing happened.
    pub result: Result<Vec<u64>, Reject>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// A whole venue's matching engine and books of account.
pub struct Exchange {
    rules: Rules,
    listings: Vec<Listing>,
    accounts: Vec<Account>,
    orders: BTreeMap<u64, OrderState>,
    next_order_id: u64,
    next_quote_id: u64,
    next_entry_id: u64,
    random: Random,
    started_ms: u64,
    events: Vec<Event>,
}

impl Exchange {
    /// Opens an exchange at `now_ms` with its books already quoted.
    #[must_use]
    pub fn new(rules: Rules, instruments: Vec<(InstrumentSpec, Recording)>, seed: u64, now_ms: u64) -> Self {
        let mut random = Random::new(seed);
        let listings = instruments
            .into_iter()
            .map(|(spec, recording)| {
                let home = num::whole_units(spec.start_price, spec.tick).max(100);
                let traded = maker::lots_worth(&spec, 200_000);
                let tape = Tape::with_history(&mut random, home, traded, now_ms);
                Listing { spec, book: Book::new(), tape, recording, fair: home, home, quotes: Vec::new() }
            })
            .collect();
        let mut exchange = Self {
            rules,
            listings,
            accounts: Vec::new(),
            orders: BTreeMap::new(),
            next_order_id: crate::Config::FIRST_ID,
            next_quote_id: maker::FIRST_QUOTE_ID,
            next_entry_id: 1,
            random,
            started_ms: now_ms,
            events: Vec::new(),
        };
        exchange.step(now_ms);
        exchange.events.clear();
        exchange
    }

    /// Numbers orders, and each instrument's trades, from `first_id` on.
    pub fn number_from(&mut self, first_id: u64) {
        self.next_order_id = first_id;
        for listing in &mut self.listings {
            listing.tape.number_from(first_id);
        }
    }

    /// Opens an account, or finds the one of that name.
    pub fn open_account(&mut self, name: &str) -> usize {
        match self.accounts.iter().position(|account| account.name == name) {
            Some(at) => at,
            None => {
                self.accounts.push(Account::new(name));
                self.accounts.len() - 1
            }
        }
    }

    /// Credits an account.
    pub fn deposit(&mut self, account: usize, market: Market, asset: &str, amount: Decimal) {
        let wallet = self.wallet(market);
        let balance = self.accounts[account].balance_mut(wallet, asset);
        balance.free = num::add(balance.free, amount);
    }

    /// Changes the exchange at time `now_ms`.
    pub fn apply(&mut self, command: Command, now_ms: u64) -> Outcome {
        let result = match command {
            Command::Place(order) => self.place(order, now_ms).map(|id| vec![id]),
            Command::Amend { account, instrument, target, price, quantity, trigger_price } => self
                .find_open(account, instrument, &target)
                .and_then(|id| self.amend(id, price, quantity, trigger_price, now_ms).map(|()| vec![id])),
            Command::Cancel { account, instrument, target } => {
                self.find_open(account, instrument, &target).map(|id| {
                    self.end(id, Cause::User, now_ms);
                    vec![id]
                })
            }
            Command::CancelAll { account, market, instrument } => {
                Ok(self.cancel_all(account, market, instrument, now_ms))
            }
            Command::SetLeverage { account, instrument, leverage } => {
                self.set_leverage(account, instrument, leverage).map(|()| Vec::new())
            }
            Command::Flow { account, market, asset, amount, kind } => {
                self.flow(account, market, &asset, amount, kind, now_ms).map(|id| vec![id])
            }
            Command::Step => {
                self.step(now_ms);
                Ok(Vec::new())
            }
            Command::SetPrice { instrument, price } => {
                self.set_price(instrument, price, now_ms);
                Ok(Vec::new())
            }
        };
        Outcome { result, events: std::mem::take(&mut self.events) }
    }

    /// The index of an instrument.
    #[must_use]
    pub fn instrument(&self, market: Market, symbol: &str) -> Option<usize> {
        self.listings
            .iter()
            .position(|listing| listing.spec.market == market && listing.spec.symbol == symbol)
    }

    /// An order that is open or still remembered.
    #[must_use]
    pub fn order(&self, id: u64) -> Option<&OrderState> {
        self.orders.get(&id)
    }

    /// An account's order by either id, open or remembered.
    #[must_use]
    pub fn find(&self, account: usize, instrument: usize, target: &Target) -> Option<&OrderState> {
        let id = match target {
            Target::Id(id) => *id,
            Target::Client(client) => {
                let market = self.listings[instrument].spec.market;
                self.accounts[account].client_order(market, client)?
            }
        };
        let order = self.orders.get(&id)?;
        (order.request.account == account && order.request.instrument == instrument).then_some(order)
    }

    /// An account's open orders, oldest first.
    pub fn open_orders(&self, account: usize) -> impl Iterator<Item = &OrderState> {
        self.accounts[account].open.iter().filter_map(|id| self.orders.get(id))
    }

    /// An account's open and remembered orders, oldest first.
    pub fn all_orders(&self, account: usize) -> impl DoubleEndedIterator<Item = &OrderState> {
        self.orders.values().filter(move |order| order.request.account == account)
    }

    pub(crate) fn listings(&self) -> &[Listing] {
        &self.listings
    }

    pub(crate) fn account(&self, account: usize) -> &Account {
        &self.accounts[account]
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The market whose wallet `market` settles in.
    pub(crate) const fn wallet(&self, market: Market) -> Market {
        if self.rules.unified { Market::Spot } else { market }
    }

    fn find_open(&self, account: usize, instrument: usize, target: &Target) -> Result<u64, Reject> {
        let order = self.find(account, instrument, target).filter(|order| order.status.is_open());
        order.map(|order| order.id).ok_or(Reject::UnknownOrder)
    }

    fn announce(&mut self, id: u64, fill: Option<Fill>) {
        if let Some(order) = self.orders.get(&id) {
            self.events.push(Event::Order { order: Box::new(order.clone()), fill: fill.map(Box::new) });
        }
    }
}
