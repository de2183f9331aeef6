//! Notifications by HTTP, and what is counted of them.

use std::{io::Write, time::Duration};

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::running::{Running, client};

fn notification(receiver: &Running, key: Option<&str>, body: &Value) -> RequestBuilder {
    let request = client().post(format!("{}/notify", receiver.url)).json(body);
    match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    }
}

async fn notify(receiver: &Running, key: Option<&str>, body: &Value) -> u16 {
    notification(receiver, key, body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_notification_is_new_once_and_counted_every_time() {
    let receiver = Running::receiver(&[]);
    let body = json!({"id": "in-body", "text": "shipped"});
    assert_eq!(notify(&receiver, Some("in-header"), &body).await, 202);
    assert_eq!(notify(&receiver, Some("in-header"), &body).await, 200);
    assert_eq!(notify(&receiver, None, &body).await, 202);
    assert_eq!(notify(&receiver, None, &json!({"id": 7})).await, 202);
    assert_eq!(
        receiver.get("/received").await,
        json!({"total": 4, "distinct": 3, "duplicates": ["in-header"], "by_channel": {"http": 4, "smtp": 0}})
    );
    let message = receiver.get("/received/in-header").await;
    assert_eq!((&message["id"], &message["count"]), (&json!("in-header"), &json!(2)));
    assert_eq!(serde_json::from_str::<Value>(message["content"]["text"].as_str().unwrap()).unwrap(), body);
}

#[tokio::test]
async fn a_notification_that_cannot_be_told_apart_is_refused() {
    let receiver = Running::receiver(&[]);
    assert_eq!(notify(&receiver, None, &json!({"text": "shipped"})).await, 400);
    assert_eq!(notify(&receiver, Some(""), &json!({})).await, 400);
    assert_eq!(notify(&receiver, Some(&"k".repeat(513)), &json!({})).await, 400);
    let not_json = client().post(format!("{}/notify", receiver.url)).body("hello");
    assert_eq!(not_json.header("Idempotency-Key", "a").send().await.unwrap().status(), 400);
    assert_eq!(receiver.get("/received").await["total"], json!(0));
    let unknown = client().get(format!("{}/received/none", receiver.url)).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn nothing_is_counted_during_an_outage() {
    let receiver = Running::receiver(&["--outage"]);
    assert_eq!(notify(&receiver, Some("a"), &json!({})).await, 503);
    receiver.control(json!({"outage": false})).await;
    assert_eq!(notify(&receiver, Some("a"), &json!({})).await, 202);
    assert_eq!(receiver.get("/control").await, json!({"outage": false, "latency_ms": 0}));
}

#[tokio::test]
async fn a_sender_that_loses_patience_was_heard_all_the_same() {
    let receiver = Running::receiver(&["--latency-ms", "60000"]);
    let impatient = notification(&receiver, Some("a"), &json!({})).timeout(Duration::from_millis(1000));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    receiver.control(json!({"latency_ms": 0})).await;
    assert_eq!(notify(&receiver, Some("a"), &json!({})).await, 200);
    assert_eq!(receiver.get("/received").await["duplicates"], json!(["a"]));
}

#[tokio::test]
async fn a_killed_receiver_forgets_nothing_it_has_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("receiver.jsonl");
    let receiver = Running::receiver_on(&data);
    for id in ["a", "b", "a"] {
        notify(&receiver, Some(id), &json!({"text": id})).await;
    }
    let before = (receiver.get("/received").await, receiver.get("/received/a").await);
    receiver.kill();
    let mut file = std::fs::File::options().append(true).open(&data).unwrap();
    file.write_all(br#"{"id":"c","chan"#).unwrap();
    drop(file);

    let receiver = Running::receiver_on(&data);
    assert_eq!((receiver.get("/received").await, receiver.get("/received/a").await), before);
    assert_eq!(notify(&receiver, Some("b"), &json!({})).await, 200);
    assert_eq!(notify(&receiver, Some("c"), &json!({})).await, 202);
}
