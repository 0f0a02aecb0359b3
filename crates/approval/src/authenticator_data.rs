//! What an authenticator says of itself, and signs (`WebAuthn` Level 3 §6.1).

use minicbor::Decoder;
use thiserror::Error;

use crate::bytes::{Aaguid, CredentialId};
use crate::cose::{CoseError, PublicKey};

/// Longest authenticator data taken, in bytes: a longest credential id, a key, and room for extensions.
pub(crate) const MAX_AUTHENTICATOR_DATA: usize = 2048;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;
const RESERVED: u8 = 1 << 1 | 1 << 5;

/// Why bytes are not authenticator data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthenticatorDataError {
    /// Shorter than its parts, or longer than we take.
    #[error("authenticator data has a wrong length")]
    Length,
    /// A flag whose meaning is not defined.
    #[error("authenticator data sets a reserved flag")]
    ReservedFlag,
    /// Backed up, yet not able to be.
    #[error("authenticator data says backed up but not eligible for it")]
    BackedUpButNotEligible,
    /// The new credential's id has no length we take.
    #[error("the credential id has a wrong length")]
    CredentialId,
    /// The new credential's key is none we take.
    #[error("the credential's public key {0}")]
    PublicKey(#[from] CoseError),
    /// Extensions that are not one CBOR map.
    #[error("the extensions are not one CBOR map")]
    Extensions,
    /// Bytes are left.
    #[error("authenticator data has bytes behind its end")]
    Trailing,
}

/// A credential as its authenticator made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attested {
    pub(crate) aaguid: Aaguid,
    pub(crate) id: CredentialId,
    pub(crate) public_key: PublicKey,
}

/// Authenticator data, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatorData {
    pub(crate) rp_id_hash: [u8; 32],
    flags: u8,
    pub(crate) counter: u32,
    pub(crate) attested: Option<Attested>,
}

impl AuthenticatorData {
    /// Takes `bytes` apart, to the last of them.
    ///
    /// # Errors
    ///
    /// [`AuthenticatorDataError`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthenticatorDataError> {
        use AuthenticatorDataError as Error;
        if bytes.len() > MAX_AUTHENTICATOR_DATA {
            return Err(Error::Length);
        }
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(Error::Length)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(Error::Length)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(Error::Length)?;
        if flags & RESERVED != 0 {
            return Err(Error::ReservedFlag);
        }
        if flags & (BACKUP_ELIGIBLE | BACKED_UP) == BACKED_UP {
            return Err(Error::BackedUpButNotEligible);
        }
        let mut attested = None;
        if flags & ATTESTED != 0 {
            let (credential, behind) = read_attested(rest)?;
            (attested, rest) = (Some(credential), behind);
        }
        if flags & EXTENSIONS != 0 {
            rest = skip_map(rest)?;
        }
        if !rest.is_empty() {
            return Err(Error::Trailing);
        }
        Ok(Self { rp_id_hash: *rp_id_hash, flags: *flags, counter: u32::from_be_bytes(*counter), attested })
    }

    /// Whether someone touched the authenticator.
    #[must_use]
    pub const fn user_present(&self) -> bool {
        self.flags & USER_PRESENT != 0
    }

    /// Whether the authenticator checked who it is, by PIN or biometric.
    #[must_use]
    pub const fn user_verified(&self) -> bool {
        self.flags & USER_VERIFIED != 0
    }

    /// Whether the key may leave the authenticator, to a cloud or another device.
    #[must_use]
    pub const fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }
}

fn read_attested(bytes: &[u8]) -> Result<(Attested, &[u8]), AuthenticatorDataError> {
    use AuthenticatorDataError as Error;
    let (aaguid, rest) = bytes.split_first_chunk::<16>().ok_or(Error::Length)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Error::Length)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest.split_at_checked(length).ok_or(Error::Length)?;
    let id = CredentialId::from_slice(id).map_err(|_| Error::CredentialId)?;
    let (public_key, used) = PublicKey::read(rest)?;
    Ok((Attested { aaguid: Aaguid(*aaguid), id, public_key }, &rest[used..]))
}

fn skip_map(bytes: &[u8]) -> Result<&[u8], AuthenticatorDataError> {
    let mut decoder = Decoder::new(bytes);
    let is_map = matches!(decoder.probe().map(), Ok(Some(_)));
    if !is_map || decoder.skip().is_err() {
        return Err(AuthenticatorDataError::Extensions);
    }
    bytes.get(decoder.position()..).ok_or(AuthenticatorDataError::Extensions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: u8, behind: &[u8]) -> Result<AuthenticatorData, AuthenticatorDataError> {
        let mut bytes = vec![7; 32];
        bytes.push(flags);
        bytes.extend_from_slice(&[0, 0, 1, 2]);
        bytes.extend_from_slice(behind);
        AuthenticatorData::parse(&bytes)
    }

    #[test]
    fn flags_are_what_the_standard_says() {
        let data = parse(0x05, &[]).expect("present and verified");
        assert!(data.user_present() && data.user_verified() && !data.backup_eligible());
        assert_eq!((data.counter, data.rp_id_hash), (0x102, [7; 32]));
        let data = parse(0x18, &[]).expect("backed up");
        assert!(!data.user_present() && !data.user_verified() && data.backup_eligible());
        for reserved in [0x03, 0x21] {
            assert_eq!(parse(reserved, &[]), Err(AuthenticatorDataError::ReservedFlag));
        }
        assert_eq!(parse(0x11, &[]), Err(AuthenticatorDataError::BackedUpButNotEligible));
    }

    #[test]
    fn every_byte_is_accounted_for() {
        use AuthenticatorDataError as Error;
        assert_eq!(parse(0x01, &[0]), Err(Error::Trailing));
        assert_eq!(parse(0x41, &[0; 17]), Err(Error::Length));
        assert_eq!(parse(0x41, &[0; 18]), Err(Error::CredentialId));
        assert_eq!(parse(0x81, &[]), Err(Error::Extensions));
        assert_eq!(parse(0x81, &[0x80]), Err(Error::Extensions), "a list is no map");
        assert_eq!(parse(0x81, &[0xbf, 0xff]), Err(Error::Extensions), "no definite length");
        assert_eq!(parse(0x81, &[0xa1, 0x01]), Err(Error::Extensions), "ends inside");
        assert_eq!(parse(0x81, &[0xa1, 0x01, 0x02, 0x03]), Err(Error::Trailing));
        assert!(parse(0x81, &[0xa1, 0x01, 0x02]).is_ok());
        for length in 0..37 {
            assert_eq!(AuthenticatorData::parse(&vec![0; length]), Err(Error::Length));
        }
        assert_eq!(AuthenticatorData::parse(&vec![0; MAX_AUTHENTICATOR_DATA + 1]), Err(Error::Length));
    }
}
