//! What the admin vault may sign: cancelling, taking keys away, and dead-man's switches.
//!
//! [`request`] says an [`AdminRequest`] in the venue's words, [`meaning`] takes the finished bytes apart
//! again, [`read`] says what became of it. None of it but the cancels and the switch can be reached from a
//! bot's request.
//!
//! A [`Reply::Confirmed`] cancel says that the venue took the request. Both venues cancel asynchronously, and
//! Bybit at most 500 futures orders at a time, "picked randomly": whoever wants to know that nothing rests
//! reads the open orders ([`crate::watch`]) until none is there, and cancels again while there are some.

use std::fmt;

use serde::{Deserialize, Serialize};
use trading::{Instrument, Market, Timestamp, Venue};

use crate::answer::{Heard, Refusal, Why, hear, shortened};
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::unsigned::{Form, Signed, Unsigned};
use crate::watch::OpenOrder;
use crate::{binance, bybit};

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminRequest {
    /// Cancel every resting order of a scope.
    Cancel(Scope),
    /// Delete a sub-account's key with a key of the master account.
    DeleteSubKey {
        /// The venue.
        venue: Venue,
        /// Whose key; Bybit needs only the key, so there the name is for our records.
        account: SubAccount,
        /// Which.
        key: ApiKey,
    },
    /// Bybit: delete the very key that signs this, which is a sub-account's.
    DeleteOwnSubKey,
    /// Bybit: delete the very key that signs this, which is the master account's.
    DeleteOwnKey,
    /// Bybit: make a sub-account's key read-only.
    MakeSubKeyReadOnly {
        /// Which.
        key: ApiKey,
    },
    /// Bybit: freeze a sub-account. It is unfrozen by a person, on the venue's page.
    Freeze {
        /// Which.
        account: SubAccount,
    },
    /// Bybit: list a sub-account's keys, to see that one is gone.
    ListSubKeys {
        /// Whose.
        account: SubAccount,
    },
    /// Arm, keep alive or stop a dead-man's switch.
    Switch(Switch),
}

/// A sub-account as its master names it: a number on Bybit, an email address on Binance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubAccount(Box<str>);

/// The text cannot name a sub-account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither a number of up to 18 digits (Bybit) nor an email address (Binance)")]
pub struct NotASubAccount;

impl SubAccount {
    /// Checks `text` and takes it as a name.
    ///
    /// # Errors
    ///
    /// [`NotASubAccount`].
    pub fn new(text: &str) -> Result<Self, NotASubAccount> {
        if is_uid(text) || is_email(text) { Ok(Self(text.into())) } else { Err(NotASubAccount) }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn uid(&self) -> Result<u64, Unencodable> {
        self.0.parse().map_err(|_| Unencodable::new("account", "is not a number, as Bybit names accounts"))
    }

    pub(crate) fn email(&self) -> Result<&str, Unencodable> {
        if is_email(&self.0) {
            Ok(&self.0)
        } else {
            Err(Unencodable::new("account", "is not an email address, as Binance names sub-accounts"))
        }
    }
}

fn is_uid(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0')
}

fn is_email(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-@".contains(&byte);
    text.len() <= 254
        && text.bytes().all(plain)
        && text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

impl fmt::Display for SubAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for SubAccount {
    type Error = NotASubAccount;
    fn try_from(text: String) -> Result<Self, NotASubAccount> {
        Self::new(&text)
    }
}

impl From<SubAccount> for String {
    fn from(account: SubAccount) -> Self {
        account.0.into()
    }
}

/// A key's own name at the venue. Not secret by itself, but no log needs it: it prints nothing of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiKey(Box<str>);

/// The text cannot be an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an API key: 1 to 128 letters, digits, `-` and `_`")]
pub struct NotAnApiKey;

impl ApiKey {
    /// Checks `text` and takes it as a key's name.
    ///
    /// # Errors
    ///
    /// [`NotAnApiKey`].
    pub fn new(text: &str) -> Result<Self, NotAnApiKey> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=128).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(NotAnApiKey)
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(..)")
    }
}

impl TryFrom<String> for ApiKey {
    type Error = NotAnApiKey;
    fn try_from(text: String) -> Result<Self, NotAnApiKey> {
        Self::new(&text)
    }
}

impl From<ApiKey> for String {
    fn from(key: ApiKey) -> Self {
        key.0.into()
    }
}

/// Which orders a cancel is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Bybit spot: all instruments, one kind of order each time.
    BybitSpot(SpotFilter),
    /// Bybit linear futures that settle in this: every kind of order.
    BybitLinear(Currency),
    /// Bybit inverse futures that settle in this: every kind of order.
    BybitInverse(Currency),
    /// Bybit options: every kind of order.
    BybitOption,
    /// Binance: every order of one instrument, spot or USD-M, but the conditional ones of USD-M.
    Binance(Instrument),
    /// Binance: the conditional orders of one USD-M instrument.
    BinanceConditional(Instrument),
}

/// Kinds of Bybit's spot orders; a cancel without one takes only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpotFilter {
    /// `Order`.
    Order,
    /// `StopOrder`.
    Stop,
    /// `tpslOrder`.
    TakeProfitStopLoss,
    /// `OcoOrder`.
    OneCancelsOther,
    /// `BidirectionalTpslOrder`.
    Bidirectional,
}

impl SpotFilter {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Order, Self::Stop, Self::TakeProfitStopLoss, Self::OneCancelsOther, Self::Bidirectional];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "Order",
            Self::Stop => "StopOrder",
            Self::TakeProfitStopLoss => "tpslOrder",
            Self::OneCancelsOther => "OcoOrder",
            Self::Bidirectional => "BidirectionalTpslOrder",
        }
    }
}

/// Every scope of a Bybit account whose linear futures settle in `linear` and inverse ones in `inverse`.
#[must_use]
pub fn bybit_scopes(linear: &[Currency], inverse: &[Currency]) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = linear.iter().cloned().map(Scope::BybitLinear).collect();
    scopes.extend(inverse.iter().cloned().map(Scope::BybitInverse));
    scopes.push(Scope::BybitOption);
    scopes.extend(SpotFilter::ALL.map(Scope::BybitSpot));
    scopes
}

/// Every scope of a Binance account that trades `instruments`; those of other venues and markets are left out.
#[must_use]
pub fn binance_scopes(instruments: &[Instrument]) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for instrument in instruments.iter().filter(|instrument| instrument.venue == Venue::Binance) {
        match instrument.market {
            Market::Spot => scopes.push(Scope::Binance(instrument.clone())),
            Market::Linear => {
                scopes.push(Scope::Binance(instrument.clone()));
                scopes.push(Scope::BinanceConditional(instrument.clone()));
            }
            Market::Margin | Market::Inverse | Market::Option => {}
        }
    }
    scopes
}

/// A dead-man's switch at the venue: unless it hears again in time, the venue cancels everything that rests
/// in its reach, protective stops too. It does not look at positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    reach: Reach,
    timeout_ms: u64,
}

/// What a switch cancels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Binance: one USD-M instrument. Each request starts the countdown anew.
    Binance(Instrument),
    /// Bybit, for institutional accounts that have it switched on: a product. The countdown starts when the
    /// last private stream with the `dcp` topic is gone, and ends when one is back.
    Bybit(Product),
}

/// Bybit's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Spot.
    Spot,
    /// Linear and inverse futures.
    Derivatives,
    /// Options.
    Options,
}

/// Why a switch is not armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotArmed {
    /// It would remove orders that protect a position.
    #[error("{0} resting orders protect a position, and the switch would cancel them")]
    ProtectiveOrders(usize),
    /// The venue takes no such time.
    #[error("the time must be {least_ms} to {most_ms} ms and, on Bybit, whole seconds")]
    Timeout {
        /// The shortest.
        least_ms: u64,
        /// The longest.
        most_ms: u64,
    },
    /// The instrument is not a USD-M future of Binance.
    #[error("Binance has the switch for USD-M instruments only")]
    Instrument,
}

impl Reach {
    /// The venue.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        match self {
            Self::Binance(_) => Venue::Binance,
            Self::Bybit(_) => Venue::Bybit,
        }
    }

    /// Whether the switch would cancel `order`. Whether Binance's takes the conditional orders too is not
    /// documented, so it is taken to.
    #[must_use]
    pub fn covers(&self, order: &OpenOrder) -> bool {
        let (venue, market) = (order.instrument.venue, order.instrument.market);
        match self {
            Self::Binance(instrument) => order.instrument == *instrument,
            Self::Bybit(product) => {
                venue == Venue::Bybit
                    && match product {
                        Product::Spot => matches!(market, Market::Spot | Market::Margin),
                        Product::Derivatives => matches!(market, Market::Linear | Market::Inverse),
                        Product::Options => market == Market::Option,
                    }
            }
        }
    }

    /// The shortest and longest time in milliseconds. Binance documents none; ours leave room for a request
    /// to be late.
    const fn times(&self) -> (u64, u64) {
        match self {
            Self::Binance(_) => (5_000, 600_000),
            Self::Bybit(_) => (3_000, 300_000),
        }
    }
}

impl Switch {
    /// A switch that fires after `timeout_ms` of silence, if none of the orders that rest (all of them, read
    /// just now) is one it must not remove. Keeping alive is arming again.
    ///
    /// # Errors
    ///
    /// [`NotArmed`].
    pub fn armed(reach: Reach, timeout_ms: u64, resting: &[OpenOrder]) -> Result<Self, NotArmed> {
        if let Reach::Binance(instrument) = &reach
            && (instrument.venue != Venue::Binance || instrument.market != Market::Linear)
        {
            return Err(NotArmed::Instrument);
        }
        let switch = Self { reach, timeout_ms };
        if timeout_ms == 0 || !switch.is_sayable() {
            let (least_ms, most_ms) = switch.reach.times();
            return Err(NotArmed::Timeout { least_ms, most_ms });
        }
        match resting.iter().filter(|order| order.protective && switch.reach.covers(order)).count() {
            0 => Ok(switch),
            protective => Err(NotArmed::ProtectiveOrders(protective)),
        }
    }

    /// Whether the venue takes the time; on Binance zero stops the countdown.
    fn is_sayable(&self) -> bool {
        let (least_ms, most_ms) = self.reach.times();
        let in_range = (least_ms..=most_ms).contains(&self.timeout_ms);
        match self.reach {
            Reach::Binance(_) => in_range || self.timeout_ms == 0,
            Reach::Bybit(_) => in_range && self.timeout_ms.is_multiple_of(1_000),
        }
    }

    /// The end of a switch. Bybit's is never off, so there is none: its client manager turns it off.
    #[must_use]
    pub fn stopped(instrument: Instrument) -> Self {
        Self { reach: Reach::Binance(instrument), timeout_ms: 0 }
    }

    /// What it cancels.
    #[must_use]
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// After how much silence; zero where it is stopped.
    #[must_use]
    pub const fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    pub(crate) const fn read(reach: Reach, timeout_ms: u64) -> Self {
        Self { reach, timeout_ms }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is so now: done, or so already.
    Confirmed(Confirmed),
    /// The venue said no; nothing was done.
    Refused(Refusal),
    /// Nobody knows. Never a success.
    Unknown {
        /// What the venue sent, as far as there are words for it.
        why: Box<str>,
    },
}

/// What is so now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmed {
    /// The venue took the request.
    Done,
    /// There was nothing to do: the key was gone, no order rested.
    AlreadySo,
    /// The keys there are.
    Keys(Vec<ApiKey>),
}

impl AdminRequest {
    /// The venue it is for.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        match self {
            Self::Cancel(Scope::Binance(_) | Scope::BinanceConditional(_)) => Venue::Binance,
            Self::DeleteSubKey { venue, .. } => *venue,
            Self::Switch(switch) => switch.reach.venue(),
            _ => Venue::Bybit,
        }
    }
}

/// Says a request in its venue's words.
///
/// # Errors
///
/// Names what the venue cannot express.
pub fn request(
    asked: &AdminRequest,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Unsigned, Unencodable> {
    if let AdminRequest::Switch(switch) = asked
        && !switch.is_sayable()
    {
        return Err(Unencodable::new("timeout_ms", "is not one that the venue takes"));
    }
    Ok(Unsigned(match asked.venue() {
        Venue::Bybit => Form::BybitHttp(bybit::admin::request(asked, sent_at, recv_window_ms)?),
        Venue::Binance => Form::BinanceHttp(binance::admin::request(asked, sent_at, recv_window_ms)?),
    }))
}

/// Takes a finished message apart again: what it asks, if it is one that [`request`] makes.
///
/// Bybit does not repeat in the request whose key is deleted; `asked` fills that in, and nothing else of it is
/// believed.
///
/// # Errors
///
/// The bytes are not exactly those of a request.
pub fn meaning(venue: Venue, finished: &Signed, asked: &AdminRequest) -> Result<AdminRequest, Undecodable> {
    let unsigned = crate::canonical::unsigned(venue, finished)?;
    let found = match &unsigned.0 {
        Form::BybitHttp(http) => bybit::admin::take_apart(http, asked)?,
        Form::BinanceHttp(http) => binance::admin::take_apart(http)?,
        _ => return Err(Undecodable::Endpoint("a stream message".into())),
    };
    crate::canonical::same(&unsigned, |sent_at, window| request(&found, sent_at, window))?;
    Ok(found)
}

/// Says what became of a request.
#[must_use]
pub fn read(asked: &AdminRequest, status: u16, body: &str) -> Reply {
    let venue = asked.venue();
    match hear(venue, status, body) {
        Heard::Answer(value) => {
            let confirmed = match venue {
                Venue::Bybit => bybit::admin::confirmed(asked, &value),
                Venue::Binance => binance::admin::confirmed(asked, &value),
            };
            match confirmed {
                Some(confirmed) => Reply::Confirmed(confirmed),
                None => Reply::Unknown { why: shortened(body) },
            }
        }
        Heard::Refused(refusal) if is_already_so(asked, &refusal) => Reply::Confirmed(Confirmed::AlreadySo),
        Heard::Refused(refusal) => Reply::Refused(refusal),
        Heard::Unclear(why) => Reply::Unknown { why },
    }
}

/// Refusals that say that there is nothing left to do. Which code says that a key to be deleted with another
/// key is gone is documented by neither venue: such a refusal stays one, and the list of keys, or a probe
/// with the key itself, tells.
fn is_already_so(asked: &AdminRequest, refusal: &Refusal) -> bool {
    match asked {
        // The key signs its own end; if the venue does not know it, it is gone.
        AdminRequest::DeleteOwnKey | AdminRequest::DeleteOwnSubKey => refusal.why == Why::Key,
        // Spot says "Unknown order sent." where nothing rests.
        AdminRequest::Cancel(Scope::Binance(_)) => &*refusal.code == "-2011",
        AdminRequest::Cancel(_) => &*refusal.code == "110001" || &*refusal.code == "170213",
        _ => false,
    }
}
