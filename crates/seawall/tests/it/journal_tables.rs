//! `seawall journal` on tables and a log in files.

use journal::tables::Tables;
use journal::{Folder, Log};
use protocol::tables::{EventId, JournalTable, TableEvent};
use serde_json::Value;
use trading::Timestamp;

use crate::log_support::{Vault, filled};
use crate::support::{Installation, copy};

/// A thesis as a bot might write it.
const THESIS: &str = "=HYPERLINK(\"http://x\",\"y\")\nsecond line, with 'quotes'";

fn event(value: Value) -> TableEvent {
    serde_json::from_value(value).expect("an event")
}

/// Appends events with an id and a minute of their own each.
fn append(installation: &Installation, events: impl IntoIterator<Item = Value>) {
    let mut tables = Tables::open(&installation.path("journal.sqlite")).expect("opens");
    let first = tables.reader().head().expect("readable").map_or(0, |head| head.row);
    for (number, value) in (first..).zip(events) {
        let id = EventId::new(format!("e{number}")).expect("an id");
        let time = Timestamp::from_ms(1_700_000_000_000 + number * 60_000);
        tables.append(&id, time, &event(value)).expect("it follows");
    }
}

fn opened(trade: &str, thesis: Option<&str>) -> Value {
    let mut event = serde_json::json!({
        "event": "trade_opened", "trade_id": trade, "account": "main", "pair": "bybit:linear:BTCUSDT",
        "side": "buy", "quantity": "0.5", "entry": "60000"
    });
    if let Some(thesis) = thesis {
        event["thesis"] = thesis.into();
    }
    event
}

fn closed(trade: &str) -> Value {
    serde_json::json!({ "event": "trade_closed", "trade_id": trade, "exit": "61000" })
}

fn sampled(account: &str, equity: &str) -> Value {
    serde_json::json!({
        "event": "equity_sampled", "account": account, "unit_value": 1_000_000_000, "equity": equity, "rung": 0,
        "levels": ["3800", "3680", "3400", "3280"]
    })
}

fn halted(halt: &str) -> Value {
    serde_json::json!({
        "event": "halt_started", "halt_id": halt, "reason": "rung 3", "trigger_value": "-15.01", "rung": 3
    })
}

/// Has a record of the log vouch for the last row, as the vault would.
fn vouch(installation: &Installation, log: &mut Log, vault: &mut Vault) {
    let mut tables = Tables::open(&installation.path("journal.sqlite")).expect("opens");
    let head = tables.reader().head().expect("readable").expect("a row");
    let sequence = vault.next;
    let detail = serde_json::to_vec(&JournalTable::new(head)).expect("JSON");
    let body = vault.body(JournalTable::KIND, &detail);
    log.append_body(sequence, &body, &detail).expect("append");
    vault.sign(log, 10).expect("leaves");
    log.sync().expect("sync");
    log.checkpoint().expect("checkpoint");
    let folder = Folder::open_read_only(&installation.path("log")).expect("a log");
    for anchor in journal::tables::anchors(&folder).expect("readable") {
        tables.keep_anchor(&anchor).expect("its row is there");
    }
}

fn code(installation: &Installation, arguments: &[&str]) -> Option<i32> {
    installation.run(arguments).status.code()
}

#[test]
fn tables_are_shown_to_people_and_programs() {
    let installation = Installation::new();
    assert!(installation.fails(&["journal", "show"]).contains("no journal"), "and none is made");
    assert!(!installation.path("journal.sqlite").exists());
    append(
        &installation,
        [
            opened("t-1", Some(THESIS)),
            closed("t-1"),
            opened("t-2", None),
            halted("h-1"),
            sampled("main", "4000.5"),
        ],
    );

    let said = installation.ok(&["journal", "show"]);
    for part in [
        "events             5",
        "swing_trades       2",
        "no thesis          1 trades",
        "halt h-1 of every account: rung 3",
        "lesson overdue: trade t-1 on main",
        "equity of main: 4000.5, rung 0",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let summary = installation.json(&["journal", "show", "--json"]);
    assert_eq!((&summary["events"], &summary["anchored"]), (&5.into(), &0.into()));
    assert_eq!(summary["unresolved_halts"][0]["event"]["trigger_value"], "-15.01");
    assert_eq!(summary["lessons_overdue"][0]["trade_id"], "t-1");

    let said = installation.ok(&["journal", "show", "swing_trades"]);
    assert_eq!(said.lines().count(), 3, "a line each: {said}");
    assert!(said.lines().nth(1).expect("a row").starts_with("t-1"), "{said}");
    let rows = installation.ok(&["journal", "show", "swing_trades", "--json"]);
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows[0]["thesis"], THESIS);
    assert_eq!(rows[0]["entered_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!((&rows[1]["thesis"], &rows[1]["exit"]), (&Value::Null, &Value::Null));
    let latest = installation.json(&["journal", "show", "swing_trades", "--json", "-n", "1"]);
    assert_eq!(latest["trade_id"], "t-2");
    let since = ["journal", "show", "swing_trades", "--json", "--since", "2023-11-14T22:14:21Z"];
    assert_eq!(installation.json(&since)["trade_id"], "t-2");
    assert_eq!(installation.ok(&["journal", "show", "swing_trades", "--since", "1d"]), "no rows\n");
    assert_eq!(code(&installation, &["journal", "show", "events"]), Some(2), "only the views");
}

#[test]
fn a_table_survives_csv_and_starts_no_formula() {
    let installation = Installation::new();
    append(
        &installation,
        [opened("t-1", Some(THESIS)), closed("t-1"), opened("t-2", Some("plain")), halted("h-1")],
    );
    let file = installation.path("out.csv").display().to_string();
    for (table, rows) in [("swing_trades", 2), ("halt_events", 1)] {
        installation.ok(&["journal", "export", table, "--format", "csv", "--out", &file]);
        let shown = installation.ok(&["journal", "show", table, "--json"]);
        let shown: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let mut reader = csv::Reader::from_path(&file).expect("a file");
        let names = reader.headers().expect("names").clone();
        let mut found = 0;
        for (record, shown) in reader.records().map(|record| record.expect("a row")).zip(&shown) {
            found += 1;
            for (name, cell) in names.iter().zip(&record) {
                let is_number = cell.parse::<trading::Decimal>().is_ok();
                assert!(is_number || !cell.starts_with(['=', '+', '-', '@']), "{name}: {cell}");
                let cell = cell.strip_prefix('\'').unwrap_or(cell);
                let expected = match &shown[name] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(cell, expected, "{table}.{name}");
            }
        }
        assert_eq!(found, rows);
    }
    let halts = installation.ok(&["journal", "export", "halt_events", "--format", "csv", "--out", "-"]);
    assert!(halts.starts_with("reason,trigger_value,resolved_at,"), "{halts}");
    assert!(halts.contains(",-15.01,"), "a number stays one: {halts}");
    let json: Value = installation.json(&["journal", "export", "swing_trades", "--out", "-"]);
    assert_eq!(json[0]["thesis"], THESIS);
    let none: Value = installation.json(&["journal", "export", "incidents", "--out", "-"]);
    assert_eq!(none, Value::Array(Vec::new()));
    let events = installation.ok(&["journal", "export", "--format", "csv", "--out", "-"]);
    assert_eq!(csv::Reader::from_reader(events.as_bytes()).records().count(), 4);
}

#[test]
fn an_export_is_verified_on_a_machine_that_never_saw_the_log() {
    let installation = Installation::new();
    let (mut log, mut vault) = filled(&installation.path("log"), 20, 0);
    append(&installation, [opened("t-1", Some(THESIS)), halted("h-1"), sampled("main", "4000")]);
    assert_eq!(code(&installation, &["journal", "verify"]), Some(3), "nothing vouches for it yet");
    vouch(&installation, &mut log, &mut vault);
    let said = installation.json(&["journal", "verify", "--json"]);
    assert_eq!((&said["verified"], &said["anchored_by"]), (&true.into(), &20.into()), "{said}");
    assert_eq!(installation.json(&["journal", "show", "--json"])["anchored"], 3);

    let elsewhere = Installation::new();
    let file = elsewhere.path("export.json").display().to_string();
    installation.ok(&["journal", "export", "--out", &file]);
    let key = installation.text("log/log.pub");
    let verify = ["journal", "verify", "--export", &file, "--key", key.trim()];
    let said = elsewhere.ok(&verify);
    assert!(said.contains("rows 1 to 3 by record 20") && said.contains("verified"), "{said}");
    let other = "seawall.test+12345678+AQ";
    assert_ne!(code(&elsewhere, &["journal", "verify", "--export", &file, "--key", other]), Some(0));

    let honest = elsewhere.text("export.json");
    for (from, to, word) in [
        ("second line", "second time", "row 1 was changed"),
        ("\\\"h-1\\\"", "\\\"h-2\\\"", "row 2 was changed"),
        ("\"seq\":3", "\"seq\":4", "row 3 is missing"),
        ("\"time_ms\":17000000", "\"time_ms\":17000001", "row 1 was changed"),
    ] {
        let changed = honest.replacen(from, to, 1);
        assert_ne!(changed, honest, "{from}");
        std::fs::write(&file, changed).expect("writable");
        let said = elsewhere.fails(&verify);
        assert!(said.contains(word), "{from}: {said}");
    }
    let cut = honest.rfind(",\n").expect("a last row");
    std::fs::write(&file, format!("{}\n]}}", &honest[..cut])).expect("writable");
    assert!(elsewhere.fails(&verify).contains("row 3 is missing"));
    // A row more than the proof covers.
    append(&installation, [halted("h-2")]);
    assert_eq!(code(&installation, &["journal", "verify"]), Some(3));
    installation.ok(&["journal", "export", "--out", &file]);
    assert_eq!(code(&elsewhere, &verify), Some(3));
}

#[test]
fn a_tampered_file_is_refused_with_its_row() {
    let installation = Installation::new();
    let (mut log, mut vault) = filled(&installation.path("log"), 10, 0);
    append(&installation, [opened("t-1", Some("breakout")), halted("h-1")]);
    vouch(&installation, &mut log, &mut vault);
    drop((log, vault));
    let path = installation.path("journal.sqlite");
    let elsewhere = Installation::new();
    copy(&installation.path("."), &elsewhere.path("."));
    let bytes = std::fs::read(&path).expect("the file");
    let place = bytes.windows(8).position(|window| window == b"breakout").expect("the thesis");
    let mut changed = bytes.clone();
    changed[place] = b'B';
    std::fs::write(&path, changed).expect("writable");
    let said = installation.fails(&["journal", "verify"]);
    assert!(said.contains("NOT verified: row 1 was changed"), "{said}");
    // The file is gone, and the log remembers.
    std::fs::remove_file(&path).expect("removed");
    let said = installation.fails(&["journal", "verify"]);
    assert!(said.contains("row 1 is missing") && said.contains("up to 2"), "{said}");
    elsewhere.ok(&["journal", "verify"]);
}

#[test]
fn equity_is_drawn_as_svg_and_as_png() {
    let installation = Installation::new();
    append(&installation, [halted("h-1")]);
    let path = |name: &str| installation.path(name).display().to_string();
    assert!(installation.fails(&["journal", "plot", "--out", &path("a.svg")]).contains("no equity samples"));
    append(
        &installation,
        (0..300).map(|turn| {
            sampled(if turn % 3 == 0 { "second" } else { "main" }, &format!("{}.5", 4000 - turn * 7 % 450))
        }),
    );
    installation.ok(&["journal", "plot", "--out", &path("a.svg")]);
    let text = installation.text("a.svg");
    let document = roxmltree::Document::parse(&text).expect("XML");
    let drawn = |class: &str| {
        document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "path")))
            .filter(|node| node.attribute("class") == Some(class))
            .count()
    };
    assert_eq!(["equity", "rung1", "rung2", "rung3", "rung4"].map(drawn), [2; 5], "two accounts");
    assert!(text.contains("main: ") && text.contains("second: "));

    installation.ok(&["journal", "plot", "--account", "second", "--out", &path("a.png")]);
    let picture = std::fs::read(path("a.png")).expect("a file");
    assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(&picture[16..24], [1920_u32.to_be_bytes(), 620_u32.to_be_bytes()].concat());
    for (name, word) in [("a.jpg", "neither"), ("none/a.svg", "cannot write")] {
        assert!(installation.fails(&["journal", "plot", "--out", &path(name)]).contains(word), "{name}");
    }
    let said = installation.fails(&["journal", "plot", "--account", "third", "--out", &path("b.svg")]);
    assert!(said.contains("no equity samples") && !installation.path("b.svg").exists(), "{said}");
}
