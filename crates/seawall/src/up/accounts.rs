//! What `up` gives an installation before it runs: a policy, a login for the demonstration bot, keys
//! at the paper venue.

use std::path::Path;

use gateway::StandIn;
use keys::{NewKey, Role, SecretText};
use policy::Policy;
use protocol::admin::Change;
use serde::{Deserialize, Serialize};
use trading::{AccountName, BotName, Venue};
use zeroize::Zeroizing;

use crate::commands::bot;
use crate::commands::init::Preset;
use crate::installation::{Installation, now, random_text};
use crate::layout::{read_text, write_private};
use crate::up::stack::line;

/// Name of the demonstration bot and of the account it trades.
const DEMO: &str = "demo";
/// What the demonstration bot may sign for in a day: more than it can at its default pace.
const DEMO_BUDGET: &str = "100000000";

/// A paper account's key, as the paper venue issued it. Worth nothing anywhere else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaperKey {
    pub venue: Venue,
    pub account: AccountName,
    pub api_key: String,
    pub secret: String,
}

impl Drop for PaperKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret);
    }
}

/// The embedded default: an account on each venue with the grid preset, and one for the demonstration
/// bot, so that its orders use up no budget of the others.
pub fn set_up(installation: &Installation) -> anyhow::Result<()> {
    let text = if installation.layout.policy().exists() {
        read_text(&installation.layout.policy())?
    } else {
        embedded_policy()?
    };
    installation.first_policy(&text).map(drop)
}

fn embedded_policy() -> anyhow::Result<String> {
    let mut text = Preset::Grid.text(Venue::Bybit, &AccountName::new("main")?);
    for (name, venue) in [("binance", Venue::Binance), (DEMO, Venue::Bybit)] {
        text =
            policy::edit::add_account(&text, &AccountName::new(name)?, venue, policy::presets::Preset::Grid)
                .map_err(|mistakes| anyhow::anyhow!("the embedded policy: {mistakes:?}"))?;
    }
    let mut document: toml_edit::DocumentMut = text.parse()?;
    for field in ["notional_per_utc_day", "notional_rolling_24h"] {
        document["accounts"][DEMO][field] = toml_edit::value(DEMO_BUDGET);
    }
    Ok(document.to_string())
}

/// The demonstration bot's login on its own account; `None` if the policy has no such account.
pub fn demo_login(installation: &Installation, policy: &Policy) -> anyhow::Result<Option<StandIn>> {
    let name = BotName::new(DEMO)?;
    let directory = installation.directory()?;
    let account = AccountName::new(DEMO)?;
    if policy.account(&account).is_none_or(|own| own.venue() != Venue::Bybit) {
        tracing::warn!("the demo bot does not run: the policy has no Bybit account named {DEMO}");
        return Ok(None);
    }
    let own = |login: &&StandIn| login.bot == name && login.venue == Venue::Bybit && login.account == account;
    if let Some(login) = directory.stand_ins.iter().find(own) {
        return Ok(Some(login.clone()));
    }
    bot::admit(installation, &name, Venue::Bybit, &account).map(Some)
}

/// Gives each account on the paper venue a key there, and seals it, unless it has one. Where all have one
/// no key is looked at.
pub fn ensure_paper_keys(installation: &Installation) -> anyhow::Result<()> {
    let (mut store, policy) = installation.store()?;
    let lacks_key = |venue: Venue, account: &AccountName| {
        !store.descriptions().any(|key| key.venue == venue && key.account == *account)
    };
    let on_paper = policy.accounts().filter(|(_, own)| installation.config.is_paper(own.venue()));
    let missing: Vec<(Venue, AccountName)> = on_paper
        .map(|(account, own)| (own.venue(), account.clone()))
        .filter(|(venue, account)| lacks_key(*venue, account))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let path = installation.layout.paper_accounts();
    let mut issued = if path.exists() { read_paper_keys(&path)? } else { Vec::new() };
    let root = installation.root_secret()?;
    for (venue, account) in missing {
        let key = PaperKey { venue, account, api_key: random_text(18), secret: random_text(36) };
        let secret = SecretText::new(key.secret.clone());
        let new = NewKey {
            venue,
            account: &key.account,
            role: Role::Trade,
            api_key: &key.api_key,
            secret: &secret,
            added_at: now(),
        };
        store.add(&root, &policy.hash(), &new)?;
        issued.push(key);
    }
    write_private(&path, &line(&issued)?)?;
    let change = Change { kind: "key".into(), text: "sealed paper keys".into() };
    installation.put_in_force(&store, &policy, &change)
}

fn read_paper_keys(path: &Path) -> anyhow::Result<Vec<PaperKey>> {
    Ok(serde_json::from_str(&Zeroizing::new(read_text(path)?))?)
}

/// The paper venue's accounts of the keys in the file at `path`: for the paper venue's own process, so
/// that no other holds them. Beside each key in use one that may also withdraw, for trying what `key add`
/// refuses, and one that may trade, for trying `key rotate`: the same secret, the API key with a letter
/// behind it.
pub fn paper_accounts(path: &Path) -> anyhow::Result<Vec<paper::KeyConfig>> {
    let keys = if path.exists() { read_paper_keys(path)? } else { Vec::new() };
    Ok(keys.iter().flat_map(accounts_of).collect())
}

fn accounts_of(key: &PaperKey) -> [paper::KeyConfig; 3] {
    let with = |api_key: String, permissions| paper::KeyConfig {
        name: key.account.to_string(),
        api_key,
        secret: paper::Secret::Hmac(key.secret.clone()),
        ..paper::KeyConfig::demo(key.venue, "main", permissions)
    };
    let everything = paper::Permissions { transfer: true, withdraw: true, ..paper::Permissions::TRADE };
    [
        with(key.api_key.clone(), paper::Permissions::TRADE),
        with(format!("{}W", key.api_key), everything),
        with(format!("{}R", key.api_key), paper::Permissions::TRADE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_policy_gives_the_demo_bot_an_account_of_its_own() {
        let text = embedded_policy().expect("it is a policy");
        let policy = crate::installation::parse_policy(&text).expect("it is a policy");
        let names: Vec<&str> = policy.accounts().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["binance", "demo", "main"]);
        let budgets = text.matches(DEMO_BUDGET).count();
        assert_eq!(budgets, 2, "only the demo account has the large budgets");
    }

    #[test]
    fn a_day_of_the_demo_bot_fits_its_budget_and_its_rate() {
        let orders_per_day = 86_400_000 / crate::config::DemoConfig::default().pace_ms;
        // 0.001 BTC an order, and no price of a generator that starts at 60,000 reaches 120,000.
        let most = orders_per_day * 120;
        assert!(most < DEMO_BUDGET.parse().expect("a number"), "{most}");
        let text = embedded_policy().expect("it is a policy");
        let document: toml_edit::DocumentMut = text.parse().expect("it is TOML");
        let rate = document["accounts"][DEMO]["new_orders_per_second"].as_integer().expect("a rate");
        assert!(1000 < rate.unsigned_abs() * crate::config::DemoConfig::default().pace_ms, "{rate}");
    }
}
