//! What an order says, read a second time by code that shares nothing with `venue`: the simplest
//! reader that could do, and one that refuses nothing. If it finds another symbol, side or amount in
//! the bytes than the intent has, a venue might too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use trading::{Amount, Decimal, Intent, Order, Side, Venue};
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

/// An order over HTTP.
pub(crate) fn check_http(venue: Venue, request: &HttpRequest, intent: &Intent) {
    let Intent::Place(order) = intent else { return };
    let body = String::from_utf8_lossy(&request.body);
    match venue {
        Venue::Binance => agree(venue, &[form(request.query()), form(&body)].concat(), order),
        Venue::Bybit => check_json(venue, &body, order),
    }
}

/// An order as raw JSON.
pub(crate) fn check_native(venue: Venue, body: &str, intent: &Intent) {
    if let Intent::Place(order) = intent {
        check_json(venue, body, order);
    }
}

/// An order in a frame.
pub(crate) fn check_frame(venue: Venue, text: &str, intent: &Intent) {
    let Intent::Place(order) = intent else { return };
    let frame: Frame<'_> = serde_json::from_str(text).expect("what is approved is JSON to anyone");
    let inner = match venue {
        Venue::Binance => frame.params,
        Venue::Bybit => frame.args.and_then(|args| args.first().copied()),
    };
    agree(venue, &object(inner.expect("an order is somewhere").get()), order);
}

/// Where an order stands in a frame.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<Vec<&'a RawValue>>,
}

fn check_json(venue: Venue, body: &str, order: &Order) {
    agree(venue, &object(body), order);
}

/// Each field is there once and says what the order says.
fn agree(venue: Venue, pairs: &[(String, String)], order: &Order) {
    let only = |name: &str| {
        let mut found = pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "`{name}` is there twice");
        first
    };
    let same = |name: &str, own: Decimal| {
        let text = only(name).unwrap_or_else(|| panic!("`{name}` is not there"));
        assert_eq!(on_paper(text), on_paper(&own.to_string()), "`{name}`");
    };
    assert_eq!(only("symbol"), Some(order.instrument.symbol.as_str()));
    let side = match order.side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    };
    assert_eq!(only("side").map(str::to_ascii_lowercase).as_deref(), Some(side));
    match (&order.amount, venue) {
        (Amount::Base(quantity), Venue::Binance) => same("quantity", quantity.decimal()),
        (Amount::Base(quantity), Venue::Bybit) => same("qty", quantity.decimal()),
        (Amount::Quote(_) | Amount::WholePosition, _) => {}
    }
    if let Some(price) = order.price {
        same("price", price.decimal());
    }
}
