//! A new credential, as its authenticator attests it (`WebAuthn` Level 3 §7.1, CTAP 2.1 §6.1).

use minicbor::Decoder;
use thiserror::Error;

use crate::approvers::RelyingPartyId;
use crate::assertion::Client;
use crate::authenticator_data::{AuthenticatorData, AuthenticatorDataError, MAX_AUTHENTICATOR_DATA};
use crate::bytes::{Aaguid, CredentialId, Digest};
use crate::client_data::{self, ClientDataError};
use crate::cose::PublicKey;

/// Longest attestation object taken, in bytes: certificate chains of some makers take three thousand.
const MAX_ATTESTATION_OBJECT: usize = 16 * 1024;
/// Longest certificate chain read over, in certificates.
const MAX_CERTIFICATES: u64 = 8;

/// An attestation object: what make-credential answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Format, authenticator data and statement, in CBOR; keys as CTAP2 (1, 2, 3) or `WebAuthn` (names)
    /// write them.
    pub attestation_object: Vec<u8>,
    /// Who asked.
    pub client: Client,
}

/// What the authenticator's maker or the new key itself says for the registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attestation {
    /// Nothing: the AAGUID is a claim.
    None,
    /// The new key signed, which proves that it is there and no more.
    SelfSigned,
    /// The maker's certificate signed. *Not checked*: no list of makers' roots is kept here, so the
    /// AAGUID is a claim in this case too.
    CertificateNotChecked,
}

/// A credential that may be put on a list of approvers, by someone who knows whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub id: CredentialId,
    /// Its public key.
    pub public_key: PublicKey,
    /// The authenticator's model, by its own word.
    pub aaguid: Aaguid,
    /// Its counter.
    pub counter: u32,
    /// Whether its key may leave the authenticator.
    pub backup_eligible: bool,
    /// Whether PIN or biometric were checked.
    pub user_verified: bool,
    /// What stands behind it.
    pub attestation: Attestation,
}

/// Why a registration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// Longer than we take.
    #[error("the attestation object is longer than {MAX_ATTESTATION_OBJECT} bytes")]
    TooLong,
    /// Not the CBOR map with its three fields, each once.
    #[error("the attestation object is not a CBOR map of format, authenticator data and statement")]
    Malformed,
    /// A format we do not read.
    #[error("the attestation format is not supported; `none` and `packed` are")]
    Format,
    /// A statement that does not fit its format.
    #[error("the attestation statement does not fit its format")]
    Statement,
    /// A self-signature that is none, or for another algorithm.
    #[error("the new key's own signature does not hold")]
    Signature,
    /// Authenticator data that cannot be read.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// Made for another relying party.
    #[error("the credential was made for another relying party")]
    RelyingParty,
    /// No credential in it.
    #[error("the answer holds no new credential")]
    NoCredential,
    /// Nobody touched it.
    #[error("nobody touched the token: the user-present flag is not set")]
    UserNotPresent,
    /// The browser's part.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
}

/// Checks that `registration` answers `challenge` for `rp_id`, and returns the new credential.
///
/// # Errors
///
/// [`RegistrationError`], one for each check.
pub fn verify_registration(
    rp_id: &RelyingPartyId,
    origins: &[String],
    challenge: &Digest,
    registration: &Registration,
) -> Result<Registered, RegistrationError> {
    if registration.attestation_object.len() > MAX_ATTESTATION_OBJECT {
        return Err(RegistrationError::TooLong);
    }
    let object = Object::read(&registration.attestation_object)?;
    if object.authenticator_data.len() > MAX_AUTHENTICATOR_DATA {
        return Err(AuthenticatorDataError::Length.into());
    }
    let data = AuthenticatorData::parse(object.authenticator_data)?;
    if data.rp_id_hash != rp_id.hash() {
        return Err(RegistrationError::RelyingParty);
    }
    if !data.user_present() {
        return Err(RegistrationError::UserNotPresent);
    }
    let attested = data.attested.as_ref().ok_or(RegistrationError::NoCredential)?;
    let client_data_hash = match &registration.client {
        Client::Direct => challenge.0,
        Client::Browser { client_data } => {
            client_data::check(client_data, "webauthn.create", challenge, origins)?
        }
    };
    let message = [object.authenticator_data, &client_data_hash].concat();
    let attestation = object.statement.judge(&attested.public_key, &message)?;
    Ok(Registered {
        id: attested.id.clone(),
        public_key: attested.public_key,
        aaguid: attested.aaguid,
        counter: data.counter,
        backup_eligible: data.backup_eligible(),
        user_verified: data.user_verified(),
        attestation,
    })
}

enum Statement<'a> {
    None,
    Packed { algorithm: i64, signature: &'a [u8], certified: bool },
}

impl Statement<'_> {
    fn judge(&self, key: &PublicKey, message: &[u8]) -> Result<Attestation, RegistrationError> {
        match *self {
            Self::None => Ok(Attestation::None),
            Self::Packed { certified: true, .. } => Ok(Attestation::CertificateNotChecked),
            Self::Packed { algorithm, signature, certified: false } => {
                let holds = algorithm == key.algorithm() && key.verify(message, signature) == Some(true);
                holds.then_some(Attestation::SelfSigned).ok_or(RegistrationError::Signature)
            }
        }
    }
}

struct Object<'a> {
    authenticator_data: &'a [u8],
    statement: Statement<'a>,
}

/// A field of the attestation object: CTAP2 numbers them, `WebAuthn` names them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Format,
    AuthenticatorData,
    Statement,
}

impl<'a> Object<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, RegistrationError> {
        let mut decoder = Decoder::new(bytes);
        let (mut format, mut authenticator_data, mut statement_at) = (None, None, None);
        let length = definite(decoder.map())?;
        if length != 3 {
            return Err(RegistrationError::Malformed);
        }
        let numbered = decoder.probe().u8().is_ok();
        for _ in 0..length {
            let malformed = |_| RegistrationError::Malformed;
            let again = match field(&mut decoder, numbered)? {
                Field::Format => format.replace(decoder.str().map_err(malformed)?).is_some(),
                Field::AuthenticatorData => {
                    authenticator_data.replace(decoder.bytes().map_err(malformed)?).is_some()
                }
                Field::Statement => {
                    let at = decoder.position();
                    decoder.skip().map_err(malformed)?;
                    statement_at.replace(at).is_some()
                }
            };
            if again {
                return Err(RegistrationError::Malformed);
            }
        }
        let (Some(format), Some(authenticator_data), Some(at)) = (format, authenticator_data, statement_at)
        else {
            return Err(RegistrationError::Malformed);
        };
        if decoder.position() != bytes.len() {
            return Err(RegistrationError::Malformed);
        }
        decoder.set_position(at);
        let statement = match format {
            "none" => none(&mut decoder)?,
            "packed" => packed(&mut decoder)?,
            _ => return Err(RegistrationError::Format),
        };
        Ok(Self { authenticator_data, statement })
    }
}

fn field(decoder: &mut Decoder<'_>, numbered: bool) -> Result<Field, RegistrationError> {
    let field = if numbered {
        match decoder.u8() {
            Ok(1) => Some(Field::Format),
            Ok(2) => Some(Field::AuthenticatorData),
            Ok(3) => Some(Field::Statement),
            _ => None,
        }
    } else {
        match decoder.str() {
            Ok("fmt") => Some(Field::Format),
            Ok("authData") => Some(Field::AuthenticatorData),
            Ok("attStmt") => Some(Field::Statement),
            _ => None,
        }
    };
    field.ok_or(RegistrationError::Malformed)
}

fn none<'a>(decoder: &mut Decoder<'a>) -> Result<Statement<'a>, RegistrationError> {
    match decoder.map() {
        Ok(Some(0)) => Ok(Statement::None),
        _ => Err(RegistrationError::Statement),
    }
}

/// Reads a packed statement (`WebAuthn` §8.2): `alg`, `sig` and perhaps `x5c`, each once.
fn packed<'a>(decoder: &mut Decoder<'a>) -> Result<Statement<'a>, RegistrationError> {
    let wrong = |_| RegistrationError::Statement;
    let (mut algorithm, mut signature, mut certified) = (None, None, false);
    for _ in 0..definite(decoder.map())?.min(4) {
        let again = match decoder.str().map_err(wrong)? {
            "alg" => algorithm.replace(decoder.i64().map_err(wrong)?).is_some(),
            "sig" => signature.replace(decoder.bytes().map_err(wrong)?).is_some(),
            "x5c" => {
                let count = definite(decoder.array())?;
                if !(1..=MAX_CERTIFICATES).contains(&count) {
                    return Err(RegistrationError::Statement);
                }
                for _ in 0..count {
                    decoder.bytes().map_err(wrong)?;
                }
                std::mem::replace(&mut certified, true)
            }
            _ => return Err(RegistrationError::Statement),
        };
        if again {
            return Err(RegistrationError::Statement);
        }
    }
    match (algorithm, signature) {
        (Some(algorithm), Some(signature)) => Ok(Statement::Packed { algorithm, signature, certified }),
        _ => Err(RegistrationError::Statement),
    }
}

fn definite(length: Result<Option<u64>, minicbor::decode::Error>) -> Result<u64, RegistrationError> {
    length.ok().flatten().ok_or(RegistrationError::Malformed)
}
