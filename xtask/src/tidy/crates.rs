//! Which crate may depend on which: dependencies point down only.

use std::collections::BTreeSet;

use crate::tidy::Finding;
use crate::workspace::Package;

/// Crates that decide, without input, output, clock or randomness.
pub(super) const PURE: &[&str] = &["trading", "policy", "venue", "transparency", "approval", "attestation"];

/// What crates on the level above [`PURE`] and higher may use of it: everything.
const WORDS: &[&str] = &["trading"];

/// Crates that are a process. None imports another.
const PROCESSES: &[&str] = &["vault", "journal", "gateway", "watchdog", "console", "agent", "paper"];

/// Crates that may hold secret bytes, and so import `keys`.
const SECRET_HOLDERS: &[&str] = &["vault", "watchdog", "seawall", "sim", "fuzz"];

/// What each crate may import, tests apart; `None` if the crate is unknown.
fn allowed(package: &str) -> Option<BTreeSet<&'static str>> {
    let pure = || PURE.iter().copied();
    let allowed: BTreeSet<&str> = match package {
        "trading" | "xtask" => BTreeSet::new(),
        // The venue's fake judges our signatures, so it shares nothing with the code that makes them.
        "paper" => WORDS.iter().copied().collect(),
        pure if PURE.contains(&pure) => WORDS.iter().copied().collect(),
        "protocol" | "keys" => pure().collect(),
        "seawall" | "sim" => pure().chain(["protocol", "keys"]).chain(PROCESSES.iter().copied()).collect(),
        // Makes logs with the real writer, damages them, and asks others; linked into nothing.
        // Throws bytes at every parser there is, with throw-away keys; linked into nothing.
        "fuzz" => pure().chain(["protocol", "keys", "journal", "gateway", "vault"]).collect(),
        "oracles" => pure().chain(["journal", "vault"]).collect(),
        process if PROCESSES.contains(&process) => pure().chain(["protocol", "keys"]).collect(),
        _ => return None,
    };
    let may_hold_secrets = SECRET_HOLDERS.contains(&package);
    Some(allowed.into_iter().filter(|name| *name != "keys" || may_hold_secrets).collect())
}

/// What a crate's tests may import beside that. Pure crates and the paper venue get nothing more.
fn allowed_in_tests(package: &str, dependency: &str) -> bool {
    let strict = PURE.contains(&package) || package == "paper";
    !strict && dependency != "keys" && dependency != "xtask"
}

/// Every edge that points the wrong way, and every crate without a place.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let own: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let Some(allowed) = allowed(&package.name) else {
            findings.push(Finding::new(&package.name, "has no place in xtask/src/tidy/crates.rs"));
            continue;
        };
        for dependency in
            package.dependencies.iter().filter(|dependency| own.contains(dependency.name.as_str()))
        {
            let name = dependency.name.as_str();
            let fits = allowed.contains(name) || (dependency.is_dev && allowed_in_tests(&package.name, name));
            if !fits {
                let problem = format!("may not depend on `{name}`; see xtask/src/tidy/crates.rs");
                findings.push(Finding::new(&package.name, problem));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn problems(package: &str, dependency: &str, is_dev: bool) -> usize {
        let named = |name: &str, dependencies| Package { name: name.into(), folder: "".into(), dependencies };
        let edge = Dependency { name: dependency.into(), is_dev };
        check(&[named(package, vec![edge]), named(dependency, vec![])]).len()
    }

    #[test]
    fn dependencies_point_down() {
        for (package, dependency) in
            [("policy", "trading"), ("vault", "keys"), ("gateway", "venue"), ("seawall", "gateway")]
        {
            assert_eq!(problems(package, dependency, false), 0, "{package} -> {dependency}");
        }
        for (package, dependency) in [
            ("trading", "policy"),
            ("policy", "venue"),
            ("venue", "protocol"),
            ("protocol", "keys"),
            ("vault", "seawall"),
        ] {
            assert_eq!(problems(package, dependency, false), 1, "{package} -> {dependency}");
        }
    }

    #[test]
    fn no_process_imports_another() {
        assert_eq!(problems("gateway", "vault", false), 1);
        assert_eq!(problems("gateway", "vault", true), 0, "its tests may");
    }

    #[test]
    fn only_the_vault_and_what_seals_hold_secrets() {
        for package in ["gateway", "journal", "console", "agent", "paper", "protocol"] {
            assert_eq!(problems(package, "keys", false), 1, "{package}");
            assert_eq!(problems(package, "keys", true), 1, "{package} in tests");
        }
    }

    #[test]
    fn the_paper_venue_shares_nothing_with_the_code_it_judges() {
        assert_eq!(problems("paper", "trading", false), 0);
        assert_eq!(problems("paper", "venue", false), 1);
        assert_eq!(problems("paper", "venue", true), 1);
    }

    #[test]
    fn an_unknown_crate_is_a_finding() {
        assert_eq!(problems("helpers", "trading", false), 1);
    }
}
