//! Nothing is changed or taken away, by whatever connection; nothing is written twice.

use std::os::unix::fs::PermissionsExt as _;

use journal::tables::{Refusal, Tables, TablesError};
use protocol::tables::Table;
use rusqlite::Connection;

use super::{Place, append, at, closed, id, one_of_each, opened, sampled};

/// What another program of the same user would open.
fn second(place: &Place) -> Connection {
    Connection::open(place.path()).expect("opens")
}

#[track_caller]
fn fails(connection: &Connection, sql: &str, word: &str) {
    let problem = connection.execute_batch(sql).expect_err(sql).to_string();
    assert!(problem.contains(word), "{sql}: {problem}");
}

#[test]
fn no_connection_updates_deletes_or_replaces_a_row() {
    let place = Place::filled();
    let before = place.verify(&place.anchors(1));
    assert_eq!((before.rows, before.anchored, before.faults.len()), (14, 14, 0));
    for recursive in ["off", "on"] {
        let connection = second(&place);
        connection.execute_batch(&format!("PRAGMA recursive_triggers = {recursive}")).expect("a pragma");
        for table in Table::ALL {
            let only = format!("WHERE table_name = '{table}'");
            fails(&connection, &format!("UPDATE events SET payload = '{{}}' {only}"), "append-only");
            fails(&connection, &format!("UPDATE OR REPLACE events SET seq = 1 {only}"), "append-only");
            fails(&connection, &format!("UPDATE OR IGNORE events SET time_ms = 0 {only}"), "append-only");
            fails(&connection, &format!("DELETE FROM events {only}"), "append-only");
            for verb in ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT"] {
                fails(&connection, &format!("{verb} INTO events SELECT * FROM events {only}"), "append-only");
            }
            let copy = "seq, event_id || 'x', time_ms, table_name, kind, subject, payload, previous, hash";
            fails(
                &connection,
                &format!("REPLACE INTO events SELECT {copy} FROM events {only}"),
                "append-only",
            );
            let upsert = format!(
                "INSERT INTO events SELECT * FROM events {only} ON CONFLICT DO UPDATE SET time_ms = 0"
            );
            fails(&connection, &upsert, "append-only");
            // The views by their own names.
            fails(&connection, &format!("UPDATE {table} SET seq = 1"), "view");
            fails(&connection, &format!("DELETE FROM {table}"), "view");
            fails(&connection, &format!("REPLACE INTO {table} (seq) VALUES (1)"), "view");
        }
        fails(&connection, "DELETE FROM events", "append-only");
    }
    // A row that continues the chain and would push an old one out by its other unique columns.
    let connection = second(&place);
    for columns in ["'event-3', previous, randomblob(32)", "'new', previous, old.hash"] {
        let columns = columns.replace("previous", "last.hash");
        let (event_id, hashes) = columns.split_once(", ").expect("three columns");
        let row = format!(
            "REPLACE INTO events SELECT 15, {event_id}, 0, old.table_name, old.kind, old.subject, old.payload, {hashes} \
             FROM events AS old, events AS last WHERE old.seq = 4 AND last.seq = 14"
        );
        fails(&connection, &row, "there already");
    }
    assert_eq!(place.verify(&place.anchors(1)), before);
}

#[test]
fn anchors_are_append_only_too() {
    let place = Place::filled();
    let anchors = place.anchors(7);
    let mut tables = place.open();
    for anchor in &anchors {
        tables.keep_anchor(anchor).expect("its row is there");
        tables.keep_anchor(anchor).expect("told twice");
    }
    assert_eq!(tables.reader().last_anchored().expect("readable"), Some((14, 113)));
    drop(tables);
    let connection = second(&place);
    fails(&connection, "UPDATE anchors SET seq = 1", "append-only");
    fails(&connection, "DELETE FROM anchors", "append-only");
    fails(&connection, "REPLACE INTO anchors SELECT * FROM anchors", "append-only");
    fails(&connection, "INSERT INTO anchors VALUES (900, 15, zeroblob(32))", "append-only");
    assert_eq!(place.verify(&anchors).faults, []);
}

#[test]
fn a_row_that_does_not_continue_the_chain_is_not_taken() {
    let place = Place::filled();
    let connection = second(&place);
    let row = |seq: &str, previous: &str| {
        format!(
            "INSERT INTO events SELECT {seq}, 'other', time_ms, table_name, kind, subject, payload, {previous}, \
             randomblob(32) FROM events WHERE seq = 14"
        )
    };
    fails(&connection, &row("NULL", "hash"), "follow");
    fails(&connection, &row("16", "hash"), "follow");
    fails(&connection, &row("0", "hash"), "follow");
    fails(&connection, &row("15", "zeroblob(32)"), "follow");
    fails(&connection, &row("15", "x'00'"), "follow");
    // What follows may be inserted by whoever may write the file, and is found by its hash.
    connection.execute_batch(&row("15", "hash")).expect("it follows");
    assert_eq!(place.verify(&[]).first_bad(), Some(15));
}

#[test]
fn what_is_no_event_breaks_a_constraint() {
    let place = Place::filled();
    let connection = second(&place);
    let insert = |columns: [&str; 5]| {
        let [event_id, table, kind, payload, hash] = columns;
        format!(
            "INSERT INTO events SELECT 15, {event_id}, 5, {table}, {kind}, 'x', {payload}, hash, {hash} \
             FROM events WHERE seq = 14"
        )
    };
    let good = ["'e'", "'halt_events'", "'halt_started'", "'{\"event\":\"halt_started\"}'", "randomblob(32)"];
    for (column, bad) in [
        (0, "''"),
        (0, "NULL"),
        (0, "x'61'"),
        (1, "'incidents'"),
        (1, "'events'"),
        (2, "'halt_resolved'"),
        (3, "'{'"),
        (3, "'{\"event\":\"halt_started\",\"x\":\"' || hex(zeroblob(16384)) || '\"}'"),
        (4, "randomblob(31)"),
        (4, "'text'"),
    ] {
        let mut columns = good;
        columns[column] = bad;
        let problem = connection.execute_batch(&insert(columns)).expect_err(bad).to_string();
        assert!(problem.contains("constraint") || problem.contains("cannot store"), "{bad}: {problem}");
    }
    connection.execute_batch(&insert(good)).expect("only the bad columns were at fault");
}

#[test]
fn one_process_writes_and_others_do_not_read_along() {
    let place = Place::new();
    let mut tables = place.open();
    assert!(matches!(Tables::open(&place.path()), Err(TablesError::InUse { .. })));
    append(&mut tables, 0, &opened("t", None)).expect("the first");
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = format!("{}{suffix}", place.path().display());
        let mode = std::fs::metadata(&path).expect(&path).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
    drop(tables);
    drop(place.open());
}

#[test]
fn a_retry_is_found_and_not_doubled() {
    let place = Place::new();
    let mut tables = place.open();
    let first = tables.append(&id("a"), at(0), &opened("t", Some("why"))).expect("the first");
    assert!(first.is_new);
    // The writer crashed, and does not know whether its event arrived.
    drop(tables);
    let mut tables = place.open();
    let again = tables.append(&id("a"), at(5000), &opened("t", Some("why"))).expect("the same");
    assert_eq!((again.is_new, &again.row), (false, &first.row), "with the time it had");
    let other = tables.append(&id("a"), at(0), &opened("t", Some("because")));
    let Err(TablesError::Refused(Refusal::IdReused { row: 1, .. })) = other else { panic!("{other:?}") };
    let twice = tables.append(&id("b"), at(0), &opened("t", Some("why")));
    let Err(TablesError::Refused(Refusal::Already { .. })) = twice else { panic!("{twice:?}") };
    assert_eq!(place.verify(&[]).rows, 1);
}

#[test]
fn a_refusal_leaves_the_tables_open() {
    let place = Place::new();
    let mut tables = place.open();
    for (number, event) in [closed("nobody", None), super::event(
        r#"{"event":"equity_sampled","account":"main","unit_value":9223372036854775808,"equity":"1","rung":0}"#,
    )].iter().enumerate() {
        let outcome = append(&mut tables, number, event);
        assert!(matches!(outcome, Err(TablesError::Refused(_))), "{outcome:?}");
    }
    assert_eq!(append(&mut tables, 9, &sampled("main", "1", 0)).expect("goes on"), 1);
}

#[test]
fn every_acknowledged_row_is_in_the_files_at_that_moment() {
    let place = Place::new();
    let mut tables = place.open();
    for (number, event) in one_of_each().iter().enumerate() {
        append(&mut tables, number, event).expect("it follows");
        // What a crash leaves: the files as they are, nothing closed.
        let left = tempfile::tempdir().expect("a folder");
        for suffix in ["", "-wal"] {
            let name = format!("journal.sqlite{suffix}");
            std::fs::copy(format!("{}{suffix}", place.path().display()), left.path().join(name))
                .expect("a copy");
        }
        let mut after = Tables::open(&left.path().join("journal.sqlite")).expect("opens after the crash");
        let done = after.append(&id(&format!("event-{number}")), at(0), event).expect("a retry");
        assert_eq!((done.is_new, done.row.sequence), (false, u64::try_from(number).expect("few") + 1));
    }
}
