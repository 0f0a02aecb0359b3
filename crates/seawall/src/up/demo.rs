//! The demonstration grid bot: trades through the Bybit gateway as any bot would, with a
//! stand-in key, and now and then asks for something the policy denies.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use gateway::StandIn;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What the bot trades.
const SYMBOL: &str = "BTCUSDT";
/// Levels on each side of the grid.
const LEVELS: u64 = 4;
/// One request in this many asks for something no sane policy allows.
const MISCHIEF_EVERY: u64 = 11;
/// Orders after which the grid is taken off and laid anew.
const RELAY_EVERY: u64 = 24;

/// One bot with one keep-alive connection.
pub struct DemoBot {
    gateway: SocketAddr,
    login: StandIn,
    connection: Option<TcpStream>,
    turn: u64,
}

impl DemoBot {
    pub fn new(gateway: SocketAddr, login: StandIn) -> Self {
        Self { gateway, login, connection: None, turn: 0 }
    }

    /// Trades every `pace` until `stop` is set. Trouble is retried: a bot outlives its venue.
    pub fn run(mut self, pace: Duration, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = self.act() {
                tracing::debug!(%error, "the demo bot had trouble");
                self.connection = None;
            }
            std::thread::sleep(pace);
        }
    }

    fn act(&mut self) -> anyhow::Result<()> {
        self.turn += 1;
        if self.turn.is_multiple_of(RELAY_EVERY) {
            let body = format!(r#"{{"category":"linear","symbol":"{SYMBOL}"}}"#);
            return self.post("/v5/order/cancel-all", &body);
        }
        let body =
            if self.turn.is_multiple_of(MISCHIEF_EVERY) { self.mischief() } else { self.grid_order()? };
        self.post("/v5/order/create", &body)
    }

    /// A post-only order some ticks away from the last price, on alternating sides.
    fn grid_order(&mut self) -> anyhow::Result<String> {
        let last = self.last_price()?;
        let step = (self.turn / 2 % LEVELS + 1) * 5;
        let (side, price) = if self.turn.is_multiple_of(2) {
            ("Buy", last.saturating_sub(step))
        } else {
            ("Sell", last + step)
        };
        let order_type = r#""orderType":"Limit","timeInForce":"PostOnly""#;
        Ok(self.order(&format!(r#""side":"{side}",{order_type},"qty":"0.001","price":"{price}""#)))
    }

    /// Too much, a coin that is not allowed, or a field that no order has.
    fn mischief(&self) -> String {
        match self.turn / MISCHIEF_EVERY % 3 {
            0 => self.order(r#""side":"Buy","orderType":"Market","qty":"50""#),
            1 => r#"{"category":"spot","symbol":"DOGEUSDT","side":"Buy","orderType":"Market","qty":"1000"}"#
                .to_owned(),
            _ => self
                .order(r#""side":"Sell","orderType":"Limit","qty":"0.001","price":"90000","leverage":"100""#),
        }
    }

    fn order(&self, rest: &str) -> String {
        let id = format!("demo-{}-{}", now_ms(), self.turn);
        format!(r#"{{"category":"linear","symbol":"{SYMBOL}",{rest},"orderLinkId":"{id}"}}"#)
    }

    /// The last price in whole units of quote currency.
    fn last_price(&mut self) -> anyhow::Result<u64> {
        let target = format!("/v5/market/tickers?category=linear&symbol={SYMBOL}");
        let reply = self.exchange(&format!("GET {target} HTTP/1.1\r\nHost: gateway\r\n\r\n"))?;
        let reply: serde_json::Value = serde_json::from_slice(&reply)?;
        let text = reply["result"]["list"][0]["lastPrice"].as_str().context("the ticker has no price")?;
        let whole = text.split('.').next().unwrap_or(text);
        whole.parse().context("the price is not a number")
    }

    fn post(&mut self, path: &str, body: &str) -> anyhow::Result<()> {
        const WINDOW: &str = "5000";
        let timestamp = now_ms().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.login.secret.as_bytes())
            .expect("HMAC takes a key of any length");
        for part in [timestamp.as_str(), &self.login.api_key, WINDOW, body] {
            mac.update(part.as_bytes());
        }
        let signature = hex::encode(mac.finalize().into_bytes());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
             X-BAPI-API-KEY: {key}\r\nX-BAPI-TIMESTAMP: {timestamp}\r\nX-BAPI-RECV-WINDOW: {WINDOW}\r\n\
             X-BAPI-SIGN: {signature}\r\nContent-Length: {length}\r\n\r\n{body}",
            key = self.login.api_key,
            length = body.len(),
        );
        self.exchange(&request).map(drop)
    }

    /// Sends one request on the kept connection and reads one reply with a stated length.
    fn exchange(&mut self, request: &str) -> anyhow::Result<Vec<u8>> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect_timeout(&self.gateway, Duration::from_secs(2))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(12)))?;
                stream
            }
        };
        stream.write_all(request.as_bytes())?;
        let body = read_reply(&mut stream)?;
        self.connection = Some(stream);
        Ok(body)
    }
}

/// Reads a reply that states its length; the gateway always does.
fn read_reply(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    const MAX_REPLY: usize = 1024 * 1024;
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        if let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = std::str::from_utf8(&bytes[..head_end])?.to_ascii_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .context("the reply states no length")?
                .trim()
                .parse()?;
            anyhow::ensure!(length <= MAX_REPLY, "the reply is too long");
            let body = head_end + 4;
            if bytes.len() >= body + length {
                return Ok(bytes[body..body + length].to_vec());
            }
        }
        anyhow::ensure!(bytes.len() <= MAX_REPLY, "the reply is too long");
        let count = stream.read(&mut chunk)?;
        anyhow::ensure!(count > 0, "the gateway closed the connection");
        bytes.extend_from_slice(&chunk[..count]);
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
