//! The subset of deterministic CBOR (RFC 8949 §4.2.1) that records use: unsigned integers, byte and
//! text strings, arrays, and maps with ascending unsigned keys.
//!
//! The reader accepts exactly what the writer writes: shortest integers, definite lengths, keys in
//! ascending order, nothing behind the end. So equal values are equal bytes, and no second spelling
//! of a record exists whose digest would differ.

use thiserror::Error;

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// Why bytes are not the deterministic CBOR that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CborError {
    /// The input ends inside an item.
    #[error("ends too early")]
    Truncated,
    /// Bytes follow the item.
    #[error("has bytes behind its end")]
    Trailing,
    /// An integer or length is not in its shortest form, or a length is indefinite.
    #[error("is not in deterministic form")]
    NotDeterministic,
    /// An item of another type stands here.
    #[error("has an item of an unexpected type")]
    UnexpectedType,
    /// A map key is missing, unknown, repeated or out of order.
    #[error("has a missing, unknown or misplaced key")]
    UnexpectedKey,
    /// A string or list is longer, or a number larger, than its field allows.
    #[error("has a value out of range")]
    OutOfRange,
    /// A text string is not UTF-8.
    #[error("has text that is not UTF-8")]
    NotUtf8,
}

/// Writes deterministic CBOR into a buffer it owns.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Returns an empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    /// The bytes written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Writes an unsigned integer.
    pub fn unsigned(&mut self, value: u64) -> &mut Self {
        self.head(UNSIGNED, value)
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
        self
    }

    /// Writes a text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(TEXT, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
        self
    }

    /// Opens an array; exactly `length` items must follow.
    pub fn array(&mut self, length: usize) -> &mut Self {
        self.head(ARRAY, length as u64)
    }

    /// Opens a map; exactly `length` pairs of key and value must follow, keys ascending.
    pub fn map(&mut self, length: usize) -> &mut Self {
        self.head(MAP, length as u64)
    }

    fn head(&mut self, major: u8, value: u64) -> &mut Self {
        let major = major << 5;
        match value {
            0..=23 => self.out.push(major | value as u8),
            24..=0xff => self.out.extend_from_slice(&[major | 24, value as u8]),
            0x100..=0xffff => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
        self
    }
}

/// Reads deterministic CBOR, refusing every other spelling.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Returns a reader at the start of `input`.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`CborError::Trailing`] if bytes are left.
    pub const fn finish(&self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn unsigned(&mut self) -> Result<u64, CborError> {
        self.head(UNSIGNED)
    }

    /// Reads a byte string of at most `max` bytes.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], CborError> {
        let length = self.length(BYTES, max)?;
        self.take(length)
    }

    /// Reads a byte string of exactly `N` bytes.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn array_of<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes(N)?.try_into().map_err(|_| CborError::OutOfRange)
    }

    /// Reads a text string of at most `max` bytes.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn text(&mut self, max: usize) -> Result<&'a str, CborError> {
        let length = self.length(TEXT, max)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CborError::NotUtf8)
    }

    /// Reads the head of an array of at most `max` items and returns their count.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn array(&mut self, max: usize) -> Result<usize, CborError> {
        self.length(ARRAY, max)
    }

    /// Reads the head of an array of exactly `length` items.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn exact_array(&mut self, length: usize) -> Result<(), CborError> {
        if self.array(length)? == length { Ok(()) } else { Err(CborError::OutOfRange) }
    }

    /// Reads the head of a map of at most `max` pairs.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn map(&mut self, max: usize) -> Result<Fields, CborError> {
        Ok(Fields { left: self.length(MAP, max)?, next: None })
    }

    fn length(&mut self, major: u8, max: usize) -> Result<usize, CborError> {
        let length = usize::try_from(self.head(major)?).map_err(|_| CborError::OutOfRange)?;
        if length <= max { Ok(length) } else { Err(CborError::OutOfRange) }
    }

    fn head(&mut self, major: u8) -> Result<u64, CborError> {
        let first = *self.rest.first().ok_or(CborError::Truncated)?;
        if first >> 5 != major {
            return Err(CborError::UnexpectedType);
        }
        self.rest = &self.rest[1..];
        let (width, least) = match first & 31 {
            short @ 0..=23 => return Ok(u64::from(short)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(CborError::NotDeterministic),
        };
        let value = self.take(width)?.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        if value < least { Err(CborError::NotDeterministic) } else { Ok(value) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CborError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The keys of a map being read: each at most once, ascending, none left over.
#[derive(Debug)]
pub struct Fields {
    left: usize,
    next: Option<u64>,
}

impl Fields {
    /// Reads the next key if it is `key`; says whether it was.
    ///
    /// # Errors
    ///
    /// Any [`CborError`] that fits.
    pub fn optional(&mut self, key: u64, reader: &mut Reader<'_>) -> Result<bool, CborError> {
        if self.next.is_none() && self.left > 0 {
            self.next = Some(reader.unsigned()?);
            self.left -= 1;
        }
        if self.next == Some(key) {
            self.next = None;
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the next key, which must be `key`.
    ///
    /// # Errors
    ///
    /// [`CborError::UnexpectedKey`] if another key or none stands here.
    pub fn required(&mut self, key: u64, reader: &mut Reader<'_>) -> Result<(), CborError> {
        if self.optional(key, reader)? { Ok(()) } else { Err(CborError::UnexpectedKey) }
    }

    /// Ends the map.
    ///
    /// # Errors
    ///
    /// [`CborError::UnexpectedKey`] if a pair is left.
    pub const fn finish(&self) -> Result<(), CborError> {
        if self.left == 0 && self.next.is_none() { Ok(()) } else { Err(CborError::UnexpectedKey) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_follow_the_standard() {
        // RFC 8949 appendix A.
        for (value, expected) in [
            (0, "00"),
            (23, "17"),
            (24, "1818"),
            (100, "1864"),
            (1000, "1903e8"),
            (1_000_000, "1a000f4240"),
            (1_000_000_000_000, "1b000000e8d4a51000"),
            (u64::MAX, "1bffffffffffffffff"),
        ] {
            let mut writer = Writer::default();
            writer.unsigned(value);
            let bytes = writer.finish();
            assert_eq!(hex::encode(&bytes), expected);
            assert_eq!(Reader::new(&bytes).unsigned(), Ok(value));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for (text, error) in [
            ("1817", CborError::NotDeterministic),
            ("190018", CborError::NotDeterministic),
            ("1a0000ffff", CborError::NotDeterministic),
            ("1b00000000ffffffff", CborError::NotDeterministic),
            ("1f", CborError::NotDeterministic),
            ("18", CborError::Truncated),
            ("", CborError::Truncated),
            ("20", CborError::UnexpectedType),
        ] {
            let bytes = hex::decode(text).expect("hex");
            assert_eq!(Reader::new(&bytes).unsigned(), Err(error), "{text}");
        }
        assert_eq!(Reader::new(&[0x5f, 0xff]).bytes(9), Err(CborError::NotDeterministic));
        assert_eq!(Reader::new(&[0x61, 0xff]).text(9), Err(CborError::NotUtf8));
        assert_eq!(Reader::new(&[0x43, 1, 2, 3]).bytes(2), Err(CborError::OutOfRange));
    }

    #[test]
    fn keys_ascend_and_none_is_left() {
        let read = |text: &str| {
            let bytes = hex::decode(text).expect("hex");
            let mut reader = Reader::new(&bytes);
            let mut fields = reader.map(2)?;
            fields.required(1, &mut reader)?;
            reader.unsigned()?;
            if fields.optional(2, &mut reader)? {
                reader.unsigned()?;
            }
            fields.finish()?;
            reader.finish()
        };
        assert_eq!(read("a10105"), Ok(()));
        assert_eq!(read("a201050206"), Ok(()));
        assert_eq!(read("a202060105"), Err(CborError::UnexpectedKey));
        assert_eq!(read("a201050105"), Err(CborError::UnexpectedKey));
        assert_eq!(read("a201050306"), Err(CborError::UnexpectedKey));
        assert_eq!(read("a1010500"), Err(CborError::Trailing));
    }
}
