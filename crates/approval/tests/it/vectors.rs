//! The test vectors of `WebAuthn` Level 3 §16 (W3C, editor's draft of 2026-07-30), RP id `example.org`.

use approval::{
    AssertionError, Attestation, Client, ClientDataError, CoseError, Credential, Expected, Registered,
    Registration, RegistrationError, verify_assertion, verify_registration,
};

use crate::support::{NOW, Vector, name, rp_id};

const ORIGIN: &str = "https://example.org";

fn register(vector: &Vector) -> Result<Registered, RegistrationError> {
    let registration = Registration {
        attestation_object: vector.bytes("registration", "attestationObject"),
        client: Client::Browser { client_data: vector.bytes("registration", "clientDataJSON") },
    };
    let challenge = vector.challenge("registration");
    verify_registration(&rp_id("example.org"), &[ORIGIN.into()], &challenge, &registration)
}

fn credential(registered: &Registered) -> Credential {
    Credential {
        id: registered.id.clone(),
        public_key: registered.public_key,
        rp_id: rp_id("example.org"),
        aaguid: registered.aaguid,
        person: name("alice"),
        organisation: name("desk"),
        site: name("desk"),
        counter: registered.counter,
        backup_eligible: registered.backup_eligible,
        added_at: NOW,
        expires_at: None,
    }
}

fn assert_signs(vector: &Vector, credential: &Credential) -> Result<bool, AssertionError> {
    let expected = Expected {
        rp_id: &rp_id("example.org"),
        origins: &[ORIGIN.into()],
        user_verification: false,
        counter: 0,
    };
    let challenge = vector.challenge("authentication");
    verify_assertion(credential, &expected, &challenge, &vector.assertion())
        .map(|touch| touch.user_verified())
}

#[test]
fn both_ceremonies_hold() {
    for (file, attestation, verified) in [
        ("none-es256", Attestation::None, false),
        ("packed-self-es256", Attestation::SelfSigned, false),
        ("none-es256-long-credential-id", Attestation::None, true),
        ("packed-es256", Attestation::CertificateNotChecked, true),
        ("packed-eddsa", Attestation::CertificateNotChecked, false),
    ] {
        let vector = Vector::read(file);
        let registered = register(&vector).expect(file);
        assert_eq!(registered.attestation, attestation, "{file}");
        assert_eq!(registered.aaguid.0.to_vec(), vector.bytes("registration", "aaguid"), "{file}");
        assert_eq!(registered.id.as_slice(), vector.bytes("registration", "credential_id"), "{file}");
        assert_eq!(assert_signs(&vector, &credential(&registered)), Ok(verified), "{file}");
    }
}

#[test]
fn pages_inside_pages_are_refused() {
    for file in ["none-es256-crossOrigin", "none-es256-topOrigin"] {
        let refused = register(&Vector::read(file));
        assert_eq!(refused, Err(ClientDataError::CrossOrigin.into()), "{file}");
    }
}

#[test]
fn other_algorithms_and_formats_are_refused() {
    let refused = register(&Vector::read("packed-rs256"));
    assert_eq!(
        refused,
        Err(RegistrationError::AuthenticatorData(CoseError::Algorithm(-257).into())),
        "RSA is not taken"
    );
    assert_eq!(register(&Vector::read("fido-u2f-es256")), Err(RegistrationError::Format));
}

#[test]
fn one_vectors_key_does_not_hold_for_another() {
    let own = Vector::read("none-es256");
    let other = Vector::read("packed-self-es256");
    let mut credential = credential(&register(&own).expect("holds"));
    credential.public_key = register(&other).expect("holds").public_key;
    assert_eq!(assert_signs(&own, &credential), Err(AssertionError::Signature));
    credential.public_key = register(&Vector::read("packed-eddsa")).expect("holds").public_key;
    assert_eq!(assert_signs(&own, &credential), Err(AssertionError::SignatureForm), "DER is not EdDSA's");
}

#[test]
fn a_look_alike_origin_is_refused() {
    let vector = Vector::read("none-es256");
    let credential = credential(&register(&vector).expect("holds"));
    for origin in ["https://example.org.evil.example", "http://example.org", "https://exаmple.org"] {
        let expected = Expected {
            rp_id: &rp_id("example.org"),
            origins: &[origin.into()],
            user_verification: false,
            counter: 0,
        };
        let challenge = vector.challenge("authentication");
        let refused = verify_assertion(&credential, &expected, &challenge, &vector.assertion());
        assert_eq!(refused, Err(ClientDataError::Origin.into()), "{origin}");
    }
}

#[test]
fn a_registration_is_for_its_relying_party_and_needs_a_touch() {
    let vector = Vector::read("none-es256");
    let object = hex::encode(vector.bytes("registration", "attestationObject"));
    let read = |rp: &str, object: &str| {
        let registration = Registration {
            attestation_object: hex::decode(object).expect("hexadecimal"),
            client: Client::Browser { client_data: vector.bytes("registration", "clientDataJSON") },
        };
        verify_registration(&rp_id(rp), &[ORIGIN.into()], &vector.challenge("registration"), &registration)
    };
    assert!(read("example.org", &object).is_ok());
    assert_eq!(read("example.com", &object), Err(RegistrationError::RelyingParty));
    // Without an attestation nothing is signed, so each flag can be tried: 0x59 is as the standard has it.
    let with = |flags: &str| object.replacen("52b2e4b559", &format!("52b2e4b5{flags}"), 1);
    assert_eq!(read("example.org", &with("58")), Err(RegistrationError::UserNotPresent));
    assert!(read("example.org", &with("41")).is_ok());
    let longer = format!("{object}00");
    assert_eq!(read("example.org", &longer), Err(RegistrationError::Malformed));
}
