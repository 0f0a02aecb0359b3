//! WebSocket sessions: market and user streams, and the WebSocket API.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use trading::Market;

use super::events::{Channel, user_event};
use super::params::{Failure, Params, authenticate_message, check_time};
use super::{LISTEN_KEY_MS, account, orders, public};
use crate::auth::{Key, Scope};
use crate::exchange::Event;
use crate::server::{PING_EVERY, not_found};
use crate::state::{Front, count, lock, now_ms};

/// Most streams one connection may carry.
const MAX_CHANNELS: usize = 200;

/// One connection.
struct Session {
    front: Arc<Front>,
    market: Market,
    peer: IpAddr,
    /// Wrap market messages in `{"stream", "data"}`.
    combined: bool,
    /// Speaks the WebSocket API rather than streams.
    api: bool,
    channels: Vec<Channel>,
    /// Whose user events it carries.
    user: Option<usize>,
    /// The key a WebSocket API session is logged on with.
    logon: Option<String>,
}

/// Upgrades a connection by its path.
pub(crate) fn stream(
    front: Arc<Front>,
    upgrade: WebSocketUpgrade,
    path: &str,
    query: &str,
    peer: IpAddr,
) -> Response {
    let futures = path.starts_with("/fstream") || path.starts_with("/ws-fapi");
    let market = if futures { Market::Linear } else { Market::Spot };
    let mut session = Session {
        front,
        market,
        peer,
        combined: false,
        api: path.starts_with("/ws-api/") || path.starts_with("/ws-fapi/"),
        channels: Vec::new(),
        user: None,
        logon: None,
    };
    let path = path.strip_prefix("/fstream").unwrap_or(path);
    let path =
        ["/public", "/market", "/private"].iter().find_map(|part| path.strip_prefix(part)).unwrap_or(path);
    // ccxt tells spot streams by `/stream` in their URL, so spot is also served under that prefix.
    let path = path.strip_prefix("/stream").filter(|rest| rest.starts_with("/ws")).unwrap_or(path);
    let mut names: Vec<String> = Vec::new();
    if !session.api {
        let query = Params::parse(&[query]).unwrap_or_default();
        match path.strip_prefix("/ws") {
            Some(rest) => names.extend(rest.split('/').filter(|name| !name.is_empty()).map(str::to_owned)),
            None if path == "/stream" => session.combined = true,
            None => return not_found(),
        }
        names.extend(query.get("streams").into_iter().flat_map(|list| list.split('/')).map(str::to_owned));
        names.extend(query.get("listenKey").map(str::to_owned));
    }
    upgrade.on_upgrade(move |socket| async move {
        session.subscribe(&names);
        session.run(socket).await;
    })
}

impl Session {
    async fn run(mut self, mut socket: WebSocket) {
        let mut events = self.front.subscribe();
        let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            let replies = tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => vec![self.on_message(&text)],
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

    fn on_events(&mut self, batch: &[Event]) -> Vec<Value> {
        let now = now_ms();
        let front = Arc::clone(&self.front);
        let exchange = front.exchange();
        let mut said = Vec::new();
        if let Some(account) = self.user {
            for event in batch {
                if let Some(event) = user_event(&exchange, event, account, self.market, now) {
                    said.push(if self.api && self.market == Market::Spot {
                        json!({ "subscriptionId": 0, "event": event })
                    } else {
                        event
                    });
                }
            }
        }
        for channel in &mut self.channels {
            let mut changed = false;
            let mut heard = Vec::new();
            for event in batch {
                match event {
                    Event::Trade { instrument, trade } if *instrument == channel.instrument => {
                        heard.extend(channel.on_trade(&exchange, trade, now));
                    }
                    Event::Book { instrument } => changed |= *instrument == channel.instrument,
                    _ => {}
                }
            }
            if changed {
                heard.extend(channel.on_book(&exchange, now));
            }
            for data in heard {
                said.push(if self.combined { json!({ "stream": channel.name, "data": data }) } else { data });
            }
        }
        said
    }

    /// Adds streams by name; a name may be a listen key.
    fn subscribe(&mut self, names: &[String]) {
        for name in names {
            let live = lock(&self.front.listen_keys).get(name).copied();
            if let Some(live) = live.filter(|live| live.expires_ms > now_ms()) {
                self.user = Some(live.account);
            } else if self.channels.len() < MAX_CHANNELS
                && self.channels.iter().all(|channel| channel.name != *name)
            {
                let channel = Channel::parse(&self.front.exchange(), self.market, name);
                self.channels.extend(channel);
            }
        }
    }

    fn on_message(&mut self, text: &str) -> Value {
        count(&self.front.stats.requests);
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return json!({ "error": { "code": 3, "msg": "Invalid JSON" } });
        };
        if self.api { self.on_call(&message) } else { self.on_control(&message) }
    }

    fn on_control(&mut self, message: &Value) -> Value {
        let names: Vec<String> = message["params"]
            .as_array()
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        let result = match message["method"].as_str() {
            Some("SUBSCRIBE") => {
                self.subscribe(&names);
                Value::Null
            }
            Some("UNSUBSCRIBE") => {
                self.channels.retain(|channel| !names.contains(&channel.name));
                Value::Null
            }
            Some("LIST_SUBSCRIPTIONS") => self.channels.iter().map(|channel| channel.name.as_str()).collect(),
            _ => {
                return json!({ "error": { "code": 2, "msg": "Invalid request: unknown method" }, "id": message["id"] });
            }
        };
        json!({ "result": result, "id": message["id"] })
    }

    fn on_call(&mut self, message: &Value) -> Value {
        let params = Params::from_json(&message["params"]);
        let method = message["method"].as_str().unwrap_or_default();
        let limits = json!([{
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": self.front.weight_per_minute, "count": self.front.weigh(self.peer, "api", 1),
        }]);
        match self.call(method, &params) {
            Ok(result) => {
                json!({ "id": message["id"], "status": 200, "result": result, "rateLimits": limits })
            }
            Err(failure) => {
                json!({ "id": message["id"], "status": failure.status, "error": failure.to_json(), "rateLimits": limits })
            }
        }
    }

    /// Whose request it is: signed itself, or by a session that logged on.
    fn caller<'a>(&self, front: &'a Front, params: &Params, scope: Scope) -> Result<&'a Key, Failure> {
        let now = now_ms();
        match &self.logon {
            Some(api_key) if params.get("signature").is_none() => {
                check_time(params, now)?;
                super::known_key(front, api_key, self.peer, scope)
            }
            _ => authenticate_message(front, params, self.peer, scope, now),
        }
    }

    fn call(&mut self, method: &str, params: &Params) -> Result<Value, Failure> {
        let front = Arc::clone(&self.front);
        let front = front.as_ref();
        let (market, now) = (self.market, now_ms());
        let exchange = || front.exchange();
        match method {
            "ping" => Ok(json!({})),
            "time" => Ok(json!({ "serverTime": now })),
            "exchangeInfo" => public::exchange_info(&exchange(), market, params, now),
            "depth" => public::depth(&exchange(), market, params, now),
            "trades.recent" => public::trades(&exchange(), market, params),
            "klines" => public::klines(&exchange(), market, params),
            "ticker.price" => public::prices(&exchange(), market, params, now),
            "ticker.book" => public::book_tickers(&exchange(), market, params, now),
            "ticker.24hr" => public::day_ticker(&exchange(), market, params, now),
            "avgPrice" => public::average_price(&exchange(), params, now),
            "order.place" => {
                self.trader(front, params).and_then(|key| orders::place(front, key, market, params, false))
            }
            "order.test" => {
                self.trader(front, params).and_then(|key| orders::place(front, key, market, params, true))
            }
            "order.cancelReplace" => {
                self.trader(front, params).and_then(|key| orders::cancel_replace(front, key, params))
            }
            "order.modify" => self.trader(front, params).and_then(|key| orders::modify(front, key, params)),
            "order.cancel" => {
                orders::cancel(front, self.caller(front, params, Scope::Trade)?, market, params)
            }
            "openOrders.cancelAll" => {
                orders::cancel_all(front, self.caller(front, params, Scope::Trade)?, market, params)
            }
            "order.status" => orders::query(front, self.caller(front, params, Scope::Read)?, market, params),
            "openOrders.status" => {
                orders::list(front, self.caller(front, params, Scope::Read)?, market, params, true)
            }
            "allOrders" => {
                orders::list(front, self.caller(front, params, Scope::Read)?, market, params, false)
            }
            "myTrades" => account::fills(front, self.caller(front, params, Scope::Read)?, market, params),
            "account.status" | "v2/account.status" => {
                let key = self.caller(front, params, Scope::Read)?;
                Ok(if market == Market::Spot {
                    account::spot(front, key, params, now)
                } else {
                    account::futures_account(front, key, now)
                })
            }
            "account.balance" | "v2/account.balance" => {
                Ok(account::futures_balance(front, self.caller(front, params, Scope::Read)?, now))
            }
            "account.position" | "v2/account.position" => {
                account::position_risk(front, self.caller(front, params, Scope::Read)?, params, true)
            }
            "session.logon" => {
                let key = authenticate_message(front, params, self.peer, Scope::Read, now)?;
                self.logon = Some(key.api_key.clone());
                Ok(self.session_status(now))
            }
            "session.status" => Ok(self.session_status(now)),
            "session.logout" => {
                self.logon = None;
                Ok(self.session_status(now))
            }
            "userDataStream.subscribe.signature" | "userDataStream.subscribe" => {
                let key = match (&self.logon, method) {
                    (Some(api_key), "userDataStream.subscribe") => {
                        super::known_key(front, api_key, self.peer, Scope::Read)?
                    }
                    _ => authenticate_message(front, params, self.peer, Scope::Read, now)?,
                };
                self.user = Some(key.account);
                Ok(json!({ "subscriptionId": 0 }))
            }
            "userDataStream.unsubscribe" => {
                self.user = None;
                Ok(json!({}))
            }
            "userDataStream.start" | "userDataStream.ping" | "userDataStream.stop" => {
                let verb = match method.rsplit('.').next() {
                    Some("start") => "POST",
                    Some("ping") => "PUT",
                    _ => "DELETE",
                };
                let key = super::known_key(front, params.require("apiKey")?, self.peer, Scope::Read)?;
                super::listen_key(front, key, verb, params.get("listenKey"), now)
            }
            _ => Err(Failure::new(-1000, "Unknown method.")),
        }
    }

    fn trader<'a>(&self, front: &'a Front, params: &Params) -> Result<&'a Key, Failure> {
        self.caller(front, params, Scope::Trade).and_then(|key| super::within_order_limit(front, key))
    }

    fn session_status(&self, now: u64) -> Value {
        json!({
            "apiKey": self.logon, "authorizedSince": self.logon.as_ref().map(|_| now), "connectedSince": now,
            "returnRateLimits": true, "serverTime": now, "userDataStream": self.user.is_some(),
            "listenKeyLifeMs": LISTEN_KEY_MS,
        })
    }
}
