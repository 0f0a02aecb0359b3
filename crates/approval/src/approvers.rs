//! The list of those who may approve, and how many of them each action takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::Timestamp;

use crate::assertion::sha256;
use crate::bytes::{Aaguid, CredentialId};
use crate::cose::PublicKey;
use crate::directive::Kind;
use crate::names::Name;

/// Most credentials on a list.
pub const MAX_CREDENTIALS: usize = 64;
/// Most origins on a list.
pub const MAX_ORIGINS: usize = 8;
/// Longest origin, in bytes.
const MAX_ORIGIN: usize = 270;
/// Version of the form.
const VERSION: u64 = 1;

/// Whom keys are made for (`WebAuthn`'s RP ID): a host name of 1 to 253 of `a-z 0-9 . -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelyingPartyId(Box<str>);

impl RelyingPartyId {
    /// Checks `text` and takes it as an id.
    ///
    /// # Errors
    ///
    /// [`ApproversError::RelyingPartyId`].
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, ApproversError> {
        let text = text.into();
        let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let labels = text.split('.').all(|label| !label.is_empty() && !label.starts_with('-'));
        if text.len() <= 253 && text.bytes().all(is_host) && labels {
            Ok(Self(text))
        } else {
            Err(ApproversError::RelyingPartyId)
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for it in authenticator data: its SHA-256.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }
}

impl fmt::Display for RelyingPartyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for RelyingPartyId {
    type Error = ApproversError;
    fn try_from(text: String) -> Result<Self, ApproversError> {
        Self::new(text)
    }
}

impl From<RelyingPartyId> for String {
    fn from(id: RelyingPartyId) -> Self {
        id.0.into()
    }
}

/// One key of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Its public key.
    pub public_key: PublicKey,
    /// Whom it was made for.
    pub rp_id: RelyingPartyId,
    /// The token's model, by its own word: stands for its maker.
    pub aaguid: Aaguid,
    /// Whose it is.
    pub person: Name,
    /// Whom that person answers to. Of a delegated credential: the organisation that holds it.
    pub organisation: Name,
    /// Where it is kept.
    pub site: Name,
    /// Its counter when it was added.
    pub counter: u32,
    /// Whether the key may leave the token.
    pub backup_eligible: bool,
    /// When it was added, in milliseconds since the epoch.
    pub added_at: Timestamp,
    /// From when on it counts no more. A delegation always has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Credential {
    /// Whether it counts at `now`.
    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// What it takes to approve an action. Each number is of *distinct* ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// People.
    pub people: u8,
    /// Organisations among them.
    pub organisations: u8,
    /// Sites among them.
    pub sites: u8,
    /// Models of token among them; tokens that do not say count as one model.
    pub makers: u8,
    /// Whether each token must have checked PIN or biometric.
    pub user_verification: bool,
}

impl Rule {
    /// One touch by anyone on the list.
    pub const ONE_TOUCH: Self =
        Self { people: 1, organisations: 1, sites: 1, makers: 1, user_verification: false };
    /// Two people.
    pub const TWO_PEOPLE: Self = Self { people: 2, ..Self::ONE_TOUCH };
    /// Two people who answer to different organisations.
    pub const TWO_ORGANISATIONS: Self = Self { organisations: 2, ..Self::TWO_PEOPLE };
}

/// The rule of each kind of action; all must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorums {
    /// Level 1, where a touch is asked for at all.
    pub pause: Rule,
    /// Level 2, as above.
    pub cancel_all: Rule,
    /// Level 3.
    pub flatten: Rule,
    /// Level 4.
    pub kill: Rule,
    /// After a stop.
    pub resume: Rule,
    /// After rung 3.
    pub restart: Rule,
    /// After a kill.
    pub recommission: Rule,
    /// A new high-water mark.
    pub rebase: Rule,
    /// A policy that allows more.
    pub loosen_policy: Rule,
}

impl Quorums {
    /// The rule of a kind.
    #[must_use]
    pub const fn rule(&self, kind: Kind) -> &Rule {
        match kind {
            Kind::Pause => &self.pause,
            Kind::CancelAll => &self.cancel_all,
            Kind::Flatten => &self.flatten,
            Kind::Kill => &self.kill,
            Kind::Resume => &self.resume,
            Kind::Restart => &self.restart,
            Kind::Recommission => &self.recommission,
            Kind::Rebase => &self.rebase,
            Kind::LoosenPolicy => &self.loosen_policy,
        }
    }
}

impl Default for Quorums {
    /// One touch stops; two people resume and restart; what changes the terms takes two organisations.
    fn default() -> Self {
        Self {
            pause: Rule::ONE_TOUCH,
            cancel_all: Rule::ONE_TOUCH,
            flatten: Rule::ONE_TOUCH,
            kill: Rule::ONE_TOUCH,
            resume: Rule::TWO_PEOPLE,
            restart: Rule::TWO_PEOPLE,
            recommission: Rule::TWO_ORGANISATIONS,
            rebase: Rule::TWO_ORGANISATIONS,
            loosen_policy: Rule::TWO_ORGANISATIONS,
        }
    }
}

/// Why a list of approvers is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApproversError {
    /// A form of a later program.
    #[error("version must be {VERSION}")]
    Version,
    /// Not a host name.
    #[error("rp_id must be a host name of a-z, 0-9, . and -")]
    RelyingPartyId,
    /// Too many of a list.
    #[error("{0} has too many entries")]
    TooMany(&'static str),
    /// An origin that no page of the relying party has.
    #[error("origin {0:?} must be https://HOST[:PORT] (http only under localhost) with HOST in rp_id")]
    Origin(String),
    /// One id or one key twice: whoever holds it would count twice.
    #[error("credential {0} is listed twice, or shares its key with another")]
    Twice(CredentialId),
    /// A credential of another relying party.
    #[error("credential {0} is made for another rp_id")]
    OtherRelyingParty(CredentialId),
    /// A key that can be copied, where that is not allowed.
    #[error("credential {0} can be copied; set synced_passkeys = true to allow such keys")]
    Synced(CredentialId),
    /// A person with two organisations or sites: each counts as one.
    #[error("person {0} is listed with two organisations or sites")]
    Ambiguous(Name),
    /// A rule that nobody or not everybody could fill.
    #[error("quorum {0:?}: organisations, sites and makers must be at least 1 and at most people")]
    Rule(Kind),
    /// Loosening by one alone.
    #[error("quorum {0:?}: what loosens takes at least 2 people")]
    LoosenedByOne(Kind),
    /// Stopping made harder than starting.
    #[error("quorum {0:?} asks more than one that starts trading; stopping must not be harder")]
    StopHarderThanStart(Kind),
}

/// The list of approvers and the quorums. Part of what the vault takes with its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "File", into = "File")]
pub struct Approvers {
    rp_id: RelyingPartyId,
    origins: Vec<String>,
    synced_passkeys: bool,
    quorums: Quorums,
    credentials: BTreeMap<CredentialId, Credential>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    rp_id: RelyingPartyId,
    origins: Vec<String>,
    synced_passkeys: bool,
    quorum: Quorums,
    #[serde(default)]
    credential: Vec<Credential>,
}

impl Approvers {
    /// Returns a list with nobody on it, no browser pages, hardware-bound keys only, default quorums.
    #[must_use]
    pub fn nobody(rp_id: RelyingPartyId) -> Self {
        Self {
            rp_id,
            origins: Vec::new(),
            synced_passkeys: false,
            quorums: Quorums::default(),
            credentials: BTreeMap::new(),
        }
    }

    /// Returns this list with `credential` on it.
    ///
    /// # Errors
    ///
    /// [`ApproversError`] if it does not fit the rest.
    pub fn with(&self, credential: Credential) -> Result<Self, ApproversError> {
        let mut file = File::from(self.clone());
        file.credential.push(credential);
        file.try_into()
    }

    /// Returns this list with other quorums.
    ///
    /// # Errors
    ///
    /// [`ApproversError`] if they are no quorums.
    pub fn with_quorums(&self, quorums: Quorums) -> Result<Self, ApproversError> {
        File { quorum: quorums, ..self.clone().into() }.try_into()
    }

    /// Returns this list with these pages allowed to ask.
    ///
    /// # Errors
    ///
    /// [`ApproversError`] if one is no page of the relying party.
    pub fn with_origins(&self, origins: Vec<String>) -> Result<Self, ApproversError> {
        File { origins, ..self.clone().into() }.try_into()
    }

    /// Whom all keys are made for.
    #[must_use]
    pub const fn rp_id(&self) -> &RelyingPartyId {
        &self.rp_id
    }

    /// Origins of the pages that may ask.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// The quorums.
    #[must_use]
    pub const fn quorums(&self) -> &Quorums {
        &self.quorums
    }

    /// The credential with this id.
    #[must_use]
    pub fn credential(&self, id: &CredentialId) -> Option<&Credential> {
        self.credentials.get(id)
    }

    /// All credentials, by id.
    pub fn credentials(&self) -> impl ExactSizeIterator<Item = &Credential> {
        self.credentials.values()
    }
}

impl From<Approvers> for File {
    fn from(approvers: Approvers) -> Self {
        Self {
            version: VERSION,
            rp_id: approvers.rp_id,
            origins: approvers.origins,
            synced_passkeys: approvers.synced_passkeys,
            quorum: approvers.quorums,
            credential: approvers.credentials.into_values().collect(),
        }
    }
}

impl TryFrom<File> for Approvers {
    type Error = ApproversError;

    fn try_from(file: File) -> Result<Self, ApproversError> {
        if file.version != VERSION {
            return Err(ApproversError::Version);
        }
        if file.origins.len() > MAX_ORIGINS {
            return Err(ApproversError::TooMany("origins"));
        }
        if let Some(origin) = file.origins.iter().find(|origin| !fits(origin, &file.rp_id)) {
            return Err(ApproversError::Origin(origin.chars().take(MAX_ORIGIN).collect()));
        }
        if file.credential.len() > MAX_CREDENTIALS {
            return Err(ApproversError::TooMany("credential"));
        }
        check_quorums(&file.quorum)?;
        check_credentials(&file)?;
        Ok(Self {
            rp_id: file.rp_id,
            origins: file.origins,
            synced_passkeys: file.synced_passkeys,
            quorums: file.quorum,
            credentials: file.credential.into_iter().map(|own| (own.id.clone(), own)).collect(),
        })
    }
}

fn check_credentials(file: &File) -> Result<(), ApproversError> {
    let (mut ids, mut keys, mut people) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for credential in &file.credential {
        let id = || credential.id.clone();
        if !ids.insert(&credential.id) || !keys.insert(credential.public_key) {
            return Err(ApproversError::Twice(id()));
        }
        if credential.rp_id != file.rp_id {
            return Err(ApproversError::OtherRelyingParty(id()));
        }
        if credential.backup_eligible && !file.synced_passkeys {
            return Err(ApproversError::Synced(id()));
        }
        let place = (&credential.organisation, &credential.site);
        if people.insert(&credential.person, place).is_some_and(|before| before != place) {
            return Err(ApproversError::Ambiguous(credential.person.clone()));
        }
    }
    Ok(())
}

fn check_quorums(quorums: &Quorums) -> Result<(), ApproversError> {
    let loosening = || Kind::ALL.into_iter().filter(|kind| kind.loosens());
    for kind in Kind::ALL {
        let rule = quorums.rule(kind);
        let fits = |count: u8| (1..=rule.people).contains(&count);
        if ![rule.organisations, rule.sites, rule.makers].into_iter().all(fits) {
            return Err(ApproversError::Rule(kind));
        }
        if kind.loosens() && rule.people < 2 {
            return Err(ApproversError::LoosenedByOne(kind));
        }
        if !kind.loosens() && loosening().any(|start| is_harder(rule, quorums.rule(start))) {
            return Err(ApproversError::StopHarderThanStart(kind));
        }
    }
    Ok(())
}

fn is_harder(stop: &Rule, start: &Rule) -> bool {
    stop.people > start.people
        || stop.organisations > start.organisations
        || stop.sites > start.sites
        || stop.makers > start.makers
        || stop.user_verification && !start.user_verification
}

/// Whether `origin` is one that a browser lets use `rp_id` (`WebAuthn` §5.1.3: the host is it, or ends in
/// a dot and it).
fn fits(origin: &str, rp_id: &RelyingPartyId) -> bool {
    let secure = origin.strip_prefix("https://");
    let Some(rest) = secure.or_else(|| origin.strip_prefix("http://")) else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let local = host == "localhost" || host.ends_with(".localhost");
    let inside =
        host.strip_suffix(rp_id.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    let port_fits = port
        .is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port));
    origin.len() <= MAX_ORIGIN
        && (secure.is_some() || local)
        && inside
        && port_fits
        && RelyingPartyId::new(host).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody() -> Approvers {
        Approvers::nobody(RelyingPartyId::new("desk.example").expect("a host"))
    }

    #[test]
    fn a_relying_party_is_a_host_name() {
        for text in ["localhost", "seawall.localhost", "a-1.example"] {
            assert!(RelyingPartyId::new(text).is_ok(), "{text}");
        }
        for text in ["", ".", "a..b", "Desk.example", "desk.example.", "a/b", "-a.b", "bücher.example"] {
            assert!(RelyingPartyId::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_pages_of_the_relying_party_may_ask() {
        for origin in ["https://desk.example", "https://console.desk.example:8443"] {
            assert!(nobody().with_origins(vec![origin.into()]).is_ok(), "{origin}");
        }
        for origin in [
            "http://desk.example",
            "https://desk.example/",
            "https://evildesk.example",
            "https://desk.example.evil.example",
            "https://desk.example:0",
            "https://desk.example:08",
            "https://desk.example:65536",
            "https://a@desk.example",
            "desk.example",
            "null",
        ] {
            let refused = nobody().with_origins(vec![origin.into()]);
            assert_eq!(refused, Err(ApproversError::Origin(origin.into())), "{origin}");
        }
        let local = Approvers::nobody(RelyingPartyId::new("seawall.localhost").expect("a host"));
        assert!(local.with_origins(vec!["http://seawall.localhost:9000".into()]).is_ok());
    }

    #[test]
    fn quorums_keep_stopping_easier_than_starting() {
        let with = |change: fn(&mut Quorums)| {
            let mut quorums = Quorums::default();
            change(&mut quorums);
            nobody().with_quorums(quorums).map(|_| ())
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|all| all.kill.people = 0), Err(ApproversError::Rule(Kind::Kill)));
        assert_eq!(with(|all| all.kill.sites = 2), Err(ApproversError::Rule(Kind::Kill)));
        assert_eq!(with(|all| all.kill.makers = 0), Err(ApproversError::Rule(Kind::Kill)));
        assert_eq!(with(|all| all.kill.people = 2), Ok(()));
        assert_eq!(with(|all| all.kill.people = 3), Err(ApproversError::StopHarderThanStart(Kind::Kill)));
        assert_eq!(
            with(|all| all.kill.user_verification = true),
            Err(ApproversError::StopHarderThanStart(Kind::Kill))
        );
        assert_eq!(
            with(|all| all.resume = Rule::ONE_TOUCH),
            Err(ApproversError::LoosenedByOne(Kind::Resume))
        );
        assert_eq!(with(|all| all.rebase.people = 1), Err(ApproversError::Rule(Kind::Rebase)));
    }
}
