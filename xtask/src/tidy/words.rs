//! Words that do not belong in the repository: it speaks of itself only, holds no secret, no
//! unfinished code, and nothing of the machine it was written on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tidy::Finding;
use crate::workspace::Workspace;

/// A text that may not occur, and where. Each is put together from pieces so that this list does
/// not find itself.
struct Ban {
    text: &'static str,
    reason: &'static str,
    /// Only files whose name ends so; empty for all.
    only: &'static [&'static str],
}

const RUST: &[&str] = &[".rs"];
const MACHINE: &str = "is a path of one machine";
const TOOL: &str = "is about how the text came to be, not about the project";
const HOST: &str = "names a package registry; registries are the machine's own setting";
const UNFINISHED: &str = "is unfinished code";
const SECRET: &str = "looks like a secret; fixtures belong in a folder named `fixtures` or `vectors`";

macro_rules! bans {
    ($($reason:ident $only:expr => [$(($($piece:literal)+)),+ $(,)?]),+ $(,)?) => {
        &[$($(Ban { text: concat!($($piece),+), reason: $reason, only: $only }),+),+]
    };
}

const BANS: &[Ban] = bans! {
    MACHINE &[] => [("/wo" "rk/"), ("/ro" "ot/"), ("/Us" "ers/"), ("/tmp/ba" "sh_jobs")],
    TOOL &[] => [
        ("clau" "de"), ("anthro" "pic"), ("chat" "gpt"), ("copi" "lot"), ("gpt" "-4"), ("gpt" "-5"),
        ("ai" "-generated"), ("ai" " generated"), ("ai" "-assisted"), ("generated" " by ai"),
        ("written" " by ai"), ("by open" "ai"), ("as an" " ai"), ("ai lang" "uage model"),
        ("co-author" "ed-by"), ("this ses" "sion of work"), ("in this ses" "sion"),
        ("previous ses" "sion"), ("next ses" "sion"), ("helper ag" "ent"), ("sub" "agent"),
        ("sub" "-agent"), ("the brief" " says"), ("prompt" " engineering"),
    ],
    HOST &[] => [
        ("files.python" "hosted.org"), ("pypi" ".org/simple"), ("registry.npm" "js.org"),
        ("static.crates" ".io"), ("index.crates" ".io"), ("deb.deb" "ian.org"), ("--index" "-url"),
        ("--extra-index" "-url"), ("proxy.go" "lang.org"),
    ],
    UNFINISHED RUST => [("to" "do!("), ("unimple" "mented!("), ("db" "g!(")],
    SECRET &[] => [
        ("-----BEGIN PRI" "VATE KEY"), ("-----BEGIN RSA PRI" "VATE KEY"), ("-----BEGIN EC PRI" "VATE KEY"),
        ("-----BEGIN ENCRYPTED PRI" "VATE KEY"), ("-----BEGIN OPENSSH PRI" "VATE KEY"),
        ("-----BEGIN PGP PRI" "VATE KEY"), ("AGE-SECRET" "-KEY-1"),
    ],
};

/// The one registry that a lock file may name.
const CARGO_SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks every tracked text file.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in workspace.tracked_files()? {
        let bytes = fs::read(workspace.root.join(&file)).with_context(|| file.display().to_string())?;
        if let Ok(text) = String::from_utf8(bytes) {
            findings.extend(check_text(&file, &text));
        }
    }
    Ok(findings)
}

fn check_text(file: &Path, text: &str) -> Vec<Finding> {
    let name = file.to_string_lossy();
    let bans: Vec<&Ban> = BANS.iter().filter(|ban| applies(ban, &name)).collect();
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{name}:{}", number + 1);
        let lower = line.to_ascii_lowercase();
        for ban in bans.iter().filter(|ban| holds(&lower, &ban.text.to_ascii_lowercase())) {
            findings.push(Finding::new(place(), format!("`{}` {}", ban.text, ban.reason)));
        }
        if name.ends_with("Cargo.lock") && is_foreign_source(line) {
            findings.push(Finding::new(place(), HOST));
        }
    }
    findings
}

fn applies(ban: &Ban, name: &str) -> bool {
    let is_fixture = name.split('/').any(|part| part == "fixtures" || part == "vectors");
    (ban.only.is_empty() || ban.only.iter().any(|ending| name.ends_with(ending)))
        && !(is_fixture && ban.reason == SECRET)
}

fn is_foreign_source(line: &str) -> bool {
    line.strip_prefix("source = ").is_some_and(|source| source.trim_matches('"') != CARGO_SOURCE)
}

/// Whether `text` stands in `line` by itself, not as part of a longer word or path.
fn holds(line: &str, text: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let starts_as_word = text.starts_with(is_word) || text.starts_with('/');
    let ends_as_word = text.ends_with(is_word);
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + text.len()..].chars().next().is_some_and(is_word);
        !(starts_as_word && before || ends_as_word && after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(file: &str, text: &str) -> usize {
        check_text(Path::new(file), text).len()
    }

    #[test]
    fn every_ban_finds_its_own_text() {
        for ban in BANS {
            let file = ban.only.first().map_or("a.md".to_owned(), |ending| format!("a{ending}"));
            assert!(findings(&file, &format!("x {} y", ban.text)) > 0, "{}", ban.text);
        }
    }

    #[test]
    fn a_banned_word_inside_another_is_none() {
        assert_eq!(findings("a.md", concat!("home", "/wo", "rk/x and net", "/wo", "rk/y")), 0);
        assert_eq!(findings("a.md", concat!("clau", "des")), 0);
        assert_eq!(findings("a.md", concat!("`", "/wo", "rk/x`")), 1);
        assert_eq!(findings("a.md", concat!("Clau", "de")), 1);
    }

    #[test]
    fn unfinished_code_is_looked_for_in_code_only() {
        let line = concat!("to", "do!(\"later\")");
        assert_eq!(findings("a.rs", line), 1);
        assert_eq!(findings("a.md", line), 0);
    }

    #[test]
    fn a_private_key_is_found_outside_fixtures() {
        let line = concat!("-----BEGIN PRI", "VATE KEY-----");
        assert_eq!(findings("crates/keys/src/lib.rs", line), 1);
        assert_eq!(findings("crates/keys/tests/fixtures/throwaway.pem", line), 0);
    }

    #[test]
    fn a_lock_file_names_the_public_index_only() {
        assert_eq!(
            findings("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""),
            0
        );
        assert_eq!(findings("Cargo.lock", "source = \"registry+https://mirror.example/index\""), 1);
        assert_eq!(findings("Cargo.lock", "source = \"git+https://example.org/x\""), 1);
    }
}
