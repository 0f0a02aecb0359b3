//! Everything a rule may look at, gathered once per leg.

use std::borrow::Cow;
use std::collections::VecDeque;

use trading::{Intent, Order, Timestamp};

use crate::judged::{Judged, Mark};
use crate::policy::{Account, SymbolLimits};
use crate::request::{Context, Request};
use crate::rules::Added;
use crate::state::{Content, Counters, Exposure, State};
use crate::units::Units;

/// What rules judge: one leg of a request, and what surrounds it.
pub(crate) struct Facts<'a> {
    pub request: &'a Request,
    pub context: &'a Context,
    pub state: &'a State,
    /// What the bot that asks has signed of it.
    pub share: Option<&'a Counters>,
    /// The clock as the counters see it: never before what they have already counted.
    pub now: Timestamp,
    /// The whole request, one leg unless it is a batch.
    pub legs: &'a [Intent],
    /// Which leg this is.
    pub index: usize,
    /// What the legs before this one add.
    pub before: Tally,
    pub order: Option<Judged<'a>>,
    /// What a new order says, and when the same was signed before.
    pub said: Option<Said<'a>>,
    exposure: Cow<'a, Exposure>,
    /// What the order adds to it.
    pub added: Option<Added>,
    /// The limits of the order's symbol, if it is on the list.
    pub limits: Option<&'a SymbolLimits>,
    /// What the order takes from the budgets, if that can be said.
    pub charge: Option<Units>,
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

impl<'a> Facts<'a> {
    /// Gathers the facts of leg `index`; `account` is `None` if the policy does not know it.
    #[inline]
    pub(crate) fn of(
        request: &'a Request,
        context: &'a Context,
        state: &'a State,
        account: Option<&'a Account>,
        legs: &'a [Intent],
        index: usize,
        before: Tally,
    ) -> Self {
        let now = state.effective(context.now);
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
        let share = state.share(&request.bot);
        let exposure = state.orders.exposure(now);
        let added = order.as_ref().and_then(|order| Added::of(order, state, &legs[..index], before.notional));
        Self {
            request,
            context,
            state,
            share,
            said,
            exposure,
            added,
            now,
            legs,
            index,
            before,
            order,
            limits,
            charge,
        }
    }

    /// The intent of this leg.
    #[inline]
    pub(crate) fn leg(&self) -> &'a Intent {
        &self.legs[self.index]
    }

    /// What the account's signed orders could do together.
    #[inline]
    pub(crate) fn exposure(&self) -> &Exposure {
        &self.exposure
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
