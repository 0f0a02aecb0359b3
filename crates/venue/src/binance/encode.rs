//! Intents to requests, for neutral orders.

use trading::{
    Amendment, Amount, CancelAll, Instrument, Intent, Market, Order, OrderReference, OrderType, Read, Side,
    TimeInForce, Timestamp,
};

use super::auth::Http;
use super::endpoints::{self, Kind};
use crate::error::Unencodable;
use crate::form;
use crate::http::{HttpRequest, Method};
use crate::json;

/// Names and values in the order in which they are sent.
type Parameters = Vec<(&'static str, String)>;

/// Says an intent in Binance's words.
///
/// # Errors
///
/// Names the field that the market cannot express.
pub(crate) fn encode(intent: &Intent, sent_at: Timestamp, recv_window_ms: u64) -> Result<Http, Unencodable> {
    let (method, path, parameters) = match intent {
        Intent::Place(order) => {
            (Method::Post, format!("{}/order", base(order.instrument.market)?), place(order)?)
        }
        Intent::Amend(amendment) => amend_request(amendment)?,
        Intent::Cancel { instrument, target } => {
            (Method::Delete, format!("{}/order", base(instrument.market)?), cancel(instrument, target))
        }
        Intent::CancelAll(scope) => cancel_all(scope)?,
        Intent::Batch(legs) => batch(legs)?,
        Intent::Read(read) => read_request(read)?,
        Intent::SetLeverage { instrument, leverage } => {
            let futures = matches!(instrument.market, Market::Linear | Market::Inverse);
            if !futures {
                return Err(Unencodable::new("instrument", "has no leverage on this market"));
            }
            let parameters =
                vec![("symbol", instrument.symbol.to_string()), ("leverage", leverage.to_string())];
            (Method::Post, format!("{}/leverage", base(instrument.market)?), parameters)
        }
        Intent::DeadMansSwitch { market, instrument, timeout_ms, .. } => {
            let instrument =
                instrument.as_ref().ok_or(Unencodable::new("instrument", "is needed by Binance"))?;
            if !matches!(market, Market::Linear | Market::Inverse) || instrument.market != *market {
                return Err(Unencodable::new("market", "has no dead man's switch"));
            }
            let parameters =
                vec![("symbol", instrument.symbol.to_string()), ("countdownTime", timeout_ms.to_string())];
            (Method::Post, format!("{}/countdownCancelAll", base(*market)?), parameters)
        }
        Intent::StreamLogin { .. } | Intent::SetMode { .. } => {
            return Err(Unencodable::new("intent", "has no neutral form; send the venue's own request"));
        }
    };
    Ok(request(method, path, &parameters, sent_at, recv_window_ms))
}

/// The request with its timestamp, as a form for POST and PUT and as a query otherwise.
pub(crate) fn request(
    method: Method,
    path: String,
    parameters: &[(&str, String)],
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Http {
    let mut text = String::with_capacity(256);
    for (name, value) in parameters {
        text.push_str(name);
        text.push('=');
        form::encode_into(&mut text, value);
        text.push('&');
    }
    text.push_str(&format!("recvWindow={recv_window_ms}&timestamp={}", sent_at.as_ms()));
    finish(method, path, text)
}

/// The request around a finished parameter text.
pub(crate) fn finish(method: Method, path: String, text: String) -> Http {
    let request = if matches!(method, Method::Post | Method::Put) {
        let content_type = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        HttpRequest { method, target: path, headers: vec![content_type], body: text.into_bytes() }
    } else {
        HttpRequest { method, target: format!("{path}?{text}"), headers: Vec::new(), body: Vec::new() }
    };
    Http::new(request, true)
}

/// What stands before an order endpoint's name.
pub(crate) fn base(market: Market) -> Result<&'static str, Unencodable> {
    match market {
        Market::Spot => Ok("/api/v3"),
        Market::Margin => Ok("/sapi/v1/margin"),
        Market::Linear => Ok("/fapi/v1"),
        Market::Inverse => Ok("/dapi/v1"),
        Market::Option => Err(Unencodable::new("market", "option is not supported on Binance")),
    }
}

const fn is_futures(market: Market) -> bool {
    matches!(market, Market::Linear | Market::Inverse)
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

fn place(order: &Order) -> Result<Parameters, Unencodable> {
    let futures = is_futures(order.instrument.market);
    let mut parameters = vec![
        ("symbol", order.instrument.symbol.to_string()),
        ("side", side(order.side).to_owned()),
        ("type", order_type(order, futures)?.to_owned()),
    ];
    if let Some(text) = time_in_force(order, futures)? {
        parameters.push(("timeInForce", text.to_owned()));
    }
    match order.amount {
        Amount::Base(quantity) => parameters.push(("quantity", quantity.to_string())),
        Amount::Quote(notional) if !futures && order.order_type == OrderType::Market => {
            parameters.push(("quoteOrderQty", notional.to_string()));
        }
        Amount::Quote(_) => {
            return Err(Unencodable::new("amount", "in quote currency is for spot market orders only"));
        }
        Amount::WholePosition => parameters.push(whole_position(order, futures)?),
    }
    match (order.price, order.order_type.has_limit_price()) {
        (Some(price), true) => parameters.push(("price", price.to_string())),
        (None, false) => {}
        (None, true) => return Err(Unencodable::new("price", "is missing")),
        (Some(_), false) => return Err(Unencodable::new("price", "has no meaning for this order type")),
    }
    match (order.trigger_price, order.order_type.is_triggered()) {
        (Some(price), true) => parameters.push(("stopPrice", price.to_string())),
        (None, false) => {}
        (None, true) => return Err(Unencodable::new("trigger_price", "is missing")),
        (Some(_), false) => {
            return Err(Unencodable::new("trigger_price", "has no meaning for this order type"));
        }
    }
    if order.reduce_only && order.amount != Amount::WholePosition {
        if !futures {
            return Err(Unencodable::new("reduce_only", "cannot be said on spot and margin"));
        }
        parameters.push(("reduceOnly", "true".to_owned()));
    }
    if let Some(id) = &order.client_order_id {
        parameters.push(("newClientOrderId", id.to_string()));
    }
    Ok(parameters)
}

fn whole_position(order: &Order, futures: bool) -> Result<(&'static str, String), Unencodable> {
    if !futures || !matches!(order.order_type, OrderType::StopMarket | OrderType::TakeProfitMarket) {
        return Err(Unencodable::new(
            "amount",
            "of a whole position is for futures stop and take-profit market orders only",
        ));
    }
    if !order.reduce_only {
        return Err(Unencodable::new("reduce_only", "must be true when the amount is the whole position"));
    }
    Ok(("closePosition", "true".to_owned()))
}

fn order_type(order: &Order, futures: bool) -> Result<&'static str, Unencodable> {
    Ok(match (order.order_type, futures) {
        (OrderType::Market, _) => "MARKET",
        (OrderType::Limit, false) if order.post_only => "LIMIT_MAKER",
        (OrderType::Limit, _) => "LIMIT",
        (OrderType::StopMarket, true) => "STOP_MARKET",
        (OrderType::StopMarket, false) => "STOP_LOSS",
        (OrderType::StopLimit, true) => "STOP",
        (OrderType::StopLimit, false) => "STOP_LOSS_LIMIT",
        (OrderType::TakeProfitMarket, true) => "TAKE_PROFIT_MARKET",
        (OrderType::TakeProfitMarket, false) => "TAKE_PROFIT",
        (OrderType::TakeProfitLimit, true) => "TAKE_PROFIT",
        (OrderType::TakeProfitLimit, false) => "TAKE_PROFIT_LIMIT",
        (OrderType::TrailingStop, _) => {
            return Err(Unencodable::new("order_type", "trailing_stop has no neutral distance"));
        }
        (OrderType::Pegged, _) => {
            return Err(Unencodable::new("order_type", "pegged needs the venue's own words; send them"));
        }
    })
}

/// The text of the time in force; `None` where the venue takes none.
fn time_in_force(order: &Order, futures: bool) -> Result<Option<&'static str>, Unencodable> {
    let text = match order.time_in_force {
        TimeInForce::GoodTillCancel => "GTC",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::GoodTillDate => {
            return Err(Unencodable::new("time_in_force", "good_till_date has no neutral date"));
        }
    };
    if order.post_only {
        if text != "GTC" {
            return Err(Unencodable::new("post_only", "needs good_till_cancel"));
        }
        return match order.order_type {
            OrderType::Limit if !futures => Ok(None),
            kind if futures && kind.has_limit_price() => Ok(Some("GTX")),
            _ => Err(Unencodable::new("post_only", "cannot be said for this order type on this market")),
        };
    }
    match order.order_type {
        OrderType::Market if text == "IOC" => Ok(None),
        OrderType::Market => {
            Err(Unencodable::new("time_in_force", "of a market order is immediate_or_cancel"))
        }
        kind if kind.has_limit_price() => Ok(Some(text)),
        _ if text == "GTC" => Ok(None),
        _ => Err(Unencodable::new("time_in_force", "of a triggered market order is good_till_cancel")),
    }
}

fn amend_request(amendment: &Amendment) -> Result<(Method, String, Parameters), Unencodable> {
    let market = amendment.instrument.market;
    if is_futures(market) {
        return Ok((Method::Put, format!("{}/order", base(market)?), amend(amendment)?));
    }
    if market != Market::Spot {
        return Err(Unencodable::new("instrument", "takes no changes on this market"));
    }
    let Some(Amount::Base(quantity)) = amendment.amount else {
        return Err(Unencodable::new("amount", "must be a new, smaller base quantity on spot"));
    };
    for (field, there) in [
        ("price", amendment.price.is_some()),
        ("side", amendment.side.is_some()),
        ("trigger_price", amendment.trigger_price.is_some()),
    ] {
        if there {
            return Err(Unencodable::new(field, "of a resting spot order cannot be changed"));
        }
    }
    let mut parameters = vec![("symbol", amendment.instrument.symbol.to_string())];
    parameters.extend(reference(&amendment.target, "orderId", "origClientOrderId"));
    parameters.extend(amendment.new_client_order_id.as_ref().map(|id| ("newClientOrderId", id.to_string())));
    parameters.push(("newQty", quantity.to_string()));
    Ok((Method::Put, "/api/v3/order/amend/keepPriority".to_owned(), parameters))
}

fn amend(amendment: &Amendment) -> Result<Parameters, Unencodable> {
    if amendment.trigger_price.is_some() {
        return Err(Unencodable::new("trigger_price", "of a resting order cannot be changed on Binance"));
    }
    if amendment.new_client_order_id.is_some() {
        return Err(Unencodable::new("new_client_order_id", "is not taken by futures"));
    }
    let mut parameters = vec![("symbol", amendment.instrument.symbol.to_string())];
    parameters.extend(reference(&amendment.target, "orderId", "origClientOrderId"));
    parameters.extend(amendment.side.map(|value| ("side", side(value).to_owned())));
    match amendment.amount {
        None if amendment.price.is_none() => return Err(Unencodable::new("amount", "or price must change")),
        None => {}
        Some(Amount::Base(quantity)) => parameters.push(("quantity", quantity.to_string())),
        Some(_) => return Err(Unencodable::new("amount", "must be a base quantity")),
    }
    parameters.extend(amendment.price.map(|price| ("price", price.to_string())));
    Ok(parameters)
}

fn reference(target: &OrderReference, venue: &'static str, client: &'static str) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.extend(target.venue().map(|id| (venue, id.to_string())));
    parameters.extend(target.client().map(|id| (client, id.to_string())));
    parameters
}

fn cancel(instrument: &Instrument, target: &OrderReference) -> Parameters {
    let mut parameters = vec![("symbol", instrument.symbol.to_string())];
    parameters.extend(reference(target, "orderId", "origClientOrderId"));
    parameters
}

fn cancel_all(scope: &CancelAll) -> Result<(Method, String, Parameters), Unencodable> {
    let instrument =
        scope.instrument.as_ref().ok_or(Unencodable::new("instrument", "is needed by Binance"))?;
    if instrument.market != scope.market || instrument.venue != scope.venue {
        return Err(Unencodable::new("instrument", "is not of the scope's venue and market"));
    }
    let name = if is_futures(scope.market) { "allOpenOrders" } else { "openOrders" };
    let parameters = vec![("symbol", instrument.symbol.to_string())];
    Ok((Method::Delete, format!("{}/{name}", base(scope.market)?), parameters))
}

fn read_request(read: &Read) -> Result<(Method, String, Parameters), Unencodable> {
    let unknown = Unencodable::new("endpoint", "is not a read of Binance");
    let (method, path) = read.endpoint.split_once(' ').ok_or(unknown.clone())?;
    let method = method.parse().map_err(|_| unknown.clone())?;
    let Some((Kind::Read, market)) = endpoints::find(method, path) else { return Err(unknown) };
    let mut parameters = Parameters::new();
    if let Some(instrument) = &read.instrument {
        if instrument.market != market {
            return Err(Unencodable::new("instrument", "is not of the endpoint's market"));
        }
        parameters.push(("symbol", instrument.symbol.to_string()));
    }
    Ok((method, path.to_owned(), parameters))
}

/// Cancel and place of one spot instrument, or up to five futures legs of one kind.
fn batch(legs: &[Intent]) -> Result<(Method, String, Parameters), Unencodable> {
    if let [Intent::Cancel { instrument, target }, Intent::Place(order)] = legs
        && instrument.market == Market::Spot
        && order.instrument == *instrument
    {
        let mut parameters = place(order)?;
        parameters.push(("cancelReplaceMode", "STOP_ON_FAILURE".to_owned()));
        parameters.extend(reference(target, "cancelOrderId", "cancelOrigClientOrderId"));
        return Ok((Method::Post, "/api/v3/order/cancelReplace".to_owned(), parameters));
    }
    let first = legs.first().and_then(leg_market).ok_or(Unencodable::new("batch", "is empty"))?;
    if !is_futures(first) || legs.iter().any(|leg| leg_market(leg) != Some(first)) {
        return Err(Unencodable::new("batch", "must be a cancel and a place on spot, or one futures market"));
    }
    if legs.len() > 10 || (legs.len() > 5 && !matches!(legs[0], Intent::Cancel { .. })) {
        return Err(Unencodable::new("batch", "has more legs than Binance takes"));
    }
    let path = format!("{}/batchOrders", base(first)?);
    let objects: Result<Vec<Parameters>, Unencodable> = legs
        .iter()
        .map(|leg| match (&legs[0], leg) {
            (Intent::Place(_), Intent::Place(order)) => place(order),
            (Intent::Amend(_), Intent::Amend(amendment)) => amend(amendment),
            (Intent::Cancel { .. }, Intent::Cancel { .. }) => Ok(Parameters::new()),
            _ => Err(Unencodable::new("batch", "mixes kinds of legs")),
        })
        .collect();
    let objects = objects?;
    match &legs[0] {
        Intent::Place(_) => Ok((Method::Post, path, vec![("batchOrders", json_list(&objects))])),
        Intent::Amend(_) => Ok((Method::Put, path, vec![("batchOrders", json_list(&objects))])),
        _ => Ok((Method::Delete, path, batch_cancel(legs)?)),
    }
}

const fn leg_market(leg: &Intent) -> Option<Market> {
    match leg {
        Intent::Place(order) => Some(order.instrument.market),
        Intent::Amend(amendment) => Some(amendment.instrument.market),
        Intent::Cancel { instrument, .. } => Some(instrument.market),
        _ => None,
    }
}

fn json_list(objects: &[Parameters]) -> String {
    let mut text = String::from("[");
    for (index, object) in objects.iter().enumerate() {
        text.push_str(if index == 0 { "{" } else { ",{" });
        for (index, (name, value)) in object.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            json::write_string(&mut text, name);
            text.push(':');
            json::write_string(&mut text, value);
        }
        text.push('}');
    }
    text.push(']');
    text
}

fn batch_cancel(legs: &[Intent]) -> Result<Parameters, Unencodable> {
    let mut symbol = None;
    let (mut venue_ids, mut client_ids) = (Vec::new(), Vec::new());
    for leg in legs {
        let Intent::Cancel { instrument, target } = leg else { continue };
        if symbol.get_or_insert(instrument) != &instrument {
            return Err(Unencodable::new("batch", "cancels more than one instrument"));
        }
        match target {
            OrderReference::Venue(id) => venue_ids.push(id.as_str()),
            OrderReference::Client(id) => client_ids.push(id.as_str()),
            OrderReference::Both { .. } => {
                return Err(Unencodable::new("target", "must be one id in a batch of cancels"));
            }
        }
    }
    if !venue_ids.is_empty() && !client_ids.is_empty() {
        return Err(Unencodable::new("target", "mixes kinds of ids in a batch of cancels"));
    }
    let symbol = symbol.ok_or(Unencodable::new("batch", "is empty"))?;
    let (name, text) = if client_ids.is_empty() {
        if venue_ids.iter().any(|id| id.starts_with('0') || !id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(Unencodable::new("target", "must be a number on Binance"));
        }
        ("orderIdList", format!("[{}]", venue_ids.join(",")))
    } else {
        let mut text = String::from("[");
        for (index, id) in client_ids.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            json::write_string(&mut text, id);
        }
        text.push(']');
        ("origClientOrderIdList", text)
    };
    Ok(vec![("symbol", symbol.symbol.to_string()), (name, text)])
}
