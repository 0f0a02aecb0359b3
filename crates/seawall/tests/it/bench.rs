//! `seawall bench` runs, says what it says in the promised shape, and leaves nothing behind.

use std::process::Command;

use serde_json::Value;

/// A part of the name of each row that a budget is for.
const BUDGETED: [&str; 24] = [
    "decision, 8 symbols, every rule",
    "sign alone, HMAC-SHA256",
    "sign alone, Ed25519",
    "sign alone, P-256",
    "sign alone, secp256k1",
    "sign alone, RSA-2048",
    "socket, pipelined, HMAC-SHA256",
    "socket, pipelined, Ed25519",
    "socket, pipelined, P-256",
    "socket, record durable, HMAC-SHA256",
    "socket, record durable, Ed25519",
    "socket, record durable, P-256",
    "socket, record durable, HMAC-SHA256, beside OpenBao",
    "socket, record durable, Ed25519, beside OpenBao",
    "socket, record durable, P-256, beside OpenBao",
    "Python, vault pipelined, HMAC-SHA256, beside ccxt",
    "Python, vault pipelined, Ed25519, beside ccxt",
    "Python, vault pipelined, RSA-2048, beside ccxt",
    "added by the gateway, pipelined",
    "added by the gateway, record durable",
    "durable orders, HMAC-SHA256, 64 clients",
    "memory of the whole stack, idle",
    "memory of the vault",
    "log verify",
];

#[test]
fn quick_writes_rows_of_the_promised_shape_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let data = file("data");
    let run = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["bench", "--quick", "--real-time", "--json"])
        .arg(file("bench.json"))
        .arg("--markdown")
        .arg(file("bench.md"))
        .arg("--svg")
        .arg(file("bench.svg"))
        .arg("--data-dir")
        .arg(&data)
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    assert!(!data.exists(), "the data folder was made for the run and stays");
    let printed = String::from_utf8_lossy(&run.stdout);
    let text = |name: &str| std::fs::read_to_string(file(name)).expect(name);
    let report: Value = serde_json::from_str(&text("bench.json")).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    for part in BUDGETED {
        let budgeted = |row: &&Value| {
            row["name"].as_str().is_some_and(|name| name.starts_with(part)) && !row["budget"].is_null()
        };
        assert!(rows.iter().any(|row| budgeted(&row)), "no budget for {part}:\n{printed}");
        assert!(printed.contains(part) && text("bench.md").contains(part), "{part}:\n{printed}");
    }
    for part in
        ["2000/s for", "log prove N", "restart to the first decision", "real-time: ", "raw group commit"]
    {
        assert!(printed.contains(part), "{part}:\n{printed}");
    }
    for row in rows {
        check(row);
    }
    let picture = text("bench.svg");
    assert!(
        picture.ends_with("</svg>\n")
            && picture.contains("2000 orders a second")
            && picture.contains("P-256")
    );
}

/// One row: ordered percentiles where there are any, and a verdict exactly where there are a budget
/// and a figure. What was not measured says why.
fn check(row: &Value) {
    let fields: Vec<&str> = row.as_object().expect("an object").keys().map(String::as_str).collect();
    let promised =
        ["name", "unit", "min", "p50", "p99", "p999", "reference", "ratio", "budget", "met", "note"];
    assert_eq!(fields, promised);
    let Some(p50) = row["p50"].as_f64() else {
        assert!(row["note"].as_str().is_some_and(|why| !why.is_empty()) && row["met"].is_null(), "{row}");
        return;
    };
    let times: Vec<f64> =
        ["min", "p50", "p99", "p999"].iter().filter_map(|field| row[*field].as_f64()).collect();
    assert!(matches!(times.len(), 1 | 4) && times.is_sorted() && p50 >= 0.0, "{row}");
    assert!(["µs", "/s", "MiB", "s"].contains(&row["unit"].as_str().expect("a unit")), "{row}");
    assert_eq!(row["reference"].is_null(), row["ratio"].is_null(), "{row}");
    assert_eq!(row["budget"].is_null(), row["met"].is_null(), "{row}");
    let Some(budget) = row["budget"].as_object() else { return };
    let limit = |kind: &str| budget.get(kind).and_then(Value::as_f64);
    let met = match (limit("ratio"), limit("most"), limit("least")) {
        (Some(most), None, None) => row["ratio"].as_f64().expect("a ratio") <= most,
        (None, Some(most), None) => p50 <= most,
        (None, None, Some(least)) => p50 >= least,
        _ => panic!("{row}"),
    };
    assert_eq!(row["met"].as_bool(), Some(met), "{row}");
}
