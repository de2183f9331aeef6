//! The tables of docs/telemetry.md and docs/runbook/README.md that are made here.

use std::fmt::Write;

use jetlag::telemetry::names::{
    Kind, METRICS, Metric, PROCESS_DURATION_ABOUT, PROCESS_DURATION_BUCKETS, PROCESS_DURATION_SUFFIX, Teller,
};

use crate::ALERTS;

/// Every metric, as a table.
pub(crate) fn table() -> String {
    let mut text = String::new();
    for (title, tellers) in [
        ("Each process of a function", [Teller::Process, Teller::Both]),
        ("`jetlag metrics`, of the broker", [Teller::Broker, Teller::Both]),
    ] {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "### {title}\n\n| Metric | Kind | Unit | Labels | Tells |\n|---|---|---|---|---|");
        if tellers.contains(&Teller::Process) {
            let name = format!("`<function>{PROCESS_DURATION_SUFFIX}`");
            let buckets = buckets(&PROCESS_DURATION_BUCKETS);
            let _ = writeln!(
                text,
                "| {name} | histogram | s | `function` `status` | {PROCESS_DURATION_ABOUT} Buckets: {buckets}. |"
            );
        }
        for metric in METRICS.iter().filter(|metric| tellers.contains(&metric.teller)) {
            row(&mut text, metric);
        }
        text.push('\n');
    }
    text
}

fn row(text: &mut String, metric: &Metric) {
    let Metric { name, kind, unit, labels, about, .. } = metric;
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let (labels, word, unit) = (labels.join(" "), kind.word(), unit.word());
    let _ = write!(text, "| `{name}` | {word} | {unit} | {labels} | {about}");
    if let Kind::Histogram(bounds) = kind {
        let _ = write!(text, " Buckets: {}.", buckets(bounds));
    }
    text.push_str(" |\n");
}

fn buckets(bounds: &[f64]) -> String {
    bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Every alert, as a table.
pub(crate) fn alerts() -> String {
    let mut text = "| Alert | For | | What is wrong |\n|---|---|---|---|\n".to_owned();
    for alert in ALERTS {
        let name = alert.name;
        let summary = alert.summary.replace("{{ $labels.", "*").replace(" }}", "*");
        let _ = writeln!(
            text,
            "| [{name}]({name}.md) | {} | {} | {summary} |",
            alert.severity.word(),
            alert.after
        );
    }
    text
}
