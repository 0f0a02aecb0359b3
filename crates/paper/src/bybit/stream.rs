//! WebSocket sessions: `/v5/public/*`, `/v5/private`, `/v5/trade`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use trading::{Market, Side};

use super::market::{category, interval_ms, levels, ticker};
use super::request::{Failure, Fields, check_time, permit};
use super::{account, orders};
use crate::auth::{Key, Scope};
use crate::exchange::{Event, Exchange, Listing, difference, price_of};
use crate::num;
use crate::server::{PING_EVERY, not_found};
use crate::state::{Front, count, now_ms};

/// Most topics one connection may carry.
const MAX_TOPICS: usize = 200;

/// The least a network would add to an answer.
const ANSWER_DELAY: Duration = Duration::from_millis(4);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Public(Market),
    Private,
    Trade,
}

/// A public topic.
struct Topic {
    name: String,
    instrument: usize,
    kind: TopicKind,
}

enum TopicKind {
    Trades,
    Ticker,
    Kline { interval: u64, name: String },
    Book { depth: usize, sent: [Vec<(i64, i64)>; 2] },
}

struct Session {
    front: Arc<Front>,
    purpose: Purpose,
    peer: IpAddr,
    connection: String,
    api_key: Option<String>,
    account: Option<usize>,
    topics: Vec<Topic>,
    private: Vec<String>,
}

/// Upgrades a connection by its path.
pub(crate) fn stream(front: Arc<Front>, upgrade: WebSocketUpgrade, path: &str, peer: IpAddr) -> Response {
    let purpose = match (super::stream_market(path), path) {
        (Some(market), _) => Purpose::Public(market),
        (None, "/v5/private") => Purpose::Private,
        (None, "/v5/trade") => Purpose::Trade,
        _ => return not_found(),
    };
    let connection = format!("paper-{:08x}", front.serial());
    let session = Session {
        front,
        purpose,
        peer,
        connection,
        api_key: None,
        account: None,
        topics: Vec::new(),
        private: Vec::new(),
    };
    upgrade.on_upgrade(move |socket| session.run(socket))
}

/// The market of a topic of the disconnect protection.
fn protected_market(topic: &str) -> Option<Market> {
    match topic {
        "dcp.spot" => Some(Market::Spot),
        "dcp.future" => Some(Market::Linear),
        "dcp.option" => Some(Market::Option),
        _ => None,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(account) = self.account else { return };
        for market in self.private.iter().filter_map(|topic| protected_market(topic)) {
            self.front.protect(account, market, false);
        }
    }
}

impl Session {
    async fn run(mut self, mut socket: WebSocket) {
        let mut events = self.front.subscribe();
        let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            let replies = tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        // pybit notes what it asked only after sending it: an answer must not outrun it.
                        tokio::time::sleep(ANSWER_DELAY).await;
                        self.on_message(&text)
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => continue,
                },
                _ = pings.tick() => {
                    if socket.send(Message::Ping(axum::body::Bytes::new())).await.is_err() {
                        return;
                    }
                    continue;
                }
                batch = events.recv() => match batch {
                    Ok(batch) => self.on_events(&batch),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return, // too slow: it must reconnect
                },
            };
            if self.front.is_dead() {
                return;
            }
            for reply in replies {
                if socket.send(Message::Text(reply.to_string().into())).await.is_err() {
                    return;
                }
            }
        }
    }

    fn on_message(&mut self, text: &str) -> Vec<Value> {
        count(&self.front.stats.requests);
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return vec![
                json!({ "success": false, "ret_msg": "Invalid JSON", "conn_id": self.connection, "op": "" }),
            ];
        };
        if self.purpose == Purpose::Trade { vec![self.on_trade(&message)] } else { self.on_control(&message) }
    }

    fn on_control(&mut self, message: &Value) -> Vec<Value> {
        let operation = message["op"].as_str().unwrap_or_default();
        let connection = self.connection.clone();
        let answer = |success: bool, words: &str| {
            json!({
                "success": success, "ret_msg": words, "conn_id": connection,
                "req_id": if message["req_id"].is_null() { json!("") } else { message["req_id"].clone() }, "op": operation,
            })
        };
        match operation {
            "ping" if self.purpose == Purpose::Private => vec![json!({
                "req_id": message["req_id"], "op": "pong", "args": [now_ms().to_string()], "conn_id": self.connection,
            })],
            "ping" => vec![answer(true, "pong")],
            "auth" => match self.log_on(&message["args"]) {
                Ok(()) => vec![answer(true, "")],
                Err(failure) => vec![answer(false, &failure.message)],
            },
            "subscribe" if self.purpose == Purpose::Private && self.api_key.is_none() => {
                vec![answer(false, "Request not authorized")]
            }
            "subscribe" => {
                let names = texts(&message["args"]);
                let (snapshots, unknown) = self.subscribe(&names);
                let mut replies = match unknown {
                    Some(name) => vec![answer(false, &format!("error:handler not found,topic:{name}"))],
                    None => vec![answer(true, "")],
                };
                replies.extend(snapshots);
                replies
            }
            "unsubscribe" => {
                let names = texts(&message["args"]);
                self.topics.retain(|topic| !names.contains(&topic.name));
                for market in self
                    .private
                    .iter()
                    .filter(|topic| names.contains(topic))
                    .filter_map(|topic| protected_market(topic))
                {
                    if let Some(account) = self.account {
                        self.front.protect(account, market, false);
                    }
                }
                self.private.retain(|topic| !names.contains(topic));
                vec![answer(true, "")]
            }
            _ => vec![answer(false, "Invalid op")],
        }
    }

    /// Checks `[key, expires, signature]`: the signature is over `GET/realtime` and the expiry.
    fn log_on(&mut self, arguments: &Value) -> Result<(), Failure> {
        let text = |at: usize| match &arguments[at] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (api_key, expires, signature) = (text(0), text(1), text(2));
        let front = Arc::clone(&self.front);
        let key = front.keys.get(&api_key).ok_or_else(|| Failure::new(10_003, "API key is invalid."))?;
        if expires.parse::<u64>().map_or(true, |expires| expires <= now_ms()) {
            return Err(Failure::new(10_002, "Params Error: expires is in the past"));
        }
        if !key.verifier.verify(format!("GET/realtime{expires}").as_bytes(), &signature) {
            count(&front.stats.signatures_refused);
            return Err(Failure::new(
                10_004,
                "Error sign, please check your signature generation algorithm.",
            ));
        }
        let scope = if self.purpose == Purpose::Trade { Scope::Trade } else { Scope::Read };
        permit(&front, key, self.peer, scope)?;
        self.account = Some(key.account);
        self.api_key = Some(api_key);
        Ok(())
    }

    /// Adds topics; returns first messages, and the first unknown name.
    fn subscribe(&mut self, names: &[String]) -> (Vec<Value>, Option<String>) {
        let mut snapshots = Vec::new();
        for name in names {
            let full = self.topics.len() + self.private.len() >= MAX_TOPICS;
            let added = match self.purpose {
                _ if full => false,
                Purpose::Public(market) => {
                    let exchange = self.front.exchange();
                    let topic = Topic::parse(&exchange, market, name);
                    topic.is_some_and(|mut topic| {
                        snapshots.extend(topic.first(&exchange));
                        self.topics.push(topic);
                        true
                    })
                }
                Purpose::Private | Purpose::Trade => {
                    let known = ["order", "execution", "position", "wallet"];
                    let plain = name.split('.').next().unwrap_or_default();
                    let protected = protected_market(name);
                    let known = known.contains(&plain) || protected.is_some();
                    if known && !self.private.contains(name) {
                        self.private.push(name.clone());
                        if let (Some(account), Some(market)) = (self.account, protected) {
                            self.front.protect(account, market, true);
                        }
                    }
                    known
                }
            };
            if !added {
                return (snapshots, Some(name.clone()));
            }
        }
        (snapshots, None)
    }

    fn on_events(&mut self, batch: &[Event]) -> Vec<Value> {
        let front = Arc::clone(&self.front);
        let exchange = front.exchange();
        if matches!(self.purpose, Purpose::Public(_)) {
            return self.topics.iter_mut().flat_map(|topic| topic.on_events(&exchange, batch)).collect();
        }
        let key = self.api_key.as_ref().and_then(|api_key| front.keys.get(api_key));
        let Some(key) = key.filter(|_| !self.private.is_empty()) else { return Vec::new() };
        batch.iter().flat_map(|event| self.on_private(&exchange, event, key)).collect()
    }

    fn on_private(&self, exchange: &Exchange, event: &Event, key: &Key) -> Vec<Value> {
        let now = now_ms();
        let said = |plain: &str, market: Market, row: Value| {
            let named = format!("{plain}.{}", category(market));
            let topic = self.private.iter().find(|topic| **topic == plain || **topic == named)?;
            Some(json!({
                "id": format!("{}-{now}", self.connection), "topic": topic, "creationTime": now, "data": [row],
            }))
        };
        match event {
            Event::Order { order, fill } if order.request.account == key.account => {
                let market = exchange.listings()[order.request.instrument].spec.market;
                let categorised = |mut row: Value| {
                    row["category"] = category(market).into();
                    row
                };
                let execution = fill.as_ref().and_then(|fill| {
                    said("execution", market, categorised(orders::render_fill(exchange, fill)))
                });
                execution
                    .into_iter()
                    .chain(said("order", market, categorised(orders::render(exchange, order))))
                    .collect()
            }
            Event::Position { account, instrument, position } if *account == key.account => {
                let mut row = account::position(exchange, *account, *instrument, position);
                row["category"] = "linear".into();
                said("position", Market::Linear, row).into_iter().collect()
            }
            Event::Balances { account, .. } if *account == key.account => {
                said("wallet", Market::Spot, account::wallet(exchange, *account, None)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn on_trade(&mut self, message: &Value) -> Value {
        let operation = message["op"].as_str().unwrap_or_default();
        let now = now_ms();
        let result = match operation {
            "ping" => {
                return json!({ "retCode": 0, "retMsg": "OK", "op": "pong", "data": [now.to_string()], "connId": self.connection });
            }
            "auth" => match self.log_on(&message["args"]) {
                Ok(()) => {
                    return json!({ "retCode": 0, "retMsg": "OK", "op": "auth", "connId": self.connection });
                }
                Err(failure) => {
                    return json!({ "retCode": 20_001, "retMsg": failure.message, "op": "auth", "connId": self.connection });
                }
            },
            _ => self.enter(operation, message),
        };
        let (code, words, mut data) = match result {
            Ok(data) => (0, "OK".to_owned(), data),
            Err(failure) => (failure.code, failure.message, json!({})),
        };
        let details =
            data.as_object_mut().and_then(|fields| fields.remove("retExtInfo")).unwrap_or_else(|| json!({}));
        json!({
            "reqId": message["reqId"], "retCode": code, "retMsg": words, "op": operation, "data": data,
            "retExtInfo": details, "connId": self.connection,
            "header": { "X-Bapi-Limit": self.front.orders_per_second.to_string(), "Timenow": now.to_string() },
        })
    }

    fn enter(&self, operation: &str, message: &Value) -> Result<Value, Failure> {
        let front = self.front.as_ref();
        let api_key = self.api_key.as_ref().ok_or_else(|| Failure::new(10_003, "Not logged in"))?;
        let key = front.keys.get(api_key).ok_or_else(|| Failure::new(10_003, "API key is invalid."))?;
        let header = Fields::from_value(&message["header"]);
        let window = header.get("X-BAPI-RECV-WINDOW").unwrap_or_else(|| "5000".to_owned());
        check_time(&header.require("X-BAPI-TIMESTAMP")?, &window, now_ms())?;
        if front.count_order(api_key, 1_000, 1) > front.orders_per_second {
            count(&front.stats.rate_limited);
            return Err(Failure::new(10_006, "Too many visits. Exceeded the API Rate Limit."));
        }
        let fields = Fields::from_value(&message["args"][0]);
        match operation {
            "order.create" => orders::create(front, key, &fields),
            "order.amend" => orders::amend(front, key, &fields),
            "order.cancel" => orders::cancel(front, key, &fields),
            "order.create-batch" => orders::batch(front, key, &fields, orders::create),
            "order.amend-batch" => orders::batch(front, key, &fields, orders::amend),
            "order.cancel-batch" => orders::batch(front, key, &fields, orders::cancel),
            _ => Err(Failure::new(10_404, "op not found")),
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Topic {
    fn parse(exchange: &Exchange, market: Market, name: &str) -> Option<Self> {
        let (kind, symbol) = name.rsplit_once('.')?;
        let instrument = exchange.instrument(market, symbol)?;
        let kind = match kind.split_once('.') {
            None if kind == "publicTrade" => TopicKind::Trades,
            None if kind == "tickers" => TopicKind::Ticker,
            Some(("kline", interval)) => {
                TopicKind::Kline { interval: interval_ms(interval)?, name: interval.to_owned() }
            }
            Some(("orderbook", depth)) => {
                let depth = depth.parse().ok().filter(|depth| [1, 50, 200, 500, 1_000].contains(depth))?;
                TopicKind::Book { depth, sent: [Vec::new(), Vec::new()] }
            }
            _ => return None,
        };
        Some(Self { name: name.to_owned(), instrument, kind })
    }

    fn say(&self, kind: &str, data: &Value) -> Value {
        json!({ "topic": self.name, "type": kind, "ts": now_ms(), "cts": now_ms(), "data": data })
    }

    /// What a new subscriber hears at once.
    fn first(&mut self, exchange: &Exchange) -> Option<Value> {
        let listing = &exchange.listings()[self.instrument];
        match &mut self.kind {
            TopicKind::Trades | TopicKind::Kline { .. } => None,
            TopicKind::Ticker => Some(self.say("snapshot", &ticker(listing))),
            TopicKind::Book { depth, sent } => {
                *sent = book(listing, *depth);
                let (bids, asks) = (levels(listing, Side::Buy, *depth), levels(listing, Side::Sell, *depth));
                let version = listing.book.version;
                let data =
                    json!({ "s": listing.spec.symbol, "b": bids, "a": asks, "u": version, "seq": version });
                Some(self.say("snapshot", &data))
            }
        }
    }

    fn on_events(&mut self, exchange: &Exchange, batch: &[Event]) -> Vec<Value> {
        let listing = &exchange.listings()[self.instrument];
        let spec = &listing.spec;
        let changed = batch
            .iter()
            .any(|event| matches!(event, Event::Book { instrument } if *instrument == self.instrument));
        match &mut self.kind {
            TopicKind::Trades => {
                let rows: Vec<Value> = batch
                    .iter()
                    .filter_map(|event| match event {
                        Event::Trade { instrument, trade } if *instrument == self.instrument => Some(json!({
                            "i": trade.id.to_string(), "T": trade.time_ms, "p": trade.price, "v": trade.quantity,
                            "S": orders::side(trade.taker), "s": spec.symbol, "L": "ZeroPlusTick", "BT": false,
                            "RPI": false, "seq": trade.id,
                        })),
                        _ => None,
                    })
                    .collect();
                if rows.is_empty() { Vec::new() } else { vec![self.say("snapshot", &Value::Array(rows))] }
            }
            _ if !changed => Vec::new(),
            TopicKind::Ticker => vec![self.say("snapshot", &ticker(listing))],
            TopicKind::Kline { interval, name } => {
                let Some(candle) = listing.tape.candles(*interval, None, None, 1).pop() else {
                    return Vec::new();
                };
                let price = |ticks| price_of(ticks, spec.tick);
                let row = json!([{
                    "start": candle.open_ms, "end": candle.open_ms + *interval - 1, "interval": name,
                    "open": price(candle.open), "close": price(candle.close), "high": price(candle.high),
                    "low": price(candle.low), "volume": num::of_units(candle.volume, spec.lot),
                    "turnover": listing.value(candle.value), "confirm": false, "timestamp": now_ms(),
                }]);
                vec![self.say("snapshot", &row)]
            }
            TopicKind::Book { depth: 1, .. } => self.first(exchange).into_iter().collect(),
            TopicKind::Book { depth, sent } => {
                let now = book(listing, *depth);
                let row = |(ticks, lots)| json!([price_of(ticks, spec.tick), num::of_units(lots, spec.lot)]);
                let side =
                    |at: usize| -> Value { difference(&sent[at], &now[at]).into_iter().map(row).collect() };
                let version = listing.book.version;
                let data =
                    json!({ "s": spec.symbol, "b": side(0), "a": side(1), "u": version, "seq": version });
                *sent = now;
                vec![self.say("delta", &data)]
            }
        }
    }
}

fn book(listing: &Listing, depth: usize) -> [Vec<(i64, i64)>; 2] {
    [Side::Buy, Side::Sell].map(|side| listing.book.levels(side).take(depth).collect())
}
