use super::*;
use crate::http::double::Client;
use crate::http::guard::REQUEST_LIMIT;
use std::sync::atomic::Ordering;
use std::time::Duration;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn event(id: &str, amount: u32) -> String {
    format!(
        r#"{{"id":"{id}","type":"orders.placed","aggregate_id":"ORD-1","data":{{"order_id":"ORD-1","amount":{amount}}},
        "timestamp":"2025-01-02T03:04:05Z","trace_id":"0af7651916cd43dd8448eb211c80319c"}}"#
    )
}

fn binary<'h>(id: &'h str, kind: &'h str) -> Vec<(&'h str, &'h str)> {
    vec![
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/shop"),
        ("ce-type", kind),
        ("ce-subject", "ORD%2D1"),
    ]
}

#[tokio::test]
async fn an_event_has_its_effects_once_however_often_and_in_whichever_form_it_comes() {
    let client = Client::new(true);
    let first = client.post("/", &[], event("e-1", 1)).await;
    assert_eq!((first.status, first.text.as_str()), (202, r#"{"outcome":"success","event_id":"e-1"}"#));
    let second = client.post("/", &[], event("e-1", 1)).await;
    assert_eq!((second.status, second.json()["outcome"].as_str()), (202, Some("duplicate")));
    let data = r#"{"order_id":"ORD-1","amount":1}"#;
    let third = client.post("/", &binary("e-1", "orders.placed"), data).await;
    assert_eq!((third.status, third.text.as_str(), third.header("jetlag-outcome")), (202, "", "duplicate"));
    let structured = format!(
        r#"{{"specversion":"1.0","id":"e-1","source":"/shop","type":"orders.placed","subject":"ORD-1","data":{data}}}"#
    );
    let head = [("content-type", "application/cloudevents+json; charset=UTF-8")];
    let fourth = client.post("/", &head, structured).await;
    assert_eq!(
        (fourth.status, fourth.text.as_str(), fourth.header("jetlag-outcome")),
        (202, "", "duplicate")
    );
    assert_eq!(client.broker.events("orders.seen").len(), 1);
}

#[tokio::test]
async fn the_trace_of_the_sender_goes_on_in_what_follows() {
    let client = Client::new(true);
    let mut head = binary("e-1", "orders.placed");
    head.push(("traceparent", TRACEPARENT));
    assert_eq!(client.post("/", &head, r#"{"order_id":"ORD-1","amount":1}"#).await.status, 202);
    let seen = client.broker.events("orders.seen").pop().unwrap();
    assert_eq!(seen.header("traceparent"), Some(TRACEPARENT));
    let seen: serde_json::Value = serde_json::from_slice(&seen.payload).unwrap();
    assert_eq!(seen["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn headers_and_attributes_that_look_like_instructions_are_none() {
    let hostile = [
        ("jetlag-redrive", "again"),
        ("jetlag-attempt", "7"),
        ("nats-schedule", "@at 2026-01-01T00:00:00Z"),
        ("nats-ttl", "1s"),
        ("nats-rollup", "all"),
        ("nats-msg-id", "m"),
        ("nats-expected-last-subject-sequence", "77"),
        ("ce-jetlagredrive", "again"),
        ("ce-natsschedule", "@at 2026-01-01T00:00:00Z"),
        ("traceparent", TRACEPARENT),
        ("tracestate", "vendor=1"),
    ];
    let client = Client::new(true);
    let data = r#"{"order_id":"ORD-1","amount":1}"#;
    let head = [&hostile[..], &binary("e-1", "orders.placed")].concat();
    assert_eq!(client.post("/", &head, data).await.status, 202);
    let structured = format!(
        r#"{{"specversion":"1.0","id":"e-1","source":"/s","type":"orders.placed","subject":"ORD-1","data":{data},
        "Jetlag-Redrive":"again","nats-schedule":"@at 2026-01-01T00:00:00Z","jetlagredrive":"again"}}"#
    );
    let head = [&hostile[..], &[("content-type", "application/cloudevents+json")]].concat();
    let again = client.post("/", &head, structured).await;
    assert_eq!((again.status, again.header("jetlag-outcome")), (202, "duplicate"));
    let again = client.post("/", &hostile, event("e-1", 1)).await;
    assert_eq!((again.status, again.json()["outcome"].as_str()), (202, Some("duplicate")));
    let seen = client.broker.events("orders.seen").pop().unwrap();
    let mut names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Jetlag-Attempt", "Jetlag-Cause", "Jetlag-Function", "traceparent", "tracestate"]);
    let state = seen.header("tracestate").unwrap();
    assert!(state.starts_with("jetlag=t:") && state.ends_with(",vendor=1"), "{state}");
    assert_eq!(seen.header("Jetlag-Attempt"), Some("1"));
}

#[tokio::test]
async fn failures_are_answered_and_not_written() {
    let client = Client::new(true);
    let failed = client.post("/", &[], event("e-1", 500)).await;
    assert_eq!((failed.refused(), failed.header("retry-after")), ((503, "failed".into()), "7"));
    assert_eq!(client.post("/", &[], event("e-2", 422)).await.refused(), (422, "rejected".into()));
    assert_eq!(client.post("/", &[], event("e-3", 13)).await.refused(), (503, "failed".into()));
    client.broker.full.store(true, Ordering::SeqCst);
    assert_eq!(client.post("/", &[], event("e-4", 1)).await.refused(), (503, "released".into()));
    client.broker.full.store(false, Ordering::SeqCst);
    client.broker.silent.store(true, Ordering::SeqCst);
    assert_eq!(client.post("/", &[], event("e-4", 1)).await.refused(), (503, "released".into()));
    client.broker.silent.store(false, Ordering::SeqCst);
    for stream in [Stream::Events, Stream::Retry, Stream::DeadLetters] {
        assert_eq!(client.broker.all(stream).len(), 0);
    }
    assert_eq!(client.post("/", &[], event("e-4", 1)).await.status, 202);
}

#[tokio::test]
async fn what_is_no_event_of_this_function_is_refused_with_the_reasons_code() {
    let client = Client::new(true);
    let good = event("e-1", 1);
    for (body, refused) in [
        ("{", (400, "not_an_event")),
        ("", (400, "not_an_event")),
        ("[1]", (400, "not_an_event")),
        (&good.replace(r#""id":"e-1","#, ""), (400, "not_an_event")),
        (&good.replace("2025-01-02T", "yesterday"), (400, "not_an_event")),
        (&good.replace("e-1", &"x".repeat(10_000)), (400, "not_an_event")),
        (&good.replace("e-1", "a\nb"), (400, "not_an_event")),
        (&good.replace("orders.placed", "orders.>"), (400, "not_an_event")),
        (&good.replace("orders.placed", "orders.lost"), (422, "unknown_type")),
        (&good.replace(r#""amount":1"#, r#""amount":"much""#), (422, "invalid_data")),
        (&good.replace(r#","amount":1"#, ""), (422, "invalid_data")),
    ] {
        let answer = client.post("/", &[], body.to_owned()).await;
        assert_eq!(answer.refused(), (refused.0, refused.1.to_owned()), "{body}");
    }
    assert_eq!(client.broker.all(Stream::Events).len(), 0);
    for id in ["a.b", "a b", "*", ">", "ü"] {
        assert_eq!(client.post("/", &[], good.replace("e-1", id)).await.status, 202, "{id}");
    }
    assert_eq!(client.broker.events("orders.seen").len(), 5);
}

#[tokio::test]
async fn a_cloud_event_that_is_not_whole_is_refused() {
    let client = Client::new(true);
    let data = r#"{"order_id":"ORD-1","amount":1}"#;
    for missing in ["ce-id", "ce-source", "ce-type", "ce-subject"] {
        let mut head = binary("e-1", "orders.placed");
        head.retain(|(name, _)| *name != missing);
        assert_eq!(client.post("/", &head, data).await.refused(), (400, "not_an_event".into()), "{missing}");
    }
    for (name, value) in [
        ("ce-specversion", "0.3"),
        ("ce-time", "noon"),
        ("ce-source", ""),
        ("ce-type", "com.shop.OrderPlaced"),
    ] {
        let mut head = binary("e-1", "orders.placed");
        head.retain(|(other, _)| *other != name);
        head.push((name, value));
        assert_eq!(
            client.post("/", &head, data).await.refused(),
            (400, "not_an_event".into()),
            "{name}: {value}"
        );
    }
    let unknown = client.post("/", &binary("e-1", "orders.lost"), data).await;
    assert_eq!(unknown.refused(), (422, "unknown_type".into()));
    let head = [("content-type", "application/cloudevents+json")];
    for body in [
        "{",
        "{}",
        r#"{"specversion":"1.0","id":"e","source":"s","type":"orders.placed","subject":"x","data_base64":"AA=="}"#,
    ] {
        assert_eq!(client.post("/", &head, body).await.refused(), (400, "not_an_event".into()), "{body}");
    }
}

#[tokio::test]
async fn other_bodies_are_refused_with_what_is_taken() {
    let client = Client::new(true);
    for media_type in ["text/plain", "application/cloudevents+avro", "application/json; charset=latin1", ""] {
        let answer = client.post("/", &[("content-type", media_type)], event("e", 1)).await;
        assert_eq!(answer.refused(), (415, "unsupported_media_type".into()), "{media_type}");
        assert_eq!(answer.header("accept-post"), ACCEPTS);
    }
    let zipped = [("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(
        client.post("/", &zipped, event("e", 1)).await.refused(),
        (415, "unsupported_media_type".into())
    );
}

#[tokio::test]
async fn a_run_goes_on_when_its_sender_has_gone() {
    let client = Client::new(true);
    let sender = client.post("/", &[], event("e-1", 1000));
    tokio::time::timeout(Duration::from_millis(5), sender).await.expect_err("the handler takes longer");
    let committed = async {
        while client.broker.events("orders.seen").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(REQUEST_LIMIT, committed).await.expect("it is committed");
}

fn cloud_event(id: &str, amount: u32) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"orders.placed","subject":"ORD-1","data":{{"order_id":"ORD-1","amount":{amount}}}}}"#
    )
}

const REPLY: (&str, &str) = ("prefer", "reply");
const STRUCTURED_HEAD: (&str, &str) = ("content-type", "application/cloudevents+json");

#[tokio::test]
async fn a_sender_who_asks_is_answered_with_the_one_event_and_again_with_the_same() {
    let client = Client::new(true);
    let data = r#"{"order_id":"ORD-1","amount":1}"#;
    let head = [&binary("e-1", "orders.placed")[..], &[REPLY, ("traceparent", TRACEPARENT)]].concat();
    let first = client.post("/", &head, data).await;
    assert_eq!((first.status, first.text.as_str()), (200, r#"{"order_id":"ORD-1"}"#));
    for (name, value) in [
        ("jetlag-outcome", "success"),
        ("preference-applied", "reply"),
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "orders.seen"),
        ("ce-source", "/jetlag/watcher"),
        ("ce-subject", "ORD-1"),
        ("ce-partitionkey", "ORD-1"),
        ("ce-traceparent", TRACEPARENT),
    ] {
        assert_eq!(first.header(name), value, "{name}");
    }
    let [seen] = client.broker.events("orders.seen").try_into().unwrap();
    let seen = crate::Envelope::read(&seen.payload).unwrap();
    assert_eq!(first.header("ce-id"), seen.id);
    assert_eq!(first.header("ce-time"), crate::rfc3339(seen.timestamp));

    let again = client.post("/", &head, data).await;
    assert_eq!((again.status, &again.text, again.header("jetlag-outcome")), (200, &first.text, "duplicate"));
    let attributes = |answer: &crate::http::double::Answer| {
        let mut all: Vec<(String, String)> = answer
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("ce-"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        all.sort();
        all
    };
    assert_eq!(attributes(&again), attributes(&first));

    let structured = client.post("/", &[STRUCTURED_HEAD, REPLY], cloud_event("e-1", 1)).await;
    assert_eq!((structured.status, structured.header("content-type")), (200, "application/cloudevents+json"));
    assert_eq!(
        (&structured.json()["id"], &structured.json()["data"]["order_id"]),
        (&seen.id.into(), &"ORD-1".into())
    );
    let article = client.post("/", &[REPLY], event("e-1", 1)).await;
    assert_eq!((article.status, &article.text, attributes(&article)), (200, &first.text, attributes(&first)));
    // Nobody who does not ask is answered with an event.
    assert_eq!(client.post("/", &[], event("e-1", 1)).await.status, 202);
}

#[tokio::test]
async fn none_or_several_events_are_no_reply_and_one_of_another_aggregate_is() {
    let client = Client::new(true);
    // Amounts as the double has them: seen twice, as another order, as two others, not at all.
    for (amount, replied) in [(2, None), (3, Some("other")), (4, None), (5, None)] {
        let id = format!("e-{amount}");
        for _ in 0..2 {
            // What stands behind it in the stream is another's.
            assert_eq!(
                client.post("/", &[], event(&format!("x-{}", uuid::Uuid::new_v4()), 1)).await.status,
                202
            );
            let answer = client.post("/", &[STRUCTURED_HEAD, REPLY], cloud_event(&id, amount)).await;
            let subject =
                (answer.status == 200).then(|| answer.json()["subject"].as_str().unwrap().to_owned());
            assert_eq!(subject.as_deref(), replied, "{amount}: {answer:?}");
            assert_eq!(answer.status, if replied.is_some() { 200 } else { 202 });
        }
    }
    // A refusal is one, whatever the sender prefers.
    assert_eq!(client.post("/", &[REPLY], event("bad", 422)).await.refused(), (422, "rejected".into()));
}

const BATCHED_HEAD: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

async fn push_batch(client: &Client, events: &[String]) -> crate::http::double::Answer {
    client.post("/", &[BATCHED_HEAD, REPLY], format!("[{}]", events.join(","))).await
}

fn outcomes(answer: &crate::http::double::Answer) -> Vec<(String, u64, String)> {
    let items = answer.json()["outcomes"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    items.iter().map(|i| (text(&i["id"]), i["status"].as_u64().unwrap(), text(&i["outcome"]))).collect()
}

#[tokio::test]
async fn each_event_of_a_batch_has_its_outcome_and_the_status_says_what_to_do_with_the_whole() {
    let item = |id: &str, status, outcome: &str| (id.to_owned(), status, outcome.to_owned());
    let client = Client::new(true);
    let done = push_batch(&client, &[cloud_event("a", 1), cloud_event("b", 2), cloud_event("a", 1)]).await;
    assert_eq!(done.status, 202, "{done:?}");
    let mut told = outcomes(&done);
    told.sort();
    assert_eq!(told, [item("a", 202, "duplicate"), item("a", 202, "success"), item("b", 202, "success")]);
    assert_eq!(client.broker.events("orders.seen").len(), 3);

    // As long as something may be sent again, that is what the sender is told.
    let odd = r#"{"specversion":"1.0","id":"odd"}"#.to_owned();
    let mixed = [cloud_event("a", 1), cloud_event("later", 500), cloud_event("never", 422), odd, "7".into()];
    let unfinished = push_batch(&client, &mixed).await;
    assert_eq!(unfinished.refused(), (503, "batch_unfinished".into()));
    assert_eq!(unfinished.header("retry-after"), "7");
    assert_eq!(
        outcomes(&unfinished),
        [
            item("a", 202, "duplicate"),
            item("later", 503, "failed"),
            item("never", 422, "rejected"),
            item("odd", 400, "not_an_event"),
            item("?", 400, "not_an_event"),
        ]
    );
    assert!(unfinished.json()["outcomes"][4]["id"].is_null());
    assert_eq!(unfinished.json()["outcomes"][1]["retry_after"], 7);
    // Once only refusals are left, it is over.
    let refused =
        push_batch(&client, &[cloud_event("a", 1), cloud_event("c", 1), cloud_event("never", 422)]).await;
    assert_eq!(refused.refused(), (422, "batch_refused".into()));
    assert_eq!(refused.header("retry-after"), "");
    assert_eq!(outcomes(&refused)[1], item("c", 202, "success"));
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused_as_a_whole_and_an_empty_one_is_done() {
    let client = Client::new(true);
    for body in ["", "{", "{}", "[1", "null", &cloud_event("a", 1)] {
        let answer = client.post("/", &[BATCHED_HEAD], body.to_owned()).await;
        assert_eq!(answer.refused(), (400, "not_an_event".into()), "{body}");
    }
    let many = vec!["1".to_owned(); batch::EVENTS_MAX + 1];
    assert_eq!(push_batch(&client, &many).await.refused(), (413, "too_large".into()));
    let deep = "[".repeat(200_000);
    assert_eq!(client.post("/", &[BATCHED_HEAD], deep).await.refused().0, 400);
    let empty = push_batch(&client, &[]).await;
    assert_eq!((empty.status, empty.text.as_str()), (202, r#"{"outcomes":[]}"#));
    assert_eq!(client.broker.all(Stream::Events).len(), 0);
}
