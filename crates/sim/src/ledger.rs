//! What must hold, kept apart from the code that is judged: every record as it was made, what of it was
//! acknowledged and released, and what follows for budgets, rates, ids and states.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use policy::{State, VenueEvent};
use protocol::sign::{ReadyRequest, Reply, ReplyOutcome};
use serde_json::Value;
use trading::{AccountName, Amount, ClientOrderId, Decimal, Intent, Side, Timestamp, TradingState, Venue};
use transparency::{Body, Checkpoint, Hash, Outcome, Tree, sha256};
use vault::Detail;
use venue::HttpRequest;

use crate::setup::{ACCOUNTS, BASE, BOTS, Limits};

/// Something that must never happen did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant, in words that do not change.
    pub invariant: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.invariant, self.seen)
    }
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

/// Fails with `invariant` unless `holds`.
pub(crate) fn ensure(holds: bool, invariant: &'static str, seen: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation { invariant, seen: seen() }) }
}

/// Denials that a request which only cancels must never meet.
const NEVER_FOR_CANCELS: [&str; 8] = [
    "trading_state_forbids",
    "day_budget_exceeded",
    "rolling_budget_exceeded",
    "order_rate_over_limit",
    "message_rate_over_limit",
    "open_orders_over_limit",
    "open_notional_over_limit",
    "outside_trading_hours",
];

/// A record as the vault made it.
pub(crate) struct Entry {
    pub(crate) body: Vec<u8>,
    pub(crate) detail: Vec<u8>,
    pub(crate) parsed: Body,
    /// What was signed, if anything.
    pub(crate) signed: Option<Signed>,
    released: bool,
    /// The venue's order that came of it.
    order: Option<u64>,
}

/// What a record says was signed.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) bot: String,
    pub(crate) account: AccountName,
    pub(crate) intent: Intent,
    notional: Decimal,
    at: Timestamp,
    expires: Timestamp,
}

/// The record-keeping of what must hold.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Records below this were acknowledged by the journal.
    pub(crate) acknowledged: u64,
    states: BTreeMap<AccountName, State>,
    everywhere: TradingState,
    /// Trading states as the records say, without the code that keeps them.
    set: BTreeMap<AccountName, TradingState>,
    /// A request that is asked for twice is signed twice, with one signature.
    by_signature: BTreeMap<Hash, Vec<u64>>,
    published: Vec<Checkpoint>,
    /// Where the last body was seen on the disk.
    pub(crate) seen_at: (PathBuf, usize),
    pub(crate) approved: u64,
    pub(crate) denied: u64,
    pub(crate) released: u64,
    pub(crate) orders: u64,
}

impl Ledger {
    /// The vault made a record.
    pub(crate) fn made(&mut self, index: u64, body: &[u8], detail: &[u8]) -> Checked {
        let next = self.entries.len() as u64;
        ensure(index == next, "indexes follow each other", || {
            format!("record {index} where {next} is next")
        })?;
        let parsed = Body::decode(body).map_err(|error| Violation {
            invariant: "records can be read",
            seen: format!("record {index}: {error}"),
        })?;
        let before = self.entries.last().map_or([0; 32], |entry| sha256(&entry.body));
        ensure(
            parsed.previous == before && parsed.sequence == index && parsed.detail_digest == sha256(detail),
            "records are chained",
            || format!("record {index}"),
        )?;
        let signed = self.apply(&parsed, detail)?;
        if let Some(signed) = &signed {
            self.approved += 1;
            self.check_signed(index, signed)?;
            if let Some(digest) = parsed.signature_digest {
                self.by_signature.entry(digest).or_default().push(index);
            }
        }
        let (body, detail) = (body.to_vec(), detail.to_vec());
        self.entries.push(Entry { body, detail, parsed, signed, released: false, order: None });
        Ok(())
    }

    /// Lets the counters take a record, as whoever reads the log would.
    fn apply(&mut self, body: &Body, detail: &[u8]) -> Checked<Option<Signed>> {
        let index = body.sequence;
        let unreadable = |error: serde_json::Error| Violation {
            invariant: "records can be read",
            seen: format!("record {index}: {error}"),
        };
        match (&body.outcome, &body.account) {
            (Outcome::Event, _) => {
                if matches!(body.operation.as_str(), "halt" | "resume" | "heard") {
                    let event: Value = serde_json::from_slice(detail).map_err(unreadable)?;
                    self.apply_event(&event).map_err(unreadable)?;
                }
                Ok(None)
            }
            (_, None) => Ok(None),
            (outcome, Some(_)) => {
                let detail: Detail = serde_json::from_slice(detail).map_err(unreadable)?;
                let is_approved = *outcome == Outcome::Approved;
                self.apply_decision(body, detail, is_approved)
            }
        }
    }

    fn apply_event(&mut self, event: &Value) -> Result<(), serde_json::Error> {
        let account: Option<AccountName> = serde_json::from_value(event["account"].clone())?;
        if let Some(state) = event.get("state") {
            let state: TradingState = serde_json::from_value(state.clone())?;
            match account {
                Some(account) => {
                    self.state_of(&account).set_trading_state(state);
                    self.set.insert(account, state);
                }
                None => {
                    self.everywhere = state;
                    self.states.values_mut().for_each(|own| own.set_trading_state(state));
                    for known in ACCOUNTS {
                        self.set.insert(known.name.parse().expect("a name"), state);
                    }
                }
            }
        } else if let Some(account) = account {
            let heard: Vec<VenueEvent> = serde_json::from_value(event["heard"].clone())?;
            let state = self.state_of(&account);
            heard.iter().for_each(|event| state.observe(event));
        }
        Ok(())
    }

    fn apply_decision(&mut self, body: &Body, detail: Detail, is_approved: bool) -> Checked<Option<Signed>> {
        let account = detail.account.clone();
        let intent = detail.intent().cloned();
        let state = self.state_of(&account);
        detail.heard.iter().for_each(|event| state.observe(event));
        let counted = detail.approved.filter(|_| is_approved);
        if let Some(recorded) = &counted {
            state.restore(recorded);
        }
        let digest = state.digest();
        ensure(digest == body.state_digest, "counters follow from the log", || {
            format!("record {}: the state digest of {account} is another", body.sequence)
        })?;
        if let Outcome::Denied(denials) = &body.outcome {
            self.denied += 1;
            if let Some(intent) = &intent {
                self.check_denied(body, &account, intent, denials)?;
            }
        }
        Ok(counted.map(|recorded| Signed {
            bot: recorded.bot.to_string(),
            account,
            intent: recorded.intent,
            notional: recorded.notional,
            at: body.time,
            expires: recorded.expires,
        }))
    }

    /// Cancels pass in every state and beyond every budget; exits pass while reducing.
    fn check_denied(
        &self,
        body: &Body,
        account: &AccountName,
        intent: &Intent,
        denials: &[transparency::Denial],
    ) -> Checked {
        let says =
            |codes: &[&str]| denials.iter().find(|denial| codes.contains(&denial.code.as_str())).cloned();
        if intent.only_cancels_or_reads() {
            let denial = says(&NEVER_FOR_CANCELS);
            ensure(denial.is_none(), "cancels pass always", || {
                format!("record {}: {intent} denied by {denial:?}", body.sequence)
            })?;
        }
        if let Intent::Place(order) = intent
            && order.can_only_reduce()
            && self.trading_state(account) == TradingState::Reducing
        {
            ensure(says(&["trading_state_forbids"]).is_none(), "exits pass while reducing", || {
                format!("record {}: {intent}", body.sequence)
            })?;
        }
        Ok(())
    }

    fn trading_state(&self, account: &AccountName) -> TradingState {
        self.set.get(account).copied().unwrap_or(TradingState::Active)
    }

    fn state_of(&mut self, account: &AccountName) -> &mut State {
        let everywhere = self.everywhere;
        self.states.entry(account.clone()).or_insert_with(|| {
            let mut state = State::new(account.clone());
            if everywhere != TradingState::Active {
                state.set_trading_state(everywhere);
            }
            state
        })
    }

    /// Everything that a new signature must keep, from the records alone.
    fn check_signed(&self, index: u64, signed: &Signed) -> Checked {
        let state = self.trading_state(&signed.account);
        let adds_risk = match &signed.intent {
            Intent::Place(order) => state == TradingState::Halted || !order.can_only_reduce(),
            Intent::Amend(_) | Intent::Batch(_) => true,
            _ => false,
        };
        ensure(
            state == TradingState::Active || !adds_risk,
            "nothing is signed against the trading state",
            || format!("record {index}: {} while {state}", signed.intent),
        )?;
        if let Intent::Place(order) = &signed.intent {
            if let Some(id) = &order.client_order_id {
                self.check_id(index, signed, id)?;
            }
            if let (Some(price), Amount::Base(quantity), false) =
                (order.price, order.amount, order.can_only_reduce())
            {
                // A sale may fill above its price, so it takes at least its value there; a purchase not.
                let worth = price.times(quantity).map(|notional| notional.decimal());
                let right = worth.is_some_and(|worth| {
                    worth == signed.notional || (order.side == Side::Sell && worth < signed.notional)
                });
                ensure(right, "a signature takes its notional", || {
                    format!("record {index}: {} counted for {}", signed.notional, signed.intent)
                })?;
            }
        }
        let account = ACCOUNTS.iter().find(|account| account.name == signed.account.as_str());
        let bot = BOTS.iter().find(|bot| bot.name == signed.bot);
        let (Some(account), Some(bot)) = (account, bot) else {
            return ensure(false, "only the policy's bots sign", || {
                format!("record {index}: {}", signed.bot)
            });
        };
        ensure(bot.account == account.name, "only the policy's bots sign", || {
            format!("record {index}: {} for {}", bot.name, account.name)
        })?;
        self.check_limits(index, signed, &account.limits, |other| other.account == signed.account)?;
        self.check_limits(index, signed, &bot.limits, |other| {
            other.account == signed.account && other.bot == signed.bot
        })
    }

    fn check_id(&self, index: u64, signed: &Signed, id: &ClientOrderId) -> Checked {
        let live = self.entries.iter().find(|entry| {
            entry.signed.as_ref().is_some_and(|other| {
                other.account == signed.account
                    && signed.at <= other.expires
                    && matches!(&other.intent, Intent::Place(order) if order.client_order_id.as_ref() == Some(id))
            })
        });
        ensure(live.is_none(), "one live signature for one client order id", || {
            let earlier = live.map(|entry| entry.parsed.sequence);
            format!("record {index} signs {id} while record {earlier:?} still may be taken")
        })
    }

    fn check_limits(
        &self,
        index: u64,
        signed: &Signed,
        limits: &Limits,
        counts: impl Fn(&Signed) -> bool,
    ) -> Checked {
        const DAY_MS: u64 = 86_400_000;
        let (mut day, mut rolling) = (signed.notional, signed.notional);
        let is_order = |intent: &Intent| matches!(intent, Intent::Place(_));
        let mut orders = usize::from(is_order(&signed.intent));
        let earlier = self.entries.iter().rev().filter_map(|entry| entry.signed.as_ref());
        for other in earlier.filter(|other| counts(other)) {
            let age = signed.at.since_ms(other.at);
            let add = |sum: Decimal| sum.checked_add(other.notional).unwrap_or(sum);
            if other.at.utc_day() == signed.at.utc_day() {
                day = add(day);
            }
            if age < DAY_MS {
                rolling = add(rolling);
            }
            orders += usize::from(age < 1000 && is_order(&other.intent));
        }
        // Exits count and pass; cancels and reads do not count.
        let is_bound = match &signed.intent {
            Intent::Place(order) => !order.can_only_reduce(),
            Intent::Amend(_) => true,
            _ => false,
        };
        let within = |sum: Decimal, most: i64| !is_bound || sum <= Decimal::from_integer(most);
        ensure(within(day, limits.per_day) && within(rolling, limits.per_24h), "budgets hold", || {
            format!(
                "record {index}: {} of {}: {day} of {} today, {rolling} of {} in 24 h",
                signed.bot, signed.account, limits.per_day, limits.per_24h
            )
        })?;
        ensure(!is_order(&signed.intent) || orders <= limits.orders_per_second, "rates hold", || {
            format!("record {index}: {orders} new orders in a second of {} of {}", signed.bot, signed.account)
        })
    }

    /// The journal acknowledged every record below `below`; `surely` tells whether the disk keeps bytes.
    pub(crate) fn acknowledge(
        &mut self,
        below: u64,
        mut surely: impl FnMut(&[u8], &mut (PathBuf, usize)) -> bool,
    ) -> Checked {
        let mut hint = std::mem::take(&mut self.seen_at);
        for index in self.acknowledged..below {
            let entry = usize::try_from(index).ok().and_then(|index| self.entries.get(index));
            let kept = entry.is_some_and(|entry| surely(&entry.body, &mut hint));
            ensure(kept, "what is acknowledged is on the disk", || format!("record {index}"))?;
        }
        self.seen_at = hint;
        self.acknowledged = self.acknowledged.max(below);
        Ok(())
    }

    /// The vault told a caller something about record `index`.
    pub(crate) fn told(&mut self, index: u64, line: &[u8]) -> Checked {
        ensure(index < self.acknowledged, "nothing leaves before its record is durable", || {
            format!("a reply about record {index} with {} acknowledged", self.acknowledged)
        })?;
        let Ok(Reply { outcome: ReplyOutcome::Approved { record, request }, .. }) =
            serde_json::from_slice(line)
        else {
            return Ok(());
        };
        let invariant = "a signature that leaves is its record's";
        ensure(record.index == index, invariant, || format!("record {index} is called {}", record.index))?;
        let Some(entry) = usize::try_from(index).ok().and_then(|index| self.entries.get_mut(index)) else {
            return ensure(false, invariant, || format!("record {index} was not made"));
        };
        let signature = native(&request).and_then(|request| venue::split(Venue::Bybit, request).ok());
        let digest = signature.and_then(|(presented, _)| presented.signature).map(|bytes| sha256(&bytes));
        ensure(digest.is_some() && digest == entry.parsed.signature_digest, invariant, || {
            format!("record {index}")
        })?;
        entry.released = true;
        self.released += 1;
        Ok(())
    }

    /// An authentic request reached the venue under the key of `account`; returns the record it is of.
    pub(crate) fn arrived(&self, account: &str, request: &HttpRequest) -> Checked<u64> {
        let invariant = "what reaches the venue signed was approved and recorded";
        let bad = |seen: String| Violation { invariant, seen };
        let (presented, unsigned) =
            venue::split(Venue::Bybit, request.clone()).map_err(|error| bad(error.to_string()))?;
        let digest = sha256(&presented.signature.unwrap_or_default());
        let meaning = venue::decode(&unsigned).ok();
        // Bybit's signature binds neither path nor method: two reads may have the same one.
        let indexes = self.by_signature.get(&digest).map_or(&[][..], Vec::as_slice);
        let means = |index: &&u64| {
            let entry = usize::try_from(**index).ok().and_then(|index| self.entries.get(index));
            let signed = entry.and_then(|entry| entry.signed.as_ref());
            signed.is_some_and(|signed| {
                signed.account.as_str() == account && Some(&signed.intent) == meaning.as_ref()
            })
        };
        let index = *indexes.iter().find(means).ok_or_else(|| {
            bad(format!(
                "{} to {} is what none of the records {indexes:?} means",
                presented.api_key,
                unsigned.path()
            ))
        })?;
        ensure(index < self.acknowledged, invariant, || format!("record {index} is not durable"))?;
        Ok(index)
    }

    /// The venue took order `order` with a request of record `index`.
    pub(crate) fn accepted(&mut self, index: u64, order: &paper::exchange::OrderState) -> Checked {
        let invariant = "each order of the venue has one record that means it";
        let entry = usize::try_from(index).ok().and_then(|index| self.entries.get_mut(index));
        let Some((entry, signed)) =
            entry.and_then(|entry| entry.signed.clone().map(|signed| (entry, signed)))
        else {
            return ensure(false, invariant, || format!("order {} of record {index}", order.id));
        };
        ensure(entry.order.is_none(), invariant, || {
            format!("record {index} has orders {:?} and {}", entry.order, order.id)
        })?;
        entry.order = Some(order.id);
        self.orders += 1;
        let Intent::Place(intent) = &signed.intent else {
            return ensure(false, invariant, || format!("order {} came of {}", order.id, signed.intent));
        };
        let request = &order.request;
        let size = match request.size {
            paper::exchange::Size::Base(quantity) => Some(quantity),
            paper::exchange::Size::Quote(_) => None,
        };
        let same = request.side == intent.side
            && request.price == intent.price.map(trading::Price::decimal)
            && Amount::Base(size.and_then(|size| trading::Quantity::new(size).ok()).ok_or_else(|| {
                Violation { invariant, seen: format!("order {} has no quantity", order.id) }
            })?) == intent.amount
            && request.reduce_only == intent.reduce_only
            && request.post_only == intent.post_only
            && intent.client_order_id.as_ref().is_some_and(|id| id.as_str() == request.client_id);
        ensure(same, invariant, || {
            format!("record {index} means {}, the venue took {request:?}", signed.intent)
        })
    }

    /// A vault starts on a log of `next` records, which it reads as `log`.
    pub(crate) fn vault_starts(&mut self, next: u64, log: &[(Vec<u8>, Vec<u8>)]) -> Checked {
        self.check_log(log)?;
        ensure(next == log.len() as u64, "the journal says what it holds", || {
            format!("{next} and {}", log.len())
        })?;
        let lost = self.entries.split_off(log.len());
        let released = lost.iter().find(|entry| entry.released || entry.order.is_some());
        ensure(released.is_none(), "nothing released is lost", || {
            format!("record {:?}", released.map(|entry| entry.parsed.sequence))
        })?;
        let entries = std::mem::take(&mut self.entries);
        (self.states, self.everywhere) = (BTreeMap::new(), TradingState::Active);
        self.set.clear();
        for entry in &entries {
            let (approved, denied) = (self.approved, self.denied);
            self.apply(&entry.parsed, &entry.detail)?;
            (self.approved, self.denied) = (approved, denied);
        }
        self.entries = entries;
        let kept = self.entries.len() as u64;
        self.by_signature.values_mut().for_each(|indexes| indexes.retain(|index| *index < kept));
        self.by_signature.retain(|_, indexes| !indexes.is_empty());
        Ok(())
    }

    /// The log as read from its files holds everything acknowledged and nothing else than was made.
    pub(crate) fn check_log(&self, log: &[(Vec<u8>, Vec<u8>)]) -> Checked {
        let invariant = "no acknowledged record is lost";
        ensure(log.len() as u64 >= self.acknowledged, invariant, || {
            format!("{} of {} records", log.len(), self.acknowledged)
        })?;
        for (index, (body, detail)) in log.iter().enumerate() {
            let same =
                self.entries.get(index).is_some_and(|made| made.body == *body && made.detail == *detail);
            ensure(same, "the log holds what the vault made", || format!("record {index}"))?;
        }
        Ok(())
    }

    /// A vault has just read the log: its counters are those of whoever reads it, and count whatever
    /// was released.
    pub(crate) fn check_counters(
        &self,
        theirs: &BTreeMap<AccountName, State>,
        everywhere: TradingState,
        now: Timestamp,
    ) -> Checked {
        let invariant = "a restart forgets nothing";
        let digests = |states: &BTreeMap<AccountName, State>| {
            states.iter().map(|(name, state)| (name.clone(), state.digest())).collect::<Vec<_>>()
        };
        ensure(digests(theirs) == digests(&self.states) && everywhere == self.everywhere, invariant, || {
            "the counters are not those of the log".to_owned()
        })?;
        for (account, state) in theirs {
            let day = now.utc_day();
            let released =
                self.entries.iter().filter(|entry| entry.released).filter_map(|entry| entry.signed.as_ref());
            let today = released.filter(|signed| signed.account == *account && signed.at.utc_day() == day);
            let sum =
                today.fold(Decimal::ZERO, |sum, signed| sum.checked_add(signed.notional).unwrap_or(sum));
            let counted = state.signed_today(now);
            ensure(sum <= counted, invariant, || {
                format!("{account}: {sum} released today, {counted} counted")
            })?;
        }
        Ok(())
    }

    /// A checkpoint was published.
    pub(crate) fn publish(&mut self, checkpoint: Checkpoint) -> Checked {
        let last = self.published.last();
        ensure(last.is_none_or(|last| last.size <= checkpoint.size), "checkpoints only grow", || {
            format!("{} after {:?}", checkpoint.size, last.map(|last| last.size))
        })?;
        if last != Some(&checkpoint) {
            self.published.push(checkpoint);
        }
        Ok(())
    }

    /// Every checkpoint published so far is of a prefix of these leaves.
    pub(crate) fn check_published(&self, leaves: &[Hash]) -> Checked {
        let invariant = "checkpoints are of prefixes of the log";
        let mut tree = Tree::new();
        let mut published = self.published.iter().peekable();
        let mut rest = leaves.iter();
        while let Some(checkpoint) = published.peek() {
            if tree.size() < checkpoint.size {
                let Some(leaf) = rest.next() else {
                    return ensure(false, invariant, || {
                        format!("{} leaves of {}", leaves.len(), checkpoint.size)
                    });
                };
                tree.append(*leaf, drop);
                continue;
            }
            let size = checkpoint.size;
            ensure(tree.root() == checkpoint.root, invariant, || format!("the one over {size} leaves"))?;
            published.next();
        }
        Ok(())
    }

    /// Checkpoints published.
    pub(crate) fn checkpoints(&self) -> usize {
        self.published.len()
    }
}

/// A finished request as the venue receives it.
pub(crate) fn native(ready: &ReadyRequest) -> Option<HttpRequest> {
    let headers = ready.headers.iter();
    Some(HttpRequest {
        method: ready.method.parse().ok()?,
        target: ready.url.strip_prefix(BASE)?.to_owned(),
        headers: headers
            .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
        body: ready.body.clone().into_bytes(),
    })
}
