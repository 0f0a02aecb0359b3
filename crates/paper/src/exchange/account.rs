//! One account: balances, positions, and which orders are its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trading::{Decimal, Market, Side};

use super::ledger::Entry;
use super::types::{Balance, Fill, Position, Reject};
use super::{Exchange, MAX_HISTORY, MAX_LEVERAGE};
use crate::num::{self, Round};

/// What one customer owns.
#[derive(Debug)]
pub(crate) struct Account {
    pub name: String,
    pub wallets: BTreeMap<(Market, String), Balance>,
    pub positions: BTreeMap<usize, Position>,
    pub leverage: BTreeMap<usize, u32>,
    /// Open orders, oldest first.
    pub open: BTreeSet<u64>,
    closed: VecDeque<u64>,
    clients: BTreeMap<(Market, String), u64>,
    pub fills: VecDeque<Fill>,
    /// What changed its money, oldest first.
    pub ledger: VecDeque<Entry>,
    /// The venue's money in a balance.
    pub bonus: BTreeMap<String, Decimal>,
}

impl Account {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            wallets: BTreeMap::new(),
            positions: BTreeMap::new(),
            leverage: BTreeMap::new(),
            open: BTreeSet::new(),
            closed: VecDeque::new(),
            clients: BTreeMap::new(),
            fills: VecDeque::new(),
            ledger: VecDeque::new(),
            bonus: BTreeMap::new(),
        }
    }

    pub(crate) fn balance(&self, market: Market, asset: &str) -> Balance {
        self.wallets.get(&(market, asset.to_owned())).copied().unwrap_or_default()
    }

    pub(crate) fn balance_mut(&mut self, market: Market, asset: &str) -> &mut Balance {
        self.wallets.entry((market, asset.to_owned())).or_default()
    }

    pub(crate) fn client_order(&self, market: Market, client: &str) -> Option<u64> {
        self.clients.get(&(market, client.to_owned())).copied()
    }

    pub(crate) fn opened(&mut self, id: u64, market: Market, client: &str) {
        self.open.insert(id);
        if !client.is_empty() {
            self.clients.insert((market, client.to_owned()), id);
        }
    }

    /// Moves an order to history; returns the one that history forgets for it.
    pub(crate) fn closed(&mut self, id: u64) -> Option<u64> {
        self.open.remove(&id);
        self.closed.push_back(id);
        if self.closed.len() > MAX_HISTORY { self.closed.pop_front() } else { None }
    }

    pub(crate) fn forget_client(&mut self, id: u64, market: Market, client: &str) {
        if self.client_order(market, client) == Some(id) {
            self.clients.remove(&(market, client.to_owned()));
        }
    }

    pub(crate) fn filled(&mut self, fill: Fill) {
        if self.fills.len() == MAX_HISTORY {
            self.fills.pop_front();
        }
        self.fills.push_back(fill);
    }
}

impl Exchange {
    pub(super) fn set_leverage(
        &mut self,
        account: usize,
        instrument: usize,
        leverage: u32,
    ) -> Result<(), Reject> {
        if !(1..=MAX_LEVERAGE).contains(&leverage) {
            return Err(Reject::Leverage);
        }
        self.accounts[account].leverage.insert(instrument, leverage);
        Ok(())
    }

    pub(crate) fn leverage(&self, account: usize, instrument: usize) -> u32 {
        self.accounts[account].leverage.get(&instrument).copied().unwrap_or(self.rules.leverage)
    }

    pub(crate) fn position(&self, account: usize, instrument: usize) -> Position {
        self.accounts[account].positions.get(&instrument).copied().unwrap_or_default()
    }

    /// What closing a position at the mark price would bring.
    pub(crate) fn unrealised(&self, instrument: usize, position: &Position) -> Decimal {
        let value = num::mul(num::absolute(position.quantity), self.listings[instrument].mark());
        if position.quantity.is_negative() {
            num::sub(position.cost, value)
        } else {
            num::sub(value, position.cost)
        }
    }

    /// Wallet balance and unrealised profit in the settlement currency `asset`.
    pub(crate) fn equity(&self, account: usize, asset: &str) -> Decimal {
        let balance = self.accounts[account].balance(self.wallet(Market::Linear), asset);
        let mut equity = num::add(balance.free, balance.locked);
        for (instrument, position) in &self.accounts[account].positions {
            if self.listings[*instrument].spec.quote == asset {
                equity = num::add(equity, self.unrealised(*instrument, position));
            }
        }
        equity
    }

    /// Initial margin that positions and open orders of one instrument hold, with `extra` more to
    /// buy or sell; the larger of the two ways the orders could fill.
    pub(crate) fn margin_of(
        &self,
        account: usize,
        instrument: usize,
        extra: Option<(Side, Decimal)>,
    ) -> Decimal {
        let (mut buys, mut sells) = (Decimal::ZERO, Decimal::ZERO);
        let mut count = |side: Side, quantity: Decimal| match side {
            Side::Buy => buys = num::add(buys, quantity),
            Side::Sell => sells = num::add(sells, quantity),
        };
        for order in self.open_orders(account).filter(|order| order.request.instrument == instrument) {
            if !order.request.reduce_only {
                count(order.request.side, order.remaining());
            }
        }
        if let Some((side, quantity)) = extra {
            count(side, quantity);
        }
        let held = self.position(account, instrument).quantity;
        let long = num::absolute(num::add(held, buys));
        let short = num::absolute(num::sub(held, sells));
        let notional = num::mul(long.max(short), self.listings[instrument].mark());
        let leverage = Decimal::from_integer(i64::from(self.leverage(account, instrument)));
        num::divide(notional, leverage, 8, Round::Up)
    }

    /// Initial margin held by everything that settles in `asset`.
    pub(crate) fn margin_used(&self, account: usize, asset: &str) -> Decimal {
        let linear = self
            .listings
            .iter()
            .enumerate()
            .filter(|(_, listing)| listing.spec.market == Market::Linear && listing.spec.quote == asset);
        linear.fold(Decimal::ZERO, |sum, (at, _)| num::add(sum, self.margin_of(account, at, None)))
    }

    /// Whether `quantity` more of an instrument can be opened.
    pub(super) fn margin_suffices(
        &self,
        account: usize,
        instrument: usize,
        side: Side,
        quantity: Decimal,
    ) -> bool {
        let asset = &self.listings[instrument].spec.quote;
        let before = self.margin_of(account, instrument, None);
        let after = self.margin_of(account, instrument, Some((side, quantity)));
        let locked = self.accounts[account].balance(self.wallet(Market::Linear), asset).locked;
        let used = num::add(self.margin_used(account, asset), locked);
        after <= before || num::add(used, num::sub(after, before)) <= self.equity(account, asset)
    }

    /// How much more a reduce-only order of `side` may close.
    pub(super) fn reducible(&self, account: usize, instrument: usize, side: Side) -> Decimal {
        let held = self.position(account, instrument).quantity;
        let against = match side {
            Side::Buy => held.is_negative(),
            Side::Sell => held.is_positive(),
        };
        if !against {
            return Decimal::ZERO;
        }
        let pledged = self.open_orders(account).filter(|order| {
            let request = &order.request;
            request.instrument == instrument
                && request.reduce_only
                && request.side == side
                && order.status != super::Status::Untriggered
        });
        pledged.fold(num::absolute(held), |left, order| num::sub(left, order.remaining())).max(Decimal::ZERO)
    }
}
