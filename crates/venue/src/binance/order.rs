//! One order, wherever it stands: a form, a leg of a batch, a stream call.
//!
//! What is decided here, and why:
//! - `priceMatch` and `pegPriceType` let the venue choose the price: such an order is pegged. An
//!   amendment may not peg.
//! - `selfTradePreventionMode` `TRANSFER` is refused: it moves balances between accounts.
//! - `closePosition` is the whole position and can only reduce; so can selling LONG and buying SHORT in
//!   hedge mode. Spot and margin have no reduce-only; margin's `AUTO_REPAY` does not count as one.
//! - Margin's `sideEffectType` may borrow: that is what the margin market is, and a policy that does not
//!   want it leaves the market out.
//! - Booleans are `true` or `false`; Python's `True` is refused, since nobody can say what the venue makes
//!   of it.

use trading::{Amendment, Amount, Instrument, Market, Order, OrderType, Side, TimeInForce, Venue};

use crate::error::Undecodable;
use crate::fields::{
    self, Fields, absent, client_order_id, decimal_if_there, flag_if_there, known_fields, one_of, optional,
    order_reference, price, refused, required, venue_order_id, whole_if_there,
};

known_fields! {
    /// Everything an order may say; which of it a market takes is checked afterwards.
    RawOrder {
        symbol = "symbol",
        side = "side",
        order_type = "type",
        time_in_force = "timeInForce",
        quantity = "quantity",
        quote_quantity = "quoteOrderQty",
        price = "price",
        client_order_id = "newClientOrderId",
        stop_price = "stopPrice",
        response_type = "newOrderRespType",
        self_trade_prevention = "selfTradePreventionMode",
        // spot and margin
        trailing_delta = "trailingDelta",
        iceberg_quantity = "icebergQty",
        strategy_id = "strategyId",
        strategy_type = "strategyType",
        commission_rates = "computeCommissionRates",
        peg_price_type = "pegPriceType",
        peg_offset_type = "pegOffsetType",
        peg_offset_value = "pegOffsetValue",
        // margin
        is_isolated = "isIsolated",
        side_effect = "sideEffectType",
        repay_at_cancel = "autoRepayAtCancel",
        // futures
        position_side = "positionSide",
        reduce_only = "reduceOnly",
        close_position = "closePosition",
        activation_price = "activationPrice",
        callback_rate = "callbackRate",
        working_type = "workingType",
        price_protect = "priceProtect",
        price_match = "priceMatch",
        good_till_date = "goodTillDate",
        // conditional orders of futures (`algoOrder`), where stopPrice has another name
        algo_type = "algoType",
        trigger_price = "triggerPrice",
        client_algo_id = "clientAlgoId",
        algo_activation_price = "activatePrice",
    }
}

/// Texts that mean yes and no where Binance documents `TRUE` and `FALSE`.
const TRUTHS: [&str; 4] = ["TRUE", "FALSE", "true", "false"];

/// Levels of the book whose price a futures order may take over.
const PRICE_MATCHES: [&str; 9] = [
    "NONE",
    "OPPONENT",
    "OPPONENT_5",
    "OPPONENT_10",
    "OPPONENT_20",
    "QUEUE",
    "QUEUE_5",
    "QUEUE_10",
    "QUEUE_20",
];

/// Reads an order on `market`; `algo` says that it stands in a conditional order's own words.
pub(crate) fn read(fields: Fields<'_>, market: Market, algo: bool) -> Result<Order, Undecodable> {
    let mut raw = RawOrder::fill(fields)?;
    if algo {
        one_of(&raw.algo_type, "algoType", &["CONDITIONAL"])?;
        required(&raw.algo_type, "algoType")?;
        absent(&raw.stop_price, "stopPrice")?;
        absent(&raw.client_order_id, "newClientOrderId")?;
        absent(&raw.activation_price, "activationPrice")?;
        raw.stop_price = raw.trigger_price.take();
        raw.client_order_id = raw.client_algo_id.take();
        raw.activation_price = raw.algo_activation_price.take();
    } else {
        absent(&raw.algo_type, "algoType")?;
        absent(&raw.trigger_price, "triggerPrice")?;
        absent(&raw.client_algo_id, "clientAlgoId")?;
        absent(&raw.algo_activation_price, "activatePrice")?;
    }
    check_market(&raw, market)?;
    check_side_fields(&raw)?;
    assemble(&raw, market)
}

/// Refuses fields that the market does not take.
fn check_market(raw: &RawOrder<'_>, market: Market) -> Result<(), Undecodable> {
    let futures = matches!(market, Market::Linear | Market::Inverse);
    if futures {
        absent(&raw.quote_quantity, "quoteOrderQty")?;
        absent(&raw.trailing_delta, "trailingDelta")?;
        absent(&raw.iceberg_quantity, "icebergQty")?;
        absent(&raw.strategy_id, "strategyId")?;
        absent(&raw.strategy_type, "strategyType")?;
        absent(&raw.commission_rates, "computeCommissionRates")?;
        absent(&raw.peg_price_type, "pegPriceType")?;
        absent(&raw.peg_offset_type, "pegOffsetType")?;
        absent(&raw.peg_offset_value, "pegOffsetValue")?;
    } else {
        absent(&raw.position_side, "positionSide")?;
        absent(&raw.reduce_only, "reduceOnly")?;
        absent(&raw.close_position, "closePosition")?;
        absent(&raw.activation_price, "activationPrice")?;
        absent(&raw.callback_rate, "callbackRate")?;
        absent(&raw.working_type, "workingType")?;
        absent(&raw.price_protect, "priceProtect")?;
        absent(&raw.good_till_date, "goodTillDate")?;
        absent(&raw.price_match, "priceMatch")?;
    }
    if market != Market::Margin {
        absent(&raw.is_isolated, "isIsolated")?;
        absent(&raw.side_effect, "sideEffectType")?;
        absent(&raw.repay_at_cancel, "autoRepayAtCancel")?;
    }
    if raw.peg_price_type.is_none() {
        absent(&raw.peg_offset_type, "pegOffsetType")?;
        absent(&raw.peg_offset_value, "pegOffsetValue")?;
    }
    Ok(())
}

/// Whether the venue, not the order, sets the price.
fn is_pegged(raw: &RawOrder<'_>) -> bool {
    let matched =
        raw.price_match.as_ref().is_some_and(|value| !matches!(value.text("priceMatch"), Ok("NONE")));
    matched || raw.peg_price_type.is_some()
}

/// Checks fields that do not change what is traded.
fn check_side_fields(raw: &RawOrder<'_>) -> Result<(), Undecodable> {
    one_of(&raw.response_type, "newOrderRespType", &["ACK", "RESULT", "FULL"])?;
    // TRANSFER, which moves balances between accounts, is left out on purpose.
    one_of(
        &raw.self_trade_prevention,
        "selfTradePreventionMode",
        &["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    )?;
    one_of(&raw.working_type, "workingType", &["MARK_PRICE", "CONTRACT_PRICE"])?;
    one_of(&raw.price_protect, "priceProtect", &TRUTHS)?;
    one_of(&raw.is_isolated, "isIsolated", &TRUTHS)?;
    one_of(&raw.commission_rates, "computeCommissionRates", &["true", "false"])?;
    one_of(&raw.repay_at_cancel, "autoRepayAtCancel", &TRUTHS)?;
    one_of(
        &raw.side_effect,
        "sideEffectType",
        &["NO_SIDE_EFFECT", "MARGIN_BUY", "AUTO_REPAY", "AUTO_BORROW_REPAY"],
    )?;
    one_of(&raw.price_match, "priceMatch", &PRICE_MATCHES)?;
    one_of(&raw.peg_price_type, "pegPriceType", &["PRIMARY_PEG", "MARKET_PEG"])?;
    one_of(&raw.peg_offset_type, "pegOffsetType", &["PRICE_LEVEL"])?;
    whole_if_there(&raw.peg_offset_value, "pegOffsetValue")?;
    decimal_if_there(&raw.iceberg_quantity, "icebergQty")?;
    decimal_if_there(&raw.callback_rate, "callbackRate")?;
    whole_if_there(&raw.trailing_delta, "trailingDelta")?;
    whole_if_there(&raw.strategy_id, "strategyId")?;
    whole_if_there(&raw.strategy_type, "strategyType")?;
    whole_if_there(&raw.good_till_date, "goodTillDate").map(|_| ())
}

fn assemble(raw: &RawOrder<'_>, market: Market) -> Result<Order, Undecodable> {
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let instrument = fields::instrument(Venue::Binance, market, symbol)?;
    let side = read_side(&raw.side)?.ok_or(Undecodable::MissingField("side"))?;
    let (order_type, maker) = read_type(raw, market)?;
    let (time_in_force, post_only) = read_time_in_force(raw, order_type, maker)?;
    let mut price = price(&raw.price, "price")?;
    if order_type.has_limit_price() {
        required(&raw.price, "price")?;
    } else if is_pegged(raw) {
        price = None;
    } else if price.is_some() {
        return Err(Undecodable::bad("price", "has no meaning for an order type without one"));
    }
    let amount = read_amount(raw, order_type)?;
    let whole = amount == Amount::WholePosition;
    Ok(Order {
        instrument,
        side,
        order_type,
        amount,
        price,
        trigger_price: read_trigger(raw, order_type)?,
        time_in_force,
        post_only,
        reduce_only: whole || read_reduce_only(raw, side)?,
        client_order_id: client_order_id(&raw.client_order_id, "newClientOrderId")?,
    })
}

fn read_side(slot: &Option<fields::Scalar<'_>>) -> Result<Option<Side>, Undecodable> {
    fields::side(slot, &["BUY"], &["SELL"])
}

/// The type, and whether it is one that can only make liquidity. A pegged order that waits for a
/// trigger counts as a market order that does.
fn read_type(raw: &RawOrder<'_>, market: Market) -> Result<(OrderType, bool), Undecodable> {
    let (order_type, maker) = stated_type(raw, market)?;
    if !is_pegged(raw) {
        return Ok((order_type, maker));
    }
    let order_type = match order_type {
        OrderType::Limit => OrderType::Pegged,
        OrderType::StopLimit => OrderType::StopMarket,
        OrderType::TakeProfitLimit => OrderType::TakeProfitMarket,
        _ => {
            return Err(Undecodable::bad(
                "type",
                "must be a limit type for an order whose price the venue sets",
            ));
        }
    };
    Ok((order_type, maker))
}

fn stated_type(raw: &RawOrder<'_>, market: Market) -> Result<(OrderType, bool), Undecodable> {
    let text = required(&raw.order_type, "type")?.text("type")?;
    let futures = matches!(market, Market::Linear | Market::Inverse);
    let order_type = match (text, futures) {
        ("MARKET", _) => OrderType::Market,
        ("LIMIT", _) => OrderType::Limit,
        ("LIMIT_MAKER", false) => return Ok((OrderType::Limit, true)),
        ("STOP_MARKET", true) | ("STOP_LOSS", false) => OrderType::StopMarket,
        ("STOP", true) | ("STOP_LOSS_LIMIT", false) => OrderType::StopLimit,
        ("TAKE_PROFIT_MARKET", true) | ("TAKE_PROFIT", false) => OrderType::TakeProfitMarket,
        ("TAKE_PROFIT", true) | ("TAKE_PROFIT_LIMIT", false) => OrderType::TakeProfitLimit,
        ("TRAILING_STOP_MARKET", true) => OrderType::TrailingStop,
        _ => return Err(Undecodable::bad("type", "is not an order type of this market")),
    };
    if raw.trailing_delta.is_none() {
        return Ok((order_type, false));
    }
    match order_type {
        OrderType::StopMarket | OrderType::TakeProfitMarket => Ok((OrderType::TrailingStop, false)),
        _ => Err(Undecodable::bad("trailingDelta", "is understood only for STOP_LOSS and TAKE_PROFIT")),
    }
}

/// How long it rests, and whether it is post-only. Where the venue leaves it open, a market order
/// counts as immediate-or-cancel and one that waits for a trigger as good-till-cancel.
fn read_time_in_force(
    raw: &RawOrder<'_>,
    order_type: OrderType,
    maker: bool,
) -> Result<(TimeInForce, bool), Undecodable> {
    let text = optional(&raw.time_in_force, |value| value.text("timeInForce"))?;
    let stated = match text {
        None if matches!(order_type, OrderType::Limit | OrderType::Pegged) && !maker => {
            return Err(Undecodable::MissingField("timeInForce"));
        }
        None if order_type == OrderType::Market => TimeInForce::ImmediateOrCancel,
        None | Some("GTC") => TimeInForce::GoodTillCancel,
        Some("GTX") if order_type.is_limit() => return Ok((TimeInForce::GoodTillCancel, true)),
        Some("IOC") => TimeInForce::ImmediateOrCancel,
        Some("FOK") => TimeInForce::FillOrKill,
        Some("GTD") => {
            required(&raw.good_till_date, "goodTillDate")?;
            TimeInForce::GoodTillDate
        }
        Some(_) => return Err(Undecodable::bad("timeInForce", "is not one of: GTC, IOC, FOK, GTX, GTD")),
    };
    if maker && stated != TimeInForce::GoodTillCancel {
        return Err(Undecodable::bad("timeInForce", "contradicts LIMIT_MAKER"));
    }
    if raw.good_till_date.is_some() && stated != TimeInForce::GoodTillDate {
        return Err(Undecodable::bad("goodTillDate", "has no meaning without timeInForce GTD"));
    }
    Ok((stated, maker))
}

fn read_amount(raw: &RawOrder<'_>, order_type: OrderType) -> Result<Amount, Undecodable> {
    let quantity = fields::quantity(&raw.quantity, "quantity")?;
    let quote = fields::notional(&raw.quote_quantity, "quoteOrderQty")?;
    let whole = flag_if_there(&raw.close_position, "closePosition")? == Some(true);
    match (quantity, quote, whole) {
        (Some(quantity), None, false) => Ok(Amount::Base(quantity)),
        (None, Some(quote), false) if order_type == OrderType::Market => Ok(Amount::Quote(quote)),
        (None, None, true) if order_type.is_triggered() && !order_type.has_limit_price() => {
            refused(&raw.reduce_only, "reduceOnly", "cannot stand beside closePosition")?;
            Ok(Amount::WholePosition)
        }
        (None, None, true) => {
            Err(Undecodable::bad("closePosition", "needs a stop or take-profit market order"))
        }
        (None, None, false) => Err(Undecodable::MissingField("quantity")),
        (_, Some(_), _) => {
            Err(Undecodable::bad("quoteOrderQty", "is the amount of a market order only, and alone"))
        }
        (Some(_), None, true) => Err(Undecodable::bad("quantity", "contradicts closePosition")),
    }
}

fn read_trigger(raw: &RawOrder<'_>, order_type: OrderType) -> Result<Option<trading::Price>, Undecodable> {
    let stop = price(&raw.stop_price, "stopPrice")?;
    let activation = price(&raw.activation_price, "activationPrice")?;
    if order_type == OrderType::TrailingStop {
        if raw.trailing_delta.is_none() {
            required(&raw.callback_rate, "callbackRate")?;
            refused(&raw.stop_price, "stopPrice", "has no meaning for a trailing stop")?;
        }
        return Ok(activation.or(stop));
    }
    refused(&raw.activation_price, "activationPrice", "is a trailing stop's")?;
    refused(&raw.callback_rate, "callbackRate", "is a trailing stop's")?;
    match (stop, order_type.is_triggered()) {
        (None, true) => Err(Undecodable::MissingField("stopPrice")),
        (Some(_), false) => {
            Err(Undecodable::bad("stopPrice", "has no meaning for an order without a trigger"))
        }
        _ => Ok(stop),
    }
}

/// `reduceOnly`, or in hedge mode an order against the position it names: selling LONG and buying
/// SHORT can only reduce. Outside hedge mode the venue rejects LONG and SHORT.
fn read_reduce_only(raw: &RawOrder<'_>, side: Side) -> Result<bool, Undecodable> {
    let flagged = flag_if_there(&raw.reduce_only, "reduceOnly")? == Some(true);
    let position = optional(&raw.position_side, |value| value.text("positionSide"))?;
    let against = match (position, side) {
        (None | Some("BOTH"), _) | (Some("LONG"), Side::Buy) | (Some("SHORT"), Side::Sell) => false,
        (Some("LONG"), Side::Sell) | (Some("SHORT"), Side::Buy) => true,
        _ => return Err(Undecodable::bad("positionSide", "is not one of: BOTH, LONG, SHORT")),
    };
    if flagged && matches!(position, Some("LONG" | "SHORT")) {
        return Err(Undecodable::bad("reduceOnly", "cannot stand beside positionSide LONG or SHORT"));
    }
    Ok(flagged || against)
}

known_fields! {
    /// A change to a resting futures order.
    RawAmendment {
        symbol = "symbol",
        side = "side",
        quantity = "quantity",
        price = "price",
        order_id = "orderId",
        client_order_id = "origClientOrderId",
        position_side = "positionSide",
        price_match = "priceMatch",
    }
}

/// Reads a change to a futures order: both quantity and price are always stated.
pub(crate) fn read_amendment(fields: Fields<'_>, market: Market) -> Result<Amendment, Undecodable> {
    let raw = RawAmendment::fill(fields)?;
    refused(&raw.price_match, "priceMatch", "lets the venue choose the price")?;
    one_of(&raw.position_side, "positionSide", &["BOTH", "LONG", "SHORT"])?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let amount = fields::quantity(&raw.quantity, "quantity")?.map(Amount::Base);
    let price = price(&raw.price, "price")?;
    if amount.is_none() && price.is_none() {
        return Err(Undecodable::MissingField("quantity"));
    }
    Ok(Amendment {
        instrument: fields::instrument(Venue::Binance, market, symbol)?,
        target: order_reference(
            venue_order_id(&raw.order_id, "orderId")?,
            client_order_id(&raw.client_order_id, "origClientOrderId")?,
            "orderId",
        )?,
        side: read_side(&raw.side)?,
        amount,
        price,
        trigger_price: None,
        new_client_order_id: None,
    })
}

known_fields! {
    /// A smaller quantity for a resting spot order.
    RawKeepPriority {
        symbol = "symbol",
        order_id = "orderId",
        client_order_id = "origClientOrderId",
        new_client_order_id = "newClientOrderId",
        quantity = "newQty",
    }
}

/// Reads `order/amend/keepPriority`, which can only make an order smaller.
pub(crate) fn read_keep_priority(fields: Fields<'_>, market: Market) -> Result<Amendment, Undecodable> {
    let raw = RawKeepPriority::fill(fields)?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    required(&raw.quantity, "newQty")?;
    Ok(Amendment {
        instrument: fields::instrument(Venue::Binance, market, symbol)?,
        target: order_reference(
            venue_order_id(&raw.order_id, "orderId")?,
            client_order_id(&raw.client_order_id, "origClientOrderId")?,
            "orderId",
        )?,
        side: None,
        amount: fields::quantity(&raw.quantity, "newQty")?.map(Amount::Base),
        price: None,
        trigger_price: None,
        new_client_order_id: client_order_id(&raw.new_client_order_id, "newClientOrderId")?,
    })
}

known_fields! {
    /// A cancel.
    RawCancel {
        symbol = "symbol",
        order_id = "orderId",
        client_order_id = "origClientOrderId",
        new_client_order_id = "newClientOrderId",
        restrictions = "cancelRestrictions",
        is_isolated = "isIsolated",
        algo_id = "algoId",
        client_algo_id = "clientAlgoId",
    }
}

/// Reads a cancel; a conditional futures order's cancel needs no symbol at the venue, but here:
/// without one nobody can say where the order rests.
pub(crate) fn read_cancel(
    fields: Fields<'_>,
    market: Market,
    algo: bool,
) -> Result<(Instrument, trading::OrderReference), Undecodable> {
    let mut raw = RawCancel::fill(fields)?;
    if algo {
        absent(&raw.order_id, "orderId")?;
        absent(&raw.client_order_id, "origClientOrderId")?;
        raw.order_id = raw.algo_id.take();
        raw.client_order_id = raw.client_algo_id.take();
    } else {
        absent(&raw.algo_id, "algoId")?;
        absent(&raw.client_algo_id, "clientAlgoId")?;
    }
    if market != Market::Margin {
        absent(&raw.is_isolated, "isIsolated")?;
    }
    one_of(&raw.is_isolated, "isIsolated", &TRUTHS)?;
    one_of(&raw.restrictions, "cancelRestrictions", &["ONLY_NEW", "ONLY_PARTIALLY_FILLED"])?;
    client_order_id(&raw.new_client_order_id, "newClientOrderId")?;
    let symbol = required(&raw.symbol, "symbol")?.text("symbol")?;
    let target = order_reference(
        venue_order_id(&raw.order_id, "orderId")?,
        client_order_id(&raw.client_order_id, "origClientOrderId")?,
        "orderId",
    )?;
    Ok((fields::instrument(Venue::Binance, market, symbol)?, target))
}
