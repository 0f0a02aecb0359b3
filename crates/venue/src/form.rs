//! Query and form text: `k=v&k=v`, taken apart without re-encoding it.

use std::borrow::Cow;

/// The pairs of a query or form text in wire order, still percent-encoded; empty pairs are
/// skipped. A pair without `=` has no value.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (pair, None),
    })
}

/// Resolves `%XX` and `+` (a space, as in HTML forms); `None` for a broken escape or bytes that are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    percent_decode(text, true).and_then(|bytes| String::from_utf8(bytes).ok()).map(Cow::Owned)
}

/// Resolves `%XX`, and `+` to a space if asked.
pub(crate) fn percent_decode(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'%' => {
                out.push(escaped(bytes, at)?);
                at += 2;
            }
            b'+' if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    Some(out)
}

/// The byte that the escape starting at `at` stands for.
fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(1)? << 4 | digit(2)?).ok()
}

/// What Python's `requests` leaves alone when it tidies a URL (`requote_uri`): everything else it
/// percent-encodes, after the client has signed.
const fn survives_requoting(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'/' | b':' | b';'
        )
        || matches!(byte, b'=' | b'?' | b'@' | b'[' | b']' | b'~' | b'-' | b'.' | b'_')
}

/// Undoes such tidying: resolves exactly the escapes that it would have made. `None` if the result
/// is not UTF-8.
pub(crate) fn unquote_tidied(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let plain = (byte == b'%').then(|| escaped(bytes, at)).flatten();
        match plain.filter(|plain| !survives_requoting(*plain)) {
            Some(plain) => {
                out.push(plain);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// Appends `text`, percent-encoding all but RFC 3986's unreserved characters.
pub(crate) fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            push_escape(out, byte, false);
        }
    }
}

/// Appends `text` as Python's `quote_plus` writes it: space as `+`, `~` bare.
pub(crate) fn encode_plus_into(out: &mut String, text: &str) {
    for (index, part) in text.split(' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        encode_into(out, part);
    }
}

/// Appends `%XX`.
pub(crate) fn push_escape(out: &mut String, byte: u8, lower_case: bool) {
    let digits = if lower_case { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
    out.push('%');
    out.push(char::from(digits[usize::from(byte >> 4)]));
    out.push(char::from(digits[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_pairs_apart() {
        let all: Vec<_> = pairs("a=1&&b&c=x=y&d=").collect();
        assert_eq!(all, [("a", Some("1")), ("b", None), ("c", Some("x=y")), ("d", Some(""))]);
    }

    #[test]
    fn refuses_broken_escapes() {
        for text in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("x%20y%2Bz+w").as_deref(), Some("x y+z w"));
    }

    #[test]
    fn undoes_the_tidying_of_requests() {
        assert_eq!(unquote_tidied("a=%22x%20y%22&b=%3D%C3%A9").as_deref(), Some("a=\"x y\"&b=%3Dé"));
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in any::<String>()) {
            let mut out = String::new();
            encode_into(&mut out, &text);
            let decoded = decode(&out);
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
        }
    }
}
