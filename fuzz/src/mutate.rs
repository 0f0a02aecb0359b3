//! What becomes of an input: bytes damaged blindly, and words exchanged, doubled and nested the way
//! somebody who knows the formats would.

use std::ops::Range;

use crate::random::Random;

/// Longest input, in bytes: a little over the longest line and body that anything here takes.
pub(crate) const MAX_INPUT: usize = 80 * 1024;
/// Most changes made to one input.
const MOST_CHANGES: usize = 6;

/// Words that parsers stumble over.
const HOSTILE: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "-0",
    "-0.0",
    "0",
    "0.0",
    "1e400",
    "1E-400",
    "1e-8",
    "1e+2",
    "1e",
    ".5",
    "5.",
    "-.",
    "0x10",
    "00.1",
    "+1",
    "1_000",
    "1,5",
    "９",
    "٣",
    "1e999999999",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "170141183460469231731687303715884105728",
    "1234567890123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890",
    "0.0000000000000000000000000000000000000001",
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\\u0042",
    "\\u0062tcusdt",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "BTCUSDТ",
    "ВTCUSDT",
    "btcusdt",
    "BTCUSDT ",
    "ＢＴＣＵＳＤＴ",
    "BTC\u{200b}USDT",
    "BTCUSDT%00",
    "%",
    "%2",
    "%zz",
    "%26quantity%3D9",
    "%2500",
    "&",
    "&&",
    "=",
    "==",
    "&quantity=9",
    "+",
    "%20",
    ";",
    "#",
    "?",
    "/../",
    "//",
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\r\n\r\n",
    ":",
    ",",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "—",
    "= ",
    "''",
    "\"\"\"",
    "Transfer-Encoding: chunked",
    "Content-Length: 0",
    "X-MBX-APIKEY: x",
    "X-BAPI-SIGN: 00",
    "X-BAPI-TIMESTAMP: 1",
    "symbol",
    "quantity",
    "qty",
    "price",
    "side",
    "SELL",
    "Sell",
    "BUY",
    "withdraw",
    "reduceOnly",
    "category",
    "spot",
    "linear",
    "inverse",
    "option",
    "timestamp",
    "recvWindow",
    "signature",
    "orderLinkId",
    "newClientOrderId",
];

/// Damages `input` in one to six places. `others` lend pieces.
pub(crate) fn mutate(random: &mut Random, input: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=random.below(MOST_CHANGES) {
        change(random, input, others);
    }
    input.truncate(MAX_INPUT);
}

fn change(random: &mut Random, input: &mut Vec<u8>, others: &[Vec<u8>]) {
    let other = random.pick(others).map_or(&[][..], Vec::as_slice);
    match random.below(16) {
        0 => flip(random, input),
        1 => {
            let (at, byte) = (random.below(input.len() + 1), random.byte());
            input.insert(at, byte);
        }
        2 => drop(input.drain(span(random, input.len()))),
        3 => input.truncate(random.below(input.len() + 1)),
        4 => double(random, input),
        5 => nest(random, input),
        6 => splice(random, input, other),
        7 | 8 => exchange(random, input, other),
        9 => remove_word(random, input),
        10 => double_word(random, input),
        11 => swap_words(random, input),
        12 => number(random, input),
        _ => plant(random, input),
    }
}

fn flip(random: &mut Random, input: &mut [u8]) {
    let at = random.below(input.len());
    let bit = 1_u8 << random.below(8);
    if let Some(byte) = input.get_mut(at) {
        *byte = if random.once_in(3) { random.byte() } else { *byte ^ bit };
    }
}

/// A stretch of the input, mostly short.
fn span(random: &mut Random, length: usize) -> Range<usize> {
    let start = random.below(length + 1);
    let most = if random.once_in(4) { length - start } else { (length - start).min(16) };
    start..start + random.below(most + 1)
}

fn double(random: &mut Random, input: &mut Vec<u8>) {
    let piece = input[span(random, input.len())].to_vec();
    let at = random.below(input.len() + 1);
    let times = if random.once_in(8) { 1 + random.below(200) } else { 1 };
    let room = MAX_INPUT.saturating_sub(input.len()) / piece.len().max(1);
    let many = piece.repeat(times.min(room));
    input.splice(at..at, many);
}

/// Opens many brackets, and perhaps closes them.
fn nest(random: &mut Random, input: &mut Vec<u8>) {
    // The last one is CBOR's: an array of one.
    const BRACKETS: [(&[u8], &[u8]); 4] = [(b"[", b"]"), (b"{\"a\":", b"}"), (b"(", b")"), (b"\x81", b"")];
    let (open, close) = BRACKETS[random.below(BRACKETS.len())];
    let most = if random.once_in(8) { 10_000 } else { 40 };
    let depth = 1 + random.below(most);
    let range = span(random, input.len());
    let inner = if random.once_in(2) { input[range.clone()].to_vec() } else { Vec::new() };
    let closing = if random.once_in(3) { 0 } else { depth };
    let nested = [open.repeat(depth), inner, close.repeat(closing)].concat();
    input.splice(range, nested);
    input.truncate(MAX_INPUT);
}

fn splice(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let piece = other[span(random, other.len())].to_vec();
    let range = span(random, input.len());
    input.splice(range, piece);
}

fn plant(random: &mut Random, input: &mut Vec<u8>) {
    let Some(word) = random.pick(HOSTILE) else { return };
    let range = match word_at(random, input) {
        Some(range) if !random.once_in(4) => range,
        _ => {
            let at = random.below(input.len() + 1);
            at..at
        }
    };
    input.splice(range, word.bytes());
}

/// Puts a word of another input where a word was.
fn exchange(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    if let (Some(here), Some(there)) = (word_at(random, input), word_at(random, other)) {
        input.splice(here, other[there].to_vec());
    }
}

fn remove_word(random: &mut Random, input: &mut Vec<u8>) {
    if let Some(range) = word_at(random, input) {
        // With what parts it from the next one.
        let end = (range.end + random.below(3)).min(input.len());
        input.drain(range.start..end);
    }
}

/// Doubles a member, a parameter or a line: from one mark to the next of the same kind.
fn double_word(random: &mut Random, input: &mut Vec<u8>) {
    let mark = *random.pick(b",&\n").unwrap_or(&b',');
    let marks: Vec<usize> =
        input.iter().enumerate().filter(|(_, byte)| **byte == mark).map(|(at, _)| at).collect();
    if marks.is_empty() {
        return;
    }
    let nth = random.below(marks.len());
    let (start, end) = (marks[nth], marks.get(nth + 1).copied().unwrap_or(input.len()));
    let member = input[start..end].to_vec();
    let at = *random.pick(&marks).unwrap_or(&end);
    input.splice(at..at, member);
}

fn swap_words(random: &mut Random, input: &mut Vec<u8>) {
    if let (Some(one), Some(two)) = (word_at(random, input), word_at(random, input)) {
        let (first, second) = if one.start <= two.start { (one, two) } else { (two, one) };
        if first.end <= second.start {
            let (early, late) = (input[first.clone()].to_vec(), input[second.clone()].to_vec());
            input.splice(second, early);
            input.splice(first, late);
        }
    }
}

/// Changes a digit, or makes a number longer.
fn number(random: &mut Random, input: &mut Vec<u8>) {
    let digits: Vec<usize> =
        input.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at).collect();
    let Some(at) = random.pick(&digits).copied() else { return };
    match random.below(4) {
        0 => input[at] = b'0' + u8::try_from(random.below(10)).unwrap_or(0),
        1 => input.insert(at, b'.'),
        2 => drop(input.splice(at..at, *b"-")),
        _ => {
            let zeros = vec![b'0'; 1 + random.below(40)];
            input.splice(at..at, zeros);
        }
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-' | b'_' | b'%')
}

/// Longest word, in bytes either side of where it was found: what is longer is no word.
const LONGEST_WORD: usize = 256;

/// A word somewhere in the input.
fn word_at(random: &mut Random, input: &[u8]) -> Option<Range<usize>> {
    if input.is_empty() {
        return None;
    }
    let from = random.below(input.len());
    let start = from + input[from..].iter().position(|byte| is_word(*byte))?;
    let first = start.saturating_sub(LONGEST_WORD);
    let before =
        input[first..start].iter().rposition(|byte| !is_word(*byte)).map_or(first, |at| first + at + 1);
    let rest = &input[start..input.len().min(start + LONGEST_WORD)];
    let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
    Some(before..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_damages_in_the_same_way_and_within_the_limit() {
        let others =
            vec![b"{\"symbol\":\"BTCUSDT\",\"qty\":\"0.5\"}".to_vec(), b"a=1&b=2".to_vec(), Vec::new()];
        let made = |seed| {
            let mut random = Random::new(seed);
            let mut input = others[0].clone();
            for _ in 0..400 {
                mutate(&mut random, &mut input, &others);
                assert!(input.len() <= MAX_INPUT);
            }
            input
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }

    #[test]
    fn every_input_can_be_damaged_even_none() {
        for seed in 0..2_000 {
            let mut input = Vec::new();
            mutate(&mut Random::new(seed), &mut input, &[]);
        }
    }
}
