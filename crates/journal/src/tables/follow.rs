//! Which event may follow which. Pure.

use protocol::tables::{EventId, TableEvent};

use super::error::Refusal;

/// Whether an event needs to be held against what is there of its subject.
pub(super) const fn has_past(event: &TableEvent) -> bool {
    !matches!(event, TableEvent::ConfigChanged { .. } | TableEvent::EquitySampled { .. })
}

/// Checks that `event` may follow `past`, the events of the same table and subject in their order.
pub(super) fn check(event: &TableEvent, past: &[TableEvent]) -> Result<(), Refusal> {
    use TableEvent as E;
    match event {
        E::TradeOpened { trade_id, .. } => Subject("trade", trade_id, past).is_new(),
        E::TradeClosed { trade_id, .. } => {
            let trade = Subject("trade", trade_id, past);
            trade.is_known()?;
            trade.has_not("was closed", |event| matches!(event, E::TradeClosed { .. }))
        }
        E::LessonLearned { trade_id, .. } => {
            let trade = Subject("trade", trade_id, past);
            trade.is_known()?;
            trade.has("closed", |event| matches!(event, E::TradeClosed { .. }))?;
            trade.has_not("has its lesson", |event| {
                matches!(event, E::TradeClosed { lesson: Some(_), .. } | E::LessonLearned { .. })
            })
        }
        E::MovementPlanned { movement_id, .. } => Subject("movement", movement_id, past).is_new(),
        E::MovementSent { movement_id, .. } => {
            let movement = Subject("movement", movement_id, past);
            movement.is_unsettled()?;
            movement.has_not("was sent", |event| matches!(event, E::MovementSent { .. }))
        }
        E::MovementConfirmed { movement_id, .. } => {
            let movement = Subject("movement", movement_id, past);
            movement.is_unsettled()?;
            movement.has("sent", |event| matches!(event, E::MovementSent { .. }))
        }
        E::MovementFailed { movement_id, .. } => Subject("movement", movement_id, past).is_unsettled(),
        E::HaltStarted { halt_id, .. } => Subject("halt", halt_id, past).is_new(),
        E::HaltResolved { halt_id, .. } => {
            let halt = Subject("halt", halt_id, past);
            halt.is_known()?;
            halt.has_not("was resolved", |event| matches!(event, E::HaltResolved { .. }))
        }
        E::IncidentOpened { incident_id, .. } => Subject("incident", incident_id, past).is_new(),
        E::IncidentMitigated { incident_id, .. } => {
            let incident = Subject("incident", incident_id, past);
            incident.is_known()?;
            incident.has_not("was mitigated", |event| matches!(event, E::IncidentMitigated { .. }))
        }
        E::ConfigChanged { .. } | E::EquitySampled { .. } => Ok(()),
    }
}

/// What sort of thing, its id, its past.
struct Subject<'a>(&'static str, &'a EventId, &'a [TableEvent]);

impl Subject<'_> {
    fn is_new(&self) -> Result<(), Refusal> {
        self.has_not("is in the journal", |_| true)
    }

    fn is_known(&self) -> Result<(), Refusal> {
        let unknown = || Refusal::Unknown { what: self.0, id: self.1.to_string() };
        if self.2.is_empty() { Err(unknown()) } else { Ok(()) }
    }

    fn is_unsettled(&self) -> Result<(), Refusal> {
        self.is_known()?;
        self.has_not("was confirmed", |event| matches!(event, TableEvent::MovementConfirmed { .. }))?;
        self.has_not("has failed", |event| matches!(event, TableEvent::MovementFailed { .. }))
    }

    fn has(&self, missing: &'static str, which: fn(&TableEvent) -> bool) -> Result<(), Refusal> {
        let early = || Refusal::TooEarly { what: self.0, id: self.1.to_string(), missing };
        if self.2.iter().any(which) { Ok(()) } else { Err(early()) }
    }

    fn has_not(&self, state: &'static str, which: fn(&TableEvent) -> bool) -> Result<(), Refusal> {
        let already = || Refusal::Already { what: self.0, id: self.1.to_string(), state };
        if self.2.iter().any(which) { Err(already()) } else { Ok(()) }
    }
}
