//! Changes made while nothing ran: kept in a file until a vault can record them.

use protocol::admin::{AdminCommand, AdminReply, Change};
use serde::{Deserialize, Serialize};
use trading::Timestamp;

use crate::installation::{Installation, now};
use crate::layout::{read_text, write_private};

/// Most changes kept; more are refused until a vault has recorded these.
const MOST: usize = 1000;
/// Longest text a record takes, in bytes.
const MAX_TEXT: usize = 1000;

/// One change that is in force and not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unrecorded {
    at: Timestamp,
    change: Change,
}

/// Keeps `change` for the log. The caller holds [`Installation::changing`].
pub fn keep(installation: &Installation, change: &Change) -> anyhow::Result<()> {
    let mut kept = read(installation)?;
    anyhow::ensure!(
        kept.len() < MOST,
        "{MOST} changes are not in the log yet; run `seawall up` once before you make more"
    );
    kept.push(Unrecorded { at: now(), change: change.clone() });
    write(installation, &kept)
}

/// Has the running vault record what was kept, oldest first. What it does not take stays.
pub fn record(installation: &Installation) -> anyhow::Result<()> {
    if !installation.layout.unrecorded().exists() {
        return Ok(());
    }
    let _changing = installation.changing()?;
    let mut kept = read(installation)?;
    while let Some(first) = kept.first() {
        let change = Change { kind: first.change.kind.clone(), text: text_of(first) };
        match installation.ask_vault(&AdminCommand::Note { change })? {
            AdminReply::Done { .. } => {}
            _ => anyhow::bail!("the vault gave another answer than asked for"),
        }
        kept.remove(0);
        write(installation, &kept)?;
    }
    Ok(())
}

fn text_of(kept: &Unrecorded) -> String {
    let when = format!(" (at {}, while nothing ran)", kept.at);
    let mut text = kept.change.text.clone();
    while text.len() + when.len() > MAX_TEXT {
        text.pop();
    }
    text + &when
}

fn read(installation: &Installation) -> anyhow::Result<Vec<Unrecorded>> {
    let path = installation.layout.unrecorded();
    if !path.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&read_text(&path)?)
        .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))
}

fn write(installation: &Installation, kept: &[Unrecorded]) -> anyhow::Result<()> {
    let path = installation.layout.unrecorded();
    if kept.is_empty() {
        return Ok(std::fs::remove_file(path)?);
    }
    write_private(&path, &serde_json::to_vec_pretty(kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    #[test]
    fn a_long_text_is_cut_to_what_a_record_takes() {
        let change = Change { kind: "policy".into(), text: "ä".repeat(700) };
        let text = text_of(&Unrecorded { at: Timestamp::from_ms(0), change });
        assert!(text.len() <= MAX_TEXT && text.ends_with("while nothing ran)"), "{text}");
    }

    #[test]
    fn there_is_a_most_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::resolve(Some(folder.path().to_owned())).expect("a folder");
        let installation = Installation::open(layout).expect("the defaults");
        let change = Change { kind: "bot".into(), text: "x".into() };
        let full = vec![Unrecorded { at: Timestamp::from_ms(1), change: change.clone() }; MOST - 1];
        write(&installation, &full).expect("writable");
        keep(&installation, &change).expect("room for one");
        assert!(keep(&installation, &change).expect_err("no room").to_string().contains("seawall up"));
        assert_eq!(read(&installation).expect("whole").len(), MOST);
    }
}
