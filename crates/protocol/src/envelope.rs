//! Who a line is about, as far as that can be read before anything else is.
//!
//! A line that is an object with mistakes in it was still asked by somebody, and the answer is a
//! denial in the log. So the names are read on their own first, leniently; nothing is decided by them
//! that [`crate::sign::SignLine`] does not read again.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use trading::{AccountName, BotName, Venue};

/// What a line says of itself. A name that is missing, there twice or not one is absent.
#[derive(Debug, Default)]
pub struct Envelope<'a> {
    /// To be echoed.
    pub id: Option<&'a RawValue>,
    /// Which bot asks.
    pub bot: Option<BotName>,
    /// For which account.
    pub account: Option<AccountName>,
    /// On which venue.
    pub venue: Option<Venue>,
}

impl<'a> Envelope<'a> {
    /// Reads `line`, which must be one JSON object.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or not an object.
    pub fn read(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("one JSON object in a line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let (mut id, mut bot, mut account, mut venue) =
            (Once::Absent, Once::Absent, Once::Absent, Once::Absent);
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "id" => id.take(map.next_value()?),
                "bot" => bot.take(map.next_value()?),
                "account" => account.take(map.next_value()?),
                "venue" => venue.take(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Envelope {
            id: id.value(),
            bot: bot.value().and_then(read),
            account: account.value().and_then(read),
            venue: venue.value().and_then(read),
        })
    }
}

/// A key, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// A member that may be there once.
enum Once<'a> {
    Absent,
    There(&'a RawValue),
    Twice,
}

impl<'a> Once<'a> {
    const fn take(&mut self, value: &'a RawValue) {
        *self = match self {
            Self::Absent => Self::There(value),
            Self::There(_) | Self::Twice => Self::Twice,
        };
    }

    const fn value(self) -> Option<&'a RawValue> {
        match self {
            Self::There(value) => Some(value),
            Self::Absent | Self::Twice => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, id: Option<&str>, bot: Option<&str>, account: Option<&str>) {
        let read = Envelope::read(line.as_bytes()).expect(line);
        assert_eq!(read.id.map(RawValue::get), id, "{line}");
        assert_eq!(read.bot.as_ref().map(BotName::as_str), bot, "{line}");
        assert_eq!(read.account.as_ref().map(AccountName::as_str), account, "{line}");
    }

    #[test]
    fn names_are_read_whatever_else_is_wrong() {
        check(r#"{"id":7,"bot":"a","place":{"x":1,"x":2},"y":null,"y":0}"#, Some("7"), Some("a"), None);
        check(r#"{"id":[1,"z"],"account":"main","bot":5}"#, Some(r#"[1,"z"]"#), None, Some("main"));
        check(r#"{"bot":"a","bot":"b","account":"main"}"#, None, None, Some("main"));
        check(r#"{"b\u006ft":"a","bot":"b"}"#, None, None, None);
        check("{}", None, None, None);
    }

    #[test]
    fn only_an_object_is_a_line() {
        for line in
            ["", "nonsense", "[]", r#"["a"]"#, "7", "null", r#"{"a":}"#, r#"{"a":1} {"b":2}"#, "{\"a\":1"]
        {
            assert!(Envelope::read(line.as_bytes()).is_err(), "{line}");
        }
    }
}
