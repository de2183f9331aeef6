//! The linter: what will go wrong between a contract, its streams, KEDA and Kubernetes, before it does.
//!
//! Pure: contracts, the sizing of streams and the objects that somebody has written, in; findings out. Each finding says
//! what is wrong, what comes of it, and what to write instead. Each rule has its line in docs/lint.md.

mod binding;
mod contract;
mod knative;
mod pods;
mod rule;
mod scale;
mod scaled_object;
mod streams;
#[cfg(test)]
mod tests;

use jetlag::Description;
use jetlag::topology::{Sizing, Topology};
use serde::Serialize;

pub use rule::{Rule, Severity};

use crate::given::Given;
use scale::Scale;

/// Something that will go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// By which rule.
    pub rule: Rule,
    /// Where: the contract of a function, or an object in a file.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What comes of it.
    pub why: String,
    /// What to write instead.
    pub instead: String,
}

/// An object and the file that it is in.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The file, as it was named.
    pub file: String,
    /// The object.
    pub object: Given,
}

/// What will go wrong with `functions` on streams of `sizing`, and with what is `given`. A ScaledObject that is given says
/// how its function is scaled, instead of its contract.
pub fn lint(functions: &[Description], sizing: &Sizing, given: &[Placed]) -> Vec<Finding> {
    let mut findings = Findings::default();
    for function in functions {
        contract::look(function, sizing, &mut findings);
        let is_scaled_here = given.iter().any(|placed| match &placed.object {
            Given::ScaledObject(object) => {
                scaled_object::function_of(object, functions).is_some_and(|of| of.name == function.name)
            }
            _ => false,
        });
        if !is_scaled_here {
            scale::look(&Scale::of_contract(function), Some(function), &mut findings);
        }
    }
    streams::look(&Topology::of(functions, sizing), &mut findings);
    for Placed { file, object } in given {
        match object {
            Given::ScaledObject(object) => {
                let function = scaled_object::function_of(object, functions);
                scaled_object::look(file, object, function, &mut findings);
            }
            Given::Deployment(deployment) => pods::look(file, deployment, functions, given, &mut findings),
            Given::Consumer(consumer) => streams::look_at(file, consumer, &mut findings),
            Given::Service(service) => knative::look(file, service, functions, &mut findings),
            Given::Trigger(trigger) => knative::look_at(file, trigger, functions, sizing, &mut findings),
            Given::Binding(binding) => binding::look(file, binding, functions, given, &mut findings),
        }
    }
    findings.0
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Notes a finding if `is`.
    fn add(&mut self, is: bool, rule: Rule, place: &str, texts: impl FnOnce() -> Texts) {
        if is {
            let Texts { what, why, instead } = texts();
            let place = place.to_owned();
            self.0.push(Finding {
                severity: rule.severity(),
                rule,
                place,
                what,
                why: why.to_owned(),
                instead,
            });
        }
    }
}

/// The sentences of a finding.
struct Texts {
    what: String,
    why: &'static str,
    instead: String,
}

/// A time as people write it.
fn seconds(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) {
        format!("{} s", milliseconds / 1000)
    } else {
        format!("{milliseconds} ms")
    }
}
