//! Whatever is appended in whatever order, the views equal a model that is plain maps.

use std::collections::BTreeMap;

use journal::tables::{Cell, TablesError};
use proptest::prelude::*;
use protocol::tables::{Table, TableEvent};

use super::{Place, at, closed, event, id, label, opened, rows, sampled, text, value, words};

#[derive(Default, Clone, Debug, PartialEq)]
struct Trade {
    thesis: Option<String>,
    closed: bool,
    lesson: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Movement {
    status: &'static str,
    txn: Option<String>,
}

/// The tables in plain maps, from the names of things to what is known of them.
#[derive(Default)]
struct Model {
    ids: BTreeMap<usize, Step>,
    trades: BTreeMap<String, Trade>,
    movements: BTreeMap<String, Movement>,
    halts: BTreeMap<String, Option<u64>>,
    incidents: BTreeMap<String, Option<u64>>,
    configs: Vec<String>,
    samples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    kind: u8,
    thing: u8,
    note: Option<u8>,
}

impl Step {
    fn name(&self) -> String {
        format!("x{}", self.thing)
    }

    fn note(&self) -> Option<String> {
        self.note.map(|note| format!("note {note} \"quoted\" = \u{e9}\n"))
    }

    fn event(&self) -> TableEvent {
        let (name, note) = (self.name(), self.note());
        let said = note.as_deref().unwrap_or("said");
        match self.kind {
            0 => opened(&name, note.as_deref()),
            1 => closed(&name, note.as_deref()),
            2 => TableEvent::LessonLearned { trade_id: id(&name), lesson: words(said) },
            3 => event(&format!(
                r#"{{"event":"movement_planned","movement_id":"{name}","direction":"out","asset":"BTC","amount":"1.5","source":"a","destination":"b"}}"#
            )),
            4 => TableEvent::MovementSent { movement_id: id(&name), reference: None },
            5 => TableEvent::MovementConfirmed { movement_id: id(&name), confirm_txn: label("0x1") },
            6 => TableEvent::MovementFailed { movement_id: id(&name), why: words(said) },
            7 => event(&format!(r#"{{"event":"halt_started","halt_id":"{name}","reason":"because"}}"#)),
            8 => TableEvent::HaltResolved { halt_id: id(&name), by: label("ada"), why: words(said) },
            9 => TableEvent::IncidentOpened {
                incident_id: id(&name),
                sort: label("feed"),
                severity: protocol::tables::Severity::Low,
                text: words(said),
            },
            10 => TableEvent::IncidentMitigated {
                incident_id: id(&name),
                by: label("ada"),
                how: words(said),
                approval: None,
            },
            11 => TableEvent::ConfigChanged {
                service: label(&name),
                field: label("f"),
                old_value: None,
                new_value: note.as_deref().map(words),
                by: label("ada"),
            },
            _ => sampled(&name, &format!("{}.25", self.thing), 0),
        }
    }
}

impl Model {
    /// Whether the event is taken; `number` stands in its id.
    fn take(&mut self, number: usize, step: &Step, time: u64) -> bool {
        if let Some(known) = self.ids.get(&number) {
            return known.event() == step.event();
        }
        let taken = self.apply(step, time);
        if taken {
            self.ids.insert(number, step.clone());
        }
        taken
    }

    fn apply(&mut self, step: &Step, time: u64) -> bool {
        let (name, note) = (step.name(), step.note());
        let said = note.clone().unwrap_or_else(|| "said".to_owned());
        match step.kind {
            0 if !self.trades.contains_key(&name) => {
                self.trades.insert(name, Trade { thesis: note, ..Trade::default() });
                true
            }
            1 => self.trades.get_mut(&name).filter(|trade| !trade.closed).is_some_and(|trade| {
                (trade.closed, trade.lesson) = (true, note);
                true
            }),
            2 => {
                let trade = self.trades.get_mut(&name).filter(|trade| trade.closed && trade.lesson.is_none());
                trade.is_some_and(|trade| {
                    trade.lesson = Some(said);
                    true
                })
            }
            3 if !self.movements.contains_key(&name) => {
                self.movements.insert(name, Movement { status: "planned", txn: None });
                true
            }
            4..=6 => {
                let Some(movement) = self.movements.get_mut(&name) else { return false };
                let next = match (step.kind, movement.status) {
                    (4, "planned") => "sent",
                    (5, "sent") => "confirmed",
                    (6, "planned" | "sent") => "failed",
                    _ => return false,
                };
                movement.status = next;
                movement.txn = (step.kind == 5).then(|| "0x1".to_owned());
                true
            }
            7 => start(&mut self.halts, name),
            8 => end(&mut self.halts, &name, time),
            9 => start(&mut self.incidents, name),
            10 => end(&mut self.incidents, &name, time),
            11 => {
                self.configs.push(name);
                true
            }
            12 => {
                self.samples.push(format!("{}.25", step.thing));
                true
            }
            _ => false,
        }
    }
}

fn start(things: &mut BTreeMap<String, Option<u64>>, name: String) -> bool {
    let is_new = !things.contains_key(&name);
    things.entry(name).or_insert(None);
    is_new
}

fn end(things: &mut BTreeMap<String, Option<u64>>, name: &str, time: u64) -> bool {
    match things.get_mut(name) {
        Some(ended @ None) => {
            *ended = Some(time);
            true
        }
        _ => false,
    }
}

fn or_null(found: Option<&String>) -> Cell {
    found.map_or(Cell::Null, |found| text(found))
}

fn assert_same(place: &Place, model: &Model) {
    let path = place.path();
    let trades = rows(&path, Table::SwingTrades);
    assert_eq!(trades.len(), model.trades.len());
    for row in &trades {
        let Cell::Text(name) = value(row, "trade_id") else { panic!("{row:?}") };
        let trade = &model.trades[name];
        assert_eq!(value(row, "thesis"), &or_null(trade.thesis.as_ref()));
        assert_eq!(value(row, "lesson"), &or_null(trade.lesson.as_ref()));
        assert_eq!(value(row, "exit") != &Cell::Null, trade.closed);
        assert_eq!(value(row, "exited_at") != &Cell::Null, trade.closed);
    }
    let movements = rows(&path, Table::CapitalMovements);
    assert_eq!(movements.len(), model.movements.len());
    for row in &movements {
        let Cell::Text(name) = value(row, "movement_id") else { panic!("{row:?}") };
        let movement = &model.movements[name];
        assert_eq!(value(row, "status"), &text(movement.status));
        assert_eq!(value(row, "confirm_txn"), &or_null(movement.txn.as_ref()));
    }
    for (table, key, ended, things) in [
        (Table::HaltEvents, "halt_id", "resolved_at", &model.halts),
        (Table::Incidents, "incident_id", "mitigated_at", &model.incidents),
    ] {
        let found = rows(&path, table);
        assert_eq!(found.len(), things.len());
        for row in &found {
            let Cell::Text(name) = value(row, key) else { panic!("{row:?}") };
            let expected = things[name].map(|ms| Cell::Integer(i64::try_from(ms).expect("a time")));
            assert_eq!(value(row, ended), &expected.unwrap_or(Cell::Null));
        }
    }
    let column = |table, column: &str| -> Vec<Cell> {
        rows(&path, table).iter().map(|row| value(row, column).clone()).collect()
    };
    let texts = |texts: &[String]| texts.iter().map(|found| text(found)).collect::<Vec<_>>();
    assert_eq!(column(Table::ConfigChanges, "service"), texts(&model.configs));
    assert_eq!(column(Table::EquitySamples, "equity"), texts(&model.samples));
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = (0_u8..13, 0_u8..3, prop::option::of(0_u8..3));
    (0_usize..60, step).prop_map(|(id, (kind, thing, note))| (id, Step { kind, thing, note }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn views_equal_the_model(steps in prop::collection::vec(step(), 1..80), reopen in 0_usize..80) {
        let place = Place::new();
        let mut tables = place.open();
        let mut model = Model::default();
        for (turn, (number, step)) in steps.iter().enumerate() {
            if turn == reopen {
                drop(tables);
                tables = place.open();
            }
            let time = at(u64::try_from(turn).expect("few"));
            let expected = model.take(*number, step, time.as_ms());
            match tables.append(&id(&format!("e{number}")), time, &step.event()) {
                Ok(_) => prop_assert!(expected, "{step:?} was taken"),
                Err(TablesError::Refused(why)) => prop_assert!(!expected, "{step:?}: {why}"),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
        drop(tables);
        assert_same(&place, &model);
        let report = place.verify(&[]);
        prop_assert_eq!(report.faults, []);
        prop_assert_eq!(usize::try_from(report.rows).expect("few"), model.ids.len());
    }
}
