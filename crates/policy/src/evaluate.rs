//! The decision: every rule, every time, and the ticket that only an approval prints.

use trading::{Decimal, Instrument, Intent, Timestamp};

use crate::denial::Denial;
use crate::facts::{Facts, Surroundings, Tally};
use crate::policy::{Account, Policy};
use crate::request::{Context, Request};
use crate::rules::{Rule, Scope, Visitor, batch_size};
use crate::state::{Recorded, State};

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// May be signed.
    Approve(Approved),
    /// May not.
    Deny(Denied),
}

/// A request that every rule allows: the ticket for signing. Only [`evaluate`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Approved {
    recorded: Recorded,
}

/// A request that at least one rule denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    intent: Intent,
    denials: Vec<Denial>,
}

impl Approved {
    /// What may be signed.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.recorded.intent
    }

    /// What it takes from the budgets, in the account's currency.
    #[must_use]
    pub const fn notional(&self) -> Decimal {
        self.recorded.notional
    }

    /// The vault's clock at the decision.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.recorded.at
    }

    /// Until when (inclusive) the venue may accept the signature, clocks apart as the policy allows.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.recorded.expires
    }

    /// What the record must keep so that [`State::restore`] can count it again.
    #[must_use]
    pub const fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// Gives up the ticket for what the record keeps.
    #[must_use]
    pub fn into_recorded(self) -> Recorded {
        self.recorded
    }
}

impl Denied {
    /// What was asked.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Every reason, never empty: first those of the request, then those of each leg.
    #[must_use]
    pub fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// Takes the reasons.
    #[must_use]
    pub fn into_denials(self) -> Vec<Denial> {
        self.denials
    }
}

/// Judges `request`: approves it, or lists every reason why not.
pub fn evaluate(policy: &Policy, state: &State, request: Request, context: &Context) -> Decision {
    let mut collect = Collect { denials: Vec::new(), is_batch: is_batch(&request) };
    let judged = run(policy, state, &request, context, &mut collect);
    let mut denials = collect.denials;
    match judged {
        Some(Outcome { tally, expires, stops }) if denials.is_empty() => {
            let Request { bot, account, intent, .. } = request;
            let notional = tally.notional.decimal();
            let at = context.now;
            let recorded = Recorded { bot, account, intent, notional, at, expires, stops };
            Decision::Approve(Approved { recorded })
        }
        _ => {
            if denials.is_empty() {
                denials.push(Denial::NotJudged);
            }
            Decision::Deny(Denied { intent: request.intent, denials })
        }
    }
}

/// What an approval of a request would mean.
pub(crate) struct Outcome {
    /// What it adds to the counters.
    tally: Tally,
    /// When its signature expires.
    expires: Timestamp,
    /// Instruments on which it is the last repetition.
    stops: Vec<Instrument>,
}

/// Runs every rule on every leg. `None` if what the request means cannot be said.
pub(crate) fn run<V: Visitor>(
    policy: &Policy,
    state: &State,
    request: &Request,
    context: &Context,
    visitor: &mut V,
) -> Option<Outcome> {
    let legs = match &request.intent {
        Intent::Batch(legs) => legs.as_slice(),
        intent => std::slice::from_ref(intent),
    };
    if let Some(denial) = batch_size(legs) {
        visitor.deny("batch", denial);
        return None;
    }
    if *state.account() != request.account {
        let (was, account) = (state.account().clone(), request.account.clone());
        visitor.deny("state", Denial::StateOfAnotherAccount { was, account });
    }
    let exposure = state.orders.exposure(state.effective(context.now));
    let around = Surroundings::of(policy, state, request, context, legs, &exposure);
    let Surroundings { account, bot, now, .. } = around;
    if account.is_none() {
        visitor.deny("account", Denial::AccountUnknown { account: request.account.clone() });
    }
    let mut tally = Some(Tally::default());
    let mut stops = Vec::new();
    for index in 0..legs.len() {
        let facts = Facts::of(around, index, tally.unwrap_or_default());
        visitor.visit(&policy.bots, &facts);
        if let Some(account) = account {
            account.visit(&facts, visitor);
            stops.extend(account.max_repeats.stops(&facts).cloned());
        }
        if let Some(bot) = bot {
            bot.visit(&facts, visitor);
        }
        tally = tally.and_then(|_| facts.after());
    }
    let expires = expires(account?, request, now)?;
    Some(Outcome { tally: tally?, expires, stops })
}

/// Until when the venue may accept a signature made now: its time, its window, and the clocks'
/// distance that the policy tolerates.
fn expires(account: &Account, request: &Request, now: Timestamp) -> Option<Timestamp> {
    let from = request.sent_at.map_or(now, |sent_at| sent_at.max(now));
    let window = request.window_ms(account.venue());
    let ms = from.as_ms().checked_add(window)?.checked_add(account.max_clock_skew_ms.limit)?;
    Some(Timestamp::from_ms(ms).max(request.expires_at.unwrap_or_default()))
}

pub(crate) const fn is_batch(request: &Request) -> bool {
    matches!(request.intent, Intent::Batch(_))
}

/// Keeps the denials.
struct Collect {
    denials: Vec<Denial>,
    is_batch: bool,
}

impl Collect {
    #[cold]
    fn keep(&mut self, denial: Denial, leg: Option<usize>) {
        self.denials.push(match leg {
            Some(leg) => Denial::InLeg { leg, denial: Box::new(denial) },
            None => denial,
        });
    }
}

impl Visitor for Collect {
    #[inline]
    fn visit<R: Rule>(&mut self, rule: &R, facts: &Facts<'_>) {
        let is_request = matches!(R::SCOPE, Scope::Request);
        if is_request && facts.index > 0 {
            return;
        }
        if let Some(denial) = rule.check(facts) {
            self.keep(denial, (self.is_batch && !is_request).then_some(facts.index));
        }
    }

    fn deny(&mut self, _: &'static str, denial: Denial) {
        self.denials.push(denial);
    }
}
