//! `seawall bench` runs, says what it says in the promised shape, and leaves nothing behind.

use std::process::Command;

use serde_json::Value;

#[test]
fn quick_writes_rows_of_the_promised_shape_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, json) = (folder.path().join("data"), folder.path().join("bench.json"));
    let run = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["bench", "--quick", "--json"])
        .arg(&json)
        .arg("--data-dir")
        .arg(&data)
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    assert!(!data.exists(), "the data folder was made for the run and stays");
    let printed = String::from_utf8_lossy(&run.stdout);
    let report: Value = serde_json::from_slice(&std::fs::read(&json).expect("the file")).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    for part in ["decision", "sign alone, RSA-2048", "socket, pipelined", "socket, record durable, Ed25519"] {
        assert!(
            rows.iter().any(|row| row["name"].as_str().is_some_and(|name| name.contains(part))),
            "{part}"
        );
        assert!(printed.contains(part), "{printed}");
    }
    for row in rows {
        check(row);
    }
}

/// One row: ordered percentiles, and a verdict exactly where there is a budget.
fn check(row: &Value) {
    let fields: Vec<&str> = row.as_object().expect("an object").keys().map(String::as_str).collect();
    let promised = ["name", "unit", "min", "p50", "p99", "p999", "reference", "ratio", "budget", "met"];
    assert_eq!(fields, promised);
    let times = ["min", "p50", "p99", "p999"].map(|field| row[field].as_f64().expect(field));
    assert!(times[0] > 0.0 && times.is_sorted(), "{row}");
    assert_eq!(row["unit"], "µs");
    assert_eq!(row["reference"].is_null(), row["ratio"].is_null(), "{row}");
    assert_eq!(row["budget"].is_null(), row["met"].is_null(), "{row}");
    let Some(budget) = row["budget"].as_f64() else { return };
    let was = row["ratio"].as_f64().or(row["p50"].as_f64()).expect("a number");
    assert_eq!(row["met"].as_bool(), Some(was <= budget), "{row}");
}
