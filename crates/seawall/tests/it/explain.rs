//! `seawall policy explain`: what the vault would decide, without a vault.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// The order of the sign socket's documentation, as a bot writes it.
const ORDER: &str = r#"{"bot":"b","venue":"binance","order":{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.5}}"#;

#[test]
fn half_a_coin_is_exactly_that_and_denied_under_maker_only() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable");
    let seawall = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("--data-dir").arg(folder.path().join("d")).args(words);
        command.output().expect("the binary runs")
    };
    assert!(seawall(&["init", "--preset", "strict", "--venue", "binance"]).status.success());
    assert!(seawall(&["bot", "add", "b", "--venue", "binance", "--account", "main"]).status.success());
    let order = folder.path().join("order.json");
    fs::write(&order, ORDER).expect("the folder is ours");
    let output = seawall(&["policy", "explain", "--json", &order.to_string_lossy()]);
    assert!(!output.status.success(), "a denial is not success");
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(said["approved"], false);
    assert_eq!((&said["trading_state"], &said["trading_state_known"]), (&"active".into(), &false.into()));
    assert!(said["intent"].to_string().contains(r#""0.5""#), "{}", said["intent"]);
    let maker_only = said["findings"].as_array().expect("a list").iter();
    let maker_only = maker_only.filter(|finding| finding["rule"] == "maker_only");
    assert!(
        maker_only.into_iter().any(|finding| finding["verdict"].to_string().contains("maker_only")),
        "{said}"
    );
}
