//! Who asks, for which account: from the names in a line, the caller and the policy.

use policy::Policy;
use protocol::sign::{DenialText, ErrorCode, ErrorText};
use trading::{AccountName, BotName, Venue};

use crate::request::{Caller, NOT_DECODED, Way, forbidden, malformed};

/// Why a line came to nothing before it was a question for the policy.
pub(crate) enum Unresolved {
    /// Nobody we know asked: there is no record of it.
    Error(ErrorText),
    /// Somebody who may speak for a bot asked: a decision, with a record.
    Refused(Box<Refused>),
}

/// A refusal of something that never became a request.
pub(crate) struct Refused {
    /// The bot, or the user if it is not clear which bot.
    pub(crate) actor: String,
    /// Whose counters it is about, if that is clear.
    pub(crate) place: Option<Place>,
    pub(crate) door: &'static str,
    /// What was asked for, as far as it can be said.
    pub(crate) what: String,
    pub(crate) denial: DenialText,
}

impl Refused {
    pub(crate) fn at(place: &Place, door: &'static str, what: &str, error: ErrorText) -> Self {
        Self {
            actor: place.bot.to_string(),
            place: Some(place.clone()),
            door,
            what: what.to_owned(),
            denial: denial(error),
        }
    }

    /// A refusal to `actor` that is about no account of the policy's.
    pub(crate) fn nowhere(actor: String, error: ErrorText) -> Unresolved {
        let (door, what) = (Way::Socket.as_str(), "a line".to_owned());
        Unresolved::Refused(Box::new(Self { actor, place: None, door, what, denial: denial(error) }))
    }
}

fn denial(error: ErrorText) -> DenialText {
    let code = match error.code {
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::Malformed | ErrorCode::NoKey | ErrorCode::Unavailable => NOT_DECODED,
    };
    DenialText { code: code.into(), text: error.message }
}

/// Who asks, for which account of the policy.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) bot: BotName,
    pub(crate) account: AccountName,
    pub(crate) venue: Venue,
}

/// What a line says of itself.
pub(crate) struct Names<'a> {
    pub(crate) bot: Option<&'a BotName>,
    pub(crate) account: Option<&'a AccountName>,
    pub(crate) venue: Option<Venue>,
}

pub(crate) fn place_of(names: &Names<'_>, caller: Caller, policy: &Policy) -> Result<Place, Unresolved> {
    let bot = bot_of(names, caller, policy)?;
    let actor = || bot.to_string();
    let account = account_of(names, &bot, policy).map_err(|error| Refused::nowhere(actor(), error))?;
    let Some(venue) = venue_of(policy, &account) else {
        let why = format!("account {account} is not in the policy");
        return Err(Refused::nowhere(actor(), forbidden(why)));
    };
    let place = Place { bot, account, venue };
    if names.venue.is_some_and(|named| named != venue) {
        let why = format!("account {} is on {venue}, not on the venue named", place.account);
        let refused = Refused::at(&place, Way::Socket.as_str(), "a line", forbidden(why));
        return Err(Unresolved::Refused(Box::new(refused)));
    }
    Ok(place)
}

fn venue_of(policy: &Policy, account: &AccountName) -> Option<Venue> {
    policy.account(account).map(policy::Account::venue)
}

fn bot_of(names: &Names<'_>, caller: Caller, policy: &Policy) -> Result<BotName, Unresolved> {
    let Caller::Direct { uid } = caller else {
        return names.bot.cloned().ok_or_else(|| Unresolved::Error(malformed("`bot` is missing".into())));
    };
    // Whom the policy does not name cannot fill the log.
    if policy.bots_of_uid(uid).next().is_none() {
        let why = format!("user {uid} may speak for no bot; see `uids` in the policy");
        return Err(Unresolved::Error(forbidden(why)));
    }
    let refused = |error| Refused::nowhere(format!("uid:{uid}"), error);
    if let Some(named) = names.bot {
        return match policy.bots_of_uid(uid).find(|bot| *bot == named) {
            Some(own) => Ok(own.clone()),
            None => Err(refused(forbidden(format!(
                "user {uid} may not speak for bot {named}; see `uids` in the policy"
            )))),
        };
    }
    let mut fitting = policy.bots_of_uid(uid).filter(|bot| fits(names, bot, policy));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => match policy.bots_of_uid(uid).nth(1) {
            // The one bot it can be is told what it may not do.
            None => Ok(policy.bots_of_uid(uid).next().expect("there is one").clone()),
            Some(_) => Err(refused(forbidden(format!("no bot of user {uid} may use an account here")))),
        },
        (Some(_), Some(_)) => {
            Err(refused(malformed(format!("user {uid} has several bots; name one in `bot`"))))
        }
    }
}

/// Whether `bot` may use an account such as the line names.
fn fits(names: &Names<'_>, bot: &BotName, policy: &Policy) -> bool {
    policy.accounts_of(bot).any(|account| {
        names.account.is_none_or(|named| named == account)
            && names.venue.is_none_or(|venue| venue_of(policy, account) == Some(venue))
    })
}

fn account_of(names: &Names<'_>, bot: &BotName, policy: &Policy) -> Result<AccountName, ErrorText> {
    if let Some(named) = names.account {
        return Ok(named.clone());
    }
    let mut usable = policy
        .accounts_of(bot)
        .filter(|account| names.venue.is_none_or(|venue| venue_of(policy, account) == Some(venue)));
    match (usable.next(), usable.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(forbidden(format!("bot {bot} may use no account here"))),
        (Some(_), Some(_)) => {
            Err(malformed(format!("bot {bot} has several accounts; name one in `account`")))
        }
    }
}
