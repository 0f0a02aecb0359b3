//! What a bot may ask for. The vocabulary has no withdrawal and no transfer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Amount, ClientOrderId, Decimal, Instrument, Market, Order, Price, Venue, VenueOrderId};

/// Most legs a batch may have; the largest any supported venue takes is 20 (Bybit linear).
pub const MAX_BATCH: usize = 20;

/// A request in words that mean the same on every venue. Policy judges this, never bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Place a new order.
    Place(Order),
    /// Change an order that rests; judged as a new one.
    Amend(Amendment),
    /// Cancel one order.
    Cancel {
        /// Where it rests.
        instrument: Instrument,
        /// Which one.
        target: OrderReference,
    },
    /// Cancel every order in a scope.
    CancelAll(CancelAll),
    /// Several of place, amend and cancel in one request; one bad leg denies all. At most
    /// [`MAX_BATCH`] legs, never nested.
    Batch(Vec<Intent>),
    /// Ask without changing anything.
    Read(Read),
    /// Log in to a private stream.
    StreamLogin {
        /// The venue.
        venue: Venue,
        /// What the stream carries.
        channel: StreamChannel,
    },
    /// Arm (or with zero, disarm) the venue's cancel-on-silence timer.
    DeadMansSwitch {
        /// The venue.
        venue: Venue,
        /// The market it covers.
        market: Market,
        /// The instrument it covers, where the venue wants one.
        instrument: Option<Instrument>,
        /// Silence after which the venue cancels, in milliseconds; zero disarms.
        timeout_ms: u64,
    },
    /// Set the leverage of an instrument.
    SetLeverage {
        /// For which instrument.
        instrument: Instrument,
        /// The larger of the two sides' leverage, as a multiple of equity.
        leverage: Decimal,
    },
    /// Choose isolated or cross margin, or one-way or hedge mode: changes no exposure by itself.
    SetMode {
        /// The venue.
        venue: Venue,
        /// The venue's own name of the setting.
        setting: Box<str>,
        /// The value asked for, as the venue writes it.
        value: Box<str>,
    },
}

/// A change to a resting order. Absent fields keep what the order has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// Where the order rests.
    pub instrument: Instrument,
    /// Which order.
    pub target: OrderReference,
    /// The side, where the venue repeats it.
    pub side: Option<crate::Side>,
    /// The new amount.
    pub amount: Option<Amount>,
    /// The new limit price.
    pub price: Option<Price>,
    /// The new trigger price.
    pub trigger_price: Option<Price>,
    /// The client order id the venue will know the amended order by, where it takes a new one.
    pub new_client_order_id: Option<ClientOrderId>,
}

/// How a request names an order that exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderReference {
    /// By the bot's id.
    Client(ClientOrderId),
    /// By the venue's id.
    Venue(VenueOrderId),
    /// By both; the venue checks that they agree.
    Both {
        /// The bot's id.
        client: ClientOrderId,
        /// The venue's id.
        venue: VenueOrderId,
    },
}

impl OrderReference {
    /// The bot's id, if the request names it.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientOrderId> {
        match self {
            Self::Client(client) | Self::Both { client, .. } => Some(client),
            Self::Venue(_) => None,
        }
    }

    /// The venue's id, if the request names it.
    #[must_use]
    pub const fn venue(&self) -> Option<&VenueOrderId> {
        match self {
            Self::Venue(venue) | Self::Both { venue, .. } => Some(venue),
            Self::Client(_) => None,
        }
    }
}

/// The scope of a cancel-all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelAll {
    /// The venue.
    pub venue: Venue,
    /// The market.
    pub market: Market,
    /// Only this instrument, if given.
    pub instrument: Option<Instrument>,
}

/// A request that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The venue.
    pub venue: Venue,
    /// The endpoint, as `METHOD /path` or the stream's method name.
    pub endpoint: Box<str>,
    /// The instrument asked about, where there is one.
    pub instrument: Option<Instrument>,
}

/// What a private stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamChannel {
    /// The account's own orders, fills, balances and positions.
    Account,
    /// Order entry.
    Trade,
}

impl Intent {
    /// The venue this is for; `None` only for an empty batch, which nothing accepts.
    #[must_use]
    pub fn venue(&self) -> Option<Venue> {
        match self {
            Self::Place(order) => Some(order.instrument.venue),
            Self::Amend(amendment) => Some(amendment.instrument.venue),
            Self::Cancel { instrument, .. } | Self::SetLeverage { instrument, .. } => Some(instrument.venue),
            Self::CancelAll(scope) => Some(scope.venue),
            Self::Batch(legs) => legs.first().and_then(Self::venue),
            Self::Read(read) => Some(read.venue),
            Self::StreamLogin { venue, .. }
            | Self::DeadMansSwitch { venue, .. }
            | Self::SetMode { venue, .. } => Some(*venue),
        }
    }

    /// The one-word name of the operation, for records, metrics and people.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Place(_) => "place",
            Self::Amend(_) => "amend",
            Self::Cancel { .. } => "cancel",
            Self::CancelAll(_) => "cancel_all",
            Self::Batch(_) => "batch",
            Self::Read(_) => "read",
            Self::StreamLogin { .. } => "stream_login",
            Self::DeadMansSwitch { .. } => "dead_mans_switch",
            Self::SetLeverage { .. } => "set_leverage",
            Self::SetMode { .. } => "set_mode",
        }
    }

    /// Whether this can never add risk: cancels and reads.
    #[must_use]
    pub const fn only_cancels_or_reads(&self) -> bool {
        matches!(self, Self::Cancel { .. } | Self::CancelAll(_) | Self::Read(_) | Self::StreamLogin { .. })
    }
}

impl fmt::Display for Intent {
    /// One line for people: what, how much, where.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(order) => {
                write!(formatter, "{} {} {}", order.side, order.amount, order.instrument)?;
                match order.price {
                    Some(price) => write!(formatter, " @ {price}")?,
                    None => write!(formatter, " {}", order.order_type)?,
                }
                if order.post_only {
                    formatter.write_str(" post-only")?;
                }
                if order.can_only_reduce() {
                    formatter.write_str(" reduce-only")?;
                }
                Ok(())
            }
            Self::Amend(amendment) => {
                write!(formatter, "amend {}", amendment.instrument)?;
                if let Some(amount) = amendment.amount {
                    write!(formatter, " to {amount}")?;
                }
                if let Some(price) = amendment.price {
                    write!(formatter, " @ {price}")?;
                }
                Ok(())
            }
            Self::Cancel { instrument, .. } => write!(formatter, "cancel {instrument}"),
            Self::CancelAll(scope) => match &scope.instrument {
                Some(instrument) => write!(formatter, "cancel all {instrument}"),
                None => write!(formatter, "cancel all {}:{}", scope.venue, scope.market),
            },
            Self::Batch(legs) => write!(formatter, "batch of {}", legs.len()),
            Self::Read(read) => write!(formatter, "read {}", read.endpoint),
            Self::StreamLogin { venue, .. } => write!(formatter, "stream login {venue}"),
            Self::DeadMansSwitch { venue, market, timeout_ms, .. } => {
                write!(formatter, "dead man's switch {venue}:{market} {timeout_ms} ms")
            }
            Self::SetLeverage { instrument, leverage } => {
                write!(formatter, "leverage {instrument} {leverage}")
            }
            Self::SetMode { venue, setting, value } => write!(formatter, "set {venue} {setting} {value}"),
        }
    }
}
