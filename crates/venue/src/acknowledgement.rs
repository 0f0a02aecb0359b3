//! A venue's reply to place, amend and cancel, in our words.

use serde::{Deserialize, Serialize};
use trading::{ClientOrderId, Intent, Venue, VenueOrderId};

use crate::json::{self, Value};
use crate::{binance, bybit};

/// How a reply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// As an HTTP reply with this status.
    Http(u16),
    /// As a stream message.
    Stream,
}

/// The venue took it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ack {
    /// The venue's id of the order, where the reply has one.
    pub venue_order_id: Option<VenueOrderId>,
    /// The bot's id of the order, where the reply has one.
    pub client_order_id: Option<ClientOrderId>,
    /// The order's state in the venue's own word, where the reply has one.
    pub status: Option<Box<str>>,
}

/// What became of one leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The venue took it.
    Acknowledged(Ack),
    /// The venue refused it; nothing came of it.
    Rejected {
        /// The venue's code.
        code: Box<str>,
        /// The venue's message.
        message: Box<str>,
    },
    /// It may or may not have happened: a server error, a timeout, a reply that is not understood.
    Unknown,
}

impl Outcome {
    pub(crate) fn rejected(code: &str, message: &str) -> Self {
        Self::Rejected { code: code.into(), message: message.into() }
    }
}

/// Reads the venue's reply to `intent`: one outcome per leg, in order; one for anything that is no batch.
///
/// Never fails: what is not understood is [`Outcome::Unknown`], which is neither success nor refusal.
#[must_use]
pub fn acknowledgement(venue: Venue, intent: &Intent, transport: Transport, body: &str) -> Vec<Outcome> {
    let legs = match intent {
        Intent::Batch(legs) => legs.len(),
        _ => 1,
    };
    let read = json::parse(body).ok().and_then(|value| match venue {
        Venue::Binance => binance::reply::outcomes(&value, intent, transport),
        Venue::Bybit => bybit::reply::outcomes(&value, intent, transport),
    });
    match read {
        Some(outcomes) if outcomes.len() == legs => outcomes,
        // One answer for all legs: the venue refused the request as a whole.
        Some(outcomes) => match outcomes.as_slice() {
            [refused @ Outcome::Rejected { .. }] => vec![refused.clone(); legs],
            _ => vec![Outcome::Unknown; legs],
        },
        None => vec![Outcome::Unknown; legs],
    }
}

/// The text of the first of `names` that is there.
pub(crate) fn first_text<'v>(value: &'v Value<'_>, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| value.get(name)?.as_text()).filter(|text| !text.is_empty())
}

/// The ids and state in an order's JSON.
pub(crate) fn ack(value: &Value<'_>, venue_names: &[&str], client_names: &[&str]) -> Ack {
    Ack {
        venue_order_id: first_text(value, venue_names).and_then(|text| VenueOrderId::new(text).ok()),
        client_order_id: first_text(value, client_names).and_then(|text| ClientOrderId::new(text).ok()),
        status: first_text(value, &["status", "orderStatus"]).map(Into::into),
    }
}
