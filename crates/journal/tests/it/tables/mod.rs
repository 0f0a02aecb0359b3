//! The journal's tables on a real disk.

mod append_only;
mod damage;
mod model;
mod questions;

use std::path::{Path, PathBuf};

use journal::tables::{Anchor, Cell, Reader, Report, Tables, TablesError, verify};
use protocol::tables::{EventId, Label, Table, TableEvent, Words};
use tempfile::TempDir;
use trading::Timestamp;

/// A folder with tables in it.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("journal.sqlite")
    }

    pub(crate) fn open(&self) -> Tables {
        Tables::open(&self.path()).expect("the tables open")
    }

    /// Tables with one row of everything, closed again.
    pub(crate) fn filled() -> Self {
        let place = Self::new();
        let mut tables = place.open();
        for (number, event) in one_of_each().into_iter().enumerate() {
            append(&mut tables, number, &event).expect("it follows");
        }
        drop(tables);
        place
    }

    pub(crate) fn verify(&self, anchors: &[Anchor]) -> Report {
        verify(&self.path(), anchors.iter().copied()).expect("readable")
    }

    /// What a log would vouch for if it had a record for every `step`th row, the first record being 100.
    pub(crate) fn anchors(&self, step: u64) -> Vec<Anchor> {
        let mut found = Vec::new();
        let reader = Reader::open(&self.path()).expect("readable");
        reader
            .each_event::<TablesError>(1, |row, _| {
                if row.sequence % step == 0 {
                    found.push(Anchor { log_sequence: 99 + row.sequence, row: row.row_hash() });
                }
                Ok(())
            })
            .expect("readable");
        found
    }
}

pub(crate) fn id(text: &str) -> EventId {
    EventId::new(text).expect("an id")
}

pub(crate) fn words(text: &str) -> Words {
    Words::new(text).expect("words")
}

pub(crate) fn label(text: &str) -> Label {
    Label::new(text).expect("a label")
}

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(1_700_000_000_000 + ms)
}

pub(crate) fn append(tables: &mut Tables, number: usize, event: &TableEvent) -> Result<u64, TablesError> {
    let time = at(u64::try_from(number).expect("few"));
    tables.append(&id(&format!("event-{number}")), time, event).map(|done| done.row.sequence)
}

pub(crate) fn event(json: &str) -> TableEvent {
    serde_json::from_str(json).expect("an event")
}

pub(crate) fn opened(trade: &str, thesis: Option<&str>) -> TableEvent {
    TableEvent::TradeOpened {
        trade_id: id(trade),
        account: "main".parse().expect("a name"),
        pair: "bybit:linear:BTCUSDT".parse().expect("an instrument"),
        side: trading::Side::Buy,
        quantity: "0.5".parse().expect("a quantity"),
        entry: "60000.5".parse().expect("a price"),
        thesis: thesis.map(words),
    }
}

pub(crate) fn closed(trade: &str, lesson: Option<&str>) -> TableEvent {
    let lesson = lesson.map(words);
    TableEvent::TradeClosed { trade_id: id(trade), exit: "61000".parse().expect("a price"), lesson }
}

pub(crate) fn sampled(account: &str, equity: &str, rung: u8) -> TableEvent {
    event(&format!(
        r#"{{"event":"equity_sampled","account":"{account}","unit_value":950000000,"equity":"{equity}","rung":{rung},"levels":["3800","3680","3400",null]}}"#
    ))
}

/// Every kind of event, in an order in which each may follow. 14 rows.
pub(crate) fn one_of_each() -> Vec<TableEvent> {
    let mut events = vec![opened("t-1", Some("breakout")), closed("t-1", None)];
    events.extend(
        [
            r#"{"event":"lesson_learned","trade_id":"t-1","lesson":"patience"}"#,
            r#"{"event":"movement_planned","movement_id":"m-1","direction":"in","asset":"USDT","amount":"4000","source":"bank","destination":"main"}"#,
            r#"{"event":"movement_sent","movement_id":"m-1","reference":"wire 7"}"#,
            r#"{"event":"movement_confirmed","movement_id":"m-1","confirm_txn":"0xabc"}"#,
            r#"{"event":"movement_planned","movement_id":"m-2","direction":"internal","asset":"USDT","amount":"1","source":"main","destination":"sub"}"#,
            r#"{"event":"movement_failed","movement_id":"m-2","why":"refused"}"#,
            r#"{"event":"halt_started","halt_id":"h-1","account":"main","reason":"rung 3","trigger_value":"3399.5","rung":3}"#,
            r#"{"event":"halt_resolved","halt_id":"h-1","by":"ada","why":"reviewed"}"#,
            r#"{"event":"config_changed","service":"policy","field":"max_notional","old_value":"1000","new_value":"2000","by":"ada"}"#,
            r#"{"event":"incident_opened","incident_id":"i-1","type":"drawdown","severity":"critical","text":"rung 3"}"#,
            r#"{"event":"incident_mitigated","incident_id":"i-1","by":"ada","how":"flat","approval":77}"#,
        ]
        .map(event),
    );
    events.push(sampled("main", "3790.25", 1));
    events
}

/// The rows of a view by column.
pub(crate) fn rows(path: &Path, table: Table) -> Vec<Vec<(String, Cell)>> {
    let reader = Reader::open(path).expect("readable");
    let columns = reader.columns(table).expect("columns");
    let mut found = Vec::new();
    reader
        .each_row::<TablesError>(table, None, 10_000, |cells| {
            found.push(columns.iter().cloned().zip(cells).collect());
            Ok(())
        })
        .expect("rows");
    found
}

/// One value of a row.
#[track_caller]
pub(crate) fn value<'a>(row: &'a [(String, Cell)], column: &str) -> &'a Cell {
    &row.iter().find(|(name, _)| name == column).expect("a column").1
}

pub(crate) fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}
