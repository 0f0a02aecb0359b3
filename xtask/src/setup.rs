//! Installs what the tests need and this machine lacks. Running it again changes nothing.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// A Debian package and the command that succeeds where it is not needed.
const SYSTEM: &[(&str, &[&str])] = &[
    ("gcc", &["cc", "--version"]),
    ("git", &["git", "--version"]),
    ("nodejs", &["node", "--version"]),
    ("python3", &["python3", "--version"]),
    // The outside judges of the log: Go with the checksum database's own library, and Sigsum's tools.
    ("golang-go", &["go", "version"]),
    ("golang-golang-x-mod-dev", &["test", "-d", "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"]),
    ("sigsum-go", &["sigsum-verify", "--version"]),
    ("strace", &["strace", "--version"]),
    ("python3-venv", &["python3", "-c", "import ensurepip, venv"]),
];

/// Where the source of what is newer than the release is noted.
const BACKPORTS: &str = "/etc/apt/sources.list.d/seawall-backports.list";

/// Which Python packages the real-client tests need: what is asked for, and every version pinned.
const PYTHON: [&str; 2] = ["tests/clients/requirements.txt", "tests/clients/constraints.txt"];

/// Brings the machine to where `cargo xtask test` can run.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    system()?;
    runner(workspace)?;
    python(workspace)
}

fn system() -> Result<()> {
    let missing: Vec<&str> =
        SYSTEM.iter().filter(|(_, probe)| !works(probe)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        println!("system packages: all there");
        return Ok(());
    }
    println!("system packages: installing {}", missing.join(" "));
    let is_root = process::output(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root || !works(&["apt-get", "--version"]) {
        bail!("please install: {} (as root: apt-get install {0})", missing.join(" "));
    }
    process::run(Command::new("apt-get").args(["-q", "update"]))?;
    if missing.iter().any(|package| !is_offered(package)) {
        add_backports()?;
    }
    let mut install = Command::new("apt-get");
    install.args(["-q", "-y", "install", "--no-install-recommends"]).args(&missing);
    process::run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    match SYSTEM.iter().find(|(_, probe)| !works(probe)) {
        Some((package, probe)) => bail!("`{}` still fails after installing {package}", probe.join(" ")),
        None => Ok(()),
    }
}

/// Whether a configured source has the package.
fn is_offered(package: &str) -> bool {
    works(&["apt-cache", "show", package])
}

/// Adds the backports of the release that the machine runs, from the mirror it uses already. Nothing
/// else is taken from there: packages of backports have a lower priority than any other.
fn add_backports() -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages"]);
    let text = process::output(&mut command)?;
    let source = text.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        ["Debian", release, mirror] if !release.contains('-') => Some((release, mirror)),
        _ => None,
    });
    let (release, mirror) = source.context("no source of a Debian release is configured")?;
    println!("system packages: adding {release}-backports");
    fs::write(BACKPORTS, format!("deb {mirror} {release}-backports main\n")).context(BACKPORTS)?;
    process::run(Command::new("apt-get").args(["-q", "update"]))
}

fn works(probe: &[&str]) -> bool {
    let [program, arguments @ ..] = probe else { return false };
    process::succeeds(Command::new(program).args(arguments))
}

fn runner(workspace: &Workspace) -> Result<()> {
    for (component, probe) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !process::succeeds(&mut workspace.cargo(&[probe, "--version"])) {
            process::run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    if process::succeeds(&mut workspace.cargo(&["nextest", "--version"])) {
        println!("cargo-nextest: there");
        return Ok(());
    }
    println!("cargo-nextest: installing");
    process::run(&mut workspace.cargo(&["install", "cargo-nextest", "--locked"]))
}

/// Fills the virtual environment, once for each content of the pinned lists.
fn python(workspace: &Workspace) -> Result<()> {
    let mut wanted = String::new();
    for list in PYTHON {
        let text = fs::read_to_string(workspace.root.join(list)).with_context(|| list.to_owned())?;
        wanted.push_str(&text);
    }
    let venv = workspace.venv();
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        println!("Python packages: all there");
        return Ok(());
    }
    println!("Python packages: installing");
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let mut command = Command::new(venv.join("bin/python"));
    command.args(pip).args(["-r", PYTHON[0], "-c", PYTHON[1]]).current_dir(&workspace.root);
    process::run(&mut command)?;
    fs::write(installed, wanted).context("cannot note what is installed")
}
