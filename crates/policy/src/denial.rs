//! Every reason why an intent is denied, with the numbers that show it.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{
    AccountName, BotName, ClientOrderId, Decimal, Instrument, Notional, OrderType, Price, Quantity, Side,
    TimeInForce, TradingState, Venue,
};

/// Why an intent is denied. Limits are inclusive: `was` equal to `limit` is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the message of each variant says what its facts are")]
pub enum Denial {
    #[error("bot {bot} is not in the policy")]
    BotUnknown { bot: BotName },
    #[error("bot {bot} may not use account {account}")]
    AccountNotAllowed { bot: BotName, account: AccountName },
    #[error("account {account} is not in the policy")]
    AccountUnknown { account: AccountName },
    #[error("the counters at hand are those of account {was}, not of {account}")]
    StateOfAnotherAccount { was: AccountName, account: AccountName },
    #[error("venue {was} is not the account's venue {limit}")]
    VenueNotAllowed { was: Venue, limit: Venue },
    #[error("trading state is {state}: {operation} is not possible")]
    TradingStateForbids { state: TradingState, operation: Box<str> },
    #[error("the request's time is {was_ms} ms from the vault's clock, more than {limit_ms} ms")]
    ClockSkewOverLimit { was_ms: u64, limit_ms: u64 },
    #[error("receive window of {was_ms} ms exceeds {limit_ms} ms")]
    RecvWindowOverLimit { was_ms: u64, limit_ms: u64 },
    #[error("the client's library added {}, which the policy does not allow", names.join(", "))]
    ExtrasNotAllowed { names: Vec<Box<str>> },
    #[error("{} is not on the account's symbol list", plain(instrument))]
    SymbolNotAllowed { instrument: Instrument },
    #[error("side {was} is not allowed")]
    SideNotAllowed { was: Side },
    #[error("the side of the order is not known, and not every side is allowed")]
    SideUnknown,
    #[error("order type {was} is not allowed")]
    OrderTypeNotAllowed { was: OrderType },
    #[error("time in force {was} is not allowed")]
    TimeInForceNotAllowed { was: TimeInForce },
    #[error("the order contradicts itself: {problem}")]
    OrderContradictory { problem: Box<str> },
    #[error("only post-only orders are allowed, and exits that can only reduce a position")]
    MakerOnly,
    #[error("the order has no client order id")]
    ClientOrderIdMissing,
    #[error("client order id {id} already has a live signature")]
    ClientOrderIdLive { id: ClientOrderId },
    #[error("client order id {id} stands twice in one batch")]
    ClientOrderIdRepeated { id: ClientOrderId },
    #[error("the table of live orders is full: {limit} entries younger than 24 h")]
    OrderTableFull { limit: usize },
    #[error("quantity {was} exceeds {limit}")]
    QuantityOverLimit { was: Quantity, limit: Quantity },
    #[error("{was} of quote currency exceeds {limit}, the largest quantity at the mark price")]
    QuoteAmountOverQuantity { was: Notional, limit: Notional },
    #[error("notional {was} exceeds {limit}")]
    NotionalOverLimit { was: Notional, limit: Notional },
    #[error("no mark price for {}, and the order states no price that bounds it", plain(instrument))]
    MarkPriceMissing { instrument: Instrument },
    #[error("the mark price is {was_ms} ms from the vault's clock, more than {limit_ms} ms")]
    MarkPriceStale { was_ms: u64, limit_ms: u64 },
    #[error("price {was} is not a multiple of the tick {tick}")]
    PriceOffTick { was: Price, tick: Price },
    #[error("trigger price {was} is not a multiple of the tick {tick}")]
    TriggerPriceOffTick { was: Price, tick: Price },
    #[error("quantity {was} is not a multiple of the lot {lot}")]
    QuantityOffLot { was: Quantity, lot: Quantity },
    #[error("{was} new orders within a second exceed {limit}")]
    OrderRateOverLimit { was: u64, limit: u64 },
    #[error("{was} messages within a second exceed {limit}")]
    MessageRateOverLimit { was: u64, limit: u64 },
    #[error("price {was} is beyond {bound}, {limit_bps} basis points from the reference price {reference}")]
    PriceOutsideCollar { was: Price, reference: Price, bound: Decimal, limit_bps: u64 },
    #[error("an order of the same content was signed within {window_ms} ms")]
    OrderDuplicate { window_ms: u64 },
    #[error("{was} orders of the same content exceed {limit}")]
    RepeatsOverLimit { was: u64, limit: u64 },
    #[error(
        "new orders for {} are stopped, because one was repeated too often, until someone resumes",
        plain(instrument)
    )]
    StoppedByRepetition { instrument: Instrument },
    #[error("more orders were signed within {window_ms} ms than can be remembered")]
    TooManyToRemember { window_ms: u64 },
    #[error("the symbol may be traded {hours} only")]
    OutsideTradingHours { hours: Box<str> },
    #[error("no trading lease is live: only cancels and orders that reduce a position pass")]
    LeaseMissing,
    #[error("the trading lease says {state} at rung {rung}")]
    LeaseForbids { rung: u8, state: TradingState },
    #[error("the order does not say why: its thesis is missing")]
    ThesisMissing,
    #[error("{was} signed this UTC day with this order exceed {limit}")]
    DayBudgetExceeded { was: Decimal, limit: Notional },
    #[error("{was} signed within 24 hours with this order exceed {limit}")]
    RollingBudgetExceeded { was: Decimal, limit: Notional },
    #[error("{was} open orders with this one exceed {limit}")]
    OpenOrdersOverLimit { was: u64, limit: u64 },
    #[error("{was} resting with this order exceed {limit}")]
    OpenNotionalOverLimit { was: Decimal, limit: Notional },
    #[error("{was} of this symbol resting with this order exceed {limit}")]
    SymbolOpenNotionalOverLimit { was: Decimal, limit: Notional },
    #[error("with this order the position could reach {was}, more than {limit}")]
    PositionOverLimit { was: Decimal, limit: Quantity },
    #[error("with this order the net positions could reach {was}, more than {limit}")]
    NetExposureOverLimit { was: Decimal, limit: Notional },
    #[error("the order would trade with an order of the same account that rests")]
    SelfCrossing,
    #[error("leverage {was} is not within 0 and {limit}")]
    LeverageOverLimit { was: Decimal, limit: Decimal },
    #[error("setting {setting} is not on the account's list")]
    SettingNotAllowed { setting: Box<str> },
    #[error("the order to amend is not known here: the amendment must state {missing}")]
    AmendmentIncomplete { missing: Box<str> },
    #[error("two legs of the batch amend the same order")]
    AmendmentRepeated,
    #[error("a batch has {was} legs; it needs 1 to {limit}")]
    BatchSize { was: usize, limit: usize },
    #[error("{operation} cannot be a leg of a batch")]
    BatchLegNotAllowed { operation: Box<str> },
    #[error("the numbers of the order do not fit exact arithmetic in rule {rule}")]
    Arithmetic { rule: Box<str> },
    #[error("the request could not be judged")]
    NotJudged,
    /// A limit of the bot that asks, not of the whole account. [`Denial::code`] is that of the limit.
    #[error("of this bot alone, {denial}")]
    OfBot { denial: Box<Self> },
    /// A denial of one leg of a batch; legs count from 0. [`Denial::code`] is that of the leg.
    #[error("leg {leg}: {denial}")]
    InLeg { leg: usize, denial: Box<Self> },
}

impl Denial {
    /// The stable name of the reason, in `snake_case`, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BotUnknown { .. } => "bot_unknown",
            Self::AccountNotAllowed { .. } => "account_not_allowed",
            Self::AccountUnknown { .. } => "account_unknown",
            Self::StateOfAnotherAccount { .. } => "state_of_another_account",
            Self::VenueNotAllowed { .. } => "venue_not_allowed",
            Self::TradingStateForbids { .. } => "trading_state_forbids",
            Self::ClockSkewOverLimit { .. } => "clock_skew_over_limit",
            Self::RecvWindowOverLimit { .. } => "recv_window_over_limit",
            Self::ExtrasNotAllowed { .. } => "extras_not_allowed",
            Self::SymbolNotAllowed { .. } => "symbol_not_allowed",
            Self::SideNotAllowed { .. } => "side_not_allowed",
            Self::SideUnknown => "side_unknown",
            Self::OrderTypeNotAllowed { .. } => "order_type_not_allowed",
            Self::TimeInForceNotAllowed { .. } => "time_in_force_not_allowed",
            Self::OrderContradictory { .. } => "order_contradictory",
            Self::MakerOnly => "maker_only",
            Self::ClientOrderIdMissing => "client_order_id_missing",
            Self::ClientOrderIdLive { .. } => "client_order_id_live",
            Self::ClientOrderIdRepeated { .. } => "client_order_id_repeated",
            Self::OrderTableFull { .. } => "order_table_full",
            Self::QuantityOverLimit { .. } => "quantity_over_limit",
            Self::QuoteAmountOverQuantity { .. } => "quote_amount_over_quantity",
            Self::NotionalOverLimit { .. } => "notional_over_limit",
            Self::MarkPriceMissing { .. } => "mark_price_missing",
            Self::MarkPriceStale { .. } => "mark_price_stale",
            Self::PriceOffTick { .. } => "price_off_tick",
            Self::TriggerPriceOffTick { .. } => "trigger_price_off_tick",
            Self::QuantityOffLot { .. } => "quantity_off_lot",
            Self::OrderRateOverLimit { .. } => "order_rate_over_limit",
            Self::MessageRateOverLimit { .. } => "message_rate_over_limit",
            Self::PriceOutsideCollar { .. } => "price_outside_collar",
            Self::OrderDuplicate { .. } => "order_duplicate",
            Self::RepeatsOverLimit { .. } => "repeats_over_limit",
            Self::StoppedByRepetition { .. } => "stopped_by_repetition",
            Self::TooManyToRemember { .. } => "too_many_to_remember",
            Self::OutsideTradingHours { .. } => "outside_trading_hours",
            Self::LeaseMissing => "lease_missing",
            Self::LeaseForbids { .. } => "lease_forbids",
            Self::ThesisMissing => "thesis_missing",
            Self::DayBudgetExceeded { .. } => "day_budget_exceeded",
            Self::RollingBudgetExceeded { .. } => "rolling_budget_exceeded",
            Self::OpenOrdersOverLimit { .. } => "open_orders_over_limit",
            Self::OpenNotionalOverLimit { .. } => "open_notional_over_limit",
            Self::SymbolOpenNotionalOverLimit { .. } => "symbol_open_notional_over_limit",
            Self::PositionOverLimit { .. } => "position_over_limit",
            Self::NetExposureOverLimit { .. } => "net_exposure_over_limit",
            Self::SelfCrossing => "self_crossing",
            Self::LeverageOverLimit { .. } => "leverage_over_limit",
            Self::SettingNotAllowed { .. } => "setting_not_allowed",
            Self::AmendmentIncomplete { .. } => "amendment_incomplete",
            Self::AmendmentRepeated => "amendment_repeated",
            Self::BatchSize { .. } => "batch_size",
            Self::BatchLegNotAllowed { .. } => "batch_leg_not_allowed",
            Self::Arithmetic { .. } => "arithmetic",
            Self::NotJudged => "not_judged",
            Self::OfBot { denial } | Self::InLeg { denial, .. } => denial.code(),
        }
    }
}

/// An instrument with every letter beyond ASCII spelled out, so that look-alikes show.
fn plain(instrument: &Instrument) -> String {
    instrument
        .to_string()
        .chars()
        .flat_map(|letter| {
            let escaped = (!letter.is_ascii()).then(|| letter.escape_unicode());
            let kept = letter.is_ascii().then_some(letter);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_alike_letter_shows() {
        let instrument: Instrument = "bybit:linear:B\u{422}CUSDT".parse().expect("symbol");
        let text = Denial::SymbolNotAllowed { instrument }.to_string();
        assert_eq!(text, "bybit:linear:B\\u{422}CUSDT is not on the account's symbol list");
    }

    #[test]
    fn the_serialised_code_is_the_code() {
        for denial in [
            Denial::MakerOnly,
            Denial::BatchSize { was: 0, limit: 20 },
            Denial::RecvWindowOverLimit { was_ms: 2, limit_ms: 1 },
            Denial::Arithmetic { rule: "x".into() },
        ] {
            let json = serde_json::to_value(&denial).expect("serialises");
            assert_eq!(json["code"], denial.code());
        }
    }

    #[test]
    fn a_leg_names_its_number_and_keeps_its_code() {
        let denial = Denial::InLeg { leg: 3, denial: Box::new(Denial::MakerOnly) };
        assert_eq!(denial.code(), "maker_only");
        assert!(denial.to_string().starts_with("leg 3: only post-only"));
    }
}
