//! All accounts together: their equity and what is under way between them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trading::{AccountName, Timestamp};

use super::account::{Account, Counted, Taken};
use super::clock::Clock;
use super::event::{Refusal, Said, What};
use super::input::{Config, Flow, FlowKind, Subject};
use super::measure::{Look, Measure};
use super::rung::Rung;
use super::standing::Reason;
use super::unit_value::Money;

/// How long a transfer may be under way before new risk stops.
pub const TRANSFER_LIMIT_MS: u64 = 600_000;
/// Most transfers under way.
const MAX_TRANSFERS: usize = 64;

/// What is known of the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) measure: Measure,
    /// Whose equity counts.
    members: BTreeSet<AccountName>,
    in_transit: BTreeMap<Box<str>, Transfer>,
}

/// Half a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    account: AccountName,
    counterparty: AccountName,
    /// What left and has not arrived; negative if it arrived and has not left.
    amount: Money,
    since_ms: u64,
    said: bool,
}

type Accounts = BTreeMap<AccountName, Account>;

impl Group {
    /// Sums what is known, whatever its age; `None` before every member has an equity.
    pub(super) fn equity(&self, accounts: &Accounts) -> Option<Money> {
        self.total(|name| accounts.get(name)?.equity())
    }

    fn total(&self, of: impl Fn(&AccountName) -> Option<Money>) -> Option<Money> {
        let sum = self.members.iter().try_fold(Money::ZERO, |sum, name| sum.plus(of(name)?))?;
        self.in_transit.values().try_fold(sum, |sum, transfer| sum.plus(transfer.amount))
    }

    /// A process began with this configuration: accounts that are not in it any more take their
    /// equity out of the group.
    pub(super) fn configured(&mut self, config: &Config, accounts: &Accounts) -> Result<(), Refusal> {
        let gone: Vec<AccountName> =
            self.members.iter().filter(|name| !config.accounts().contains_key(*name)).cloned().collect();
        for name in gone {
            let before = self.equity(accounts).ok_or(Refusal::Impossible)?;
            let out = accounts.get(&name).and_then(Account::equity).ok_or(Refusal::Impossible)?;
            let out = Money::ZERO.minus(out).ok_or(Refusal::Impossible)?;
            self.members.remove(&name);
            if self.measure.flow(before, out, false).is_err() {
                // Nothing is left: what comes is another group, and takes a commission.
                self.measure.end_history();
            }
        }
        Ok(())
    }

    /// Takes a member's sample into account.
    pub(super) fn look(
        &mut self,
        at: Timestamp,
        taken: Taken,
        config: &Config,
        accounts: &Accounts,
        clock: &Clock,
        said: &mut Said,
    ) {
        if !self.measure.has_begun() {
            self.begin(at, config, accounts, clock, said);
            return;
        }
        self.join(config, accounts);
        let ranges = || self.members.iter().map(|name| Some((name, accounts.get(name)?.range(clock)?)));
        let Some(ranges) = ranges().collect::<Option<BTreeMap<_, _>>>() else { return };
        let low = self.total(|name| ranges.get(name).map(|range| range.0));
        let high = self.total(|name| ranges.get(name).map(|range| range.1));
        let (Some(low), Some(high), Some(known)) = (low, high, self.equity(accounts)) else { return };
        let settled = taken != Taken::Yes { settled: false };
        let attested = settled && ranges.values().all(|range| range.2);
        let look = Look {
            at,
            alone: low,
            confirmed: Some(high),
            valid: settled.then_some(known),
            attested: attested.then_some(low),
        };
        self.measure.look(&Subject::Group, &look, config.group(), clock, said);
    }

    /// Begins once every account has.
    fn begin(&mut self, at: Timestamp, config: &Config, accounts: &Accounts, clock: &Clock, said: &mut Said) {
        if self.measure.rung() >= Rung::Three {
            return;
        }
        let all = config.accounts().keys();
        if all.clone().any(|name| accounts.get(name).is_none_or(|account| !account.measure.has_begun())) {
            return;
        }
        self.members = all.cloned().collect();
        if let Some(equity) = self.equity(accounts) {
            self.measure.begin(&Subject::Group, at, equity, clock, said);
        }
    }

    /// An account that was configured later brings its equity in as a flow.
    fn join(&mut self, config: &Config, accounts: &Accounts) {
        for name in
            config.accounts().keys().filter(|name| !self.members.contains(*name)).cloned().collect::<Vec<_>>()
        {
            let Some(account) = accounts.get(&name).filter(|account| account.measure.has_begun()) else {
                continue;
            };
            let (Some(before), Some(brought)) = (self.equity(accounts), account.equity()) else { continue };
            if self.measure.flow(before, brought, false).is_ok() {
                self.members.insert(name);
            }
        }
    }

    /// Whether there is room for what `flow` may leave under way.
    pub(super) fn has_room(&self, flow: &Flow, config: &Config) -> bool {
        let half = self.in_transit.contains_key(&flow.id) || self.in_transit.len() < MAX_TRANSFERS;
        half || counterparty(flow, config).is_none()
    }

    /// Counts a member's flow, whose account has counted it already. `before` is the group's equity
    /// before that.
    pub(super) fn flow(
        &mut self,
        before: Option<Money>,
        flow: &Flow,
        counted: Counted,
        config: &Config,
        clock: &Clock,
    ) {
        let Some(before) = before.filter(|_| self.members.contains(&flow.account)) else { return };
        let Counted { amount, late } = counted;
        if let Some(counterparty) = counterparty(flow, config).filter(|name| self.members.contains(*name)) {
            let halves = self
                .in_transit
                .get(&flow.id)
                .map(|half| half.account == *counterparty && half.counterparty == flow.account);
            match halves {
                // What differs between the halves is a fee: a result.
                Some(true) => {
                    self.in_transit.remove(&flow.id);
                    return;
                }
                None => {
                    let transfer = Transfer {
                        account: flow.account.clone(),
                        counterparty: counterparty.clone(),
                        amount: Money::ZERO.minus(amount).unwrap_or(Money::ZERO),
                        since_ms: clock.running_ms(),
                        said: false,
                    };
                    self.in_transit.insert(flow.id.clone(), transfer);
                    return;
                }
                // Not this transfer's other half: money from outside, as far as the group can know.
                Some(false) => {}
            }
        }
        if self.measure.flow(before, amount, late).is_err() {
            self.measure.end_history();
        }
    }

    /// What did not arrive is lost; what never left came from outside.
    pub(super) fn write_off(&mut self, id: &str, accounts: &Accounts) -> Result<Money, Refusal> {
        let before = self.equity(accounts);
        let transfer = self.in_transit.remove(id).ok_or(Refusal::NoSuchTransfer)?;
        if !transfer.amount.is_positive()
            && let (Some(before), Some(came)) = (before, Money::ZERO.minus(transfer.amount))
        {
            self.measure.flow(before, came, false)?;
        }
        Ok(transfer.amount)
    }

    /// Every reason of the group against new risk of its members.
    pub(super) fn reasons(&self, config: &Config, accounts: &Accounts, clock: &Clock) -> Vec<Reason> {
        let mut why = Vec::new();
        if !self.measure.has_begun() {
            why.push(Reason::GroupNotBegun);
        }
        if self.measure.rung() >= Rung::Three {
            why.push(Reason::GroupRung(self.measure.rung()));
        }
        let unknown = |name: &&AccountName| accounts.get(*name).is_none_or(|it| it.range(clock).is_none());
        let names = config.accounts().keys().filter(unknown);
        why.extend(names.map(|name| Reason::GroupUnknown(name.clone())));
        let late = self.in_transit.iter().filter(|(_, transfer)| is_late(transfer, clock));
        why.extend(late.map(|(id, _)| Reason::TransferLate(id.clone())));
        why
    }

    /// Says what time alone has changed.
    pub(super) fn watch(&mut self, config: &Config, clock: &Clock, said: &mut Said) {
        self.measure.watch(&Subject::Group, config.group(), clock, said);
        for (id, transfer) in &mut self.in_transit {
            if is_late(transfer, clock) && !transfer.said {
                transfer.said = true;
                let (id, amount) = (id.clone(), transfer.amount);
                said.say(&Subject::Group, What::TransferLate { id, amount });
            }
        }
    }
}

fn is_late(transfer: &Transfer, clock: &Clock) -> bool {
    clock.since(transfer.since_ms) >= TRANSFER_LIMIT_MS
}

/// The other account of a transfer, if it is watched.
fn counterparty<'flow>(flow: &'flow Flow, config: &Config) -> Option<&'flow AccountName> {
    match &flow.kind {
        FlowKind::Transfer { counterparty } => {
            Some(counterparty).filter(|name| config.accounts().contains_key(*name))
        }
        FlowKind::Deposit | FlowKind::Withdrawal | FlowKind::Airdrop | FlowKind::Bonus => None,
    }
}
