//! Recording and alerting rules as Prometheus reads them, the same for the Prometheus operator, and their unit tests.

use serde::Serialize;

use crate::alert::{Alert, Case};
use crate::{ALERTS, HEADER, slo};

type Yaml = Result<String, Box<dyn std::error::Error>>;

/// Where the pages of the runbook are, as an annotation of each alert. Whoever keeps them elsewhere replaces it.
const RUNBOOK: &str = "https://github.com/jetlag-functions/jetlag/blob/main/docs/runbook";
/// How often a rule is looked at.
const INTERVAL: &str = "30s";

/// What is in a file of rules.
#[derive(Debug, Serialize)]
pub struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: &'static str,
    interval: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Rule {
    Record { record: String, expr: String },
    Alert(Firing),
}

#[derive(Debug, Serialize)]
struct Firing {
    alert: &'static str,
    expr: &'static str,
    #[serde(rename = "for")]
    after: &'static str,
    labels: Severity,
    annotations: Annotations,
}

#[derive(Debug, Serialize)]
struct Severity {
    severity: &'static str,
}

#[derive(Debug, Serialize)]
struct Annotations {
    summary: String,
    runbook_url: String,
}

fn annotations(alert: &Alert, summary: String) -> Annotations {
    Annotations { summary, runbook_url: format!("{RUNBOOK}/{}.md", alert.name) }
}

/// Every rule.
pub fn rules() -> Rules {
    let record = |record: &str, expr: &str| Rule::Record { record: record.to_owned(), expr: expr.to_owned() };
    // Each process tells of all of them, and so does `jetlag metrics`: the largest holds.
    let figures = vec![
        record("function:jetlag_lag:sum", "sum by (function) (max by (function, stream) (jetlag_lag))"),
        record("function:jetlag_processes:count", "count by (function) (jetlag_slots)"),
        record(
            "function:jetlag_handled:rate5m",
            "sum by (function, outcome) (rate(jetlag_handled_total[5m]))",
        ),
    ];
    let missed = slo::WINDOWS.map(|window| record(&slo::missed(window), &slo::missed_expr(window)));
    let alerts = ALERTS.iter().map(|alert| {
        Rule::Alert(Firing {
            alert: alert.name,
            expr: alert.expr,
            after: alert.after,
            labels: Severity { severity: alert.severity.word() },
            annotations: annotations(alert, alert.summary.to_owned()),
        })
    });
    let group = |name, rules| Group { name, interval: INTERVAL, rules };
    Rules {
        groups: vec![
            group("jetlag-figures", figures),
            group("jetlag-objective", missed.into()),
            group("jetlag-alerts", alerts.collect()),
        ],
    }
}

/// The names of what is recorded.
#[cfg(test)]
pub(crate) fn recorded() -> Vec<String> {
    let groups = rules().groups.into_iter().flat_map(|group| group.rules);
    let name = |rule| match rule {
        Rule::Record { record, .. } => Some(record),
        Rule::Alert(_) => None,
    };
    groups.filter_map(name).collect()
}

/// Every rule, as a file that Prometheus reads.
///
/// # Errors
/// It cannot be written as YAML: a fault of this crate.
pub fn rules_file() -> Yaml {
    commented(&rules())
}

/// As an object of the Prometheus operator.
pub(crate) fn kubernetes() -> Yaml {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PrometheusRule {
        api_version: &'static str,
        kind: &'static str,
        metadata: Metadata,
        spec: Rules,
    }
    #[derive(Serialize)]
    struct Metadata {
        name: &'static str,
    }
    commented(&PrometheusRule {
        api_version: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata: Metadata { name: "jetlag" },
        spec: rules(),
    })
}

/// As `promtool test rules` reads them: two runs of each alert.
pub(crate) fn tests() -> Yaml {
    #[derive(Serialize)]
    struct Tests {
        rule_files: [&'static str; 1],
        evaluation_interval: &'static str,
        tests: Vec<Test>,
    }
    #[derive(Serialize)]
    struct Test {
        name: String,
        interval: &'static str,
        input_series: Vec<Series>,
        alert_rule_test: [Expectation; 1],
    }
    #[derive(Serialize)]
    struct Series {
        series: &'static str,
        values: &'static str,
    }
    #[derive(Serialize)]
    struct Expectation {
        eval_time: &'static str,
        alertname: &'static str,
        exp_alerts: Vec<Expected>,
    }
    #[derive(Serialize)]
    struct Expected {
        exp_labels: serde_json::Map<String, serde_json::Value>,
        exp_annotations: Annotations,
    }
    let expected = |alert: &Alert, case: &Case| {
        let labels = [("severity", alert.severity.word())];
        let labels = labels.iter().chain(case.labels).map(|(name, value)| ((*name).into(), (*value).into()));
        Expected {
            exp_labels: labels.collect(),
            exp_annotations: annotations(alert, alert.summary_of(case.labels)),
        }
    };
    let test = |alert: &'static Alert, case: &'static Case, is_fired: bool| Test {
        name: format!("{} {}", alert.name, if is_fired { "fires" } else { "is silent" }),
        interval: "1m",
        input_series: case.series.iter().map(|(series, values)| Series { series, values }).collect(),
        alert_rule_test: [Expectation {
            eval_time: case.at,
            alertname: alert.name,
            exp_alerts: if is_fired { vec![expected(alert, case)] } else { Vec::new() },
        }],
    };
    let both = |alert: &'static Alert| [test(alert, &alert.fires, true), test(alert, &alert.silent, false)];
    commented(&Tests {
        rule_files: ["rules.yaml"],
        evaluation_interval: "30s",
        tests: ALERTS.iter().flat_map(both).collect(),
    })
}

fn commented(value: &impl Serialize) -> Yaml {
    Ok(format!("# {HEADER}\n{}", serde_yaml::to_string(value)?))
}
