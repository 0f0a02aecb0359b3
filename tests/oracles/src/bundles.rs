//! The kinds of tampering done to a proof bundle.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use transparency::{Checkpoint, LogKey};

use crate::kinds::{Honest, Seen, flip_last, public, sign, swap_character};

use Seen::{ByAll, ByGo};

pub(crate) struct BundleKind {
    pub(crate) name: &'static str,
    pub(crate) seen: Seen,
    pub(crate) make: fn(&mut Value, &Honest) -> Result<()>,
}

macro_rules! kinds {
    ($($name:literal, $seen:expr, $make:expr;)+) => {
        &[$(BundleKind { name: $name, seen: $seen, make: $make }),+]
    };
}

/// Every kind done to a bundle.
pub(crate) const BUNDLE: &[BundleKind] = kinds! {
    "path: a hash removed", ByAll, |bundle, _| path(bundle, |path| drop(path.pop()));
    "path: a hash added", ByAll, |bundle, _| path(bundle, |path| path.push(json!("00".repeat(32))));
    "path: two hashes exchanged", ByAll, |bundle, _| path(bundle, |path| path.swap(0, 1));
    "path: one bit", ByAll, |bundle, _| hex_bit(&mut bundle["record"]["inclusion"][2], 0);
    "path: another record's", ByAll, other_path;
    "path of the epoch's record: one bit", ByGo('F'), |bundle, _| hex_bit(&mut bundle["epochs"][0]["inclusion"][0], 0);
    "index changed", ByAll, other_index;
    "body: one bit", ByAll, |bundle, _| base64_bit(&mut bundle["record"]["body"]);
    "detail: one bit", ByGo('A'), |bundle, _| base64_bit(&mut bundle["record"]["detail"]);
    "leaf: one bit of the signature", ByAll, |bundle, _| hex_bit(&mut bundle["record"]["leaf"], 40);
    "leaf: one bit of the checksum", ByGo('B'), |bundle, _| hex_bit(&mut bundle["record"]["leaf"], 3);
    "leaf: one bit of the key hash", ByAll, |bundle, _| hex_bit(&mut bundle["record"]["leaf"], 100);
    "checkpoint: size", ByAll, |bundle, _| note(bundle, |lines| lines[1] = "5".to_owned());
    "checkpoint: one bit of the root", ByAll, |bundle, _| note(bundle, |lines| swap_character(&mut lines[2]));
    "checkpoint: one bit of the signature", ByAll, |bundle, _| note(bundle, |lines| swap_character(&mut lines[4]));
    "checkpoint of a fork under the same key", ByAll, forked;
    "epoch's record left out", ByAll, |bundle, _| { bundle["epochs"] = json!([]); Ok(()) };
    "epoch statement: one bit", ByAll, |bundle, _| base64_bit(&mut bundle["epochs"][0]["detail"]);
    "log key and checkpoint replaced", ByAll, other_key;
};

fn path(bundle: &mut Value, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
    change(bundle["record"]["inclusion"].as_array_mut().context("a path")?);
    Ok(())
}

fn hex_bit(place: &mut Value, at: usize) -> Result<()> {
    let mut bytes = hex::decode(place.as_str().context("text")?)?;
    bytes[at] ^= 1;
    *place = json!(hex::encode(bytes));
    Ok(())
}

fn base64_bit(place: &mut Value) -> Result<()> {
    let mut bytes = BASE64_STANDARD.decode(place.as_str().context("text")?)?;
    flip_last(&mut bytes);
    *place = json!(BASE64_STANDARD.encode(bytes));
    Ok(())
}

fn note(bundle: &mut Value, change: impl FnOnce(&mut Vec<String>)) -> Result<()> {
    let text = bundle["checkpoint"].as_str().context("text")?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    bundle["checkpoint"] = json!(lines.join("\n") + "\n");
    Ok(())
}

fn other_path(bundle: &mut Value, _: &Honest) -> Result<()> {
    bundle["record"]["inclusion"] = bundle["epochs"][0]["inclusion"].clone();
    Ok(())
}

fn other_index(bundle: &mut Value, honest: &Honest) -> Result<()> {
    bundle["record"]["index"] = json!(honest.target + 1);
    Ok(())
}

fn forked(bundle: &mut Value, honest: &Honest) -> Result<()> {
    bundle["checkpoint"] = json!(std::fs::read_to_string(honest.fork.join("checkpoint"))?);
    Ok(())
}

fn other_key(bundle: &mut Value, honest: &Honest) -> Result<()> {
    let (real, other) = (LogKey::new(public(&honest.log_key)), LogKey::new(public(&honest.stranger)));
    let (mut checkpoint, _) = Checkpoint::open(bundle["checkpoint"].as_str().context("text")?, &real)?;
    checkpoint.origin = other.origin().to_owned();
    let Ok(note) = checkpoint.sign(&other, |text| sign(&honest.stranger, text));
    bundle["checkpoint"] = json!(note);
    bundle["log_key"] = json!(other.to_string());
    Ok(())
}
