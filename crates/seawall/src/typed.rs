//! Commands as a person can type them in the shell they are in.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::layout::Layout;

/// `words` for this program on the folder of `layout`, ready to paste.
pub fn command(layout: &Layout, words: &str) -> String {
    let executable = std::env::current_exe().unwrap_or_else(|_| "seawall".into());
    let program =
        program(&executable, std::env::var_os("PATH").as_deref(), std::env::current_dir().ok().as_deref());
    if layout.is_default() {
        format!("{program} {words}")
    } else {
        format!("{program} --data-dir {} {words}", quoted(layout.data()))
    }
}

/// A path as one word of a shell command.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./@%+=:,-".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What starts `executable`: its bare name where the shell finds just this one under it, else its
/// path, from `here` if that is shorter.
fn program(executable: &Path, search: Option<&OsStr>, here: Option<&Path>) -> String {
    let name = executable.file_name().unwrap_or(OsStr::new("seawall"));
    if found(name, search).is_some_and(|first| same(&first, executable)) {
        return quoted(Path::new(name));
    }
    match here.and_then(|here| executable.strip_prefix(here).ok()) {
        Some(below) if below.components().count() > 1 => quoted(below),
        Some(below) => quoted(&Path::new(".").join(below)),
        None => quoted(executable),
    }
}

/// What a shell would run for `name`.
fn found(name: &OsStr, search: Option<&OsStr>) -> Option<PathBuf> {
    let runs = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(search?).map(|folder| folder.join(name)).find(runs)
}

fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, mode: u32) -> PathBuf {
        std::fs::create_dir_all(folder).expect("writable");
        let path = folder.join(name);
        std::fs::write(&path, "").expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        path
    }

    #[test]
    fn the_bare_name_stands_only_for_what_the_shell_would_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path().to_owned();
        let own = put(&here.join("target/release"), "seawall", 0o755);
        let typed = |search: &[&Path]| {
            let search = std::env::join_paths(search).expect("no colon in them");
            program(&own, Some(&search), Some(&here))
        };
        assert_eq!(typed(&[]), "target/release/seawall", "not on the path at all");
        let (other, dead, linked) = (here.join("other"), here.join("dead"), here.join("linked"));
        put(&other, "seawall", 0o755);
        put(&dead, "seawall", 0o644);
        std::fs::create_dir_all(&linked).expect("writable");
        std::os::unix::fs::symlink(&own, linked.join("seawall")).expect("writable");
        assert_eq!(typed(&[&dead, &linked]), "seawall", "what cannot be run is passed over");
        assert_eq!(typed(&[&other, &linked]), "target/release/seawall", "another one comes first");
        assert_eq!(program(&own, None, None), own.to_string_lossy());
        assert_eq!(program(&own, None, Some(&here.join("target/release"))), "./seawall");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["/plain/path-1", "/with space", "/it's", "/$HOME/`x`;\"*", "/ünïcode"] {
            let command = format!("printf %s {}", quoted(Path::new(text)));
            let output = std::process::Command::new("sh").args(["-c", &command]).output().expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{command}");
        }
        assert_eq!(quoted(Path::new("/plain/path-1")), "/plain/path-1");
    }

    #[test]
    fn another_folder_than_the_default_is_named() {
        let layout = Layout::resolve(Some("/some where".into())).expect("a folder");
        let typed = command(&layout, "log verify");
        assert!(typed.ends_with(" --data-dir '/some where' log verify"), "{typed}");
    }
}
