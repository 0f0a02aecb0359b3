//! Whatever is done to the file, verifying names the first bad row.

use std::fs;
use std::path::Path;

use journal::Folder;
use journal::tables::{Anchor, Chain, Fault, Reader, Tables, TablesError, anchors, verify};
use protocol::tables::{EventId, JournalTable, Table};
use rusqlite::Connection;
use tempfile::tempdir;
use transparency::{Hash, sha256};

use super::{Place, append, at, id, opened, rows, sampled, text, value};
use crate::support::{assert_intact, filled};

/// Everything is in the one file, as after a clean stop.
fn settle(place: &Place) {
    let connection = Connection::open(place.path()).expect("opens");
    connection.execute_batch("PRAGMA journal_mode = DELETE").expect("settles");
}

/// Replaces the one place where `from` stands in the file.
#[track_caller]
fn edit(path: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).expect("the file");
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert_eq!(places.len(), 1, "{from}");
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to.as_bytes());
    fs::write(path, bytes).expect("writable");
}

#[test]
fn an_edit_of_the_raw_file_names_its_row() {
    for (from, to, row) in [
        ("breakout", "breakeot", 1),
        ("patience", "patients", 3),
        ("\"amount\":\"4000\"", "\"amount\":\"9000\"", 4),
        ("0xabc", "0xabd", 6),
        ("3399.5", "3599.5", 9),
        ("\"new_value\":\"2000\"", "\"new_value\":\"1999\"", 11),
        ("3790.25", "3890.25", 14),
    ] {
        let place = Place::filled();
        settle(&place);
        // Nothing need vouch for it: the row contradicts itself.
        assert_eq!(place.verify(&[]).faults, [], "before the edit");
        edit(&place.path(), from, to);
        let report = place.verify(&[]);
        assert_eq!((report.first_bad(), report.rows), (Some(row), row - 1), "{from}: {report:?}");
    }
}

/// Changes the file as somebody would who has read the source: without the triggers, with the hashes
/// made anew from `row` on, and with the triggers put back.
fn forge(place: &Place, row: i64, change: &str) {
    let connection = Connection::open(place.path()).expect("opens");
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").expect("a query");
    let triggers: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows")
        .map(|row| row.expect("a trigger"))
        .collect();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).expect("dropped");
    }
    connection.execute_batch(change).expect("changed");
    let mut statement = connection
        .prepare(
            "SELECT seq, event_id, time_ms, table_name, kind, subject, payload FROM events WHERE seq >= ?1",
        )
        .expect("a query");
    let mut found = statement.query([row]).expect("rows");
    while let Some(columns) = found.next().expect("a row") {
        let seq: i64 = columns.get(0).expect("a number");
        let time: i64 = columns.get(2).expect("a number");
        let previous =
            connection.query_row("SELECT hash FROM events WHERE seq = ?1", [seq - 1], |row| row.get(0));
        let previous: Hash = previous.unwrap_or([0; 32]);
        let mut bytes = b"seawall journal row 1\0".to_vec();
        bytes.extend(seq.to_be_bytes());
        bytes.extend(time.to_be_bytes());
        for column in [1, 3, 4, 5, 6] {
            let text: String = columns.get(column).expect("a text");
            bytes.extend((text.len() as u64).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(previous);
        connection
            .execute(
                "UPDATE events SET previous = ?2, hash = ?3 WHERE seq = ?1",
                (seq, previous, sha256(&bytes)),
            )
            .expect("rechained");
    }
    for (_, sql) in &triggers {
        connection.execute_batch(sql).expect("put back");
    }
}

const LESSON: &str = r#"UPDATE events SET payload = replace(payload, 'patience', 'none') WHERE seq = 3"#;

#[test]
fn rows_written_anew_with_their_hashes_contradict_the_log() {
    let place = Place::filled();
    let (every, sparse) = (place.anchors(1), place.anchors(5));
    forge(&place, 3, LESSON);
    assert_eq!(place.verify(&[]).faults, [], "alone the file is consistent again");
    assert_eq!(place.verify(&[]).unanchored(), 14, "and says that nothing vouches for it");
    assert_eq!(
        place.verify(&every).faults,
        [Fault::Contradicted { from: 3, row: 3, log_sequence: 102 }],
        "a record for every row names the row"
    );
    let report = place.verify(&sparse);
    assert_eq!(report.faults, [Fault::Contradicted { from: 1, row: 5, log_sequence: 104 }]);
    assert_eq!((report.first_bad(), report.anchored), (Some(1), 0));
}

#[test]
fn one_row_written_anew_breaks_the_chain_at_the_next() {
    let place = Place::filled();
    forge(&place, 15, LESSON);
    assert_eq!(place.verify(&[]).first_bad(), Some(3), "its hash was left");
    let place = Place::filled();
    let anchors = place.anchors(1);
    forge(&place, 3, LESSON);
    // The later rows as they were: the file of before for all but row 3.
    let mut chain = Chain::new([]);
    let (forged, honest) = (place, Place::filled());
    let read = |place: &Place, which: &dyn Fn(u64) -> bool, chain: &mut Chain| {
        let reader = Reader::open(&place.path()).expect("readable");
        reader
            .each_event::<TablesError>(1, |row, payload| {
                if which(row.sequence) {
                    chain.push(row.sequence, &row.event_id, row.time, payload, [row.previous, row.hash]);
                }
                Ok(())
            })
            .expect("readable");
    };
    read(&honest, &|row| row < 3, &mut chain);
    read(&forged, &|row| row == 3, &mut chain);
    read(&honest, &|row| row > 3, &mut chain);
    assert_eq!(chain.finish().first_bad(), Some(4), "row 4 does not follow it");
    assert_eq!(anchors.len(), 14);
}

#[test]
fn rows_in_another_order_are_found() {
    let place = Place::filled();
    forge(
        &place,
        15,
        "UPDATE events SET seq = 100 WHERE seq = 7; UPDATE events SET seq = 7 WHERE seq = 8; \
         UPDATE events SET seq = 8 WHERE seq = 100;",
    );
    assert_eq!(place.verify(&[]).first_bad(), Some(7));
    let place = Place::filled();
    forge(&place, 15, "DELETE FROM events WHERE seq = 7");
    let report = place.verify(&[]);
    assert!(
        matches!(&report.faults[..], [Fault::Row { row: 7, what }] if what.contains("missing")),
        "{report:?}"
    );
}

#[test]
fn rows_cut_off_the_end_are_missed_if_the_log_vouches_for_them() {
    let place = Place::filled();
    let every = place.anchors(1);
    forge(&place, 15, "DELETE FROM events WHERE seq > 9");
    let report = place.verify(&every);
    assert_eq!(report.faults, [Fault::Missing { row: 10, vouched: 14, log_sequence: 113 }]);
    let report = place.verify(&every[..9]);
    assert_eq!((report.faults.len(), report.anchored, report.unanchored()), (0, 9, 0));
    // The same if the whole file is gone.
    fs::remove_file(place.path()).expect("removed");
    assert_eq!(place.verify(&every).first_bad(), Some(1));
    assert_eq!(place.verify(&[]).rows, 0);
}

#[test]
fn a_truncated_file_is_damaged_at_every_length() {
    let place = Place::filled();
    settle(&place);
    let anchors = place.anchors(14);
    let bytes = fs::read(place.path()).expect("the file");
    drop(fs::remove_file(format!("{}-wal", place.path().display())));
    for pages in 0..bytes.len() / 4096 {
        for length in [pages * 4096, pages * 4096 + 100, pages * 4096 + 4095] {
            fs::write(place.path(), &bytes[..length]).expect("writable");
            let report = place.verify(&anchors);
            assert!(!report.faults.is_empty(), "{length} of {} bytes: {report:?}", bytes.len());
        }
    }
    fs::write(place.path(), &bytes).expect("writable");
    assert_eq!(place.verify(&anchors).faults, []);
}

#[test]
fn no_byte_of_a_row_can_be_turned() {
    let place = Place::filled();
    settle(&place);
    let anchors = place.anchors(14);
    let bytes = fs::read(place.path()).expect("the file");
    let start = bytes.windows(8).position(|window| window == b"breakout").expect("the first thesis");
    let start = start - 300;
    for at in (start..start + 400).step_by(7) {
        let mut turned = bytes.clone();
        turned[at] ^= 0x04;
        fs::write(place.path(), turned).expect("writable");
        let report = place.verify(&anchors);
        // Free space of a page belongs to no row.
        let same = rows_of(&place).is_some_and(|rows| rows == 14);
        assert!(!report.faults.is_empty() || same && bytes[at] == 0, "byte {at}: {report:?}");
    }
}

fn rows_of(place: &Place) -> Option<u64> {
    verify(&place.path(), []).ok().map(|report| report.rows)
}

#[test]
fn a_changed_schema_is_refused_and_reported() {
    for (change, word) in [
        ("DROP TRIGGER events_no_update", "events_no_update"),
        ("DROP VIEW halt_events", "halt_events"),
        ("DROP VIEW incidents; CREATE VIEW incidents AS SELECT 1 AS seq", "incidents"),
        ("CREATE TRIGGER sly AFTER INSERT ON events BEGIN SELECT 1; END", "sly"),
        ("CREATE TABLE notes (text TEXT)", "notes"),
        ("DROP INDEX anchors_by_seq", "anchors_by_seq"),
        ("PRAGMA user_version = 2", "version"),
    ] {
        let place = Place::filled();
        Connection::open(place.path()).expect("opens").execute_batch(change).expect(change);
        let report = place.verify(&[]);
        assert!(
            matches!(&report.faults[..], [Fault::Schema(what)] if what.contains(word)),
            "{change}: {report:?}"
        );
        assert!(matches!(Reader::open(&place.path()), Err(TablesError::Schema(_))), "{change}");
        assert!(matches!(Tables::open(&place.path()), Err(TablesError::Schema(_))), "{change}");
    }
}

#[test]
fn nothing_is_appended_to_a_last_row_that_was_changed() {
    let place = Place::filled();
    settle(&place);
    edit(&place.path(), "3790.25", "3890.25");
    let opened = Tables::open(&place.path());
    assert!(matches!(opened, Err(TablesError::Damaged { row: 14, .. })), "{opened:?}");
}

#[test]
fn what_the_file_says_of_the_log_is_asked_of_the_log() {
    let place = Place::filled();
    let anchors = place.anchors(7);
    let mut tables = place.open();
    for anchor in &anchors {
        tables.keep_anchor(anchor).expect("its row is there");
    }
    assert_eq!(place.verify(&anchors).faults, []);
    assert_eq!(place.verify(&anchors[..1]).faults, [Fault::Stray { log_sequence: 113, row: 14 }]);
    let mut other = anchors[1];
    other.row.hash[0] ^= 1;
    other.log_sequence += 1;
    let kept = tables.keep_anchor(&other);
    assert!(matches!(kept, Err(TablesError::Damaged { row: 14, .. })), "{kept:?}");
    let after = append(&mut tables, 99, &sampled("main", "1", 0));
    assert!(matches!(after, Err(TablesError::Stopped(_))), "log and file contradict: {after:?}");
    assert_eq!(place.verify(&[anchors[1], other]).first_bad(), Some(14), "two files had one log");
}

#[test]
fn records_of_a_real_log_vouch_for_the_rows() {
    let place = Place::filled();
    let dir = tempdir().expect("dir");
    let (mut log, mut vault) = filled(dir.path(), 20, 0);
    let mut record = |detail: Vec<u8>| {
        let sequence = vault.next;
        let body = vault.body(JournalTable::KIND, &detail);
        log.append_body(sequence, &body, &detail).expect("append");
        vault.sign(&mut log, 1).expect("leaf");
        log.sync().expect("sync");
        log.checkpoint().expect("checkpoint");
    };
    // A note of that kind that names no row vouches for none.
    record(br#"{"kind":"journal_table","text":"all is well"}"#.to_vec());
    let mut vouch = |row| record(serde_json::to_vec(&JournalTable::new(row)).expect("JSON"));
    let folder = Folder::open_read_only(dir.path()).expect("a log");
    assert_eq!(anchors(&folder).expect("readable"), []);
    let mut tables = place.open();
    vouch(tables.reader().head().expect("readable").expect("a row"));
    append(&mut tables, 50, &opened("t-2", None)).expect("goes on");
    assert_intact(dir.path());
    let found = anchors(&folder).expect("readable");
    let report = verify(&place.path(), found.clone()).expect("readable");
    assert_eq!((report.rows, report.anchored, report.unanchored()), (15, 14, 1), "{report:?}");
    assert_eq!((report.vouched_by, report.faults.len()), (Some(21), 0));

    tables.keep_anchor(&found[0]).expect("its row is there");
    let trades = rows(&place.path(), Table::SwingTrades);
    assert_eq!(value(&trades[0], "anchored_by"), &journal::tables::Cell::Integer(21));
    assert_eq!(value(&trades[1], "anchored_by"), &journal::tables::Cell::Null, "not vouched for yet");
    assert_eq!(value(&trades[1], "trade_id"), &text("t-2"));

    vouch(tables.reader().head().expect("readable").expect("a row"));
    let report = verify(&place.path(), anchors(&folder).expect("readable")).expect("readable");
    assert_eq!((report.unanchored(), report.vouched_by), (0, Some(22)));
    let mut wrong = report.head.expect("a row");
    wrong.table = Table::Incidents;
    vouch(wrong);
    assert_eq!(
        verify(&place.path(), anchors(&folder).expect("readable")).expect("readable").first_bad(),
        Some(15)
    );
}

#[test]
fn an_export_is_checked_like_the_file() {
    let place = Place::filled();
    let anchors = place.anchors(14);
    let mut lines: Vec<(u64, EventId, String, [Hash; 2])> = Vec::new();
    Reader::open(&place.path())
        .expect("readable")
        .each_event::<TablesError>(1, |row, payload| {
            lines.push((row.sequence, row.event_id.clone(), payload.to_owned(), [row.previous, row.hash]));
            Ok(())
        })
        .expect("readable");
    let check = |lines: &[(u64, EventId, String, [Hash; 2])], anchors: &[Anchor]| {
        let mut chain = Chain::new(anchors.iter().copied());
        for (sequence, event_id, payload, hashes) in lines {
            chain.push(*sequence, event_id, at(sequence - 1), payload, *hashes);
        }
        chain.finish()
    };
    let report = check(&lines, &anchors);
    assert_eq!((report.rows, report.anchored, report.faults.len()), (14, 14, 0));
    let mut changed = lines.clone();
    changed[4].2 = changed[4].2.replace("wire 7", "wire 8");
    assert_eq!(check(&changed, &anchors).first_bad(), Some(5));
    changed[4].2 = "{}".to_owned();
    assert_eq!(check(&changed, &anchors).first_bad(), Some(5));
    changed = lines.clone();
    changed[0].1 = id("another");
    assert_eq!(check(&changed, &anchors).first_bad(), Some(1));
    assert_eq!(check(&lines[..13], &anchors).first_bad(), Some(14));
    assert_eq!(check(&lines[1..], &anchors).first_bad(), Some(1));
}
