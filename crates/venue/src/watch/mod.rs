//! What the watch vault may sign: questions about an account, and nothing that changes one.
//!
//! A [`Question`] is one page of a [`Reading`]. [`request`] says it in the venue's words, [`meaning`]
//! takes the finished bytes apart again, [`read`] gives the whole page or says what is missing, and
//! [`Gathering`] follows the pages. [`Equity`] puts the readings of one account together.
//!
//! None of this can be reached from a bot's request: [`crate::decode`] knows nothing of it.

mod equity;
mod gathering;

use serde::{Deserialize, Serialize};
use trading::{
    ClientOrderId, Decimal, Instrument, Price, Side, StreamChannel, Timestamp, Venue, VenueOrderId,
};

pub(crate) use equity::share;
pub use equity::{Equity, Margin, UsdWallet, WalletCoin, flows_within};
pub use gathering::{Gathering, MAX_PAGES, Step};

use crate::answer::{Incomplete, hear};
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::market::PublicRequest;
use crate::permissions::KeyPermissions;
use crate::stream::{Stream, StreamMessage, bybit_login, split_message};
use crate::unsigned::{Form, Signed, Surface, Unsigned};
use crate::{binance, bybit};

/// A span of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first millisecond.
    pub since: Timestamp,
    /// The last millisecond.
    pub until: Timestamp,
}

/// The longest window that every history here takes (Bybit's transaction log, Binance's sub-account
/// transfers): 7 days.
pub const MAX_WINDOW_MS: u64 = 7 * 24 * 3_600_000;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Of a Bybit unified account.
    Bybit(BybitReading),
    /// Of a Binance account, spot and USD-M.
    Binance(BinanceReading),
}

/// Readings of a Bybit unified account (v5 documentation, November 2026).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BybitReading {
    /// `account/wallet-balance`: equity and every coin. Gives [`Answer::Wallet`].
    Wallet,
    /// `position/list` of one book other than spot. Gives [`Answer::Positions`].
    Positions(Book),
    /// `order/realtime` of one book. Gives [`Answer::Orders`].
    Orders(Book),
    /// `account/transaction-log`: whatever changed the account's cash. Deposits and withdrawals pass
    /// the funding wallet, so all that enters or leaves the unified account is a transfer in here.
    /// Gives [`Answer::Flows`].
    Log(Window),
    /// `user/query-api`. Gives [`Answer::Key`].
    Key,
    /// The login of a private stream, valid until then. Has no answer to read.
    StreamLogin(Timestamp),
}

/// The parts into which Bybit divides positions and orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Book {
    /// Spot and margin.
    Spot,
    /// Linear futures settled in this currency.
    Linear(Currency),
    /// Inverse futures.
    Inverse,
    /// Options.
    Option,
}

/// Readings of a Binance account (developers.binance.com, November 2026).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinanceReading {
    /// `GET /api/v3/account`. Gives [`Answer::Holdings`].
    Spot,
    /// `GET /fapi/v3/account`. Gives [`Answer::Margin`].
    Margin,
    /// `GET /fapi/v3/positionRisk`. Gives [`Answer::Positions`].
    Positions,
    /// `GET /api/v3/openOrders`. Gives [`Answer::Orders`].
    SpotOrders,
    /// `GET /fapi/v1/openOrders`. Gives [`Answer::Orders`].
    FuturesOrders,
    /// `GET /fapi/v1/openAlgoOrders`: conditional USD-M orders. Gives [`Answer::Orders`].
    AlgoOrders,
    /// `GET /fapi/v1/income`, all types: what changed the futures wallet. Gives [`Answer::Flows`].
    Income(Window),
    /// `GET /sapi/v1/capital/deposit/hisrec`. Gives [`Answer::Flows`].
    Deposits(Window),
    /// `GET /sapi/v1/capital/withdraw/history`. Gives [`Answer::Flows`].
    Withdrawals(Window),
    /// The history of `asset/transfer`: between the spot wallet and another of the same account. Gives
    /// [`Answer::Flows`] of the spot wallet; the futures wallet's side is in its income.
    OwnTransfers(OwnTransfer, Window),
    /// `GET /sapi/v1/sub-account/transfer/subUserHistory`: from and to other accounts of the same master,
    /// as a sub-account sees them. Gives [`Answer::Flows`] of the spot wallet.
    SubTransfers(Direction, Window),
    /// `GET /sapi/v1/account/apiRestrictions`. Gives [`Answer::Key`].
    Key,
    /// `POST /fapi/v1/listenKey`, or `PUT` to keep it alive. Gives [`Answer::ListenKey`].
    FuturesListenKey(ListenKey),
    /// `POST` or `PUT /api/v3/userDataStream`. Gives [`Answer::ListenKey`]. Binance has announced the end
    /// of this endpoint in favour of `userDataStream.subscribe.signature` of the WebSocket API.
    SpotListenKey(ListenKey),
}

/// What is done with a listen key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenKey {
    /// Ask for one.
    Open,
    /// Prolong a futures key by an hour; there is one per account, so it is not named.
    KeepAlive,
    /// Prolong a spot key, which is named.
    KeepAliveOf(Box<str>),
}

/// Which way money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the account.
    In,
    /// Out of it.
    Out,
}

/// A way between the spot wallet and another wallet of the same account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnTransfer {
    /// Into the spot wallet, or out of it.
    pub direction: Direction,
    /// The other wallet.
    pub other: OtherWallet,
}

/// Wallets of a Binance account beside spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherWallet {
    /// USD-M futures.
    UsdMargined,
    /// COIN-M futures.
    CoinMargined,
    /// Cross margin.
    Margin,
    /// Funding.
    Funding,
    /// Options.
    Option,
    /// Portfolio margin.
    PortfolioMargin,
}

impl OtherWallet {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::UsdMargined,
        Self::CoinMargined,
        Self::Margin,
        Self::Funding,
        Self::Option,
        Self::PortfolioMargin,
    ];
}

/// Where the next page begins, in the venue's own words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor(pub(crate) Box<str>);

/// One page of a reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked.
    pub reading: Reading,
    /// The page; the first where absent.
    pub page: Option<Cursor>,
}

impl From<Reading> for Question {
    fn from(reading: Reading) -> Self {
        Self { reading, page: None }
    }
}

impl Reading {
    /// The venue that is asked.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        match self {
            Self::Bybit(_) => Venue::Bybit,
            Self::Binance(_) => Venue::Binance,
        }
    }

    pub(crate) const fn window(&self) -> Option<Window> {
        match self {
            Self::Bybit(BybitReading::Log(window))
            | Self::Binance(
                BinanceReading::Income(window)
                | BinanceReading::Deposits(window)
                | BinanceReading::Withdrawals(window)
                | BinanceReading::OwnTransfers(_, window)
                | BinanceReading::SubTransfers(_, window),
            ) => Some(*window),
            _ => None,
        }
    }
}

/// One page, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it says.
    pub answer: Answer,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// The venue's time when it answered, where it says so (Bybit).
    pub at: Option<Timestamp>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A Bybit unified account.
    Wallet(UsdWallet),
    /// A Binance USD-M account.
    Margin(Margin),
    /// What a spot wallet holds; coins of which there is nothing are left out.
    Holdings(Vec<Holding>),
    /// Open positions; flat ones are left out.
    Positions(Vec<Position>),
    /// Resting orders.
    Orders(Vec<OpenOrder>),
    /// What came in and went out, and nothing else.
    Flows(Vec<Flow>),
    /// What the key may do.
    Key(KeyPermissions),
    /// A stream's key; worth nothing without a connection, and no signature can be made with it.
    ListenKey(Box<str>),
}

/// So much of a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Of what.
    pub currency: Currency,
    /// Free and locked together.
    pub amount: Decimal,
}

/// An open position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// In what.
    pub instrument: Instrument,
    /// Negative when short. Base currency; on inverse futures contracts of 1 USD.
    pub quantity: Decimal,
    /// The venue's mark price.
    pub mark_price: Price,
    /// Quantity at the mark price in quote currency, signed; on inverse futures the quantity in USD.
    pub value: Decimal,
}

/// A resting order, as far as cancelling it matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// Of what.
    pub instrument: Instrument,
    /// The venue's id.
    pub id: VenueOrderId,
    /// Ours, if it has one.
    pub client_order_id: Option<ClientOrderId>,
    /// Its side.
    pub side: Side,
    /// Whether it waits for a price and can then only reduce: what a dead-man's switch must not remove.
    /// On spot, where orders cannot be told to only reduce, every order that waits for a price counts.
    pub protective: bool,
}

/// Money that came from outside or went there. What an account earns or pays by trading is no flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// What it was.
    pub kind: FlowKind,
    /// Which wallet it changed.
    pub wallet: FlowWallet,
    /// Of what.
    pub currency: Currency,
    /// How much; negative when it went out.
    pub amount: Decimal,
    /// By how much it changed what [`Equity`] counts: nothing for a bonus, which equity leaves out.
    pub counted: Decimal,
    /// When.
    pub at: Timestamp,
    /// The venue's id of it, to know it again. Not unique across kinds.
    pub id: Box<str>,
}

/// Kinds of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowKind {
    /// From another wallet or account, or there.
    Transfer,
    /// From outside the venue.
    Deposit,
    /// To outside the venue, with its fee.
    Withdrawal,
    /// A gift.
    Airdrop,
    /// The venue's own money, lent to trade with.
    Bonus,
    /// That money taken back.
    BonusRecollected,
}

/// The wallet a flow changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowWallet {
    /// Bybit's unified account.
    Unified,
    /// Binance spot.
    Spot,
    /// Binance USD-M.
    UsdMargined,
}

/// Says a question in its venue's words.
///
/// # Errors
///
/// A window longer than [`MAX_WINDOW_MS`] or that ends before it begins; a reading without pages that is
/// asked for one; the positions of spot.
pub fn request(
    question: &Question,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Unsigned, Unencodable> {
    if let Some(window) = question.reading.window()
        && (window.until < window.since || window.until.since_ms(window.since) > MAX_WINDOW_MS)
    {
        return Err(Unencodable::new("window", "is not one of at most 7 days"));
    }
    let page = question.page.as_ref();
    match &question.reading {
        Reading::Bybit(BybitReading::StreamLogin(expires_at)) => {
            no_page(page)?;
            Ok(bybit_login(StreamChannel::Account, *expires_at))
        }
        Reading::Bybit(reading) => bybit::watch::request(reading, page, sent_at, recv_window_ms)
            .map(|http| Unsigned(Form::BybitHttp(http))),
        Reading::Binance(reading) => binance::watch::request(reading, page, sent_at, recv_window_ms)
            .map(|http| Unsigned(Form::BinanceHttp(http))),
    }
}

pub(crate) fn no_page(page: Option<&Cursor>) -> Result<(), Unencodable> {
    if page.is_none() {
        Ok(())
    } else {
        Err(Unencodable::new("page", "is asked of a reading that has one page"))
    }
}

/// Takes a finished message apart again: the question it asks, if it is one that [`request`] makes.
///
/// A vault that signs compares this with what it was told to sign.
///
/// # Errors
///
/// The bytes are not exactly those of a question.
pub fn meaning(venue: Venue, finished: &Signed) -> Result<Question, Undecodable> {
    let unsigned = crate::canonical::unsigned(venue, finished)?;
    let question = match &unsigned.0 {
        Form::BybitHttp(http) => bybit::watch::take_apart(http)?,
        Form::BinanceHttp(http) => binance::watch::take_apart(http)?,
        Form::BybitLogin(login) => Reading::Bybit(BybitReading::StreamLogin(login.expires_at)).into(),
        Form::BinanceCall(_) | Form::BybitMessage(_) => {
            return Err(Undecodable::Endpoint("a stream message".into()));
        }
    };
    crate::canonical::same(&unsigned, |sent_at, window| request(&question, sent_at, window))?;
    Ok(question)
}

pub(crate) fn login_message(text: &str) -> Option<Unsigned> {
    match split_message(Stream::BybitPrivate, text) {
        Ok(StreamMessage::Request(_, unsigned)) => Some(unsigned),
        Ok(StreamMessage::Harmless(_)) | Err(_) => None,
    }
}

/// Reads the answer to a question: all of the page, or why not.
///
/// # Errors
///
/// [`Incomplete`] says what is missing or not understood. A part of a page is never given.
pub fn read(question: &Question, status: u16, body: &str) -> Result<Page, Incomplete> {
    let value = crate::answer::value(question.reading.venue(), status, body)?;
    match &question.reading {
        Reading::Bybit(reading) => bybit::watch::read(reading, &value),
        Reading::Binance(reading) => binance::watch::read(reading, question.page.as_ref(), &value),
    }
}

/// The public question what time it is at the part of a venue that `surface` is; no key is needed.
#[must_use]
pub fn time_request(surface: Surface) -> PublicRequest {
    let target = match surface {
        Surface::V5 => "/v5/market/time",
        Surface::Spot => "/api/v3/time",
        Surface::UsdMargined => "/fapi/v1/time",
        Surface::CoinMargined => "/dapi/v1/time",
    };
    PublicRequest { surface, target: target.to_owned() }
}

/// Reads the answer to [`time_request`].
///
/// # Errors
///
/// As [`read`].
pub fn read_time(surface: Surface, status: u16, body: &str) -> Result<Timestamp, Incomplete> {
    let venue = if surface == Surface::V5 { Venue::Bybit } else { Venue::Binance };
    let value = crate::answer::value(venue, status, body)?;
    let row = crate::answer::Row(&value);
    if venue == Venue::Binance {
        return row.time("serverTime");
    }
    // Nanoseconds; the envelope's `time` is when the answer left the gateway in front of it.
    let nanoseconds = crate::unsigned::read_whole(row.row("result")?.text("timeNano")?);
    match nanoseconds {
        Some(nanoseconds) if nanoseconds >= 1_000_000 => Ok(Timestamp::from_ms(nanoseconds / 1_000_000)),
        _ => Err(Incomplete::bad("timeNano", "is not a time in nanoseconds")),
    }
}

/// What the answer to a key's own question says of the key: the last proof that it is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The venue does not know the key. Binance has one code for this, a wrong address and a missing
    /// permission, so there a probe must come from where the key worked before.
    Dead,
    /// The key is known: it was answered, or refused for another reason than itself.
    Alive,
    /// Nothing is known.
    Unknown(Box<str>),
}

/// Reads the answer to [`crate::permissions_request`], sent with the key that should be dead.
#[must_use]
pub fn read_probe(venue: Venue, status: u16, body: &str) -> Probe {
    use crate::answer::{Heard, Why};
    match hear(venue, status, body) {
        Heard::Answer(_) => Probe::Alive,
        Heard::Refused(refusal) => match refusal.why {
            Why::Key => Probe::Dead,
            Why::Address | Why::Permission => Probe::Alive,
            Why::RateLimited | Why::Clock | Why::Other => Probe::Unknown(refusal.to_string().into()),
        },
        Heard::Unclear(words) => Probe::Unknown(words),
    }
}
