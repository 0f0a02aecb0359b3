//! Order entry and order queries of spot and USD-M futures.

use serde_json::{Value, json};
use trading::{Decimal, Market, Side, TimeInForce};

use super::params::{Failure, Params, missing};
use super::public::instrument;
use super::render::{algo_order, default_response, futures_order, placed_spot, render};
use crate::auth::Key;
use crate::exchange::{Command, Exchange, NewOrder, OrderState, Reject, Size, Status, Target, Trigger};
use crate::num;
use crate::state::Front;

/// Most legs of a batch.
const MAX_BATCH: usize = 5;

/// The type of an order as Binance names it.
struct Kind {
    name: &'static str,
    limited: bool,
    triggered: bool,
    /// A stop rather than a take-profit.
    stop: bool,
}

const fn kind(name: &'static str, limited: bool, triggered: bool, stop: bool) -> Kind {
    Kind { name, limited, triggered, stop }
}

fn spot_kind(name: &str) -> Option<Kind> {
    Some(match name {
        "LIMIT" => kind("LIMIT", true, false, false),
        "LIMIT_MAKER" => kind("LIMIT_MAKER", true, false, false),
        "MARKET" => kind("MARKET", false, false, false),
        "STOP_LOSS" => kind("STOP_LOSS", false, true, true),
        "STOP_LOSS_LIMIT" => kind("STOP_LOSS_LIMIT", true, true, true),
        "TAKE_PROFIT" => kind("TAKE_PROFIT", false, true, false),
        "TAKE_PROFIT_LIMIT" => kind("TAKE_PROFIT_LIMIT", true, true, false),
        _ => return None,
    })
}

fn futures_kind(name: &str) -> Option<Kind> {
    Some(match name {
        "LIMIT" => kind("LIMIT", true, false, false),
        "MARKET" => kind("MARKET", false, false, false),
        "STOP" => kind("STOP", true, true, true),
        "STOP_MARKET" => kind("STOP_MARKET", false, true, true),
        "TAKE_PROFIT" => kind("TAKE_PROFIT", true, true, false),
        "TAKE_PROFIT_MARKET" => kind("TAKE_PROFIT_MARKET", false, true, false),
        _ => return None,
    })
}

/// Gives a rejection Binance's code and words.
pub(crate) fn failure(market: Market, reject: Reject) -> Failure {
    let (code, words) = if market == Market::Spot { spot_words(reject) } else { futures_words(reject) };
    Failure::new(code, words)
}

const fn spot_words(reject: Reject) -> (i32, &'static str) {
    match reject {
        Reject::Price => (-1013, "Filter failure: PRICE_FILTER"),
        Reject::Lot => (-1013, "Filter failure: LOT_SIZE"),
        Reject::Notional => (-1013, "Filter failure: NOTIONAL"),
        Reject::TooManyOrders => (-1013, "Filter failure: MAX_NUM_ORDERS"),
        Reject::Duplicate => (-2010, "Duplicate order sent."),
        Reject::Balance | Reject::Margin => (-2010, "Account has insufficient balance for requested action."),
        Reject::WouldTake => (-2010, "Order would immediately match and take."),
        Reject::WouldTrigger => (-2010, "Stop price would trigger immediately."),
        Reject::UnknownOrder => (-2011, "Unknown order sent."),
        Reject::ReduceOnly
        | Reject::Unfillable
        | Reject::Unchanged
        | Reject::BelowFilled
        | Reject::Leverage => (-2010, "Order was rejected."),
    }
}

const fn futures_words(reject: Reject) -> (i32, &'static str) {
    match reject {
        Reject::Price => (-4014, "Price not increased by tick size."),
        Reject::Lot => (-1111, "Precision is over the maximum defined for this asset."),
        Reject::Notional => {
            (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only).")
        }
        Reject::TooManyOrders => (-2025, "Reach max open order limit."),
        Reject::Duplicate => (-4116, "ClientOrderId is duplicated."),
        Reject::Balance | Reject::Margin => (-2019, "Margin is insufficient."),
        Reject::ReduceOnly => (-2022, "ReduceOnly Order is rejected."),
        Reject::WouldTake => (
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history",
        ),
        Reject::Unfillable => (
            -5021,
            "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history",
        ),
        Reject::WouldTrigger => (-2021, "Order would immediately trigger."),
        Reject::UnknownOrder => (-2011, "Unknown order sent."),
        Reject::Unchanged => (-5027, "No need to modify the order."),
        Reject::BelowFilled => (-4003, "Quantity less than or equal to zero."),
        Reject::Leverage => (-4028, "Leverage is not valid"),
    }
}

/// Reads a new order.
fn parse(front: &Front, key: &Key, market: Market, params: &Params, algo: bool) -> Result<NewOrder, Failure> {
    let instrument = instrument(&front.exchange(), market, params)?;
    let side = params.side()?;
    let named = params.require("type")?;
    let kind = if market == Market::Spot { spot_kind(named) } else { futures_kind(named) };
    let kind = kind.ok_or_else(|| Failure::new(-1116, "Invalid orderType."))?;
    if market == Market::Linear && kind.triggered != algo {
        let words =
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.";
        return Err(Failure::new(-4120, words));
    }
    if params.get("positionSide").is_some_and(|side| side != "BOTH") {
        return Err(Failure::new(-4061, "Order's position side does not match user's setting."));
    }
    let price = if kind.limited {
        params.require("price")?;
        params.decimal("price")?
    } else if params.get("price").is_some_and(|price| price != "0") && market == Market::Spot {
        return Err(Failure::new(-1106, "Parameter 'price' sent when not required."));
    } else {
        None
    };
    let size = match (params.decimal("quantity")?, params.decimal("quoteOrderQty")?) {
        (Some(quantity), None) => Size::Base(quantity),
        (None, Some(amount)) if market == Market::Spot && kind.name == "MARKET" => Size::Quote(amount),
        (None, None) if algo && params.flag("closePosition") => whole_position(front, key, instrument)?,
        (None, None) => return Err(missing("quantity")),
        _ => {
            let words =
                "Combination of optional parameters invalid. Recommendation: 'quantity' or 'quoteOrderQty'";
            return Err(Failure::new(-1128, words));
        }
    };
    let (time_in_force, post_only) = match params.get("timeInForce") {
        _ if kind.name == "LIMIT_MAKER" => (TimeInForce::GoodTillCancel, true),
        None if kind.limited => return Err(missing("timeInForce")),
        Some("GTC" | "GTD") | None => (TimeInForce::GoodTillCancel, false),
        Some("IOC") => (TimeInForce::ImmediateOrCancel, false),
        Some("FOK") => (TimeInForce::FillOrKill, false),
        Some("GTX") if market == Market::Linear => (TimeInForce::GoodTillCancel, true),
        Some(_) => return Err(Failure::new(-1115, "Invalid timeInForce.")),
    };
    let trigger = if kind.triggered {
        let name = if algo { "triggerPrice" } else { "stopPrice" };
        params.require(name)?;
        let rising = (side == Side::Buy) == kind.stop;
        params.decimal(name)?.map(|price| Trigger { price, rising })
    } else {
        None
    };
    let client_name = if algo { "clientAlgoId" } else { "newClientOrderId" };
    Ok(NewOrder {
        account: key.account,
        instrument,
        side,
        price,
        size,
        time_in_force: if kind.limited { time_in_force } else { TimeInForce::ImmediateOrCancel },
        post_only,
        reduce_only: market == Market::Linear && (params.flag("reduceOnly") || params.flag("closePosition")),
        trigger,
        client_id: client_id(front, market, params.get(client_name))?,
        type_name: kind.name,
        reject_unfit: post_only || market == Market::Linear,
    })
}

fn whole_position(front: &Front, key: &Key, instrument: usize) -> Result<Size, Failure> {
    let held = num::absolute(front.exchange().position(key.account, instrument).quantity);
    if held.is_zero() { Err(failure(Market::Linear, Reject::ReduceOnly)) } else { Ok(Size::Base(held)) }
}

fn client_id(front: &Front, market: Market, given: Option<&str>) -> Result<String, Failure> {
    let Some(text) = given else { return Ok(format!("paper{:016x}", front.serial())) };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte);
    if text.len() <= 36 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(if market == Market::Spot {
        let words = "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.";
        Failure::new(-1100, words)
    } else {
        Failure::new(-4015, "Client order id is not valid.")
    })
}

/// `POST order`. With `test`, only reads it.
pub(crate) fn place(
    front: &Front,
    key: &Key,
    market: Market,
    params: &Params,
    test: bool,
) -> Result<Value, Failure> {
    let request = parse(front, key, market, params, false)?;
    if test {
        return Ok(json!({}));
    }
    let response = params.get("newOrderRespType");
    let ids = front.apply(Command::Place(request)).map_err(|reject| failure(market, reject))?;
    let exchange = front.exchange();
    let order = ids.first().and_then(|id| exchange.order(*id));
    let order = order
        .ok_or_else(|| Failure::new(-1000, "An unknown error occurred while processing the request."))?;
    Ok(if market == Market::Spot {
        placed_spot(&exchange, order, response.unwrap_or(default_response(order)))
    } else if response == Some("RESULT") {
        futures_order(&exchange, order)
    } else {
        let accepted =
            OrderState { filled: Decimal::ZERO, value: Decimal::ZERO, status: Status::New, ..order.clone() };
        futures_order(&exchange, &accepted)
    })
}

/// The order a request names by `orderId` or `origClientOrderId`.
fn target(params: &Params) -> Result<Target, Failure> {
    if let Some(id) = params.integer("orderId")? {
        return Ok(Target::Id(id));
    }
    match params.get("origClientOrderId") {
        Some(client) => Ok(Target::Client(client.to_owned())),
        None => Err(Failure::new(
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        )),
    }
}

/// `DELETE order`.
pub(crate) fn cancel(front: &Front, key: &Key, market: Market, params: &Params) -> Result<Value, Failure> {
    let instrument = instrument(&front.exchange(), market, params)?;
    let command = Command::Cancel { account: key.account, instrument, target: target(params)? };
    let ids = front.apply(command).map_err(|reject| failure(market, reject))?;
    let exchange = front.exchange();
    Ok(ids
        .first()
        .and_then(|id| exchange.order(*id))
        .map_or(Value::Null, |order| cancelled(front, &exchange, order)))
}

fn cancelled(front: &Front, exchange: &Exchange, order: &OrderState) -> Value {
    let mut reply = render(exchange, order);
    if exchange.listings()[order.request.instrument].spec.market == Market::Spot {
        reply["origClientOrderId"] = order.request.client_id.clone().into();
        reply["clientOrderId"] = format!("paper{:016x}", front.serial()).into();
        reply["transactTime"] = order.updated_ms.into();
    }
    reply
}

/// `DELETE openOrders` (spot, which lists them) and `DELETE allOpenOrders` (futures, which does not).
pub(crate) fn cancel_all(
    front: &Front,
    key: &Key,
    market: Market,
    params: &Params,
) -> Result<Value, Failure> {
    let instrument = instrument(&front.exchange(), market, params)?;
    let path = if market == Market::Linear { "/fapi/v1/allOpenOrders" } else { "/api/v3/openOrders" };
    let ids = front.cancel_some(path, key.account, &[instrument], None);
    if market == Market::Linear {
        return Ok(json!({ "code": 200, "msg": "The operation of cancel all open order is done." }));
    }
    if ids.is_empty() {
        return Err(failure(market, Reject::UnknownOrder));
    }
    let exchange = front.exchange();
    Ok(ids
        .iter()
        .filter_map(|id| exchange.order(*id))
        .map(|order| cancelled(front, &exchange, order))
        .collect())
}

/// `DELETE algoOpenOrders`: the orders that wait for a price.
pub(crate) fn cancel_conditional(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let instrument = instrument(&front.exchange(), Market::Linear, params)?;
    front.cancel_some("/fapi/v1/algoOpenOrders", key.account, &[instrument], Some(true));
    Ok(json!({ "code": 200, "msg": "The operation of cancel all open order is done." }))
}

/// `GET order`.
pub(crate) fn query(front: &Front, key: &Key, market: Market, params: &Params) -> Result<Value, Failure> {
    let exchange = front.exchange();
    let instrument = instrument(&exchange, market, params)?;
    let found = exchange.find(key.account, instrument, &target(params)?);
    found.map(|order| render(&exchange, order)).ok_or_else(|| Failure::new(-2013, "Order does not exist."))
}

/// `GET openOrders` and `GET allOrders`.
pub(crate) fn list(
    front: &Front,
    key: &Key,
    market: Market,
    params: &Params,
    open: bool,
) -> Result<Value, Failure> {
    let exchange = front.exchange();
    let wanted = match params.get("symbol") {
        Some(_) => Some(instrument(&exchange, market, params)?),
        None if open => None,
        None => return Err(missing("symbol")),
    };
    let (from_id, limit) = (params.integer("orderId")?.unwrap_or(0), params.limit(500, 1_000)?);
    let (from, to) =
        (params.integer("startTime")?.unwrap_or(0), params.integer("endTime")?.unwrap_or(u64::MAX));
    let chosen = exchange.all_orders(key.account).filter(|order| {
        let at = order.request.instrument;
        let listed = wanted.map_or(exchange.listings()[at].spec.market == market, |wanted| at == wanted);
        let waiting = market == Market::Linear && order.status == Status::Untriggered;
        listed
            && !waiting
            && (!open || order.status.is_open())
            && order.id >= from_id
            && (from..=to).contains(&order.created_ms)
    });
    let mut newest: Vec<Value> = chosen.rev().take(limit).map(|order| render(&exchange, order)).collect();
    newest.reverse();
    Ok(Value::Array(newest))
}

/// `PUT /fapi/v1/order`.
pub(crate) fn modify(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let instrument = instrument(&front.exchange(), Market::Linear, params)?;
    params.side()?;
    params.require("quantity")?;
    params.require("price")?;
    let command = Command::Amend {
        account: key.account,
        instrument,
        target: target(params)?,
        price: params.decimal("price")?,
        quantity: params.decimal("quantity")?,
        trigger_price: None,
    };
    let ids = front.apply(command).map_err(|reject| match reject {
        Reject::UnknownOrder => Failure::new(-2013, "Order does not exist."),
        other => failure(Market::Linear, other),
    })?;
    let exchange = front.exchange();
    Ok(ids
        .first()
        .and_then(|id| exchange.order(*id))
        .map_or(Value::Null, |order| futures_order(&exchange, order)))
}

/// `POST /api/v3/order/cancelReplace`.
pub(crate) fn cancel_replace(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let mode = params.require("cancelReplaceMode")?;
    let request = parse(front, key, Market::Spot, params, false)?;
    let target = match (params.integer("cancelOrderId")?, params.get("cancelOrigClientOrderId")) {
        (Some(id), _) => Target::Id(id),
        (None, Some(client)) => Target::Client(client.to_owned()),
        (None, None) => return Err(missing("cancelOrderId")),
    };
    let failed = |reject| failure(Market::Spot, reject);
    let command = Command::Cancel { account: key.account, instrument: request.instrument, target };
    let cancel = front.apply(command).map_err(failed);
    let (cancel_result, cancel_response) = match &cancel {
        Ok(ids) => {
            let exchange = front.exchange();
            let order = ids.first().and_then(|id| exchange.order(*id));
            ("SUCCESS", order.map_or(Value::Null, |order| cancelled(front, &exchange, order)))
        }
        Err(failure) => ("FAILURE", failure.to_json()),
    };
    let halted = cancel.is_err() && mode == "STOP_ON_FAILURE";
    let placed = if halted { None } else { Some(front.apply(Command::Place(request)).map_err(failed)) };
    let (new_result, new_response) = match &placed {
        None => ("NOT_ATTEMPTED", Value::Null),
        Some(Ok(ids)) => {
            let exchange = front.exchange();
            let order = ids.first().and_then(|id| exchange.order(*id));
            let response = params.get("newOrderRespType");
            let render = |order| placed_spot(&exchange, order, response.unwrap_or(default_response(order)));
            ("SUCCESS", order.map_or(Value::Null, render))
        }
        Some(Err(failure)) => ("FAILURE", failure.to_json()),
    };
    let whole = json!({
        "cancelResult": cancel_result, "newOrderResult": new_result,
        "cancelResponse": cancel_response, "newOrderResponse": new_response,
    });
    match (cancel_result, new_result) {
        ("SUCCESS", "SUCCESS") => Ok(whole),
        ("FAILURE", "FAILURE" | "NOT_ATTEMPTED") => {
            Err(half_done(-2022, "Order cancel-replace failed.", whole))
        }
        _ => Err(half_done(-2021, "Order cancel-replace partially failed.", whole)),
    }
}

/// A request half done, with what became of each half.
fn half_done(code: i32, words: &str, data: Value) -> Failure {
    let status = if code == -2021 { 409 } else { 400 };
    Failure { status, code, message: words.to_owned(), data: Some(Box::new(data)) }
}

/// `POST`, `PUT` and `DELETE batchOrders`: each leg alone, in order.
pub(crate) fn batch(front: &Front, key: &Key, method: &str, params: &Params) -> Result<Value, Failure> {
    let illegal = || Failure::new(-1130, "Data sent for parameter 'batchOrders' is not valid.");
    let legs: Vec<Params> = if method == "DELETE" {
        cancel_legs(params)?
    } else {
        let list: Vec<Value> = serde_json::from_str(params.require("batchOrders")?).map_err(|_| illegal())?;
        list.iter().map(Params::from_json).collect()
    };
    if legs.is_empty() || legs.len() > MAX_BATCH * if method == "DELETE" { 2 } else { 1 } {
        return Err(Failure::new(-4082, "Invalid number of batch place orders."));
    }
    let one = |leg: &Params| match method {
        "POST" => place(front, key, Market::Linear, leg, false),
        "PUT" => modify(front, key, leg),
        _ => cancel(front, key, Market::Linear, leg),
    };
    Ok(legs.iter().map(|leg| one(leg).unwrap_or_else(|failure| failure.to_json())).collect())
}

fn cancel_legs(params: &Params) -> Result<Vec<Params>, Failure> {
    let symbol = params.require("symbol")?;
    let illegal = |_| Failure::new(-1130, "Data sent for parameter 'orderIdList' is not valid.");
    // ccxt sends these names in lower case, which Binance takes too.
    let either = |name: &str| params.get(name).or_else(|| params.get(&name.to_ascii_lowercase()));
    let ids: Vec<u64> =
        either("orderIdList").map_or(Ok(Vec::new()), serde_json::from_str).map_err(illegal)?;
    let clients: Vec<String> =
        either("origClientOrderIdList").map_or(Ok(Vec::new()), serde_json::from_str).map_err(illegal)?;
    let by_id = ids.into_iter().map(|id| json!({ "symbol": symbol, "orderId": id }));
    let by_client =
        clients.into_iter().map(|client| json!({ "symbol": symbol, "origClientOrderId": client }));
    Ok(by_id.chain(by_client).map(|leg| Params::from_json(&leg)).collect())
}

/// `POST /fapi/v1/algoOrder`: conditional orders.
pub(crate) fn place_algo(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    if params.require("algoType")? != "CONDITIONAL" {
        return Err(Failure::new(-1130, "Data sent for parameter 'algoType' is not valid."));
    }
    let request = parse(front, key, Market::Linear, params, true)?;
    let ids = front.apply(Command::Place(request)).map_err(|reject| failure(Market::Linear, reject))?;
    let exchange = front.exchange();
    Ok(ids
        .first()
        .and_then(|id| exchange.order(*id))
        .map_or(Value::Null, |order| algo_order(&exchange, order)))
}

fn algo_target(exchange: &Exchange, key: &Key, params: &Params) -> Result<OrderState, Failure> {
    let id = params.integer("algoId")?;
    let client = params.get("clientAlgoId");
    let found = exchange.all_orders(key.account).rev().find(|order| {
        order.request.trigger.is_some()
            && (id == Some(order.id) || (id.is_none() && client == Some(&order.request.client_id)))
    });
    found.cloned().ok_or_else(|| failure(Market::Linear, Reject::UnknownOrder))
}

/// `GET /fapi/v1/algoOrder`.
pub(crate) fn query_algo(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let exchange = front.exchange();
    algo_target(&exchange, key, params).map(|order| algo_order(&exchange, &order))
}

/// `DELETE /fapi/v1/algoOrder`.
pub(crate) fn cancel_algo(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let order = algo_target(&front.exchange(), key, params)?;
    let command = Command::Cancel {
        account: key.account,
        instrument: order.request.instrument,
        target: Target::Id(order.id),
    };
    front.apply(command).map_err(|reject| failure(Market::Linear, reject))?;
    Ok(
        json!({ "algoId": order.id, "clientAlgoId": order.request.client_id, "code": "200", "msg": "success" }),
    )
}

/// `GET /fapi/v1/openAlgoOrders`.
pub(crate) fn list_algo(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let exchange = front.exchange();
    let wanted = params.get("symbol").map(|_| instrument(&exchange, Market::Linear, params)).transpose()?;
    let waiting = exchange.open_orders(key.account).filter(|order| {
        order.status == Status::Untriggered
            && exchange.listings()[order.request.instrument].spec.market == Market::Linear
            && wanted.is_none_or(|wanted| order.request.instrument == wanted)
    });
    Ok(waiting.map(|order| algo_order(&exchange, order)).collect())
}
