//! What each rule has to say of a request.

use policy::{Finding, Verdict, explain};
use trading::Intent;

use crate::support::*;

fn findings(bench: &Bench, intent: Intent) -> Vec<Finding> {
    explain(&bench.policy, &bench.state, &bench.request(intent), &bench.context)
}

fn of<'a>(findings: &'a [Finding], rule: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.rule == rule).collect()
}

#[test]
fn a_rule_that_has_no_say_is_told_from_one_that_passes() {
    let bench = bench();
    let found = findings(&bench, place(order()));
    let [tick] = of(&found, "tick")[..] else { panic!("once: {found:?}") };
    assert_eq!(tick.verdict, Verdict::Pass);
    assert!(!tick.numbers.is_empty());
    let found = findings(&bench, cancel("a"));
    let [thesis] = of(&found, "require_thesis")[..] else { panic!("once: {found:?}") };
    assert_eq!((&thesis.verdict, thesis.numbers.as_str()), (&Verdict::NotApplicable, ""));
}

#[test]
fn in_a_batch_each_leg_has_its_findings_and_the_request_its_own() {
    let bench = bench();
    let found = findings(&bench, Intent::Batch(vec![place(order()), place(named("b"))]));
    let legs: Vec<_> = of(&found, "tick").iter().map(|finding| finding.leg).collect();
    assert_eq!(legs, [Some(0), Some(1)]);
    let legs: Vec<_> = of(&found, "max_clock_skew_ms").iter().map(|finding| finding.leg).collect();
    assert_eq!(legs, [None], "once for the whole request");
    let found = findings(&bench, place(order()));
    assert!(found.iter().all(|finding| finding.leg.is_none()), "one order is no leg");
}
