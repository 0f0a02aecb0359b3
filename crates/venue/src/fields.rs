//! Named values of a request, whichever way the venue writes them, and their typed reading.

use std::borrow::Cow;

use trading::{
    ClientOrderId, Decimal, Instrument, Market, Notional, OrderReference, Price, Quantity, Side, Symbol,
    Venue, VenueOrderId,
};

use crate::error::Undecodable;
use crate::json::{Object, Value};

/// Most fields of one request; the largest known order has 35.
const MAX_FIELDS: usize = 64;

/// One value as it stands in a form (always text) or in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(&'a str),
    Bool(bool),
    /// A JSON array or object; only some fields may have one.
    Nested(Value<'a>),
}

/// Named values in wire order.
pub(crate) type Fields<'a> = Vec<(Cow<'a, str>, Scalar<'a>)>;

/// Takes the keys and values of a JSON object.
///
/// # Errors
///
/// A `null`, which venues read as absent, zero or an error depending on the field; too many fields.
pub(crate) fn from_object(object: Object<'_>) -> Result<Fields<'_>, Undecodable> {
    if object.len() > MAX_FIELDS {
        return Err(Undecodable::bad("body", "has too many fields"));
    }
    object.into_iter().map(|(key, value)| Ok((key.clone(), from_value(&key, value)?))).collect()
}

fn from_value<'a>(key: &str, value: Value<'a>) -> Result<Scalar<'a>, Undecodable> {
    Ok(match value {
        Value::Text(text) => Scalar::Text(text),
        Value::Number(text) => Scalar::Number(text),
        Value::Bool(value) => Scalar::Bool(value),
        Value::Null => return Err(Undecodable::bad(key, "is null")),
        nested @ (Value::Array(_) | Value::Object(_)) => Scalar::Nested(nested),
    })
}

/// Appends the pairs of a query or form text.
///
/// # Errors
///
/// A broken escape, a pair without `=`, a bare `=` inside a value (it would make the boundary
/// between query and body movable), a field that is there twice, too many fields.
pub(crate) fn append_form<'a>(fields: &mut Fields<'a>, text: &'a str) -> Result<(), Undecodable> {
    for (key, value) in crate::form::pairs(text) {
        let value = value.ok_or_else(|| Undecodable::bad(key, "has no value"))?;
        let key = crate::form::decode(key).ok_or_else(|| Undecodable::bad(key, "is not valid text"))?;
        if value.contains('=') && key != "batchOrders" {
            return Err(Undecodable::bad(key, "holds a bare `=`"));
        }
        let value = crate::form::decode(value)
            .ok_or_else(|| Undecodable::bad(key.clone(), "is not valid percent-encoded text"))?;
        if fields.iter().any(|(have, _)| *have == key) {
            return Err(Undecodable::DuplicateField(key.into()));
        }
        if fields.len() == MAX_FIELDS {
            return Err(Undecodable::bad("query", "has too many fields"));
        }
        fields.push((key, Scalar::Text(value)));
    }
    Ok(())
}

/// Declares the fields that a request may have, and how to sort what came into them.
///
/// `fill` refuses a field that is not declared and one that comes twice.
macro_rules! known_fields {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $key:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Option<crate::fields::Scalar<'a>>,)+
        }

        impl<'a> $name<'a> {
            pub(crate) fn fill(fields: crate::fields::Fields<'a>) -> Result<Self, crate::error::Undecodable> {
                let mut raw = Self::default();
                for (key, value) in fields {
                    let slot = match &*key {
                        $($key $(| $alias)* => &mut raw.$field,)+
                        other => return Err(crate::error::Undecodable::unknown(other)),
                    };
                    if slot.replace(value).is_some() {
                        return Err(crate::error::Undecodable::DuplicateField(key.into()));
                    }
                }
                Ok(raw)
            }
        }
    };
}
pub(crate) use known_fields;

impl Scalar<'_> {
    /// The text of a string or number.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Undecodable> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(text) => Ok(text),
            Self::Bool(true) => Ok("true"),
            Self::Bool(false) => Ok("false"),
            Self::Nested(_) => Err(Undecodable::bad(name, "must be a single value")),
        }
    }

    /// An exact decimal, written as a string or as a JSON number.
    pub(crate) fn decimal(&self, name: &str) -> Result<Decimal, Undecodable> {
        match self {
            Self::Text(text) => {
                text.parse().map_err(|error| Undecodable::value(name, trading::ValueError::from(error)))
            }
            Self::Number(text) => {
                text.parse().map_err(|error| Undecodable::value(name, trading::ValueError::from(error)))
            }
            Self::Bool(_) | Self::Nested(_) => Err(Undecodable::bad(name, "is not a decimal number")),
        }
    }

    /// A JSON boolean, or the text `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Undecodable> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Text(text) if text == "true" => Ok(true),
            Self::Text(text) if text == "false" => Ok(false),
            _ => Err(Undecodable::bad(name, "is neither `true` nor `false`")),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn whole(&self, name: &str) -> Result<u64, Undecodable> {
        let text = self.text(name)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Undecodable::bad(name, "is not a whole number"));
        }
        text.parse().map_err(|_| Undecodable::bad(name, "is too large"))
    }
}

/// The value of a field without which the request has no meaning.
pub(crate) fn required<'s, 'a>(
    slot: &'s Option<Scalar<'a>>,
    name: &'static str,
) -> Result<&'s Scalar<'a>, Undecodable> {
    slot.as_ref().ok_or(Undecodable::MissingField(name))
}

/// Reads a field that may be absent.
pub(crate) fn optional<'s, 'a, T>(
    slot: &'s Option<Scalar<'a>>,
    read: impl FnOnce(&'s Scalar<'a>) -> Result<T, Undecodable>,
) -> Result<Option<T>, Undecodable> {
    slot.as_ref().map(read).transpose()
}

/// Refuses a field that has no meaning here, as if it were not known at all.
pub(crate) fn absent(slot: &Option<Scalar<'_>>, name: &str) -> Result<(), Undecodable> {
    if slot.is_none() { Ok(()) } else { Err(Undecodable::unknown(name)) }
}

/// Refuses a field whose meaning contradicts the rest of the request.
pub(crate) fn refused(slot: &Option<Scalar<'_>>, name: &str, why: &'static str) -> Result<(), Undecodable> {
    if slot.is_none() { Ok(()) } else { Err(Undecodable::bad(name, why)) }
}

/// Accepts an absent field or one of the listed texts.
pub(crate) fn one_of(slot: &Option<Scalar<'_>>, name: &str, known: &[&str]) -> Result<(), Undecodable> {
    match slot {
        None => Ok(()),
        Some(value) if known.contains(&value.text(name)?) => Ok(()),
        Some(_) => Err(Undecodable::bad(name, format!("is not one of: {}", known.join(", ")))),
    }
}

/// Accepts an absent field or a decimal.
pub(crate) fn decimal_if_there(slot: &Option<Scalar<'_>>, name: &str) -> Result<(), Undecodable> {
    optional(slot, |value| value.decimal(name)).map(|_| ())
}

/// Accepts an absent field or a boolean.
pub(crate) fn flag_if_there(slot: &Option<Scalar<'_>>, name: &str) -> Result<Option<bool>, Undecodable> {
    optional(slot, |value| value.flag(name))
}

/// Accepts an absent field or a whole number.
pub(crate) fn whole_if_there(slot: &Option<Scalar<'_>>, name: &str) -> Result<Option<u64>, Undecodable> {
    optional(slot, |value| value.whole(name))
}

pub(crate) fn price(slot: &Option<Scalar<'_>>, name: &str) -> Result<Option<Price>, Undecodable> {
    optional(slot, |value| Price::new(value.decimal(name)?).map_err(|error| Undecodable::value(name, error)))
}

pub(crate) fn quantity(slot: &Option<Scalar<'_>>, name: &str) -> Result<Option<Quantity>, Undecodable> {
    optional(slot, |value| {
        Quantity::new(value.decimal(name)?).map_err(|error| Undecodable::value(name, error))
    })
}

pub(crate) fn notional(slot: &Option<Scalar<'_>>, name: &str) -> Result<Option<Notional>, Undecodable> {
    optional(slot, |value| {
        Notional::new(value.decimal(name)?).map_err(|error| Undecodable::value(name, error))
    })
}

/// The side, written with the venue's own two words.
pub(crate) fn side(
    slot: &Option<Scalar<'_>>,
    buy: &[&str],
    sell: &[&str],
) -> Result<Option<Side>, Undecodable> {
    optional(slot, |value| {
        let text = value.text("side")?;
        if buy.contains(&text) {
            Ok(Side::Buy)
        } else if sell.contains(&text) {
            Ok(Side::Sell)
        } else {
            Err(Undecodable::bad("side", format!("is neither `{}` nor `{}`", buy[0], sell[0])))
        }
    })
}

pub(crate) fn instrument(venue: Venue, market: Market, symbol: &str) -> Result<Instrument, Undecodable> {
    let symbol = Symbol::new(symbol).map_err(|error| Undecodable::name("symbol", &error))?;
    Ok(Instrument { venue, market, symbol })
}

pub(crate) fn client_order_id(
    slot: &Option<Scalar<'_>>,
    name: &str,
) -> Result<Option<ClientOrderId>, Undecodable> {
    optional(slot, |value| {
        ClientOrderId::new(value.text(name)?).map_err(|error| Undecodable::name(name, &error))
    })
}

pub(crate) fn venue_order_id(
    slot: &Option<Scalar<'_>>,
    name: &str,
) -> Result<Option<VenueOrderId>, Undecodable> {
    optional(slot, |value| {
        VenueOrderId::new(value.text(name)?).map_err(|error| Undecodable::name(name, &error))
    })
}

/// Which order is meant, named by the venue's id, the client's, or both.
pub(crate) fn order_reference(
    venue: Option<VenueOrderId>,
    client: Option<ClientOrderId>,
    missing: &'static str,
) -> Result<OrderReference, Undecodable> {
    match (venue, client) {
        (Some(venue), Some(client)) => Ok(OrderReference::Both { client, venue }),
        (Some(venue), None) => Ok(OrderReference::Venue(venue)),
        (None, Some(client)) => Ok(OrderReference::Client(client)),
        (None, None) => Err(Undecodable::MissingField(missing)),
    }
}
