//! What goes into the exchange and what comes out: commands, rejections, orders, fills, events.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{Decimal, Market, Side, TimeInForce};

/// One tradable instrument and its filters. All numbers are in base or quote units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentSpec {
    /// `spot` or `linear`; the others are not built.
    pub market: Market,
    /// The venue's name, as `BTCUSDT`.
    pub symbol: String,
    /// Base currency.
    pub base: String,
    /// Quote (and, on linear, settlement) currency.
    pub quote: String,
    /// Smallest price step.
    pub tick: Decimal,
    /// Smallest quantity step.
    pub lot: Decimal,
    /// Largest quantity of one order.
    pub max_quantity: Decimal,
    /// Largest limit price.
    pub max_price: Decimal,
    /// Smallest `price × quantity` of one order.
    pub min_notional: Decimal,
    /// The price at which the generator starts, and to which it is drawn back.
    pub start_price: Decimal,
}

/// How much an order wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Base currency.
    Base(Decimal),
    /// Quote currency to spend or receive; market orders on spot only.
    Quote(Decimal),
}

/// When a triggered order wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// The price.
    pub price: Decimal,
    /// Wakes when the last price is at or above it, else at or below it.
    pub rising: bool,
}

/// A request for a new order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Index of the account, from [`super::Exchange::open_account`].
    pub account: usize,
    /// Index of the instrument, from [`super::Exchange::instrument`].
    pub instrument: usize,
    /// Direction.
    pub side: Side,
    /// The limit price; `None` for a market order.
    pub price: Option<Decimal>,
    /// How much.
    pub size: Size,
    /// How long it rests.
    pub time_in_force: TimeInForce,
    /// Must not take liquidity.
    pub post_only: bool,
    /// Must not open or grow a position.
    pub reduce_only: bool,
    /// Waits for this first.
    pub trigger: Option<Trigger>,
    /// The client's id; empty for none.
    pub client_id: String,
    /// The venue's own word for the type (`LIMIT_MAKER`, `Limit`), echoed in replies.
    pub type_name: &'static str,
    /// Reject outright (Binance), rather than accept and cancel (Bybit), an order that is post-only
    /// and would take, or fill-or-kill and cannot fill.
    pub reject_unfit: bool,
}

/// How a request names an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By the venue's id.
    Id(u64),
    /// By the client's id.
    Client(String),
}

/// A change to the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Place an order.
    Place(NewOrder),
    /// Change a resting order; absent fields keep their value.
    Amend {
        /// Whose.
        account: usize,
        /// On which instrument.
        instrument: usize,
        /// Which.
        target: Target,
        /// The new limit price.
        price: Option<Decimal>,
        /// The new total quantity, what has filled included.
        quantity: Option<Decimal>,
        /// The new trigger price.
        trigger_price: Option<Decimal>,
    },
    /// Cancel one order.
    Cancel {
        /// Whose.
        account: usize,
        /// On which instrument.
        instrument: usize,
        /// Which.
        target: Target,
    },
    /// Cancel every open order of an account on a market, or on one instrument.
    CancelAll {
        /// Whose.
        account: usize,
        /// Where.
        market: Market,
        /// Only there.
        instrument: Option<usize>,
    },
    /// Set the leverage of an instrument.
    SetLeverage {
        /// Whose.
        account: usize,
        /// On which instrument.
        instrument: usize,
        /// A whole multiple, 1 to 125.
        leverage: u32,
    },
    /// Change a balance from outside the market; the result is the entry's id.
    Flow {
        /// Whose.
        account: usize,
        /// On which market's wallet.
        market: Market,
        /// Of what.
        asset: String,
        /// By how much; negative takes away, and is refused where it is not free.
        amount: Decimal,
        /// What it is.
        kind: super::EntryKind,
    },
    /// Move the price generator on by one step.
    Step,
    /// Put the generator's price of an instrument at a value.
    SetPrice {
        /// Which instrument.
        instrument: usize,
        /// The new price.
        price: Decimal,
    },
}

/// Why the exchange refused a command. The fronts give it the venue's code and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reject {
    /// Off the tick, or outside the price bounds.
    #[error("price filter")]
    Price,
    /// Off the lot, or outside the quantity bounds.
    #[error("lot size filter")]
    Lot,
    /// Too small in quote currency.
    #[error("notional filter")]
    Notional,
    /// A live order of the account has this client id.
    #[error("duplicate client order id")]
    Duplicate,
    /// The account has too many open orders.
    #[error("too many open orders")]
    TooManyOrders,
    /// Not enough balance.
    #[error("insufficient balance")]
    Balance,
    /// Not enough margin.
    #[error("insufficient margin")]
    Margin,
    /// Reduce-only with nothing to reduce.
    #[error("reduce-only order has nothing to reduce")]
    ReduceOnly,
    /// Post-only and it would take.
    #[error("post-only order would take")]
    WouldTake,
    /// Fill-or-kill and it cannot fill.
    #[error("fill-or-kill order cannot fill")]
    Unfillable,
    /// No such live order.
    #[error("unknown order")]
    UnknownOrder,
    /// The amendment changes nothing.
    #[error("nothing to change")]
    Unchanged,
    /// The amended quantity is not above what has filled.
    #[error("quantity not above what has filled")]
    BelowFilled,
    /// The trigger would fire at once.
    #[error("order would trigger immediately")]
    WouldTrigger,
    /// Leverage out of range.
    #[error("leverage out of range")]
    Leverage,
}

/// Where an order is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for its trigger.
    Untriggered,
    /// Rests, nothing filled.
    New,
    /// Rests, partly filled.
    PartiallyFilled,
    /// Done.
    Filled,
    /// Cancelled, by its owner or by a rule.
    Cancelled,
}

impl Status {
    /// Whether the order can still change.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Untriggered | Self::New | Self::PartiallyFilled)
    }
}

/// Why an order ended without filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its owner cancelled it.
    User,
    /// Post-only and it would have taken.
    WouldTake,
    /// Immediate-or-cancel, or a market order that found no more liquidity.
    Remainder,
    /// Fill-or-kill and it could not fill.
    Unfillable,
    /// Nothing left to reduce.
    ReduceOnly,
    /// Its trigger fired and the balance no longer sufficed.
    Balance,
}

/// An order as the exchange knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    /// The venue's id.
    pub id: u64,
    /// What was asked.
    pub request: NewOrder,
    /// The limit price now; zero for a market order.
    pub price: Decimal,
    /// The total quantity now.
    pub quantity: Decimal,
    /// How much of it has filled.
    pub filled: Decimal,
    /// What the fills cost, in quote currency.
    pub value: Decimal,
    /// What the fills paid in fees.
    pub fee: Decimal,
    /// Where it is.
    pub status: Status,
    /// Why it ended, if it did without filling.
    pub cause: Option<Cause>,
    /// Whether its trigger has fired.
    pub triggered: bool,
    /// Balance held for it, in the currency it would pay; spot only.
    pub locked: Decimal,
    /// When it came, in milliseconds.
    pub created_ms: u64,
    /// When it last changed, in milliseconds.
    pub updated_ms: u64,
}

impl OrderState {
    /// What is left to fill.
    #[must_use]
    pub fn remaining(&self) -> Decimal {
        crate::num::sub(self.quantity, self.filled)
    }

    /// The average fill price, at most eight digits; zero before the first fill.
    #[must_use]
    pub fn average_price(&self) -> Decimal {
        crate::num::divide(self.value, self.filled, 8, crate::num::Round::Down)
    }
}

/// One side of one trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The trade's id, shared by both sides.
    pub trade_id: u64,
    /// The order.
    pub order_id: u64,
    /// The client's id of the order.
    pub client_id: String,
    /// The instrument.
    pub instrument: usize,
    /// The order's side.
    pub side: Side,
    /// The price.
    pub price: Decimal,
    /// The quantity.
    pub quantity: Decimal,
    /// `price × quantity`.
    pub value: Decimal,
    /// The fee, never negative.
    pub fee: Decimal,
    /// In what the fee is paid.
    pub fee_asset: String,
    /// Whether the order rested.
    pub maker: bool,
    /// Profit realised by it; linear only.
    pub realised: Decimal,
    /// When, in milliseconds.
    pub time_ms: u64,
}

/// A trade as the public sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicTrade {
    /// Its id, rising per instrument.
    pub id: u64,
    /// Its price.
    pub price: Decimal,
    /// Its quantity.
    pub quantity: Decimal,
    /// The side of the order that took.
    pub taker: Side,
    /// When, in milliseconds.
    pub time_ms: u64,
}

/// Free and locked amounts of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// May be spent.
    pub free: Decimal,
    /// Held for open orders.
    pub locked: Decimal,
}

/// A position on one linear instrument, one-way mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Base quantity; negative when short.
    pub quantity: Decimal,
    /// What it cost to enter, never negative.
    pub cost: Decimal,
    /// Profit realised so far.
    pub realised: Decimal,
    /// When it last changed, in milliseconds.
    pub updated_ms: u64,
}

/// Something that happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An order came, changed, filled or ended.
    Order {
        /// The order after it.
        order: Box<OrderState>,
        /// The fill, if that is what happened.
        fill: Option<Box<Fill>>,
    },
    /// Balances changed.
    Balances {
        /// Whose.
        account: usize,
        /// On which market's wallet.
        market: Market,
        /// The currencies and their amounts after it.
        changed: Vec<(String, Balance)>,
    },
    /// A position changed.
    Position {
        /// Whose.
        account: usize,
        /// On which instrument.
        instrument: usize,
        /// The position after it.
        position: Position,
    },
    /// A trade.
    Trade {
        /// Where.
        instrument: usize,
        /// What.
        trade: PublicTrade,
    },
    /// The book changed.
    Book {
        /// Where.
        instrument: usize,
    },
}
