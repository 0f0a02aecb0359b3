//! The events of the journal's tables: what a writer says, what a row holds, and how a record of the
//! log vouches for a row.
//!
//! A table is a view over its events. Nothing in it is ever changed: what fills `resolved_at` or
//! `lesson` is a second event. An event's JSON is the row's payload, hashed as it is stored.

mod text;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use trading::{AccountName, Decimal, Instrument, Price, Quantity, Side};

pub use text::{EventId, Label, TextError, Words};

/// Highest rung of the drawdown ladder.
pub const MAX_RUNG: u8 = 4;

/// The tables, by the names of their views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Trades with the thesis at entry and the lesson at exit.
    SwingTrades,
    /// Money in, out or between accounts, before and after it moves.
    CapitalMovements,
    /// Every halt and its end.
    HaltEvents,
    /// Every change of an effective setting.
    ConfigChanges,
    /// What went wrong, and what a person did about it.
    Incidents,
    /// Equity over time with the rung of the drawdown ladder.
    EquitySamples,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SwingTrades,
        Self::CapitalMovements,
        Self::HaltEvents,
        Self::ConfigChanges,
        Self::Incidents,
        Self::EquitySamples,
    ];

    /// The view's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SwingTrades => "swing_trades",
            Self::CapitalMovements => "capital_movements",
            Self::HaltEvents => "halt_events",
            Self::ConfigChanges => "config_changes",
            Self::Incidents => "incidents",
            Self::EquitySamples => "equity_samples",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Table {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let found = Self::ALL.into_iter().find(|table| table.as_str() == text);
        found.ok_or(TextError::new(
            "table",
            "is none of swing_trades, capital_movements, halt_events, config_changes, incidents, equity_samples",
        ))
    }
}

/// Which way capital moves, seen from the installation's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From outside to one of the accounts.
    In,
    /// From one of the accounts to outside.
    Out,
    /// From one of the accounts to another.
    Internal,
}

/// How bad an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Needs a person this week.
    Medium,
    /// Needs a person today.
    High,
    /// Trading stops until it is mitigated.
    Critical,
}

/// How deep in the drawdown ladder an account is: 0 is above every rung, [`MAX_RUNG`] is the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Rung(u8);

impl Rung {
    /// Above every rung.
    pub const NONE: Self = Self(0);

    /// Takes a rung from 0 to [`MAX_RUNG`].
    ///
    /// # Errors
    ///
    /// [`TextError`] if it is higher.
    pub const fn new(rung: u8) -> Result<Self, TextError> {
        if rung <= MAX_RUNG { Ok(Self(rung)) } else { Err(TextError::new("rung", "is above 4")) }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Rung {
    type Error = TextError;

    fn try_from(rung: u8) -> Result<Self, TextError> {
        Self::new(rung)
    }
}

impl From<Rung> for u8 {
    fn from(rung: Rung) -> Self {
        rung.0
    }
}

/// One event: a row of the journal.
///
/// Texts must hold no secret: they are kept for ever and exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum TableEvent {
    /// A trade was entered.
    TradeOpened {
        /// Names the trade in its later events.
        trade_id: EventId,
        /// On which account.
        account: AccountName,
        /// What is traded.
        pair: Instrument,
        /// Which way.
        side: Side,
        /// How much, in the base asset or in contracts.
        quantity: Quantity,
        /// Average price of the entry.
        entry: Price,
        /// Why; whether it may be missing is the policy's matter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thesis: Option<Words>,
    },
    /// A trade was left.
    TradeClosed {
        /// Which.
        trade_id: EventId,
        /// Average price of the exit.
        exit: Price,
        /// What was learned, if that is known already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lesson: Option<Words>,
    },
    /// What was learned of a trade that was closed without a lesson.
    LessonLearned {
        /// Which.
        trade_id: EventId,
        /// What was learned.
        lesson: Words,
    },
    /// Capital is about to move.
    MovementPlanned {
        /// Names the movement in its later events.
        movement_id: EventId,
        /// Which way.
        direction: Direction,
        /// Of what.
        asset: Label,
        /// How much.
        amount: Quantity,
        /// From where.
        source: Label,
        /// To where.
        destination: Label,
    },
    /// The request for it left.
    MovementSent {
        /// Which.
        movement_id: EventId,
        /// The venue's or bank's own id for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Label>,
    },
    /// It arrived.
    MovementConfirmed {
        /// Which.
        movement_id: EventId,
        /// The transaction that proves it.
        confirm_txn: Label,
    },
    /// It did not and will not happen.
    MovementFailed {
        /// Which.
        movement_id: EventId,
        /// Why.
        why: Words,
    },
    /// Trading was halted.
    HaltStarted {
        /// Names the halt at its end.
        halt_id: EventId,
        /// Which account; every account if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountName>,
        /// Why.
        reason: Words,
        /// The number that tripped it, if a number did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trigger_value: Option<Decimal>,
        /// The rung that asked for it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rung: Option<Rung>,
    },
    /// The halt ended.
    HaltResolved {
        /// Which.
        halt_id: EventId,
        /// Who ended it.
        by: Label,
        /// Why it may end.
        why: Words,
    },
    /// An effective setting changed.
    ConfigChanged {
        /// Whose setting.
        service: Label,
        /// Which.
        field: Label,
        /// What it was; absent if it was not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_value: Option<Words>,
        /// What it is; absent if it is no longer set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_value: Option<Words>,
        /// Who changed it.
        by: Label,
    },
    /// Something went wrong.
    IncidentOpened {
        /// Names the incident at its end.
        incident_id: EventId,
        /// What sort of thing, in one word.
        #[serde(rename = "type")]
        sort: Label,
        /// How bad.
        severity: Severity,
        /// What happened.
        text: Words,
    },
    /// A person dealt with it.
    IncidentMitigated {
        /// Which.
        incident_id: EventId,
        /// Who.
        by: Label,
        /// How.
        how: Words,
        /// Sequence of the log's record that holds the person's signed approval, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<u64>,
    },
    /// What an account was worth.
    EquitySampled {
        /// Which account.
        account: AccountName,
        /// Value of one unit in steps of 1e-9, free of deposits and withdrawals; 1e9 at the start.
        unit_value: u64,
        /// Equity in the account's quote asset.
        equity: Decimal,
        /// The deepest rung in force.
        rung: Rung,
        /// Equity at which rung 1, 2, 3, 4 fires, as known at the time.
        #[serde(default, skip_serializing_if = "no_levels")]
        levels: [Option<Decimal>; MAX_RUNG as usize],
    },
}

fn no_levels(levels: &[Option<Decimal>; MAX_RUNG as usize]) -> bool {
    levels.iter().all(Option::is_none)
}

impl TableEvent {
    /// The table it belongs to.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::TradeOpened { .. } | Self::TradeClosed { .. } | Self::LessonLearned { .. } => {
                Table::SwingTrades
            }
            Self::MovementPlanned { .. }
            | Self::MovementSent { .. }
            | Self::MovementConfirmed { .. }
            | Self::MovementFailed { .. } => Table::CapitalMovements,
            Self::HaltStarted { .. } | Self::HaltResolved { .. } => Table::HaltEvents,
            Self::ConfigChanged { .. } => Table::ConfigChanges,
            Self::IncidentOpened { .. } | Self::IncidentMitigated { .. } => Table::Incidents,
            Self::EquitySampled { .. } => Table::EquitySamples,
        }
    }

    /// The word that stands for it in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TradeOpened { .. } => "trade_opened",
            Self::TradeClosed { .. } => "trade_closed",
            Self::LessonLearned { .. } => "lesson_learned",
            Self::MovementPlanned { .. } => "movement_planned",
            Self::MovementSent { .. } => "movement_sent",
            Self::MovementConfirmed { .. } => "movement_confirmed",
            Self::MovementFailed { .. } => "movement_failed",
            Self::HaltStarted { .. } => "halt_started",
            Self::HaltResolved { .. } => "halt_resolved",
            Self::ConfigChanged { .. } => "config_changed",
            Self::IncidentOpened { .. } => "incident_opened",
            Self::IncidentMitigated { .. } => "incident_mitigated",
            Self::EquitySampled { .. } => "equity_sampled",
        }
    }

    /// What it is about: the id of the trade, movement, halt or incident, the account, the service.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::TradeOpened { trade_id: id, .. }
            | Self::TradeClosed { trade_id: id, .. }
            | Self::LessonLearned { trade_id: id, .. }
            | Self::MovementPlanned { movement_id: id, .. }
            | Self::MovementSent { movement_id: id, .. }
            | Self::MovementConfirmed { movement_id: id, .. }
            | Self::MovementFailed { movement_id: id, .. }
            | Self::HaltStarted { halt_id: id, .. }
            | Self::HaltResolved { halt_id: id, .. }
            | Self::IncidentOpened { incident_id: id, .. }
            | Self::IncidentMitigated { incident_id: id, .. } => id.as_str(),
            Self::ConfigChanged { service, .. } => service.as_str(),
            Self::EquitySampled { account, .. } => account.as_str(),
        }
    }
}

/// Which row has which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowHash {
    /// The row's table.
    pub table: Table,
    /// Its sequence in the journal, from 1 over all tables.
    pub row: u64,
    /// Its hash, which covers every row before it.
    #[serde(with = "text::hex_hash")]
    pub hash: [u8; 32],
}

/// The detail of a log record that vouches for a row, and through the row's hash for all before it.
///
/// The record's operation is [`Self::KIND`], its outcome an event. A writer may put more fields
/// beside these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalTable {
    kind: JournalTableKind,
    /// The row.
    #[serde(flatten)]
    pub row: RowHash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum JournalTableKind {
    #[serde(rename = "journal_table")]
    JournalTable,
}

impl JournalTable {
    /// The event's kind, and the record's operation.
    pub const KIND: &str = "journal_table";

    /// The detail that vouches for `row`.
    #[must_use]
    pub const fn new(row: RowHash) -> Self {
        Self { kind: JournalTableKind::JournalTable, row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_object_with_its_kind() {
        let text = r#"{"event":"trade_closed","trade_id":"t-1","exit":"101.5","lesson":"wait"}"#;
        let event: TableEvent = serde_json::from_str(text).expect("an event");
        assert_eq!(serde_json::to_string(&event).expect("JSON"), text);
        assert_eq!(
            (event.table(), event.kind(), event.subject()),
            (Table::SwingTrades, "trade_closed", "t-1")
        );
    }

    #[test]
    fn what_is_not_an_event_is_refused_by_name() {
        for (text, word) in [
            (r#"{"event":"trade_closed","trade_id":"t 1","exit":"1"}"#, "id"),
            (r#"{"event":"trade_closed","trade_id":"t","exit":"0"}"#, "zero"),
            (r#"{"event":"trade_closed","trade_id":"t","exit":"1","lesson":""}"#, "text"),
            (r#"{"event":"trade_closed","trade_id":"t","exit":"1","lessons":"x"}"#, "lessons"),
            (r#"{"event":"trade_erased","trade_id":"t"}"#, "trade_erased"),
            (r#"{"event":"equity_sampled","account":"a","unit_value":1,"equity":"1","rung":5}"#, "rung"),
            (r#"{"event":"equity_sampled","account":"a","unit_value":-1,"equity":"1","rung":0}"#, "-1"),
        ] {
            let problem = serde_json::from_str::<TableEvent>(text).expect_err(text).to_string();
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }

    #[test]
    fn a_record_vouches_by_kind_table_row_and_hash() {
        let row = RowHash { table: Table::HaltEvents, row: 7, hash: [0xab; 32] };
        let text = serde_json::to_string(&JournalTable::new(row)).expect("JSON");
        let hash = "ab".repeat(32);
        assert_eq!(
            text,
            format!(r#"{{"kind":"journal_table","table":"halt_events","row":7,"hash":"{hash}"}}"#)
        );
        let wider = text.replacen('{', r#"{"text":"row 7 of halt_events","#, 1);
        assert_eq!(serde_json::from_str::<JournalTable>(&wider).expect("more is no fault").row, row);
        for bad in
            [text.replace("journal_table", "halt"), text.replace("ab\"}", "a\"}"), text.replace("ab", "zz")]
        {
            assert!(serde_json::from_str::<JournalTable>(&bad).is_err(), "{bad}");
        }
    }
}
