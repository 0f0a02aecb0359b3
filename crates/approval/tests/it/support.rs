//! People with tokens in memory, directives for them, and the standard's vectors.

use approval::{
    Aaguid, Accounts, Action, Approvers, Assertion, Client, Content, Credential, CredentialId, Digest,
    Directive, Name, Nonce, PublicKey, Reason, RelyingPartyId, Start,
};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::Value;
use trading::Timestamp;

pub(crate) const POLICY: Digest = Digest([0xaa; 32]);
/// 2026-11-21, some minute of it.
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

pub(crate) fn after(ms: u64) -> Timestamp {
    Timestamp::from_ms(NOW.as_ms() + ms)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(crate) fn rp_id(text: &str) -> RelyingPartyId {
    RelyingPartyId::new(text).expect("a host")
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

/// A token with one `EdDSA` key: small, and the same in every run.
pub(crate) struct Token {
    pair: Ed25519KeyPair,
    pub(crate) credential: Credential,
}

impl Token {
    pub(crate) fn new(seed: u8, person: &str, organisation: &str) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes");
        let public_key = PublicKey::EdDsa(pair.public_key().as_ref().try_into().expect("32 bytes"));
        let credential = Credential {
            id: CredentialId::from_slice(&[seed; 16]).expect("an id"),
            public_key,
            rp_id: rp_id("desk.example"),
            aaguid: Aaguid([seed; 16]),
            person: name(person),
            organisation: name(organisation),
            site: name(organisation),
            counter: 0,
            backup_eligible: false,
            added_at: NOW,
            expires_at: None,
        };
        Self { pair, credential }
    }

    /// A touch, with counter and flags of the caller's.
    pub(crate) fn sign(&self, digest: &Digest, flags: u8, counter: u32) -> Assertion {
        let mut data = self.credential.rp_id.hash().to_vec();
        data.push(flags);
        data.extend_from_slice(&counter.to_be_bytes());
        self.sign_data(digest, data)
    }

    pub(crate) fn sign_data(&self, digest: &Digest, authenticator_data: Vec<u8>) -> Assertion {
        let message = [&*authenticator_data, &digest.0].concat();
        Assertion {
            credential: self.credential.id.clone(),
            signature: self.pair.sign(&message).as_ref().to_vec(),
            authenticator_data,
            client: Client::Direct,
        }
    }

    /// What a browser would return for a page of `origin`.
    pub(crate) fn sign_in_browser(&self, digest: &Digest, origin: &str, counter: u32) -> Assertion {
        use base64::Engine as _;
        let challenge = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(digest.0);
        let client_data = serde_json::json!({
            "type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": false,
        })
        .to_string()
        .into_bytes();
        let hash = Digest(sha256(&client_data));
        Assertion { client: Client::Browser { client_data }, ..self.sign(&hash, 1, counter) }
    }
}

pub(crate) fn approvers<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Approvers {
    let nobody = Approvers::nobody(rp_id("desk.example"));
    tokens.into_iter().fold(nobody, |list, token| list.with(token.credential.clone()).expect("fits"))
}

pub(crate) fn start() -> Start {
    Start {
        incident: name("incident-7"),
        reconciliation: Digest([0xcc; 32]),
        size_factor: "0.25".parse().expect("a factor"),
    }
}

pub(crate) fn content(action: Action, nonce: u8) -> Content {
    Content {
        id: name("directive-1"),
        action,
        accounts: Accounts::All,
        policy: POLICY,
        not_before: NOW,
        expires_at: after(600_000),
        nonce: Nonce([nonce; 16]),
        proposer: None,
        reason: Reason::new("a drill").expect("a reason"),
    }
}

pub(crate) fn directive(action: Action, nonce: u8) -> Directive {
    Directive::new(content(action, nonce)).expect("holds together")
}

/// One ceremony of the standard's vectors.
pub(crate) struct Vector(Value);

impl Vector {
    pub(crate) fn read(name: &str) -> Self {
        let all: Value =
            serde_json::from_str(include_str!("../vectors/webauthn-level-3.json")).expect("JSON");
        Self(all[name].clone())
    }

    pub(crate) fn bytes(&self, ceremony: &str, field: &str) -> Vec<u8> {
        hex::decode(self.0[ceremony][field].as_str().expect("the field is there")).expect("hexadecimal")
    }

    pub(crate) fn challenge(&self, ceremony: &str) -> Digest {
        Digest::from_slice(&self.bytes(ceremony, "challenge")).expect("32 bytes")
    }

    pub(crate) fn assertion(&self) -> Assertion {
        Assertion {
            credential: CredentialId::from_slice(&self.bytes("registration", "credential_id"))
                .expect("an id"),
            authenticator_data: self.bytes("authentication", "authenticatorData"),
            signature: self.bytes("authentication", "signature"),
            client: Client::Browser { client_data: self.bytes("authentication", "clientDataJSON") },
        }
    }
}
