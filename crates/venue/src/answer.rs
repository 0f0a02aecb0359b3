//! A venue's answer, read strictly: what is asked for is there and well formed, or it is an error
//! that names it.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{Decimal, Timestamp, Venue};

use crate::json::{self, Value};

/// Longest answer that is read, in bytes; a full page of any endpoint asked here is below 2 MiB.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Longest text of the venue's that is kept in an error.
const MAX_WORDS: usize = 200;

/// What a refusal is about, as far as it changes what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Too many requests: wait, then ask again.
    RateLimited,
    /// The timestamp is outside the venue's window: compare clocks.
    Clock,
    /// The key is not known, or not any more. Binance has one code for this, a wrong address and a
    /// missing permission (`-2015`); it counts as this.
    Key,
    /// The key is bound to other addresses.
    Address,
    /// The key may not do this.
    Permission,
    /// Anything else.
    Other,
}

/// The venue said no, in words it documents as such: nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("the venue refused with {code}: {message}")]
pub struct Refusal {
    /// What it is about.
    pub why: Why,
    /// The venue's code, or `HTTP` and the status.
    pub code: Box<str>,
    /// The venue's words, shortened.
    pub message: Box<str>,
}

/// Why an answer is not whole, and so is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Incomplete {
    /// The venue refused to answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The venue failed, or nothing can be made of what it sent.
    #[error("no readable answer: {0}")]
    Unreadable(Box<str>),
    /// A field is not there.
    #[error("`{0}` is missing")]
    Missing(Box<str>),
    /// A field is there and is not what it must be.
    #[error("`{field}` {problem}")]
    Bad {
        /// Its name.
        field: Box<str>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A word that is not in the documentation this was written from; its meaning is not guessed.
    #[error("`{field}` has the unknown word `{word}`")]
    UnknownWord {
        /// Its name.
        field: &'static str,
        /// The word, shortened.
        word: Box<str>,
    },
    /// More than the bounded number of pages, or a page that ends where the venue tells no next one.
    #[error("there is more than can be read: ask for a shorter time")]
    TooMuch,
    /// A cursor came a second time.
    #[error("the venue's pages go round in a circle")]
    Circle,
    /// Two parts of an account do not fit together, because something happened between them.
    #[error("the parts were read at different states of the account: `{0}` differs")]
    Disagree(&'static str),
    /// Something held has no price in the currency of account.
    #[error("there is no price for {0}")]
    NoPrice(Box<str>),
}

impl Incomplete {
    pub(crate) fn bad(field: &str, problem: &'static str) -> Self {
        Self::Bad { field: field.into(), problem }
    }

    pub(crate) fn unknown(field: &'static str, word: &str) -> Self {
        Self::UnknownWord { field, word: shortened(word) }
    }

    /// Whether asking again later can help without anyone changing anything.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.why, Why::RateLimited),
            Self::Unreadable(_) | Self::Disagree(_) | Self::NoPrice(_) | Self::Circle => true,
            _ => false,
        }
    }
}

/// What came back, before anyone looks for anything in it.
pub(crate) enum Heard<'a> {
    /// The venue says it did what was asked.
    Answer(Value<'a>),
    /// The venue says it did not.
    Refused(Refusal),
    /// Nobody knows.
    Unclear(Box<str>),
}

/// Sorts an answer by status and code.
pub(crate) fn hear(venue: Venue, status: u16, body: &str) -> Heard<'_> {
    if body.len() > MAX_ANSWER {
        return Heard::Unclear("the answer is too long".into());
    }
    if status >= 500 {
        return Heard::Unclear(format!("HTTP {status}").into());
    }
    // 429 and Binance's 418 come before anything is done, also without a body that can be read; Bybit
    // says 403 when an address asks too often (v5 guide, "Rate Limit").
    if matches!(status, 429 | 418) || (status == 403 && venue == Venue::Bybit) {
        return Heard::Refused(Refusal {
            why: Why::RateLimited,
            code: format!("HTTP {status}").into(),
            message: shortened(body),
        });
    }
    let value = match json::parse(body) {
        Ok(value) => value,
        Err(error) => return Heard::Unclear(format!("HTTP {status}, the body {error}").into()),
    };
    let (code, words, fine, unsure): (_, _, _, &[&str]) = match venue {
        Venue::Bybit => {
            let Some(code) = value.get("retCode").and_then(Value::as_text) else {
                return Heard::Unclear("`retCode` is missing".into());
            };
            (code, "retMsg", code == "0", &crate::bybit::reply::UNKNOWN)
        }
        Venue::Binance => {
            let code = value.get("code").and_then(Value::as_text);
            (
                code.unwrap_or("200"),
                "msg",
                code.is_none_or(|code| code == "200"),
                &crate::binance::reply::UNKNOWN,
            )
        }
    };
    if unsure.contains(&code) {
        return Heard::Unclear(code.into());
    }
    if fine && status == 200 {
        return Heard::Answer(value);
    }
    if fine {
        return Heard::Unclear(format!("HTTP {status} without a code").into());
    }
    let message = value.get(words).and_then(Value::as_text).unwrap_or_default();
    Heard::Refused(Refusal { why: why(venue, code), code: shortened(code), message: shortened(message) })
}

/// The venues' error code pages, November 2026.
fn why(venue: Venue, code: &str) -> Why {
    match (venue, code) {
        (Venue::Bybit, "10006" | "10018") | (Venue::Binance, "-1003" | "-1015" | "-1034") => Why::RateLimited,
        (Venue::Bybit, "10002") | (Venue::Binance, "-1021") => Why::Clock,
        (Venue::Bybit, "10003" | "33004" | "-2015") | (Venue::Binance, "-2008" | "-2014" | "-2015") => {
            Why::Key
        }
        (Venue::Bybit, "10010") => Why::Address,
        (Venue::Bybit, "10005") | (Venue::Binance, "-1002") => Why::Permission,
        _ => Why::Other,
    }
}

/// The value of an answer that must be there.
pub(crate) fn value(venue: Venue, status: u16, body: &str) -> Result<Value<'_>, Incomplete> {
    match hear(venue, status, body) {
        Heard::Answer(value) => Ok(value),
        Heard::Refused(refusal) => Err(refusal.into()),
        Heard::Unclear(words) => Err(Incomplete::Unreadable(words)),
    }
}

/// At most [`MAX_WORDS`] bytes of a venue's text, without control characters.
pub(crate) fn shortened(text: &str) -> Box<str> {
    let mut out = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if out.len() + character.len_utf8() > MAX_WORDS {
            break;
        }
        out.push(character);
    }
    out.into()
}

/// One object of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Row<'v, 'a>(pub(crate) &'v Value<'a>);

impl<'v, 'a> Row<'v, 'a> {
    pub(crate) fn get(self, name: &str) -> Result<&'v Value<'a>, Incomplete> {
        self.0.get(name).ok_or_else(|| Incomplete::Missing(name.into()))
    }

    pub(crate) fn row(self, name: &str) -> Result<Self, Incomplete> {
        match self.get(name)? {
            value @ Value::Object(_) => Ok(Self(value)),
            _ => Err(Incomplete::bad(name, "is not an object")),
        }
    }

    pub(crate) fn rows(self, name: &str) -> Result<impl Iterator<Item = Self>, Incomplete> {
        rows(self.get(name)?, name)
    }

    /// A text or the text of a number.
    pub(crate) fn text(self, name: &str) -> Result<&'v str, Incomplete> {
        self.get(name)?.as_text().ok_or_else(|| Incomplete::bad(name, "is not a text"))
    }

    /// A text that says something.
    pub(crate) fn word(self, name: &str) -> Result<&'v str, Incomplete> {
        match self.text(name)? {
            "" => Err(Incomplete::bad(name, "is empty")),
            text => Ok(text),
        }
    }

    pub(crate) fn decimal(self, name: &str) -> Result<Decimal, Incomplete> {
        self.text(name)?
            .parse()
            .map_err(|_| Incomplete::bad(name, "is not a decimal that can be held exactly"))
    }

    pub(crate) fn flag(self, name: &str) -> Result<bool, Incomplete> {
        match self.get(name)? {
            Value::Bool(value) => Ok(*value),
            Value::Text(text) if text == "true" => Ok(true),
            Value::Text(text) if text == "false" => Ok(false),
            _ => Err(Incomplete::bad(name, "is neither true nor false")),
        }
    }

    /// Milliseconds since 1970; zero is no time.
    pub(crate) fn time(self, name: &str) -> Result<Timestamp, Incomplete> {
        match crate::unsigned::read_whole(self.text(name)?) {
            Some(ms) if ms > 0 => Ok(Timestamp::from_ms(ms)),
            _ => Err(Incomplete::bad(name, "is not a time in milliseconds")),
        }
    }
}

/// The objects of a list.
pub(crate) fn rows<'v, 'a>(
    value: &'v Value<'a>,
    name: &str,
) -> Result<impl Iterator<Item = Row<'v, 'a>> + use<'v, 'a>, Incomplete> {
    let values = value.as_array().ok_or_else(|| Incomplete::bad(name, "is not a list"))?;
    if values.iter().any(|value| !matches!(value, Value::Object(_))) {
        return Err(Incomplete::bad(name, "has an element that is no object"));
    }
    Ok(values.iter().map(Row))
}

/// The exact sum, or an error that names the field.
pub(crate) fn sum(left: Decimal, right: Decimal, field: &'static str) -> Result<Decimal, Incomplete> {
    left.checked_add(right).ok_or_else(|| Incomplete::bad(field, "is too large"))
}

/// The exact product, or an error that names the field.
pub(crate) fn product(left: Decimal, right: Decimal, field: &'static str) -> Result<Decimal, Incomplete> {
    left.checked_mul(right).ok_or_else(|| Incomplete::bad(field, "has more digits than can be held exactly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(venue: Venue, status: u16, body: &str) -> String {
        match hear(venue, status, body) {
            Heard::Answer(_) => "answer".to_owned(),
            Heard::Refused(refusal) => format!("{:?}", refusal.why),
            Heard::Unclear(_) => "unclear".to_owned(),
        }
    }

    #[test]
    fn what_is_not_understood_is_unclear_and_never_an_answer() {
        for (status, body, expected) in [
            (200, r#"{"retCode":0,"result":{}}"#, "answer"),
            (200, r#"{"retCode":10003,"retMsg":"API key is invalid."}"#, "Key"),
            (200, r#"{"retCode":10006}"#, "RateLimited"),
            (200, r#"{"retCode":10016}"#, "unclear"),
            (200, r#"{"result":{}}"#, "unclear"),
            (200, "", "unclear"),
            (403, "<html>", "RateLimited"),
            (502, r#"{"retCode":0}"#, "unclear"),
            (202, r#"{"retCode":0}"#, "unclear"),
        ] {
            assert_eq!(kind(Venue::Bybit, status, body), expected, "{status} {body}");
        }
        for (status, body, expected) in [
            (200, "[]", "answer"),
            (200, r#"{"code":200,"msg":"done"}"#, "answer"),
            (401, r#"{"code":-2015,"msg":"x"}"#, "Key"),
            (200, r#"{"code":-2011,"msg":"x"}"#, "Other"),
            (400, r#"{"code":-1021,"msg":"x"}"#, "Clock"),
            (418, "", "RateLimited"),
            (408, r#"{"code":-1007,"msg":"x"}"#, "unclear"),
            (503, r#"{"code":-1001}"#, "unclear"),
            (403, "<html>", "unclear"),
            (400, "{}", "unclear"),
        ] {
            assert_eq!(kind(Venue::Binance, status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn words_of_a_venue_are_bounded() {
        assert_eq!(shortened(&"é\n".repeat(500)).len(), MAX_WORDS);
    }
}
