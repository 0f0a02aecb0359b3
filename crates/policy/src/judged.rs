//! An order as it is judged: what the venue would hold after the request, taken at its worst.

use trading::{
    Amendment, Amount, ClientOrderId, Decimal, Instrument, Market, Order, OrderType, Price, Quantity, Side,
    TimeInForce, Timestamp,
};

use crate::policy::SymbolLimits;
use crate::request::Context;
use crate::state::State;
use crate::units::Units;

/// One order under judgement. Unknown facts (of an order that was not signed here, or no longer
/// known) are `None` and judged at their worst.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub instrument: &'a Instrument,
    pub side: Option<Side>,
    pub order_type: OrderType,
    pub amount: Option<Amount>,
    pub price: Option<Price>,
    pub trigger_price: Option<Price>,
    pub time_in_force: TimeInForce,
    pub post_only: bool,
    /// Can only reduce a position, on a market where the venue enforces that.
    pub exit: bool,
    /// The client order id this request puts to use.
    pub new_id: Option<&'a ClientOrderId>,
    pub origin: Origin,
    pub mark: Mark,
    /// What the order is worth at its worst price.
    pub worth: Worth,
}

/// Where an order under judgement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    New,
    /// Amends the order of this number.
    Amends(u64),
    /// Amends an order that is not known here.
    AmendsUnknown,
}

/// The mark price of the instrument at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Fresh(Price),
    Stale { price: Price, was_ms: u64 },
    Missing,
}

/// What an order is worth at its worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    Known(Decimal),
    /// No price or no amount to judge by; another rule denies it, or it is an exit.
    Unknown,
    /// The exact product does not fit.
    Overflow,
}

impl Mark {
    /// Looks up the mark price; one from the future is as stale as one from the past.
    #[inline]
    pub(crate) fn of(context: &Context, instrument: &Instrument, max_age_ms: u64) -> Self {
        match context.mark_prices.get(instrument) {
            None => Self::Missing,
            Some(mark) => match context.now.distance_ms(mark.at) {
                age if age <= max_age_ms => Self::Fresh(mark.price),
                was_ms => Self::Stale { price: mark.price, was_ms },
            },
        }
    }

    /// The price, however old: where none is needed, an old one only adds caution. Were it left
    /// out, a shorter `max_mark_price_age_ms` would value sales lower and allow more.
    #[inline]
    pub(crate) const fn known(self) -> Option<Price> {
        match self {
            Self::Fresh(price) | Self::Stale { price, .. } => Some(price),
            Self::Missing => None,
        }
    }
}

impl<'a> Judged<'a> {
    #[inline]
    pub(crate) fn new_order(order: &'a Order, mark: Mark) -> Self {
        Self {
            instrument: &order.instrument,
            side: Some(order.side),
            order_type: order.order_type,
            amount: Some(order.amount),
            price: order.price,
            trigger_price: order.trigger_price,
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            exit: order.can_only_reduce() && enforces_reduce_only(order.instrument.market),
            new_id: order.client_order_id.as_ref(),
            origin: Origin::New,
            mark,
            worth: Worth::Unknown,
        }
        .valued()
    }

    /// The order that would result from `amendment`. What it does not state is taken at the worst
    /// that was ever signed for that order, because amendments may reach the venue in any order.
    pub(crate) fn amended(amendment: &'a Amendment, state: &'a State, now: Timestamp, mark: Mark) -> Self {
        let new_id = amendment.new_client_order_id.as_ref();
        let Some(known) = state.orders.amendable(amendment, now) else {
            let order_type =
                if amendment.trigger_price.is_some() { OrderType::StopLimit } else { OrderType::Limit };
            return Self {
                instrument: &amendment.instrument,
                side: amendment.side,
                order_type,
                amount: amendment.amount,
                price: amendment.price,
                trigger_price: amendment.trigger_price,
                time_in_force: TimeInForce::GoodTillCancel,
                post_only: false,
                exit: false,
                new_id,
                origin: Origin::AmendsUnknown,
                mark,
                worth: Worth::Unknown,
            }
            .valued();
        };
        let order = known.order;
        Self {
            instrument: &amendment.instrument,
            side: Some(order.side),
            order_type: order.order_type,
            amount: Some(amendment.amount.unwrap_or(order.amount)),
            price: amendment.price.or(order.price),
            trigger_price: amendment.trigger_price.or(order.trigger_price),
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            // Which order the venue will amend is known only as far as its reports are honest.
            exit: false,
            new_id,
            origin: Origin::Amends(known.number),
            mark,
            worth: Worth::Unknown,
        }
        .valued()
    }

    /// The base quantity, where one is stated.
    #[inline]
    pub(crate) const fn quantity(&self) -> Option<Quantity> {
        match self.amount {
            Some(Amount::Base(quantity)) => Some(quantity),
            _ => None,
        }
    }

    /// The price that bounds what the order pays or takes, if its type has one.
    #[inline]
    pub(crate) fn limit_price(&self) -> Option<Price> {
        self.price.filter(|_| self.order_type.has_limit_price())
    }

    /// Whether nothing in the order itself bounds its value, so that a mark price is needed: no
    /// limit price, an amount in quote currency, or a sale that may take whatever the book gives.
    /// Exits of a stated quantity pass without: a dead feed must not lock the door.
    #[inline]
    pub(crate) fn needs_mark(&self) -> bool {
        if matches!(self.amount, Some(Amount::Quote(_))) {
            return true;
        }
        if self.exit {
            return false;
        }
        match (self.limit_price(), self.side) {
            (None, _) => true,
            (Some(_), Some(Side::Buy)) => false,
            (Some(_), _) => !self.post_only,
        }
    }

    /// The dearest of the prices at which the order may trade or be valued.
    #[inline]
    pub(crate) fn worst_price(&self) -> Option<Price> {
        let limit = self.limit_price();
        let worst = limit.max(self.trigger_price);
        if limit.is_some() && self.side == Some(Side::Buy) { worst } else { worst.max(self.mark.known()) }
    }

    #[inline]
    fn valued(mut self) -> Self {
        self.worth = self.value();
        self
    }

    #[inline]
    fn value(&self) -> Worth {
        match self.amount {
            Some(Amount::Quote(notional)) => Worth::Known(notional.decimal()),
            Some(Amount::Base(quantity)) => match self.worst_price() {
                Some(price) => {
                    price.times(quantity).map_or(Worth::Overflow, |worth| Worth::Known(worth.decimal()))
                }
                None => Worth::Unknown,
            },
            Some(Amount::WholePosition) | None => Worth::Unknown,
        }
    }

    /// What the order takes from the budgets. An exit whose worth is not known takes the symbol's
    /// whole `max_notional`, and none takes more than that or than its quantity at the mark price:
    /// the price it states may be anything. Otherwise what is not known cannot be approved.
    #[inline]
    pub(crate) fn charge(&self, limits: &SymbolLimits) -> Option<Units> {
        let known = match self.worth {
            Worth::Known(worth) => Units::at_least(worth),
            Worth::Unknown | Worth::Overflow => None,
        };
        if !self.exit {
            return known;
        }
        let at_mark =
            self.mark.known().zip(self.quantity()).and_then(|(price, quantity)| price.times(quantity));
        let most =
            at_mark.max(Some(limits.max_notional.limit)).and_then(|most| Units::at_least(most.decimal()))?;
        Some(known.map_or(most, |known| known.min(most)))
    }

    /// Whether the order may stay on the book; an amendment's does.
    pub(crate) fn may_rest(&self) -> bool {
        self.origin != Origin::New || self.rests()
    }

    /// Whether this is a new order that may stay on the book.
    pub(crate) fn rests(&self) -> bool {
        rests(self.order_type, self.time_in_force)
    }
}

/// Whether an order may stay on the venue after it arrived.
pub(crate) const fn rests(order_type: OrderType, time_in_force: TimeInForce) -> bool {
    order_type.is_triggered()
        || (matches!(order_type, OrderType::Limit | OrderType::Pegged)
            && matches!(time_in_force, TimeInForce::GoodTillCancel | TimeInForce::GoodTillDate))
}

/// Whether the venue itself keeps a reduce-only order from opening a position. On spot there is no
/// position, and venues ignore the flag there.
const fn enforces_reduce_only(market: Market) -> bool {
    matches!(market, Market::Linear)
}
