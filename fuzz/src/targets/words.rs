//! Numbers and names.

use trading::{AccountName, BotName, ClientOrderId, Decimal, Instrument, Symbol, VenueOrderId};

use crate::engine::{Attacked, both, shape};

/// A number: read exactly or not at all. Judged by digits on paper.
pub(crate) fn decimals() -> Attacked {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        let value: Decimal = match text.parse() {
            Ok(value) => value,
            Err(error) => return shape(&format!("{error}")),
        };
        assert_eq!(on_paper(&value.to_string()), on_paper(text), "{text:?} was read as {value}");
        assert_eq!(value.to_string().parse(), Ok(value));
        let negated = value.negated().expect("as many digits");
        assert_eq!(value.checked_add(negated), Some(Decimal::ZERO));
        assert_eq!(value.checked_abs().map(Decimal::is_negative), Some(false));
        if let Some(twice) = value.checked_add(value) {
            assert_eq!(twice.checked_sub(value), Some(value));
            assert_eq!(Decimal::from_integer(2).checked_mul(value), Some(twice));
        }
        both(u64::from(value.scale()), value.mantissa().unsigned_abs().checked_ilog10().unwrap_or(0).into())
    })
}

/// Sign, digits without zeros around them, and the power of ten of the last digit.
pub(super) fn on_paper(text: &str) -> (bool, String, i64) {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().expect("a power of ten");
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{part}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty(), "{text:?} is no number");
    let places = i64::try_from(part.len()).expect("short");
    let short = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - short.len()).expect("short");
    let short = short.trim_start_matches('0').to_owned();
    if short.is_empty() { (false, short, 0) } else { (negative, short, exponent - places + dropped) }
}

/// Names and ids of every kind.
pub(crate) fn names() -> Attacked {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        let mut behaviour = 0;
        let mut note = |read: Option<String>| {
            if let Some(read) = &read {
                assert_eq!(read, text, "a name changed");
                assert!(!read.contains(['\n', '\r', '\0']), "a name with a control character");
            }
            behaviour = both(behaviour, u64::from(read.is_some()));
        };
        note(text.parse::<Instrument>().ok().map(|name| name.to_string()));
        note(text.parse::<BotName>().ok().map(|name| name.to_string()));
        note(text.parse::<AccountName>().ok().map(|name| name.to_string()));
        note(Symbol::new(text).ok().map(|name| name.as_str().to_owned()));
        note(ClientOrderId::new(text).ok().map(|name| name.as_str().to_owned()));
        note(VenueOrderId::new(text).ok().map(|name| name.as_str().to_owned()));
        both(behaviour, text.len().min(80) as u64)
    })
}
