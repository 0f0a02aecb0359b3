//! An order in words that mean the same on every venue, as a bot writes it in JSON.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{
    Amendment, Amount, CancelAll, ClientOrderId, Instrument, Intent, Market, Notional, Order, OrderReference,
    OrderType, Price, Quantity, Side, Symbol, TimeInForce, Venue, VenueOrderId,
};

/// A new order. Numbers are strings: a JSON number may have passed through a float.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeutralOrder {
    /// `spot`, `margin` or `linear`.
    pub market: Market,
    /// The venue's symbol.
    pub symbol: Symbol,
    /// `buy` or `sell`.
    pub side: Side,
    /// `limit`, `market`, `stop_market`, …
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// Base currency; exactly one of this, `quote_quantity` and `close_position`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Quote currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_quantity: Option<Notional>,
    /// Whatever the position holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub close_position: bool,
    /// Limit price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Price that wakes a triggered order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
    /// Good till cancel unless stated; immediate or cancel for market orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_in_force: Option<TimeInForce>,
    /// Whether it may only add liquidity.
    #[serde(default)]
    pub post_only: bool,
    /// Whether it may only shrink a position.
    #[serde(default)]
    pub reduce_only: bool,
    /// The bot's id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<ClientOrderId>,
}

/// Which order to amend or cancel, and on amend what to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeutralTarget {
    /// The market it rests on.
    pub market: Market,
    /// The venue's symbol.
    pub symbol: Symbol,
    /// The bot's id; at least one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<ClientOrderId>,
    /// The venue's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue_order_id: Option<VenueOrderId>,
    /// Amend only: the side, where the venue wants it repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Amend only: the new quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Amend only: the new limit price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Amend only: the new trigger price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
}

/// The scope of a cancel-all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeutralScope {
    /// The market.
    pub market: Market,
    /// Only this symbol, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<Symbol>,
}

/// Why a neutral order is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}` {problem}")]
pub struct NeutralError {
    /// The field at fault.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: &'static str,
}

const fn fault<T>(field: &'static str, problem: &'static str) -> Result<T, NeutralError> {
    Err(NeutralError { field, problem })
}

impl NeutralOrder {
    /// The order this asks for on `venue`.
    ///
    /// # Errors
    ///
    /// [`NeutralError`] names the first field that is missing, superfluous or contradictory.
    pub fn into_intent(self, venue: Venue) -> Result<Intent, NeutralError> {
        let amount = match (self.quantity, self.quote_quantity, self.close_position) {
            (Some(quantity), None, false) => Amount::Base(quantity),
            (None, Some(notional), false) => Amount::Quote(notional),
            (None, None, true) => Amount::WholePosition,
            (None, None, false) => return fault("quantity", "is missing; or give quote_quantity"),
            _ => return fault("quantity", "excludes quote_quantity and close_position; give one of them"),
        };
        if self.order_type == OrderType::Pegged {
            return fault("type", "pegged has no venue-neutral form; send the venue's own body");
        }
        match (self.order_type.has_limit_price(), self.price.is_some()) {
            (true, false) => return fault("price", "is missing; this type needs one"),
            (false, true) => return fault("price", "does not belong to this type"),
            _ => {}
        }
        if self.order_type.is_triggered() != self.trigger_price.is_some() {
            return fault("trigger_price", "belongs to triggered types, and only to them");
        }
        let resting = TimeInForce::GoodTillCancel;
        let time_in_force = self.time_in_force.unwrap_or(match self.order_type {
            OrderType::Market => TimeInForce::ImmediateOrCancel,
            _ => resting,
        });
        if self.post_only && (!self.order_type.has_limit_price() || time_in_force != resting) {
            return fault("post_only", "needs a limit type that is good till cancel");
        }
        Ok(Intent::Place(Order {
            instrument: Instrument { venue, market: self.market, symbol: self.symbol },
            side: self.side,
            order_type: self.order_type,
            amount,
            price: self.price,
            trigger_price: self.trigger_price,
            time_in_force,
            post_only: self.post_only,
            reduce_only: self.reduce_only,
            client_order_id: self.client_order_id,
        }))
    }
}

impl NeutralTarget {
    /// The amendment this asks for on `venue`.
    ///
    /// # Errors
    ///
    /// [`NeutralError`] if no order is named or nothing changes.
    pub fn into_amendment(self, venue: Venue) -> Result<Intent, NeutralError> {
        if self.quantity.is_none() && self.price.is_none() && self.trigger_price.is_none() {
            return fault("quantity", "or price or trigger_price must say what to change");
        }
        let target = reference(self.client_order_id, self.venue_order_id)?;
        Ok(Intent::Amend(Amendment {
            instrument: Instrument { venue, market: self.market, symbol: self.symbol },
            target,
            side: self.side,
            amount: self.quantity.map(Amount::Base),
            price: self.price,
            trigger_price: self.trigger_price,
            new_client_order_id: None,
        }))
    }

    /// The cancellation this asks for on `venue`.
    ///
    /// # Errors
    ///
    /// [`NeutralError`] if no order is named or a field of an amendment is there.
    pub fn into_cancel(self, venue: Venue) -> Result<Intent, NeutralError> {
        if self.side.is_some()
            || self.quantity.is_some()
            || self.price.is_some()
            || self.trigger_price.is_some()
        {
            return fault("quantity", "and price belong to amend, not to cancel");
        }
        let target = reference(self.client_order_id, self.venue_order_id)?;
        Ok(Intent::Cancel {
            instrument: Instrument { venue, market: self.market, symbol: self.symbol },
            target,
        })
    }
}

impl NeutralScope {
    /// The cancel-all this asks for on `venue`.
    #[must_use]
    pub fn into_cancel_all(self, venue: Venue) -> Intent {
        let market = self.market;
        let instrument = self.symbol.map(|symbol| Instrument { venue, market, symbol });
        Intent::CancelAll(CancelAll { venue, market, instrument })
    }
}

fn reference(
    client: Option<ClientOrderId>,
    venue: Option<VenueOrderId>,
) -> Result<OrderReference, NeutralError> {
    match (client, venue) {
        (Some(client), Some(venue)) => Ok(OrderReference::Both { client, venue }),
        (Some(client), None) => Ok(OrderReference::Client(client)),
        (None, Some(venue)) => Ok(OrderReference::Venue(venue)),
        (None, None) => fault("client_order_id", "or venue_order_id must name the order"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<&str, &str>) {
        let outcome = serde_json::from_str::<NeutralOrder>(json)
            .map_err(|error| error.to_string())
            .and_then(|order| order.into_intent(Venue::Bybit).map_err(|error| error.to_string()))
            .map(|intent| intent.to_string());
        match (outcome, expected) {
            (Ok(was), Ok(wanted)) => assert_eq!(was, wanted),
            (Err(was), Err(part)) => assert!(was.contains(part), "{was:?} does not say {part:?}"),
            (was, wanted) => panic!("{json}: {was:?}, not {wanted:?}"),
        }
    }

    #[test]
    fn reads_orders_and_names_the_field_at_fault() {
        let limit = r#""market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit""#;
        check(
            &format!(r#"{{{limit},"quantity":"0.1","price":"60000"}}"#),
            Ok("buy 0.1 bybit:linear:BTCUSDT @ 60000"),
        );
        check(&format!(r#"{{{limit},"quantity":"0.1"}}"#), Err("`price` is missing"));
        check(&format!(r#"{{{limit},"price":"1"}}"#), Err("`quantity` is missing"));
        check(&format!(r#"{{{limit},"quantity":0.1,"price":"1"}}"#), Err("invalid type"));
        check(&format!(r#"{{{limit},"quantity":"-1","price":"1"}}"#), Err("above zero"));
        check(&format!(r#"{{{limit},"quantity":"1","price":"1","leverage":"9"}}"#), Err("leverage"));
        check(&format!(r#"{{{limit},"quantity":"1","quantity":"1","price":"1"}}"#), Err("duplicate"));
    }
}
