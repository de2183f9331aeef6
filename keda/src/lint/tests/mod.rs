//! Each rule, broken and just not broken.

mod contracts;
mod knative;
mod manifests;

use jetlag::Description;
use jetlag::topology::Sizing;
use serde_json::{Value, json};

use super::*;
use crate::given;

/// A function with which nothing is wrong.
fn till() -> Value {
    json!({
        "name": "till", "version": "1.0.0", "summary": "Takes money.", "reads": "events",
        "listens_to": [{"type": "orders.placed", "aggregate": "order", "once_per_aggregate": true}],
        "emits": [], "admits": [], "keeps": [],
        "retry": {"first_delay_ms": 1_000, "max_delay_ms": 60_000, "max_attempts": 8},
        "time_limit_ms": 30_000, "concurrency": 64, "batch": 1,
        "breaker": {"failures": 5, "open_for_ms": 30_000},
        "scaling": {"min": 0, "max": 10, "cooldown_ms": 60_000, "polling_ms": 5_000},
    })
}

/// The function with one thing said otherwise.
fn but(pointer: &str, value: impl Into<Value>) -> Value {
    let mut function = till();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    function.pointer_mut(parent).unwrap()[key] = value.into();
    function
}

fn described(function: &Value) -> Description {
    serde_json::from_value(function.clone()).unwrap()
}

/// The rules that are broken.
fn rules(findings: &[Finding]) -> Vec<Rule> {
    findings.iter().map(|finding| finding.rule).collect()
}

/// The rules that a contract breaks, on streams of `sizing`.
fn broken_on(function: &Value, sizing: &Sizing) -> Vec<Rule> {
    rules(&lint(&[described(function)], sizing, &[]))
}

/// The rules that a contract breaks.
fn broken(function: &Value) -> Vec<Rule> {
    broken_on(function, &Sizing::default())
}

/// What is found in a file, beside the function.
fn found_in(text: &str, function: &Value) -> Vec<Finding> {
    let objects = given::read(text).unwrap();
    let placed: Vec<_> =
        objects.into_iter().map(|object| Placed { file: "till.yaml".into(), object }).collect();
    lint(&[described(function)], &Sizing::default(), &placed)
}

#[test]
fn every_rule_has_its_line_in_the_documentation_with_its_severity() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lint.md"));
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for rule in Rule::ALL {
        let begin = format!("| `{rule}` | {} | ", rule.severity());
        assert!(lines.iter().any(|line| line.starts_with(&begin)), "docs/lint.md has no line {begin:?}");
    }
    assert_eq!(lines.len(), Rule::ALL.len(), "docs/lint.md has a line of no rule");
}
