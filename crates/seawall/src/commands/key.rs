//! `seawall key`: venue keys, sealed at rest and shown to nobody.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use keys::{KeyDescription, KeyStage, NewKey, Role, SecretText};
use protocol::admin::Change;
use trading::{AccountName, Timestamp, Venue};
use venue::KeyPermissions;
use zeroize::Zeroizing;

use crate::commands::say;
use crate::installation::{Installation, now};
use crate::layout::Layout;

/// Longest secret taken from standard input, in bytes (an RSA-4096 key in PEM is 3.3 KiB).
const MAX_SECRET: u64 = 16 * 1024;
/// How long a replaced key is kept after the switch: longer than any request it signed can live.
pub const RETIREMENT: Duration = Duration::from_secs(70);

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take a key by prompt or standard input (two lines: API key, then secret), ask the venue
    /// what it may do, and seal it.
    Add(KeyOptions),
    /// List keys; secrets are not shown.
    List {
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Drop a key.
    Remove {
        /// Its id, from `seawall key list`.
        key_id: String,
    },
    /// Take a new key beside the old one, switch, then drop the old one.
    Rotate(RotateOptions),
}

/// Which key.
#[derive(Debug, Args)]
pub struct KeyOptions {
    /// The venue that issued it.
    #[arg(long)]
    venue: Venue,
    /// The account it trades.
    #[arg(long)]
    account: AccountName,
    /// What it is for.
    #[arg(long, value_parser = role)]
    role: Role,
}

impl KeyOptions {
    fn new_key<'a>(&'a self, api_key: &'a str, secret: &'a SecretText) -> NewKey<'a> {
        NewKey {
            venue: self.venue,
            account: &self.account,
            role: self.role,
            api_key,
            secret,
            added_at: now(),
        }
    }
}

/// Which key to replace.
#[derive(Debug, Args)]
pub struct RotateOptions {
    #[command(flatten)]
    key: KeyOptions,
    /// Drop the old key right after the switch instead of keeping it until nothing it signed can
    /// be under way (70 s).
    #[arg(long)]
    drop_now: bool,
}

fn role(text: &str) -> Result<Role, String> {
    match text.parse() {
        Ok(role @ (Role::Trade | Role::Watch)) => Ok(role),
        Ok(Role::Admin | Role::Skim) | Err(_) => {
            Err("is not a role of this version; there are: trade, watch".into())
        }
    }
}

/// Carries out `command`.
pub fn run(layout: Layout, command: Command) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(layout)?;
    if !matches!(command, Command::List { .. }) && installation.is_set_up() {
        let _changing = installation.changing()?;
        drop_expired(&installation)?;
    }
    match command {
        Command::Add(options) => add(&installation, &options)?,
        Command::List { json } => list(&installation, json)?,
        Command::Remove { key_id } => remove(&installation, &key_id)?,
        Command::Rotate(options) => rotate(&installation, &options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(installation: &Installation, options: &KeyOptions) -> anyhow::Result<()> {
    check_account(installation, options)?;
    let (api_key, secret) = ask_for_key()?;
    check_permissions(installation, options, &api_key, &secret)?;
    let _changing = installation.changing()?;
    let (mut store, policy) = installation.store_of(options.role)?;
    let root = installation.root_secret()?;
    let key = store.add(&root, &policy.hash(), &options.new_key(&api_key, &secret))?;
    let change = Change { kind: "key".into(), text: format!("added {}", described(&key)) };
    installation.put_store(options.role, &store, &policy, &change)?;
    say(format!("sealed {}", described(&key)));
    Ok(())
}

fn rotate(installation: &Installation, options: &RotateOptions) -> anyhow::Result<()> {
    check_account(installation, &options.key)?;
    let (api_key, secret) = ask_for_key()?;
    check_permissions(installation, &options.key, &api_key, &secret)?;
    let changing = installation.changing()?;
    let (mut store, policy) = installation.store_of(options.key.role)?;
    let root = installation.root_secret()?;
    let new = store.rotate(&root, &policy.hash(), &options.key.new_key(&api_key, &secret))?;
    let change = Change { kind: "key".into(), text: format!("switched to {}", described(&new)) };
    installation.put_store(options.key.role, &store, &policy, &change)?;
    drop(changing);
    say(format!("switched to {}", described(&new)));
    if !options.drop_now {
        say(format!(
            "the old key is dropped in {} s; after Ctrl-C it stays sealed until the next `seawall up` or key \
             command drops it",
            RETIREMENT.as_secs()
        ));
        std::thread::sleep(RETIREMENT);
        let _changing = installation.changing()?;
        return drop_expired(installation);
    }
    let _changing = installation.changing()?;
    drop_retiring(installation, |key, _| {
        key.venue == new.venue && key.account == new.account && key.role == new.role
    })
}

/// Drops every key that was replaced so long ago that nothing it signed can be under way. The caller
/// holds [`Installation::changing`].
pub fn drop_expired(installation: &Installation) -> anyhow::Result<()> {
    let now = now();
    drop_retiring(installation, |_, since| is_expired(since, now))
}

/// Whether a key that retires since `since` has outlived its use.
pub fn is_expired(since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_none_or(|since| u128::from(now.since_ms(since)) >= RETIREMENT.as_millis())
}

/// Drops the replaced keys that `goes` picks.
fn drop_retiring(
    installation: &Installation,
    goes: impl Fn(&KeyDescription, Option<Timestamp>) -> bool,
) -> anyhow::Result<()> {
    for role in installation.roles() {
        let (mut store, policy) = installation.store_of(role)?;
        let old: Vec<KeyDescription> =
            store.retiring().filter(|(key, since)| goes(key, *since)).map(|(key, _)| key.clone()).collect();
        for key in &old {
            store.remove(&key.key_id)?;
            let change = Change { kind: "key".into(), text: format!("dropped {}", described(key)) };
            installation.put_store(role, &store, &policy, &change)?;
            // Not to standard output: `up --json` prints one object there and nothing else.
            eprintln!("dropped {}; delete it at the venue too", described(key));
        }
    }
    Ok(())
}

fn remove(installation: &Installation, key_id: &str) -> anyhow::Result<()> {
    let _changing = installation.changing()?;
    let role = role_of(installation, key_id)?;
    let (mut store, policy) = installation.store_of(role)?;
    let key = store.remove(key_id)?;
    let change = Change { kind: "key".into(), text: format!("removed {}", described(&key)) };
    installation.put_store(role, &store, &policy, &change)?;
    say(format!("removed {}; delete it at the venue too", described(&key)));
    Ok(())
}

/// Whose store holds the key; the trade vault's where none does.
fn role_of(installation: &Installation, key_id: &str) -> anyhow::Result<Role> {
    for role in installation.roles() {
        if installation.store_of(role)?.0.descriptions().any(|key| key.key_id == key_id) {
            return Ok(role);
        }
    }
    Ok(Role::Trade)
}

fn list(installation: &Installation, json: bool) -> anyhow::Result<()> {
    installation.store()?;
    let stores = installation.roles().map(|role| installation.store_of(role));
    let stores = stores.collect::<anyhow::Result<Vec<_>>>()?;
    let keys: Vec<&KeyDescription> = stores.iter().flat_map(|(store, _)| store.descriptions()).collect();
    if json {
        say(serde_json::json!({ "keys": keys }));
        return Ok(());
    }
    say(format!(
        "{:<18} {:<10} {:<16} {:<6} {:<18} {:<10} added",
        "key id", "venue", "account", "role", "algorithm", "stage"
    ));
    for key in keys {
        let stage = match key.stage {
            KeyStage::Active => "active",
            KeyStage::Retiring => "retiring",
        };
        say(format!(
            "{:<18} {:<10} {:<16} {:<6} {:<18} {stage:<10} {}",
            key.key_id,
            key.venue.as_str(),
            key.account.as_str(),
            key.role.as_str(),
            key.algorithm,
            key.added_at
        ));
    }
    Ok(())
}

fn described(key: &KeyDescription) -> String {
    format!("{} {} key {} of account {}", key.venue, key.role, key.key_id, key.account)
}

fn check_account(installation: &Installation, options: &KeyOptions) -> anyhow::Result<()> {
    let (_, policy) = installation.store().context("set up first with `seawall init` or `seawall up`")?;
    let account = policy.account(&options.account).with_context(|| {
        format!("account {} is not in the policy; add it and run `seawall policy apply`", options.account)
    })?;
    anyhow::ensure!(
        account.venue() == options.venue,
        "account {} is on {}, not on {}",
        options.account,
        account.venue(),
        options.venue
    );
    Ok(())
}

/// The API key and the secret: typed without echo, or the first line and the rest of standard input.
fn ask_for_key() -> anyhow::Result<(String, SecretText)> {
    let (api_key, secret) = if std::io::stdin().is_terminal() {
        let api_key = rpassword::prompt_password("API key (not shown): ")?;
        (api_key, prompt_secret()?)
    } else {
        let mut text = Zeroizing::new(String::new());
        std::io::stdin().lock().take(MAX_SECRET).read_to_string(&mut text)?;
        let (api_key, secret) = text
            .split_once('\n')
            .context("standard input must hold the API key on its first line and the secret after it")?;
        (api_key.trim().to_owned(), SecretText::new(secret.to_owned()))
    };
    let api_key = api_key.trim().to_owned();
    anyhow::ensure!(!api_key.is_empty(), "the API key is empty");
    anyhow::ensure!(
        api_key.len() <= 256 && api_key.bytes().all(|byte| byte.is_ascii_graphic()),
        "the API key must be at most 256 printable ASCII characters"
    );
    anyhow::ensure!(!secret.expose().is_empty(), "the secret is empty");
    Ok((api_key, secret))
}

/// One line, or a whole PEM block.
fn prompt_secret() -> anyhow::Result<SecretText> {
    let mut text = rpassword::prompt_password("Secret or PEM private key (not shown): ")?;
    if text.trim_start().starts_with("-----BEGIN") {
        while !text.trim_end().ends_with("-----") || text.matches("-----").count() < 4 {
            text.push('\n');
            text.push_str(&rpassword::prompt_password("")?);
            anyhow::ensure!(text.len() < 16 * 1024, "the PEM block does not end");
        }
    }
    Ok(SecretText::new(text))
}

/// Asks the venue what the key may do; refuses one that could move money out.
fn check_permissions(
    installation: &Installation,
    options: &KeyOptions,
    api_key: &str,
    secret: &SecretText,
) -> anyhow::Result<()> {
    let bases = crate::up::bases(installation, options.venue)?;
    let (url, request) = vault::permission_request(options.venue, &bases, api_key, secret, now())?;
    let (_, body) = gateway::fetch(request.method.as_str(), &url, &request.headers).map_err(|error| {
        anyhow::anyhow!("the venue could not be asked what the key may do: {error}; the key was not taken")
    })?;
    let permissions = venue::read_permissions(options.venue, &body)
        .map_err(|error| anyhow::anyhow!("the venue's answer: {error}; the key was not taken"))?;
    judge_permissions(options.role, &permissions)
}

/// Refuses a key that may do what its role must not, whatever the vault would let it do.
fn judge_permissions(role: Role, permissions: &KeyPermissions) -> anyhow::Result<()> {
    let mut too_much = Vec::new();
    if permissions.can_withdraw {
        too_much.push("withdraw".to_owned());
    }
    if permissions.can_transfer && matches!(role, Role::Trade | Role::Watch) {
        too_much.push("transfer".to_owned());
    }
    if permissions.can_trade && matches!(role, Role::Watch | Role::Skim) {
        too_much.push("trade".to_owned());
    }
    too_much.extend(permissions.unknown.iter().map(|name| format!("{name} (unknown to this version)")));
    anyhow::ensure!(
        too_much.is_empty(),
        "refused: this key may {}. A {role} key needs only {}; make one at the venue without it",
        too_much.join(", "),
        match role {
            Role::Trade => "trading",
            Role::Watch => "reading",
            Role::Admin => "what revokes keys and cancels orders",
            Role::Skim => "transfers between accounts",
        }
    );
    anyhow::ensure!(permissions.can_trade || role != Role::Trade, "refused: this key may not trade");
    anyhow::ensure!(permissions.can_transfer || role != Role::Skim, "refused: this key may not transfer");
    if !permissions.ip_bound {
        say("note: this key is not bound to an IP address at the venue; bind it to this host");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(change: impl FnOnce(&mut KeyPermissions)) -> Result<(), String> {
        judged_as(Role::Trade, change)
    }

    fn judged_as(role: Role, change: impl FnOnce(&mut KeyPermissions)) -> Result<(), String> {
        // What Bybit says of a key that may trade and is bound to an address.
        let body = r#"{"retCode":0,"result":{"readOnly":0,"ips":["192.0.2.1"],"permissions":{"ContractTrade":["Order","Position"],"Spot":["SpotTrade"],"Wallet":[]}}}"#;
        let mut permissions = venue::read_permissions(Venue::Bybit, body).expect("a reply of the venue");
        change(&mut permissions);
        judge_permissions(role, &permissions).map_err(|error| error.to_string())
    }

    #[test]
    fn a_replaced_key_is_of_no_use_after_its_retirement_and_not_before() {
        let at = Timestamp::from_ms;
        assert!(!is_expired(Some(at(1_000)), at(70_999)));
        assert!(is_expired(Some(at(1_000)), at(71_000)));
        assert!(!is_expired(Some(at(1_000)), at(0)), "a clock that went back makes nothing older");
        assert!(is_expired(None, at(0)), "kept by a version that did not say since when");
    }

    #[test]
    fn a_key_that_may_only_trade_is_taken() {
        assert_eq!(judged(|_| ()), Ok(()));
    }

    #[test]
    fn each_role_has_its_own_too_much() {
        let read_only = |key: &mut KeyPermissions| key.can_trade = false;
        assert_eq!(judged_as(Role::Watch, read_only), Ok(()));
        assert!(judged_as(Role::Watch, |_| ()).is_err_and(|why| why.contains("may trade")));
        let both = |key: &mut KeyPermissions| (key.can_trade, key.can_transfer) = (false, true);
        assert!(judged_as(Role::Watch, both).is_err_and(|why| why.contains("transfer")));
        assert_eq!(judged_as(Role::Skim, both), Ok(()));
        assert!(judged_as(Role::Skim, read_only).is_err_and(|why| why.contains("not transfer")));
        assert_eq!(
            judged_as(Role::Admin, |key| key.can_transfer = true),
            Ok(()),
            "Bybit asks it of a key that revokes"
        );
        for role in Role::ALL {
            assert!(
                judged_as(role, |key| key.can_withdraw = true).is_err_and(|why| why.contains("withdraw"))
            );
        }
    }

    #[test]
    fn a_key_that_may_withdraw_transfer_or_something_unknown_is_refused() {
        assert!(judged(|key| key.can_withdraw = true).is_err_and(|why| why.contains("withdraw")));
        assert!(judged(|key| key.can_transfer = true).is_err_and(|why| why.contains("transfer")));
        assert!(judged(|key| key.unknown = vec!["Gift".to_owned()]).is_err_and(|why| why.contains("Gift")));
        assert!(judged(|key| key.can_trade = false).is_err_and(|why| why.contains("not trade")));
    }
}
