//! Ed25519 keys of our own: no venue knows them.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use crate::fill_random;

macro_rules! own_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(Ed25519KeyPair);

        impl $name {
            /// Makes a fresh key from the operating system's randomness.
            #[must_use]
            pub fn generate() -> Self {
                let mut seed = zeroize::Zeroizing::new([0; 32]);
                fill_random(&mut *seed);
                Self::from_seed(&seed)
            }

            /// Makes the key of `seed`.
            #[must_use]
            pub fn from_seed(seed: &[u8; 32]) -> Self {
                Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed"))
            }

            /// The public half, 32 bytes.
            #[must_use]
            pub fn public_key(&self) -> [u8; 32] {
                self.0.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
            }

            /// Signs `message`.
            #[must_use]
            pub fn sign(&self, message: &[u8]) -> [u8; 64] {
                self.0.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

own_key! {
    /// Signs the leaves of one epoch's records; lives in memory only.
    RecordKey
}

own_key! {
    /// Signs a watchdog's trading leases.
    LeaseKey
}
