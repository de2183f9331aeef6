//! The tables in docs/capacity.md are what the arithmetic says: `BLESS=1 cargo test -p jetlag-cli --lib capacity::table`
//! writes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jetlag::Description;
use jetlag::topology::Sizing;
use serde_json::{Value, json};

use super::finding::time;
use super::{Asked, Means, Plan, Rate, measured};
use crate::status::{grouped, size};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// One event for each input, and nothing else.
fn alone() -> Vec<Description> {
    let json = json!([{
        "name": "f", "version": "1", "summary": "", "reads": "events",
        "listens_to": [{"type": "a.b", "aggregate": "x", "once_per_aggregate": true}], "emits": [], "admits": [],
        "keeps": [], "retry": {"first_delay_ms": 1, "max_delay_ms": 1, "max_attempts": 1},
        "time_limit_ms": 1, "concurrency": 1, "batch": 1,
    }]);
    serde_json::from_value(json).unwrap()
}

fn plan(functions: &[Description], said: &[(&str, Rate)], horizon: Duration) -> Plan {
    let types: BTreeMap<String, Rate> = said.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
    let sizing = Sizing { horizon, ..Sizing::default() };
    Plan::of(functions, &sizing, &Asked { total: None, types }, &Means::default()).unwrap()
}

/// What is kept for each rate and horizon.
fn rates() -> String {
    let mut text = String::from(
        "| Events/s | Horizon | Events kept | Disk of EVENTS | Memory | Start after a kill | AUDIT grows, a day |\n|---|---|---|---|---|---|---|\n",
    );
    for rate in [10, 100, 1_000, 5_000] {
        for hours in [1, 6, 24, 7 * 24] {
            let plan = plan(&alone(), &[("a.b", Rate::per_second(rate))], HOUR * hours);
            let (events, audit) = (&plan.streams[0], &plan.streams[1]);
            let a_day = audit.rate.within(HOUR * 24) * audit.bytes_each();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                grouped(rate),
                time(HOUR * hours),
                grouped(events.messages),
                size(events.bytes),
                size(events.memory_bytes),
                time(Duration::from_secs(plan.start_s)),
                size(a_day),
            );
        }
    }
    text
}

/// The figures that everything is computed from.
fn constants() -> String {
    let mut text = String::from("| What | Figure |\n|---|---|\n");
    for (what, figure) in [
        ("an event in its stream and on the disk, beside its data", size(measured::EVENT_OVERHEAD_BYTES)),
        ("the data of an event whose contract has no example", size(measured::DATA_BYTES)),
        ("a receipt, or a piece of state", size(measured::RECEIPT_BYTES)),
        ("memory for each subject in EVENTS: event, receipt, state", size(measured::SUBJECT_MEMORY_BYTES)),
        ("memory of a broker beside that", size(measured::BROKER_MEMORY_BYTES)),
        ("the most of EVENTS in memory after it was read all over", size(measured::READ_MEMORY_MAX_BYTES)),
        ("memory for each connection", size(measured::CONNECTION_MEMORY_BYTES)),
        (
            "start after a kill, for each million subjects",
            time(Duration::from_millis(measured::START_MS_PER_MILLION)),
        ),
        ("messages a second that one stream takes and gives", grouped(measured::STREAM_EVENTS_PER_S)),
        ("inputs a second of one process", grouped(measured::PROCESS_INPUTS_PER_S)),
        ("messages in, and out, for each input", grouped(measured::MESSAGES_PER_INPUT)),
    ] {
        let _ = writeln!(text, "| {what} | {figure} |");
    }
    text
}

/// The application of this repository at the article's rate, as the command tells it.
fn shop() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("keda/base/provision.yaml")).unwrap();
    let objects: Vec<Value> = serde_yaml::from_multiple(&page).unwrap();
    let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let contracts: Value = serde_json::from_str(map["data"]["contracts.json"].as_str().unwrap()).unwrap();
    let functions: Vec<Description> = serde_json::from_value(contracts["functions"].clone()).unwrap();
    let said = [
        ("orders.placed", 167),
        ("payments.declined", 3),
        ("inventory.rejected", 1),
        ("inventory.released", 3),
        ("orders.cancelled", 4),
    ];
    let said = said.map(|(name, rate)| (name, Rate::per_second(rate)));
    let words: String = said.iter().map(|(name, rate)| format!(" \\\n    --rate {name}={rate}")).collect();
    format!("```\n$ jetlag doctor{words}\n{}```\n", plan(&functions, &said, HOUR * 24).in_words())
}

#[test]
fn the_documentation_has_what_is_computed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/capacity.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut wanted = text.clone();
    for (name, table) in [("constants", constants()), ("rates", rates()), ("shop", shop())] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = wanted.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        wanted = format!("{before}{begin}{table}{end}{after}");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(text == wanted, "docs/capacity.md is not what is computed: BLESS=1 writes it");
}
