//! The files of an installation: whether they read, and whether they fit together.

use std::path::Path;

use gateway::Directory;
use keys::{KeyDescription, RootSecret, SealedStore};
use policy::Policy;
use zeroize::Zeroizing;

use super::{Finding, Patient};
use crate::commands::key::is_expired;
use crate::config::Config;
use crate::layout::read_text;
use crate::typed::quoted;

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    let layout = &patient.layout;
    if !layout.data().is_dir() {
        return Vec::new();
    }
    let mut findings = vec![wiring(patient)];
    if !layout.trade_store().exists() {
        findings.push(no_store(patient));
        findings.extend(policy_file(patient, None));
        return findings;
    }
    let (store, store_finding) = store(patient);
    findings.extend(store_finding);
    let policy = store.as_ref().and_then(|store| Policy::parse(store.policy()).ok());
    findings.extend(policy_file(patient, policy.as_ref()));
    if let (Some(store), Some(policy)) = (&store, &policy) {
        findings.push(keys_open(patient, store, policy));
        findings.extend(accounts_without_keys(patient, store, policy));
        findings.extend(paper_keys_at_real_venues(patient, store));
        findings.extend(keys_kept_too_long(patient, store));
    }
    findings.push(stand_ins(patient, policy.as_ref()));
    findings
}

fn wiring(patient: &Patient) -> Finding {
    let path = patient.layout.config();
    if !path.exists() {
        return Finding::ok("files/seawall.toml", "not there; the built-in defaults hold");
    }
    match Config::load(&patient.layout) {
        Ok(_) => Finding::ok("files/seawall.toml", "reads"),
        Err(error) => Finding::fault(
            "files/seawall.toml",
            format!("{error:#}").trim_end().to_owned(),
            format!("edit {} there", path.display()),
        ),
    }
}

/// Nothing is sealed yet, or the store is lost although there was one.
fn no_store(patient: &Patient) -> Finding {
    let path = patient.layout.trade_store();
    if patient.layout.log().join("log.pub").exists() {
        return Finding::fault(
            "files/trade.sealed",
            format!("{} is gone, although a log says that there was one", path.display()),
            format!(
                "restore it from a backup; or start afresh: {} and add the keys again",
                patient.command("policy apply")
            ),
        );
    }
    Finding::warn(
        "files/trade.sealed",
        "no policy is in force and no key is sealed yet",
        format!("{} to start at once, or {}", patient.command("up"), patient.command("init")),
    )
}

fn store(patient: &Patient) -> (Option<SealedStore>, Vec<Finding>) {
    let path = patient.layout.trade_store();
    let mend = format!(
        "restore {0} from a backup; without one: mv {0} {0}.damaged, {1}, and add the keys again",
        quoted(&path),
        patient.command("policy apply"),
    );
    let fault = |found: String| (None, vec![Finding::fault("files/trade.sealed", found, mend.clone())]);
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) => return fault(format!("{error:#}")),
    };
    let store = match SealedStore::from_json(&text) {
        Ok(store) => store,
        Err(error) => return fault(format!("{}: {error}", path.display())),
    };
    if let Err(mistakes) = Policy::parse(store.policy()) {
        return fault(format!("{}: its policy has {} mistake(s)", path.display(), mistakes.len()));
    }
    (Some(store), Vec::new())
}

/// policy.toml is where an operator edits; what is in force is the text in the sealed store.
fn policy_file(patient: &Patient, in_force: Option<&Policy>) -> Option<Finding> {
    let path = patient.layout.policy();
    let check = "files/policy.toml";
    if !path.exists() {
        return in_force.map(|_| {
            Finding::warn(
                check,
                format!("{} is gone; the policy in force is in the sealed store and holds", path.display()),
                "write it anew from your backup before the next `policy apply`",
            )
        });
    }
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) => {
            return Some(Finding::fault(check, format!("{error:#}"), "make it readable for this user"));
        }
    };
    Some(match (Policy::parse(&text), in_force) {
        (Err(mistakes), _) => Finding::fault(
            check,
            mistakes_of(&path, &mistakes),
            format!("{} names every fix", patient.command(&format!("policy check {}", quoted(&path)))),
        ),
        (Ok(policy), Some(in_force)) if policy.hash() != in_force.hash() => Finding::warn(
            check,
            format!("{} is not the policy in force", path.display()),
            format!("{} puts it in force", patient.command("policy apply")),
        ),
        (Ok(policy), Some(_)) => {
            let start = hex::encode(&policy.hash()[..8]);
            Finding::ok(check, format!("reads, and is in force (hash {start}…)"))
        }
        (Ok(_), None) => Finding::ok(check, "reads"),
    })
}

fn mistakes_of(path: &Path, mistakes: &[policy::Mistake]) -> String {
    const SHOWN: usize = 3;
    let mut text = format!("{} has {} mistake(s):", path.display(), mistakes.len());
    for mistake in mistakes.iter().take(SHOWN) {
        text.push_str(&format!("\nline {}: {} {}", mistake.line, mistake.field, mistake.message));
    }
    text
}

fn keys_open(patient: &Patient, store: &SealedStore, policy: &Policy) -> Finding {
    let path = patient.layout.root_secret();
    let count = store.descriptions().count();
    let text = match read_text(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            return Finding::fault(
                "files/root.key",
                format!("{error:#}; without it {count} sealed key(s) cannot be opened"),
                format!("restore {} from a backup, or add the keys again from the venue", path.display()),
            );
        }
    };
    let root = match RootSecret::from_hex(&text) {
        Ok(root) => root,
        Err(error) => {
            return Finding::fault(
                "files/root.key",
                format!("{}: {error}", path.display()),
                format!("restore {} from a backup", path.display()),
            );
        }
    };
    match store.open(&root, &policy.hash()) {
        Ok(keys) => Finding::ok("files/keys", format!("{} open under the policy in force", keys.len())),
        Err(error) => Finding::fault(
            "files/keys",
            format!("{}: {error}", patient.layout.trade_store().display()),
            format!(
                "restore trade.sealed and root.key from the same backup ({})",
                patient.layout.keys_dir().display()
            ),
        ),
    }
}

/// Accounts at real venues that nothing can sign for. Paper accounts get theirs from `up`.
fn accounts_without_keys(patient: &Patient, store: &SealedStore, policy: &Policy) -> Vec<Finding> {
    let lacks = |name: &trading::AccountName, venue| {
        !store.descriptions().any(|key| key.account == *name && key.venue == venue)
    };
    policy
        .accounts()
        .filter(|(name, account)| !patient.config.is_paper(account.venue()) && lacks(name, account.venue()))
        .map(|(name, account)| {
            let venue = account.venue();
            Finding::warn(
                "files/keys",
                format!("account {name} at {venue} has no key: nothing can be signed for it"),
                patient.command(&format!("key add --venue {venue} --account {name} --role trade")),
            )
        })
        .collect()
}

/// Keys that `up` sealed for the paper venue, of a venue that is the real one since.
fn paper_keys_at_real_venues(patient: &Patient, store: &SealedStore) -> Vec<Finding> {
    let text = read_text(&patient.layout.paper_accounts()).unwrap_or_default();
    let issued: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
    let issued: Vec<String> =
        issued.iter().filter_map(|key| key["api_key"].as_str()).map(KeyDescription::key_id).collect();
    store
        .descriptions()
        .filter(|key| !patient.config.is_paper(key.venue) && issued.contains(&key.key_id))
        .map(|key| {
            let KeyDescription { key_id, venue, account, .. } = key;
            Finding::fault(
                "files/keys",
                format!("account {account} at {venue} has key {key_id} of the paper venue: the real one refuses it"),
                format!(
                    "{}, then {}",
                    patient.command(&format!("key remove {key_id}")),
                    patient.command(&format!("key add --venue {venue} --account {account} --role trade"))
                ),
            )
        })
        .collect()
}

/// Replaced keys whose rotation was interrupted before they were dropped.
fn keys_kept_too_long(patient: &Patient, store: &SealedStore) -> Vec<Finding> {
    let now = crate::installation::now();
    store
        .retiring()
        .filter(|(_, since)| is_expired(*since, now))
        .map(|(KeyDescription { key_id, venue, account, .. }, since)| {
            let since = since.map_or_else(|| "some time".to_owned(), |since| since.to_string());
            Finding::warn(
                "files/keys",
                format!("{venue} key {key_id} of account {account} was replaced, and is kept since {since}"),
                format!("{}, and delete it at the venue", patient.command(&format!("key remove {key_id}"))),
            )
        })
        .collect()
}

fn stand_ins(patient: &Patient, policy: Option<&Policy>) -> Finding {
    let path = patient.layout.stand_ins();
    let check = "files/stand-ins.json";
    if !path.exists() {
        return Finding::warn(
            check,
            format!("{} is not there: no bot can log in at the gateway", path.display()),
            patient.command("bot add NAME --venue VENUE --account ACCOUNT"),
        );
    }
    let directory = match Directory::read(&path) {
        Ok(directory) => directory,
        Err(error) => {
            return Finding::fault(
                check,
                error.to_string(),
                format!(
                    "restore {0} from a backup, or mv {0} {0}.damaged and add the bots again",
                    quoted(&path)
                ),
            );
        }
    };
    let stray = directory.stand_ins.iter().find(|login| {
        policy.is_some_and(|policy| !policy.accounts_of(&login.bot).any(|account| *account == login.account))
    });
    match stray {
        Some(login) => Finding::warn(
            check,
            format!(
                "bot {} has a login for account {}, which the policy does not give it",
                login.bot, login.account
            ),
            format!(
                "{}, or name the account under [bots.{}] in policy.toml and apply it",
                patient.command(&format!("bot remove {}", login.bot)),
                login.bot
            ),
        ),
        None => Finding::ok(check, format!("{} login(s)", directory.stand_ins.len())),
    }
}
