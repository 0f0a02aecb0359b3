//! The words of trading that every other crate shares: order, amendment, price, account, time.
//!
//! Everything here is a plain value. Nothing reads a clock, a file or a socket, nothing is a
//! float, and each constructor checks its range once so that the rest of the code need not.

mod decimal;
mod intent;
mod names;
mod order;
mod size;
mod text;
mod time;

pub use decimal::{Decimal, DecimalError};
pub use intent::{Amendment, CancelAll, Intent, MAX_BATCH, OrderReference, Read, StreamChannel};
pub use names::{
    AccountName, BotName, ClientOrderId, Instrument, Market, NameError, Symbol, Venue, VenueOrderId,
};
pub use order::{Amount, Notional, Order, OrderType, Price, Quantity, Side, TimeInForce, ValueError};
pub use size::{SizeFactor, SizeFactorError};
pub use time::{Timestamp, TradingState};
