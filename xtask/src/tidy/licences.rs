//! Which licences the dependencies may carry.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::tidy::{Finding, spdx};
use crate::workspace::{Workspace, array_of, text_of};

/// Licences that ask for no more than attribution.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// What may be added to a licence with `WITH`.
const ALLOWED_EXCEPTIONS: &[&str] = &["LLVM-exception"];

/// Crates whose licence is not in [`ALLOWED`] and why that is all right here.
const LISTED: &[(&str, &str, &str)] = &[];

struct Dependency<'metadata> {
    name: &'metadata str,
    version: &'metadata str,
    licence: Option<&'metadata str>,
}

/// Every dependency whose licence was not agreed to. Tests' and build scripts' count too.
pub(super) fn check(resolved: &Value) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for dependency in dependencies(resolved)? {
        let place = format!("{} {}", dependency.name, dependency.version);
        let Some(licence) = dependency.licence else {
            findings.push(Finding::new(place, "states no licence"));
            continue;
        };
        let listed = LISTED.iter().any(|(name, text, _)| *name == dependency.name && *text == licence);
        match spdx::permits(licence, ALLOWED, ALLOWED_EXCEPTIONS) {
            Ok(true) => {}
            Ok(false) if listed => {}
            Ok(false) => findings.push(Finding::new(place, format!("licence `{licence}` is not agreed to"))),
            Err(problem) => findings.push(Finding::new(place, format!("licence `{licence}`: {problem}"))),
        }
    }
    Ok(findings)
}

/// `cargo xtask licences`: each licence with the crates under it.
pub(crate) fn print(workspace: &Workspace) -> Result<()> {
    let resolved = workspace.resolved()?;
    let mut by_licence: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Dependency { name, version, licence } in dependencies(&resolved)? {
        by_licence.entry(licence.unwrap_or("(none stated)")).or_default().push(format!("{name} {version}"));
    }
    for (licence, mut crates) in by_licence {
        crates.sort();
        println!("{licence}\n    {}", crates.join(", "));
    }
    for (name, licence, why) in LISTED {
        println!("listed exception: {name} under {licence}: {why}");
    }
    Ok(())
}

/// Everything that comes from elsewhere: packages with a source.
fn dependencies(resolved: &Value) -> Result<Vec<Dependency<'_>>> {
    let foreign = array_of(resolved, "packages")?.iter().filter(|package| !package["source"].is_null());
    foreign
        .map(|package| {
            let (name, version) = (text_of(package, "name")?, text_of(package, "version")?);
            Ok(Dependency { name, version, licence: package["license"].as_str() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn findings(licence: &Value) -> usize {
        let package = json!({"name": "x", "version": "1.0.0", "source": "registry", "license": licence});
        check(&json!({"packages": [package]})).unwrap().len()
    }

    #[test]
    fn copyleft_is_refused_unless_another_licence_may_be_chosen() {
        for refused in ["GPL-3.0-only", "AGPL-3.0", "LGPL-2.1-or-later", "MPL-2.0", "MIT AND GPL-2.0"] {
            assert_eq!(findings(&json!(refused)), 1, "{refused}");
        }
        assert_eq!(findings(&json!("MIT OR Apache-2.0 OR LGPL-2.1-or-later")), 0);
    }

    #[test]
    fn a_crate_without_a_licence_is_refused() {
        assert_eq!(findings(&Value::Null), 1);
    }
}
