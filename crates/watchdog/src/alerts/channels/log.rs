//! `alerts.log`: one line of JSON an alert, for people at this machine and for their tools.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::later;
use crate::alerts::{Offer, Outcome, Severity};

/// The file's name; the one before it has `.1` behind it.
const FILE: &str = "alerts.log";
/// A longer file makes way for a new one, in bytes.
const MAX_LENGTH: u64 = 16 * 1024 * 1024;

pub(super) struct Log {
    path: Arc<Mutex<PathBuf>>,
}

impl Log {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: Arc::new(Mutex::new(folder.join(FILE))) }
    }

    /// Appends `offer`. The disk and the standard error may hang, so this is done on a thread of its own.
    pub(super) async fn write(&self, offer: &Offer) -> Outcome {
        let path = Arc::clone(&self.path);
        let offer = offer.clone();
        let written = tokio::task::spawn_blocking(move || {
            // Held by a write that hangs: no second thread need hang beside it.
            let path = path.try_lock().map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
            append(&path, &offer, MAX_LENGTH)?;
            print(&offer);
            Ok::<(), io::Error>(())
        });
        match written.await {
            Ok(Ok(())) => Outcome::Delivered,
            Ok(Err(error)) => later(format!("alerts.log cannot be written: {}", error.kind())),
            Err(_) => later("alerts.log cannot be written: the thread ended".into()),
        }
    }
}

fn append(path: &Path, offer: &Offer, max_length: u64) -> io::Result<()> {
    let alert = &offer.alert;
    let mut line = json!({
        "time": alert.at.to_string(),
        "severity": alert.severity,
        "count": offer.count,
    });
    line["alert"] = serde_json::to_value(alert).map_err(io::Error::other)?;
    if fs::metadata(path).is_ok_and(|file| file.len() >= max_length) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

fn print(offer: &Offer) {
    let alert = &offer.alert;
    let (id, title, text) = (alert.id.as_str(), &alert.title, &alert.text);
    let account = alert.account.as_deref().unwrap_or_default();
    match alert.severity {
        Severity::Critical => tracing::error!(id, account, text, "{title}"),
        Severity::Warning => tracing::warn!(id, account, text, "{title}"),
        Severity::Info => tracing::info!(id, account, text, "{title}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use trading::Timestamp;

    use super::*;
    use crate::alerts::{Alert, AlertId, Channel};

    fn offer(text: &str) -> Offer {
        let id = AlertId::new("a").expect("an id");
        let mut alert = Alert::new(id, Timestamp::from_ms(0), Severity::Info, "title");
        alert.text = text.into();
        Offer { channel: Channel::Log, alert, count: 2 }
    }

    #[test]
    fn an_alert_is_one_private_line_of_json() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        append(&path, &offer("two\nlines"), MAX_LENGTH).expect("written");
        append(&path, &offer("more"), MAX_LENGTH).expect("written");
        let content = fs::read_to_string(&path).expect("there");
        let lines: Vec<serde_json::Value> =
            content.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["alert"]["text"], "two\nlines");
        assert_eq!((&lines[0]["count"], &lines[0]["severity"]), (&json!(2), &json!("info")));
        assert_eq!(lines[0]["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_long_file_makes_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        for text in ["first", "second", "third"] {
            append(&path, &offer(text), 1).expect("written");
        }
        assert!(fs::read_to_string(&path).expect("there").contains("third"));
        assert!(fs::read_to_string(folder.path().join("alerts.log.1")).expect("there").contains("second"));
    }
}
