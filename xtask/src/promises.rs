//! `cargo xtask promises`: every promise of `docs/promises.toml` against the tests that exist.
//!
//! A promise counts as proved if it names tests and no `status`. One that names both is proved in
//! part: its tests must exist, but it does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toml_edit::{DocumentMut, Item, TableLike};

use crate::process;
use crate::workspace::Workspace;

/// How many promises each family makes; their ids run from 01.
const FAMILIES: &[(&str, u32)] = &[("ZC", 22), ("SOV", 66), ("ZT", 62), ("TB", 53)];

const FILE: &str = "docs/promises.toml";

/// The tests that exist: a name, and whether it runs without being asked for.
type Tests = BTreeMap<String, bool>;

/// Checks the file and prints last how many promises are proved, which it also returns.
pub(crate) fn run(workspace: &Workspace) -> Result<String> {
    let text = fs::read_to_string(workspace.root.join(FILE)).context(FILE)?;
    let mut tests = rust_tests(workspace)?;
    tests.extend(python_tests(workspace)?);
    let report = check(&text, &tests)?;
    for problem in &report.problems {
        println!("{FILE}: {problem}");
    }
    let total: u32 = FAMILIES.iter().map(|(_, count)| count).sum();
    let line = format!("{} of {total} proved", report.proved);
    if report.partly > 0 {
        println!("{} more in part", report.partly);
    }
    println!("{line}");
    if report.problems.is_empty() { Ok(line) } else { bail!("{} problems in {FILE}", report.problems.len()) }
}

#[derive(Default)]
struct Report {
    problems: Vec<String>,
    proved: u32,
    partly: u32,
}

fn check(text: &str, tests: &Tests) -> Result<Report> {
    let document: DocumentMut = text.parse().context(FILE)?;
    let expected = ids();
    let mut report = Report::default();
    for id in expected.iter().filter(|id| !document.contains_key(id)) {
        report.problems.push(format!("{id} is missing"));
    }
    for (id, item) in document.iter() {
        let Some(entry) = item.as_table_like().filter(|_| expected.contains(id)) else {
            report.problems.push(format!("`{id}` is not a promise"));
            continue;
        };
        match named_tests(entry) {
            Ok(names) => {
                let unfit = names.iter().filter_map(|name| unfit(name, tests));
                report.problems.extend(unfit.map(|problem| format!("{id}: {problem}")));
                match (names.is_empty(), entry.contains_key("status")) {
                    (true, _) => {}
                    (false, true) => report.partly += 1,
                    (false, false) => report.proved += 1,
                }
            }
            Err(problem) => report.problems.push(format!("{id}: {problem}")),
        }
    }
    Ok(report)
}

/// Every id, in the order of the families.
fn ids() -> BTreeSet<String> {
    let family =
        |(name, count): &(&str, u32)| (1..=*count).map(move |n| format!("{name}-{n:02}")).collect::<Vec<_>>();
    FAMILIES.iter().flat_map(family).collect()
}

/// The tests an entry names; an error says how the entry is malformed.
fn named_tests(entry: &dyn TableLike) -> Result<Vec<&str>, String> {
    if let Some((key, _)) = entry.iter().find(|(key, _)| !["claim", "status", "tests"].contains(key)) {
        return Err(format!("unknown field `{key}`"));
    }
    let filled = |key: &str| {
        let text = entry.get(key).map(|item| item.as_str().unwrap_or_default());
        text.is_none_or(|text| !text.trim().is_empty())
    };
    if !entry.contains_key("claim") || !filled("claim") || !filled("status") {
        return Err("`claim` and, where given, `status` must say something".to_owned());
    }
    let names = match entry.get("tests").map(Item::as_array) {
        None => Vec::new(),
        Some(None) => return Err("`tests` is not an array".to_owned()),
        Some(Some(array)) => {
            let names: Option<Vec<&str>> = array.iter().map(|name| name.as_str()).collect();
            names.filter(|names| !names.is_empty()).ok_or("`tests` must be an array of names, not empty")?
        }
    };
    if names.is_empty() && !entry.contains_key("status") {
        return Err("names neither tests nor a status".to_owned());
    }
    Ok(names)
}

fn unfit(name: &str, tests: &Tests) -> Option<String> {
    match tests.get(name) {
        None => Some(format!("no test `{name}`")),
        Some(false) => Some(format!("test `{name}` is ignored, so it proves nothing")),
        Some(true) => None,
    }
}

/// Every Rust test as `crate::path::test`, where an integration-test binary adds its own name
/// after the crate's: `policy::rules::tests::x`, `policy::it::boundaries::y`.
fn rust_tests(workspace: &Workspace) -> Result<Tests> {
    let words = ["nextest", "list", "--workspace", "--locked", "--message-format", "json"];
    let listed: Value = serde_json::from_str(&process::output(&mut workspace.cargo(&words))?)?;
    let suites = listed["rust-suites"].as_object().context("the test list has no suites")?;
    let mut tests = Tests::new();
    for (binary, suite) in suites {
        let prefix = match suite["kind"].as_str() {
            Some("bin") => suite["package-name"].as_str().context("a suite without a package")?,
            _ => binary,
        };
        for (name, case) in suite["testcases"].as_object().into_iter().flatten() {
            tests.insert(format!("{prefix}::{name}"), case["ignored"].as_bool() == Some(false));
        }
    }
    Ok(tests)
}

/// Every Python test as `clients/<file>::<function>`.
fn python_tests(workspace: &Workspace) -> Result<Tests> {
    let mut tests = Tests::new();
    for entry in fs::read_dir(workspace.root.join("tests/clients"))? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.starts_with("test_") && file.ends_with(".py") {
            let text = fs::read_to_string(&path)?;
            tests.extend(python_functions(&text).map(|name| (format!("clients/{file}::{name}"), true)));
        }
    }
    Ok(tests)
}

fn python_functions(text: &str) -> impl Iterator<Item = &str> {
    let signatures = text.lines().filter_map(|line| line.strip_prefix("def "));
    signatures.filter(|rest| rest.starts_with("test_")).filter_map(|rest| rest.split('(').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A complete file in which every promise but `ZC-01` has a status.
    fn file(first: &str) -> String {
        let rest = ids().into_iter().filter(|id| id != "ZC-01");
        let rest = rest.map(|id| format!("[{id}]\nclaim = \"c\"\nstatus = \"not built yet\"\n"));
        format!("[ZC-01]\nclaim = \"c\"\n{first}\n{}", rest.collect::<String>())
    }

    fn report(first: &str) -> Report {
        let tests = [("a::works".to_owned(), true), ("a::slow".to_owned(), false)];
        check(&file(first), &tests.into()).unwrap()
    }

    #[test]
    fn there_are_203_promises() {
        assert_eq!(ids().len(), 203);
    }

    #[test]
    fn a_promise_with_tests_that_exist_is_proved() {
        let report = report("tests = [\"a::works\"]");
        assert_eq!((report.problems, report.proved), (vec![], 1));
    }

    #[test]
    fn a_promise_with_tests_and_a_status_is_not_counted() {
        let report = report("tests = [\"a::works\"]\nstatus = \"half of it\"");
        assert_eq!((report.problems, report.proved, report.partly), (vec![], 0, 1));
    }

    #[test]
    fn an_unknown_or_ignored_test_is_a_problem() {
        assert_eq!(report("tests = [\"a::gone\"]").problems, ["ZC-01: no test `a::gone`"]);
        assert_eq!(report("tests = [\"a::slow\"]").problems.len(), 1);
    }

    #[test]
    fn an_entry_must_say_something() {
        for entry in
            ["", "tests = []", "tests = [1]", "tests = \"a::works\"", "status = \" \"", "prove = \"x\""]
        {
            assert_eq!(report(entry).problems.len(), 1, "{entry}");
        }
    }

    #[test]
    fn a_missing_or_unknown_promise_is_a_problem() {
        let text = file("status = \"s\"").replace("[ZT-07]", "[ZT-99]");
        let problems = check(&text, &Tests::new()).unwrap().problems;
        assert_eq!(problems, ["ZT-07 is missing", "`ZT-99` is not a promise"]);
    }

    #[test]
    fn python_tests_are_the_functions_of_their_file() {
        let text = "import x\ndef helper():\n    def test_inner():\ndef test_place(ccxt, venue):\n";
        assert_eq!(python_functions(text).collect::<Vec<_>>(), ["test_place"]);
    }
}
