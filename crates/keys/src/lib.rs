//! The only home of secret bytes: venue keys, the root secret, the record key, sealing.
//!
//! Secret types print as `SigningKey(..)`, are wiped when dropped where the library that holds
//! them allows it, and implement neither `Clone` nor `Serialize`. Randomness comes in through
//! [`fill_random`] alone.

mod description;
mod own_keys;
mod seal;
mod secp256k1;
mod secret;
mod signing;
mod store;
#[cfg(test)]
mod vectors;

pub use description::{KeyDescription, KeyStage, Role, UnknownRole};
pub use own_keys::{LeaseKey, RecordKey};
pub use seal::{RootSecret, SealError};
pub use secret::SecretText;
pub use signing::{KeyError, Signature, SigningKey};
pub use store::{NewKey, SealedStore, StoreError, VenueKey};

/// Fills `buffer` from the operating system's random source.
///
/// # Panics
///
/// If the operating system has no randomness: no key or salt made after that could be trusted.
pub fn fill_random(buffer: &mut [u8]) {
    aws_lc_rs::rand::fill(buffer).expect("the operating system provides randomness");
}
