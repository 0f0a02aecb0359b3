//! Keeps the vault's mark prices fresh from the venue's public tickers.
//!
//! These prices are only as good as the host they pass through: the policy uses them for orders
//! that state no price, and denies such orders when they are missing or old.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderMap;
use protocol::sign::Mark;
use trading::{Instrument, Market, Timestamp};

use crate::endpoint::Endpoint;

/// Pause between two looks at the tickers.
const PACE: Duration = Duration::from_millis(1000);

/// Asks for the ticker of each instrument the policy names, for ever.
pub(crate) async fn keep_fresh(endpoint: Arc<Endpoint>) {
    let mut tick = tokio::time::interval(PACE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !endpoint.vault.is_connected() {
            continue;
        }
        let mut marks = Vec::new();
        let instruments = endpoint.logins.instruments(endpoint.venue);
        for market in Market::ALL {
            let wanted: Vec<Instrument> =
                instruments.iter().filter(|instrument| instrument.market == market).cloned().collect();
            if !wanted.is_empty() {
                marks.extend(marks_of(&endpoint, market, &wanted).await.unwrap_or_default());
            }
        }
        endpoint.tell_marks(&marks);
    }
}

async fn marks_of(endpoint: &Endpoint, market: Market, wanted: &[Instrument]) -> Option<Vec<Mark>> {
    let only = match wanted {
        [single] => Some(&single.symbol),
        _ => None,
    };
    let request = venue::mark_prices_request(endpoint.venue, market, only)?;
    let base = endpoint.bases.http.get(&request.surface)?;
    let at = now();
    let url = format!("{base}{}", request.target);
    let reply = match endpoint.upstream.send("GET", &url, HeaderMap::new(), Bytes::new()).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::debug!(%market, %error, "no prices");
            return None;
        }
    };
    let text = std::str::from_utf8(reply.body()).ok().filter(|_| reply.status().is_success())?;
    let prices = match venue::read_mark_prices(endpoint.venue, market, text) {
        Ok(prices) => prices,
        Err(error) => {
            tracing::debug!(%market, %error, "no prices");
            return None;
        }
    };
    let known = prices.into_iter().filter(|(instrument, _)| wanted.contains(instrument));
    Some(known.map(|(instrument, price)| Mark { instrument, price: price.decimal(), at }).collect())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
