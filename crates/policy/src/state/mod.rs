//! What one account has signed, as far as the rules need to know. Grows with nothing.

mod budget;
mod counters;
mod exposure;
mod orders;
mod recent;
mod stored;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trading::{
    AccountName, BotName, ClientOrderId, Decimal, Instrument, Intent, Market, Order, Price, SizeFactor,
    Timestamp, TradingState, VenueOrderId,
};

use crate::evaluate::Approved;
use crate::facts::is_message;
use crate::units::Units;
use exposure::Gone;
use orders::Orders;
use recent::Recent;

pub(crate) use counters::Counters;
pub(crate) use exposure::{Book, Exposure, Share, Size};
pub(crate) use orders::CAPACITY as ORDER_TABLE;
pub(crate) use recent::{Content, MOST_MS as MOST_RECENT_MS, has_within, within};

/// The counters of one account: trading state, rates, budgets and signed orders.
///
/// A function of the events fed to it, in their order: the same log gives the same state. Its
/// clock is the latest time it was shown, so that a clock set back frees nothing.
///
/// Serializes whole, so that a restart can go on from it; times that no window can reach any more are
/// left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "stored::Stored")]
pub struct State {
    account: AccountName,
    trading: TradingState,
    size_factor: SizeFactor,
    /// What the watchdogs' live leases allow together; `None` without one.
    lent: Option<Lent>,
    latest: Timestamp,
    whole: Counters,
    /// The share of each bot that has signed.
    bots: BTreeMap<BotName, Counters>,
    pub(crate) recent: Recent,
    /// Instruments on which repetition has stopped new orders until someone resumes.
    stopped: BTreeSet<Instrument>,
    /// The last limit price signed for each instrument.
    prices: BTreeMap<Instrument, Price>,
    pub(crate) orders: Orders,
    /// Chains a digest of every event, so that two states with one digest saw the same events.
    history: [u8; 32],
}

/// What a trading lease allows, or several together: the strictest of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lent {
    /// The highest rung of the ladder, 0 to 4.
    pub rung: u8,
    /// What the account may do.
    pub trading: TradingState,
    /// What limits on size are multiplied with.
    pub size_factor: SizeFactor,
}

impl Lent {
    /// The strictest of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rung: self.rung.max(other.rung),
            trading: self.trading.max(other.trading),
            size_factor: self.size_factor.min(other.size_factor),
        }
    }
}

/// What must be kept of an approved intent to rebuild the counters after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Who asked.
    pub bot: BotName,
    /// For which account.
    pub account: AccountName,
    /// What was approved.
    pub intent: Intent,
    /// What it took from the budgets, in the account's currency; zero for cancels and reads.
    pub notional: Decimal,
    /// The vault's clock at the decision.
    pub at: Timestamp,
    /// Until when (inclusive) the venue may accept the signature.
    pub expires: Timestamp,
    /// Instruments on which this was the last repetition allowed: no new order until someone resumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Instrument>,
}

impl Recorded {
    /// The legs of a batch, or the one intent there is.
    fn legs(&self) -> &[Intent] {
        match &self.intent {
            Intent::Batch(legs) => legs,
            intent => std::slice::from_ref(intent),
        }
    }
}

/// How a report names an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderName {
    /// By its number, see [`State::next_order`].
    Number(u64),
    /// By the bot's id.
    Client(ClientOrderId),
    /// By the venue's id, once acknowledged.
    Venue(VenueOrderId),
}

/// What the venue is said to have done with an order. The word comes through the gateway and is
/// not trusted: it frees an id only when the id's last signature has expired, and no budget ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueEvent {
    /// Taken, under the venue's own id.
    Acknowledged {
        /// Which order.
        order: OrderName,
        /// The venue's id for it.
        venue_order_id: VenueOrderId,
    },
    /// Filled, cancelled or expired: no longer on the book.
    Closed {
        /// Which order.
        order: OrderName,
    },
    /// Refused when placed. Not for refused amendments and cancels: those leave the order.
    Rejected {
        /// Which order.
        order: OrderName,
    },
    /// The venue listed what rests on its book: every order of the scope that was signed before and
    /// is not listed rests no more. An order it never acknowledged may still be under way, so it
    /// is gone only when its signature has expired and the list holds nothing unknown.
    Listed {
        /// The market asked about.
        market: Market,
        /// Only this instrument, if given.
        instrument: Option<Instrument>,
        /// Orders from this number on were signed after the question.
        below: u64,
        /// Everything that rests.
        open: BTreeSet<VenueOrderId>,
    },
    /// The position that the venue says is held.
    Position {
        /// Of which instrument.
        instrument: Instrument,
        /// Base currency, positive for long.
        quantity: Decimal,
        /// The price that values it.
        price: Price,
        /// Orders from this number on were signed after the question.
        below: u64,
    },
}

impl State {
    /// The state of an account that has signed nothing.
    #[must_use]
    pub fn new(account: AccountName) -> Self {
        Self {
            account,
            trading: TradingState::Active,
            size_factor: SizeFactor::ONE,
            lent: None,
            latest: Timestamp::default(),
            whole: Counters::new(),
            bots: BTreeMap::new(),
            recent: Recent::default(),
            stopped: BTreeSet::new(),
            prices: BTreeMap::new(),
            orders: Orders::default(),
            history: [0; 32],
        }
    }

    /// Whose counters these are.
    #[must_use]
    pub const fn account(&self) -> &AccountName {
        &self.account
    }

    /// What the account may do, whatever the rules say.
    #[must_use]
    pub const fn trading_state(&self) -> TradingState {
        self.trading
    }

    /// Sets the trading state. Who may loosen it is decided elsewhere. Setting it to active also
    /// lets instruments trade again that repetition had stopped.
    pub fn set_trading_state(&mut self, trading: TradingState) {
        self.trading = trading;
        if trading == TradingState::Active {
            self.stopped.clear();
            self.recent.clear();
        }
        self.chain("trading", |text| write!(text, "{trading}"));
    }

    /// What limits on size are multiplied with for new risk: the operators' factor or the lease's,
    /// whichever is stricter.
    #[must_use]
    pub fn size_factor(&self) -> SizeFactor {
        self.lent.map_or(self.size_factor, |lent| self.size_factor.min(lent.size_factor))
    }

    /// The factor that operators set.
    #[must_use]
    pub const fn own_size_factor(&self) -> SizeFactor {
        self.size_factor
    }

    /// What the live leases allow together; `None` without one.
    #[must_use]
    pub const fn lent(&self) -> Option<Lent> {
        self.lent
    }

    /// Sets what the live leases allow. Whether they are live and whose they are is decided elsewhere.
    pub fn set_lent(&mut self, lent: Option<Lent>) {
        self.lent = lent;
        self.chain("lent", |text| match lent {
            Some(Lent { rung, trading, size_factor }) => write!(text, "{rung} {trading} {size_factor}"),
            None => write!(text, "nothing"),
        });
    }

    /// Sets the size factor. Who may raise it is decided elsewhere; no trading state changes it.
    pub fn set_size_factor(&mut self, factor: SizeFactor) {
        self.size_factor = factor;
        self.chain("size factor", |text| write!(text, "{factor}"));
    }

    /// Counts an approved intent, once it is signed.
    pub fn commit(&mut self, approved: &Approved) {
        self.restore(approved.recorded());
    }

    /// Counts an approved intent from the log; the same as [`Self::commit`] did then.
    pub fn restore(&mut self, recorded: &Recorded) {
        let now = self.effective(recorded.at);
        self.latest = now;
        self.orders.prune(now);
        // A number that cannot be read back counts as the largest there is.
        let charge = Units::at_least(recorded.notional).unwrap_or(Units::MOST);
        let legs = recorded.legs();
        let messages = legs.iter().filter(|leg| is_message(leg)).count() as u64;
        let new_orders = legs.iter().filter(|leg| matches!(leg, Intent::Place(_))).count() as u64;
        self.whole.add(new_orders, messages, charge, now);
        let own = self.bots.entry(recorded.bot.clone()).or_insert_with(Counters::new);
        own.add(new_orders, messages, charge, now);
        legs.iter().for_each(|leg| self.sign(leg, charge, now, recorded.expires));
        self.stopped.extend(recorded.stops.iter().cloned());
        self.chain("signed", |text| {
            let Recorded { bot, account: _, intent, notional, at, expires, stops } = recorded;
            write!(text, "{bot}\n{}\n{notional}\n{}\n{}", intent.operation(), at.as_ms(), expires.as_ms())?;
            stops.iter().try_for_each(|instrument| write!(text, "\nstops\n{instrument}"))?;
            match intent {
                Intent::Batch(legs) => legs.iter().try_for_each(|leg| write_leg(text, leg)),
                intent => write_leg(text, intent),
            }
        });
    }

    /// Takes the venue's word about an order; reports about unknown orders change nothing but the
    /// digest.
    pub fn observe(&mut self, event: &VenueEvent) {
        match event {
            VenueEvent::Acknowledged { order, venue_order_id } => {
                if let Some(number) = self.number(order) {
                    self.orders.acknowledge(number, venue_order_id.clone());
                }
            }
            VenueEvent::Closed { order } => {
                if let Some(number) = self.number(order) {
                    self.orders.close(number, Gone::Perhaps);
                }
            }
            VenueEvent::Rejected { order } => {
                if let Some(number) = self.number(order) {
                    self.orders.close(number, Gone::Rejected);
                }
            }
            VenueEvent::Position { instrument, quantity, price, below } => {
                self.orders.position(instrument, *quantity, *price, *below, self.latest);
            }
            VenueEvent::Listed { market, instrument, below, open } => {
                self.orders.close_unlisted(*market, instrument.as_ref(), *below, open, self.latest);
            }
        }
        self.chain("venue", |text| write_event(text, event));
    }

    /// The venue is said to have taken an order.
    pub fn acknowledged(&mut self, order: OrderName, venue_order_id: VenueOrderId) {
        self.observe(&VenueEvent::Acknowledged { order, venue_order_id });
    }

    /// An order is said to be gone from the book.
    pub fn closed(&mut self, order: OrderName) {
        self.observe(&VenueEvent::Closed { order });
    }

    /// An order is said to have been refused.
    pub fn rejected(&mut self, order: OrderName) {
        self.observe(&VenueEvent::Rejected { order });
    }

    /// The number the next signed order gets; the legs of a batch count up from it. Names orders
    /// that have no client order id.
    #[must_use]
    pub const fn next_order(&self) -> u64 {
        self.orders.next()
    }

    /// What was signed on the UTC day of `now`, in the account's currency.
    #[must_use]
    pub fn signed_today(&self, now: Timestamp) -> Decimal {
        self.whole.day_spent(self.effective(now)).decimal()
    }

    /// What was signed in the 24 hours before `now`, in the account's currency.
    #[must_use]
    pub fn signed_24h(&self, now: Timestamp) -> Decimal {
        self.whole.rolling_spent(self.effective(now)).decimal()
    }

    /// How many signed orders may be open at `now`.
    #[must_use]
    pub fn open_orders(&self, now: Timestamp) -> u64 {
        self.orders.open(self.effective(now))
    }

    /// A summary of fixed length for the record's state digest. Binds every event the state saw.
    #[must_use]
    pub fn digest_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(b"seawall state v1\0");
        bytes.push(self.trading as u8);
        if !self.size_factor.is_one() {
            bytes.extend_from_slice(self.size_factor.to_string().as_bytes());
        }
        if let Some(lent) = self.lent {
            bytes.extend_from_slice(&[b'L', lent.rung, lent.trading as u8]);
            bytes.extend_from_slice(lent.size_factor.to_string().as_bytes());
        }
        for number in [
            self.latest.as_ms(),
            self.whole.new_orders.total(),
            self.whole.messages.total(),
            self.orders.next(),
            self.orders.open_at_most(),
            self.orders.len() as u64,
            self.stopped.len() as u64,
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.whole.day_spent(self.latest).to_be_bytes());
        bytes.extend_from_slice(&self.whole.rolling_spent(self.latest).to_be_bytes());
        bytes.extend_from_slice(&self.history);
        bytes
    }

    /// SHA-256 of [`Self::digest_bytes`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.digest_bytes()).into()
    }

    /// `now`, or the latest time already counted if the clock was set back.
    pub(crate) fn effective(&self, now: Timestamp) -> Timestamp {
        now.max(self.latest)
    }

    /// Rates and budgets of the whole account.
    pub(crate) const fn whole(&self) -> &Counters {
        &self.whole
    }

    /// The share of `bot`, if it has signed anything yet.
    pub(crate) fn share(&self, bot: &BotName) -> Option<&Counters> {
        self.bots.get(bot)
    }

    /// Whether repetition has stopped new orders for `instrument`.
    #[must_use]
    pub fn is_stopped(&self, instrument: &Instrument) -> bool {
        self.stopped.contains(instrument)
    }

    /// The last limit price signed for `instrument`.
    pub(crate) fn last_price(&self, instrument: &Instrument) -> Option<Price> {
        self.prices.get(instrument).copied()
    }

    fn sign(&mut self, leg: &Intent, charge: Units, now: Timestamp, expires: Timestamp) {
        match leg {
            Intent::Place(order) => {
                self.recent.sign(order, now);
                self.note_price(&order.instrument, order.price);
                self.orders.sign(order, charge, now, expires);
            }
            Intent::Amend(amendment) => {
                self.note_price(&amendment.instrument, amendment.price);
                self.orders.amend(amendment, charge, now, expires);
            }
            _ => {}
        }
    }

    fn note_price(&mut self, instrument: &Instrument, price: Option<Price>) {
        if let Some(price) = price {
            self.prices.insert(instrument.clone(), price);
        }
    }

    fn number(&self, order: &OrderName) -> Option<u64> {
        match order {
            OrderName::Number(number) => Some(*number),
            OrderName::Client(id) => self.orders.by_client(id),
            OrderName::Venue(id) => self.orders.by_venue(id),
        }
    }

    fn chain(&mut self, kind: &str, write: impl FnOnce(&mut HashText) -> fmt::Result) {
        let mut text = HashText(Sha256::new().chain_update(self.history));
        text.write_str(kind)
            .and_then(|()| text.write_str("\n"))
            .and_then(|()| write(&mut text))
            .expect("hashing cannot fail");
        self.history = text.0.finalize().into();
    }
}

/// Hashes what is written to it. Parts are separated by line ends, which no name may hold.
struct HashText(Sha256);

impl fmt::Write for HashText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// One report, so that equal texts are equal reports.
fn write_event(text: &mut HashText, event: &VenueEvent) -> fmt::Result {
    let name = |text: &mut HashText, order: &OrderName| match order {
        OrderName::Number(number) => write!(text, "number\n{number}"),
        OrderName::Client(id) => write!(text, "client\n{id}"),
        OrderName::Venue(id) => write!(text, "venue\n{id}"),
    };
    match event {
        VenueEvent::Acknowledged { order, venue_order_id } => {
            write!(text, "acknowledged\n{venue_order_id}\n")?;
            name(text, order)
        }
        VenueEvent::Closed { order } => {
            text.write_str("closed\n")?;
            name(text, order)
        }
        VenueEvent::Rejected { order } => {
            text.write_str("rejected\n")?;
            name(text, order)
        }
        VenueEvent::Position { instrument, quantity, price, below } => {
            write!(text, "position\n{instrument}\n{quantity}\n{price}\n{below}")
        }
        VenueEvent::Listed { market, instrument, below, open } => {
            let scope = instrument.as_ref().map_or_else(String::new, ToString::to_string);
            write!(text, "listed\n{market}\n{scope}\n{below}")?;
            open.iter().try_for_each(|id| write!(text, "\n{id}"))
        }
    }
}

fn write_leg(text: &mut HashText, leg: &Intent) -> fmt::Result {
    match leg {
        Intent::Place(order) => write_order(text, order),
        Intent::Amend(amendment) => write!(
            text,
            "\namend\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
            amendment.instrument,
            amendment.target,
            amendment.side,
            amendment.amount,
            amendment.price,
            amendment.trigger_price,
            amendment.new_client_order_id
        ),
        other => write!(text, "\n{}", other.operation()),
    }
}

fn write_order(text: &mut HashText, order: &Order) -> fmt::Result {
    let id = order.client_order_id.as_ref().map_or("", ClientOrderId::as_str);
    write!(
        text,
        "\nplace\n{}\n{}\n{}\n{}\n{:?}\n{:?}\n{}\n{}\n{}\n{id}",
        order.instrument,
        order.side,
        order.order_type,
        order.amount,
        order.price,
        order.trigger_price,
        order.time_in_force,
        order.post_only,
        order.reduce_only
    )
}
