//! What a policy says, as plain values: for the canonical bytes and for comparing two policies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use minicbor::Encoder;
use trading::Decimal;

use crate::hours::Hours;

/// The value of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Count(u64),
    Amount(Decimal),
    Flag(bool),
    Word(String),
    Words(BTreeSet<String>),
    Hours(Hours),
}

impl Value {
    pub(crate) fn words<T: ToString>(words: impl IntoIterator<Item = T>) -> Self {
        Self::Words(words.into_iter().map(|word| word.to_string()).collect())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(formatter),
            Self::Amount(amount) => amount.fmt(formatter),
            Self::Flag(flag) => flag.fmt(formatter),
            Self::Hours(hours) => hours.fmt(formatter),
            Self::Word(word) => formatter.write_str(word),
            Self::Words(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                write!(formatter, "[{}]", words.join(", "))
            }
        }
    }
}

/// The path of a field: its tables' names and its own.
pub(crate) type Path = Vec<String>;

/// Deterministic CBOR (RFC 8949 §4.2.1) of a flat list of fields: one map from path to value,
/// keys in the order of their encoded bytes. Decimals are text in lowest terms.
pub(crate) fn canonical(fields: &BTreeMap<Path, Value>) -> Vec<u8> {
    let mut entries: Vec<(Vec<u8>, &Value)> =
        fields.iter().map(|(path, value)| (encoded_path(path), value)).collect();
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    let mut bytes = encoded(|encoder| encoder.map(length(entries.len())).map(drop));
    for (path, value) in entries {
        bytes.extend_from_slice(&path);
        bytes.extend_from_slice(&encoded_value(value));
    }
    bytes
}

fn encoded_path(path: &Path) -> Vec<u8> {
    encoded(|encoder| {
        encoder.array(length(path.len()))?;
        path.iter().try_for_each(|part| encoder.str(part).map(drop))
    })
}

fn encoded_value(value: &Value) -> Vec<u8> {
    encoded(|encoder| match value {
        Value::Count(count) => encoder.u64(*count).map(drop),
        Value::Amount(amount) => encoder.str(&amount.to_string()).map(drop),
        Value::Flag(flag) => encoder.bool(*flag).map(drop),
        Value::Hours(hours) => encoder.str(&hours.to_string()).map(drop),
        Value::Word(word) => encoder.str(word).map(drop),
        Value::Words(words) => {
            encoder.array(length(words.len()))?;
            words.iter().try_for_each(|word| encoder.str(word).map(drop))
        }
    })
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn encoded(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder).expect("writing to memory cannot fail");
    encoder.into_writer()
}

fn length(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_standard() {
        let fields = BTreeMap::from([
            (vec!["b".to_owned()], Value::Count(1)),
            (vec!["a".to_owned(), "c".to_owned()], Value::Flag(true)),
        ]);
        // {["b"]: 1, ["a", "c"]: true}: the shorter array sorts first by its head byte.
        assert_eq!(canonical(&fields), [0xa2, 0x81, 0x61, b'b', 0x01, 0x82, 0x61, b'a', 0x61, b'c', 0xf5]);
    }
}
