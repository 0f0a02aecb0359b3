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

/// A value of a body: text in quotes, or a bare number or boolean.
pub(crate) enum Member {
    Text(String),
    Bare(&'static str),
    Whole(u64),
}

pub(crate) type Members = Vec<(&'static str, Member)>;

pub(crate) fn text<T: ToString + ?Sized>(value: &T) -> Member {
    Member::Text(value.to_string())
}

/// Says an intent in Bybit's words.
///
/// # Errors
///
/// Names the field that the market cannot express.
pub(crate) fn encode(intent: &Intent, sent_at: Timestamp, recv_window_ms: u64) -> Result<Http, Unencodable> {
    let (name, body) = match intent {
        Intent::Place(order) => {
            ("order/create", object(&with_category(order.instrument.market, place(order)?)?))
        }
        Intent::Amend(amendment) => {
            ("order/amend", object(&with_category(amendment.instrument.market, amend(amendment)?)?))
        }
        Intent::Cancel { instrument, target } => {
            ("order/cancel", object(&with_category(instrument.market, cancel(instrument, target)?)?))
        }
        Intent::CancelAll(scope) => ("order/cancel-all", object(&cancel_all(scope)?)),
        Intent::Batch(legs) => batch(legs)?,
        Intent::Read(read) => return read_request(read, sent_at, recv_window_ms),
        Intent::SetLeverage { instrument, leverage } => {
            let members = vec![
                ("symbol", text(&instrument.symbol)),
                ("buyLeverage", text(leverage)),
                ("sellLeverage", text(leverage)),
            ];
            ("position/set-leverage", object(&with_category(futures(instrument)?, members)?))
        }
        Intent::DeadMansSwitch { market, instrument, timeout_ms, .. } => (
            "order/disconnected-cancel-all",
            object(&dead_mans_switch(*market, instrument.as_ref(), *timeout_ms)?),
        ),
        Intent::StreamLogin { .. } | Intent::SetMode { .. } => {
            return Err(Unencodable::new("intent", "has no neutral form; send the venue's own request"));
        }
    };
    Ok(post(name, body, sent_at, recv_window_ms))
}

/// A request around a finished body.
pub(crate) fn post(name: &str, body: String, sent_at: Timestamp, recv_window_ms: u64) -> Http {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    let target = format!("/v5/{name}");
    Http::new(
        HttpRequest { method: Method::Post, target, headers, body: body.into_bytes() },
        sent_at,
        recv_window_ms,
    )
}

pub(crate) fn object(members: &Members) -> String {
    let mut out = String::with_capacity(256);
    write_object(&mut out, members);
    out
}

fn write_object(out: &mut String, members: &Members) {
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        json::write_string(out, name);
        out.push(':');
        match value {
            Member::Text(value) => json::write_string(out, value),
            Member::Bare(value) => out.push_str(value),
            Member::Whole(value) => out.push_str(&value.to_string()),
        }
    }
    out.push('}');
}

fn category(market: Market) -> &'static str {
    match market {
        Market::Spot | Market::Margin => "spot",
        Market::Linear => "linear",
        Market::Inverse => "inverse",
        Market::Option => "option",
    }
}

fn with_category(market: Market, mut members: Members) -> Result<Members, Unencodable> {
    members.insert(0, ("category", text(category(market))));
    Ok(members)
}

fn futures(instrument: &Instrument) -> Result<Market, Unencodable> {
    match instrument.market {
        market @ (Market::Linear | Market::Inverse) => Ok(market),
        _ => Err(Unencodable::new("instrument", "has no leverage on this market")),
    }
}

fn place(order: &Order) -> Result<Members, Unencodable> {
    let market = order.instrument.market;
    let spot = matches!(market, Market::Spot | Market::Margin);
    let limit = order.order_type.has_limit_price();
    let mut members = vec![
        ("symbol", text(&order.instrument.symbol)),
        ("side", text(if order.side == Side::Buy { "Buy" } else { "Sell" })),
        ("orderType", text(if limit { "Limit" } else { "Market" })),
    ];
    if market == Market::Margin {
        members.push(("isLeverage", Member::Whole(1)));
    }
    push_amount(&mut members, order, spot)?;
    match (order.price, limit) {
        (Some(price), true) => members.push(("price", text(&price))),
        (None, false) => {}
        (None, true) => return Err(Unencodable::new("price", "is missing")),
        (Some(_), false) => return Err(Unencodable::new("price", "has no meaning for this order type")),
    }
    push_trigger(&mut members, order, spot)?;
    if let Some(value) = time_in_force(order)? {
        members.push(("timeInForce", text(value)));
    }
    if order.reduce_only && order.amount != Amount::WholePosition {
        if spot {
            return Err(Unencodable::new("reduce_only", "is ignored on spot"));
        }
        members.push(("reduceOnly", Member::Bare("true")));
    }
    members.extend(order.client_order_id.as_ref().map(|id| ("orderLinkId", text(id))));
    Ok(members)
}

fn push_amount(members: &mut Members, order: &Order, spot: bool) -> Result<(), Unencodable> {
    let market_order = !order.order_type.has_limit_price();
    match order.amount {
        Amount::Base(quantity) => {
            members.push(("qty", text(&quantity)));
            if spot && market_order {
                members.push(("marketUnit", text("baseCoin")));
            }
        }
        Amount::Quote(notional) if spot && market_order => {
            members.push(("qty", text(&notional)));
            members.push(("marketUnit", text("quoteCoin")));
        }
        Amount::Quote(_) => {
            return Err(Unencodable::new("amount", "in quote currency is for spot market orders only"));
        }
        Amount::WholePosition => {
            if !matches!(order.instrument.market, Market::Linear | Market::Inverse) || !market_order {
                return Err(Unencodable::new(
                    "amount",
                    "of a whole position is for futures market orders only",
                ));
            }
            if !order.reduce_only {
                return Err(Unencodable::new(
                    "reduce_only",
                    "must be true when the amount is the whole position",
                ));
            }
            members.push(("qty", text("0")));
            members.push(("reduceOnly", Member::Bare("true")));
            members.push(("closeOnTrigger", Member::Bare("true")));
        }
    }
    Ok(())
}

fn push_trigger(members: &mut Members, order: &Order, spot: bool) -> Result<(), Unencodable> {
    let in_favour = match order.order_type {
        OrderType::Market | OrderType::Limit => {
            return match order.trigger_price {
                None => Ok(()),
                Some(_) => Err(Unencodable::new("trigger_price", "has no meaning for this order type")),
            };
        }
        OrderType::StopMarket | OrderType::StopLimit => false,
        OrderType::TakeProfitMarket | OrderType::TakeProfitLimit => true,
        OrderType::TrailingStop => {
            return Err(Unencodable::new("order_type", "trailing_stop is not an order on Bybit"));
        }
        OrderType::Pegged => {
            return Err(Unencodable::new("order_type", "pegged needs the venue's own words; send them"));
        }
    };
    let price = order.trigger_price.ok_or(Unencodable::new("trigger_price", "is missing"))?;
    members.push(("triggerPrice", text(&price)));
    if order.instrument.market == Market::Option {
        return Err(Unencodable::new("trigger_price", "is not for options"));
    }
    if spot {
        if in_favour {
            return Err(Unencodable::new("order_type", "take_profit cannot be told from stop on spot"));
        }
        members.push(("orderFilter", text("StopOrder")));
        return Ok(());
    }
    let rises = (order.side == Side::Buy) != in_favour;
    members.push(("triggerDirection", Member::Whole(if rises { 1 } else { 2 })));
    Ok(())
}

fn time_in_force(order: &Order) -> Result<Option<&'static str>, Unencodable> {
    let value = match order.time_in_force {
        TimeInForce::GoodTillCancel => "GTC",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::GoodTillDate => {
            return Err(Unencodable::new("time_in_force", "good_till_date is not known on Bybit"));
        }
    };
    if order.post_only {
        return match (order.order_type.has_limit_price(), value) {
            (true, "GTC") => Ok(Some("PostOnly")),
            (true, _) => Err(Unencodable::new("post_only", "needs good_till_cancel")),
            (false, _) => Err(Unencodable::new("post_only", "cannot be said for this order type")),
        };
    }
    match order.order_type {
        kind if kind.has_limit_price() => Ok(Some(value)),
        OrderType::Market if value == "IOC" => Ok(None),
        OrderType::Market => {
            Err(Unencodable::new("time_in_force", "of a market order is immediate_or_cancel"))
        }
        _ if value == "GTC" => Ok(None),
        _ => Err(Unencodable::new("time_in_force", "of a triggered market order is good_till_cancel")),
    }
}

fn amend(amendment: &Amendment) -> Result<Members, Unencodable> {
    if amendment.side.is_some() {
        return Err(Unencodable::new("side", "is not repeated on Bybit"));
    }
    if amendment.new_client_order_id.is_some() {
        return Err(Unencodable::new("new_client_order_id", "is not taken by Bybit"));
    }
    let mut members = cancel(&amendment.instrument, &amendment.target)?;
    match amendment.amount {
        None => {}
        Some(Amount::Base(quantity)) => members.push(("qty", text(&quantity))),
        Some(_) => return Err(Unencodable::new("amount", "must be a base quantity")),
    }
    members.extend(amendment.price.map(|price| ("price", text(&price))));
    members.extend(amendment.trigger_price.map(|price| ("triggerPrice", text(&price))));
    Ok(members)
}

/// Symbol and ids. Bybit does not keep apart what was placed with borrowed money.
fn cancel(instrument: &Instrument, target: &OrderReference) -> Result<Members, Unencodable> {
    if instrument.market == Market::Margin {
        return Err(Unencodable::new("instrument", "of a resting order is named as spot on Bybit"));
    }
    let mut members = vec![("symbol", text(&instrument.symbol))];
    members.extend(target.venue().map(|id| ("orderId", text(id))));
    members.extend(target.client().map(|id| ("orderLinkId", text(id))));
    Ok(members)
}

/// The scope. Bybit cancels linear orders by settle coin: without an instrument those settled in USDT,
/// as its clients do; orders settled in USDC need their instrument, or the venue's own request.
fn cancel_all(scope: &CancelAll) -> Result<Members, Unencodable> {
    if scope.market == Market::Margin {
        return Err(Unencodable::new("market", "of resting orders is named as spot on Bybit"));
    }
    let mut members = vec![("category", text(category(scope.market)))];
    match &scope.instrument {
        Some(instrument) if instrument.market == scope.market && instrument.venue == scope.venue => {
            members.push(("symbol", text(&instrument.symbol)));
        }
        Some(_) => return Err(Unencodable::new("instrument", "is not of the scope's venue and market")),
        None if scope.market == Market::Linear => members.push(("settleCoin", text("USDT"))),
        None if scope.market == Market::Inverse => {
            return Err(Unencodable::new("instrument", "is needed on inverse"));
        }
        None => {}
    }
    Ok(members)
}

fn batch(legs: &[Intent]) -> Result<(&'static str, String), Unencodable> {
    let mixed = Unencodable::new("batch", "mixes kinds of legs or markets");
    let market = |leg: &Intent| match leg {
        Intent::Place(order) => Some(order.instrument.market),
        Intent::Amend(amendment) => Some(amendment.instrument.market),
        Intent::Cancel { instrument, .. } => Some(instrument.market),
        _ => None,
    };
    let first = legs.first().ok_or(Unencodable::new("batch", "is empty"))?;
    let category_of = |leg: &Intent| market(leg).map(category);
    let category = category_of(first).ok_or(mixed.clone())?;
    if legs.len() > trading::MAX_BATCH || (category == "spot" && legs.len() > 10) {
        return Err(Unencodable::new("batch", "has more legs than Bybit takes"));
    }
    let mut body = format!("{{\"category\":\"{category}\",\"request\":[");
    for (index, leg) in legs.iter().enumerate() {
        if category_of(leg) != Some(category) {
            return Err(mixed);
        }
        let members = match (first, leg) {
            (Intent::Place(_), Intent::Place(order)) => place(order)?,
            (Intent::Amend(_), Intent::Amend(amendment)) => amend(amendment)?,
            (Intent::Cancel { .. }, Intent::Cancel { instrument, target }) => cancel(instrument, target)?,
            _ => return Err(mixed),
        };
        if index > 0 {
            body.push(',');
        }
        write_object(&mut body, &members);
    }
    body.push_str("]}");
    let name = match first {
        Intent::Place(_) => "order/create-batch",
        Intent::Amend(_) => "order/amend-batch",
        _ => "order/cancel-batch",
    };
    Ok((name, body))
}

fn dead_mans_switch(
    market: Market,
    instrument: Option<&Instrument>,
    timeout_ms: u64,
) -> Result<Members, Unencodable> {
    if instrument.is_some() {
        return Err(Unencodable::new("instrument", "cannot be named: Bybit's timer covers a product"));
    }
    let product = match market {
        Market::Spot => "SPOT",
        Market::Linear => "DERIVATIVES",
        Market::Option => "OPTIONS",
        Market::Margin | Market::Inverse => {
            return Err(Unencodable::new("market", "is named as spot or linear on Bybit"));
        }
    };
    if !timeout_ms.is_multiple_of(1000) {
        return Err(Unencodable::new("timeout_ms", "must be whole seconds on Bybit"));
    }
    Ok(vec![("product", text(product)), ("timeWindow", Member::Whole(timeout_ms / 1000))])
}

fn read_request(read: &Read, sent_at: Timestamp, recv_window_ms: u64) -> Result<Http, Unencodable> {
    let unknown = Unencodable::new("endpoint", "is not a read of Bybit");
    let path = read.endpoint.strip_prefix("GET ").ok_or(unknown.clone())?;
    if endpoints::find(Method::Get, path) != Some(Kind::Read) {
        return Err(unknown);
    }
    let mut target = path.to_owned();
    if let Some(instrument) = &read.instrument {
        if instrument.market == Market::Margin {
            return Err(Unencodable::new("instrument", "is named as spot on Bybit"));
        }
        target.push_str("?category=");
        target.push_str(category(instrument.market));
        target.push_str("&symbol=");
        form::encode_into(&mut target, instrument.symbol.as_str());
    } else if path == "/v5/account/wallet-balance" {
        target.push_str("?accountType=UNIFIED");
    }
    let request = HttpRequest { method: Method::Get, target, headers: Vec::new(), body: Vec::new() };
    Ok(Http::new(request, sent_at, recv_window_ms))
}
