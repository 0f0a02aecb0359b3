use std::collections::{BTreeMap, BTreeSet};

use trading::{AccountName, BotName};

use super::{Rule, Scope, Tier};
use crate::denial::Denial;
use crate::facts::Facts;

/// Denies a bot that is not in the policy, or that uses an account not on its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BotAccess {
    pub(crate) bots: BTreeMap<BotName, BTreeSet<AccountName>>,
}

impl Rule for BotAccess {
    const NAME: &'static str = "bot_access";
    const TIER: Tier = Tier::SelfContained;
    const SCOPE: Scope = Scope::Request;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let (bot, account) = (&facts.request.bot, &facts.request.account);
        match self.bots.get(bot) {
            None => Some(Denial::BotUnknown { bot: bot.clone() }),
            Some(accounts) => (!accounts.contains(account))
                .then(|| Denial::AccountNotAllowed { bot: bot.clone(), account: account.clone() }),
        }
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let bot = &facts.request.bot;
        let accounts = self.bots.get(bot).map_or_else(|| "none".to_owned(), super::listed);
        Some(format!("bot {bot} on account {}; may use: {accounts}", facts.request.account))
    }
}
