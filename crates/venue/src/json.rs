//! A strict JSON reader (RFC 8259) that keeps number text and refuses duplicate keys.
//!
//! Ours because three things are needed together: the exact text of a number (never a float), an
//! error for a key that is there twice at any depth, and slices into the input so that two values
//! of a stream message can be replaced without touching another byte.

use std::borrow::Cow;

use thiserror::Error;

/// Deepest nesting of arrays and objects.
const MAX_DEPTH: usize = 16;
/// Most keys of one object; keeps the search for duplicates short.
const MAX_KEYS: usize = 256;

/// One value, borrowed from the text where it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The number as written.
    Number(&'a str),
    /// The text with its escapes resolved; borrowed exactly if it had none.
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// Keys and values in the order in which they stand.
pub(crate) type Object<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// Why a text is not JSON that we accept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum JsonError {
    #[error("is not JSON (at byte {0})")]
    Syntax(usize),
    #[error("has the key `{0}` twice")]
    Duplicate(Box<str>),
    #[error("is nested too deep or has too many keys")]
    TooBig,
}

impl<'a> Value<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        match self {
            Self::Object(object) => object.iter().find(|(have, _)| have == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string or number.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }
}

/// Reads one value and nothing behind it but white space.
pub(crate) fn parse(text: &str) -> Result<Value<'_>, JsonError> {
    Reader { text, bytes: text.as_bytes(), at: 0, takes_duplicates: false }.whole()
}

/// As [`parse`], but keeps keys that are there twice. Only for what is refused anyway, to say of what
/// the refusal is.
pub(crate) fn parse_with_duplicates(text: &str) -> Result<Value<'_>, JsonError> {
    Reader { text, bytes: text.as_bytes(), at: 0, takes_duplicates: true }.whole()
}

/// A message's id as JSON text: a number or a string; anything else is as good as none.
pub(crate) fn id_text(value: &Value<'_>) -> String {
    match value {
        Value::Number(text) => (*text).to_owned(),
        Value::Text(text) => {
            let mut out = String::new();
            write_string(&mut out, text);
            out
        }
        _ => "null".to_owned(),
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    takes_duplicates: bool,
}

impl<'a> Reader<'a> {
    fn whole(mut self) -> Result<Value<'a>, JsonError> {
        let value = self.value(0)?;
        self.skip_space();
        if self.at == self.bytes.len() { Ok(value) } else { Err(self.syntax()) }
    }

    const fn syntax(&self) -> JsonError {
        JsonError::Syntax(self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooBig);
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.syntax()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.at += 1;
        let mut object = Object::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(object));
        }
        object.reserve(16);
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax());
            }
            let key = self.string()?;
            if !self.takes_duplicates && object.iter().any(|(have, _)| *have == key) {
                return Err(JsonError::Duplicate(key.into()));
            }
            if object.len() == MAX_KEYS {
                return Err(JsonError::TooBig);
            }
            self.skip_space();
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            object.push((key, value));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(object));
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.at += 1;
        let mut values = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(values));
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(&self.text[start..self.at]))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped_string(start),
                Some(0x20..) => self.at += 1,
                _ => return Err(self.syntax()),
            }
        }
    }

    /// Goes on with a string whose first escape stands at the current place.
    fn escaped_string(&mut self, start: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut text = self.text[start..self.at].to_owned();
        loop {
            let plain = self.at;
            while matches!(self.peek(), Some(byte) if byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            text.push_str(&self.text[plain..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let byte = self.peek().ok_or_else(|| self.syntax())?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.syntax()),
        })
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.four_hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.syntax());
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let second = self.four_hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(self.syntax());
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(|| self.syntax())
    }

    fn four_hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            value = value << 4 | digit.ok_or_else(|| self.syntax())?;
            self.at += 1;
        }
        Ok(value)
    }
}

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                out.push_str("\\u00");
                for digit in [u32::from(control) >> 4, u32::from(control) & 15] {
                    out.push(char::from_digit(digit, 16).expect("a nibble is a hex digit"));
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_number_text_and_order() {
        let Ok(Value::Object(object)) = parse(r#" {"b":0.50,"a":[1e-8,true,null,"x\u00e9\ud83d\ude00"]} "#)
        else {
            panic!("an object")
        };
        assert_eq!(object[0], ("b".into(), Value::Number("0.50")));
        let Value::Array(values) = &object[1].1 else { panic!("an array") };
        assert_eq!(values[0], Value::Number("1e-8"));
        assert_eq!(values[3], Value::Text("xé😀".into()));
    }

    #[test]
    fn refuses_a_duplicate_key_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(parse(text), Err(JsonError::Duplicate("a".into())), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            "{",
            "{}x",
            "{'a':1}",
            "{\"a\":01}",
            "[1,]",
            "{\"a\":1,}",
            "+1",
            "1.",
            ".5",
            "NaN",
            "tru",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "\"a",
            "-",
            "1e",
            "[1 2]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&"[".repeat(40)), Err(JsonError::TooBig));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(text in any::<String>()) {
            let mut out = String::new();
            write_string(&mut out, &text);
            prop_assert_eq!(parse(&out), Ok(Value::Text(text.into())));
        }

        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{},:\"\\\\0-9a-f.eE+\\- tru]{0,24}") {
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
            match parse(&text) {
                Ok(_) => prop_assert!(theirs.is_ok(), "{}", text),
                Err(JsonError::Syntax(_)) => prop_assert!(theirs.is_err(), "{}", text),
                Err(_) => {}
            }
        }
    }
}
