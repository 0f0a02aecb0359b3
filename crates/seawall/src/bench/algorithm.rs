//! The ways to sign that are measured: ours, and the library's own.

use std::fmt;

use anyhow::Context as _;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256};
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keys::{SecretText, SigningKey};
use secp256k1::{Message, Secp256k1, SecretKey, SignOnly};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha3::Keccak256;
use sha3::digest::Digest as _;
use trading::AccountName;

use crate::installation::random_text;

/// Bytes of an RSA-2048 signature, the longest here.
pub const RSA_BYTES: usize = 256;

/// A way to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Hmac,
    Ed25519,
    P256,
    Secp256k1,
    Rsa,
}

impl Algorithm {
    pub const ALL: [Self; 5] = [Self::Hmac, Self::Ed25519, Self::P256, Self::Secp256k1, Self::Rsa];

    /// The name of the account that signs with it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::Secp256k1 => "secp256k1",
            Self::Rsa => "rsa",
        }
    }

    /// The account that signs with it.
    pub fn account(self) -> anyhow::Result<AccountName> {
        Ok(AccountName::new(self.word())?)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hmac => "HMAC-SHA256",
            Self::Ed25519 => "Ed25519",
            Self::P256 => "P-256",
            Self::Secp256k1 => "secp256k1",
            Self::Rsa => "RSA-2048",
        })
    }
}

/// Throw-away keys, each in the form that its user takes.
pub struct Keys {
    hmac: String,
    ed25519: Vec<u8>,
    p256: Vec<u8>,
    secp256k1: [u8; 32],
    rsa: Vec<u8>,
}

impl Keys {
    /// Makes new ones.
    pub fn generate() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8v1(&random).context("cannot make an Ed25519 key")?;
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .context("cannot make a P-256 key")?;
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).context("cannot make an RSA key")?;
        let rsa: Pkcs8V1Der<'_> = rsa.as_der().context("cannot write an RSA key")?;
        // A digest is a number of the group but for one in 2^127.
        let secp256k1 = Keccak256::digest(random_text(64)).into();
        Ok(Self {
            hmac: random_text(64),
            ed25519: ed25519.as_ref().to_vec(),
            p256: p256.as_ref().to_vec(),
            secp256k1,
            rsa: rsa.as_ref().to_vec(),
        })
    }

    /// The key's bytes in hexadecimal, as [`BareKey::parse`] reads them.
    pub fn hex(&self, algorithm: Algorithm) -> String {
        hex::encode(match algorithm {
            Algorithm::Hmac => self.hmac.as_bytes(),
            Algorithm::Ed25519 => &self.ed25519,
            Algorithm::P256 => &self.p256,
            Algorithm::Secp256k1 => &self.secp256k1,
            Algorithm::Rsa => &self.rsa,
        })
    }

    /// As a venue hands it out.
    pub fn text(&self, algorithm: Algorithm) -> String {
        let pem = |der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            let lines: Vec<&str> =
                (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
            let label = "PRIVATE KEY";
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
        };
        match algorithm {
            Algorithm::Hmac => self.hmac.clone(),
            Algorithm::Ed25519 => pem(&self.ed25519),
            Algorithm::P256 => pem(&self.p256),
            Algorithm::Secp256k1 => format!("0x{}", hex::encode(self.secp256k1)),
            Algorithm::Rsa => pem(&self.rsa),
        }
    }

    pub fn secret(&self, algorithm: Algorithm) -> SecretText {
        SecretText::new(self.text(algorithm))
    }

    /// Our way to sign.
    pub fn signing(&self, algorithm: Algorithm) -> anyhow::Result<SigningKey> {
        Ok(SigningKey::parse(&self.secret(algorithm))?)
    }

    /// The library's way to sign.
    pub fn bare(&self, algorithm: Algorithm) -> anyhow::Result<BareKey> {
        BareKey::parse(algorithm, &self.hex(algorithm))
    }
}

/// The library's own key, called without anything of ours around it.
pub enum BareKey {
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
    Secp256k1(Box<(Secp256k1<SignOnly>, SecretKey)>),
    Rsa(Box<RsaKeyPair>),
}

impl BareKey {
    /// Reads the hexadecimal key.
    pub fn parse(algorithm: Algorithm, key: &str) -> anyhow::Result<Self> {
        let bytes = hex::decode(key).context("a key is hexadecimal")?;
        Ok(match algorithm {
            Algorithm::Hmac => Self::Hmac(Box::new(Hmac::new_from_slice(&bytes)?)),
            Algorithm::Ed25519 => Self::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(&bytes)?)),
            Algorithm::P256 => {
                Self::P256(Box::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes)?))
            }
            Algorithm::Secp256k1 => {
                let number = bytes.as_slice().try_into().context("32 bytes")?;
                let mut context = Secp256k1::signing_only();
                // Any seed costs the same.
                context.seeded_randomize(&[7; 32]);
                let key = SecretKey::from_byte_array(number).ok().context("a number of the group")?;
                Self::Secp256k1(Box::new((context, key)))
            }
            Algorithm::Rsa => Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(&bytes)?)),
        })
    }

    /// Signs into `room`; returns how many bytes.
    pub fn sign(&self, message: &[u8], room: &mut [u8; RSA_BYTES]) -> usize {
        let mut put = |signature: &[u8]| {
            room[..signature.len()].copy_from_slice(signature);
            signature.len()
        };
        match self {
            Self::Hmac(state) => {
                let mut state = (**state).clone();
                state.update(message);
                put(&state.finalize().into_bytes())
            }
            Self::Ed25519(pair) => put(pair.sign(message).as_ref()),
            Self::P256(pair) => {
                put(pair.sign(&SystemRandom::new(), message).expect("a fresh key signs any message").as_ref())
            }
            Self::Secp256k1(pair) => {
                let digest = Message::from_digest(Keccak256::digest(message).into());
                let (id, compact) = pair.0.sign_ecdsa_recoverable(digest, &pair.1).serialize_compact();
                put(&compact);
                room[64] = 27 + u8::try_from(i32::from(id)).expect("0 to 3");
                65
            }
            Self::Rsa(pair) => {
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, room)
                    .expect("a fresh key signs any message");
                RSA_BYTES
            }
        }
    }

    /// Whether the same message gives the same signature.
    pub const fn is_deterministic(&self) -> bool {
        !matches!(self, Self::P256(_))
    }
}
