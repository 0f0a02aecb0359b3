//! One touch over one directive, checked (`WebAuthn` Level 3 §7.2, CTAP 2.1 §6.2).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::approvers::{Credential, RelyingPartyId};
use crate::authenticator_data::{AuthenticatorData, AuthenticatorDataError};
use crate::bytes::{CredentialId, Digest, hexadecimal};
use crate::client_data::{self, ClientDataError};

/// Longest signature taken, in bytes: ES256 in DER has at most 72.
const MAX_SIGNATURE: usize = 72;

/// Who asked the authenticator, and so what stands before the directive's digest in what it signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Client {
    /// Our own program over CTAP2: the client data hash *is* the digest.
    ///
    /// No web page can ask for this: a browser always signs the hash of its own JSON, and JSON that
    /// hashes to a given digest cannot be found.
    Direct,
    /// A browser: the digest is the challenge in this JSON.
    Browser {
        /// As the browser returned it, byte for byte.
        #[serde(with = "hexadecimal")]
        client_data: Vec<u8>,
    },
}

/// What an authenticator answered. All of it is foreign input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The key it signed with, by its own word.
    pub credential: CredentialId,
    /// Authenticator data, as signed.
    #[serde(with = "hexadecimal")]
    pub authenticator_data: Vec<u8>,
    /// The signature over authenticator data and client data hash.
    #[serde(with = "hexadecimal")]
    pub signature: Vec<u8>,
    /// Who asked.
    pub client: Client,
}

/// What an assertion must fit beside its credential and digest.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The relying party the approvers' keys are made for.
    pub rp_id: &'a RelyingPartyId,
    /// Origins of the browser pages that may ask; compared byte by byte.
    pub origins: &'a [String],
    /// Whether the authenticator must have checked who touched it.
    pub user_verification: bool,
    /// The last counter seen from this credential.
    pub counter: u32,
}

/// A touch that held every check. Only [`verify_assertion`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    credential: CredentialId,
    counter: u32,
    user_verified: bool,
}

impl Touch {
    /// The key that was touched.
    #[must_use]
    pub const fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// Its counter, to be remembered before the touch takes effect.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter
    }

    /// Whether PIN or biometric were checked.
    #[must_use]
    pub const fn user_verified(&self) -> bool {
        self.user_verified
    }
}

/// Why an assertion is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AssertionError {
    /// Another credential than the one it is checked against.
    #[error("the assertion names another credential")]
    OtherCredential,
    /// The credential is registered for another relying party.
    #[error("the credential is registered for another relying party")]
    CredentialRelyingParty,
    /// Authenticator data that cannot be read.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// Made for another relying party.
    #[error("the assertion was made for another relying party")]
    RelyingParty,
    /// A new credential in an answer that has none.
    #[error("the assertion carries a new credential")]
    UnexpectedCredential,
    /// Nobody touched it.
    #[error("nobody touched the token: the user-present flag is not set")]
    UserNotPresent,
    /// Nobody gave PIN or finger.
    #[error("the token did not check who touched it, and this approval asks for that")]
    UserNotVerified,
    /// The key could be copied, or no longer can, other than when it was registered.
    #[error("the token says otherwise than at its registration whether its key can be copied")]
    BackupEligibility,
    /// The browser's part.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// Not a signature of the registered algorithm.
    #[error("the signature has not the form of the registered algorithm")]
    SignatureForm,
    /// A signature by another key or over other bytes.
    #[error("the signature is not the registered key's over this directive")]
    Signature,
    /// A counter that did not go up: a replay, or a copy of the token.
    #[error("the token's counter is {was}, and {seen} was seen: a replay, or a copied token")]
    Counter {
        /// The counter in the assertion.
        was: u32,
        /// The last one seen.
        seen: u32,
    },
}

/// Checks that `assertion` is a touch of `credential` over `digest`.
///
/// # Errors
///
/// [`AssertionError`], one for each check. The counter is judged last, of authentic assertions only.
pub fn verify_assertion(
    credential: &Credential,
    expected: &Expected<'_>,
    digest: &Digest,
    assertion: &Assertion,
) -> Result<Touch, AssertionError> {
    if assertion.credential != credential.id {
        return Err(AssertionError::OtherCredential);
    }
    if credential.rp_id != *expected.rp_id {
        return Err(AssertionError::CredentialRelyingParty);
    }
    let data = AuthenticatorData::parse(&assertion.authenticator_data)?;
    if data.rp_id_hash != expected.rp_id.hash() {
        return Err(AssertionError::RelyingParty);
    }
    if data.attested.is_some() {
        return Err(AssertionError::UnexpectedCredential);
    }
    if !data.user_present() {
        return Err(AssertionError::UserNotPresent);
    }
    if expected.user_verification && !data.user_verified() {
        return Err(AssertionError::UserNotVerified);
    }
    if data.backup_eligible() != credential.backup_eligible {
        return Err(AssertionError::BackupEligibility);
    }
    let client_data_hash = match &assertion.client {
        Client::Direct => digest.0,
        Client::Browser { client_data } => {
            client_data::check(client_data, "webauthn.get", digest, expected.origins)?
        }
    };
    let message = [&*assertion.authenticator_data, &client_data_hash].concat();
    check_signature(credential, &message, &assertion.signature)?;
    // Authenticators without a counter always say 0 (WebAuthn §6.1.1).
    let seen = expected.counter.max(credential.counter);
    if (data.counter, seen) != (0, 0) && data.counter <= seen {
        return Err(AssertionError::Counter { was: data.counter, seen });
    }
    Ok(Touch {
        credential: credential.id.clone(),
        counter: data.counter,
        user_verified: data.user_verified(),
    })
}

fn check_signature(credential: &Credential, message: &[u8], signature: &[u8]) -> Result<(), AssertionError> {
    if signature.len() > MAX_SIGNATURE {
        return Err(AssertionError::SignatureForm);
    }
    match credential.public_key.verify(message, signature) {
        Some(true) => Ok(()),
        Some(false) => Err(AssertionError::Signature),
        None => Err(AssertionError::SignatureForm),
    }
}

/// Returns SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
