//! Keys of secp256k1, as EVM venues use them.

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256K1_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use secp256k1::{Message, Secp256k1, SecretKey, SignOnly};
use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

use crate::fill_random;

/// A secret number and the context that signs with it. Wiped when dropped.
///
/// The context is blinded with fresh randomness once, when the key is read, and not for each
/// signature: blinding costs as much as signing, libsecp256k1 runs in constant time without it, and
/// who could measure the vault's power use stands beside the machine that holds the key.
pub(crate) struct Secp256k1Key {
    key: SecretKey,
    context: Secp256k1<SignOnly>,
}

impl Secp256k1Key {
    /// Of 64 hexadecimal digits; `None` if they are none, zero, or not below the group's order.
    pub(crate) fn from_hex(digits: &str) -> Option<Self> {
        let digits = digits.as_bytes();
        let mut number = Zeroizing::new([0; 32]);
        if digits.len() != 2 * number.len() {
            return None;
        }
        for (byte, pair) in number.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?];
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Self::from_number(&number)
    }

    /// Of SEC1 (RFC 5915) or PKCS#8; `None` if it is neither, or of another curve.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256K1_SHA256_FIXED_SIGNING, der).ok()?;
        let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
        Self::from_number(number.as_ref().try_into().ok()?)
    }

    fn from_number(number: &[u8; 32]) -> Option<Self> {
        let key = SecretKey::from_byte_array(*number).ok()?;
        let mut context = Secp256k1::signing_only();
        let mut seed = Zeroizing::new([0; 32]);
        fill_random(&mut *seed);
        context.seeded_randomize(&seed);
        Some(Self { key, context })
    }

    /// Signs the Keccak-256 of `message`: `r ‖ s ‖ v`, `v` 27 or 28, `s` in the lower half.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 65] {
        self.sign_digest(Keccak256::digest(message).into())
    }

    /// Signs a digest, with the nonce of RFC 6979.
    pub(crate) fn sign_digest(&self, digest: [u8; 32]) -> [u8; 65] {
        let signature = self.context.sign_ecdsa_recoverable(Message::from_digest(digest), &self.key);
        let (recovery, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        // Ids 2 and 3 tell of an `r` beyond the group's order, which no one has ever met.
        bytes[64] = 27 + u8::try_from(i32::from(recovery)).expect("0 to 3");
        bytes
    }
}

impl Drop for Secp256k1Key {
    fn drop(&mut self) {
        self.key.non_secure_erase();
    }
}
