//! Orders as Binance prints them.

use serde_json::{Map, Value, json};
use trading::{Decimal, Market, Side, TimeInForce};

use super::public::text;
use crate::exchange::{Cause, Exchange, Fill, NewOrder, OrderState, Size, Status};

/// Renders one order for its market.
pub(crate) fn render(exchange: &Exchange, order: &OrderState) -> Value {
    match exchange.listings()[order.request.instrument].spec.market {
        Market::Spot => spot_order(exchange, order),
        _ => futures_order(exchange, order),
    }
}

pub(crate) fn default_response(order: &OrderState) -> &'static str {
    if matches!(order.request.type_name, "LIMIT" | "MARKET") { "FULL" } else { "ACK" }
}

pub(crate) fn placed_spot(exchange: &Exchange, order: &OrderState, response: &str) -> Value {
    let mut reply = Map::new();
    let full = spot_order(exchange, order);
    let take = |reply: &mut Map<String, Value>, names: &[&str]| {
        for name in names {
            reply.insert((*name).to_owned(), full[*name].clone());
        }
    };
    take(&mut reply, &["symbol", "orderId", "orderListId", "clientOrderId"]);
    reply.insert("transactTime".to_owned(), order.updated_ms.into());
    if response == "ACK" {
        return Value::Object(reply);
    }
    let names = [
        "price",
        "origQty",
        "executedQty",
        "origQuoteOrderQty",
        "cummulativeQuoteQty",
        "status",
        "timeInForce",
        "type",
        "side",
        "workingTime",
        "selfTradePreventionMode",
    ];
    take(&mut reply, &names);
    if response == "FULL" {
        let fills =
            exchange.account(order.request.account).fills.iter().filter(|fill| fill.order_id == order.id);
        let fills: Vec<Value> = fills.map(spot_fill).collect();
        reply.insert("fills".to_owned(), fills.into());
    }
    Value::Object(reply)
}

pub(crate) fn spot_fill(fill: &Fill) -> Value {
    let text = |value| text(Market::Spot, value);
    json!({
        "price": text(fill.price), "qty": text(fill.quantity), "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset, "tradeId": fill.trade_id,
    })
}

pub(crate) fn algo_order(exchange: &Exchange, order: &OrderState) -> Value {
    let request = &order.request;
    let status = match order.status {
        Status::Untriggered => "NEW",
        Status::Cancelled if !order.triggered => "CANCELED",
        _ => "FINISHED",
    };
    json!({
        "algoId": order.id, "clientAlgoId": request.client_id, "algoType": "CONDITIONAL",
        "orderType": request.type_name, "symbol": exchange.listings()[request.instrument].spec.symbol,
        "side": side(request.side), "positionSide": "BOTH", "timeInForce": time_in_force(request),
        "quantity": order.quantity, "algoStatus": status,
        "actualOrderId": if order.triggered { order.id.to_string() } else { String::new() },
        "actualPrice": order.average_price(), "triggerPrice": request.trigger.map(|trigger| trigger.price),
        "price": order.price, "workingType": "CONTRACT_PRICE", "priceMatch": "NONE", "closePosition": false,
        "priceProtect": false, "reduceOnly": request.reduce_only, "selfTradePreventionMode": "NONE",
        "createTime": order.created_ms, "updateTime": order.updated_ms, "triggerTime": 0, "goodTillDate": 0,
    })
}

pub(crate) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

pub(crate) const fn status(order: &OrderState) -> &'static str {
    match (order.status, order.cause) {
        (Status::Untriggered | Status::New, _) => "NEW",
        (Status::PartiallyFilled, _) => "PARTIALLY_FILLED",
        (Status::Filled, _) => "FILLED",
        (Status::Cancelled, Some(Cause::User)) => "CANCELED",
        (Status::Cancelled, _) => "EXPIRED",
    }
}

pub(crate) fn time_in_force(request: &NewOrder) -> &'static str {
    match request.time_in_force {
        _ if request.price.is_none() => "GTC",
        _ if request.post_only && request.type_name == "LIMIT" => "GTX",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::GoodTillCancel | TimeInForce::GoodTillDate => "GTC",
    }
}

pub(crate) fn spot_order(exchange: &Exchange, order: &OrderState) -> Value {
    let request = &order.request;
    let text = |value| text(Market::Spot, value);
    let quote = if let Size::Quote(amount) = request.size { amount } else { Decimal::ZERO };
    json!({
        "symbol": exchange.listings()[request.instrument].spec.symbol, "orderId": order.id, "orderListId": -1,
        "clientOrderId": request.client_id, "price": text(order.price), "origQty": text(order.quantity),
        "executedQty": text(order.filled), "cummulativeQuoteQty": text(order.value), "status": status(order),
        "timeInForce": time_in_force(request), "type": request.type_name, "side": side(request.side),
        "stopPrice": text(request.trigger.map_or(Decimal::ZERO, |trigger| trigger.price)), "icebergQty": "0.00000000",
        "time": order.created_ms, "updateTime": order.updated_ms, "isWorking": order.status != Status::Untriggered,
        "workingTime": order.created_ms, "origQuoteOrderQty": text(quote), "selfTradePreventionMode": "NONE",
    })
}

pub(crate) fn futures_order(exchange: &Exchange, order: &OrderState) -> Value {
    let request = &order.request;
    json!({
        "orderId": order.id, "symbol": exchange.listings()[request.instrument].spec.symbol, "status": status(order),
        "clientOrderId": request.client_id, "price": order.price, "avgPrice": order.average_price(),
        "origQty": order.quantity, "executedQty": order.filled, "cumQty": order.filled, "cumQuote": order.value,
        "timeInForce": time_in_force(request), "type": request.type_name, "reduceOnly": request.reduce_only,
        "closePosition": false, "side": side(request.side), "positionSide": "BOTH",
        "stopPrice": request.trigger.map_or(Decimal::ZERO, |trigger| trigger.price),
        "workingType": "CONTRACT_PRICE", "priceProtect": false, "origType": request.type_name, "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE", "goodTillDate": 0, "time": order.created_ms, "updateTime": order.updated_ms,
    })
}
