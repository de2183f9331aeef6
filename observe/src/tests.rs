use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jetlag::telemetry::names::{self, Kind, METRICS, PROCESS_DURATION_SUFFIX};

/// Between these a page that is written by hand holds what is made here.
const MARKS: [&str; 2] = ["<!-- made by the crate observe -->\n", "<!-- until here -->\n"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The whole text of the file as it should be.
fn wanted(file: &File, committed: &str) -> String {
    if !file.path.ends_with(".md") {
        return file.text.clone();
    }
    let [begin, end] = MARKS;
    let (before, rest) = committed.split_once(begin).unwrap_or_else(|| panic!("{} has no mark", file.path));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{} has no second mark", file.path));
    format!("{before}{begin}\n{}\n{end}{after}", file.text.trim_end())
}

#[test]
fn what_is_committed_is_what_the_names_make() {
    let mut stale = Vec::new();
    for file in files().unwrap() {
        let path = root().join(file.path);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let wanted = wanted(&file, &committed);
        if committed != wanted {
            if std::env::var_os("JETLAG_WRITE").is_some() {
                fs::write(&path, wanted).unwrap();
            } else {
                stale.push(file.path);
            }
        }
    }
    assert!(stale.is_empty(), "write them by JETLAG_WRITE=1 cargo test -p observe: {stale:?}");
}

#[test]
fn every_alert_has_a_page_with_a_command_and_what_is_safe() {
    for alert in ALERTS {
        let page =
            fs::read_to_string(root().join(alert.page())).unwrap_or_else(|_| panic!("{}", alert.page()));
        assert!(page.starts_with(&format!("# {}\n", alert.name)), "{}", alert.page());
        for part in ["**Means.**", "**Look.**", "**Do.**", "**Safe?**", "```sh\n"] {
            assert!(page.contains(part), "{} has no {part}", alert.page());
        }
        assert!(page.lines().count() < 40, "{} is no page for 3 a.m.", alert.page());
    }
    let pages = fs::read_dir(root().join("docs/runbook")).unwrap().count();
    assert_eq!(pages, ALERTS.len() + 1, "a page in docs/runbook is of no alert");
}

#[test]
fn the_objective_has_one_bound() {
    assert_eq!(slo::WITHIN.as_secs().to_string(), slo::WITHIN_SECONDS);
    let journey = METRICS.iter().find(|metric| metric.name == names::JOURNEY).unwrap();
    let Kind::Histogram(buckets) = journey.kind else { panic!("{journey:?}") };
    assert!(buckets.contains(&slo::WITHIN.as_secs_f64()), "no bucket ends there: {buckets:?}");
}

#[test]
fn the_dashboard_of_an_order_leads_to_its_trace_and_its_logs() {
    let order = DASHBOARDS.iter().find(|dashboard| dashboard.of == dashboard::Of::Order).unwrap();
    let text = order.json().unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let has = |name: &str| variables.iter().any(|variable| variable["name"] == name);
    for used in ["order_id", "trace_id", "prometheus", "loki", "traces"] {
        assert!(has(used) && text.contains(&format!("${{{used}}}")), "{used}");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(
        panels[1]["targets"][0]["expr"],
        r#"{service_name=~".+"} | json | order_id = "${order_id}" | order_id != """#
    );
    let mut places: Vec<_> = panels.iter().map(|panel| panel["gridPos"].to_string()).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), panels.len(), "one stands on another");
}

/// The names of metrics in a query that should be Jetlag's own.
fn asked_for(query: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = query.split(|c: char| !is_name(c));
    words.filter(|word| word.contains("jetlag_")).map(str::to_owned).collect()
}

#[test]
fn every_query_asks_for_metrics_that_there_are_by_labels_that_they_have() {
    let recorded: Vec<String> = rules::recorded();
    let queries = DASHBOARDS.iter().flat_map(|dashboard| dashboard.queries("payment"));
    let queries = queries.chain(ALERTS.iter().map(|alert| alert.expr.to_owned()));
    let mut seen = 0;
    for query in queries.chain(slo::WINDOWS.map(slo::missed_expr)) {
        for name in asked_for(&query) {
            seen += 1;
            let plain = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            let is_known = METRICS.iter().any(|metric| metric.name == name || Some(metric.name) == plain);
            assert!(is_known || recorded.contains(&name), "{name} of {query}");
        }
        let knows = |label: &str| {
            METRICS.iter().any(|metric| metric.labels.contains(&label))
                || ["le", "namespace", "pod", "container", ""].contains(&label)
        };
        for by in query.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(by.split(',').all(|label| knows(label.trim())), "{by} of {query}");
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn a_graph_of_times_has_exemplars_and_leads_to_their_traces() {
    let mut with_exemplars = Vec::new();
    for dashboard in DASHBOARDS {
        let text = dashboard.json().unwrap();
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        let panels = text["panels"].as_array().unwrap();
        let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
        let with = targets.filter(|target| target["exemplar"] == true);
        with_exemplars.extend(with.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    // What is recorded by a rule has none.
    let asks_for = |name: &str| with_exemplars.iter().filter(|query| query.contains(name)).count();
    for (name, graphs) in [(PROCESS_DURATION_SUFFIX, 3), (names::QUEUE_TIME, 1), (names::JOURNEY, 3)] {
        assert_eq!(asks_for(&format!("{name}_bucket")), graphs, "{name}: {with_exemplars:#?}");
    }
}

/// Needs `promtool` (`PROMTOOL`, or on the search path): CI has it.
#[test]
#[ignore = "needs promtool"]
fn every_alert_fires_when_it_must_and_is_silent_when_it_must() {
    let promtool = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let directory = root().join("observe/prometheus");
    for arguments in [&["check", "rules", "rules.yaml"][..], &["test", "rules", "tests.yaml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(&directory).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}
