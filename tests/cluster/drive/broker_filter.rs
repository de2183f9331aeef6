//! The requests that the filter of Knative's channel-based broker makes of a subscriber: knative.dev/eventing v0.42.1,
//! pkg/broker/filter/filter_handler.go (send, writeResponse) and pkg/kncloudevents (event_dispatcher.go, retries.go). The
//! broker itself is not here.

use serde_json::{Value, json};

use crate::cluster::NAMESPACE;
use crate::front::Front;
use crate::market::Wish;
use crate::patience::so;
use crate::shop::Shop;
use crate::wishes;

/// The answers after which the event is sent again; besides 5xx, and none at all.
const AGAIN: [u16; 4] = [404, 408, 409, 429];

/// What the filter makes of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Delivered; the answer may have been an event, which goes to the broker.
    Delivered,
    /// It is sent again.
    Again(u16),
    /// It goes to the dead letter sink.
    Dead(u16),
    /// A good status, and a body that is no event: the filter answers 502 for it, and the event is sent again.
    NotUnderstood,
}

pub async fn run(shop: &Shop, front: &Front) -> Result<(), String> {
    let at = shop.sure(wishes::FILTERED)?;
    let Some(Wish::Request { order, .. }) = shop.market.wishes.get(at) else {
        return Err("no order is sure".to_owned());
    };
    let data = serde_json::to_value(order).map_err(|error| error.to_string())?;
    let event = format!("kn-{}", order.order_id);
    let first = send(front, &event, &order.order_id, &data).await?;
    so(first == Outcome::Delivered, || format!("an event by Knative's broker: {first:?}"))?;
    shop.accept(&order.order_id)?;
    // An answer that is lost: the same event again, and nothing happens again, which the books tell.
    let again = send(front, &event, &order.order_id, &data).await?;
    so(again == Outcome::Delivered, || format!("the same event again: {again:?}"))?;
    let refused = send(front, "kn-refused", "kn-refused", &json!({"order_id": 1})).await?;
    so(matches!(refused, Outcome::Dead(_)), || format!("an event that is no order: {refused:?}"))?;
    shop.report.saw(
        8,
        "events as Knative's broker sends them: one, again, no order",
        format!("delivered, delivered, {refused:?}"),
    );
    Ok(())
}

async fn send(front: &Front, id: &str, subject: &str, data: &Value) -> Result<Outcome, String> {
    let request = front
        .http
        .post(&front.url)
        .header("ce-specversion", "1.0")
        .header("ce-id", id)
        .header("ce-type", "orders.placed")
        .header("ce-source", "/tests/cluster")
        .header("ce-subject", subject)
        .header("ce-time", "2026-11-21T14:00:00Z")
        .header("ce-knativearrivaltime", "2026-11-21T14:00:01Z")
        .header("content-type", "application/json")
        .header("prefer", "reply")
        .header("kn-namespace", NAMESPACE)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let answer = request.body(data.to_string()).timeout(crate::front::ANSWER_LIMIT).send().await;
    let answer = answer.map_err(|error| format!("no answer to the event {id}: {error}"))?;
    let status = answer.status().as_u16();
    let media_type =
        answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_event =
        answer.headers().contains_key("ce-specversion") || media_type.starts_with("application/cloudevents");
    let body = answer.bytes().await.map_err(|error| format!("half an answer to the event {id}: {error}"))?;
    Ok(match status {
        200..=299 if body.is_empty() || is_event => Outcome::Delivered,
        200..=299 => Outcome::NotUnderstood,
        500.. => Outcome::Again(status),
        status if AGAIN.contains(&status) => Outcome::Again(status),
        status => Outcome::Dead(status),
    })
}
