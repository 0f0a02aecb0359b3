//! Public keys in COSE form (RFC 9052 §7, RFC 9053 §7), as authenticators hand them out.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::der::fixed_signature;

/// Why bytes are not a public key we check with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CoseError {
    /// Not hexadecimal.
    #[error("is not hexadecimal")]
    NotHexadecimal,
    /// Not a COSE key in the canonical form of CTAP2 with the fields of its type and no others.
    #[error("is not a COSE key in canonical CTAP2 form")]
    Malformed,
    /// A key for another algorithm.
    #[error("is for COSE algorithm {0}; register a key for ES256 (-7) or EdDSA (-8)")]
    Algorithm(i64),
    /// Coordinates that are no point of the curve.
    #[error("is no point of its curve")]
    NotOnCurve,
}

/// The public half of an authenticator's key. As text: its COSE form in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PublicKey {
    /// ES256: ECDSA over P-256 with SHA-256; the point's two coordinates.
    Es256 {
        /// Big-endian.
        x: [u8; 32],
        /// Big-endian.
        y: [u8; 32],
    },
    /// `EdDSA` over Curve25519; the point as RFC 8032 §5.1.2 writes it.
    EdDsa(
        /// 32 bytes.
        [u8; 32],
    ),
}

impl PublicKey {
    /// COSE's number for ES256.
    pub const ES256: i64 = -7;
    /// COSE's number for `EdDSA`.
    pub const EDDSA: i64 = -8;

    /// Reads a key that ends where `bytes` ends.
    ///
    /// # Errors
    ///
    /// [`CoseError`] says what is wrong.
    pub fn from_cose(bytes: &[u8]) -> Result<Self, CoseError> {
        let (key, used) = Self::read(bytes)?;
        if used == bytes.len() { Ok(key) } else { Err(CoseError::Malformed) }
    }

    /// Reads a key at the start of `bytes`; also how many of them it takes.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), CoseError> {
        let mut decoder = Decoder::new(bytes);
        let key = fields(&mut decoder)?;
        let used = decoder.position();
        // One spelling only: what the fields make must be what was read.
        if bytes.get(..used) != Some(&*key.to_cose()) {
            return Err(CoseError::Malformed);
        }
        key.parsed().ok_or(CoseError::NotOnCurve)?;
        Ok((key, used))
    }

    /// The canonical form: kty, alg, crv and coordinates (CTAP 2.1 §8, canonical CBOR).
    #[must_use]
    pub fn to_cose(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(77));
        let written = match self {
            Self::Es256 { x, y } => encoder
                .map(5)
                .and_then(|encoder| encoder.u8(1)?.u8(2)?.u8(3)?.i64(Self::ES256)?.i8(-1)?.u8(1))
                .and_then(|encoder| encoder.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)),
            Self::EdDsa(x) => encoder
                .map(4)
                .and_then(|encoder| encoder.u8(1)?.u8(1)?.u8(3)?.i64(Self::EDDSA)?.i8(-1)?.u8(6))
                .and_then(|encoder| encoder.i8(-2)?.bytes(x)),
        };
        written.expect("a vector takes every byte");
        encoder.into_writer()
    }

    /// COSE's number of the algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256 { .. } => Self::ES256,
            Self::EdDsa(_) => Self::EDDSA,
        }
    }

    /// Whether `signature` is this key's over `message`; `None` if it has not the form of one.
    ///
    /// ES256 signatures are DER, `EdDSA` ones 64 bytes (`WebAuthn` §6.5.5).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let fixed = match self {
            Self::Es256 { .. } => fixed_signature(signature).ok()?,
            Self::EdDsa(_) => signature.try_into().ok()?,
        };
        Some(self.parsed().is_some_and(|key| key.verify_sig(message, &fixed).is_ok()))
    }

    fn parsed(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::Es256 { x, y } => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()
            }
            Self::EdDsa(x) => ParsedPublicKey::new(&ED25519, x).ok(),
        }
    }
}

fn fields(decoder: &mut Decoder<'_>) -> Result<PublicKey, CoseError> {
    let malformed = |_| CoseError::Malformed;
    let length = decoder.map().map_err(malformed)?.ok_or(CoseError::Malformed)?;
    let mut pair = |key: i64| match (decoder.i64(), decoder.i64()) {
        (Ok(found), Ok(value)) if found == key => Ok(value),
        _ => Err(CoseError::Malformed),
    };
    let (r#type, algorithm) = (pair(1)?, pair(3)?);
    match (algorithm, length, r#type) {
        (PublicKey::ES256, 5, 2) | (PublicKey::EDDSA, 4, 1) => {}
        (PublicKey::ES256 | PublicKey::EDDSA, ..) => return Err(CoseError::Malformed),
        (other, ..) => return Err(CoseError::Algorithm(other)),
    }
    let curve = (decoder.i64(), decoder.i64());
    let mut coordinate = |key: i64| match (decoder.i64(), decoder.bytes()) {
        (Ok(found), Ok(bytes)) if found == key => bytes.try_into().map_err(|_| CoseError::Malformed),
        _ => Err(CoseError::Malformed),
    };
    match (algorithm, curve) {
        (PublicKey::ES256, (Ok(-1), Ok(1))) => {
            Ok(PublicKey::Es256 { x: coordinate(-2)?, y: coordinate(-3)? })
        }
        (PublicKey::EDDSA, (Ok(-1), Ok(6))) => Ok(PublicKey::EdDsa(coordinate(-2)?)),
        _ => Err(CoseError::Malformed),
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.to_cose()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = CoseError;
    fn try_from(text: String) -> Result<Self, CoseError> {
        Self::from_cose(&hex::decode(text).map_err(|_| CoseError::NotHexadecimal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the first vector of `WebAuthn` Level 3 §16.
    const ES256: &str = "a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220";

    #[test]
    fn a_key_reads_as_it_is_written() {
        let key = PublicKey::try_from(ES256.to_owned()).expect("the standard's key");
        assert_eq!(key.algorithm(), PublicKey::ES256);
        assert_eq!(key.to_string(), ES256);
        let other = PublicKey::EdDsa([0x58; 32]);
        let text = format!("a4010103272006215820{}", "58".repeat(32));
        assert_eq!(other.to_string(), text);
    }

    #[test]
    fn other_forms_are_refused() {
        let read = |text: String| PublicKey::try_from(text);
        assert_eq!(read(format!("{ES256}00")), Err(CoseError::Malformed), "a byte behind the end");
        assert_eq!(read(ES256.replacen("a501", "a61801", 1)), Err(CoseError::Malformed));
        assert_eq!(
            read(ES256.replacen("a50102", "a5180102", 1)),
            Err(CoseError::Malformed),
            "a longer integer"
        );
        assert_eq!(
            read(ES256.replacen("a5", "bf", 1) + "ff"),
            Err(CoseError::Malformed),
            "no definite length"
        );
        assert_eq!(
            read(ES256.replacen("0326", "0327", 1)),
            Err(CoseError::Malformed),
            "a key of another type"
        );
        assert_eq!(read(ES256.replacen("0326", "033822", 1)), Err(CoseError::Algorithm(-35)));
        assert_eq!(read(ES256.replacen("9220", "9221", 1)), Err(CoseError::NotOnCurve));
        assert_eq!(read("a501020326".into()), Err(CoseError::Malformed));
        assert_eq!(read("zz".into()), Err(CoseError::NotHexadecimal));
    }
}
