//! One order and the numbers in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ClientOrderId, Decimal, DecimalError, Instrument};

/// Why a decimal is not a price, quantity or notional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Not a number at all.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// Zero or negative.
    #[error("must be above zero")]
    NotPositive,
}

/// Declares a positive decimal newtype.
macro_rules! positive {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Decimal", into = "Decimal")]
        pub struct $name(Decimal);

        impl $name {
            /// Takes `value`, which must be above zero.
            ///
            /// # Errors
            ///
            /// [`ValueError::NotPositive`] if it is not.
            pub fn new(value: Decimal) -> Result<Self, ValueError> {
                if value.is_positive() { Ok(Self(value)) } else { Err(ValueError::NotPositive) }
            }

            /// The number itself.
            #[must_use]
            pub const fn decimal(self) -> Decimal {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = ValueError;
            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::new(text.parse()?)
            }
        }

        impl TryFrom<Decimal> for $name {
            type Error = ValueError;
            fn try_from(value: Decimal) -> Result<Self, ValueError> {
                Self::new(value)
            }
        }

        impl From<$name> for Decimal {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

positive!(
    /// Price of one unit of the base currency, in the quote currency. Never zero or negative.
    Price
);
positive!(
    /// How much to trade: base currency on spot, margin and linear markets, contracts on inverse
    /// and option markets. Never zero; direction is [`Side`].
    Quantity
);
positive!(
    /// An amount of the quote currency. Never zero.
    Notional
);

impl Price {
    /// The value of `quantity` at this price, or `None` if the exact product does not fit.
    #[must_use]
    #[inline]
    pub fn times(self, quantity: Quantity) -> Option<Notional> {
        self.0.checked_mul(quantity.0).map(Notional)
    }
}

/// Which way an order trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Pay quote currency, get base currency.
    Buy,
    /// Give base currency, get quote currency.
    Sell,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// How an order finds its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderType {
    /// At whatever the book gives.
    Market,
    /// At a stated price or better.
    Limit,
    /// A limit order whose price the venue sets, from a level of its book or an implied volatility,
    /// whatever price the order states. Nothing in the order bounds what it pays, so it is judged
    /// as a market order that may rest.
    Pegged,
    /// A market order once the trigger price is reached against the position.
    StopMarket,
    /// A limit order once the trigger price is reached against the position.
    StopLimit,
    /// A market order once the trigger price is reached in favour of the position.
    TakeProfitMarket,
    /// A limit order once the trigger price is reached in favour of the position.
    TakeProfitLimit,
    /// A market order once the price has moved back by a stated distance.
    TrailingStop,
}

/// How long an order may rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until cancelled.
    GoodTillCancel,
    /// Fill what is there now, cancel the rest.
    ImmediateOrCancel,
    /// Fill all of it now, or nothing.
    FillOrKill,
    /// Until a stated time.
    GoodTillDate,
}

/// Declares the venue-neutral names of a unit enum once, for printing.
macro_rules! printed {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every variant, in the order in which they are listed to people.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name used in files, records and denials.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

printed!(Side { Buy => "buy", Sell => "sell" });
printed!(OrderType {
    Market => "market",
    Limit => "limit",
    Pegged => "pegged",
    StopMarket => "stop_market",
    StopLimit => "stop_limit",
    TakeProfitMarket => "take_profit_market",
    TakeProfitLimit => "take_profit_limit",
    TrailingStop => "trailing_stop",
});
printed!(TimeInForce {
    GoodTillCancel => "good_till_cancel",
    ImmediateOrCancel => "immediate_or_cancel",
    FillOrKill => "fill_or_kill",
    GoodTillDate => "good_till_date",
});

impl OrderType {
    /// Whether the order waits for a trigger before it reaches the book.
    #[must_use]
    pub const fn is_triggered(self) -> bool {
        !matches!(self, Self::Market | Self::Limit | Self::Pegged)
    }

    /// Whether the order states the worst price it takes.
    #[must_use]
    pub const fn has_limit_price(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit | Self::TakeProfitLimit)
    }

    /// Whether it reaches the book as a limit order, at a price of its own or of the venue's.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        self.has_limit_price() || matches!(self, Self::Pegged)
    }
}

/// How an order says how much. The unit is part of the type: the same digits mean different
/// things on different endpoints (a Bybit spot market buy counts in quote currency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// Base currency, or contracts where the instrument counts in contracts.
    Base(Quantity),
    /// Quote currency to spend or receive.
    Quote(Notional),
    /// Whatever the open position holds; can only reduce.
    WholePosition,
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(quantity) => quantity.fmt(formatter),
            Self::Quote(notional) => write!(formatter, "{notional} (quote)"),
            Self::WholePosition => formatter.write_str("whole position"),
        }
    }
}

/// One order as a bot asks for it, in words that mean the same on every venue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What to trade.
    pub instrument: Instrument,
    /// Which way.
    pub side: Side,
    /// How the price is found.
    pub order_type: OrderType,
    /// How much.
    pub amount: Amount,
    /// The worst price to take; present exactly if the type has one.
    pub price: Option<Price>,
    /// The price that wakes a triggered order.
    pub trigger_price: Option<Price>,
    /// How long it may rest.
    pub time_in_force: TimeInForce,
    /// Whether the venue must cancel it rather than let it take liquidity.
    pub post_only: bool,
    /// Whether the venue must cancel it rather than let it open or grow a position.
    pub reduce_only: bool,
    /// The bot's own id for it.
    pub client_order_id: Option<ClientOrderId>,
}

impl Order {
    /// Whether this order can only shrink a position, on the venue's word.
    #[must_use]
    pub const fn can_only_reduce(&self) -> bool {
        self.reduce_only || matches!(self.amount, Amount::WholePosition)
    }

    /// The base quantity, where the order states one.
    #[must_use]
    pub const fn quantity(&self) -> Option<Quantity> {
        match self.amount {
            Amount::Base(quantity) => Some(quantity),
            Amount::Quote(_) | Amount::WholePosition => None,
        }
    }
}
