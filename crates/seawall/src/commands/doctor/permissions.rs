//! Whose the files and folders are, and who else may read or change them.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use protocol::peer::Peer;

use super::{Finding, Patient, Verdict};
use crate::typed::quoted;

/// What others than the owner may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// Nothing: it holds secrets, or decides who may trade.
    Nothing,
    /// Pass through, where bots of other users reach the sign socket.
    Pass,
    /// Read: it is made to be shown.
    Read,
}

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    let layout = &patient.layout;
    if let Err(error) = std::fs::symlink_metadata(layout.data()) {
        return vec![no_data_folder(patient, &error)];
    }
    let folders = [
        (layout.data().to_owned(), Allowed::Pass),
        (layout.keys_dir(), Allowed::Nothing),
        (run_folder(patient), Allowed::Pass),
    ];
    let secrets = [
        layout.root_secret(),
        layout.log_key(),
        layout.trade_store(),
        layout.store(keys::Role::Watch),
        layout.stand_ins(),
        layout.paper_accounts(),
    ];
    let texts = [layout.config(), layout.policy()];
    let paths = folders.iter().map(|(path, allowed)| (path, *allowed, true));
    let paths = paths.chain(secrets.iter().map(|path| (path, Allowed::Nothing, false)));
    let paths = paths.chain(texts.iter().map(|path| (path, Allowed::Read, false)));
    let findings: Vec<Finding> =
        paths.filter_map(|(path, allowed, is_folder)| look_at(path, allowed, is_folder)).collect();
    merged(findings)
}

/// The folder of the sockets, which may lie elsewhere.
fn run_folder(patient: &Patient) -> PathBuf {
    patient.layout.admin_socket().parent().unwrap_or(Path::new("/")).to_owned()
}

fn no_data_folder(patient: &Patient, error: &std::io::Error) -> Finding {
    let place = patient.layout.data().display();
    if error.kind() == ErrorKind::NotFound {
        return Finding::warn(
            "files/data-folder",
            format!("{place} is not there: nothing is set up yet"),
            format!("{} to start at once, or {}", patient.command("up"), patient.command("init")),
        );
    }
    Finding::fault(
        "files/data-folder",
        format!("{place}: {error}"),
        "choose a shorter or readable folder with --data-dir",
    )
}

/// `None` if nothing is there: whether that is right is for another check to say.
fn look_at(path: &Path, allowed: Allowed, is_folder: bool) -> Option<Finding> {
    let check = format!("files/{}", path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() == is_folder && (is_folder || found.is_file()) => Some(judge(
            &check,
            path,
            (found.mode() & 0o7777, found.uid()),
            Peer::own_uid(),
            allowed,
            is_folder,
        )),
        Ok(found) if found.is_symlink() => Some(Finding::fault(
            &check,
            format!("{} is a link", path.display()),
            "put what it leads to in its place, or name the right folder with --data-dir",
        )),
        Ok(_) => Some(Finding::fault(
            &check,
            format!("{} is not a {}", path.display(), if is_folder { "folder" } else { "plain file" }),
            format!("see what put it there; then mv {0} {0}.away", quoted(path)),
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(Finding::fault(
            &check,
            format!("{}: {error}", path.display()),
            "run this as the user that owns the data folder",
        )),
    }
}

fn judge(
    check: &str,
    path: &Path,
    (mode, owner): (u32, u32),
    own: u32,
    allowed: Allowed,
    is_folder: bool,
) -> Finding {
    let place = path.display();
    let right = if is_folder { 0o700 } else { 0o600 };
    if owner != own {
        return Finding::fault(
            check,
            format!("{place} belongs to user {owner}, this is user {own}"),
            format!("run this as user {owner}, or: sudo chown {own} {}", quoted(path)),
        );
    }
    let forbidden = match allowed {
        Allowed::Nothing => 0o077,
        Allowed::Pass => 0o066,
        Allowed::Read => 0o022,
    };
    if mode & forbidden != 0 {
        return Finding::fault(
            check,
            format!("{place} has mode {mode:04o}: others may {}", powers(mode & forbidden, is_folder)),
            format!("chmod {right:04o} {}", quoted(path)),
        );
    }
    Finding::ok(check, format!("mode {mode:04o}, yours"))
}

fn powers(bits: u32, is_folder: bool) -> &'static str {
    match (bits & 0o022 != 0, is_folder) {
        (true, _) => "change it",
        (false, false) => "read it",
        (false, true) => "look into it",
    }
}

/// One line for everything that is right; a line of its own for what is not.
fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let (right, mut wrong): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.verdict == Verdict::Ok);
    let names: Vec<&str> = right.iter().filter_map(|finding| finding.check.strip_prefix("files/")).collect();
    if !names.is_empty() {
        let found = format!("yours, and closed to others: {}", names.join(", "));
        wrong.insert(0, Finding::ok("files/permissions", found));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(mode: u32, owner: u32, allowed: Allowed) -> Finding {
        judge("files/x", Path::new("/d/x"), (mode, owner), 1000, allowed, false)
    }

    #[test]
    fn a_secret_that_others_may_read_is_a_fault_with_its_chmod() {
        for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
            let finding = verdict(mode, 1000, Allowed::Nothing);
            assert_eq!(finding.verdict, Verdict::Fault, "{mode:o}");
            assert_eq!(finding.mend.as_deref(), Some("chmod 0600 /d/x"));
        }
        assert_eq!(verdict(0o600, 1000, Allowed::Nothing).verdict, Verdict::Ok);
        assert_eq!(verdict(0o400, 1000, Allowed::Nothing).verdict, Verdict::Ok);
    }

    #[test]
    fn a_text_may_be_read_but_not_changed_by_others() {
        assert_eq!(verdict(0o644, 1000, Allowed::Read).verdict, Verdict::Ok);
        assert_eq!(verdict(0o664, 1000, Allowed::Read).verdict, Verdict::Fault);
    }

    #[test]
    fn the_way_to_the_sign_socket_may_be_passed_but_not_read() {
        let folder = |mode| judge("files/run", Path::new("/d/run"), (mode, 1000), 1000, Allowed::Pass, true);
        assert_eq!(folder(0o711).verdict, Verdict::Ok);
        assert_eq!(folder(0o755).mend.as_deref(), Some("chmod 0700 /d/run"));
    }

    #[test]
    fn another_owner_is_a_fault_whatever_the_mode() {
        assert_eq!(verdict(0o600, 0, Allowed::Read).verdict, Verdict::Fault);
    }
}
