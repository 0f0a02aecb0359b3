//! What is told: an alert, its identity, and the text people read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trading::Timestamp;

/// Longest title, in bytes.
pub const MAX_TITLE: usize = 160;
/// Longest text, in bytes.
pub const MAX_TEXT: usize = 2_000;
/// Longest account name, in bytes.
pub const MAX_ACCOUNT: usize = 64;
/// Most numbers of an alert.
pub const MAX_NUMBERS: usize = 16;
/// Longest name or value of a number, in bytes.
pub const MAX_NUMBER: usize = 48;
/// Longest id that a caller may choose, in bytes. Ids made here add a suffix.
pub const MAX_ID: usize = 96;
/// Longest id in a file.
const MAX_STORED_ID: usize = 128;
/// Rung of the ladder from which two channels must have taken an alert.
pub const URGENT_RUNG: u8 = 3;

/// Names an alert for ever: what is raised twice under one id is told once.
///
/// Of ASCII letters, digits and `-_:` only, since it travels in headers. No full stop: Standard Webhooks puts
/// one after it in what is signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AlertId(String);

/// A text that is no [`AlertId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an alert's id has 1 to {MAX_ID} of the characters A-Z a-z 0-9 - _ :")]
pub struct AlertIdError;

impl AlertId {
    /// Checks `id`.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than [`MAX_ID`] or has other characters.
    pub fn new(id: impl Into<String>) -> Result<Self, AlertIdError> {
        Self::bounded(id.into(), MAX_ID)
    }

    /// An id made here of one given by a caller.
    pub(crate) fn derived(&self, suffix: &str) -> Self {
        Self(format!("{}:{suffix}", self.0))
    }

    /// An id of alerts about alerting.
    pub(crate) fn own(what: &str, now: Timestamp) -> Self {
        Self(format!("alerts:{what}:{}", now.as_ms()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn bounded(id: String, limit: usize) -> Result<Self, AlertIdError> {
        let fits = (1..=limit).contains(&id.len());
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte));
        if fits && plain { Ok(Self(id)) } else { Err(AlertIdError) }
    }
}

impl TryFrom<String> for AlertId {
    type Error = AlertIdError;

    fn try_from(id: String) -> Result<Self, AlertIdError> {
        Self::bounded(id, MAX_STORED_ID)
    }
}

impl From<AlertId> for String {
    fn from(id: AlertId) -> Self {
        id.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How bad it is. Later variants are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Somebody must look at it now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// One thing that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its identity.
    pub id: AlertId,
    /// When it happened.
    pub at: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// The rung of the drawdown ladder it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<u8>,
    /// The account it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// One line.
    pub title: String,
    /// A few lines; may be empty.
    pub text: String,
    /// Facts by name, exact as text: no amount passes a float.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, String>,
    /// Whether somebody must acknowledge it; if nobody does, it is told again to every channel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
}

impl Alert {
    /// An alert without rung, account, text and numbers; the other fields are set on the value.
    #[must_use]
    pub fn new(id: AlertId, at: Timestamp, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            id,
            at,
            severity,
            rung: None,
            account: None,
            title: title.into(),
            text: String::new(),
            numbers: BTreeMap::new(),
            review: false,
        }
    }

    /// Whether two channels must have taken it: critical, or rung [`URGENT_RUNG`] and up.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.severity == Severity::Critical || self.rung.is_some_and(|rung| rung >= URGENT_RUNG)
    }

    /// The same alert within all limits: what is too long is cut with `…`, and characters that
    /// would break a line, a terminal or the direction of reading are gone.
    ///
    /// Cut, not refused: a long alert is better than none.
    #[must_use]
    pub fn within_limits(self) -> Self {
        let number = |text: &str| one_line(text, MAX_NUMBER);
        Self {
            title: one_line(&self.title, MAX_TITLE),
            text: cut(&clean(&self.text, |c| c == '\n'), MAX_TEXT),
            account: self.account.map(|account| one_line(&account, MAX_ACCOUNT)),
            numbers: self
                .numbers
                .iter()
                .take(MAX_NUMBERS)
                .map(|(name, value)| (number(name), number(value)))
                .collect(),
            ..self
        }
    }

    /// The alert as people read it: plain text of a few lines, the title first.
    #[must_use]
    pub fn to_plain_text(&self, count: u32) -> String {
        let mut lines = vec![format!("[{}] {}", self.severity, self.title)];
        if !self.text.is_empty() {
            lines.push(self.text.clone());
        }
        lines.push(String::new());
        if let Some(account) = &self.account {
            lines.push(format!("account: {account}"));
        }
        if let Some(rung) = self.rung {
            lines.push(format!("rung: {rung}"));
        }
        lines.extend(self.numbers.iter().map(|(name, value)| format!("{name}: {value}")));
        if count > 1 {
            lines.push(format!("times: {count}"));
        }
        lines.push(format!("at: {}", self.at));
        lines.push(format!("id: {}", self.id));
        if self.review {
            lines.push(format!("Please acknowledge {}.", self.id));
        }
        lines.join("\n")
    }
}

fn one_line(text: &str, limit: usize) -> String {
    cut(clean(text, |_| false).trim(), limit)
}

/// Replaces control characters by spaces, `kept` ones apart, and drops what turns or hides text.
fn clean(text: &str, kept: impl Fn(char) -> bool) -> String {
    text.chars()
        .filter(|c| !hides_text(*c))
        .map(|c| {
            let breaks = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            if breaks && !kept(c) { ' ' } else { c }
        })
        .collect()
}

/// Marks of direction and characters without width (Unicode Standard Annex #9, §2; "Trojan Source").
const fn hides_text(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// At most `limit` bytes of `text`, ending in `…` if something is missing.
fn cut(text: &str, limit: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len()));
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(title: &str) -> Alert {
        let id = AlertId::new("a").expect("an id");
        Alert::new(id, Timestamp::from_ms(0), Severity::Info, title)
    }

    #[test]
    fn an_id_is_plain_and_short() {
        for id in ["a", "halt-bot1:42_x", &"x".repeat(MAX_ID)] {
            assert_eq!(AlertId::new(id).expect("an id").as_str(), id);
        }
        for id in ["", "a b", "a.b", "a\r\nb", "ü", "<a>", &"x".repeat(MAX_ID + 1)] {
            assert_eq!(AlertId::new(id), Err(AlertIdError), "{id:?}");
        }
    }

    #[test]
    fn rung_three_is_urgent_and_rung_two_is_not() {
        let at = |severity, rung| Alert { severity, rung, ..alert("t") }.is_urgent();
        assert!(at(Severity::Info, Some(3)) && at(Severity::Warning, Some(u8::MAX)));
        assert!(!at(Severity::Info, Some(2)) && !at(Severity::Warning, None));
        assert!(at(Severity::Critical, None) && at(Severity::Critical, Some(0)));
    }

    #[test]
    fn a_title_is_one_line_of_plain_text() {
        let check = |title: &str, expected: &str| assert_eq!(alert(title).within_limits().title, expected);
        check(" a\r\nBcc: b\0 ", "a  Bcc: b");
        check("a\u{202e}b\u{200b}c\u{2028}d", "abc d");
        check("日本 ü", "日本 ü");
    }

    #[test]
    fn limits_are_exact_and_cut_between_characters() {
        let title = |text: String| alert(&text).within_limits().title;
        assert_eq!(title("x".repeat(MAX_TITLE)), "x".repeat(MAX_TITLE));
        assert_eq!(title("x".repeat(MAX_TITLE + 1)), format!("{}…", "x".repeat(MAX_TITLE - 3)));
        let cut = title("ü".repeat(MAX_TITLE));
        assert!(cut.len() <= MAX_TITLE && cut.ends_with("ü…"), "{cut}");
        let numbers = (0..100).map(|n| (format!("{n:0100}"), "9".repeat(100))).collect();
        let alert = Alert { numbers, text: "y\u{1b}[2J\nz".repeat(1000), ..alert("") }.within_limits();
        assert!(alert.numbers.len() <= MAX_NUMBERS && alert.text.len() <= MAX_TEXT);
        assert!(alert.text.starts_with("y [2J\nz"), "{}", alert.text);
        assert_eq!(alert.clone().within_limits(), alert, "limits hold already");
    }

    #[test]
    fn people_read_the_title_first_and_every_fact() {
        let alert = Alert {
            severity: Severity::Critical,
            rung: Some(3),
            account: Some("main".into()),
            text: "halted".into(),
            numbers: BTreeMap::from([("equity".into(), "3399.99".into())]),
            ..alert("Drawdown")
        };
        let expected = "[critical] Drawdown\nhalted\n\naccount: main\nrung: 3\nequity: 3399.99\ntimes: 2\n\
                        at: 1970-01-01T00:00:00.000Z\nid: a";
        assert_eq!(alert.to_plain_text(2), expected);
    }
}
