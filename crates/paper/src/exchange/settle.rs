//! What a fill does: fees, balances, positions.

use trading::{Decimal, Market, Side};

use super::maker::FIRST_QUOTE_ID;
use super::types::{Balance, Cause, Event, Fill, OrderState, Position, PublicTrade, Status};
use super::{Exchange, num};
use crate::num::Round;

impl Exchange {
    /// Books one side of a trade. The generator's own orders have no account and are skipped.
    pub(super) fn settle(&mut self, id: u64, trade: &PublicTrade, maker: bool) {
        if id >= FIRST_QUOTE_ID {
            return;
        }
        let Some(mut order) = self.orders.remove(&id) else { return };
        let spec = &self.listings[order.request.instrument].spec;
        let value = num::mul(trade.price, trade.quantity);
        let rate = self.rules.fee(spec.market, maker);
        let on_spot = spec.market == Market::Spot;
        let paid_in_base = on_spot && order.request.side == Side::Buy;
        let (basis, fee_asset) =
            if paid_in_base { (trade.quantity, &spec.base) } else { (value, &spec.quote) };
        let fee = num::round(num::mul(basis, rate), 8, Round::Up);
        let mut fill = Fill {
            trade_id: trade.id,
            order_id: id,
            client_id: order.request.client_id.clone(),
            instrument: order.request.instrument,
            side: order.request.side,
            price: trade.price,
            quantity: trade.quantity,
            value,
            fee,
            fee_asset: fee_asset.clone(),
            maker,
            realised: Decimal::ZERO,
            time_ms: trade.time_ms,
        };
        order.filled = num::add(order.filled, trade.quantity);
        order.value = num::add(order.value, value);
        order.fee = num::add(order.fee, fee);
        order.updated_ms = trade.time_ms;
        if on_spot {
            self.settle_spot(&mut order, &fill);
        } else {
            fill.realised = self.settle_linear(&order, &fill);
        }
        order.status = if order.filled < order.quantity { Status::PartiallyFilled } else { Status::Filled };
        let (account, instrument, done) =
            (order.request.account, order.request.instrument, order.status == Status::Filled);
        self.accounts[account].filled(fill.clone());
        self.note_fill(account, &fill);
        self.orders.insert(id, order);
        self.announce(id, Some(fill));
        if done {
            self.retire(id);
        }
        if maker {
            self.report_balances(account, instrument);
        }
    }

    fn settle_spot(&mut self, order: &mut OrderState, fill: &Fill) {
        let (base, quote) = {
            let spec = &self.listings[fill.instrument].spec;
            (spec.base.clone(), spec.quote.clone())
        };
        let wallet = self.wallet(Market::Spot);
        let account = &mut self.accounts[order.request.account];
        let (used, spent, pays, gets, received) = match fill.side {
            Side::Buy => {
                let limit = order.request.price.unwrap_or(fill.price);
                (num::mul(limit, fill.quantity), fill.value, &quote, &base, fill.quantity)
            }
            Side::Sell => (fill.quantity, fill.quantity, &base, &quote, fill.value),
        };
        order.locked = num::sub(order.locked, used);
        let paying = account.balance_mut(wallet, pays);
        paying.locked = num::sub(paying.locked, used);
        paying.free = num::add(paying.free, num::sub(used, spent));
        let receiving = account.balance_mut(wallet, gets);
        receiving.free = num::add(receiving.free, num::sub(received, fill.fee));
    }

    /// Moves the position and the wallet; returns the realised profit.
    fn settle_linear(&mut self, order: &OrderState, fill: &Fill) -> Decimal {
        let wallet = self.wallet(Market::Linear);
        let account = &mut self.accounts[order.request.account];
        let position = account.positions.entry(fill.instrument).or_default();
        let realised = position.take(fill.side, fill.quantity, fill.value);
        position.updated_ms = fill.time_ms;
        let position = *position;
        let balance = account.balance_mut(wallet, &fill.fee_asset);
        balance.free = num::add(balance.free, num::sub(realised, fill.fee));
        self.events.push(Event::Position {
            account: order.request.account,
            instrument: fill.instrument,
            position,
        });
        realised
    }

    /// Announces the balances an instrument's trades touch.
    pub(super) fn report_balances(&mut self, account: usize, instrument: usize) {
        let spec = &self.listings[instrument].spec;
        let wallet = self.wallet(spec.market);
        let assets =
            if spec.market == Market::Spot { vec![&spec.base, &spec.quote] } else { vec![&spec.quote] };
        let changed: Vec<(String, Balance)> = assets
            .into_iter()
            .map(|asset| (asset.clone(), self.accounts[account].balance(wallet, asset)))
            .collect();
        self.events.push(Event::Balances { account, market: spec.market, changed });
    }

    /// Cancels resting reduce-only orders that no longer reduce, and those that would flip a position.
    pub(super) fn trim_reduce_only(&mut self, instrument: usize, now_ms: u64) {
        let mut surplus = Vec::new();
        for account in 0..self.accounts.len() {
            let held = self.position(account, instrument).quantity;
            let mut left = num::absolute(held);
            for order in self.open_orders(account) {
                let request = &order.request;
                if request.instrument != instrument
                    || !request.reduce_only
                    || order.status == Status::Untriggered
                {
                    continue;
                }
                let against = (request.side == Side::Sell) == held.is_positive();
                if !against || left < order.remaining() {
                    surplus.push(order.id);
                } else {
                    left = num::sub(left, order.remaining());
                }
            }
        }
        for id in surplus {
            self.end(id, Cause::ReduceOnly, now_ms);
        }
    }
}

impl Position {
    /// Adds a fill; returns the profit it realises.
    fn take(&mut self, side: Side, quantity: Decimal, value: Decimal) -> Decimal {
        let signed = if side == Side::Buy { quantity } else { num::negate(quantity) };
        let grows = self.quantity.is_zero() || self.quantity.is_negative() == signed.is_negative();
        if grows {
            self.quantity = num::add(self.quantity, signed);
            self.cost = num::add(self.cost, value);
            return Decimal::ZERO;
        }
        let held = num::absolute(self.quantity);
        let closed = held.min(quantity);
        let share = |whole: Decimal, of: Decimal| num::divide(num::mul(whole, closed), of, 10, Round::Down);
        let entry = if closed == held { self.cost } else { share(self.cost, held) };
        let exit = if closed == quantity { value } else { share(value, quantity) };
        let realised = if side == Side::Sell { num::sub(exit, entry) } else { num::sub(entry, exit) };
        self.quantity = num::add(self.quantity, signed);
        self.cost = if closed == held { num::sub(value, exit) } else { num::sub(self.cost, entry) };
        self.realised = num::add(self.realised, realised);
        realised
    }

    /// The average entry price, at most eight digits.
    #[must_use]
    pub fn entry_price(&self) -> Decimal {
        num::divide(self.cost, num::absolute(self.quantity), 8, Round::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        num::constant(text)
    }

    #[test]
    fn a_position_averages_closes_and_flips() {
        let mut position = Position::default();
        position.take(Side::Buy, decimal("1"), decimal("100"));
        position.take(Side::Buy, decimal("1"), decimal("110"));
        assert_eq!(position.entry_price(), decimal("105"));
        assert_eq!(position.take(Side::Sell, decimal("1"), decimal("120")), decimal("15"));
        assert_eq!(position.take(Side::Sell, decimal("3"), decimal("330")), decimal("5"));
        assert_eq!((position.quantity, position.entry_price()), (decimal("-2"), decimal("110")));
        assert_eq!(position.take(Side::Buy, decimal("2"), decimal("200")), decimal("20"));
        assert_eq!((position.quantity, position.cost), (Decimal::ZERO, Decimal::ZERO));
        assert_eq!(position.realised, decimal("40"));
    }
}
