//! The sealed store: which venue keys there are, and the sealed bytes of each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::{AccountName, Timestamp, Venue};
use zeroize::Zeroizing;

use crate::{KeyDescription, KeyError, KeyStage, Role, RootSecret, SealError, SecretText, SigningKey};

/// A venue key about to be sealed.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// The venue that issued it.
    pub venue: Venue,
    /// The account it trades.
    pub account: &'a AccountName,
    /// What it is for.
    pub role: Role,
    /// The venue's id for the key.
    pub api_key: &'a str,
    /// The secret, in any form that [`SigningKey::parse`] reads.
    pub secret: &'a SecretText,
    /// The time now.
    pub added_at: Timestamp,
}

/// One key of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    description: KeyDescription,
    /// Base64 of the sealed [`Payload`].
    sealed: String,
    /// When another key took its place. Like the stage not authenticated by the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retiring_since: Option<Timestamp>,
}

/// What is sealed: the venue's id for the key and the secret, both as text.
#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    api_key: std::borrow::Cow<'a, str>,
    secret: std::borrow::Cow<'a, str>,
}

/// Why the store refuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Not a store this version wrote.
    #[error("the key store cannot be read: {0}")]
    Unreadable(String),
    /// The store belongs to another policy.
    #[error(
        "the keys are sealed under policy {sealed}, but the policy is {current}; run `seawall policy apply`"
    )]
    OtherPolicy {
        /// Hash the store was sealed under.
        sealed: String,
        /// Hash asked for.
        current: String,
    },
    /// One key does not open.
    #[error("key {key_id} {source}")]
    Sealed {
        /// Which key.
        key_id: String,
        /// Why.
        source: SealError,
    },
    /// One secret is not a key.
    #[error("key {key_id}: {source}")]
    Key {
        /// Which key.
        key_id: String,
        /// Why.
        source: KeyError,
    },
    /// The venue takes no keys of this algorithm.
    #[error("{venue} takes no {algorithm} keys")]
    NotTaken {
        /// The venue.
        venue: Venue,
        /// The key's algorithm.
        algorithm: &'static str,
    },
    /// An active key for this venue, account and role exists.
    #[error(
        "{venue} account {account} has an active {role} key already ({key_id}); use `seawall key rotate`"
    )]
    Exists {
        /// The venue.
        venue: Venue,
        /// The account.
        account: AccountName,
        /// The role.
        role: Role,
        /// The key that is there.
        key_id: String,
    },
    /// This very key is in the store.
    #[error("key {key_id} is in use already; ask the venue for a new one")]
    InUse {
        /// The key.
        key_id: String,
    },
    /// No such key.
    #[error("there is no key {0}; see `seawall key list`")]
    Unknown(String),
}

/// Venue keys of one role, each sealed under the root secret and the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedStore {
    version: u32,
    /// The policy in force, as its file's text: one file holds both, so they change at once.
    policy: String,
    /// Hash of that policy, under which every entry is sealed, hexadecimal.
    policy_hash: String,
    entries: Vec<Entry>,
}

/// A venue key that was opened: ready to sign, in the vault's memory only.
#[derive(Debug)]
pub struct VenueKey {
    /// What may be said of it.
    pub description: KeyDescription,
    /// The venue's id for the key; not secret, but only the vault knows it.
    pub api_key: String,
    /// The key itself.
    pub signing: SigningKey,
}

impl SealedStore {
    /// An empty store under the policy with text `policy` and hash `policy_hash`.
    #[must_use]
    pub fn new(policy: &str, policy_hash: &[u8; 32]) -> Self {
        Self {
            version: 1,
            policy: policy.to_owned(),
            policy_hash: hex::encode(policy_hash),
            entries: Vec::new(),
        }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreadable`] with the place of the fault.
    pub fn from_json(text: &str) -> Result<Self, StoreError> {
        let store: Self =
            serde_json::from_str(text).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        if store.version != 1 {
            return Err(StoreError::Unreadable(format!("version {} is not 1", store.version)));
        }
        Ok(store)
    }

    /// The JSON form, for people and disks; holds no readable secret.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a store has only strings and numbers")
    }

    /// What may be said of each key, in the order they were added.
    pub fn descriptions(&self) -> impl Iterator<Item = &KeyDescription> {
        self.entries.iter().map(|entry| &entry.description)
    }

    /// Text of the policy the store is sealed under. Whoever uses it checks that it hashes to what
    /// the keys open under: an altered text opens nothing.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Hash of the policy the store is sealed under, hexadecimal.
    #[must_use]
    pub fn policy_hash(&self) -> &str {
        &self.policy_hash
    }

    /// Adds a key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if the account has an active key of this role on this venue;
    /// [`StoreError::InUse`] if this very key is in the store; [`StoreError::Key`] if the secret is
    /// not a key; [`StoreError::NotTaken`] if it is none that the venue takes;
    /// [`StoreError::OtherPolicy`].
    pub fn add(
        &mut self,
        root: &RootSecret,
        policy_hash: &[u8; 32],
        new: &NewKey<'_>,
    ) -> Result<KeyDescription, StoreError> {
        check_taken(new)?;
        self.add_to_measure(root, policy_hash, new)
    }

    /// As [`SealedStore::add`], whatever the venue takes: for measuring what a signature costs
    /// whose venues come later. No venue would accept what such a key signs.
    ///
    /// # Errors
    ///
    /// As [`SealedStore::add`] but for [`StoreError::NotTaken`].
    pub fn add_to_measure(
        &mut self,
        root: &RootSecret,
        policy_hash: &[u8; 32],
        new: &NewKey<'_>,
    ) -> Result<KeyDescription, StoreError> {
        if let Some(there) = self.active(new) {
            return Err(StoreError::Exists {
                venue: new.venue,
                account: new.account.clone(),
                role: new.role,
                key_id: there.key_id.clone(),
            });
        }
        self.insert(root, policy_hash, new)
    }

    /// The keys that another has replaced, and since when; nothing of this version leaves that out.
    pub fn retiring(&self) -> impl Iterator<Item = (&KeyDescription, Option<Timestamp>)> {
        let retiring = self.entries.iter().filter(|entry| entry.description.stage == KeyStage::Retiring);
        retiring.map(|entry| (&entry.description, entry.retiring_since))
    }

    /// Adds a key beside the active one, which becomes [`KeyStage::Retiring`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`] if there is nothing to rotate; otherwise as [`SealedStore::add`].
    pub fn rotate(
        &mut self,
        root: &RootSecret,
        policy_hash: &[u8; 32],
        new: &NewKey<'_>,
    ) -> Result<KeyDescription, StoreError> {
        check_taken(new)?;
        let old = self
            .active(new)
            .map(|description| description.key_id.clone())
            .ok_or_else(|| StoreError::Unknown(format!("for {} account {}", new.venue, new.account)))?;
        let added = self.insert(root, policy_hash, new)?;
        for entry in &mut self.entries {
            if entry.description.key_id == old {
                entry.description.stage = KeyStage::Retiring;
                entry.retiring_since = Some(new.added_at);
            }
        }
        Ok(added)
    }

    /// Drops a key for good.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`] if no key has this id.
    pub fn remove(&mut self, key_id: &str) -> Result<KeyDescription, StoreError> {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.description.key_id == key_id)
            .ok_or_else(|| StoreError::Unknown(key_id.to_owned()))?;
        Ok(self.entries.remove(at).description)
    }

    /// Opens every key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] for the first key that does not open: a store is used whole or not at all.
    pub fn open(&self, root: &RootSecret, policy_hash: &[u8; 32]) -> Result<Vec<VenueKey>, StoreError> {
        self.check_policy(policy_hash)?;
        self.entries
            .iter()
            .map(|entry| {
                let key_id = &entry.description.key_id;
                let text = open_entry(root, policy_hash, entry)?;
                let payload = payload_of(&text)?;
                let secret = SecretText::new(payload.secret.into_owned());
                let signing = SigningKey::parse(&secret)
                    .map_err(|source| StoreError::Key { key_id: key_id.clone(), source })?;
                Ok(VenueKey {
                    description: entry.description.clone(),
                    api_key: payload.api_key.into_owned(),
                    signing,
                })
            })
            .collect()
    }

    /// The same keys sealed under the policy with text `new_text` and hash `new_policy`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if any key does not open under `old_policy`.
    pub fn reseal(
        &self,
        root: &RootSecret,
        old_policy: &[u8; 32],
        new_text: &str,
        new_policy: &[u8; 32],
    ) -> Result<Self, StoreError> {
        self.check_policy(old_policy)?;
        let mut resealed = Self::new(new_text, new_policy);
        for entry in &self.entries {
            let text = open_entry(root, old_policy, entry)?;
            let sealed = root.seal(new_policy, &entry.description.sealed_metadata(), &text);
            resealed.entries.push(Entry {
                description: entry.description.clone(),
                sealed: BASE64.encode(sealed),
                retiring_since: entry.retiring_since,
            });
        }
        Ok(resealed)
    }

    /// The active key whose place `new` would take.
    fn active(&self, new: &NewKey<'_>) -> Option<&KeyDescription> {
        self.descriptions().find(|key| {
            key.venue == new.venue
                && key.account == *new.account
                && key.role == new.role
                && key.stage == KeyStage::Active
        })
    }

    fn check_policy(&self, policy_hash: &[u8; 32]) -> Result<(), StoreError> {
        let current = hex::encode(policy_hash);
        if self.policy_hash == current {
            Ok(())
        } else {
            Err(StoreError::OtherPolicy { sealed: self.policy_hash.clone(), current })
        }
    }

    fn insert(
        &mut self,
        root: &RootSecret,
        policy_hash: &[u8; 32],
        new: &NewKey<'_>,
    ) -> Result<KeyDescription, StoreError> {
        self.check_policy(policy_hash)?;
        let key_id = KeyDescription::key_id(new.api_key);
        if self.descriptions().any(|key| key.key_id == key_id) {
            return Err(StoreError::InUse { key_id });
        }
        let signing = SigningKey::parse(new.secret)
            .map_err(|source| StoreError::Key { key_id: key_id.clone(), source })?;
        let description = KeyDescription {
            key_id,
            venue: new.venue,
            account: new.account.clone(),
            role: new.role,
            algorithm: algorithm_name(signing.algorithm()).to_owned(),
            added_at: new.added_at,
            stage: KeyStage::Active,
        };
        let payload = Payload { api_key: new.api_key.into(), secret: new.secret.expose().into() };
        let text = Zeroizing::new(serde_json::to_vec(&payload).expect("two strings"));
        let sealed = BASE64.encode(root.seal(policy_hash, &description.sealed_metadata(), &text));
        self.entries.push(Entry { description: description.clone(), sealed, retiring_since: None });
        Ok(description)
    }
}

/// Whether the venue takes what `new` holds. A secret that is no key is left to who makes a key of it.
fn check_taken(new: &NewKey<'_>) -> Result<(), StoreError> {
    match SigningKey::parse(new.secret).map(|key| key.algorithm()) {
        Ok(algorithm) if !algorithm.is_taken_by(new.venue) => {
            Err(StoreError::NotTaken { venue: new.venue, algorithm: algorithm_name(algorithm) })
        }
        _ => Ok(()),
    }
}

fn open_entry(
    root: &RootSecret,
    policy_hash: &[u8; 32],
    entry: &Entry,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let refused = |source| StoreError::Sealed { key_id: entry.description.key_id.clone(), source };
    let sealed = BASE64.decode(&entry.sealed).map_err(|_| refused(SealError::Truncated))?;
    root.open(policy_hash, &entry.description.sealed_metadata(), &sealed).map_err(refused)
}

fn payload_of(text: &[u8]) -> Result<Payload<'_>, StoreError> {
    serde_json::from_slice(text)
        .map_err(|_| StoreError::Unreadable("a sealed payload is not what was sealed".to_owned()))
}

const fn algorithm_name(algorithm: venue::Algorithm) -> &'static str {
    match algorithm {
        venue::Algorithm::HmacSha256 => "hmac-sha256",
        venue::Algorithm::Ed25519 => "ed25519",
        venue::Algorithm::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
        venue::Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        venue::Algorithm::EcdsaSecp256k1Keccak256 => "ecdsa-secp256k1-keccak256",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: [u8; 32] = [1; 32];

    fn store_with_one_key(root: &RootSecret) -> SealedStore {
        let mut store = SealedStore::new("version = 1", &POLICY);
        with_key("APIKEY", "s3cr3t-of-the-venue", |key| store.add(root, &POLICY, key)).expect("first key");
        store
    }

    fn with_key<T>(api_key: &str, secret: &str, act: impl FnOnce(&NewKey<'_>) -> T) -> T {
        act(&NewKey {
            venue: Venue::Bybit,
            account: &AccountName::new("main").expect("a name"),
            role: Role::Trade,
            api_key,
            secret: &SecretText::new(secret.to_owned()),
            added_at: Timestamp::from_ms(1),
        })
    }

    #[test]
    fn the_file_holds_neither_secret_nor_key_id() {
        let text = store_with_one_key(&RootSecret::generate()).to_json();
        assert!(!text.contains("s3cr3t") && !text.contains("APIKEY"), "{text}");
    }

    #[test]
    fn a_key_that_the_venue_does_not_take_is_refused() {
        let (root, secret) = (RootSecret::generate(), format!("0x{}", "07".repeat(32)));
        let mut store = store_with_one_key(&root);
        let refused = |result| matches!(result, Err(StoreError::NotTaken { venue: Venue::Bybit, .. }));
        assert!(refused(with_key("K2", &secret, |key| store.add(&root, &POLICY, key))));
        assert!(refused(with_key("K2", &secret, |key| store.rotate(&root, &POLICY, key))));
        let mut empty = SealedStore::new("version = 1", &POLICY);
        let added = with_key("K2", &secret, |key| empty.add_to_measure(&root, &POLICY, key)).expect("a key");
        assert_eq!(added.algorithm, "ecdsa-secp256k1-keccak256");
        let opened = empty.open(&root, &POLICY).expect("same root and policy");
        assert_eq!(opened[0].signing.sign(b"x").len(), 65);
        assert!(!empty.to_json().contains("070707"));
    }

    #[test]
    fn survives_the_file_and_opens() {
        let root = RootSecret::generate();
        let store = SealedStore::from_json(&store_with_one_key(&root).to_json()).expect("own form");
        let keys = store.open(&root, &POLICY).expect("same root and policy");
        assert_eq!(keys[0].api_key, "APIKEY");
        assert!(matches!(store.open(&root, &[2; 32]), Err(StoreError::OtherPolicy { .. })));
    }

    #[test]
    fn altered_metadata_is_refused() {
        let root = RootSecret::generate();
        let text = store_with_one_key(&root).to_json().replace("\"main\"", "\"other\"");
        let store = SealedStore::from_json(&text).expect("still well-formed");
        assert!(matches!(store.open(&root, &POLICY), Err(StoreError::Sealed { .. })));
    }

    #[test]
    fn rotation_keeps_the_old_key_until_it_is_dropped() {
        let root = RootSecret::generate();
        let mut store = store_with_one_key(&root);
        let added = with_key("K2", "next", |key| store.add(&root, &POLICY, key));
        assert!(matches!(added, Err(StoreError::Exists { .. })));
        let same = with_key("APIKEY", "next", |key| store.rotate(&root, &POLICY, key));
        assert!(matches!(same, Err(StoreError::InUse { .. })));
        let new = with_key("K2", "next", |key| store.rotate(&root, &POLICY, key)).expect("one to rotate");
        let stages: Vec<KeyStage> = store.descriptions().map(|key| key.stage).collect();
        assert_eq!(stages, [KeyStage::Retiring, KeyStage::Active]);
        let store_again = SealedStore::from_json(&store.to_json()).expect("own form");
        let resealed = store_again.reseal(&root, &POLICY, "version = 2", &[9; 32]).expect("opens");
        for kept in [&store, &store_again, &resealed] {
            let retiring: Vec<_> = kept.retiring().map(|(key, since)| (key.key_id.clone(), since)).collect();
            assert_eq!(retiring, [(KeyDescription::key_id("APIKEY"), Some(Timestamp::from_ms(1)))]);
        }
        store.remove(&KeyDescription::key_id("APIKEY")).expect("the old one");
        assert_eq!(store.descriptions().next().expect("the new one"), &new);
    }

    #[test]
    fn resealing_moves_every_key_to_the_new_policy() {
        let root = RootSecret::generate();
        let resealed =
            store_with_one_key(&root).reseal(&root, &POLICY, "version = 2", &[9; 32]).expect("opens");
        assert_eq!(resealed.open(&root, &[9; 32]).expect("new policy")[0].api_key, "APIKEY");
        assert!(resealed.open(&root, &POLICY).is_err());
    }
}
