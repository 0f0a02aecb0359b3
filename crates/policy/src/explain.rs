//! Every rule with its numbers and verdict, by the very code that decides.

use serde::Serialize;

use crate::denial::Denial;
use crate::evaluate::{is_batch, run};
use crate::facts::Facts;
use crate::policy::Policy;
use crate::request::{Context, Request};
use crate::rules::{Rule, Scope, Tier, Visitor};
use crate::state::State;

/// What one rule says about one request, or one leg of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name; that of its field, where it has one.
    pub rule: &'static str,
    /// What the rule needs to hold.
    pub tier: Tier,
    /// Which leg of a batch, from 0; `None` for the request as a whole.
    pub leg: Option<usize>,
    /// The numbers it judged by; empty if it has no say in this intent.
    pub numbers: String,
    /// What it says.
    pub verdict: Verdict,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Allows it.
    Pass,
    /// Has no say in it.
    NotApplicable,
    /// Denies it.
    Deny(Denial),
}

/// Runs every rule and tells what each says. The request is approved exactly if none denies.
#[must_use]
pub fn explain(policy: &Policy, state: &State, request: &Request, context: &Context) -> Vec<Finding> {
    let mut findings = Findings { list: Vec::new(), is_batch: is_batch(request) };
    let judged = run(policy, state, request, context, &mut findings);
    let denies = |finding: &Finding| matches!(finding.verdict, Verdict::Deny(_));
    if judged.is_none() && !findings.list.iter().any(denies) {
        findings.deny("judged", Denial::NotJudged);
    }
    findings.list
}

struct Findings {
    list: Vec<Finding>,
    is_batch: bool,
}

impl Visitor for Findings {
    fn visit<R: Rule>(&mut self, rule: &R, facts: &Facts<'_>) {
        let is_request = matches!(R::SCOPE, Scope::Request);
        if is_request && facts.index > 0 {
            return;
        }
        let numbers = rule.numbers(facts);
        let verdict = match rule.check(facts) {
            Some(denial) => Verdict::Deny(denial),
            None if numbers.is_some() => Verdict::Pass,
            None => Verdict::NotApplicable,
        };
        self.list.push(Finding {
            rule: R::NAME,
            tier: R::TIER,
            leg: (self.is_batch && !is_request).then_some(facts.index),
            numbers: numbers.unwrap_or_default(),
            verdict,
        });
    }

    fn deny(&mut self, name: &'static str, denial: Denial) {
        self.list.push(Finding {
            rule: name,
            tier: Tier::SelfContained,
            leg: None,
            numbers: denial.to_string(),
            verdict: Verdict::Deny(denial),
        });
    }
}
