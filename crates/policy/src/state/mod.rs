//! What one account has signed, as far as the rules need to know. Grows with nothing.

mod budget;
mod orders;
mod stored;
mod window;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trading::{
    AccountName, BotName, ClientOrderId, Decimal, Instrument, Intent, Market, Order, Timestamp, TradingState,
    VenueOrderId,
};

use crate::evaluate::Approved;
use crate::facts::is_message;
use crate::units::Units;
use budget::{DaySpent, RollingSpent};
use orders::Orders;
use window::RateWindow;

pub(crate) use orders::CAPACITY as ORDER_TABLE;

/// The counters of one account: trading state, rates, budgets and signed orders.
///
/// A function of the events fed to it, in their order: the same log gives the same state. Its
/// clock is the latest time it was shown, so that a clock set back frees nothing.
///
/// Serializes whole, so that a restart can go on from it; times that no window can reach any more are
/// left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "stored::Stored", into = "stored::Stored")]
pub struct State {
    account: AccountName,
    trading: TradingState,
    latest: Timestamp,
    new_orders: RateWindow,
    messages: RateWindow,
    day: DaySpent,
    rolling: RollingSpent,
    pub(crate) orders: Orders,
    /// Chains a digest of every event, so that two states with one digest saw the same events.
    history: [u8; 32],
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
}

impl State {
    /// The state of an account that has signed nothing.
    #[must_use]
    pub fn new(account: AccountName) -> Self {
        Self {
            account,
            trading: TradingState::Active,
            latest: Timestamp::default(),
            new_orders: RateWindow::new(),
            messages: RateWindow::new(),
            day: DaySpent::default(),
            rolling: RollingSpent::new(),
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

    /// Sets the trading state. Who may loosen it is decided elsewhere.
    pub fn set_trading_state(&mut self, trading: TradingState) {
        self.trading = trading;
        self.chain("trading", |text| write!(text, "{trading}"));
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
        self.day.add(charge, now);
        self.rolling.add(charge, now);
        match &recorded.intent {
            Intent::Batch(legs) => legs.iter().for_each(|leg| self.count(leg, now, recorded.expires)),
            intent => self.count(intent, now, recorded.expires),
        }
        self.chain("signed", |text| {
            let Recorded { bot, account: _, intent, notional, at, expires } = recorded;
            write!(text, "{bot}\n{}\n{notional}\n{}\n{}", intent.operation(), at.as_ms(), expires.as_ms())?;
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
            VenueEvent::Closed { order } | VenueEvent::Rejected { order } => {
                if let Some(number) = self.number(order) {
                    self.orders.close(number);
                }
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
        self.day.at(self.effective(now)).decimal()
    }

    /// What was signed in the 24 hours before `now`, in the account's currency.
    #[must_use]
    pub fn signed_24h(&self, now: Timestamp) -> Decimal {
        self.rolling.at(self.effective(now)).decimal()
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
        for number in [
            self.latest.as_ms(),
            self.new_orders.total(),
            self.messages.total(),
            self.orders.next(),
            self.orders.open_at_most(),
            self.orders.len() as u64,
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.day.at(self.latest).to_be_bytes());
        bytes.extend_from_slice(&self.rolling.at(self.latest).to_be_bytes());
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

    pub(crate) const fn new_orders(&self) -> &RateWindow {
        &self.new_orders
    }

    pub(crate) const fn messages(&self) -> &RateWindow {
        &self.messages
    }

    pub(crate) fn day_spent(&self, now: Timestamp) -> Units {
        self.day.at(now)
    }

    pub(crate) fn rolling_spent(&self, now: Timestamp) -> Units {
        self.rolling.at(now)
    }

    fn count(&mut self, leg: &Intent, now: Timestamp, expires: Timestamp) {
        self.messages.add(u64::from(is_message(leg)), now);
        match leg {
            Intent::Place(order) => {
                self.new_orders.add(1, now);
                self.orders.sign(order, now, expires);
            }
            Intent::Amend(amendment) => self.orders.amend(amendment, now, expires),
            _ => {}
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
