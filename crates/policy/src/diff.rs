//! Compares two policies field by field: which change tightens, which loosens.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::Policy;
use crate::fields::{self, Direction, Field};
use crate::value::{Path, Value};

/// One field of two policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where the field stands, names included.
    pub field: String,
    /// What the old policy says; `None` if its bot, account or symbol is new.
    pub old: Option<String>,
    /// What the new policy says; `None` if its bot, account or symbol is gone.
    pub new: Option<String>,
    /// What the change means.
    pub direction: Verdict,
}

/// What a change of one field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Allows less.
    Tighter,
    /// Allows more.
    Looser,
    /// Says the same.
    Equal,
    /// Allows other things: neither more nor less. Treated as looser.
    Changed,
}

/// Whether every change allows less or the same: one person may make it, at once.
#[must_use]
pub fn is_tightening(changes: &[Change]) -> bool {
    changes.iter().all(|change| matches!(change.direction, Verdict::Tighter | Verdict::Equal))
}

impl Policy {
    /// Every field of this policy and of `new`, by path. A bot, account or symbol that goes away
    /// is tighter, a new one looser.
    #[must_use]
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let (old, new) = (self.values(), new.values());
        let mut paths: BTreeMap<&Path, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
        for (path, value) in &old {
            paths.entry(path).or_default().0 = Some(value);
        }
        for (path, value) in &new {
            paths.entry(path).or_default().1 = Some(value);
        }
        paths.into_iter().map(|(path, (old, new))| change(path, old, new)).collect()
    }

    /// Whether `new` allows nothing that this policy does not.
    #[must_use]
    pub fn is_tightening(&self, new: &Self) -> bool {
        is_tightening(&self.diff(new))
    }
}

fn change(path: &Path, old: Option<&Value>, new: Option<&Value>) -> Change {
    let direction = match (old, new) {
        (Some(old), Some(new)) => compare(field_at(path).direction, old, new),
        (Some(_), None) => Verdict::Tighter,
        (None, Some(_)) => Verdict::Looser,
        (None, None) => Verdict::Equal,
    };
    Change {
        field: dotted(path),
        old: old.map(ToString::to_string),
        new: new.map(ToString::to_string),
        direction,
    }
}

fn field_at(path: &Path) -> &'static Field {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["bots", _, name] => fields::find(fields::BOT, name),
        ["accounts", _, name] => fields::find(fields::ACCOUNT, name),
        ["accounts", _, "symbols", _, name] => fields::find(fields::SYMBOL, name),
        [name] => fields::find("", name),
        _ => unreachable!("paths come from Policy::values"),
    }
}

/// A path as it would be written in the file.
pub(crate) fn dotted(path: &[String]) -> String {
    let bare =
        |part: &String| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let parts: Vec<String> =
        path.iter().map(|part| if bare(part) { part.clone() } else { format!("{part:?}") }).collect();
    parts.join(".")
}

/// Less is tighter.
const fn ordered(change: Ordering) -> Verdict {
    match change {
        Ordering::Less => Verdict::Tighter,
        Ordering::Equal => Verdict::Equal,
        Ordering::Greater => Verdict::Looser,
    }
}

fn compare(direction: Direction, old: &Value, new: &Value) -> Verdict {
    if old == new {
        return Verdict::Equal;
    }
    match (direction, old, new) {
        (Direction::Lower, Value::Count(old), Value::Count(new)) => ordered(new.cmp(old)),
        (Direction::Lower, Value::Amount(old), Value::Amount(new)) => ordered(new.cmp(old)),
        (Direction::Higher, Value::Count(old), Value::Count(new)) => ordered(old.cmp(new)),
        (Direction::Subset, Value::Hours(old), Value::Hours(new)) => {
            if new.is_subset(old) {
                Verdict::Tighter
            } else if old.is_subset(new) {
                Verdict::Looser
            } else {
                Verdict::Changed
            }
        }
        (Direction::True, Value::Flag(old), Value::Flag(new)) => ordered(old.cmp(new)),
        (Direction::Subset, Value::Words(old), Value::Words(new)) => {
            if new.is_subset(old) {
                Verdict::Tighter
            } else if old.is_subset(new) {
                Verdict::Looser
            } else {
                Verdict::Changed
            }
        }
        (Direction::Multiple, Value::Amount(old), Value::Amount(new)) => {
            if new.is_multiple_of(*old) == Some(true) {
                Verdict::Tighter
            } else if old.is_multiple_of(*new) == Some(true) {
                Verdict::Looser
            } else {
                Verdict::Changed
            }
        }
        _ => Verdict::Changed,
    }
}
