//! The log's folder: who writes it, whether its checkpoint is signed by its key, whether its end reads.
//! The whole of it is for `seawall log verify`.

use journal::{Folder, JournalError, LogSigner};
use zeroize::Zeroizing;

use super::{Finding, Patient};
use crate::layout::read_text;

/// Records read at the end of the log; more than the journal leaves uncovered by a checkpoint.
const LAST_RECORDS: u64 = 64;

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    let path = patient.layout.log();
    if !path.join("log.pub").exists() {
        return Vec::new();
    }
    let folder = match Folder::open_read_only(&path) {
        Ok(folder) => folder,
        Err(error) => return vec![damaged(patient, "log/folder", &error)],
    };
    vec![key(patient, &folder), checkpoint(patient, &folder), end(patient, &folder)]
}

fn damaged(patient: &Patient, check: &str, error: &JournalError) -> Finding {
    Finding::fault(
        check,
        error.to_string(),
        format!(
            "{} says what is wrong; copy the folder before you change anything. If only derived files \
             are hurt, stop `up` and run {}",
            patient.command("log verify"),
            patient.command("log rebuild")
        ),
    )
}

/// Without the log's own key the journal does not start.
fn key(patient: &Patient, folder: &Folder) -> Finding {
    let path = patient.layout.log_key();
    let fault = |found: String| {
        let mend = format!("restore {} from a backup: a log keeps one key for life", path.display());
        Finding::fault("log/key", found, mend)
    };
    let public = match folder.key() {
        Ok(public) => public,
        Err(error) => return damaged(patient, "log/key", &error),
    };
    let text = match read_text(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => return fault(format!("{error:#}")),
    };
    match seed(text.trim_end()) {
        None => fault(format!("{} is not 32 bytes in hexadecimal", path.display())),
        Some(seed) if *LogSigner::from_seed(&seed).public() == public => {
            Finding::ok("log/key", format!("belongs to this log ({public})"))
        }
        Some(_) => {
            fault(format!("{} is the key of another log than {}", path.display(), folder.path().display()))
        }
    }
}

fn seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut seed = Zeroizing::new([0; 32]);
    for (byte, pair) in seed.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |letter: u8| char::from(letter).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(seed)
}

fn checkpoint(patient: &Patient, folder: &Folder) -> Finding {
    match folder.current_checkpoint() {
        Ok((checkpoint, _)) => {
            Finding::ok("log/checkpoint", format!("covers {} records, signature right", checkpoint.size))
        }
        Err(error) => damaged(patient, "log/checkpoint", &error),
    }
}

/// Reads the last records, and those that no checkpoint covers yet.
fn end(patient: &Patient, folder: &Folder) -> Finding {
    let covered = folder.current_checkpoint().map_or(0, |(checkpoint, _)| checkpoint.size);
    let from = covered.saturating_sub(LAST_RECORDS);
    let records = match folder.records_from(from) {
        Ok(records) => records,
        Err(error) => return damaged(patient, "log/records", &error),
    };
    let mut next = from;
    for record in records {
        match record {
            Ok(record) => next = record.sequence + 1,
            Err(error) => return damaged(patient, "log/records", &error),
        }
    }
    if next < covered {
        let dir = folder.path().to_owned();
        let what = format!("the checkpoint covers {covered} records, the segments end at {next}");
        return damaged(patient, "log/records", &JournalError::Damaged { dir, what });
    }
    Finding::ok(
        "log/records",
        format!("{next}; the last {} read (all: {})", next - from, patient.command("log verify")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_64_digits() {
        assert_eq!(seed(&"0f".repeat(32)).as_deref(), Some(&[15; 32]));
        assert!(seed(&"0f".repeat(31)).is_none() && seed(&"g0".repeat(32)).is_none());
    }
}
