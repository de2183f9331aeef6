//! Filling a stream with events as the runtime writes them: subject, headers, guard and size.

use std::collections::VecDeque;
use std::future::IntoFuture as _;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, context::PublishAckFuture};
use serde_json::{Value, json};
use tests::until;

/// How many events are on their way at a time.
const WINDOW: usize = 1_000;

/// Somebody who fills streams.
pub struct Fill {
    client: async_nats::Client,
    context: jetstream::Context,
}

impl Fill {
    pub async fn on(port: u16) -> Self {
        let client = async_nats::connect(format!("nats://127.0.0.1:{port}")).await.expect("a broker");
        Self { context: jetstream::new(client.clone()), client }
    }

    /// Makes the stream `name` of the broker's own form of `config`.
    pub async fn make(&self, name: &str, config: &Value) {
        self.ask(&format!("STREAM.CREATE.{name}"), config).await;
    }

    /// Messages in the stream, and their bytes.
    pub async fn state(&self, stream: &str) -> (u64, u64) {
        let info = self.ask(&format!("STREAM.INFO.{stream}"), &Value::Null).await;
        let number = |name: &str| info["state"][name].as_u64().expect("a number");
        (number("messages"), number("bytes"))
    }

    /// Waits until the stream has so many messages.
    pub async fn until(&self, stream: &str, messages: u64) {
        until(stream, async || (self.state(stream).await.0 == messages).then_some(())).await;
    }

    async fn ask(&self, what: &str, payload: &Value) -> Value {
        let bytes = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
        let answer = self.client.request(format!("$JS.API.{what}"), bytes.into()).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer
    }

    /// Stores the events from `first` up to `end`, each about an aggregate of its own, with the guard of a commit.
    pub async fn events(&self, first: u64, end: u64) {
        let mut waiting: VecDeque<PublishAckFuture> = VecDeque::new();
        for number in first..end {
            let (subject, headers, payload) = event(number);
            if waiting.len() == WINDOW {
                stored(waiting.pop_front()).await;
            }
            let publishing = self.context.publish_with_headers(subject, headers, payload.into());
            waiting.push_back(publishing.await.expect("a broker that takes it"));
        }
        while !waiting.is_empty() {
            stored(waiting.pop_front()).await;
        }
    }

    /// Reads `count` of the first `end` messages, all over the stream.
    pub async fn read(&self, stream: &str, end: u64, count: u64) {
        // A step that has no factor in common with any round number.
        const STEP: u64 = 7_919;
        for number in 0..count {
            let what = json!({"seq": 1 + (number * STEP) % end}).to_string();
            let subject = format!("$JS.API.DIRECT.GET.{stream}");
            self.client.request(subject, what.into()).await.expect("a message");
        }
    }
}

async fn stored(ack: Option<PublishAckFuture>) {
    if let Some(ack) = ack {
        ack.into_future().await.expect("an event that is stored");
    }
}

/// An event of two lines, as inventory emits it in the bench: about 500 bytes in its envelope.
fn event(number: u64) -> (String, HeaderMap, String) {
    // As long as the ids that the runtime derives.
    let (order, id) = (format!("ORD-{number:08}"), format!("{number:032x}"));
    let line = json!({"sku": "85123A", "quantity": 6, "price": "2.55"});
    let payload = json!({
        "id": id, "type": "orders.placed", "aggregate_id": order,
        "data": {"order_id": order, "customer_id": "C-17850", "amount": "139.12", "lines": [line, line]},
        "timestamp": "2026-11-22T10:00:00.123456789Z", "trace_id": format!("{number:032x}"),
    });
    let mut headers = HeaderMap::new();
    headers.insert("Jetlag-Function", "inventory");
    headers.insert("Jetlag-Cause", format!("orders.placed.{order}.{id}"));
    headers.insert("Jetlag-Attempt", "1");
    headers.insert("traceparent", format!("00-{number:032x}-{number:016x}-01"));
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", format!("*.*.{order}.{id}"));
    (format!("orders.placed.{order}.{id}"), headers, payload.to_string())
}
