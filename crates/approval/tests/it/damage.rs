//! Damaged and foreign bytes: nothing panics, nothing is accepted.

use approval::{
    Action, Assertion, AssertionError, AuthenticatorData, AuthenticatorDataError, Client, ClientDataError,
    Digest, Directive, Expected, Registration, verify_assertion, verify_registration,
};

use crate::support::{Token, Vector, directive, rp_id};

fn check(token: &Token, digest: &Digest, assertion: &Assertion, counter: u32) -> Result<u32, AssertionError> {
    let expected = Expected {
        rp_id: &rp_id("desk.example"),
        origins: &["https://desk.example".into()],
        user_verification: false,
        counter,
    };
    verify_assertion(&token.credential, &expected, digest, assertion).map(|touch| touch.counter())
}

#[test]
fn each_check_has_its_own_refusal() {
    let token = Token::new(1, "alice", "desk");
    let digest = directive(Action::Kill { revoke: true }, 1).digest();
    let good = token.sign(&digest, 0x01, 5);
    assert_eq!(check(&token, &digest, &good, 4), Ok(5));

    let other = directive(Action::Kill { revoke: false }, 1).digest();
    assert_eq!(check(&token, &other, &good, 4), Err(AssertionError::Signature), "another directive");
    let untouched = token.sign(&digest, 0x00, 5);
    assert_eq!(check(&token, &digest, &untouched, 4), Err(AssertionError::UserNotPresent));
    let verified_only = token.sign(&digest, 0x04, 5);
    assert_eq!(check(&token, &digest, &verified_only, 4), Err(AssertionError::UserNotPresent));
    let syncable = token.sign(&digest, 0x09, 5);
    assert_eq!(check(&token, &digest, &syncable, 4), Err(AssertionError::BackupEligibility));
    let reserved = token.sign(&digest, 0x21, 5);
    assert_eq!(check(&token, &digest, &reserved, 4), Err(AuthenticatorDataError::ReservedFlag.into()));

    let mut elsewhere = rp_id("desk.example.evil.example").hash().to_vec();
    elsewhere.extend_from_slice(&[1, 0, 0, 0, 5]);
    let elsewhere = token.sign_data(&digest, elsewhere);
    assert_eq!(check(&token, &digest, &elsewhere, 4), Err(AssertionError::RelyingParty));

    let mut stranger = Token::new(2, "mallory", "desk");
    assert_eq!(check(&stranger, &digest, &good, 4), Err(AssertionError::OtherCredential));
    stranger.credential.id = token.credential.id.clone();
    assert_eq!(check(&stranger, &digest, &good, 4), Err(AssertionError::Signature), "another key");
    stranger.credential.rp_id = rp_id("other.example");
    assert_eq!(check(&stranger, &digest, &good, 4), Err(AssertionError::CredentialRelyingParty));

    let expected =
        Expected { rp_id: &rp_id("desk.example"), origins: &[], user_verification: true, counter: 4 };
    let refused = verify_assertion(&token.credential, &expected, &digest, &good);
    assert_eq!(refused, Err(AssertionError::UserNotVerified));
    let verified = token.sign(&digest, 0x05, 5);
    assert!(verify_assertion(&token.credential, &expected, &digest, &verified).is_ok());
}

#[test]
fn the_counter_goes_up_or_is_none() {
    let token = Token::new(1, "alice", "desk");
    let digest = directive(Action::Pause, 1).digest();
    let at = |counter, seen| check(&token, &digest, &token.sign(&digest, 1, counter), seen);
    assert_eq!(at(0, 0), Ok(0), "a token without a counter");
    assert_eq!(at(1, 0), Ok(1));
    assert_eq!(at(u32::MAX, u32::MAX - 1), Ok(u32::MAX));
    for (was, seen) in [(0, 1), (1, 1), (6, 7), (u32::MAX, u32::MAX)] {
        assert_eq!(at(was, seen), Err(AssertionError::Counter { was, seen }));
    }
    let mut registered = Token::new(1, "alice", "desk");
    registered.credential.counter = 9;
    let refused = check(&registered, &digest, &registered.sign(&digest, 1, 9), 0);
    assert_eq!(refused, Err(AssertionError::Counter { was: 9, seen: 9 }), "the counter it was added with");
}

#[test]
fn a_browser_and_a_program_are_not_taken_for_one_another() {
    let token = Token::new(1, "alice", "desk");
    let digest = directive(Action::Pause, 1).digest();
    let browser = token.sign_in_browser(&digest, "https://desk.example", 1);
    assert_eq!(check(&token, &digest, &browser, 0), Ok(1));
    let as_direct = Assertion { client: Client::Direct, ..browser.clone() };
    assert_eq!(check(&token, &digest, &as_direct, 0), Err(AssertionError::Signature));
    let as_browser = Assertion { client: browser.client, ..token.sign(&digest, 1, 1) };
    assert_eq!(check(&token, &digest, &as_browser, 0), Err(AssertionError::Signature));
    let look_alike = token.sign_in_browser(&digest, "https://desk-example.example", 1);
    assert_eq!(check(&token, &digest, &look_alike, 0), Err(ClientDataError::Origin.into()));
}

#[test]
fn every_flipped_bit_of_an_assertion_is_refused() {
    let token = Token::new(1, "alice", "desk");
    let digest = directive(Action::Kill { revoke: true }, 1).digest();
    for good in [token.sign(&digest, 1, 5), token.sign_in_browser(&digest, "https://desk.example", 5)] {
        assert_eq!(check(&token, &digest, &good, 0), Ok(5));
        let mut refused = 0;
        for field in 0..3 {
            let length = part(&mut good.clone(), field).map_or(0, |bytes| bytes.len());
            for bit in 0..length * 8 {
                let mut damaged = good.clone();
                part(&mut damaged, field).expect("it has bytes")[bit / 8] ^= 1 << (bit % 8);
                assert!(check(&token, &digest, &damaged, 0).is_err(), "field {field}, bit {bit}");
                refused += 1;
            }
        }
        assert!(refused >= (37 + 64) * 8, "{refused}");
        for bit in 0..256 {
            let mut other = digest;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&token, &other, &good, 0).is_err(), "bit {bit} of the digest");
        }
    }
}

fn part(assertion: &mut Assertion, field: usize) -> Option<&mut Vec<u8>> {
    match (field, assertion) {
        (0, assertion) => Some(&mut assertion.authenticator_data),
        (1, assertion) => Some(&mut assertion.signature),
        (_, Assertion { client: Client::Browser { client_data }, .. }) => Some(client_data),
        _ => None,
    }
}

#[test]
fn every_flipped_bit_of_the_standards_es256_assertion_is_refused() {
    let vector = Vector::read("packed-self-es256");
    let registered = verify_registration(
        &rp_id("example.org"),
        &["https://example.org".into()],
        &vector.challenge("registration"),
        &Registration {
            attestation_object: vector.bytes("registration", "attestationObject"),
            client: Client::Browser { client_data: vector.bytes("registration", "clientDataJSON") },
        },
    )
    .expect("holds");
    let mut token = Token::new(1, "alice", "desk");
    token.credential.id = registered.id;
    token.credential.public_key = registered.public_key;
    token.credential.backup_eligible = registered.backup_eligible;
    token.credential.rp_id = rp_id("example.org");
    let check = |assertion: &Assertion| {
        let expected = Expected {
            rp_id: &rp_id("example.org"),
            origins: &["https://example.org".into()],
            user_verification: false,
            counter: 0,
        };
        verify_assertion(&token.credential, &expected, &vector.challenge("authentication"), assertion)
    };
    let good = vector.assertion();
    assert!(check(&good).is_ok());
    for field in 0..3 {
        for bit in 0..part(&mut good.clone(), field).expect("it has bytes").len() * 8 {
            let mut damaged = good.clone();
            part(&mut damaged, field).expect("it has bytes")[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&damaged).is_err(), "field {field}, bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_self_signed_registration_is_refused() {
    let vector = Vector::read("packed-self-es256");
    let object = vector.bytes("registration", "attestationObject");
    let client = Client::Browser { client_data: vector.bytes("registration", "clientDataJSON") };
    let check = |attestation_object: Vec<u8>| {
        let registration = Registration { attestation_object, client: client.clone() };
        let challenge = vector.challenge("registration");
        verify_registration(&rp_id("example.org"), &["https://example.org".into()], &challenge, &registration)
    };
    assert!(check(object.clone()).is_ok());
    for bit in 0..object.len() * 8 {
        let mut damaged = object.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(check(damaged).is_err(), "bit {bit}");
    }
    for length in 0..object.len() {
        assert!(check(object[..length].to_vec()).is_err(), "cut at {length}");
    }
    assert!(check([object, vec![0]].concat()).is_err(), "a byte more");
}

/// Numbers that look random, from a seed (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % below
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.next(3) {
            let at = self.next(bytes.len().max(1));
            let byte = u8::try_from(self.next(256)).expect("a byte");
            match self.next(5) {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 if !bytes.is_empty() => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, byte),
                3 => bytes.truncate(at),
                _ => bytes.extend_from_slice(&[byte; 3]),
            }
        }
    }
}

#[test]
fn damaged_bytes_never_panic_and_never_pass() {
    const SEED: u64 = 0x5ea_3a11;
    let mut dice = Dice(SEED);
    let token = Token::new(1, "alice", "desk");
    let asked = directive(Action::Kill { revoke: true }, 1);
    let digest = asked.digest();
    let good = [token.sign(&digest, 1, 5), token.sign_in_browser(&digest, "https://desk.example", 5)];
    let vector = Vector::read("packed-self-es256");
    let object = vector.bytes("registration", "attestationObject");
    let client = Client::Browser { client_data: vector.bytes("registration", "clientDataJSON") };
    for round in 0..20_000 {
        let place = format!("seed {SEED:#x}, round {round}");
        let mut damaged = good[round % 2].clone();
        let field = dice.next(2 + round % 2);
        dice.damage(part(&mut damaged, field).expect("it has bytes"));
        if damaged != good[round % 2] {
            assert!(check(&token, &digest, &damaged, 0).is_err(), "{place}");
        }
        drop(AuthenticatorData::parse(&damaged.authenticator_data));

        let mut bytes = asked.to_bytes();
        dice.damage(&mut bytes);
        if let Ok(read) = Directive::from_bytes(&bytes) {
            assert_eq!(read.to_bytes(), bytes, "{place}");
            assert!(bytes == asked.to_bytes() || read.digest() != digest, "{place}");
        }

        let mut attestation_object = object.clone();
        dice.damage(&mut attestation_object);
        if attestation_object != object {
            let registration = Registration { attestation_object, client: client.clone() };
            let checked = verify_registration(
                &rp_id("example.org"),
                &["https://example.org".into()],
                &vector.challenge("registration"),
                &registration,
            );
            assert!(checked.is_err(), "{place}");
        }
    }
}
