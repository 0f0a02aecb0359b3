//! ECDSA signatures in DER (RFC 3279 §2.2.3), in their one form.

use thiserror::Error;

/// Why bytes are not the DER form of an ECDSA signature over a 256-bit curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not the DER form of two positive numbers of at most 256 bits")]
pub(crate) struct DerError;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// Returns `r` and `s`, 32 bytes each, big-endian.
///
/// Lengths are below 128 for these numbers, so the long form is never the shortest and is refused,
/// as are negative numbers, needless zeroes, zero itself and anything behind the end.
pub(crate) fn fixed_signature(der: &[u8]) -> Result<[u8; 64], DerError> {
    let (inner, []) = element(SEQUENCE, der)? else { return Err(DerError) };
    let (r, rest) = element(INTEGER, inner)?;
    let (s, []) = element(INTEGER, rest)? else { return Err(DerError) };
    let mut fixed = [0; 64];
    put(r, &mut fixed[..32])?;
    put(s, &mut fixed[32..])?;
    Ok(fixed)
}

fn element(tag: u8, input: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let [found, length, rest @ ..] = input else { return Err(DerError) };
    if *found != tag || *length > 127 {
        return Err(DerError);
    }
    rest.split_at_checked(usize::from(*length)).ok_or(DerError)
}

fn put(number: &[u8], field: &mut [u8]) -> Result<(), DerError> {
    let digits = match number {
        [] | [0] => return Err(DerError),
        [first, ..] if *first >= 0x80 => return Err(DerError),
        [0, next, ..] if *next < 0x80 => return Err(DerError),
        [0, digits @ ..] => digits,
        digits => digits,
    };
    let start = field.len().checked_sub(digits.len()).ok_or(DerError)?;
    field[start..].copy_from_slice(digits);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, DerError> {
        fixed_signature(&hex::decode(text).expect("hex")).map(hex::encode)
    }

    #[test]
    fn short_numbers_are_filled_up() {
        let filled = |last: &str| format!("{}{last}", "00".repeat(32 - last.len() / 2));
        assert_eq!(read("3006020101020102"), Ok(filled("01") + &filled("02")));
        assert_eq!(read("300702017f02020080"), Ok(filled("7f") + &filled("80")));
        let widest = format!("3046022100{0}022100{0}", "ff".repeat(32));
        assert_eq!(read(&widest), Ok("ff".repeat(64)));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in [
            "",
            "30",
            "3000",
            "3106020101020102",     // another tag
            "3006020101030102",     // another tag inside
            "308106020101020102",   // long form of a short length
            "30800201010201020000", // indefinite length
            "300602010102010200",   // bytes behind the end
            "3007020101020102ff",   // bytes behind the numbers
            "30050201010201",       // a length that leads out
            "3006020101020180",     // negative
            "3006020100020102",     // zero
            "300702020001020102",   // a needless zero
            "30050200020102",       // a number without digits
            "3003020101",           // one number
        ] {
            assert_eq!(read(text), Err(DerError), "{text}");
        }
        let long = format!("3047022101{0}022100{0}", "00".repeat(32));
        assert_eq!(read(&long), Err(DerError), "257 bits");
    }
}
