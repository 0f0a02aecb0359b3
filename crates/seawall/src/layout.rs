//! Where everything of one installation lies.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use keys::Role;
use sha2::{Digest as _, Sha256};

/// Longest path a Unix socket may have on Linux, in bytes (`sun_path` less its zero).
pub const MAX_SOCKET_PATH: usize = 107;

/// The folder of one installation and the names in it.
#[derive(Debug, Clone)]
pub struct Layout {
    data: PathBuf,
    run: PathBuf,
}

impl Layout {
    /// Takes `data_dir`, or `$XDG_DATA_HOME/seawall`, or `~/.local/share/seawall`.
    pub fn resolve(data_dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let data = match data_dir {
            Some(path) => path,
            None => default_data_dir()
                .context("neither XDG_DATA_HOME nor HOME is set; say where with --data-dir")?,
        };
        let data = std::path::absolute(&data).with_context(|| format!("{}", data.display()))?;
        let run = run_dir(&data);
        Ok(Self { data, run })
    }

    /// Whether this is the folder that is taken when none is named.
    pub fn is_default(&self) -> bool {
        default_data_dir().and_then(|path| std::path::absolute(path).ok()).as_deref() == Some(&self.data)
    }

    /// Makes the folders that are missing, readable by the owner alone.
    pub fn create(&self) -> anyhow::Result<()> {
        for path in [&self.data, &self.run, &self.keys_dir(), &self.process_logs()] {
            make_private_dir(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
            check_private_dir(path)?;
            close_to_others(path)?;
        }
        Ok(())
    }

    pub fn data(&self) -> &Path {
        &self.data
    }
    pub fn config(&self) -> PathBuf {
        self.data.join("seawall.toml")
    }
    pub fn policy(&self) -> PathBuf {
        self.data.join("policy.toml")
    }
    /// Who may approve what.
    pub fn approvers(&self) -> PathBuf {
        self.data.join("approvers.toml")
    }
    pub fn keys_dir(&self) -> PathBuf {
        self.data.join("keys")
    }
    pub fn root_secret(&self) -> PathBuf {
        self.keys_dir().join("root.key")
    }
    pub fn trade_store(&self) -> PathBuf {
        self.store(Role::Trade)
    }
    /// The sealed store of one role's vault.
    pub fn store(&self, role: Role) -> PathBuf {
        self.keys_dir().join(format!("{role}.sealed"))
    }
    pub fn stand_ins(&self) -> PathBuf {
        self.data.join("stand-ins.json")
    }
    /// Changes made while nothing ran, which the log does not hold yet.
    pub fn unrecorded(&self) -> PathBuf {
        self.data.join("unrecorded.json")
    }
    pub fn paper_accounts(&self) -> PathBuf {
        self.data.join("paper-accounts.json")
    }
    /// The log's signing key; outside the log's folder, which is made to be copied.
    pub fn log_key(&self) -> PathBuf {
        self.keys_dir().join("log.key")
    }
    pub fn log(&self) -> PathBuf {
        self.data.join("log")
    }
    /// The journal's tables; outside the log's folder, which is made to be copied and made again.
    pub fn journal_tables(&self) -> PathBuf {
        self.data.join("journal.sqlite")
    }
    pub fn process_logs(&self) -> PathBuf {
        self.data.join("process-logs")
    }
    pub fn lock(&self) -> PathBuf {
        self.data.join("up.lock")
    }
    pub fn change_lock(&self) -> PathBuf {
        self.data.join("change.lock")
    }
    pub fn addresses(&self) -> PathBuf {
        self.run.join("addresses.json")
    }
    pub fn sign_socket(&self) -> PathBuf {
        self.run.join("sign.sock")
    }
    pub fn gateway_socket(&self) -> PathBuf {
        self.run.join("gateway.sock")
    }
    pub fn admin_socket(&self) -> PathBuf {
        self.run.join("admin.sock")
    }
    pub fn lease_socket(&self) -> PathBuf {
        self.run.join("lease.sock")
    }
    pub fn journal_socket(&self) -> PathBuf {
        self.run.join("journal.sock")
    }
}

fn default_data_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("seawall"))
}

/// `DATA/run`, or where that is too deep for a socket path, a folder of its own under the
/// temporary directory, named by the hash of the data folder.
fn run_dir(data: &Path) -> PathBuf {
    let run = data.join("run");
    if run.join("journal.sock").as_os_str().len() <= MAX_SOCKET_PATH {
        return run;
    }
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    let name = hex::encode(&digest[..8]);
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("seawall-{}-{name}", protocol::peer::Peer::own_uid()))
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Refuses a folder that another user made first or may write to: under a temporary directory
/// anyone could have guessed its name.
fn check_private_dir(path: &Path) -> anyhow::Result<()> {
    let found = std::fs::symlink_metadata(path).with_context(|| format!("{}", path.display()))?;
    let own = protocol::peer::Peer::own_uid();
    if found.is_symlink() {
        let place = std::fs::canonicalize(path).map_or_else(
            |_| "which leads nowhere".to_owned(),
            |place| {
                format!("name the folder it leads to instead: --data-dir {}", crate::typed::quoted(&place))
            },
        );
        anyhow::bail!("{} is a link, and links may be turned; {place}", path.display());
    }
    anyhow::ensure!(found.is_dir(), "{} is not a folder; choose another with --data-dir", path.display());
    anyhow::ensure!(
        found.uid() == own,
        "{} belongs to user {}, this is user {own}; choose another folder with --data-dir",
        path.display(),
        found.uid()
    );
    anyhow::ensure!(
        found.mode() & 0o022 == 0,
        "{} may be changed by other users; chmod 0700 {}",
        path.display(),
        crate::typed::quoted(path)
    );
    Ok(())
}

/// Takes from others the right to read a folder that someone else made for us. To pass through it, to
/// the bots' socket, stays as the operator has set it.
fn close_to_others(path: &Path) -> anyhow::Result<()> {
    let mode = std::fs::metadata(path).with_context(|| format!("{}", path.display()))?.mode() & 0o7777;
    if mode & 0o044 != 0 {
        let closed = std::fs::Permissions::from_mode(mode & !0o044);
        std::fs::set_permissions(path, closed)
            .with_context(|| format!("cannot close {} to others", path.display()))?;
        tracing::warn!("{} could be read by others (mode {mode:04o}) and is closed now", path.display());
    }
    Ok(())
}

/// Writes `bytes` to `path` so that a crash leaves the old file or the new one, never half of
/// one: a temporary file beside it, synced, renamed, and the folder synced. Mode 0600.
pub fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let write = || -> io::Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a text file, with its path in the error.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
