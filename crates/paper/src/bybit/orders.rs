//! `/v5/order` and `/v5/execution`: entry and queries.

use serde_json::{Value, json};
use trading::{Decimal, Market, Side, TimeInForce};

use super::market::{category, instrument, list};
use super::request::{Failure, Fields, failure};
use crate::auth::Key;
use crate::exchange::{Cause, Command, Exchange, Fill, NewOrder, OrderState, Size, Status, Target, Trigger};
use crate::num;
use crate::state::Front;

/// An order id as Bybit writes them; the number is in its last twelve digits.
pub(crate) fn order_id(id: u64) -> String {
    format!("5ea3a110-0000-4000-8000-{id:012x}")
}

fn parse_order_id(text: &str) -> u64 {
    let digits = text.strip_prefix("5ea3a110-0000-4000-8000-").filter(|digits| digits.len() == 12);
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

pub(crate) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    }
}

fn traded_market(fields: &Fields) -> Result<Market, Failure> {
    match fields.market()? {
        market @ (Market::Spot | Market::Linear) => Ok(market),
        _ => Err(Failure::new(10_001, "params error: category not traded here")),
    }
}

/// Reads a new order.
fn parse(front: &Front, key: &Key, market: Market, fields: &Fields) -> Result<NewOrder, Failure> {
    let instrument = instrument(&front.exchange(), market, fields)?;
    let side = fields.side()?;
    let limited = match fields.require("orderType")?.as_str() {
        "Limit" => true,
        "Market" => false,
        _ => return Err(Failure::param("orderType")),
    };
    if fields.get("positionIdx").is_some_and(|index| index != "0") {
        return Err(Failure::new(10_001, "position idx not match position mode"));
    }
    let price = if limited {
        fields.require("price")?;
        fields.decimal("price")?
    } else {
        None
    };
    fields.require("qty")?;
    let quantity = fields.decimal("qty")?.ok_or_else(|| Failure::param("qty"))?;
    let closes = market == Market::Linear && fields.flag("reduceOnly") && quantity.is_zero();
    // A spot market buy counts in quote currency unless `marketUnit` says otherwise.
    let in_quote = market == Market::Spot
        && !limited
        && match fields.get("marketUnit").as_deref() {
            Some("quoteCoin") => true,
            Some("baseCoin") => false,
            _ => side == Side::Buy,
        };
    let size = match (in_quote, closes) {
        (true, _) => Size::Quote(quantity),
        (false, true) => {
            Size::Base(num::absolute(front.exchange().position(key.account, instrument).quantity))
        }
        (false, false) => Size::Base(quantity),
    };
    let (time_in_force, post_only) = match fields.get("timeInForce").as_deref() {
        _ if !limited => (TimeInForce::ImmediateOrCancel, false),
        None | Some("GTC") => (TimeInForce::GoodTillCancel, false),
        Some("IOC") => (TimeInForce::ImmediateOrCancel, false),
        Some("FOK") => (TimeInForce::FillOrKill, false),
        Some("PostOnly") => (TimeInForce::GoodTillCancel, true),
        Some(_) => return Err(Failure::param("timeInForce")),
    };
    let client_id = fields.get("orderLinkId").unwrap_or_default();
    if client_id.len() > 36 || client_id.contains(char::is_control) {
        return Err(Failure::new(10_001, "OrderLinkId length should be at most 36"));
    }
    Ok(NewOrder {
        account: key.account,
        instrument,
        side,
        price,
        size,
        time_in_force,
        post_only,
        reduce_only: market == Market::Linear && (fields.flag("reduceOnly") || fields.flag("closeOnTrigger")),
        trigger: trigger(market, side, instrument, fields, front)?,
        client_id,
        type_name: if limited { "Limit" } else { "Market" },
        reject_unfit: false,
    })
}

fn trigger(
    market: Market,
    side: Side,
    instrument: usize,
    fields: &Fields,
    front: &Front,
) -> Result<Option<Trigger>, Failure> {
    let Some(price) = fields.decimal("triggerPrice")? else { return Ok(None) };
    let last = front.exchange().listings()[instrument].last();
    let rising = match (market, fields.get("triggerDirection").as_deref()) {
        (Market::Spot, _) => price > last,
        (_, Some("1")) => true,
        (_, Some("2")) => false,
        _ => return Err(Failure::new(10_001, "TriggerDirection invalid")),
    };
    debug_assert!(matches!(side, Side::Buy | Side::Sell));
    Ok(Some(Trigger { price, rising }))
}

fn target(fields: &Fields) -> Result<Target, Failure> {
    if let Some(id) = fields.get("orderId") {
        return Ok(Target::Id(parse_order_id(&id)));
    }
    let client = fields.get("orderLinkId");
    client
        .map(Target::Client)
        .ok_or_else(|| Failure::new(10_001, "params error: orderId or orderLinkId required"))
}

/// What order entry answers: both ids.
fn acknowledged(front: &Front, ids: &[u64]) -> Value {
    let exchange = front.exchange();
    ids.first().and_then(|id| exchange.order(*id)).map_or(json!({}), ids_of)
}

fn ids_of(order: &OrderState) -> Value {
    json!({ "orderId": order_id(order.id), "orderLinkId": order.request.client_id })
}

pub(crate) fn create(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = traded_market(fields)?;
    let request = parse(front, key, market, fields)?;
    let ids = front.apply(Command::Place(request)).map_err(|reject| failure(market, reject))?;
    Ok(acknowledged(front, &ids))
}

pub(crate) fn amend(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = traded_market(fields)?;
    let command = Command::Amend {
        account: key.account,
        instrument: instrument(&front.exchange(), market, fields)?,
        target: target(fields)?,
        price: fields.decimal("price")?,
        quantity: fields.decimal("qty")?,
        trigger_price: fields.decimal("triggerPrice")?,
    };
    let ids = front.apply(command).map_err(|reject| failure(market, reject))?;
    Ok(acknowledged(front, &ids))
}

pub(crate) fn cancel(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = traded_market(fields)?;
    let instrument = instrument(&front.exchange(), market, fields)?;
    let command = Command::Cancel { account: key.account, instrument, target: target(fields)? };
    let ids = front.apply(command).map_err(|reject| failure(market, reject))?;
    Ok(acknowledged(front, &ids))
}

pub(crate) fn cancel_all(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    if matches!(market, Market::Inverse | Market::Option) {
        return Ok(json!({ "list": [], "success": "1" })); // nothing is traded there
    }
    let scoped = ["symbol", "baseCoin", "settleCoin"].iter().any(|name| fields.get(name).is_some());
    if market == Market::Linear && !scoped {
        return Err(Failure::new(10_001, "params error: symbol, baseCoin or settleCoin required"));
    }
    let instruments: Vec<usize> = {
        let exchange = front.exchange();
        let all = super::market::chosen(&exchange, market, fields)?;
        let base = fields.get("baseCoin");
        all.into_iter()
            .filter(|at| base.as_ref().is_none_or(|base| *base == exchange.listings()[*at].spec.base))
            .collect()
    };
    // Spot takes normal orders where no kind is named, futures all kinds.
    let waiting = match (market, fields.get("orderFilter").as_deref()) {
        (Market::Spot, None | Some("Order")) | (_, Some("Order")) => Some(false),
        (_, Some("StopOrder")) => Some(true),
        (Market::Spot, Some("tpslOrder" | "OcoOrder" | "BidirectionalTpslOrder")) => {
            return Ok(json!({ "list": [], "success": "1" })); // kinds that are not built here
        }
        (_, None) => None,
        (_, Some(_)) => return Err(Failure::param("orderFilter")),
    };
    let ids = front.cancel_some("/v5/order/cancel-all", key.account, &instruments, waiting);
    let exchange = front.exchange();
    let rows: Vec<Value> = ids.iter().filter_map(|id| exchange.order(*id)).map(ids_of).collect();
    Ok(json!({ "list": rows, "success": "1" }))
}

/// Several at once, each alone, in order. `one` is [`create`], [`amend`] or [`cancel`].
pub(crate) fn batch(
    front: &Front,
    key: &Key,
    fields: &Fields,
    one: fn(&Front, &Key, &Fields) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    let market = traded_market(fields)?;
    let legs = fields.value("request").as_array().filter(|legs| !legs.is_empty());
    let legs = legs.ok_or_else(|| Failure::param("request"))?;
    if legs.len() > if market == Market::Spot { 10 } else { 20 } {
        return Err(Failure::new(10_001, "params error: too many orders in request"));
    }
    let (mut rows, mut results) = (Vec::new(), Vec::new());
    for leg in legs {
        let mut leg = leg.clone();
        leg["category"] = category(market).into();
        let leg = Fields::from_value(&leg);
        let named = |name: &str| leg.get(name).unwrap_or_default();
        let mut row = json!({
            "category": category(market), "symbol": named("symbol"), "orderId": named("orderId"),
            "orderLinkId": named("orderLinkId"), "createAt": "",
        });
        match one(front, key, &leg) {
            Ok(ids) => {
                row["orderId"] = ids["orderId"].clone();
                row["orderLinkId"] = ids["orderLinkId"].clone();
                row["createAt"] = front.now_ms().to_string().into();
                results.push(json!({ "code": 0, "msg": "OK" }));
            }
            Err(failure) => results.push(json!({ "code": failure.code, "msg": failure.message })),
        }
        rows.push(row);
    }
    Ok(json!({ "list": rows, "retExtInfo": { "list": results } }))
}

/// `order/realtime` (`closed` false) and `order/history` (`closed` true), newest first.
pub(crate) fn query(front: &Front, key: &Key, fields: &Fields, closed: bool) -> Result<Value, Failure> {
    let market = fields.market()?;
    let exchange = front.exchange();
    let wanted = fields.get("symbol").map(|_| instrument(&exchange, market, fields)).transpose()?;
    let named = target(fields).ok();
    let conditional_only = fields.get("orderFilter").as_deref() == Some("StopOrder");
    let plain_only = fields.get("orderFilter").as_deref() == Some("Order");
    let (from, to) =
        (fields.integer("startTime")?.unwrap_or(0), fields.integer("endTime")?.unwrap_or(u64::MAX));
    let rows = exchange.all_orders(key.account).rev().filter(|order| {
        let at = order.request.instrument;
        let is_named = match &named {
            Some(Target::Id(id)) => order.id == *id,
            Some(Target::Client(client)) => order.request.client_id == *client,
            None => order.status.is_open() != closed,
        };
        let waiting = order.status == Status::Untriggered;
        let hidden = if waiting { plain_only } else { conditional_only && order.status.is_open() };
        is_named
            && !hidden
            && exchange.listings()[at].spec.market == market
            && !(closed && order.status.is_open())
            && wanted.is_none_or(|wanted| wanted == at)
            && (from..=to).contains(&order.created_ms)
    });
    let rows = rows.map(|order| render(&exchange, order));
    let (rows, next) = super::master::page(fields, rows, 20, 50)?;
    let mut answer = list(market, rows);
    answer["nextPageCursor"] = next.into();
    Ok(answer)
}

const fn status(order: &OrderState, market: Market) -> &'static str {
    match (order.status, order.cause) {
        (Status::Untriggered, _) => "Untriggered",
        (Status::New, _) => "New",
        (Status::PartiallyFilled, _) => "PartiallyFilled",
        (Status::Filled, _) => "Filled",
        (Status::Cancelled, Some(Cause::Balance)) => "Rejected",
        (Status::Cancelled, _) if order.request.trigger.is_some() && !order.triggered => "Deactivated",
        (Status::Cancelled, _) if matches!(market, Market::Spot) && !order.filled.is_zero() => {
            "PartiallyFilledCanceled"
        }
        (Status::Cancelled, _) => "Cancelled",
    }
}

const fn reject_reason(cause: Option<Cause>) -> &'static str {
    match cause {
        None => "EC_NoError",
        Some(Cause::User) => "EC_PerCancelRequest",
        Some(Cause::WouldTake) => "EC_PostOnlyWillTakeLiquidity",
        Some(Cause::Remainder | Cause::Unfillable) => "EC_NoImmediateQtyToFill",
        Some(Cause::ReduceOnly) => "EC_CancelForNoFullFill",
        Some(Cause::Balance) => "EC_NoEnoughBalance",
    }
}

/// An order as REST and streams show it.
pub(crate) fn render(exchange: &Exchange, order: &OrderState) -> Value {
    let request = &order.request;
    let spec = &exchange.listings()[request.instrument].spec;
    let average = order.average_price();
    let time_in_force = match request.time_in_force {
        _ if request.post_only => "PostOnly",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::GoodTillCancel | TimeInForce::GoodTillDate => "GTC",
    };
    let (quantity, unit) = match request.size {
        Size::Quote(amount) => (amount, "quoteCoin"),
        Size::Base(_) => (order.quantity, if request.price.is_none() { "baseCoin" } else { "" }),
    };
    let trigger = request.trigger.map_or_else(String::new, |trigger| trigger.price.to_string());
    let direction = request.trigger.map_or(0, |trigger| if trigger.rising { 1 } else { 2 });
    let (left, left_value) = if order.status.is_open() {
        (order.remaining(), num::mul(order.remaining(), order.price))
    } else {
        (Decimal::ZERO, Decimal::ZERO)
    };
    let mut row = json!({
        "orderId": order_id(order.id), "orderLinkId": request.client_id, "blockTradeId": "", "symbol": spec.symbol,
        "price": order.price, "qty": quantity, "side": side(request.side), "isLeverage": "0", "positionIdx": 0,
        "orderStatus": status(order, spec.market), "createType": "CreateByUser",
        "cancelType": if order.cause == Some(Cause::User) { "CancelByUser" } else { "UNKNOWN" },
        "rejectReason": reject_reason(order.cause),
        "avgPrice": if average.is_zero() { String::new() } else { average.to_string() },
        "leavesQty": left, "leavesValue": left_value, "cumExecQty": order.filled, "cumExecValue": order.value,
        "cumExecFee": order.fee, "timeInForce": time_in_force, "orderType": request.type_name,
        "stopOrderType": if request.trigger.is_some() { "Stop" } else { "" }, "orderIv": "", "marketUnit": unit,
        "triggerPrice": trigger, "takeProfit": "", "stopLoss": "", "tpLimitPrice": "",
        "slLimitPrice": "", "tpTriggerBy": "", "slTriggerBy": "", "triggerDirection": direction,
        "triggerBy": if request.trigger.is_some() { "LastPrice" } else { "" }, "lastPriceOnCreated": "",
        "reduceOnly": request.reduce_only, "closeOnTrigger": false, "smpType": "None", "smpGroup": 0, "smpOrderId": "",
        "placeType": "", "ocoTriggerBy": "", "createdTime": order.created_ms.to_string(),
        "updatedTime": order.updated_ms.to_string(),
    });
    if spec.market == Market::Linear {
        row["tpslMode"] = "".into(); // spot has no such field, and clients tell the two apart by it
    }
    row
}

/// `execution/list`, newest first.
pub(crate) fn executions(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    let exchange = front.exchange();
    let wanted = fields.get("symbol").map(|_| instrument(&exchange, market, fields)).transpose()?;
    let named = target(fields).ok();
    let (from, to) =
        (fields.integer("startTime")?.unwrap_or(0), fields.integer("endTime")?.unwrap_or(u64::MAX));
    let rows = exchange.account(key.account).fills.iter().rev().filter(|fill| {
        let is_named = match &named {
            Some(Target::Id(id)) => fill.order_id == *id,
            Some(Target::Client(client)) => fill.client_id == *client,
            None => true,
        };
        is_named
            && exchange.listings()[fill.instrument].spec.market == market
            && wanted.is_none_or(|wanted| wanted == fill.instrument)
            && (from..=to).contains(&fill.time_ms)
    });
    let limit = fields.limit(50, 100)?;
    Ok(list(market, rows.take(limit).map(|fill| render_fill(&exchange, fill))))
}

/// A fill as REST and streams show it.
pub(crate) fn render_fill(exchange: &Exchange, fill: &Fill) -> Value {
    let listing = &exchange.listings()[fill.instrument];
    let order = exchange.order(fill.order_id);
    let fee_rate = exchange.rules().fee(listing.spec.market, fill.maker);
    json!({
        "symbol": listing.spec.symbol, "orderId": order_id(fill.order_id), "orderLinkId": fill.client_id,
        "side": side(fill.side), "orderPrice": order.map_or(fill.price, |order| order.price),
        "orderQty": order.map_or(fill.quantity, |order| order.quantity),
        "leavesQty": order.map_or(Decimal::ZERO, OrderState::remaining), "createType": "CreateByUser",
        "orderType": order.map_or("Limit", |order| order.request.type_name), "stopOrderType": "UNKNOWN",
        "execFee": fill.fee, "feeCurrency": fill.fee_asset,
        "execId": format!("{:08x}-{:04x}-4000-8000-{:012x}", fill.instrument, u8::from(fill.maker), fill.trade_id),
        "execPrice": fill.price, "execQty": fill.quantity, "execType": "Trade", "execValue": fill.value,
        "execTime": fill.time_ms.to_string(), "isMaker": fill.maker, "feeRate": fee_rate, "tradeIv": "", "markIv": "",
        "markPrice": listing.mark(), "indexPrice": listing.mark(), "underlyingPrice": "", "blockTradeId": "",
        "closedSize": "", "seq": fill.trade_id, "execPnl": fill.realised, "isLeverage": "0",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_ids_read_back() {
        assert_eq!(parse_order_id(&order_id(10_000_001)), 10_000_001);
        assert_eq!(parse_order_id("1"), 0);
    }
}
