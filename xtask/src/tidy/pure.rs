//! Pure crates stay pure: no runtime, socket, database or randomness among what they link, and
//! Clippy bans the clock, files and sockets of the standard library in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::tidy::Finding;
use crate::tidy::crates::PURE;
use crate::workspace::{Package, Workspace, array_of, text_of};

/// Crates that a pure crate may not link, directly or through others.
const NEVER_LINKED: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "mio",
    "quinn",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "tokio-tungstenite",
    "tungstenite",
    "ureq",
];

/// Crates that a pure crate may not name itself; some libraries link them for hash tables.
const NEVER_NAMED: &[&str] =
    &["chrono", "fastrand", "getrandom", "libc", "nix", "rand", "rand_core", "rustix", "time", "uuid"];

/// The bans, the same in every pure crate. Clippy reads the nearest `clippy.toml` only, so the
/// root's settings are repeated in it.
const BANS: &str = include_str!("pure_clippy.toml");

/// Checks the dependencies and bans of every pure crate.
pub(super) fn check(workspace: &Workspace, packages: &[Package], resolved: &Value) -> Result<Vec<Finding>> {
    let graph = Graph::read(resolved)?;
    let mut findings = Vec::new();
    for package in pure(packages) {
        let direct = package.dependencies.iter().filter(|dependency| !dependency.is_dev);
        for dependency in direct.filter(|dependency| NEVER_NAMED.contains(&dependency.name.as_str())) {
            let problem = format!("is pure and may not depend on `{}`", dependency.name);
            findings.push(Finding::new(&package.name, problem));
        }
        for path in NEVER_LINKED.iter().filter_map(|banned| graph.path(&package.name, banned)) {
            findings.push(Finding::new(&package.name, format!("is pure but links {}", path.join(" -> "))));
        }
        let file = bans_file(package);
        if fs::read_to_string(&file).ok().as_deref() != Some(BANS) {
            let place = workspace.relative(&file).display().to_string();
            findings.push(Finding::new(
                place,
                "does not hold the bans of pure crates; run cargo xtask tidy --fix",
            ));
        }
    }
    Ok(findings)
}

/// Writes the bans into every pure crate.
pub(super) fn write_bans(workspace: &Workspace, packages: &[Package]) -> Result<()> {
    for package in pure(packages) {
        let file = bans_file(package);
        fs::write(&file, BANS).with_context(|| file.display().to_string())?;
        println!("wrote {}", workspace.relative(&file).display());
    }
    Ok(())
}

fn pure(packages: &[Package]) -> impl Iterator<Item = &Package> {
    packages.iter().filter(|package| PURE.contains(&package.name.as_str()))
}

fn bans_file(package: &Package) -> PathBuf {
    Path::new(&package.folder).join("clippy.toml")
}

/// Who links whom: package names, edges without tests and build scripts.
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(resolved: &Value) -> Result<Self> {
        let mut names = BTreeMap::new();
        for package in array_of(resolved, "packages")? {
            names.insert(text_of(package, "id")?, text_of(package, "name")?);
        }
        let name = |id: &str| names.get(id).map(|name| (*name).to_owned()).context("an id without a package");
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in array_of(&resolved["resolve"], "nodes")? {
            let from = edges.entry(name(text_of(node, "id")?)?).or_default();
            for edge in array_of(node, "deps")?.iter().filter(|edge| is_linked(edge)) {
                from.insert(name(text_of(edge, "pkg")?)?);
            }
        }
        Ok(Self { edges })
    }

    /// A way from `start` down to `goal`, if there is one.
    fn path(&self, start: &str, goal: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut open = vec![vec![start.to_owned()]];
        while let Some(path) = open.pop() {
            let here = path.last()?;
            if here == goal {
                return Some(path);
            }
            if seen.insert(here.clone()) {
                let next = self.edges.get(here).into_iter().flatten();
                open.extend(next.map(|name| path.iter().chain([name]).cloned().collect()));
            }
        }
        None
    }
}

fn is_linked(edge: &Value) -> bool {
    edge["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_runtime_is_found_behind_a_library_but_not_behind_its_tests() {
        let edge = |pkg: &str, kind: Value| json!({"pkg": pkg, "dep_kinds": [{"kind": kind}]});
        let packages = ["a", "b", "c", "d"].map(|name| json!({"id": name, "name": name}));
        let resolved = json!({
            "packages": packages,
            "resolve": {"nodes": [
                {"id": "a", "deps": [edge("b", Value::Null), edge("d", json!("dev"))]},
                {"id": "b", "deps": [edge("c", Value::Null), edge("a", Value::Null)]},
                {"id": "c", "deps": []},
                {"id": "d", "deps": []},
            ]},
        });
        let graph = Graph::read(&resolved).unwrap();
        assert_eq!(graph.path("a", "c").unwrap(), ["a", "b", "c"]);
        assert_eq!(graph.path("a", "d"), None);
    }
}
