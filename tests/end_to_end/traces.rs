//! One trace for each order, through five processes and the broker, over retries, a crash, a dead letter and its redrive; and
//! what logs and spans must not tell.

use jetlag::topology::EVENTS;
use jetlag_cli::letters::{self, Pick};
use rustix::process::Signal;
use serde_json::json;
use tests::until;

use crate::collector::{Collector, Span};
use crate::shop::Opened;

/// Nobody's business.
const CUSTOMER: &str = "Ada.Lovelace@private.example";
const PARENT: &str = "b7ad6b7169203331";

fn trace(number: u8) -> String {
    format!("{number:02x}").repeat(16)
}

fn one<'a>(spans: &'a [Span], service: &str, name: &str, attempt: &str) -> &'a Span {
    let is_it = |span: &&Span| {
        span.service == service
            && span.name == name
            && (attempt.is_empty() || span.attributes.get("attempt").is_some_and(|found| found == attempt))
    };
    let found: Vec<&Span> = spans.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{service} {name} {attempt}: {found:#?}");
    found[0]
}

#[tokio::test]
async fn one_trace_has_everything_that_happens_to_an_order_and_nothing_that_is_private() {
    orders_leave_whole_traces(Collector::open().await).await;
}

#[tokio::test]
async fn one_trace_has_everything_that_happens_to_what_is_pushed() {
    pushed_events_leave_whole_traces(Collector::open().await).await;
}

/// Needs the OpenTelemetry Collector (`COLLECTOR`): CI builds it.
#[tokio::test]
#[ignore = "needs the OpenTelemetry Collector"]
async fn the_opentelemetry_collector_has_the_same_whole_traces() {
    let collector = Collector::real().await;
    tokio::join!(
        orders_leave_whole_traces(collector.clone()),
        pushed_events_leave_whole_traces(collector.clone())
    );
}

async fn orders_leave_whole_traces(collector: Collector) {
    let opened = Opened::with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("RUST_LOG", "info,jetlag=debug"),
    ])
    .await;
    let gateway = opened.shop.running().companion("gateway").unwrap();
    let control = async |how: serde_json::Value| {
        let answer = opened.client.put(format!("{gateway}/control")).json(&how).send().await.unwrap();
        assert!(answer.status().is_success());
    };
    let place = async |id: &str, number: u8| {
        let order = json!({"order_id": id, "customer_id": CUSTOMER, "amount": 12.5, "currency": "GBP"});
        let parent = format!("00-{}-{PARENT}-01", trace(number));
        let (status, answer) =
            opened.post_with("/orders", order.to_string(), &[("traceparent", &parent)]).await;
        assert_eq!(status, 202, "{answer}");
    };

    // The process that charges for it dies over it; the broker waits 15 s before it gives it to another.
    control(json!({"latency_ms": 3000})).await;
    place("T-1", 1).await;
    until("charge under way", async || {
        let (_, unanswered) = opened.operator.lag(EVENTS, "payment").await.ok()?;
        (unanswered > 0).then_some(())
    })
    .await;
    let old = opened.shop.running().pid("payment");
    opened.signal("payment", Signal::KILL);
    until("new process", async || opened.shop.running().pid("payment").filter(|pid| Some(*pid) != old)).await;
    control(json!({"latency_ms": 0, "fail_next": 1})).await;

    // The gateway fails, and a second attempt succeeds.
    let hostile = "T-2\"},{\"level\":\"error\",\"msg\":\"forged\"}\u{202e}\u{2028}";
    place(hostile, 2).await;
    // What no retry mends is given up, mended and sent again.
    let reserved = |amount: &str| {
        format!(
            r#"{{"id":"r-1","type":"inventory.reserved","aggregate_id":"R-1","data":{{"order_id":"R-1","customer_id":"{CUSTOMER}","amount":{amount},"currency":"GBP"}},"timestamp":"2026-11-21T14:00:00Z","trace_id":"{}"}}"#,
            trace(3)
        )
    };
    opened.operator.publish("inventory.reserved.R-1.r-1", "r-1", reserved("-1").into()).await.unwrap();
    let of_payment = Pick { function: Some("payment".into()), ..Pick::default() };
    until("dead letter", async || letters::select(&opened.operator, &of_payment).await.unwrap().pop()).await;
    let mended = reserved("12.50");
    let redriven =
        letters::redrive(&opened.operator, &of_payment, Some(mended.as_bytes()), None, "ann").await;
    assert_eq!(redriven.unwrap().done, 1);

    let retried = collector.tree(&trace(2), PARENT, &[("notification", "POST"), ("payment", "commit")]).await;
    check_retried(&retried);
    events_say(&opened, hostile, &trace(2)).await;
    let redriven = [("payment", "publish dlq.payment.*"), ("notification", "process orders.confirmed.*")];
    // It came from outside, and says no span: its own stands in, and what waited in the queue for payment follows from it.
    let root = until("span of the queue", async || {
        let is_first = |span: &Span| span.trace == trace(3) && span.name == "queue inventory.reserved.*";
        collector.all().into_iter().find(is_first).map(|span| span.parent)
    })
    .await;
    check_redriven(&collector.tree(&trace(3), &root, &redriven).await, &root);
    let crashed = [("notification", "process orders.confirmed.*"), ("notification", "commit")];
    let crashed = collector.tree(&trace(1), PARENT, &crashed).await;
    let charged = one(&crashed, "payment", "process inventory.reserved.*", "1");
    assert_eq!(charged.attributes["jetlag.outcome"], "success", "{charged:?}");
    // The process that died may have sent one too.
    let waits =
        crashed.iter().filter(|span| span.service == "payment" && span.name == "queue inventory.reserved.*");
    let wait = waits.max_by_key(|span| span.ended).expect("the wait of the second delivery");
    assert!(wait.ended - wait.began > 10_000_000_000, "the time of the dead process is in it: {wait:?}");

    let group =
        collector.all().into_iter().find(|span| span.name.starts_with("publish") && !span.links.is_empty());
    let group = group.expect("inventory commits stock and event in a group");
    assert!(group.links.iter().all(|trace| !trace.is_empty()) && group.kind == 4, "{group:?}");
    tells_nothing_private(&opened, &collector);
    opened.shop.close().await;
}

/// What comes to functions over HTTP goes on in the trace that its request names, through the stream to the end; whoever pushes
/// an event that failed pushes it again.
async fn pushed_events_leave_whole_traces(collector: Collector) {
    let opened = Opened::with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("JETLAG_TRIGGER", "both"),
    ])
    .await;
    let push = async |function: &str, trace: &str, kind: &str, order: &str| {
        let data = json!({"order_id": order, "customer_id": CUSTOMER, "amount": 12.5, "currency": "GBP"});
        let request = opened.client.post(opened.shop.running().url(function).unwrap());
        let request = request.header("traceparent", format!("00-{trace}-{PARENT}-01"));
        let request = request.header("ce-specversion", "1.0").header("ce-source", "/test");
        let request = request.header("ce-id", order).header("ce-type", kind).header("ce-subject", order);
        request.json(&data).send().await.unwrap().status().as_u16()
    };
    assert_eq!(push("inventory", &trace(4), "orders.placed", "H-1").await, 202);
    let gateway = opened.shop.running().companion("gateway").unwrap();
    opened.event("orders.confirmed.H-1.>").await;
    let failing = opened.client.put(format!("{gateway}/control")).json(&json!({"fail_next": 1}));
    assert!(failing.send().await.unwrap().status().is_success());
    for status in [503, 202] {
        assert_eq!(push("payment", &trace(5), "inventory.reserved", "H-2").await, status);
    }

    let ended = [("notification", "process orders.confirmed.*"), ("notification", "commit")];
    let placed = collector.tree(&trace(4), PARENT, &ended).await;
    let reserve = one(&placed, "inventory", "process orders.placed.*", "1");
    assert_eq!((reserve.parent.as_str(), reserve.kind), (PARENT, 5));
    assert_eq!(reserve.attributes["messaging.destination.name"], "orders.placed.H-1.H-1");
    assert_eq!(reserve.attributes["jetlag.outcome"], "success");
    // Nothing was pulled, and nobody at the broker waits for an answer.
    assert!(!reserve.events.contains(&"ack".to_owned()), "{reserve:?}");
    let charge = one(&placed, "payment", "process inventory.reserved.*", "1");
    assert!(charge.parent == reserve.id && charge.events.contains(&"ack".to_owned()), "{charge:?}");
    let confirm = one(&placed, "order", "process payments.processed.*", "1");
    let notify = one(&placed, "notification", "process orders.confirmed.*", "1");
    assert_eq!((&confirm.parent, &notify.parent), (&charge.id, &confirm.id));

    let again = collector.tree(&trace(5), PARENT, &ended).await;
    let charges = again.iter().filter(|span| {
        span.service == "payment" && span.name == "process inventory.reserved.*" && span.parent == PARENT
    });
    let mut charges: Vec<&Span> = charges.collect();
    charges.sort_by_key(|span| span.began);
    let [failed, charged] = charges.as_slice() else { panic!("{charges:#?}") };
    assert!(failed.is_error && failed.attributes["error.type"] == "retry", "{failed:?}");
    assert!(!charged.is_error && charged.attributes["jetlag.outcome"] == "success", "{charged:?}");
    let confirm = one(&again, "order", "process payments.processed.*", "1");
    assert_eq!(confirm.parent, charged.id);
    opened.shop.close().await;
}

/// Every event of the order says the trace that `POST /orders` came with.
async fn events_say(opened: &Opened, order: &str, trace: &str) {
    let stored = opened.operator.read(EVENTS, ">", 1).await.unwrap();
    let mut kinds = Vec::new();
    for message in &stored {
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or_default();
        if event["aggregate_id"] != order || kind.starts_with("done.") {
            continue;
        }
        assert_eq!(event["trace_id"], trace, "{event}");
        let carried = message.header("traceparent").and_then(|parent| parent.split('-').nth(1));
        assert_eq!(carried, Some(trace), "{}: {:?}", message.subject, message.headers);
        kinds.push(kind.to_owned());
    }
    kinds.sort();
    let all = [
        "inventory.reserved",
        "notifications.sent",
        "orders.confirmed",
        "orders.placed",
        "payments.processed",
    ];
    assert_eq!(kinds, all);
}

fn check_retried(spans: &[Span]) {
    let request = one(spans, "order", "POST /orders", "");
    assert_eq!((request.parent.as_str(), request.kind), (PARENT, 2));
    assert_eq!(request.attributes["http.response.status_code"], "202");
    assert_eq!(one(spans, "order", "publish orders.placed.*", "").parent, request.id);
    let reserve = one(spans, "inventory", "process orders.placed.*", "1");
    let wait = one(spans, "inventory", "queue orders.placed.*", "1");
    assert_eq!((&reserve.parent, &wait.parent), (&request.id, &request.id));
    let commit = spans.iter().find(|span| span.name == "commit" && span.parent == reserve.id).unwrap();
    assert!(wait.ended <= commit.began && commit.ended <= reserve.ended, "{wait:?} {commit:?} {reserve:?}");
    assert_eq!(commit.attributes["jetlag.outcome"], "committed");

    let first = one(spans, "payment", "process inventory.reserved.*", "1");
    assert!(first.is_error && first.parent == reserve.id, "{first:?}");
    assert_eq!(
        (first.attributes["error.type"].as_str(), first.attributes["jetlag.outcome"].as_str()),
        ("retry", "retry")
    );
    assert_eq!(first.attributes["messaging.consumer.group.name"], "payment");
    assert_eq!(one(spans, "payment", "publish schedule.payment.*", "").parent, first.id);
    // Both are done with for the broker: one is committed, the other scheduled again.
    for answered in [reserve, first] {
        assert!(answered.events.contains(&"ack".to_owned()), "{answered:?}");
    }
    let again = one(spans, "payment", "process inventory.reserved.*", "2");
    let wait = one(spans, "payment", "retry wait inventory.reserved.*", "2");
    assert_eq!((&again.parent, &wait.parent), (&first.id, &first.id));
    assert!(!again.is_error && wait.ended - wait.began > 500_000_000, "{wait:?}");

    let runs: Vec<&Span> =
        spans.iter().filter(|span| span.name == "run" && span.service == "payment").collect();
    let calls: Vec<&Span> =
        spans.iter().filter(|span| span.name == "POST" && span.service == "payment").collect();
    assert_eq!((runs.len(), calls.len()), (2, 2));
    let statuses: Vec<&str> =
        calls.iter().map(|call| call.attributes["http.response.status_code"].as_str()).collect();
    assert!(statuses.contains(&"500") && statuses.contains(&"200"), "{statuses:?}");
    for call in calls {
        assert_eq!((call.kind, call.attributes["server.address"].as_str()), (3, "127.0.0.1"));
        assert!(runs.iter().any(|run| run.id == call.parent), "{call:?}");
    }
    let confirm = one(spans, "order", "process payments.processed.*", "1");
    assert_eq!(confirm.parent, again.id);
    let notify = one(spans, "notification", "process orders.confirmed.*", "1");
    assert_eq!(notify.parent, confirm.id);
}

fn check_redriven(spans: &[Span], root: &str) {
    let of_payment: Vec<&Span> = spans
        .iter()
        .filter(|span| span.service == "payment" && span.name == "process inventory.reserved.*")
        .collect();
    let [died, again] = of_payment.as_slice() else { panic!("{of_payment:#?}") };
    assert!(died.is_error && died.attributes["error.type"] == "invalid_data" && died.parent == root);
    assert_eq!(one(spans, "payment", "publish dlq.payment.*", "").attributes["jetlag.outcome"], "stored");
    assert!(!again.is_error && again.parent == died.id, "{again:?}");
    assert_eq!(one(spans, "payment", "dead letter inventory.reserved.*", "1").parent, died.id);
}

fn tells_nothing_private(opened: &Opened, collector: &Collector) {
    let spans = format!("{:?}", collector.all());
    let logs = std::fs::read_dir(opened.data().join("logs")).unwrap().map(|entry| entry.unwrap().path());
    let mut forged = 0;
    for log in logs {
        let name = log.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&log).unwrap();
        for secret in [CUSTOMER, "sk_test_jetlag"] {
            assert!(!text.contains(secret), "{name} logs {secret}");
            assert!(!spans.contains(secret), "spans tell {secret}");
        }
        if !["order", "payment", "inventory", "notification", "audit"].contains(&name.as_str()) {
            continue;
        }
        assert!(!text.contains('\u{202e}') && !text.contains('\u{2028}'), "{name}");
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["service"], name.as_str(), "a line that nobody wrote: {line}");
            forged += usize::from(line["order_id"].as_str().is_some_and(|id| id.contains("forged")));
        }
    }
    assert!(forged > 3, "the order with the hostile id is in the logs, and comes out as it went in");
}
