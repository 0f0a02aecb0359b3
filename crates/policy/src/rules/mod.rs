//! The rules, one file each, and the set that runs every one of them every time.

#![allow(
    clippy::unnecessary_lazy_evaluations,
    reason = "a denial that is built and dropped again by each rule that passes doubles the cost of an approval"
)]

mod amendment;
mod batch;
mod bot_access;
mod budget;
mod client_id_required;
mod clock_skew;
mod exposure;
mod lease;
mod leverage;
mod library_extras;
mod loss_limits;
mod lot;
mod maker_only;
mod mark_price;
mod max_notional;
mod max_quantity;
mod message_rate;
mod one_live_signature;
mod open_orders;
mod order_rate;
mod order_shape;
mod order_types;
mod price_collar;
mod recv_window;
mod repetition;
mod settings;
mod sides;
mod symbol_list;
mod thesis_required;
mod tick;
mod time_in_force;
mod trading_hours;
mod trading_state;
mod venue_match;
mod whose;

use serde::Serialize;

pub(crate) use amendment::AmendmentComplete;
pub(crate) use batch::{BatchShape, size as batch_size};
pub(crate) use bot_access::{Bot, BotAccess};
pub(crate) use budget::{Budget, Period, Rolling24h, UtcDay};
pub(crate) use client_id_required::ClientIdRequired;
pub(crate) use clock_skew::ClockSkew;
pub(crate) use exposure::{Added, MaxPosition, NetExposure, OpenNotional, SelfCrossing, SymbolOpenNotional};
pub(crate) use lease::Lease;
pub(crate) use leverage::MaxLeverage;
pub(crate) use library_extras::LibraryExtras;
pub use loss_limits::LossLimits;
pub(crate) use lot::Lot;
pub(crate) use maker_only::MakerOnly;
pub(crate) use mark_price::MarkPriceAge;
pub(crate) use max_notional::MaxNotional;
pub(crate) use max_quantity::MaxQuantity;
pub(crate) use message_rate::MessageRate;
pub(crate) use one_live_signature::OneLiveSignature;
pub(crate) use open_orders::OpenOrders;
pub(crate) use order_rate::OrderRate;
pub(crate) use order_shape::OrderShape;
pub(crate) use order_types::OrderTypes;
pub(crate) use price_collar::PriceCollar;
pub(crate) use recv_window::RecvWindow;
pub(crate) use repetition::{DuplicateWindow, MaxRepeats};
pub(crate) use settings::Settings;
pub(crate) use sides::Sides;
pub(crate) use symbol_list::SymbolList;
pub(crate) use thesis_required::ThesisRequired;
pub(crate) use tick::Tick;
pub(crate) use time_in_force::TimesInForce;
pub(crate) use trading_hours::TradingHours;
pub(crate) use trading_state::TradingStateRule;
pub(crate) use venue_match::VenueMatch;
pub(crate) use whose::{Everyone, OwnShare, Whose};

use crate::denial::Denial;
use crate::facts::Facts;
use crate::policy::{Account, SymbolLimits};

/// What a rule needs to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Tier {
    /// Self-contained: holds even if everything outside the vault lies.
    #[serde(rename = "S")]
    SelfContained,
    /// Oracle: holds as far as the price feed or the venue's reports are honest.
    #[serde(rename = "O")]
    Oracle,
}

/// How often a rule judges a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Once, whatever the number of legs.
    Request,
    /// Every leg.
    Leg,
}

/// One rule. `check` judges; `numbers` says by which numbers, or `None` where it has no say.
pub(crate) trait Rule {
    const NAME: &'static str;
    const TIER: Tier;
    const SCOPE: Scope = Scope::Leg;
    fn check(&self, facts: &Facts<'_>) -> Option<Denial>;
    fn numbers(&self, facts: &Facts<'_>) -> Option<String>;
}

/// Runs rules and keeps what it needs of them.
pub(crate) trait Visitor {
    fn visit<R: Rule>(&mut self, rule: &R, facts: &Facts<'_>);
    /// Denies without a rule: nothing to run one on.
    fn deny(&mut self, name: &'static str, denial: Denial);
}

impl Account {
    /// Runs every rule of the account on one leg. Takes itself apart so that a rule that is not
    /// run does not compile.
    #[inline]
    pub(crate) fn visit<V: Visitor>(&self, facts: &Facts<'_>, visitor: &mut V) {
        let Self {
            venue,
            currency: _, // judged when the policy is read: every symbol is quoted in it
            sides,
            order_types,
            time_in_force,
            maker_only,
            require_client_order_id,
            max_clock_skew_ms,
            max_recv_window_ms,
            max_mark_price_age_ms,
            max_price_deviation_bps,
            max_leverage,
            max_open_orders,
            max_open_notional,
            max_net_exposure,
            prevent_self_crossing,
            new_orders_per_second,
            messages_per_second,
            duplicate_window_ms,
            max_repeats,
            notional_per_utc_day,
            notional_rolling_24h,
            require_thesis,
            require_lease,
            loss_limits: _, // the watchdog's; what follows from them comes in the lease
            allow_library_extras,
            allow_settings,
            symbols,
        } = self;
        visitor.visit(&BatchShape, facts);
        visitor.visit(venue, facts);
        visitor.visit(&TradingStateRule, facts);
        visitor.visit(require_lease, facts);
        visitor.visit(max_clock_skew_ms, facts);
        visitor.visit(max_recv_window_ms, facts);
        visitor.visit(allow_library_extras, facts);
        visitor.visit(&SymbolList { symbols }, facts);
        visitor.visit(&OrderShape, facts);
        visitor.visit(&AmendmentComplete, facts);
        visitor.visit(sides, facts);
        visitor.visit(order_types, facts);
        visitor.visit(time_in_force, facts);
        visitor.visit(maker_only, facts);
        visitor.visit(require_client_order_id, facts);
        visitor.visit(&OneLiveSignature, facts);
        visitor.visit(require_thesis, facts);
        visitor.visit(max_mark_price_age_ms, facts);
        visitor.visit(max_price_deviation_bps, facts);
        if let Some(limits) = facts.limits {
            limits.visit(facts, visitor);
        }
        visitor.visit(new_orders_per_second, facts);
        visitor.visit(messages_per_second, facts);
        visitor.visit(duplicate_window_ms, facts);
        visitor.visit(max_repeats, facts);
        visitor.visit(max_open_orders, facts);
        visitor.visit(max_open_notional, facts);
        visitor.visit(max_net_exposure, facts);
        visitor.visit(prevent_self_crossing, facts);
        visitor.visit(notional_per_utc_day, facts);
        visitor.visit(notional_rolling_24h, facts);
        visitor.visit(max_leverage, facts);
        visitor.visit(allow_settings, facts);
    }
}

impl Bot {
    /// Runs the rules on the bot's own share of an account.
    #[inline]
    pub(crate) fn visit<V: Visitor>(&self, facts: &Facts<'_>, visitor: &mut V) {
        let Self {
            accounts: _, // judged by BotAccess
            uids: _,     // judged where the caller is known
            new_orders_per_second,
            messages_per_second,
            notional_per_utc_day,
            notional_rolling_24h,
        } = self;
        visitor.visit(new_orders_per_second, facts);
        visitor.visit(messages_per_second, facts);
        visitor.visit(notional_per_utc_day, facts);
        visitor.visit(notional_rolling_24h, facts);
    }
}

impl SymbolLimits {
    #[inline]
    fn visit<V: Visitor>(&self, facts: &Facts<'_>, visitor: &mut V) {
        let Self { max_quantity, max_notional, max_position, max_open_notional, tick, lot, trading_hours } =
            self;
        visitor.visit(trading_hours, facts);
        visitor.visit(max_quantity, facts);
        visitor.visit(max_notional, facts);
        visitor.visit(max_position, facts);
        visitor.visit(max_open_notional, facts);
        visitor.visit(tick, facts);
        visitor.visit(lot, facts);
    }
}

/// The denial of a rule whose arithmetic does not fit.
pub(crate) fn arithmetic<R: Rule>() -> Denial {
    Denial::Arithmetic { rule: R::NAME.into() }
}

/// Words of a list, for people.
pub(crate) fn listed<T: ToString>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| word.to_string()).collect();
    words.join(", ")
}
