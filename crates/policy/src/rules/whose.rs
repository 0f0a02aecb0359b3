use crate::denial::Denial;
use crate::facts::Facts;
use crate::state::Counters;

/// Whose rates and budgets a rule judges.
pub(crate) trait Whose {
    /// Name of the rule on new orders a second.
    const NEW_ORDERS: &'static str;
    /// Name of the rule on messages a second.
    const MESSAGES: &'static str;
    /// Name of the rule on the UTC day's budget.
    const DAY: &'static str;
    /// Name of the rule on the rolling budget.
    const ROLLING: &'static str;
    /// The counters; `None` while nothing was signed.
    fn counters<'a>(facts: &Facts<'a>) -> Option<&'a Counters>;
    /// The denial, saying whose limit it was.
    fn denial(denial: Denial) -> Denial;
}

/// Those of the account, all bots together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Everyone;

/// Those of the bot that asks, on this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnShare;

impl Whose for Everyone {
    const NEW_ORDERS: &'static str = "new_orders_per_second";
    const MESSAGES: &'static str = "messages_per_second";
    const DAY: &'static str = "notional_per_utc_day";
    const ROLLING: &'static str = "notional_rolling_24h";

    #[inline]
    fn counters<'a>(facts: &Facts<'a>) -> Option<&'a Counters> {
        Some(facts.state.whole())
    }

    fn denial(denial: Denial) -> Denial {
        denial
    }
}

impl Whose for OwnShare {
    const NEW_ORDERS: &'static str = "bot_new_orders_per_second";
    const MESSAGES: &'static str = "bot_messages_per_second";
    const DAY: &'static str = "bot_notional_per_utc_day";
    const ROLLING: &'static str = "bot_notional_rolling_24h";

    #[inline]
    fn counters<'a>(facts: &Facts<'a>) -> Option<&'a Counters> {
        facts.share
    }

    fn denial(denial: Denial) -> Denial {
        Denial::OfBot { denial: Box::new(denial) }
    }
}
