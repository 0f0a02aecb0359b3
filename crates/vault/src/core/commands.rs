//! What operators ask: status, the trading state, another policy and its keys.

use policy::State;
use protocol::admin::{AdminCommand, AdminReply, Change, KeyStatus, SocketUse};
use protocol::object::Object;
use protocol::sign::{ErrorCode, ErrorText};
use trading::{AccountName, SizeFactor, TradingState};

use super::{CallerToken, Core, Output, names};
use crate::detail::Event;
use crate::recorder::Salt;

impl Core {
    pub(super) fn command(
        &mut self,
        from: CallerToken,
        uid: u32,
        line: &[u8],
        salt: Salt,
        out: &mut Vec<Output>,
    ) {
        let command = match serde_json::from_slice(line) {
            Ok(Object(command)) => command,
            Err(error) => return self.refuse_command(from, ErrorCode::Malformed, error.to_string(), out),
        };
        let event = match command {
            AdminCommand::Status => {
                let status = AdminReply::Status(self.status());
                return self.say_at_once(from, serde_json::to_vec(&status).expect("plain values"), out);
            }
            AdminCommand::SetState { state, account, why } => {
                self.write_down_heard(salt, out);
                self.set_state(state, account, why)
            }
            AdminCommand::SetSizeFactor { factor, account, why } => {
                self.write_down_heard(salt, out);
                self.set_size_factor(factor, account, why)
            }
            AdminCommand::Load { store, change } => {
                let loaded = self.load(&store, change);
                if let Ok(event) = &loaded {
                    self.record_event(from, uid, event, salt, out);
                    return self.revoke_leases(salt, out);
                }
                loaded
            }
            AdminCommand::Note { change } => check_change(&change).map(|()| Event::change(change)),
        };
        match event {
            Ok(event) => self.record_event(from, uid, &event, salt, out),
            Err(problem) => self.refuse_command(from, ErrorCode::Forbidden, problem, out),
        }
    }

    pub(super) fn refuse_command(
        &mut self,
        from: CallerToken,
        code: ErrorCode,
        message: String,
        out: &mut Vec<Output>,
    ) {
        let reply = AdminReply::Error { error: ErrorText { code, message } };
        self.answer(from, serde_json::to_vec(&reply).expect("plain values"), out);
    }

    pub(super) fn record_event(
        &mut self,
        from: CallerToken,
        uid: u32,
        event: &Event,
        salt: Salt,
        out: &mut Vec<Output>,
    ) {
        let (frame, recorded) = self.note(&format!("uid:{uid}"), event, salt);
        out.push(frame);
        self.enqueue(from, recorded, out);
    }

    pub(super) fn set_state(
        &mut self,
        state: TradingState,
        account: Option<AccountName>,
        why: String,
    ) -> Result<Event, String> {
        self.check_order(account.as_ref(), &why)?;
        self.put_state(state, account.as_ref());
        Ok(Event::state(state, account, why))
    }

    /// Tightens or loosens: no other input changes the factor.
    fn set_size_factor(
        &mut self,
        factor: SizeFactor,
        account: Option<AccountName>,
        why: String,
    ) -> Result<Event, String> {
        self.check_order(account.as_ref(), &why)?;
        self.put_size_factor(factor, account.as_ref());
        Ok(Event::size_factor(factor, account, why))
    }

    /// Whether an operator said why, and named an account that is known.
    fn check_order(&self, account: Option<&AccountName>, why: &str) -> Result<(), String> {
        if why.trim().is_empty() || why.len() > 500 {
            return Err("say why in 1 to 500 bytes".into());
        }
        match account {
            Some(account) if self.policy.account(account).is_none() && !self.states.contains_key(account) => {
                Err(format!("account {account} is not in the policy"))
            }
            _ => Ok(()),
        }
    }

    /// Takes a new policy and its keys, or neither.
    pub(super) fn load(&mut self, store: &str, change: Change) -> Result<Event, String> {
        check_change(&change)?;
        let policy = self.signer.reload(store)?;
        self.context.mark_prices.retain(|instrument, _| names(&policy, instrument));
        self.policy = policy;
        Ok(Event::change(change))
    }

    pub(super) fn status(&self) -> protocol::admin::VaultStatus {
        protocol::admin::VaultStatus {
            pid: 0,
            isolation: "software".into(),
            epoch: self.recorder.epoch(),
            policy_hash: hex::encode(self.policy.hash()),
            states: self
                .policy
                .accounts()
                .map(|(name, _)| (name.clone(), self.trading_state(name)))
                .collect(),
            size_factors: self
                .policy
                .accounts()
                .map(|(name, _)| (name.clone(), self.size_factor(name)))
                .collect(),
            leases: self.lease_status(),
            keys: self.signer.keys().map(|key| self.key_status(key)).collect(),
            approved: self.counts.approved,
            denied: self.counts.denied,
            released: self.counts.released,
            rejected: self.counts.rejected,
            errors: self.counts.errors,
            next_index: self.recorder.next_index(),
            durable: self.durable,
            journal_connected: false,
            sign_socket: SocketUse::default(),
            latency_us: [0; 3],
        }
    }

    pub(super) fn trading_state(&self, account: &AccountName) -> TradingState {
        self.states.get(account).map_or(self.everywhere.trading, State::trading_state)
    }

    fn size_factor(&self, account: &AccountName) -> SizeFactor {
        self.states.get(account).map_or(self.everywhere.size_factor, State::size_factor)
    }

    pub(super) fn key_status(&self, key: &keys::KeyDescription) -> KeyStatus {
        KeyStatus {
            key_id: key.key_id.clone(),
            venue: key.venue.to_string(),
            account: key.account.to_string(),
            stage: format!("{:?}", key.stage).to_lowercase(),
            age_ms: self.context.now.since_ms(key.added_at),
        }
    }
}

/// Whether `change` fits a record.
fn check_change(change: &Change) -> Result<(), String> {
    let is_word = |kind: &str| kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if change.kind.is_empty() || change.kind.len() > 32 || !is_word(&change.kind) {
        return Err("`kind` must be one word of 1 to 32 of a-z and _".into());
    }
    if matches!(
        change.kind.as_str(),
        "halt"
            | "resume"
            | "heard"
            | Event::SIZE_FACTOR
            | Event::LEASE
            | super::STATE_OPERATION
            | transparency::Epoch::OPERATION
    ) {
        return Err(format!("`kind` must not be {}: such records have a meaning of their own", change.kind));
    }
    if change.text.is_empty() || change.text.len() > 1000 {
        return Err("`text` must have 1 to 1000 bytes".into());
    }
    Ok(())
}
