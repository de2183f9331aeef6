//! The requests that the filter of Knative's channel-based broker makes of a subscriber: knative.dev/eventing v0.42.1,
//! pkg/broker/filter/filter_handler.go (send, writeResponse) and pkg/kncloudevents (event_dispatcher.go, retries.go). The
//! broker itself is not here.

use std::time::Duration;

use jetlag::Envelope;
use jetlag::topology::EVENTS;
use serde_json::json;

use crate::cluster::NAMESPACE;
use crate::front::Front;
use crate::market::Wish;
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How long KEDA may take to stop scaling, and an order to be paid.
const PAUSE_LIMIT: Duration = Duration::from_secs(60);
const PAID_LIMIT: Duration = Duration::from_secs(60);

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

/// The event that decides an order comes as a CloudEvent to the pods that Knative scales, while KEDA keeps those that pull
/// from the stream at zero. They get the same event afterwards, and it has had its effects.
pub async fn run(shop: &Shop, front: &Front) -> Result<(), String> {
    pause(shop, "order", Some("0")).await?;
    let at = shop.sure(wishes::FILTERED)?;
    let Some(Wish::Request { order, .. }) = shop.market.wishes.get(at) else {
        return Err("no order is sure".to_owned());
    };
    front.place(shop, at).await?;
    let paid = until("the order is paid", PAID_LIMIT, async || {
        find(shop, "payments.processed.*.*", &order.order_id).await?.ok_or_else(|| "not yet".to_owned())
    })
    .await?;
    let confirmed = async || find(shop, "orders.confirmed.*.*", &order.order_id).await;
    so(confirmed().await?.is_none(), || "the order was confirmed by the stream".to_owned())?;
    let first = send(front, &paid).await?;
    so(first == Outcome::Delivered, || format!("an event by Knative's broker: {first:?}"))?;
    so(confirmed().await?.is_some(), || "it was delivered, and did nothing".to_owned())?;
    // An answer that is lost: the same event again, and nothing happens again, which the books tell.
    let again = send(front, &paid).await?;
    so(again == Outcome::Delivered, || format!("the same event again: {again:?}"))?;
    let strange =
        serde_json::to_string(&json!({"order_id": 1})).and_then(serde_json::value::RawValue::from_string);
    let strange =
        Envelope { data: strange.map_err(|error| error.to_string())?, id: "strange".into(), ..paid };
    let refused = send(front, &strange).await?;
    so(matches!(refused, Outcome::Dead(_)), || format!("an event that is none: {refused:?}"))?;
    let seen = format!("delivered, delivered, {refused:?}");
    shop.report.saw(8, "an event as Knative's broker sends it; again; one that is none", seen);
    pause(shop, "order", None).await
}

/// Has KEDA keep the function at so many replicas, or scale it again.
pub async fn pause(shop: &Shop, function: &str, replicas: Option<&str>) -> Result<(), String> {
    let scaled = format!("/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects/{function}");
    let change = json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": replicas}}});
    shop.cluster.api.merge(&scaled, &change).await?;
    until("KEDA hears of it", PAUSE_LIMIT, async || {
        let object = shop.cluster.api.get(&scaled).await?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let is_paused =
            conditions.iter().any(|condition| condition["type"] == "Paused" && condition["status"] == "True");
        so(is_paused == replicas.is_some(), || object["status"]["conditions"].to_string())
    })
    .await
}

/// The first event on a subject that matches `filter` about this order.
pub async fn find(shop: &Shop, filter: &str, order_id: &str) -> Result<Option<Envelope>, String> {
    Ok(about(shop, filter, order_id).await?.into_iter().next())
}

/// The events on a subject that matches `filter` about this order.
pub async fn about(shop: &Shop, filter: &str, order_id: &str) -> Result<Vec<Envelope>, String> {
    let events = shop.cluster.operator.read(EVENTS, filter, 1).await.map_err(|error| error.to_string())?;
    let about = events.iter().filter_map(|event| Envelope::read(&event.payload).ok());
    let about = about.filter(|envelope| {
        let data: serde_json::Value = serde_json::from_str(envelope.data.get()).unwrap_or_default();
        data["order_id"] == *order_id
    });
    Ok(about.collect())
}

async fn send(front: &Front, event: &Envelope) -> Result<Outcome, String> {
    let id = &event.id;
    let request = front
        .http
        .post(&front.url)
        .header("ce-specversion", "1.0")
        .header("ce-id", id)
        .header("ce-type", &event.kind)
        .header("ce-source", "/tests/cluster")
        .header("ce-subject", &event.aggregate_id)
        .header("ce-time", jetlag::rfc3339(event.timestamp))
        .header("ce-knativearrivaltime", "2026-11-21T14:00:01Z")
        .header("content-type", "application/json")
        .header("prefer", "reply")
        .header("kn-namespace", NAMESPACE)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let data = event.data.get().to_owned();
    let answer = request.body(data).timeout(crate::front::ANSWER_LIMIT).send().await;
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
