//! Everything a rule may look at, gathered once per leg.

use std::collections::VecDeque;

use trading::{Intent, Order, Timestamp};

use crate::judged::{Judged, Mark};
use crate::policy::{Account, Policy, SymbolLimits};
use crate::request::{Context, Request};
use crate::rules::{Added, Bot};
use crate::state::{Book, Content, Counters, Exposure, State};
use crate::units::Units;

/// What surrounds every leg of one request, looked up once.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub request: &'a Request,
    pub context: &'a Context,
    pub state: &'a State,
    /// The limits of the account; `None` if the policy does not know it.
    pub account: Option<&'a Account>,
    /// The limits of the bot that asks; `None` if the policy does not know it.
    pub bot: Option<&'a Bot>,
    /// What the bot that asks has signed of the account.
    pub share: Option<&'a Counters>,
    /// The clock as the counters see it: never before what they have already counted.
    pub now: Timestamp,
    /// What the account's signed orders could do together.
    pub exposure: &'a Exposure,
    /// The whole request, one leg unless it is a batch.
    pub legs: &'a [Intent],
}

/// What rules judge: one leg of a request, and what surrounds it.
pub(crate) struct Facts<'a> {
    pub around: Surroundings<'a>,
    /// Which leg this is.
    pub index: usize,
    /// What the legs before this one add.
    pub before: Tally,
    pub order: Option<Judged<'a>>,
    /// What a new order says, and when the same was signed before.
    pub said: Option<Said<'a>>,
    /// What is signed for the order's instrument.
    book: Option<&'a Book>,
    /// What the order adds to it.
    pub added: Option<Added>,
    /// The limits of the order's symbol, if it is on the list.
    pub limits: Option<&'a SymbolLimits>,
    /// What the order takes from the budgets, if that can be said.
    pub charge: Option<Units>,
}

impl<'a> std::ops::Deref for Facts<'a> {
    type Target = Surroundings<'a>;

    #[inline]
    fn deref(&self) -> &Surroundings<'a> {
        &self.around
    }
}

/// What a new order says.
pub(crate) struct Said<'a> {
    pub order: &'a Order,
    pub content: Content,
    /// When orders of the same content were signed.
    pub before: Option<&'a VecDeque<Timestamp>>,
}

impl<'a> Said<'a> {
    #[inline]
    fn of(state: &'a State, order: &'a Order) -> Self {
        let content = Content::of(order);
        Self { order, content, before: state.recent.of(content) }
    }
}

/// What the legs of one request add to the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub messages: u64,
    pub new_orders: u64,
    pub open_orders: u64,
    /// Entries the legs add to the table of orders.
    pub entries: u64,
    pub notional: Units,
}

impl<'a> Surroundings<'a> {
    /// Looks up what surrounds `request`; `exposure` is that of the state at [`State::effective`].
    #[inline]
    pub(crate) fn of(
        policy: &'a Policy,
        state: &'a State,
        request: &'a Request,
        context: &'a Context,
        legs: &'a [Intent],
        exposure: &'a Exposure,
    ) -> Self {
        Self {
            request,
            context,
            state,
            account: policy.accounts.get(&request.account),
            bot: policy.bots.bots.get(&request.bot),
            share: state.share(&request.bot),
            now: state.effective(context.now),
            exposure,
            legs,
        }
    }
}

impl<'a> Facts<'a> {
    /// Gathers the facts of leg `index`.
    #[inline]
    pub(crate) fn of(around: Surroundings<'a>, index: usize, before: Tally) -> Self {
        let Surroundings { context, state, account, now, exposure, legs, .. } = around;
        let mark = |instrument| match account {
            Some(account) => Mark::of(context, instrument, account.max_mark_price_age_ms.limit),
            None => Mark::Missing,
        };
        let mut said = None;
        let order = match &legs[index] {
            Intent::Place(order) => {
                said = Some(Said::of(state, order));
                Some(Judged::new_order(order, mark(&order.instrument)))
            }
            Intent::Amend(amendment) => {
                Some(Judged::amended(amendment, state, now, mark(&amendment.instrument)))
            }
            _ => None,
        };
        let limits =
            account.zip(order.as_ref()).and_then(|(account, order)| account.symbols.get(order.instrument));
        let charge = order.as_ref().zip(limits).and_then(|(order, limits)| order.charge(limits));
        let book = order.as_ref().map(|order| exposure.book(order.instrument));
        let added = order.as_ref().and_then(|order| Added::of(order, state, &legs[..index], before.notional));
        Self { around, index, before, order, said, book, added, limits, charge }
    }

    /// The intent of this leg.
    #[inline]
    pub(crate) fn leg(&self) -> &'a Intent {
        &self.legs[self.index]
    }

    /// What is signed for the order's instrument; nothing if this leg is no order.
    #[inline]
    pub(crate) fn book(&self) -> &'a Book {
        self.book.unwrap_or(Book::NOTHING)
    }

    /// The legs before this one.
    pub(crate) fn earlier(&self) -> &'a [Intent] {
        &self.legs[..self.index]
    }

    /// What this and the earlier legs add; `None` if that cannot be said, which denies.
    #[inline]
    pub(crate) fn after(&self) -> Option<Tally> {
        let mut tally = self.before;
        tally.messages += u64::from(is_message(self.leg()));
        if let Some(order) = &self.order {
            use crate::judged::Origin;
            let is_new = order.origin == Origin::New;
            let reserves_id = order.origin == Origin::AmendsUnknown && order.new_id.is_some();
            tally.new_orders += u64::from(is_new);
            tally.open_orders += u64::from((is_new && order.rests()) || reserves_id);
            tally.entries += u64::from(is_new || order.new_id.is_some());
            let charge = self.charge?;
            tally.notional = if order.exit {
                tally.notional.plus_saturating(charge)
            } else {
                tally.notional.plus(charge)?
            };
        }
        Some(tally)
    }
}

/// Whether a leg counts as a message: whatever changes something at the venue.
pub(crate) const fn is_message(leg: &Intent) -> bool {
    !matches!(leg, Intent::Read(_) | Intent::StreamLogin { .. } | Intent::Batch(_))
}
