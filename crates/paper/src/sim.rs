//! A venue without sockets, for simulations: the same keys, fronts and exchange, at a time that is an
//! argument. Behind the feature `sim`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicU64;

use http::{HeaderMap, HeaderName, HeaderValue};
use trading::{Market, Venue as VenueName};

use crate::exchange::{Command, OrderState};
use crate::server::Raw;
use crate::state::{Clock, Front};
use crate::{Config, Error, binance, bybit};

/// One venue.
pub struct Venue {
    front: Front,
}

/// A request as the venue receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Venue {
    /// Opens the venue named `venue` of `config` at `now_ms`.
    ///
    /// # Errors
    ///
    /// As [`crate::run()`].
    pub fn open(venue: VenueName, config: &Config, now_ms: u64) -> Result<Self, Error> {
        let front = crate::run::open(venue, config, Clock::Set(AtomicU64::new(now_ms)))?;
        Ok(Self { front })
    }

    /// Answers one request: status and body.
    pub fn answer(&self, request: &Request, now_ms: u64) -> (u16, String) {
        self.front.set_clock(now_ms);
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        let raw = Raw {
            method: request.method.clone(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: request.body.clone(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let reply = match self.front.venue {
            VenueName::Binance => binance::answer(&self.front, &raw),
            VenueName::Bybit => bybit::answer(&self.front, &raw),
        };
        (reply.status, reply.body.to_string())
    }

    /// Moves the market on.
    pub fn step(&self, now_ms: u64) {
        self.front.set_clock(now_ms);
        self.front.step();
    }

    /// Every order of an account that is open or remembered, oldest first.
    #[must_use]
    pub fn orders(&self, account: &str) -> Vec<OrderState> {
        let mut exchange = self.front.exchange();
        let account = exchange.open_account(account);
        exchange.all_orders(account).cloned().collect()
    }

    /// Ends every open order of an account on a market, as its owner would on the venue's own page.
    pub fn cancel_all(&self, account: &str, market: Market, now_ms: u64) {
        self.front.set_clock(now_ms);
        let account = self.front.exchange().open_account(account);
        let _never_rejected = self.front.apply(Command::CancelAll { account, market, instrument: None });
    }
}
