//! What an order says, read a second time by code that shares nothing with `venue`: the simplest
//! reader that could do, and one that refuses nothing. If it finds another symbol, side or amount in
//! the bytes than the intent has, a venue might too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use trading::{Amendment, Amount, Decimal, Intent, Order, OrderReference, Side, Venue};
use venue::HttpRequest;

use crate::targets::words::on_paper;

/// Name and value pairs of a form, every one of them, percent-decoded.
fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let text = std::str::from_utf8(&digits).unwrap_or("00");
                u8::from_str_radix(text, 16).unwrap_or(0)
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The members of a JSON object as text, numbers as they are written; of two with one name the last
/// is taken.
fn object(text: &str) -> Vec<(String, String)> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).expect("what is approved is JSON to anyone");
    let plain = |value: &RawValue| {
        serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
    };
    members.into_iter().map(|(name, value)| (name, plain(value))).collect()
}

/// What is asked for over HTTP.
pub(crate) fn check_http(venue: Venue, request: &HttpRequest, intent: &Intent) {
    if !names_orders(intent) {
        return;
    }
    let body = String::from_utf8_lossy(&request.body);
    match venue {
        Venue::Binance => agree(venue, &[form(request.query()), form(&body)].concat(), intent),
        Venue::Bybit => agree(venue, &object(&body), intent),
    }
}

/// What is asked for as raw JSON.
pub(crate) fn check_native(venue: Venue, body: &str, intent: &Intent) {
    if names_orders(intent) {
        agree(venue, &object(body), intent);
    }
}

/// What is asked for in a frame.
pub(crate) fn check_frame(venue: Venue, text: &str, intent: &Intent) {
    if !names_orders(intent) {
        return;
    }
    let frame: Frame<'_> = serde_json::from_str(text).expect("what is approved is JSON to anyone");
    let inner = match venue {
        Venue::Binance => frame.params,
        Venue::Bybit => frame.args.and_then(|args| args.first().copied()),
    };
    agree(venue, &object(inner.expect("an order is somewhere").get()), intent);
}

/// Whether single orders are named in it, or several.
const fn names_orders(intent: &Intent) -> bool {
    matches!(intent, Intent::Place(_) | Intent::Amend(_) | Intent::Cancel { .. } | Intent::Batch(_))
}

/// Where an order stands in a frame.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<Vec<&'a RawValue>>,
}

/// One request, or each of a list of them.
fn agree(venue: Venue, pairs: &[(String, String)], intent: &Intent) {
    match intent {
        Intent::Place(order) => place(&Said { venue, pairs }, order),
        Intent::Amend(change) => amend(&Said { venue, pairs }, change),
        Intent::Cancel { instrument, target } => {
            let said = Said { venue, pairs };
            said.text("symbol", instrument.symbol.as_str());
            said.reference(target);
        }
        Intent::Batch(legs) => batch(venue, pairs, legs),
        _ => {}
    }
}

/// A list has as many elements as there are legs, each its own. What is one request to the venue and two
/// legs to us (cancel and replace) has no list.
fn batch(venue: Venue, pairs: &[(String, String)], legs: &[Intent]) {
    let said = Said { venue, pairs };
    let list = ["batchOrders", "request"].into_iter().find_map(|name| said.only(name));
    let Some(list) = list else {
        legs.iter().filter(|leg| matches!(leg, Intent::Place(_))).for_each(|leg| agree(venue, pairs, leg));
        return;
    };
    let elements: Vec<&RawValue> = serde_json::from_str(list).expect("a list");
    assert_eq!(elements.len(), legs.len(), "as many orders as were approved");
    for (element, leg) in elements.iter().zip(legs) {
        agree(venue, &object(element.get()), leg);
    }
}

fn place(said: &Said<'_>, order: &Order) {
    said.text("symbol", order.instrument.symbol.as_str());
    said.side(order.side);
    said.amount(&order.amount);
    if let Some(price) = order.price {
        said.number(&["price"], price.decimal());
    }
    if let Some(price) = order.trigger_price {
        said.number(&["stopPrice", "triggerPrice"], price.decimal());
    }
}

fn amend(said: &Said<'_>, change: &Amendment) {
    said.text("symbol", change.instrument.symbol.as_str());
    said.reference(&change.target);
    if let Some(side) = change.side {
        said.side(side);
    }
    if let Some(amount) = &change.amount {
        said.amount(amount);
    }
    if let Some(price) = change.price {
        said.number(&["price"], price.decimal());
    }
}

/// The names and values of one request. Each field is there once and says what the intent says.
struct Said<'a> {
    venue: Venue,
    pairs: &'a [(String, String)],
}

impl<'a> Said<'a> {
    fn only(&self, name: &str) -> Option<&'a str> {
        let mut found = self.pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "`{name}` is there twice");
        first
    }

    fn text(&self, name: &str, own: &str) {
        assert_eq!(self.only(name), Some(own), "`{name}`");
    }

    /// A number under one of a few names: where Binance has several, never two at once.
    fn number(&self, names: &[&str], own: Decimal) {
        let said: Vec<_> = names.iter().filter_map(|name| self.only(name)).collect();
        assert_eq!(said.len(), 1, "{names:?}: {said:?}");
        assert_eq!(on_paper(said[0]), on_paper(&own.to_string()), "{names:?}");
    }

    fn side(&self, own: Side) {
        let side = match own {
            Side::Buy => "buy",
            Side::Sell => "sell",
        };
        assert_eq!(self.only("side").map(str::to_ascii_lowercase).as_deref(), Some(side));
    }

    fn amount(&self, own: &Amount) {
        match (own, self.venue) {
            (Amount::Base(quantity), Venue::Binance) => {
                self.number(&["quantity", "newQty"], quantity.decimal());
            }
            (Amount::Base(quantity), Venue::Bybit) => self.number(&["qty"], quantity.decimal()),
            (Amount::Quote(_) | Amount::WholePosition, _) => {}
        }
    }

    /// Which order is meant. Conditional orders at Binance have names of their own for it.
    fn reference(&self, own: &OrderReference) {
        let (client, venue): (&[&str], &[&str]) = match self.venue {
            Venue::Binance => (&["origClientOrderId", "clientAlgoId"], &["orderId", "algoId"]),
            Venue::Bybit => (&["orderLinkId"], &["orderId"]),
        };
        if let Some(id) = own.client() {
            self.one_of(client, id.as_str());
        }
        if let Some(id) = own.venue() {
            self.one_of(venue, id.as_str());
        }
    }

    fn one_of(&self, names: &[&str], own: &str) {
        let said: Vec<_> = names.iter().filter_map(|name| self.only(name)).collect();
        assert_eq!(said, [own], "{names:?}");
    }
}
