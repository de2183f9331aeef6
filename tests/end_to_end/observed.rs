//! A real Prometheus scrapes a shop during an outage: what must fire fires, the rest does not, and every query of the
//! dashboards gives something.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use jetlag_cli::console::Console;
use jetlag_cli::exporter::{Exporter, Monitor, Verified, serve};
use jetlag_cli::prometheus::{Program, Prometheus};
use jetlag_cli::status::Look;
use jetlag_cli::traces::Traces;
use observe::{ALERTS, DASHBOARDS};
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use tests::{free_port, until, until_or};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::collector::{Collector, Span, spans_in};
use crate::shop::Opened;

const FUNCTIONS: [&str; 5] = ["order", "inventory", "payment", "notification", "audit"];
/// What an outage of the gateway and one bad event make.
const FIRE: [&str; 3] = ["JetlagBreakerOpen", "JetlagDeadLetters", "JetlagOrdersLateFast"];
/// What goes with them, and what is so before the first scrape; the rest is silent.
const MAY_FIRE: [&str; 4] =
    ["JetlagDeadLettersKept", "JetlagOrdersLateSlow", "JetlagOrdersLateCreeping", "JetlagNobodyLooks"];

/// The rules, each looked at every second and without its patience: how long something lasts is the business of their own
/// tests.
fn impatient() -> String {
    let rules = include_str!("../../observe/prometheus/rules.yaml").replace("interval: 30s", "interval: 1s");
    let lines = rules.lines().map(|line| match line.split_once("for: ") {
        Some((before, _)) => format!("{before}for: 0s\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// What the Prometheus at `url` answers to `query`.
async fn ask(client: &reqwest::Client, url: &str, query: &str) -> Option<Vec<Value>> {
    let answer = client.post(format!("{url}/api/v1/query")).form(&[("query", query)]).send().await.ok()?;
    let answer: Value = answer.json().await.ok()?;
    assert_ne!(answer["status"], "error", "{query}: {answer}");
    answer["data"]["result"].as_array().cloned()
}

/// Needs `prometheus` (`PROMETHEUS`, or on the search path): CI has it.
#[tokio::test]
#[ignore = "needs prometheus"]
async fn the_prometheus_of_up_has_every_process_every_alert_the_audit_and_exemplars_and_ends_with_it() {
    let collector = Collector::open().await;
    let opened = Opened::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())]).await;
    let status = opened.shop.running().status();
    let program = Program::find().unwrap();
    let prometheus = Prometheus::start(&program, &status, Console::silent()).await.unwrap();
    let url = prometheus.url.clone();
    let page = opened.client.get(&prometheus.alerts).send().await.unwrap();
    assert!(page.status().is_success(), "{}: {}", prometheus.alerts, page.status());
    let seen = async |query: &str| ask(&opened.client, &url, query).await;
    until("every process, and the look at the broker", async || {
        (seen("up == 1").await?.len() == FUNCTIONS.len() + 1).then_some(())
    })
    .await;
    for (query, most) in [("jetlag_function_info", FUNCTIONS.len()), ("jetlag_broker_answers == 1", 1)] {
        until(query, async || (seen(query).await?.len() == most).then_some(())).await;
    }
    until("audit trail that is verified", async || {
        seen("jetlag_audit_faults == 0 and jetlag_audit_verified_timestamp_seconds > 0").await?.pop()
    })
    .await;
    let rules = opened.client.get(format!("{url}/api/v1/rules?type=alert")).send().await.unwrap();
    let rules = rules.text().await.unwrap();
    let missing: Vec<&str> = ALERTS
        .iter()
        .map(|alert| alert.name)
        .filter(|name| !rules.contains(&format!("\"{name}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    exemplars_lead_to_the_trace_of_an_order(&opened, &url).await;
    prometheus.stop().await;
    assert!(seen("up").await.is_none(), "it still answers");
    opened.shop.close().await;
}

/// The histograms of each function that an order goes through have its trace as an example, and none has one of a trace that
/// is not recorded. `audit` has no spans: it takes its inputs in batches.
async fn exemplars_lead_to_the_trace_of_an_order(opened: &Opened, prometheus: &str) {
    let [recorded, unrecorded] = ["5a", "5b"].map(|two| two.repeat(16));
    for (trace, flag) in [(&recorded, "01"), (&unrecorded, "00")] {
        let order =
            json!({"order_id": format!("E-{flag}"), "customer_id": "C", "amount": 10, "currency": "GBP"});
        let parent = format!("00-{trace}-b7ad6b7169203331-{flag}");
        let (status, _) =
            opened.post_with("/orders", order.to_string(), &[("traceparent", parent.as_str())]).await;
        assert_eq!(status, 202);
        opened.event(&format!("orders.confirmed.E-{flag}.>")).await;
    }
    let kept = async |query: &str| -> Option<Vec<Value>> {
        let ask = [("query", query), ("start", "2026-01-01T00:00:00Z"), ("end", "2100-01-01T00:00:00Z")];
        let url = format!("{prometheus}/api/v1/query_exemplars");
        let answer: Value = opened.client.post(url).form(&ask).send().await.ok()?.json().await.ok()?;
        let series = answer["data"].as_array()?.iter().filter_map(|series| series["exemplars"].as_array());
        Some(series.flatten().cloned().collect())
    };
    let is_of = |trace: &str, kept: &[Value]| kept.iter().any(|one| one["labels"]["trace_id"] == trace);
    for name in [
        "order_process_duration_seconds_bucket{status=\"success\"}",
        "inventory_process_duration_seconds_bucket",
        "payment_process_duration_seconds_bucket",
        "notification_process_duration_seconds_bucket",
        "jetlag_queue_time_seconds_bucket{function=\"payment\"}",
        "jetlag_journey_seconds_bucket{function=\"order\"}",
        "jetlag_http_request_duration_seconds_bucket{route=\"/orders\"}",
    ] {
        let kept = until(&format!("an exemplar of {name}"), async || {
            kept(name).await.filter(|kept| is_of(&recorded, kept))
        })
        .await;
        assert!(!is_of(&unrecorded, &kept), "{name}: {kept:?}");
    }
}

/// Needs the OpenTelemetry Collector (`COLLECTOR`): CI builds it.
#[tokio::test]
#[ignore = "needs the OpenTelemetry Collector"]
async fn the_collector_of_up_has_the_trace_of_an_order_and_ends_with_it() {
    let program = std::env::var_os("COLLECTOR").expect("COLLECTOR names the program, which CI builds");
    let opened = Opened::as_told(|options| {
        // Without a viewer, whatever this machine has: what an order whose charge fails once leaves is kept all the same.
        options.app.traces = Some(Traces { collector: program.into(), viewer: None });
    })
    .await;
    let running = opened.shop.running();
    let at = running.companion("collector").unwrap();
    let pid = running.pid("collector").unwrap();
    let gateway = running.companion("gateway").unwrap();
    let fails = opened.client.put(format!("{gateway}/control")).json(&json!({"fail_next": 1}));
    assert!(fails.send().await.unwrap().status().is_success());

    let (trace, parent) = ("6c".repeat(16), "b7ad6b7169203331");
    let order = json!({"order_id": "C-1", "customer_id": "C", "amount": 10, "currency": "GBP"});
    let traceparent = format!("00-{trace}-{parent}-01");
    let (status, _) =
        opened.post_with("/orders", order.to_string(), &[("traceparent", traceparent.as_str())]).await;
    assert_eq!(status, 202);
    opened.event("orders.confirmed.C-1.>").await;
    let file = opened.data().join("collector/traces.jsonl");
    until("the trace of the order, with its failed charge", async || {
        let spans: Vec<_> = spans_in(&file).into_iter().filter(|span| span.trace == trace).collect();
        let has = |service: &str, name: &str, is_error: bool| {
            let is_it =
                |span: &Span| span.service == service && span.name == name && span.is_error == is_error;
            spans.iter().any(is_it)
        };
        let whole = has("order", "POST /orders", false)
            && has("inventory", "process orders.placed.*", false)
            && has("payment", "process inventory.reserved.*", true)
            && has("payment", "process inventory.reserved.*", false)
            && has("notification", "process orders.confirmed.*", false);
        whole.then_some(())
    })
    .await;

    opened.shop.close().await;
    assert!(TcpStream::connect(at.trim_start_matches("http://")).await.is_err(), "it still listens");
    let alive = test_kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap());
    assert!(alive.is_err(), "it still runs");
}

/// Needs `prometheus` (`PROMETHEUS`, or on the search path): CI has it.
#[tokio::test]
#[ignore = "needs prometheus"]
async fn an_outage_is_seen_by_a_real_prometheus_and_every_query_gives_something() {
    let opened = Opened::with(&[("JETLAG_BREAKER_OPEN_MS", "7000")]).await;
    let running = opened.shop.running();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut targets = vec![listener.local_addr().unwrap().to_string()];
    let look = Look::at(opened.operator.clone(), String::new(), None, String::new());
    let audit = Verified::default();
    let monitor = Monitor::new(&running.monitor_url().unwrap()).unwrap();
    tokio::spawn(serve(listener, Exporter::new(look, Some(monitor), audit.clone())));
    audit.verify(&opened.operator).await.unwrap();
    targets.extend(FUNCTIONS.map(|name| running.url(name).unwrap().replace("http://", "")));

    let place = opened.data().join("prometheus");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("rules.yaml"), impatient()).unwrap();
    let configuration = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "jetlag", "static_configs": [{"targets": targets}]}],
    });
    std::fs::write(place.join("prometheus.yaml"), configuration.to_string()).unwrap();
    let port = free_port();
    let program = std::env::var_os("PROMETHEUS").unwrap_or_else(|| "prometheus".into());
    let _prometheus = Command::new(program)
        .arg(format!("--config.file={}", place.join("prometheus.yaml").display()))
        .arg(format!("--storage.tsdb.path={}", place.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(place.join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .expect("prometheus starts");
    let url = format!("http://127.0.0.1:{port}");
    let ask = async |query: &str| ask(&opened.client, &url, query).await;
    until("all targets", async || (ask("up == 1").await?.len() == targets.len()).then_some(())).await;

    let gateway = running.companion("gateway").unwrap();
    let control = async |how: Value| {
        let answer = opened.client.put(format!("{gateway}/control")).json(&how).send().await.unwrap();
        assert!(answer.status().is_success());
    };
    let mut number = 0;
    let mut place_some = async || {
        for _ in 0..10 {
            number += 1;
            let order = json!({"order_id": format!("P-{number}"), "customer_id": "C", "amount": 10, "currency": "GBP"});
            assert_eq!(opened.post("/orders", order.to_string()).await.0, 202);
        }
    };
    place_some().await;
    control(json!({"outage": true})).await;
    place_some().await;
    opened.operator.publish("orders.confirmed.X.x", "x", r#"{"broken":true}"#.into()).await.unwrap();
    until("an open breaker in Prometheus", async || {
        ask("max by (function) (jetlag_breaker_opened_timestamp_seconds) > 0").await?.pop()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    control(json!({"outage": false})).await;
    until("orders that ended late", async || {
        ask("jetlag_journey_seconds_count{function=\"order\"} - ignoring(le) jetlag_journey_seconds_bucket{function=\"order\",le=\"5.0\"} > 0").await?.pop()
    })
    .await;

    let mut empty = Vec::new();
    let queries: Vec<String> = DASHBOARDS.iter().flat_map(|dashboard| dashboard.queries("payment")).collect();
    let answered = until_or(async || {
        // Something has to happen for there to be a rate of it.
        place_some().await;
        empty.clear();
        for query in &queries {
            if ask(query).await?.is_empty() {
                empty.push(query.clone());
            }
        }
        empty.is_empty().then_some(())
    })
    .await;
    assert!(answered.is_some(), "these queries give nothing: {empty:#?}");

    let fired = async || -> Option<BTreeSet<String>> {
        let firing = ask("max_over_time(ALERTS{alertstate=\"firing\"}[10m])").await?;
        let name = |alert: &Value| Some(alert["metric"]["alertname"].as_str()?.to_owned());
        Some(firing.iter().filter_map(name).collect())
    };
    until("the alerts of an outage", async || {
        let fired = fired().await?;
        FIRE.iter().all(|name| fired.contains(*name)).then_some(())
    })
    .await;
    let others: Vec<String> = fired()
        .await
        .unwrap()
        .into_iter()
        .filter(|name| !FIRE.contains(&name.as_str()) && !MAY_FIRE.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "these fired too: {others:?}");
    opened.shop.close().await;
}
