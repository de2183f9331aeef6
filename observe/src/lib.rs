//! What watches a Jetlag application: alerts with their tests, recording rules, dashboards and the table of metrics, all made
//! from the names that the runtime has (`jetlag::telemetry::names`).
//!
//! [`files`] gives every file. They are committed, and a test holds them against this. To write them after a change:
//! `JETLAG_WRITE=1 cargo test -p observe`.

pub mod alert;
mod alerts;
pub mod dashboard;
mod dashboards;
mod reference;
mod rules;
pub mod slo;

pub use alerts::ALERTS;
pub use dashboards::DASHBOARDS;
pub use rules::{rules, rules_file};

/// The configuration of an OpenTelemetry Collector: `observe/collector.yaml`.
pub const COLLECTOR: &str = include_str!("../collector.yaml");
/// What is laid over it for a Zipkin to show every trace: `observe/zipkin.yaml`.
pub const ZIPKIN: &str = include_str!("../zipkin.yaml");

/// What a generated file begins with, after whatever makes it a comment.
const HEADER: &str = "Made by the crate `observe` from the names of the runtime. Change those, not this.";

/// A file that is made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the repository.
    pub path: &'static str,
    /// What it holds; of a page that is written by hand, the part between the marks.
    pub text: String,
}

/// Every file.
///
/// # Errors
/// Something cannot be written as YAML or JSON: a fault of this crate.
pub fn files() -> Result<Vec<File>, Box<dyn std::error::Error>> {
    let mut files = vec![
        File { path: "observe/prometheus/rules.yaml", text: rules_file()? },
        File { path: "observe/prometheus/prometheusrule.yaml", text: rules::kubernetes()? },
        File { path: "observe/prometheus/tests.yaml", text: rules::tests()? },
        File { path: "docs/telemetry.md", text: reference::table() },
        File { path: "docs/runbook/README.md", text: reference::alerts() },
    ];
    for dashboard in DASHBOARDS {
        files.push(File { path: dashboard.path, text: dashboard.json()? });
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
