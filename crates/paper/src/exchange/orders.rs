//! Placing, amending, cancelling.

use trading::{Decimal, Market, Side, TimeInForce};

use super::book::{Match, Sweep};
use super::types::{Cause, Event, NewOrder, OrderState, PublicTrade, Reject, Size, Status};
use super::{Exchange, InstrumentSpec, MAX_OPEN_ORDERS, price_of};
use crate::num;

/// What an order that passed its checks will do to the book.
struct Plan {
    lots: i64,
    limit: i64,
    lock: Decimal,
    cancel: Option<Cause>,
}

impl Exchange {
    pub(super) fn place(&mut self, request: NewOrder, now_ms: u64) -> Result<u64, Reject> {
        self.check_identity(&request)?;
        let spec = &self.listings[request.instrument].spec;
        let quantity = check_filters(spec, &request, self.listings[request.instrument].mark())?;
        let mut order = OrderState {
            id: self.next_order_id,
            price: request.price.unwrap_or_default(),
            quantity,
            filled: Decimal::ZERO,
            value: Decimal::ZERO,
            fee: Decimal::ZERO,
            status: Status::New,
            cause: None,
            triggered: false,
            locked: Decimal::ZERO,
            created_ms: now_ms,
            updated_ms: now_ms,
            request,
        };
        if let Some(trigger) = order.request.trigger {
            let last = self.listings[order.request.instrument].last();
            if (trigger.rising && last >= trigger.price) || (!trigger.rising && last <= trigger.price) {
                return Err(Reject::WouldTrigger);
            }
            order.status = Status::Untriggered;
            return Ok(self.admit(order));
        }
        let plan = self.plan(&mut order)?;
        let id = self.admit(order);
        self.execute(id, &plan, now_ms);
        Ok(id)
    }

    /// Sends a triggered order, already admitted, to the book.
    pub(super) fn wake(&mut self, id: u64, now_ms: u64) {
        let Some(mut order) = self.orders.get(&id).cloned() else { return };
        order.triggered = true;
        order.status = Status::New;
        order.updated_ms = now_ms;
        order.request.reject_unfit = false;
        let planned = self.plan(&mut order);
        self.orders.insert(id, order);
        match planned {
            Ok(plan) => {
                self.hold_quietly(id, plan.lock);
                self.announce(id, None);
                self.execute(id, &plan, now_ms);
            }
            Err(Reject::ReduceOnly) => self.end(id, Cause::ReduceOnly, now_ms),
            Err(_) => self.end(id, Cause::Balance, now_ms),
        }
    }

    pub(super) fn amend(
        &mut self,
        id: u64,
        price: Option<Decimal>,
        quantity: Option<Decimal>,
        trigger_price: Option<Decimal>,
        now_ms: u64,
    ) -> Result<(), Reject> {
        let before = self.orders.get(&id).cloned().ok_or(Reject::UnknownOrder)?;
        let mut order = before.clone();
        if let (Some(price), true) = (price, order.request.price.is_some()) {
            order.price = price;
            order.request.price = Some(price);
        }
        if let Some(quantity) = quantity {
            order.quantity = quantity;
            order.request.size = Size::Base(quantity);
        }
        if let (Some(price), Some(trigger)) = (trigger_price, order.request.trigger.as_mut()) {
            trigger.price = price;
        }
        if order == before {
            return Err(Reject::Unchanged);
        }
        if order.quantity <= order.filled {
            return Err(Reject::BelowFilled);
        }
        order.updated_ms = now_ms;
        let listing = &self.listings[order.request.instrument];
        check_filters(&listing.spec, &order.request, listing.mark())?;
        if order.status == Status::Untriggered {
            self.orders.insert(id, order);
            self.announce(id, None);
            return Ok(());
        }
        // Judge the new order as if the old one were not there; put the old one back on a rejection.
        self.release(id, before.locked);
        order.locked = Decimal::ZERO;
        self.accounts[order.request.account].open.remove(&id);
        let planned = self.plan(&mut order);
        self.accounts[order.request.account].open.insert(id);
        let plan = match planned {
            Ok(plan) => plan,
            Err(reject) => {
                self.hold(id, before.locked);
                return Err(reject);
            }
        };
        self.listings[order.request.instrument].book.cancel(id);
        self.orders.insert(id, order);
        self.hold_quietly(id, plan.lock);
        self.announce(id, None);
        self.execute(id, &plan, now_ms);
        Ok(())
    }

    pub(super) fn cancel_all(
        &mut self,
        account: usize,
        market: Market,
        instrument: Option<usize>,
        now_ms: u64,
    ) -> Vec<u64> {
        let chosen = |order: &&OrderState| match instrument {
            Some(instrument) => order.request.instrument == instrument,
            None => self.listings[order.request.instrument].spec.market == market,
        };
        let ids: Vec<u64> = self.open_orders(account).filter(chosen).map(|order| order.id).collect();
        for id in &ids {
            self.end(*id, Cause::User, now_ms);
        }
        ids
    }

    /// Ends an open order without filling the rest.
    pub(super) fn end(&mut self, id: u64, cause: Cause, now_ms: u64) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.status = Status::Cancelled;
        order.cause = Some(cause);
        order.updated_ms = now_ms;
        let (instrument, locked) = (order.request.instrument, order.locked);
        if self.listings[instrument].book.cancel(id).is_some() {
            self.events.push(Event::Book { instrument });
        }
        self.release(id, locked);
        self.announce(id, None);
        self.retire(id);
    }

    /// Moves an ended order to history.
    pub(super) fn retire(&mut self, id: u64) {
        let Some(order) = self.orders.get(&id) else { return };
        let Some(forgotten) = self.accounts[order.request.account].closed(id) else { return };
        if let Some(order) = self.orders.remove(&forgotten) {
            let market = self.listings[order.request.instrument].spec.market;
            self.accounts[order.request.account].forget_client(forgotten, market, &order.request.client_id);
        }
    }

    fn check_identity(&self, request: &NewOrder) -> Result<(), Reject> {
        let account = &self.accounts[request.account];
        if account.open.len() >= MAX_OPEN_ORDERS {
            return Err(Reject::TooManyOrders);
        }
        let market = self.listings[request.instrument].spec.market;
        let known = account.client_order(market, &request.client_id).and_then(|id| self.orders.get(&id));
        match known {
            Some(order) if self.rules.client_ids_once || order.status.is_open() => Err(Reject::Duplicate),
            _ => Ok(()),
        }
    }

    fn admit(&mut self, order: OrderState) -> u64 {
        let id = order.id;
        self.next_order_id += 1;
        let market = self.listings[order.request.instrument].spec.market;
        self.accounts[order.request.account].opened(id, market, &order.request.client_id);
        let locked = order.locked;
        self.orders.insert(id, order);
        self.announce(id, None);
        self.hold_quietly(id, locked);
        id
    }

    /// Decides what `order` will do and what it must hold, and sets its quantity; changes nothing else.
    fn plan(&self, order: &mut OrderState) -> Result<Plan, Reject> {
        let request = &order.request;
        let listing = &self.listings[request.instrument];
        let spec = &listing.spec;
        if request.reduce_only {
            let reducible = self.reducible(request.account, request.instrument, request.side);
            order.quantity = order.quantity.min(num::add(order.filled, reducible));
            if order.quantity <= order.filled {
                return Err(Reject::ReduceOnly);
            }
        }
        let request = &order.request;
        let left = num::whole_units(order.remaining(), spec.lot);
        let (lots, limit, sweep) = match (request.price, request.size) {
            (Some(price), _) => {
                let limit = num::units(price, spec.tick).ok_or(Reject::Price)?;
                (left, limit, listing.book.sweep(request.side, left, Some(limit)))
            }
            (None, Size::Base(_)) => {
                let sweep = listing.book.sweep(request.side, left, None);
                (left, sweep.worst, sweep)
            }
            (None, Size::Quote(amount)) => {
                let unit = num::mul(spec.tick, spec.lot);
                let budget = i128::from(num::whole_units(amount, unit));
                let sweep = listing.book.sweep_value(request.side, budget);
                (sweep.lots, sweep.worst, sweep)
            }
        };
        if matches!(request.size, Size::Quote(_)) {
            if lots == 0 {
                return Err(Reject::Notional);
            }
            order.quantity = num::of_units(lots, spec.lot);
        }
        let cancel = if request.post_only && sweep.lots > 0 {
            Some((Cause::WouldTake, Reject::WouldTake))
        } else if request.time_in_force == TimeInForce::FillOrKill && sweep.lots < lots {
            Some((Cause::Unfillable, Reject::Unfillable))
        } else {
            None
        };
        if let (Some((_, reject)), true) = (cancel, request.reject_unfit) {
            return Err(reject);
        }
        let lock = self.funds(order, lots, &sweep)?;
        order.locked = lock;
        Ok(Plan { lots, limit, lock, cancel: cancel.map(|(cause, _)| cause) })
    }

    /// What spot must hold for the order; on linear, checks the margin and holds nothing.
    fn funds(&self, order: &OrderState, lots: i64, sweep: &Sweep) -> Result<Decimal, Reject> {
        let request = &order.request;
        let listing = &self.listings[request.instrument];
        let quantity = num::of_units(lots, listing.spec.lot);
        if listing.spec.market == Market::Linear {
            let free = request.reduce_only
                || self.margin_suffices(request.account, request.instrument, request.side, quantity);
            return if free { Ok(Decimal::ZERO) } else { Err(Reject::Margin) };
        }
        let lock = match (request.side, request.price) {
            (Side::Sell, _) => quantity,
            (Side::Buy, Some(price)) => num::mul(price, quantity),
            (Side::Buy, None) => listing.value(sweep.value),
        };
        let asset = paying_asset(&listing.spec, request.side);
        let free = self.accounts[request.account].balance(self.wallet(Market::Spot), asset).free;
        // An amount to spend must be there whole, even if the book could not take all of it.
        let asked = match (request.side, request.size) {
            (Side::Buy, Size::Quote(amount)) => amount.max(lock),
            _ => lock,
        };
        if asked <= free { Ok(lock) } else { Err(Reject::Balance) }
    }

    /// Matches an admitted order, settles its fills, and lets the rest rest or end.
    fn execute(&mut self, id: u64, plan: &Plan, now_ms: u64) {
        debug_assert!(self.orders.get(&id).is_some_and(|order| order.locked == plan.lock));
        if let Some(cause) = plan.cancel {
            self.end(id, cause, now_ms);
            return;
        }
        let Some(order) = self.orders.get(&id) else { return };
        let request = &order.request;
        let (instrument, side, account) = (request.instrument, request.side, request.account);
        let rests = request.price.is_some()
            && matches!(request.time_in_force, TimeInForce::GoodTillCancel | TimeInForce::GoodTillDate);
        let matches = if plan.lots > 0 && plan.limit > 0 {
            self.listings[instrument].book.enter(id, side, plan.limit, plan.lots, rests)
        } else {
            Vec::new()
        };
        for found in &matches {
            self.trade(instrument, id, side, found, now_ms);
        }
        self.events.push(Event::Book { instrument });
        let open = self.orders.get(&id).is_some_and(|order| order.status.is_open());
        if open && !rests {
            self.end(id, Cause::Remainder, now_ms);
        }
        self.report_balances(account, instrument);
        self.trim_reduce_only(instrument, now_ms);
    }

    /// One match: the tape, then the resting side, then the taking side.
    pub(super) fn trade(&mut self, instrument: usize, taker: u64, side: Side, found: &Match, now_ms: u64) {
        let listing = &mut self.listings[instrument];
        let trade = PublicTrade {
            id: 0,
            price: price_of(found.price, listing.spec.tick),
            quantity: num::of_units(found.lots, listing.spec.lot),
            taker: side,
            time_ms: now_ms,
        };
        let trade = listing.tape.record(trade, found.price, found.lots);
        self.events.push(Event::Trade { instrument, trade });
        self.settle(found.order, &trade, true);
        self.settle(taker, &trade, false);
    }

    fn hold_quietly(&mut self, id: u64, amount: Decimal) {
        if amount.is_zero() {
            return;
        }
        let (account, wallet, asset) = self.pays(id);
        let balance = self.accounts[account].balance_mut(wallet, &asset);
        balance.free = num::sub(balance.free, amount);
        balance.locked = num::add(balance.locked, amount);
    }

    fn hold(&mut self, id: u64, amount: Decimal) {
        self.hold_quietly(id, amount);
        if let Some(order) = self.orders.get_mut(&id) {
            order.locked = amount;
        }
    }

    /// Gives back what an order held.
    fn release(&mut self, id: u64, amount: Decimal) {
        if amount.is_zero() {
            return;
        }
        let (account, wallet, asset) = self.pays(id);
        let balance = self.accounts[account].balance_mut(wallet, &asset);
        balance.free = num::add(balance.free, amount);
        balance.locked = num::sub(balance.locked, amount);
        if let Some(order) = self.orders.get_mut(&id) {
            order.locked = Decimal::ZERO;
            let instrument = order.request.instrument;
            self.report_balances(account, instrument);
        }
    }

    /// Account, wallet and currency an admitted spot order pays with.
    fn pays(&self, id: u64) -> (usize, Market, String) {
        let order = self.orders.get(&id).expect("held amounts belong to admitted orders");
        let spec = &self.listings[order.request.instrument].spec;
        let asset = paying_asset(spec, order.request.side).to_owned();
        (order.request.account, self.wallet(spec.market), asset)
    }
}

/// The currency an order of `side` pays with.
pub(super) fn paying_asset(spec: &InstrumentSpec, side: Side) -> &str {
    match side {
        Side::Buy => &spec.quote,
        Side::Sell => &spec.base,
    }
}

/// Checks price, lot and notional; returns the quantity, zero where the order states quote currency.
fn check_filters(spec: &InstrumentSpec, request: &NewOrder, mark: Decimal) -> Result<Decimal, Reject> {
    let trigger = request.trigger.map(|trigger| trigger.price);
    for price in [request.price, trigger].into_iter().flatten() {
        let on_tick = num::units(price, spec.tick).is_some();
        if !price.is_positive() || price > spec.max_price || !on_tick {
            return Err(Reject::Price);
        }
    }
    match request.size {
        Size::Base(quantity) => {
            // Checked before anything is multiplied: it bounds what the arithmetic must hold.
            let on_lot = num::units(quantity, spec.lot).is_some();
            if !quantity.is_positive() || quantity > spec.max_quantity || !on_lot {
                return Err(Reject::Lot);
            }
            let notional = num::mul(quantity, request.price.unwrap_or(mark));
            if notional < spec.min_notional && !request.reduce_only {
                return Err(Reject::Notional);
            }
            Ok(quantity)
        }
        Size::Quote(amount) => {
            let largest = num::mul(spec.max_quantity, mark);
            if amount.scale() > 8 || amount > largest || amount < spec.min_notional {
                return Err(Reject::Notional);
            }
            Ok(Decimal::ZERO)
        }
    }
}
