//! Sealing: secrets at rest can be read only with the root secret *and* under the same policy.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::fill_random;

/// Bytes of fresh salt in front of each sealed secret.
const SALT_LEN: usize = 32;

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// Shorter than any sealed secret.
    #[error("the sealed bytes are cut short")]
    Truncated,
    /// Another root secret, another policy, or altered bytes or metadata; which one cannot be told.
    #[error("does not open: sealed under another root secret or policy, or altered")]
    Refused,
    /// The root secret file is not 64 hexadecimal digits.
    #[error("the root secret must be 64 hexadecimal digits")]
    Root,
}

/// The secret everything else is derived from. Wiped when dropped; prints as `RootSecret(..)`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RootSecret([u8; 32]);

impl RootSecret {
    /// Makes a fresh root from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        fill_random(&mut bytes);
        Self(bytes)
    }

    /// Reads the hexadecimal form.
    ///
    /// # Errors
    ///
    /// [`SealError::Root`] if the text is not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, SealError> {
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return Err(SealError::Root);
        }
        let mut root = Self([0; 32]);
        for (byte, pair) in root.0.iter_mut().zip(text.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or(SealError::Root)?;
            let low = char::from(pair[1]).to_digit(16).ok_or(SealError::Root)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| SealError::Root)?;
        }
        Ok(root)
    }

    /// The hexadecimal form, for the one file that keeps it.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(64);
        for byte in &self.0 {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a digit"));
            }
        }
        Zeroizing::new(text)
    }

    /// HKDF-SHA256 of the root under `salt` and `info`.
    pub(crate) fn derive(&self, salt: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        struct Len32;
        impl KeyType for Len32 {
            fn len(&self) -> usize {
                32
            }
        }
        let mut out = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, salt)
            .extract(&self.0)
            .expand(info, Len32)
            .and_then(|okm| okm.fill(&mut *out))
            .expect("32 bytes are within HKDF's limit");
        out
    }

    /// Seals `secret` under this root and `policy_hash`; `metadata` is authenticated, not hidden.
    ///
    /// AES-256-GCM with a key of its own for each call (fresh 32-byte salt), so a nonce never
    /// meets a key twice. Layout: salt ‖ nonce ‖ ciphertext ‖ tag.
    #[must_use]
    pub fn seal(&self, policy_hash: &[u8; 32], metadata: &[u8], secret: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; SALT_LEN + NONCE_LEN];
        fill_random(&mut sealed);
        let nonce = nonce_of(&sealed);
        let key = self.sealing_key(&sealed[..SALT_LEN], policy_hash);
        let mut text = Zeroizing::new(secret.to_vec());
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(metadata), &mut text)
            .expect("a secret is far below AES-GCM's length limit");
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`RootSecret::seal`] made with the same policy hash and metadata.
    ///
    /// # Errors
    ///
    /// [`SealError`] if it is cut short or anything differs.
    pub fn open(
        &self,
        policy_hash: &[u8; 32],
        metadata: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < SALT_LEN + NONCE_LEN + AES_256_GCM.tag_len() {
            return Err(SealError::Truncated);
        }
        let nonce = nonce_of(sealed);
        let key = self.sealing_key(&sealed[..SALT_LEN], policy_hash);
        let mut text = Zeroizing::new(sealed[SALT_LEN + NONCE_LEN..].to_vec());
        let length =
            key.open_in_place(nonce, Aad::from(metadata), &mut text).map_err(|_| SealError::Refused)?.len();
        text.truncate(length);
        Ok(text)
    }

    fn sealing_key(&self, salt: &[u8], policy_hash: &[u8; 32]) -> LessSafeKey {
        let key = self.derive(salt, &[b"seawall/seal/v1", policy_hash]);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("AES-256 takes 32 bytes"))
    }
}

fn nonce_of(sealed: &[u8]) -> Nonce {
    Nonce::try_assume_unique_for_key(&sealed[SALT_LEN..SALT_LEN + NONCE_LEN]).expect("12 bytes")
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RootSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: [u8; 32] = [7; 32];

    #[test]
    fn opens_what_it_sealed() {
        let root = RootSecret::generate();
        let sealed = root.seal(&POLICY, b"bybit/main", b"secret");
        assert_eq!(root.open(&POLICY, b"bybit/main", &sealed).expect("same inputs").as_slice(), b"secret");
    }

    #[test]
    fn another_policy_root_or_metadata_is_refused() {
        let root = RootSecret::generate();
        let sealed = root.seal(&POLICY, b"bybit/main", b"secret");
        assert_eq!(root.open(&[8; 32], b"bybit/main", &sealed).err(), Some(SealError::Refused));
        assert_eq!(root.open(&POLICY, b"bybit/other", &sealed).err(), Some(SealError::Refused));
        assert_eq!(
            RootSecret::generate().open(&POLICY, b"bybit/main", &sealed).err(),
            Some(SealError::Refused)
        );
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let root = RootSecret::generate();
        let sealed = root.seal(&POLICY, b"", b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(root.open(&POLICY, b"", &altered).err(), Some(SealError::Refused), "bit {bit}");
        }
        assert_eq!(root.open(&POLICY, b"", &sealed[..20]).err(), Some(SealError::Truncated));
    }

    #[test]
    fn the_hexadecimal_form_round_trips() {
        let root = RootSecret::generate();
        let again = RootSecret::from_hex(&root.to_hex()).expect("its own form");
        assert_eq!(again.to_hex(), root.to_hex());
        assert_eq!(RootSecret::from_hex("00").err(), Some(SealError::Root));
        assert_eq!(RootSecret::from_hex(&"g".repeat(64)).err(), Some(SealError::Root));
    }
}
