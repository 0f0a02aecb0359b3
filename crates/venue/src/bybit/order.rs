//! One order, wherever it stands: a body, a leg of a batch, a stream message.
//!
//! What is decided here, and why:
//! - A spot market buy counts in quote currency unless `marketUnit` says `baseCoin`; a sell the other
//!   way round (documentation, "Place Order", `marketUnit`).
//! - `takeProfit`, `stopLoss` and their companions are known and checked on linear and inverse,
//!   where they can only reduce the position; refused on spot and options, where they would be
//!   another order that nobody judged.
//! - `orderIv` outranks the stated price, and `bboSideType` with `bboLevel` let the venue choose it:
//!   such an order is pegged, and what it states as its price is not taken for one. An amendment
//!   may not peg.
//! - On spot `reduceOnly` is refused, because the venue ignores it there.

use trading::{
    Amendment, Amount, Instrument, Market, Order, OrderReference, OrderType, Side, TimeInForce, Venue,
};

use crate::error::Undecodable;
use crate::fields::{
    self, Fields, absent, client_order_id, decimal_if_there, flag_if_there, known_fields, one_of, optional,
    order_reference, price, refused, required, venue_order_id, whole_if_there,
};

known_fields! {
    /// Everything an order may say, but for its category.
    RawOrder {
        symbol = "symbol",
        side = "side",
        order_type = "orderType",
        quantity = "qty",
        price = "price",
        time_in_force = "timeInForce",
        client_order_id = "orderLinkId",
        market_unit = "marketUnit",
        is_leverage = "isLeverage",
        order_filter = "orderFilter",
        trigger_price = "triggerPrice",
        trigger_direction = "triggerDirection",
        trigger_by = "triggerBy",
        position_index = "positionIdx",
        reduce_only = "reduceOnly",
        close_on_trigger = "closeOnTrigger",
        slippage_type = "slippageToleranceType",
        slippage = "slippageTolerance",
        self_match_prevention = "smpType",
        market_maker_protection = "mmp",
        order_iv = "orderIv",
        bbo_side = "bboSideType",
        bbo_level = "bboLevel",
        take_profit = "takeProfit",
        stop_loss = "stopLoss",
        take_profit_trigger = "tpTriggerBy",
        stop_loss_trigger = "slTriggerBy",
        attached_mode = "tpslMode",
        take_profit_limit = "tpLimitPrice",
        stop_loss_limit = "slLimitPrice",
        take_profit_type = "tpOrderType",
        stop_loss_type = "slOrderType",
    }
}

const TRIGGERS: [&str; 3] = ["LastPrice", "IndexPrice", "MarkPrice"];

const fn is_future(market: Market) -> bool {
    matches!(market, Market::Linear | Market::Inverse)
}

/// Reads an order of a category.
pub(crate) fn read(fields: Fields<'_>, category: Market) -> Result<Order, Undecodable> {
    let raw = RawOrder::fill(fields)?;
    check_category(&raw, category)?;
    check_attachments(&raw)?;
    one_of(&raw.trigger_by, "triggerBy", &TRIGGERS)?;
    one_of(&raw.self_match_prevention, "smpType", &["None", "CancelMaker", "CancelTaker", "CancelBoth"])?;
    one_of(&raw.slippage_type, "slippageToleranceType", &["TickSize", "Percent", "UNKNOWN"])?;
    one_of(&raw.bbo_side, "bboSideType", &["Queue", "Counterparty"])?;
    one_of(&raw.bbo_level, "bboLevel", &["1", "2", "3", "4", "5"])?;
    decimal_if_there(&raw.order_iv, "orderIv")?;
    decimal_if_there(&raw.slippage, "slippageTolerance")?;
    flag_if_there(&raw.market_maker_protection, "mmp")?;
    assemble(&raw, category)
}

fn check_category(raw: &RawOrder<'_>, category: Market) -> Result<(), Undecodable> {
    if category != Market::Option {
        refused(&raw.order_iv, "orderIv", "is for options only")?;
    }
    if !is_future(category) {
        refused(&raw.bbo_side, "bboSideType", "is for linear and inverse only")?;
        refused(&raw.bbo_level, "bboLevel", "is for linear and inverse only")?;
    }
    if category != Market::Spot {
        absent(&raw.market_unit, "marketUnit")?;
        absent(&raw.is_leverage, "isLeverage")?;
    } else if flag_if_there(&raw.reduce_only, "reduceOnly")? == Some(true) {
        return Err(Undecodable::bad("reduceOnly", "is ignored on spot"));
    }
    if !is_future(category) {
        refused(&raw.close_on_trigger, "closeOnTrigger", "is for linear and inverse only")?;
        let attached = "is an order of its own on this market; send it as one";
        refused(&raw.take_profit, "takeProfit", attached)?;
        refused(&raw.stop_loss, "stopLoss", attached)?;
        if let Some(index) = whole_if_there(&raw.position_index, "positionIdx")?
            && index != 0
        {
            return Err(Undecodable::bad("positionIdx", "is for linear and inverse only"));
        }
    }
    if category == Market::Option {
        refused(&raw.trigger_price, "triggerPrice", "is not for options")?;
    }
    Ok(())
}

fn check_attachments(raw: &RawOrder<'_>) -> Result<(), Undecodable> {
    decimal_if_there(&raw.take_profit, "takeProfit")?;
    decimal_if_there(&raw.stop_loss, "stopLoss")?;
    one_of(&raw.take_profit_trigger, "tpTriggerBy", &TRIGGERS)?;
    one_of(&raw.stop_loss_trigger, "slTriggerBy", &TRIGGERS)?;
    one_of(&raw.attached_mode, "tpslMode", &["Full", "Partial"])?;
    decimal_if_there(&raw.take_profit_limit, "tpLimitPrice")?;
    decimal_if_there(&raw.stop_loss_limit, "slLimitPrice")?;
    one_of(&raw.take_profit_type, "tpOrderType", &["Market", "Limit"])?;
    one_of(&raw.stop_loss_type, "slOrderType", &["Market", "Limit"])
}

fn assemble(raw: &RawOrder<'_>, category: Market) -> Result<Order, Undecodable> {
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let side = fields::side(&raw.side, &["Buy", "BUY"], &["Sell", "SELL"])?
        .ok_or(Undecodable::MissingField("side"))?;
    let order_type = read_type(raw, category, side)?;
    let (time_in_force, post_only) = read_time_in_force(raw, order_type)?;
    let mut limit = price(&raw.price, "price")?;
    if order_type.has_limit_price() {
        required(&raw.price, "price")?;
    } else if is_pegged(raw) {
        limit = None;
    } else if limit.is_some() {
        return Err(Undecodable::bad("price", "has no meaning for a market order"));
    }
    let reduce_only = read_reduce_only(raw, side)?;
    Ok(Order {
        instrument: fields::instrument(Venue::Bybit, read_market(raw, category)?, symbol)?,
        side,
        order_type,
        amount: read_amount(raw, category, side, order_type)?,
        price: limit,
        trigger_price: price(&raw.trigger_price, "triggerPrice")?,
        time_in_force,
        post_only,
        reduce_only,
        client_order_id: client_order_id(&raw.client_order_id, "orderLinkId")?,
    })
}

/// Spot with `isLeverage` 1 is trading with borrowed money.
fn read_market(raw: &RawOrder<'_>, category: Market) -> Result<Market, Undecodable> {
    match whole_if_there(&raw.is_leverage, "isLeverage")? {
        None | Some(0) => Ok(category),
        Some(1) => Ok(Market::Margin),
        Some(_) => Err(Undecodable::bad("isLeverage", "is neither 0 nor 1")),
    }
}

/// Whether the venue, not the order, sets the price.
const fn is_pegged(raw: &RawOrder<'_>) -> bool {
    raw.order_iv.is_some() || raw.bbo_side.is_some() || raw.bbo_level.is_some()
}

/// A trigger above the market wakes a stop of a buy and a take-profit of a sell; below, the other
/// way round. Spot orders do not say where the trigger lies and count as stops. A pegged order that
/// waits for a trigger counts as a market order that does.
fn read_type(raw: &RawOrder<'_>, category: Market, side: Side) -> Result<OrderType, Undecodable> {
    let limit = match required(&raw.order_type, "orderType")?.text("orderType")? {
        "Market" | "MARKET" => false,
        "Limit" | "LIMIT" => true,
        _ => return Err(Undecodable::bad("orderType", "is neither `Market` nor `Limit`")),
    };
    let pegged = is_pegged(raw);
    if pegged && !limit {
        return Err(Undecodable::bad("orderType", "must be `Limit` for an order whose price the venue sets"));
    }
    let filter = optional(&raw.order_filter, |value| value.text("orderFilter"))?;
    let waits = match filter {
        None | Some("Order") => category != Market::Spot,
        Some("StopOrder" | "tpslOrder") => true,
        Some(_) => return Err(Undecodable::bad("orderFilter", "is not one of: Order, StopOrder, tpslOrder")),
    };
    let direction = whole_if_there(&raw.trigger_direction, "triggerDirection")?;
    if raw.trigger_price.is_none() {
        if matches!(filter, Some("StopOrder" | "tpslOrder")) {
            return Err(Undecodable::MissingField("triggerPrice"));
        }
        return Ok(match (limit, pegged) {
            (_, true) => OrderType::Pegged,
            (true, false) => OrderType::Limit,
            (false, false) => OrderType::Market,
        });
    }
    if !waits {
        return Err(Undecodable::bad("triggerPrice", "is ignored on spot without orderFilter"));
    }
    let in_favour = match (direction, side) {
        (None, _) | (Some(1), Side::Buy) | (Some(2), Side::Sell) => false,
        (Some(1), Side::Sell) | (Some(2), Side::Buy) => category != Market::Spot,
        _ => return Err(Undecodable::bad("triggerDirection", "is neither 1 nor 2")),
    };
    Ok(match (in_favour, limit && !pegged) {
        (false, false) => OrderType::StopMarket,
        (false, true) => OrderType::StopLimit,
        (true, false) => OrderType::TakeProfitMarket,
        (true, true) => OrderType::TakeProfitLimit,
    })
}

/// A market order is immediate-or-cancel whatever it says (documentation), one that waits for a
/// trigger counts as good-till-cancel.
fn read_time_in_force(raw: &RawOrder<'_>, order_type: OrderType) -> Result<(TimeInForce, bool), Undecodable> {
    let text = optional(&raw.time_in_force, |value| value.text("timeInForce"))?;
    let stated = match text {
        None | Some("GTC") => TimeInForce::GoodTillCancel,
        Some("IOC") => TimeInForce::ImmediateOrCancel,
        Some("FOK") => TimeInForce::FillOrKill,
        Some("PostOnly") if order_type.is_limit() => return Ok((TimeInForce::GoodTillCancel, true)),
        Some(_) => return Err(Undecodable::bad("timeInForce", "is not one of: GTC, IOC, FOK, PostOnly")),
    };
    Ok(match order_type {
        OrderType::Market => (TimeInForce::ImmediateOrCancel, false),
        kind if kind.is_limit() => (stated, false),
        _ => (TimeInForce::GoodTillCancel, false),
    })
}

fn read_amount(
    raw: &RawOrder<'_>,
    category: Market,
    side: Side,
    order_type: OrderType,
) -> Result<Amount, Undecodable> {
    let value = required(&raw.quantity, "qty")?;
    let closes = flag_if_there(&raw.reduce_only, "reduceOnly")? == Some(true)
        && flag_if_there(&raw.close_on_trigger, "closeOnTrigger")? == Some(true);
    if closes && is_future(category) && value.decimal("qty")?.is_zero() {
        return Ok(Amount::WholePosition);
    }
    let unit = optional(&raw.market_unit, |value| value.text("marketUnit"))?;
    let quote = match (unit, side) {
        _ if category != Market::Spot => false,
        (None, side) => side == Side::Buy && !order_type.has_limit_price(),
        (Some("baseCoin"), _) => false,
        (Some("quoteCoin"), _) if !order_type.has_limit_price() => true,
        (Some("quoteCoin"), _) => {
            return Err(Undecodable::bad("marketUnit", "has no meaning for a limit order"));
        }
        (Some(_), _) => return Err(Undecodable::bad("marketUnit", "is neither baseCoin nor quoteCoin")),
    };
    let missing = Undecodable::MissingField("qty");
    if quote {
        fields::notional(&raw.quantity, "qty")?.map(Amount::Quote).ok_or(missing)
    } else {
        fields::quantity(&raw.quantity, "qty")?.map(Amount::Base).ok_or(missing)
    }
}

/// `reduceOnly`, or in hedge mode an order against the side it names: selling into 1 (long) and
/// buying into 2 (short) can only reduce. Outside hedge mode the venue rejects 1 and 2.
fn read_reduce_only(raw: &RawOrder<'_>, side: Side) -> Result<bool, Undecodable> {
    let flagged = flag_if_there(&raw.reduce_only, "reduceOnly")? == Some(true);
    let against = match (whole_if_there(&raw.position_index, "positionIdx")?, side) {
        (None | Some(0), _) | (Some(1), Side::Buy) | (Some(2), Side::Sell) => false,
        (Some(1), Side::Sell) | (Some(2), Side::Buy) => true,
        _ => return Err(Undecodable::bad("positionIdx", "is not one of: 0, 1, 2")),
    };
    flag_if_there(&raw.close_on_trigger, "closeOnTrigger")?;
    Ok(flagged || against)
}

known_fields! {
    /// A change to a resting order.
    RawAmendment {
        symbol = "symbol",
        order_id = "orderId",
        client_order_id = "orderLinkId",
        quantity = "qty",
        price = "price",
        trigger_price = "triggerPrice",
        trigger_by = "triggerBy",
        order_iv = "orderIv",
        take_profit = "takeProfit",
        stop_loss = "stopLoss",
        take_profit_trigger = "tpTriggerBy",
        stop_loss_trigger = "slTriggerBy",
        attached_mode = "tpslMode",
        take_profit_limit = "tpLimitPrice",
        stop_loss_limit = "slLimitPrice",
    }
}

/// Reads a change.
pub(crate) fn read_amendment(fields: Fields<'_>, category: Market) -> Result<Amendment, Undecodable> {
    let raw = RawAmendment::fill(fields)?;
    refused(&raw.order_iv, "orderIv", "outranks the price, so that the price judged is not the price used")?;
    if !is_future(category) {
        let attached = "is an order of its own on this market; send it as one";
        refused(&raw.take_profit, "takeProfit", attached)?;
        refused(&raw.stop_loss, "stopLoss", attached)?;
    }
    decimal_if_there(&raw.take_profit, "takeProfit")?;
    decimal_if_there(&raw.stop_loss, "stopLoss")?;
    one_of(&raw.trigger_by, "triggerBy", &TRIGGERS)?;
    one_of(&raw.take_profit_trigger, "tpTriggerBy", &TRIGGERS)?;
    one_of(&raw.stop_loss_trigger, "slTriggerBy", &TRIGGERS)?;
    one_of(&raw.attached_mode, "tpslMode", &["Full", "Partial"])?;
    decimal_if_there(&raw.take_profit_limit, "tpLimitPrice")?;
    decimal_if_there(&raw.stop_loss_limit, "slLimitPrice")?;
    let (instrument, target) = read_reference(&raw.symbol, &raw.order_id, &raw.client_order_id, category)?;
    Ok(Amendment {
        instrument,
        target,
        side: None,
        amount: fields::quantity(&raw.quantity, "qty")?.map(Amount::Base),
        price: price(&raw.price, "price")?,
        trigger_price: price(&raw.trigger_price, "triggerPrice")?,
        new_client_order_id: None,
    })
}

known_fields! {
    /// A cancel.
    RawCancel {
        symbol = "symbol",
        order_id = "orderId",
        client_order_id = "orderLinkId",
        order_filter = "orderFilter",
    }
}

/// Reads a cancel.
pub(crate) fn read_cancel(
    fields: Fields<'_>,
    category: Market,
) -> Result<(Instrument, OrderReference), Undecodable> {
    let raw = RawCancel::fill(fields)?;
    one_of(&raw.order_filter, "orderFilter", &["Order", "StopOrder", "tpslOrder"])?;
    read_reference(&raw.symbol, &raw.order_id, &raw.client_order_id, category)
}

type Slot<'a> = Option<fields::Scalar<'a>>;

fn read_reference(
    symbol: &Slot<'_>,
    order_id: &Slot<'_>,
    client: &Slot<'_>,
    category: Market,
) -> Result<(Instrument, OrderReference), Undecodable> {
    let symbol = required(symbol, "symbol")?.text("symbol")?;
    let target = order_reference(
        venue_order_id(order_id, "orderId")?,
        client_order_id(client, "orderLinkId")?,
        "orderId",
    )?;
    Ok((fields::instrument(Venue::Bybit, category, symbol)?, target))
}
