//! Who signed this? Checked with the bytes as they came, by code of this crate alone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::{KeyConfig, Permissions, Secret};
use crate::state::lock;

/// The fixed head of an Ed25519 `SubjectPublicKeyInfo` (RFC 8410 §4); 32 bytes of key follow.
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Checks signatures of one key.
pub(crate) enum Verifier {
    Hmac(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa(Vec<u8>),
}

impl Verifier {
    /// Takes a configured secret; `None` if its PEM cannot be read.
    pub(crate) fn new(secret: &Secret) -> Option<Self> {
        match secret {
            Secret::Hmac(text) => Some(Self::Hmac(text.clone().into_bytes())),
            Secret::Ed25519(pem) => {
                let der = decode_pem(pem)?;
                let key = der.strip_prefix(&ED25519_HEAD)?;
                (key.len() == 32).then(|| Self::Ed25519(key.to_vec()))
            }
            Secret::Rsa(pem) => decode_pem(pem).map(Self::Rsa),
        }
    }

    /// Whether `signature` (hex for HMAC, base64 for the others) is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &str) -> bool {
        match self {
            Self::Hmac(secret) => {
                let (Ok(mut mac), Ok(bytes)) =
                    (Hmac::<Sha256>::new_from_slice(secret), hex::decode(signature))
                else {
                    return false;
                };
                mac.update(message);
                mac.verify_slice(&bytes).is_ok()
            }
            Self::Ed25519(key) => STANDARD
                .decode(signature)
                .is_ok_and(|bytes| UnparsedPublicKey::new(&ED25519, key).verify(message, &bytes).is_ok()),
            Self::Rsa(key) => STANDARD.decode(signature).is_ok_and(|bytes| {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, &bytes).is_ok()
            }),
        }
    }
}

fn decode_pem(pem: &str) -> Option<Vec<u8>> {
    let inside = pem.split_once("-----BEGIN PUBLIC KEY-----")?.1.split_once("-----END PUBLIC KEY-----")?.0;
    let text: String = inside.chars().filter(|character| !character.is_whitespace()).collect();
    STANDARD.decode(text).ok()
}

/// One API key and what it may do.
pub(crate) struct Key {
    pub account: usize,
    pub api_key: String,
    pub verifier: Verifier,
    state: Mutex<KeyState>,
}

/// What its owner can change of a key.
#[derive(Clone)]
struct KeyState {
    permissions: Permissions,
    ips: Option<Vec<IpAddr>>,
    deleted: bool,
}

impl Key {
    /// What it may do.
    pub(crate) fn permissions(&self) -> Permissions {
        lock(&self.state).permissions
    }

    /// The addresses it may be used from; any, if absent.
    pub(crate) fn ips(&self) -> Option<Vec<IpAddr>> {
        lock(&self.state).ips.clone()
    }

    /// Whether the key may be used from `peer`.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        lock(&self.state).ips.as_ref().is_none_or(|ips| ips.contains(&peer))
    }

    /// From now on it may only ask.
    pub(crate) fn make_read_only(&self) {
        lock(&self.state).permissions = Permissions { read: true, ..Permissions::default() };
    }

    /// Binds it to addresses.
    pub(crate) fn bind(&self, ips: Option<Vec<IpAddr>>) {
        lock(&self.state).ips = ips;
    }

    /// From now on nobody knows it.
    pub(crate) fn delete(&self) {
        lock(&self.state).deleted = true;
    }
}

/// What an endpoint asks of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Read,
    Trade,
    Transfer,
    Withdraw,
}

impl Scope {
    pub(crate) const fn granted(self, permissions: &Permissions) -> bool {
        match self {
            Self::Read => permissions.read,
            Self::Trade => permissions.trade,
            Self::Transfer => permissions.transfer,
            Self::Withdraw => permissions.withdraw,
        }
    }
}

/// The keys of one venue.
#[derive(Default)]
pub(crate) struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// Takes a key for an account; `false` if its PEM cannot be read or the key is known.
    pub(crate) fn insert(&mut self, config: &KeyConfig, account: usize) -> bool {
        let Some(verifier) = Verifier::new(&config.secret) else { return false };
        let key = Key {
            account,
            api_key: config.api_key.clone(),
            verifier,
            state: Mutex::new(KeyState {
                permissions: config.permissions,
                ips: config.ip_allow_list.clone(),
                deleted: false,
            }),
        };
        self.0.insert(config.api_key.clone(), key).is_none()
    }

    pub(crate) fn get(&self, api_key: &str) -> Option<&Key> {
        self.0.get(api_key).filter(|key| !lock(&key.state).deleted)
    }

    /// The keys of an account, by their names.
    pub(crate) fn of(&self, account: usize) -> impl Iterator<Item = &Key> {
        self.0.values().filter(move |key| key.account == account && !lock(&key.state).deleted)
    }
}

/// Undoes percent-encoding, `+` included, as a form decoder does; malformed escapes stay as they are.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, escaped.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_the_example_binance_publishes() {
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        let message = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        let verifier = Verifier::new(&Secret::Hmac(secret.to_owned())).expect("hmac");
        assert!(verifier.verify(message.as_bytes(), signature));
        assert!(!verifier.verify(b"symbol=LTCBTC", signature));
        assert!(!verifier.verify(message.as_bytes(), "not hex"));
    }

    #[test]
    fn decodes_forms() {
        assert_eq!(percent_decode("a%2Bb%20c+d%zz%"), "a+b c d%zz%");
    }
}
