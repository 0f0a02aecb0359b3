//! Keys that sign and verify, with code that the crate under test does not have.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;
use venue::{Algorithm, HttpRequest};

/// A key as a venue issued it.
pub(crate) enum Key {
    Hmac(String),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    /// Reads a vector's secret: PEM, or the text of an HMAC secret.
    pub(crate) fn read(secret: &str) -> Self {
        let Some(body) =
            secret.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_prefix("PRIVATE KEY-----"))
        else {
            return Self::Hmac(secret.to_owned());
        };
        let body: String = body.lines().take_while(|line| !line.starts_with("-----END")).collect();
        let der = base64(&body);
        match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            Ok(pair) => Self::Ed25519(pair),
            Err(_) => Self::Rsa(RsaKeyPair::from_pkcs8(&der).expect("an RSA key")),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hmac(_) => Algorithm::HmacSha256,
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::Rsa(_) => Algorithm::RsaPkcs1Sha256,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out)
                    .expect("signs");
                out
            }
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature_bytes: &[u8]) -> bool {
        match self {
            Self::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::verify(&key, message, signature_bytes).is_ok()
            }
            Self::Ed25519(pair) => UnparsedPublicKey::new(&signature::ED25519, pair.public_key().as_ref())
                .verify(message, signature_bytes)
                .is_ok(),
            Self::Rsa(pair) => {
                UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
                    .verify(message, signature_bytes)
                    .is_ok()
            }
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    let mut bits = 0_u32;
    let mut held = 0;
    let mut out = Vec::new();
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).expect("a byte"));
        }
    }
    out
}

/// The wire form of a vector's `expected`.
pub(crate) fn wire(expected: &Value) -> Option<HttpRequest> {
    let url = expected.get("url")?.as_str()?;
    let rest = url.split_once("://").expect("a scheme").1;
    let target = rest.find('/').map_or("/", |at| &rest[at..]);
    Some(HttpRequest {
        method: expected["method"].as_str()?.parse().expect("a method"),
        target: target.to_owned(),
        headers: expected["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
            .collect(),
        body: expected["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    })
}

/// An unsigned request's headers with a key, as a client library would send them.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest {
    HttpRequest {
        method: method.parse().expect("a method"),
        target: target.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.as_bytes().to_vec(),
    }
}
