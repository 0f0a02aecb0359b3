//! Where the repository is and what Cargo knows about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::process;

/// The workspace this command runs in.
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where Cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// `cargo metadata --no-deps`: the workspace's own packages.
    pub(crate) own: Value,
}

/// One line of a package's dependency tables.
pub(crate) struct Dependency {
    /// The package depended on.
    pub(crate) name: String,
    /// Whether only tests, examples and benchmarks see it.
    pub(crate) is_dev: bool,
}

/// One package of the workspace.
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What it states it needs, in manifest order.
    pub(crate) dependencies: Vec<Dependency>,
}

impl Workspace {
    /// Asks Cargo for the workspace around the current directory.
    pub(crate) fn find() -> Result<Self> {
        let text =
            process::output(Command::new(cargo()).args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let own: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
        Ok(Self {
            root: PathBuf::from(text_of(&own, "workspace_root")?),
            target: PathBuf::from(text_of(&own, "target_directory")?),
            own,
        })
    }

    /// A Cargo command that runs at the root.
    pub(crate) fn cargo(&self, words: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(words).current_dir(&self.root);
        command
    }

    /// The workspace's own packages, by name.
    pub(crate) fn packages(&self) -> Result<Vec<Package>> {
        let mut packages =
            array_of(&self.own, "packages")?.iter().map(package).collect::<Result<Vec<_>>>()?;
        packages.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(packages)
    }

    /// `cargo metadata` with every dependency that this machine's target can link.
    pub(crate) fn resolved(&self) -> Result<Value> {
        let version = process::output(Command::new("rustc").arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("rustc -vV names no host")?;
        let words = ["metadata", "--format-version", "1", "--locked", "--filter-platform", host];
        let text = process::output(&mut self.cargo(&words))?;
        serde_json::from_str(&text).context("cargo metadata is not JSON")
    }

    /// Every file that Git tracks or would track, relative to the root.
    pub(crate) fn tracked_files(&self) -> Result<Vec<PathBuf>> {
        let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let text = process::output(Command::new("git").args(words).current_dir(&self.root))?;
        let files = text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
        Ok(files.filter(|file| self.root.join(file).is_file()).collect())
    }

    /// The Python of the test environment, inside the ignored cache folder.
    pub(crate) fn venv(&self) -> PathBuf {
        self.root.join(".cache/venv")
    }

    /// `path` as it reads from the root.
    pub(crate) fn relative<'path>(&self, path: &'path Path) -> &'path Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn package(value: &Value) -> Result<Package> {
    let manifest = PathBuf::from(text_of(value, "manifest_path")?);
    let folder = manifest.parent().context("a manifest has a folder")?.to_owned();
    let dependencies = array_of(value, "dependencies")?.iter().map(dependency).collect::<Result<Vec<_>>>()?;
    Ok(Package { name: text_of(value, "name")?.to_owned(), folder, dependencies })
}

fn dependency(value: &Value) -> Result<Dependency> {
    let is_dev = value["kind"].as_str() == Some("dev");
    Ok(Dependency { name: text_of(value, "name")?.to_owned(), is_dev })
}

/// The string under `key`.
pub(crate) fn text_of<'value>(value: &'value Value, key: &str) -> Result<&'value str> {
    value[key].as_str().ok_or_else(|| anyhow!("no text `{key}`"))
}

/// The array under `key`.
pub(crate) fn array_of<'value>(value: &'value Value, key: &str) -> Result<&'value [Value]> {
    value[key].as_array().map(Vec::as_slice).ok_or_else(|| anyhow!("no array `{key}`"))
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
