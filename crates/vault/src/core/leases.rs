//! Trading leases: what watchdogs allow for a few seconds, the strictest of all that are live.
//!
//! What they allow together is part of an account's state and changes only by a record, so that the
//! log replayed gives the same decisions. A new epoch begins without any.

use std::collections::BTreeMap;

use policy::Lent;
use protocol::lease::{LONGEST_MS, Lease, LeaseReply, MOST_INSTRUMENTS, SignedLease, message};
use protocol::sign::Mark;
use trading::{AccountName, Timestamp};

use super::{CallerToken, Core, Output, state_of};
use crate::detail::Event;
use crate::recorder::{Salt, derived_salt};

/// How far ahead of the vault's clock a lease may be issued, in milliseconds: both run on one machine.
const MAX_AHEAD_MS: u64 = 1_000;
/// Highest rung of the ladder.
const HIGHEST_RUNG: u8 = 4;

/// One watchdog's latest word on one account.
#[derive(Debug, Clone, Copy)]
struct Latest {
    lent: Lent,
    issued_at: Timestamp,
    /// Inclusive.
    until: Timestamp,
}

/// The leases by account and watchdog; those that have run out stay, so that none comes back.
#[derive(Debug, Default)]
pub(super) struct Leases(BTreeMap<AccountName, BTreeMap<[u8; 32], Latest>>);

impl Leases {
    fn last_issued(&self, account: &AccountName, watchdog: &[u8; 32]) -> Option<Timestamp> {
        self.0.get(account)?.get(watchdog).map(|latest| latest.issued_at)
    }

    /// What the leases that are live at `now` allow together, and until when none of them runs out.
    fn live(&self, account: &AccountName, now: Timestamp) -> Option<(Lent, Timestamp)> {
        let of_account = self.0.get(account)?.values();
        let live = of_account.filter(|latest| now <= latest.until).map(|latest| (latest.lent, latest.until));
        live.reduce(|(lent, until), (other, other_until)| (lent.and(other), until.min(other_until)))
    }

    /// Makes every lease worthless, and keeps when it was issued.
    fn revoke(&mut self) {
        let all = self.0.values_mut().flat_map(BTreeMap::values_mut);
        all.for_each(|latest| latest.until = Timestamp::default());
    }
}

impl Core {
    /// A watchdog's line.
    pub(super) fn lease(&mut self, from: CallerToken, line: &[u8], salt: Salt, out: &mut Vec<Output>) {
        let reply = match self.check_lease(line) {
            Ok((watchdog, lease)) => self.take_lease(watchdog, lease, salt, out),
            Err(why) => LeaseReply::Refused { why },
        };
        let line = crate::json(&reply);
        out.push(Output::Reply { to: from, index: None, line });
    }

    fn check_lease(&self, line: &[u8]) -> Result<([u8; 32], Lease), String> {
        let signed = SignedLease::read(line).map_err(|error| error.to_string())?;
        let bytes = |text: &str| hex::decode(text).map_err(|error| error.to_string());
        let fixed = "`watchdog` has 64 hexadecimal digits, `signature` 128";
        let watchdog: [u8; 32] = bytes(&signed.watchdog)?.try_into().map_err(|_| fixed)?;
        let signature: [u8; 64] = bytes(&signed.signature)?.try_into().map_err(|_| fixed)?;
        if !self.policy.watchdogs().any(|own| *own == watchdog) {
            return Err(format!("`watchdogs` of the policy does not name {}", hex::encode(watchdog)));
        }
        if !transparency::ed25519::verify(&watchdog, &message(&signed.lease), &signature) {
            return Err("the signature is not one of this watchdog over this lease".into());
        }
        let lease = Lease::read(&signed.lease).map_err(|error| format!("`lease`: {error}"))?;
        let Lease { account, rung, issued_at, expires_at, sampled_at, .. } = &lease;
        let now = self.context.now;
        if self.policy.account(account).is_none() {
            return Err(format!("`account` {account} is not in the policy"));
        }
        if lease.policy_hash != hex::encode(self.policy.hash()) {
            return Err("`policy_hash` is not that of the policy in force; read it again".into());
        }
        if *rung > HIGHEST_RUNG {
            return Err(format!("`rung` is {rung}, above {HIGHEST_RUNG}"));
        }
        if lease.marks.len() > MOST_INSTRUMENTS || lease.positions.len() > MOST_INSTRUMENTS {
            return Err(format!("`marks` or `positions` has more than {MOST_INSTRUMENTS} entries"));
        }
        if self.leases.last_issued(account, &watchdog).is_some_and(|last| *issued_at <= last) {
            return Err("`issued_at` is not after that of the lease before".into());
        }
        if issued_at.as_ms() > now.as_ms().saturating_add(MAX_AHEAD_MS) || sampled_at > issued_at {
            return Err("`sampled_at`, `issued_at` and the vault's clock do not follow one another".into());
        }
        if *expires_at < now || now.since_ms(*issued_at) > LONGEST_MS {
            return Err("the lease has run out".into());
        }
        Ok((watchdog, lease))
    }

    fn take_lease(
        &mut self,
        watchdog: [u8; 32],
        lease: Lease,
        salt: Salt,
        out: &mut Vec<Output>,
    ) -> LeaseReply {
        let Lease { account, rung, trading, size_factor, marks, issued_at, expires_at, .. } = lease;
        let longest = Timestamp::from_ms(self.context.now.as_ms().saturating_add(LONGEST_MS));
        let until = expires_at.min(longest);
        let lent = Lent { rung, trading, size_factor };
        self.leases.0.entry(account.clone()).or_default().insert(watchdog, Latest { lent, issued_at, until });
        self.put_marks(&marks);
        self.settle_leases(salt, out);
        LeaseReply::Taken { until }
    }

    /// Takes away what has run out; before each input that may decide something.
    pub(super) fn let_leases_run_out(&mut self, salt: Salt, out: &mut Vec<Output>) {
        if self.leases_hold_until.is_some_and(|until| self.context.now > until) {
            self.settle_leases(salt, out);
        }
    }

    /// Ends every lease: another policy is in force, and they were made under the one before.
    pub(super) fn revoke_leases(&mut self, salt: Salt, out: &mut Vec<Output>) {
        self.leases.revoke();
        self.settle_leases(salt, out);
    }

    /// Records what each account's live leases allow together, where that is not what they did.
    fn settle_leases(&mut self, salt: Salt, out: &mut Vec<Output>) {
        let now = self.context.now;
        let all: Vec<_> =
            self.leases.0.keys().map(|account| (account.clone(), self.leases.live(account, now))).collect();
        self.leases_hold_until = all.iter().filter_map(|(_, live)| live.map(|(_, until)| until)).min();
        for (account, live) in all {
            let lent = live.map(|(lent, _)| lent);
            if lent != self.states.get(&account).and_then(policy::State::lent) {
                self.settle_lease(&account, lent, salt, out);
            }
        }
    }

    fn settle_lease(&mut self, account: &AccountName, lent: Option<Lent>, salt: Salt, out: &mut Vec<Output>) {
        self.write_down_heard(salt, out);
        state_of(&mut self.states, self.everywhere, account).set_lent(lent);
        let salt = derived_salt(salt, self.recorder.next_index());
        let (frame, ticket) = self.note("watchdog", &Event::lease(account.clone(), lent), salt);
        out.push(frame);
        // The watchdog is told that its lease counts, not that the record of it is on disk.
        drop(ticket);
    }

    /// What each account of the policy needs and has.
    pub(super) fn lease_status(&self) -> Vec<protocol::admin::LeaseStatus> {
        let now = self.context.now;
        let of_account = |(account, rules): (&AccountName, &policy::Account)| {
            let live = self.leases.live(account, now);
            protocol::admin::LeaseStatus {
                account: account.clone(),
                required: rules.requires_lease(),
                lent: live.map(|(lent, until)| protocol::admin::LentStatus {
                    rung: lent.rung,
                    trading: lent.trading,
                    size_factor: lent.size_factor,
                    left_ms: until.since_ms(now),
                }),
            }
        };
        self.policy.accounts().map(of_account).collect()
    }

    /// Mark prices of the gateway; where a watchdog may lend, only its own count.
    pub(super) fn take_marks(&mut self, marks: &[Mark]) {
        if self.policy.watchdogs().next().is_none() {
            self.put_marks(marks);
        }
    }
}
