use std::collections::{BTreeMap, BTreeSet};

use trading::{AccountName, BotName};

use super::{Budget, MessageRate, OrderRate, OwnShare, Rolling24h, Rule, Scope, Tier, UtcDay};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a bot that is not in the policy, or that uses an account not on its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BotAccess {
    pub(crate) bots: BTreeMap<BotName, Bot>,
}

/// What one bot may use, and who may speak for it on the sign socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bot {
    pub(crate) accounts: BTreeSet<AccountName>,
    /// Checked where the caller is known, not by a rule.
    pub(crate) uids: BTreeSet<u32>,
    pub(crate) new_orders_per_second: OrderRate<OwnShare>,
    pub(crate) messages_per_second: MessageRate<OwnShare>,
    /// In the currency of each account the bot uses, for each of them.
    pub(crate) notional_per_utc_day: Budget<UtcDay, OwnShare>,
    /// As above.
    pub(crate) notional_rolling_24h: Budget<Rolling24h, OwnShare>,
}

impl Rule for BotAccess {
    const NAME: &'static str = "bot_access";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let (bot, account) = (&facts.request.bot, &facts.request.account);
        match facts.bot {
            None => Some(Denial::BotUnknown { bot: bot.clone() }),
            Some(own) => (!own.accounts.contains(account))
                .then(|| Denial::AccountNotAllowed { bot: bot.clone(), account: account.clone() }),
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let bot = &facts.request.bot;
        let accounts = facts.bot.map_or_else(|| "none".to_owned(), |own| super::listed(&own.accounts));
        Some(format!("bot {bot} on account {}; may use: {accounts}", facts.request.account))
    }
}
