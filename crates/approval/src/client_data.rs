//! What a browser says it asked the authenticator for (`WebAuthn` Level 3 §5.8.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::bytes::Digest;

/// Longest client data taken, in bytes.
pub(crate) const MAX_CLIENT_DATA: usize = 4096;

/// Why client data is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientDataError {
    /// Longer than we take.
    #[error("client data is longer than {MAX_CLIENT_DATA} bytes")]
    TooLong,
    /// Not the JSON the standard describes.
    #[error("client data is not a JSON object with type, challenge and origin, each once")]
    Malformed,
    /// Made for something else.
    #[error("client data has another type than asked for")]
    Type,
    /// Made for another directive.
    #[error("the challenge is not the digest of this directive")]
    Challenge,
    /// Made on another site.
    #[error("the origin is not on the list of the approvers file")]
    Origin,
    /// Made inside a page of another site.
    #[error("the assertion was asked for by a page inside one of another origin")]
    CrossOrigin,
}

/// Fields beyond these may come (§5.8.1.2) and mean nothing to us; they are signed all the same.
#[derive(Deserialize)]
struct Fields<'a> {
    r#type: &'a str,
    challenge: &'a str,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<serde::de::IgnoredAny>,
}

/// Checks `json` and returns its hash, which is what the authenticator signed.
pub(crate) fn check(
    json: &[u8],
    r#type: &str,
    challenge: &Digest,
    origins: &[String],
) -> Result<[u8; 32], ClientDataError> {
    if json.len() > MAX_CLIENT_DATA {
        return Err(ClientDataError::TooLong);
    }
    // Serde would also take the fields from a list.
    if json.first() != Some(&b'{') {
        return Err(ClientDataError::Malformed);
    }
    let fields: Fields<'_> = serde_json::from_slice(json).map_err(|_| ClientDataError::Malformed)?;
    if fields.r#type != r#type {
        return Err(ClientDataError::Type);
    }
    // Compared in its one spelling: base64url without padding.
    if fields.challenge != BASE64_URL_SAFE_NO_PAD.encode(challenge.0) {
        return Err(ClientDataError::Challenge);
    }
    if !origins.contains(&fields.origin) {
        return Err(ClientDataError::Origin);
    }
    if fields.cross_origin || fields.top_origin.is_some() {
        return Err(ClientDataError::CrossOrigin);
    }
    Ok(Sha256::digest(json).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_judged() {
        let challenge = Digest([0xfb; 32]);
        let origins = ["https://desk.example".to_owned()];
        let word = BASE64_URL_SAFE_NO_PAD.encode(challenge.0);
        let good =
            format!(r#"{{"type":"webauthn.get","challenge":"{word}","origin":"https://desk.example"}}"#);
        let check = |json: &str| check(json.as_bytes(), "webauthn.get", &challenge, &origins);
        assert_eq!(check(&good), Ok(Sha256::digest(&good).into()));
        assert!(check(&good.replace('}', r#","later":[1]}"#)).is_ok(), "fields may be added");
        for (from, to, error) in [
            ("webauthn.get", "webauthn.create", ClientDataError::Type),
            ("webauthn.get", "payment.get", ClientDataError::Type),
            (&*word, &format!("{word}="), ClientDataError::Challenge),
            (&word, &word.replace('-', "+"), ClientDataError::Challenge),
            ("desk.example", "desk.example.evil.example", ClientDataError::Origin),
            ("desk.example", "desk.exаmple", ClientDataError::Origin),
            ("https:", "http:", ClientDataError::Origin),
            ("}", r#","crossOrigin":true}"#, ClientDataError::CrossOrigin),
            ("}", r#","topOrigin":"https://desk.example"}"#, ClientDataError::CrossOrigin),
            ("}", r#","crossOrigin":"false"}"#, ClientDataError::Malformed),
            ("}", r#","origin":"https://desk.example"}"#, ClientDataError::Malformed),
            ("}", "} x", ClientDataError::Malformed),
            (r#""type""#, r#""typ""#, ClientDataError::Malformed),
        ] {
            assert_eq!(check(&good.replace(from, to)), Err(error), "{from} -> {to}");
        }
        assert_eq!(check(&" ".repeat(MAX_CLIENT_DATA + 1)), Err(ClientDataError::TooLong));
        assert_eq!(check(""), Err(ClientDataError::Malformed));
        let list = format!(r#"["webauthn.get","{word}","https://desk.example"]"#);
        assert_eq!(check(&list), Err(ClientDataError::Malformed));
    }
}
