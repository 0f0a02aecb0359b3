//! What the views and the questions say.

use journal::tables::{Cell, Reader};
use protocol::tables::{Table, TableEvent};
use trading::Timestamp;

use super::{Place, append, at, closed, event, id, label, opened, rows, sampled, text, value, words};

#[test]
fn views_have_the_promised_columns_first() {
    let place = Place::filled();
    let reader = Reader::open(&place.path()).expect("readable");
    for (table, promised) in [
        (Table::SwingTrades, &["trade_id", "pair", "entry", "exit", "thesis", "lesson"][..]),
        (Table::CapitalMovements, &["direction", "amount", "status", "confirm_txn"]),
        (Table::HaltEvents, &["reason", "trigger_value", "resolved_at"]),
        (Table::ConfigChanges, &["service", "field", "old_value", "new_value"]),
        (Table::Incidents, &["type", "severity", "mitigated_at"]),
        (Table::EquitySamples, &["account", "sampled_at", "unit_value", "equity", "rung"]),
    ] {
        let columns = reader.columns(table).expect("columns");
        assert_eq!(columns[..promised.len()], *promised, "{table}");
        // By their names, as anybody with SQLite would ask.
        let other = rusqlite::Connection::open(place.path()).expect("opens");
        let query = format!("SELECT {} FROM {table}", promised.join(", "));
        other.prepare(&query).expect("the view has them");
    }
}

#[test]
fn views_give_the_current_state_of_one_of_each() {
    let place = Place::filled();
    let path = place.path();
    let time = |number: u64| Cell::Integer(i64::try_from(at(number).as_ms()).expect("a time"));
    let expected: [(Table, &[(&str, Cell)]); 6] = [
        (
            Table::SwingTrades,
            &[
                ("trade_id", text("t-1")),
                ("pair", text("bybit:linear:BTCUSDT")),
                ("entry", text("60000.5")),
                ("exit", text("61000")),
                ("thesis", text("breakout")),
                ("lesson", text("patience")),
                ("exited_at", time(1)),
                ("last_seq", Cell::Integer(3)),
            ],
        ),
        (
            Table::CapitalMovements,
            &[
                ("direction", text("in")),
                ("amount", text("4000")),
                ("status", text("confirmed")),
                ("confirm_txn", text("0xabc")),
                ("reference", text("wire 7")),
                ("failure", Cell::Null),
            ],
        ),
        (
            Table::HaltEvents,
            &[
                ("reason", text("rung 3")),
                ("trigger_value", text("3399.5")),
                ("resolved_at", time(9)),
                ("rung", Cell::Integer(3)),
                ("resolved_by", text("ada")),
            ],
        ),
        (
            Table::ConfigChanges,
            &[
                ("service", text("policy")),
                ("field", text("max_notional")),
                ("old_value", text("1000")),
                ("new_value", text("2000")),
            ],
        ),
        (
            Table::Incidents,
            &[
                ("type", text("drawdown")),
                ("severity", text("critical")),
                ("mitigated_at", time(12)),
                ("approval", Cell::Integer(77)),
            ],
        ),
        (
            Table::EquitySamples,
            &[
                ("account", text("main")),
                ("unit_value", Cell::Integer(950_000_000)),
                ("equity", text("3790.25")),
                ("rung", Cell::Integer(1)),
                ("level_1", text("3800")),
                ("level_4", Cell::Null),
            ],
        ),
    ];
    for (table, columns) in expected {
        let found = rows(&path, table);
        for (column, expected) in columns {
            assert_eq!(value(&found[0], column), expected, "{table}.{column}");
        }
    }
    assert_eq!(value(&rows(&path, Table::CapitalMovements)[1], "status"), &text("failed"));
}

#[test]
fn a_lesson_is_missed_from_the_millisecond_on() {
    const DAY_MS: u64 = 86_400_000;
    let place = Place::new();
    let mut tables = place.open();
    for (number, event) in [
        opened("a", None),
        opened("b", Some("x")),
        opened("c", None),
        closed("a", None),
        closed("b", Some("y")),
    ]
    .iter()
    .enumerate()
    {
        append(&mut tables, number, event).expect("it follows");
    }
    let missing = |tables: &journal::tables::Tables, now: Timestamp| {
        let found = tables.reader().trades_without_lesson(now, DAY_MS).expect("readable");
        found.into_iter().map(|trade| trade.trade_id).collect::<Vec<_>>()
    };
    assert_eq!(missing(&tables, at(3 + DAY_MS - 1)), [""; 0]);
    assert_eq!(missing(&tables, at(3 + DAY_MS)), ["a"], "neither the one with a lesson nor the open one");
    assert_eq!(missing(&tables, Timestamp::from_ms(5)), [""; 0], "a clock that was never set");
    let without: Vec<u64> =
        tables.reader().trades_without_thesis().expect("readable").iter().map(|row| row.sequence).collect();
    assert_eq!(without, [1, 3]);
    let lesson = TableEvent::LessonLearned { trade_id: id("a"), lesson: words("wait") };
    append(&mut tables, 5, &lesson).expect("late, but there");
    assert_eq!(missing(&tables, at(9 * DAY_MS)), [""; 0]);
}

#[test]
fn what_is_open_is_listed_until_a_second_event_ends_it() {
    let place = Place::new();
    let mut tables = place.open();
    let halt = event(r#"{"event":"halt_started","halt_id":"h","reason":"operator"}"#);
    let incident = event(
        r#"{"event":"incident_opened","incident_id":"i","type":"drawdown","severity":"high","text":"rung 3"}"#,
    );
    let plan = event(
        r#"{"event":"movement_planned","movement_id":"m","direction":"out","asset":"USDT","amount":"5","source":"main","destination":"bank"}"#,
    );
    for (number, event) in [&halt, &incident, &plan].into_iter().enumerate() {
        append(&mut tables, number, event).expect("it follows");
    }
    let open = |tables: &journal::tables::Tables| {
        let reader = tables.reader();
        [reader.unresolved_halts(), reader.open_incidents(), reader.unsettled_movements()]
            .map(|rows| rows.expect("readable").into_iter().map(|row| row.event).collect::<Vec<_>>())
    };
    assert_eq!(open(&tables), [vec![halt], vec![incident], vec![plan]]);
    let ends = [
        TableEvent::HaltResolved { halt_id: id("h"), by: label("ada"), why: words("calm") },
        TableEvent::IncidentMitigated {
            incident_id: id("i"),
            by: label("ada"),
            how: words("flat"),
            approval: None,
        },
        TableEvent::MovementFailed { movement_id: id("m"), why: words("refused") },
    ];
    for (number, event) in ends.iter().enumerate() {
        append(&mut tables, 10 + number, event).expect("it follows");
    }
    assert_eq!(open(&tables), [vec![], vec![], vec![]]);
}

#[test]
fn listings_take_the_latest_and_show_the_oldest_first() {
    let place = Place::new();
    let mut tables = place.open();
    for number in 0..20 {
        let account = if number % 2 == 0 { "even" } else { "odd" };
        append(&mut tables, number, &sampled(account, &format!("{}", 100 + number), 0)).expect("a sample");
    }
    let reader = tables.reader();
    assert_eq!(reader.sampled_accounts().expect("readable"), ["even", "odd"]);
    assert_eq!(reader.count(Table::EquitySamples).expect("readable"), 20);
    let odd = "odd".parse().expect("a name");
    let found = reader.equity(&odd, Some(at(10)), 3).expect("readable");
    let found: Vec<String> = found.iter().map(|sample| sample.equity.to_string()).collect();
    assert_eq!(found, ["115", "117", "119"]);
    assert_eq!(reader.equity(&odd, Some(at(18)), 9).expect("readable").len(), 1);
    let mut seen = Vec::new();
    reader
        .each_row::<journal::tables::TablesError>(Table::EquitySamples, Some(at(4)), 2, |cells| {
            seen.push(cells[3].clone());
            Ok(())
        })
        .expect("readable");
    assert_eq!(seen, [text("118"), text("119")]);
}

#[test]
fn a_snapshot_does_not_see_what_comes_meanwhile() {
    let place = Place::new();
    let mut tables = place.open();
    append(&mut tables, 0, &sampled("main", "1", 0)).expect("a sample");
    let reader = Reader::open(&place.path()).expect("readable");
    let counts = reader.snapshot(|reader| {
        let before = reader.count(Table::EquitySamples)?;
        append(&mut tables, 1, &sampled("main", "2", 0))?;
        Ok::<_, journal::tables::TablesError>((before, reader.count(Table::EquitySamples)?))
    });
    assert_eq!(counts.expect("the writer does not wait"), (1, 1));
    assert_eq!(reader.count(Table::EquitySamples).expect("readable"), 2);
}
