//! What rests on a venue's book, for taking note of what is gone.

use trading::{Instrument, Market, Read, Venue, VenueOrderId};

use crate::error::UnreadableReply;
use crate::json::{self, Value};

/// Bybit's page size where the request states none (v5 "Get Open & Closed Orders", 2026-11).
const BYBIT_PAGE: usize = 20;

/// Orders that rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrders {
    /// The venue's ids.
    pub ids: Vec<VenueOrderId>,
    /// Whether that is all of them.
    pub complete: bool,
}

/// The read that lists the orders of one instrument; `None` for a market whose orders are not judged.
#[must_use]
pub fn open_orders_read(instrument: &Instrument) -> Option<Read> {
    let endpoint = match (instrument.venue, instrument.market) {
        (Venue::Binance, Market::Spot) => "GET /api/v3/openOrders",
        (Venue::Binance, Market::Linear) => "GET /fapi/v1/openOrders",
        (Venue::Bybit, Market::Spot | Market::Linear) => "GET /v5/order/realtime",
        _ => return None,
    };
    let instrument = Some(instrument.clone());
    Some(Read { venue: instrument.as_ref()?.venue, endpoint: endpoint.into(), instrument })
}

/// Reads the reply to [`open_orders_read`].
///
/// # Errors
///
/// The reply is not the expected JSON: then nothing is known.
pub fn read_open_orders(venue: Venue, body: &str) -> Result<OpenOrders, UnreadableReply> {
    let value = json::parse(body)?;
    let (list, page) = match venue {
        Venue::Binance => (value.as_array(), usize::MAX),
        Venue::Bybit => {
            if value.get("retCode").and_then(Value::as_text) != Some("0") {
                return Err(UnreadableReply::new("retCode", "is not zero"));
            }
            (value.get("result").and_then(|result| result.get("list")?.as_array()), BYBIT_PAGE)
        }
    };
    let list = list.ok_or_else(|| UnreadableReply::new("list", "is not there"))?;
    let ids = list
        .iter()
        .map(|order| {
            let id = order.get("orderId").and_then(Value::as_text).and_then(|id| id.parse().ok());
            id.ok_or_else(|| UnreadableReply::new("orderId", "is not there"))
        })
        .collect::<Result<Vec<VenueOrderId>, _>>()?;
    let complete = ids.len() < page;
    Ok(OpenOrders { ids, complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_venues_lists_are_read_and_errors_are_no_empty_list() {
        let read = |venue, body| read_open_orders(venue, body).map(|open| (open.ids.len(), open.complete));
        assert_eq!(read(Venue::Binance, r#"[{"orderId":12,"symbol":"X"}]"#), Ok((1, true)));
        assert_eq!(read(Venue::Binance, "[]"), Ok((0, true)));
        assert!(read(Venue::Binance, r#"{"code":-1003,"msg":"slow down"}"#).is_err());
        let bybit = r#"{"retCode":0,"result":{"list":[{"orderId":"a"}],"nextPageCursor":"x"}}"#;
        assert_eq!(read(Venue::Bybit, bybit), Ok((1, true)));
        assert!(read(Venue::Bybit, r#"{"retCode":10006,"result":{}}"#).is_err());
    }
}
