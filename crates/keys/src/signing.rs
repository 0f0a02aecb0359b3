//! A venue key that can sign, whatever the algorithm.

use std::fmt;
use std::ops::Deref;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;
use venue::Algorithm;
use zeroize::Zeroizing;

use crate::SecretText;
use crate::secp256k1::Secp256k1Key;

/// Smallest RSA modulus accepted, in bits (NIST SP 800-131A rev. 2).
const MIN_RSA_BITS: usize = 2048;

/// Why a text is not a key that can sign for a venue. Never holds any of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Nothing was given.
    #[error("the secret is empty")]
    Empty,
    /// Looks like PEM, but is neither PKCS#8, PKCS#1 nor SEC1, or its base64 is broken.
    #[error("the PEM block is damaged; expected BEGIN PRIVATE KEY, BEGIN RSA or EC PRIVATE KEY")]
    Pem,
    /// Begins like a secp256k1 key in hexadecimal, but is none.
    #[error("after 0x, a secp256k1 key has 64 hexadecimal digits and is neither zero nor beyond the group")]
    Hexadecimal,
    /// A private key of a kind no supported venue takes.
    #[error("the private key is neither Ed25519, RSA, P-256 nor secp256k1")]
    UnknownKind,
    /// An RSA key below 2048 bits.
    #[error("the RSA key has {bits} bits; venues take 2048 or more")]
    RsaTooShort {
        /// Size of the modulus.
        bits: usize,
    },
    /// Only the public half, or an encrypted key.
    #[error("{0}")]
    WrongBlock(&'static str),
}

/// A venue key that can sign. Prints as `SigningKey(..)`.
pub struct SigningKey(Kind);

enum Kind {
    /// The keyed hash state, cloned for each message so that the key schedule runs once.
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    Secp256k1(Secp256k1Key),
}

/// A signature's bytes. Short ones need no memory of their own: an HMAC takes less time than asking
/// for some.
#[derive(Clone)]
pub struct Signature(Bytes);

#[derive(Clone)]
enum Bytes {
    /// At most 65 bytes, and how many.
    Short([u8; 65], u8),
    Long(Box<[u8]>),
}

impl Signature {
    /// None at all, for a request that takes none.
    pub const EMPTY: Self = Self(Bytes::Short([0; 65], 0));

    /// Of at most 65 bytes.
    fn short(bytes: &[u8]) -> Self {
        let mut room = [0; 65];
        room[..bytes.len()].copy_from_slice(bytes);
        Self(Bytes::Short(room, u8::try_from(bytes.len()).expect("at most 65")))
    }
}

impl Deref for Signature {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short(room, length) => &room[..usize::from(*length)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl SigningKey {
    /// Makes a key of what the venue issued: PEM text is Ed25519, RSA, P-256 or secp256k1; `0x` and 64
    /// hexadecimal digits are secp256k1, as wallets write it; anything else is an HMAC secret (used
    /// as the bytes of the text, as venues and their libraries do).
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text is empty, a PEM block of another kind, or no number of secp256k1.
    pub fn parse(secret: &SecretText) -> Result<Self, KeyError> {
        let text = secret.expose();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.contains("-----BEGIN ") {
            return Self::from_pem(text);
        }
        if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.len() == 64) {
            return Ok(Self(Kind::Secp256k1(Secp256k1Key::from_hex(digits).ok_or(KeyError::Hexadecimal)?)));
        }
        let state = Hmac::<Sha256>::new_from_slice(text.as_bytes()).expect("HMAC takes a key of any length");
        Ok(Self(Kind::Hmac(Box::new(state))))
    }

    fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem_block(text)?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "RSA PRIVATE KEY" => Self::from_rsa(RsaKeyPair::from_der(&der).map_err(|_| KeyError::Pem)?),
            "EC PRIVATE KEY" => Self::from_curve(&der),
            "PUBLIC KEY" => Err(KeyError::WrongBlock("this is the public half; the private key is needed")),
            "ENCRYPTED PRIVATE KEY" => {
                Err(KeyError::WrongBlock("the private key is encrypted; decrypt it first (openssl pkey)"))
            }
            _ => Err(KeyError::UnknownKind),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(Kind::Ed25519(Box::new(pair))));
        }
        match RsaKeyPair::from_pkcs8(der) {
            Ok(pair) => Self::from_rsa(pair),
            Err(_) => Self::from_curve(der),
        }
    }

    /// SEC1 (RFC 5915) or PKCS#8 of one of the two curves; the library checks which.
    fn from_curve(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Ok(Self(Kind::P256(Box::new(pair))));
        }
        let key = Secp256k1Key::from_der(der).ok_or(KeyError::UnknownKind)?;
        Ok(Self(Kind::Secp256k1(key)))
    }

    fn from_rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let bits = pair.public_modulus_len() * 8;
        if bits < MIN_RSA_BITS {
            return Err(KeyError::RsaTooShort { bits });
        }
        Ok(Self(Kind::Rsa(Box::new(pair))))
    }

    /// Which algorithm the venue will check.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Hmac(_) => Algorithm::HmacSha256,
            Kind::Ed25519(_) => Algorithm::Ed25519,
            Kind::Rsa(_) => Algorithm::RsaPkcs1Sha256,
            Kind::P256(_) => Algorithm::EcdsaP256Sha256,
            Kind::Secp256k1(_) => Algorithm::EcdsaSecp256k1Keccak256,
        }
    }

    /// Signs `message`: 32 bytes for HMAC, 64 for Ed25519 and P-256 (`r ‖ s`), 65 for secp256k1
    /// (`r ‖ s ‖ v`, over the message's Keccak-256), the modulus length for RSA.
    ///
    /// All but P-256 are deterministic: the same message gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        match &self.0 {
            Kind::Hmac(state) => {
                let mut state = (**state).clone();
                state.update(message);
                Signature::short(&state.finalize().into_bytes())
            }
            Kind::Ed25519(pair) => Signature::short(pair.sign(message).as_ref()),
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .expect("a checked RSA key signs any message");
                Signature(Bytes::Long(signature.into()))
            }
            Kind::P256(pair) => Signature::short(
                pair.sign(&SystemRandom::new(), message).expect("a P-256 key signs any message").as_ref(),
            ),
            Kind::Secp256k1(key) => Signature::short(&key.sign(message)),
        }
    }

    /// Whether `signature` is this key's HMAC over `message`, compared in constant time. Keys of
    /// other algorithms verify nothing here.
    #[must_use]
    pub fn verify_hmac(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Hmac(state) => {
                let mut state = (**state).clone();
                state.update(message);
                state.verify_slice(signature).is_ok()
            }
            Kind::Ed25519(_) | Kind::Rsa(_) | Kind::P256(_) | Kind::Secp256k1(_) => false,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(..)")
    }
}

/// The label and the bytes of the first PEM block (RFC 7468, without headers) that is no
/// `EC PARAMETERS`, which OpenSSL puts in front of a key of a curve.
fn pem_block(text: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    let text = text.split_once("-----END EC PARAMETERS-----").map_or(text, |(_, rest)| rest);
    let after = text.split_once("-----BEGIN ").ok_or(KeyError::Pem)?.1;
    let (label, body) = after.split_once("-----").ok_or(KeyError::Pem)?;
    let (body, _) = body.split_once("-----END ").ok_or(KeyError::Pem)?;
    // Secrets pasted through JSON or an environment file carry their line ends as two characters.
    let compact: Zeroizing<String> =
        Zeroizing::new(body.replace("\\n", "").chars().filter(|letter| !letter.is_whitespace()).collect());
    let der = BASE64.decode(compact.as_bytes()).map_err(|_| KeyError::Pem)?;
    Ok((label, Zeroizing::new(der)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SigningKey, KeyError> {
        SigningKey::parse(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn hmac_matches_the_published_binance_example() {
        // developers.binance.com, "SIGNED endpoint examples", HMAC keys.
        let key = key("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j").expect("a secret");
        let signature = key.sign(
            b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
        );
        assert_eq!(signature[..4], [0xc8, 0xdb, 0x56, 0x82]);
        assert_eq!(key.algorithm(), Algorithm::HmacSha256);
    }

    #[test]
    fn damaged_keys_say_what_is_wrong_and_nothing_else() {
        assert_eq!(key("  \n").err(), Some(KeyError::Empty));
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
        let open = block("PRIVATE KEY").replace("-----END", "");
        assert_eq!(key(&open).err(), Some(KeyError::Pem));
        assert!(matches!(key(&block("PUBLIC KEY")).err(), Some(KeyError::WrongBlock(_))));
        assert_eq!(key(&block("PRIVATE KEY")).err(), Some(KeyError::UnknownKind));
    }

    #[test]
    fn a_key_never_prints_itself() {
        let secret = SecretText::new("topsecret".to_owned());
        let printed = format!("{secret:?} {:?}", SigningKey::parse(&secret).expect("a secret"));
        assert_eq!(printed, "SecretText(..) SigningKey(..)");
    }
}
