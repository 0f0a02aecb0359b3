//! The only place where a venue key signs, and it signs only what the policy approved.

use std::collections::BTreeMap;

use keys::{KeyDescription, KeyStage, Role, RootSecret, SealedStore, Signature, VenueKey};
use policy::{Approved, Policy};
use protocol::sign::{ErrorCode, ErrorText, ReadyRequest};
use sha2::{Digest as _, Sha256};
use trading::{AccountName, Intent, Venue};
use venue::{HttpRequest, StreamMessage, Surface, Unsigned};

use crate::request::{Asked, Way};
use crate::ticket::{SignatureFacts, Signed};

/// Where each part of each venue is reached over HTTP: what signed requests are for.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct BaseUrls(pub BTreeMap<Venue, BTreeMap<Surface, String>>);

impl BaseUrls {
    pub(crate) fn get(&self, venue: Venue, surface: Surface) -> Option<&str> {
        self.0.get(&venue)?.get(&surface).map(String::as_str)
    }
}

/// The venue keys of this vault, and where what they sign may go.
pub(crate) struct Signer {
    root: RootSecret,
    keys: Vec<VenueKey>,
    bases: BaseUrls,
}

impl Signer {
    /// Opens the sealed store with the policy it holds. Every key in it must be one to trade with.
    pub(crate) fn open(root: RootSecret, store: &str, bases: BaseUrls) -> Result<(Self, Policy), String> {
        let (keys, policy) = open_store(&root, store, Role::Trade)?;
        Ok((Self { root, keys, bases }, policy))
    }

    /// A signer with these keys, for checking published vectors.
    pub(crate) fn with_keys(keys: Vec<VenueKey>, bases: BaseUrls) -> Self {
        Self { root: RootSecret::generate(), keys, bases }
    }

    /// Replaces the keys by those of another store, or leaves them as they are.
    pub(crate) fn reload(&mut self, store: &str) -> Result<Policy, String> {
        let (keys, policy) = open_store(&self.root, store, Role::Trade)?;
        self.keys = keys;
        Ok(policy)
    }

    /// What may be said of each key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyDescription> {
        self.keys.iter().map(|key| &key.description)
    }

    /// Signs what was approved. `asked` is the request that the approved intent was decoded from;
    /// `first_order` is the number that the policy's state gives its first order.
    pub(crate) fn sign(
        &self,
        approved: &Approved,
        asked: &Asked,
        first_order: u64,
    ) -> Result<Signed, ErrorText> {
        let (mut ready, facts) = self.finish(approved.intent(), asked)?;
        if asked.way.is_gateway() {
            ready.intent = Some(Box::new(approved.intent().clone()));
            ready.first_order = Some(first_order);
        }
        Ok(Signed::new(ready, facts))
    }

    /// The finished request that means `intent`. Private to the signer and to the vectors, whose keys
    /// come out of the vector.
    pub(crate) fn finish(
        &self,
        intent: &Intent,
        asked: &Asked,
    ) -> Result<(ReadyRequest, SignatureFacts), ErrorText> {
        let key = self.key_for(asked.venue, &asked.account)?;
        let input = venue::signing_input(&asked.unsigned, &key.api_key);
        let signature =
            if asked.unsigned.takes_signature() { key.signing.sign(&input) } else { Signature::EMPTY };
        let facts = SignatureFacts {
            signed_digest: Sha256::digest(&input).into(),
            signature_digest: Sha256::digest(&*signature).into(),
            key_id: key.description.key_id.clone(),
        };
        let finished =
            venue::attach(asked.unsigned.clone(), &key.api_key, key.signing.algorithm(), &signature);
        let ready = self.ready(asked, finished)?;
        check_meaning(intent, asked, &ready)?;
        Ok((ready, facts))
    }

    fn key_for(&self, venue: Venue, account: &AccountName) -> Result<&VenueKey, ErrorText> {
        let fits = |key: &&VenueKey| {
            key.description.venue == venue
                && key.description.account == *account
                && key.description.stage == KeyStage::Active
        };
        self.keys.iter().find(fits).ok_or_else(|| ErrorText {
            code: ErrorCode::NoKey,
            message: format!("there is no {venue} key for account {account}; see `seawall key add`"),
        })
    }

    fn ready(&self, asked: &Asked, finished: venue::Signed) -> Result<ReadyRequest, ErrorText> {
        match finished {
            venue::Signed::Message(text) => Ok(ReadyRequest {
                method: "FRAME".to_owned(),
                url: String::new(),
                headers: serde_json::Map::new(),
                body: text,
                intent: None,
                first_order: None,
            }),
            venue::Signed::Http(request) => {
                let surface = asked.unsigned.surface();
                ready_http(&self.bases, asked.venue, surface, request).map_err(broken)
            }
        }
    }
}

/// The finished request as a caller sends it.
pub(crate) fn ready_http(
    bases: &BaseUrls,
    venue: Venue,
    surface: Option<Surface>,
    request: HttpRequest,
) -> Result<ReadyRequest, &'static str> {
    let base = surface
        .and_then(|surface| bases.get(venue, surface))
        .ok_or("no host of the venue is configured for this endpoint")?;
    let body = String::from_utf8(request.body).map_err(|_| "the body is not UTF-8")?;
    let headers =
        request.headers.into_iter().map(|(name, value)| (name, serde_json::Value::String(value))).collect();
    Ok(ReadyRequest {
        method: request.method.as_str().to_owned(),
        url: format!("{base}{}", request.target),
        headers,
        body,
        intent: None,
        first_order: None,
    })
}

/// The keys of a store and the policy they are sealed with; a key of another role than `role` makes the
/// whole store one of another vault.
pub(crate) fn open_store(
    root: &RootSecret,
    text: &str,
    role: Role,
) -> Result<(Vec<VenueKey>, Policy), String> {
    let store = SealedStore::from_json(text).map_err(|error| error.to_string())?;
    let policy = Policy::parse(store.policy()).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        format!("the policy has mistakes: {}", lines.join("; "))
    })?;
    if let Some(other) = store.descriptions().find(|key| key.role != role) {
        return Err(format!("key {} is for {}, and this is the {role} vault", other.key_id, other.role));
    }
    let keys = store.open(root, &policy.hash()).map_err(|error| error.to_string())?;
    Ok((keys, policy))
}

/// Takes the finished bytes apart once more: they must mean exactly what was approved.
fn check_meaning(approved: &Intent, asked: &Asked, ready: &ReadyRequest) -> Result<(), ErrorText> {
    let again = match &asked.way {
        Way::Frame(stream) => match venue::split_message(*stream, &ready.body) {
            Ok(StreamMessage::Request(_, unsigned)) => Some(unsigned),
            Ok(StreamMessage::Harmless(_)) | Err(_) => None,
        },
        Way::Socket | Way::Http => split_again(asked.venue, ready),
    };
    match again.map(|unsigned| venue::decode(&unsigned)) {
        Some(Ok(intent)) if intent == *approved => Ok(()),
        _ => Err(broken("the finished request does not mean what was approved")),
    }
}

fn split_again(venue: Venue, ready: &ReadyRequest) -> Option<Unsigned> {
    let after_scheme = ready.url.split_once("://")?.1;
    let target = &after_scheme[after_scheme.find('/')?..];
    let headers = ready
        .headers
        .iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<_>>()?;
    let request = HttpRequest {
        method: ready.method.parse().ok()?,
        target: target.to_owned(),
        headers,
        body: ready.body.clone().into_bytes(),
    };
    venue::split(venue, request).ok().map(|(_, unsigned)| unsigned)
}

fn broken(message: &str) -> ErrorText {
    ErrorText { code: ErrorCode::Malformed, message: message.to_owned() }
}
