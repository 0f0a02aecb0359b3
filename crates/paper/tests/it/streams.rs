//! User streams and order entry over WebSocket.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::http::{now_ms, sign, venue};

struct Stream(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Stream {
    async fn open(url: String) -> Self {
        Self(connect_async(url).await.expect("upgrades").0)
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("open");
    }

    /// The next message that `wanted` accepts.
    async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.0.next().await.expect("open").expect("well formed");
            if let Message::Text(text) = message {
                let value: Value = serde_json::from_str(&text).expect("JSON");
                if wanted(&value) {
                    return value;
                }
            }
        }
    }
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(20), test).await.expect("in time");
    });
}

#[test]
fn binance_orders_go_in_and_reports_come_out_over_one_socket() {
    let venue = venue();
    block_on(async {
        let mut stream = Stream::open(format!("ws://{}/ws-api/v3", venue.addresses.binance)).await;
        let signed = |mut params: Value| {
            params["apiKey"] = "paper-binance-trade".into();
            params["timestamp"] = now_ms().into();
            let mut pairs: Vec<(String, String)> = params
                .as_object()
                .expect("an object")
                .iter()
                .map(|(name, value)| {
                    (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                })
                .collect();
            pairs.sort();
            let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            params["signature"] = sign("paper-binance-trade-secret", &text.join("&")).into();
            params
        };
        let id = |wanted: i64| move |value: &Value| value["id"] == wanted;
        stream.say(json!({ "id": 1, "method": "userDataStream.subscribe.signature", "params": signed(json!({})) })).await;
        assert_eq!(stream.hear(id(1)).await["status"], 200);
        let order = json!({
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002",
            "price": "50000", "newClientOrderId": "ws",
        });
        stream.say(json!({ "id": 2, "method": "order.place", "params": signed(order) })).await;
        assert_eq!(stream.hear(id(2)).await["result"]["clientOrderId"], "ws");
        let report = stream.hear(|value| value["event"]["e"] == "executionReport").await;
        assert_eq!(report["event"]["c"], "ws");
        let unsigned = json!({ "symbol": "BTCUSDT", "apiKey": "paper-binance-trade", "timestamp": now_ms(), "signature": "00" });
        stream.say(json!({ "id": 3, "method": "openOrders.status", "params": unsigned })).await;
        assert_eq!(stream.hear(id(3)).await["error"]["code"], -1022);
    });
}

#[test]
fn bybit_orders_go_in_over_one_socket_and_reports_come_out_of_another() {
    let venue = venue();
    block_on(async {
        let expires = now_ms() + 10_000;
        let signature = sign("paper-bybit-trade-secret", &format!("GET/realtime{expires}"));
        let login = json!({ "op": "auth", "args": ["paper-bybit-trade", expires, signature] });
        let mut private = Stream::open(format!("ws://{}/v5/private", venue.addresses.bybit)).await;
        private.say(json!({ "op": "subscribe", "args": ["order"] })).await;
        assert_eq!(private.hear(|value| value["op"] == "subscribe").await["success"], false);
        private.say(login.clone()).await;
        assert_eq!(private.hear(|value| value["op"] == "auth").await["success"], true);
        private.say(json!({ "op": "subscribe", "args": ["order", "wallet"], "req_id": "s" })).await;
        assert_eq!(private.hear(|value| value["op"] == "subscribe").await["success"], true);

        let mut trade = Stream::open(format!("ws://{}/v5/trade", venue.addresses.bybit)).await;
        trade.say(login).await;
        assert_eq!(trade.hear(|value| value["op"] == "auth").await["retCode"], 0);
        let order = json!({
            "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01",
            "orderLinkId": "ws",
        });
        let header = json!({ "X-BAPI-TIMESTAMP": now_ms().to_string() });
        trade.say(json!({ "reqId": "1", "header": header, "op": "order.create", "args": [order] })).await;
        assert_eq!(trade.hear(|value| value["reqId"] == "1").await["retCode"], 0);
        let filled = private
            .hear(|value| value["topic"] == "order" && value["data"][0]["orderStatus"] == "Filled")
            .await;
        assert_eq!(filled["data"][0]["orderLinkId"], "ws");
    });
}

#[test]
fn bybits_disconnect_protection_fires_when_the_last_stream_is_gone_and_takes_stops_too() {
    use crate::http::{bybit, send};
    let venue = venue();
    let post = |path: &str, body: Value| bybit(&venue, "trade", "POST", path, &body.to_string()).body;
    let resting = || {
        let query = "category=linear&settleCoin=USDT";
        bybit(&venue, "trade", "GET", "/v5/order/realtime", query).body["result"]["list"]
            .as_array()
            .expect("a list")
            .len()
    };
    let condition = |skew: i64| {
        let body = json!({ "venue": "bybit", "skew_ms": skew }).to_string();
        assert_eq!(send(venue.addresses.control, "POST", "/condition", &[], &body).status, 200);
        assert_eq!(send(venue.addresses.control, "POST", "/step", &[], "").status, 200);
    };
    let limit = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "50000" });
    let stop = json!({ "category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.001",
        "triggerPrice": "40000", "triggerDirection": 2 });
    for order in [limit, stop] {
        assert_eq!(post("/v5/order/create", order)["retCode"], 0);
    }
    assert_eq!(
        post("/v5/order/disconnected-cancel-all", json!({ "product": "DERIVATIVES", "timeWindow": 2 }))["retCode"],
        10_001
    );
    assert_eq!(
        post("/v5/order/disconnected-cancel-all", json!({ "product": "DERIVATIVES", "timeWindow": 10 }))["retCode"],
        0
    );
    let info = bybit(&venue, "trade", "GET", "/v5/account/query-dcp-info", "").body;
    assert_eq!(info["result"]["dcpInfos"][0]["timeWindow"], "10");
    condition(3_000_000);
    condition(0);
    assert_eq!(resting(), 2, "no stream had the topic");
    let open = async || {
        let mut stream = Stream::open(format!("ws://{}/v5/private", venue.addresses.bybit)).await;
        let expires = now_ms() + 10_000;
        let signature = sign("paper-bybit-trade-secret", &format!("GET/realtime{expires}"));
        stream.say(json!({ "op": "auth", "args": ["paper-bybit-trade", expires, signature] })).await;
        stream.hear(|message| message["op"] == "auth" && message["success"] == true).await;
        stream.say(json!({ "op": "subscribe", "args": ["dcp.future"] })).await;
        stream.hear(|message| message["op"] == "subscribe" && message["success"] == true).await;
        stream
    };
    // The venue notices a closed stream when its turn comes: each step gives it one.
    let gone = |skew: i64| {
        for _ in 0..200 {
            condition(skew);
            condition(0);
            if resting() == 0 {
                return true;
            }
            std::thread::yield_now();
        }
        false
    };
    block_on(async {
        let stream = open().await;
        condition(3_000_000);
        condition(0);
        assert_eq!(resting(), 2, "the stream is there");
        drop(stream);
        assert!(gone(60_000), "the stream is gone");
    });
}
