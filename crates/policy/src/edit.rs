//! Changes a policy file and keeps its comments and layout. What comes out is a valid policy.

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};
use trading::{AccountName, BotName, Venue};

use crate::parse::Mistake;
use crate::policy::Policy;
use crate::presets::Preset;

/// Lets `bot` use `accounts` and the users `uids` speak for it; a bot that is there already gets
/// exactly these. A new one may use all of what the first of its accounts may.
///
/// # Errors
///
/// Every mistake of `text`, or of what would come out.
pub fn add_bot(
    text: &str,
    bot: &BotName,
    accounts: &[AccountName],
    uids: &[u32],
) -> Result<String, Vec<Mistake>> {
    let mut document = read(text)?;
    let uids: Array = uids.iter().map(u32::to_string).collect();
    let names: Array = accounts.iter().map(AccountName::as_str).collect();
    let limits = accounts.first().and_then(|first| limits_of(&document, first));
    let bots = table(&mut document, "bots")?;
    match bots.get_mut(bot.as_str()).and_then(Item::as_table_like_mut) {
        Some(existing) => {
            existing.insert("accounts", value(names));
            existing.insert("uids", value(uids));
        }
        None => {
            let mut table = Table::new();
            table.insert("accounts", value(names));
            table.insert("uids", value(uids));
            for (name, limit) in limits.unwrap_or_else(least) {
                table.insert(name, limit);
            }
            bots.insert(bot.as_str(), Item::Table(table));
        }
    }
    written(&document)
}

/// Removes `bot`.
///
/// # Errors
///
/// Every mistake of `text`, or that there is no such bot.
pub fn remove_bot(text: &str, bot: &BotName) -> Result<String, Vec<Mistake>> {
    let mut document = read(text)?;
    if table(&mut document, "bots")?.remove(bot.as_str()).is_none() {
        let message = "is not in the policy";
        return Err(vec![Mistake::at(text, 0, format!("bots.{bot}"), message, "name a bot that is")]);
    }
    written(&document)
}

/// Adds `account` at `venue` with the limits of `preset`.
///
/// # Errors
///
/// Every mistake of `text`, or that the account is there already.
pub fn add_account(
    text: &str,
    account: &AccountName,
    venue: Venue,
    preset: Preset,
) -> Result<String, Vec<Mistake>> {
    let mut document = read(text)?;
    let accounts = table(&mut document, "accounts")?;
    if accounts.contains_key(account.as_str()) {
        let message = "is in the policy already";
        return Err(vec![Mistake::at(
            text,
            0,
            format!("accounts.{account}"),
            message,
            "choose another name",
        )]);
    }
    let mut source = read(&preset.text(account, venue, &[]))?;
    let limits = table(&mut source, "accounts")?.remove(account.as_str());
    if let Some(mut limits) = limits {
        forget_positions(&mut limits);
        accounts.insert(account.as_str(), limits);
    }
    written(&document)
}

fn read(text: &str) -> Result<DocumentMut, Vec<Mistake>> {
    Policy::parse(text)?;
    text.parse().map_err(|error: toml_edit::TomlError| {
        vec![Mistake::at(text, 0, "", error.message().to_owned(), "correct the file")]
    })
}

fn table<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut dyn TableLike, Vec<Mistake>> {
    document
        .get_mut(name)
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| vec![Mistake::at("", 0, name, "is not a table", "write it as one")])
}

/// The limits that bots have in common with accounts.
const SHARED: [&str; 4] =
    ["new_orders_per_second", "messages_per_second", "notional_per_utc_day", "notional_rolling_24h"];

fn limits_of(document: &DocumentMut, account: &AccountName) -> Option<Vec<(&'static str, Item)>> {
    let account = document.get("accounts")?.get(account.as_str())?;
    let limit =
        |name: &'static str| Some((name, value(account.get(name)?.as_value()?.clone().decorated(" ", ""))));
    SHARED.into_iter().map(limit).collect()
}

/// For a bot without accounts, which may do nothing: the least a policy may say.
fn least() -> Vec<(&'static str, Item)> {
    let limit = |name: &str| if name.ends_with("second") { value(1) } else { value("1") };
    SHARED.into_iter().map(|name| (name, limit(name))).collect()
}

/// Lets copied tables follow those that are there; their old places belong to another file.
fn forget_positions(item: &mut Item) {
    if let Item::Table(table) = item {
        table.set_position(None);
        table.iter_mut().for_each(|(_, item)| forget_positions(item));
    }
}

fn written(document: &DocumentMut) -> Result<String, Vec<Mistake>> {
    let text = document.to_string();
    Policy::parse(&text)?;
    Ok(text)
}
