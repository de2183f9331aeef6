//! The OpenTelemetry Collector itself, as `tests/collector` builds it: what it has written to its file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tests::{free_port, until};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::Span;

/// The file that `observe/collector.yaml` names.
const FILE: &str = "traces.jsonl";

#[derive(Debug)]
pub struct Real {
    directory: TempDir,
    _process: Child,
}

impl Real {
    /// Starts it, and says where it takes OTLP.
    pub async fn start() -> (Self, String) {
        let program = std::env::var_os("COLLECTOR").expect("COLLECTOR names the program, which CI builds");
        let directory = tempfile::tempdir().unwrap();
        let at = format!("127.0.0.1:{}", free_port());
        let mut configuration = include_str!("../../../observe/collector.yaml").to_owned();
        for (theirs, ours) in [
            ("127.0.0.1:4318", at.as_str()),
            // Traces without a failure are looked at here, too.
            ("sampling_percentage: 1}", "sampling_percentage: 100}"),
        ] {
            assert!(configuration.contains(theirs), "{theirs}");
            configuration = configuration.replace(theirs, ours);
        }
        std::fs::write(directory.path().join("collector.yaml"), configuration).unwrap();
        let log = directory.path().join("collector.log");
        let mut command = Command::new(program);
        command.args(["--config", "file:collector.yaml"]).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        until("the collector", async || {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(&log).unwrap());
            TcpStream::connect(&at).await.ok()
        })
        .await;
        (Self { directory, _process: process }, format!("http://{at}"))
    }

    /// What it has let through so far.
    pub fn spans(&self) -> Vec<Span> {
        spans_in(&self.directory.path().join(FILE))
    }
}

/// What a collector has written to its `file` so far.
pub fn spans_in(file: &Path) -> Vec<Span> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // The last line may be half written.
    let requests: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let resources = requests.iter().flat_map(|request| list(&request["resourceSpans"]));
    let of_resource = |resource: &Value| -> Vec<Span> {
        let service = named(&resource["resource"]).remove("service.name").unwrap_or_default();
        let spans = list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"]));
        spans.map(|one| span(&service, one)).collect()
    };
    resources.flat_map(of_resource).collect()
}

fn span(service: &str, json: &Value) -> Span {
    let each = |what: &str, name: &str| list(&json[what]).iter().map(|one| text(&one[name])).collect();
    Span {
        service: service.to_owned(),
        name: text(&json["name"]),
        id: text(&json["spanId"]),
        parent: text(&json["parentSpanId"]),
        trace: text(&json["traceId"]),
        kind: json["kind"].as_i64().unwrap().try_into().unwrap(),
        is_error: json["status"]["code"] == 2,
        began: text(&json["startTimeUnixNano"]).parse().unwrap(),
        ended: text(&json["endTimeUnixNano"]).parse().unwrap(),
        links: each("links", "traceId"),
        events: each("events", "name"),
        attributes: named(json),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn named(of: &Value) -> BTreeMap<String, String> {
    let known = |value: &Value| value.get("stringValue").or_else(|| value.get("intValue")).map(text);
    let attributes = list(&of["attributes"]).iter();
    attributes
        .map(|one| (text(&one["key"]), known(&one["value"]).unwrap_or_else(|| one["value"].to_string())))
        .collect()
}
