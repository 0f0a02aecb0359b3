//! Where damaged inputs start from: the published and captured requests that the venues' own tests
//! use, and the committed files in `fuzz/corpus/TARGET/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::targets::requests::NOW;

/// The folder of this package.
pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The committed inputs of `target`, by name.
pub(crate) fn committed(target: &str) -> Result<Vec<Vec<u8>>> {
    let folder = here().join("corpus").join(target);
    let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?,
        Err(_) => Vec::new(),
    };
    files.sort();
    files.iter().map(|path| fs::read(path).with_context(|| path.display().to_string())).collect()
}

fn vectors(file: &str) -> Value {
    let path = here().join("../crates/venue/tests/vectors").join(file);
    let text = fs::read_to_string(&path).expect("the vectors are in the repository");
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// Requests over HTTP to `venue`, in the form that [`crate::targets::requests`] reads.
pub(crate) fn http(venue: &str) -> Vec<Vec<u8>> {
    let own = |vector: &&Value| vector["venue"] == venue;
    let published = vectors(&format!("{venue}.json"));
    let captured = vectors("wire.json");
    let published = list(&published, "vectors").filter(own).map(|vector| &vector["expected"]);
    let captured = list(&captured, "requests").filter(own).map(|vector| &vector["request"]);
    published.chain(captured).filter_map(http_text).map(timely).collect()
}

/// Puts the vault's own time where a request has the time it was captured at (milliseconds).
fn timely(mut text: Vec<u8>) -> Vec<u8> {
    const DIGITS: usize = 13;
    let now = NOW.as_ms().to_string();
    let mut at = 0;
    while at + DIGITS <= text.len() {
        let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == DIGITS && text[at..].starts_with(b"17") {
            text[at..at + DIGITS].copy_from_slice(now.as_bytes());
        }
        at += digits.max(1);
    }
    text
}

fn http_text(request: &Value) -> Option<Vec<u8>> {
    let target = match (request["target"].as_str(), request["url"].as_str()) {
        (Some(target), _) => target,
        (None, Some(url)) => &url[url.find("://")? + 3..][url[url.find("://")? + 3..].find('/')?..],
        (None, None) => return None,
    };
    let mut text = format!("{} {target}\n", request["method"].as_str()?);
    let mut header = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\n"));
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        header(name, value.as_str()?);
    }
    for pair in request["headers"].as_array().into_iter().flatten() {
        header(pair[0].as_str()?, pair[1].as_str()?);
    }
    text.push('\n');
    text.push_str(request["body"].as_str().unwrap_or_default());
    Some(text.into_bytes())
}

/// Frames of `venue`'s streams: the path they go to, a line feed, the text.
pub(crate) fn frames(venue: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if venue == "binance" {
        for frame in list(&vectors("frames.json"), "frames") {
            let path = if frame["surface"] == "usdm" { "/ws-fapi/v1" } else { "/ws-api/v3" };
            found.push(format!("{path}\n{}", frame["frame"].as_str().unwrap_or_default()).into_bytes());
        }
    }
    let published = vectors(&format!("{venue}.json"));
    for vector in list(&published, "vectors") {
        let message = &vector["expected"]["ws_message"];
        if message.is_object() {
            found.push(format!("/v5/private\n{message}").into_bytes());
            found.push(format!("/v5/trade\n{message}").into_bytes());
        }
    }
    found.into_iter().map(timely).collect()
}
