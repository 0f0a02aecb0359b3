//! `seawall bot`: stand-in keys, which are the bots' logins at the gateway.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use gateway::StandIn;
use protocol::admin::Change;
use trading::{AccountName, BotName, Venue};

use crate::commands::say;
use crate::installation::{Installation, new_stand_in};
use crate::layout::Layout;
use crate::up::Addresses;

/// What to do with bots.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let a bot use an account, and print its stand-in key, secret and base URL once.
    Add {
        /// Your name for the bot.
        name: BotName,
        /// The venue whose gateway it uses.
        #[arg(long)]
        venue: Venue,
        /// The account it trades.
        #[arg(long)]
        account: AccountName,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// List bots and their logins; secrets are not shown.
    List {
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a bot's logins at once and take it out of the policy.
    Remove {
        /// The bot.
        name: BotName,
        /// Only its logins at this venue; the policy keeps the bot.
        #[arg(long)]
        venue: Option<Venue>,
        /// Only the login with this API key, from `seawall bot list`; the policy keeps the bot.
        #[arg(long, value_name = "API_KEY")]
        key: Option<String>,
    },
}

/// Carries out `command`.
pub fn run(layout: Layout, command: Command) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(layout)?;
    match command {
        Command::Add { name, venue, account, json } => {
            let _changing = installation.changing()?;
            add(&installation, &name, venue, &account, json)?;
        }
        Command::List { json } => list(&installation, json)?,
        Command::Remove { name, venue, key } => {
            let _changing = installation.changing()?;
            remove(&installation, &name, venue, key.as_deref())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets `bot` use `account` and makes its login. The policy is changed first: a login that the
/// policy does not know is refused by the vault.
pub fn admit(
    installation: &Installation,
    bot: &BotName,
    venue: Venue,
    account: &AccountName,
) -> anyhow::Result<StandIn> {
    let (store, policy) = installation.store()?;
    let own = policy.account(account).with_context(|| {
        format!(
            "account {account} is not in the policy; add it to {}",
            installation.layout.policy().display()
        )
    })?;
    anyhow::ensure!(own.venue() == venue, "account {account} is on {}, not on {venue}", own.venue());
    let mut accounts: Vec<AccountName> = policy.accounts_of(bot).cloned().collect();
    if !accounts.contains(account) {
        accounts.push(account.clone());
    }
    let uid = protocol::peer::Peer::own_uid();
    let edited = policy::edit::add_bot(store.policy(), bot, &accounts, &[uid])
        .map_err(|mistakes| anyhow::anyhow!("the policy cannot be edited: {}", join(&mistakes)))?;
    let change =
        Change { kind: "bot".into(), text: format!("bot {bot} may use account {account} at {venue}") };
    let policy = if edited == store.policy() {
        installation.note(&change)?;
        policy
    } else {
        installation.apply_policy(&edited, &change)?
    };
    let login = new_stand_in(bot, venue, account);
    let kept = login.clone();
    installation.write_directory(|logins| logins.push(kept), &policy)?;
    Ok(login)
}

fn add(
    installation: &Installation,
    bot: &BotName,
    venue: Venue,
    account: &AccountName,
    json: bool,
) -> anyhow::Result<()> {
    let login = admit(installation, bot, venue, account)?;
    let running = Addresses::read(&installation.layout).and_then(|addresses| addresses.gateway_url(venue));
    let base_url = running.or_else(|| fixed_url(installation, venue));
    if json {
        say(serde_json::json!({
            "bot": login.bot, "venue": venue, "account": login.account,
            "api_key": login.api_key, "secret": login.secret, "base_url": base_url,
        }));
        return Ok(());
    }
    say(format!("bot       {}", login.bot));
    say(format!("api key   {}", login.api_key));
    say(format!("secret    {}", login.secret));
    say(format!(
        "base url  {}",
        base_url.as_deref().unwrap_or("(shown by `seawall status` while `seawall up` runs)")
    ));
    say("The secret is a stand-in: it is worthless at the venue and is not shown again.");
    Ok(())
}

/// Where the gateway will be, if seawall.toml fixes its port.
fn fixed_url(installation: &Installation, venue: Venue) -> Option<String> {
    let listen = installation.config.gateway.get(&venue)?.listen;
    (listen.port() != 0).then(|| format!("http://{listen}"))
}

fn list(installation: &Installation, json: bool) -> anyhow::Result<()> {
    let directory = installation.directory()?;
    if json {
        let bots: Vec<_> = directory
            .stand_ins
            .iter()
            .map(|login| {
                serde_json::json!({
                    "bot": login.bot, "venue": login.venue, "account": login.account,
                    "api_key": login.api_key, "added_at": login.added_at.to_string(),
                })
            })
            .collect();
        say(serde_json::json!({ "bots": bots }));
        return Ok(());
    }
    say(format!("{:<16} {:<10} {:<16} {:<24} api key", "bot", "venue", "account", "added"));
    for login in &directory.stand_ins {
        say(format!(
            "{:<16} {:<10} {:<16} {:<24} {}",
            login.bot.as_str(),
            login.venue.as_str(),
            login.account.as_str(),
            login.added_at.to_string(),
            login.api_key
        ));
    }
    Ok(())
}

/// Revokes the logins of `bot`, or of those only the ones at `venue` and with `key`. The whole bot goes
/// from the policy too, if the policy still names it.
fn remove(
    installation: &Installation,
    bot: &BotName,
    venue: Option<Venue>,
    key: Option<&str>,
) -> anyhow::Result<()> {
    let (store, policy) = installation.store()?;
    let goes = |login: &StandIn| {
        login.bot == *bot
            && venue.is_none_or(|venue| login.venue == venue)
            && key.is_none_or(|key| login.api_key == key)
    };
    let before = installation.directory()?.stand_ins;
    let count = before.iter().filter(|login| goes(login)).count();
    let in_policy = policy.bots().any(|(name, _)| name == bot);
    let known = in_policy || before.iter().any(|login| login.bot == *bot);
    anyhow::ensure!(known, "there is no bot {bot}; see `seawall bot list`");
    let whole = venue.is_none() && key.is_none();
    anyhow::ensure!(count > 0 || whole, "bot {bot} has no such login; see `seawall bot list`");
    // Logins first: nothing signed with them is admitted from here on.
    installation.write_directory(|logins| logins.retain(|login| !goes(login)), &policy)?;
    let text = match key {
        Some(key) => format!("revoked login {key} of bot {bot}"),
        None => format!("revoked {count} login(s) of bot {bot}"),
    };
    let change = Change { kind: "bot".into(), text: text.clone() };
    let edited = if whole && in_policy {
        policy::edit::remove_bot(store.policy(), bot)
            .map_err(|mistakes| anyhow::anyhow!("the policy cannot be edited: {}", join(&mistakes)))?
    } else {
        store.policy().to_owned()
    };
    if edited == store.policy() {
        installation.note(&change)?;
    } else {
        installation.apply_policy(&edited, &change)?;
    }
    say(text);
    Ok(())
}

fn join(mistakes: &[policy::Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
