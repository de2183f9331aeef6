//! Scenario 2: a thousand orders wake every function of the chain, a slow gateway makes payment several, all orders end,
//! and all functions go back to zero.

use std::time::Duration;

use jetlag::Subject;
use jetlag::topology::EVENTS;
use serde_json::json;
use time::OffsetDateTime;

use crate::marks::{Marks, seconds};
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How long the gateway takes for one charge.
const GATEWAY_MS: u64 = 2_500;
/// How long the timeline may take to look once more.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How many replicas of payment there must be at some time.
const PAYMENT_REPLICAS_MIN: u64 = 3;
/// What each function's first result is called.
const FIRST: [(&str, &str); 5] = [
    ("order", "orders.confirmed"),
    ("inventory", "inventory.reserved"),
    ("payment", "payments.processed"),
    ("notification", "notifications.sent"),
    ("audit", "audit.sealed"),
];

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(2, "1,000 orders from zero replicas, the gateway takes 2.5 s for each charge");
    shop.all_at_zero().await?;
    shop.report.tell("every function is at zero replicas");
    shop.cluster.control_gateway(&json!({"latency_ms": GATEWAY_MS})).await?;
    let before = shop.cluster.operator.stream_state(EVENTS).await.map_err(|error| error.to_string())?;
    let (began, began_at) =
        (shop.timeline.mark("scenario 2: orders are published"), OffsetDateTime::now_utc());
    shop.order(wishes::CHAIN, None).await?;
    shop.all_ended().await?;
    let ended = shop.timeline.mark("scenario 2: every order has ended");
    shop.report.saw(2, "every order ended, after", seconds(Some(ended - began)));
    shop.cluster.control_gateway(&json!({"latency_ms": 0})).await?;
    shop.all_at_zero().await?;
    let zero = shop.timeline.mark("scenario 2: every function is at zero");
    until("a look at that", LOOK_LIMIT, async || shop.timeline.last(zero).map(drop)).await?;
    let samples = shop.timeline.since(began);
    let first = first_results(shop, before.last_sequence, began_at).await?;
    for (function, kind) in FIRST {
        let marks = Marks::of(function, &samples, began);
        let handled = first.iter().find(|(found, _)| found == kind).map(|(_, ms)| *ms);
        shop.report.saw(
            2,
            function,
            format!("first event handled {}; {}", seconds(handled), marks.in_words()),
        );
        so(marks.wanted_ms.is_some() && marks.ready_ms.is_some(), || format!("{function} was not woken"))?;
        so(marks.zero_ms.is_some(), || format!("{function} did not go back to zero"))?;
    }
    let payment = Marks::of("payment", &samples, began);
    so(payment.most_ready >= PAYMENT_REPLICAS_MIN, || format!("payment was {} at most", payment.most_ready))
}

/// When the broker stored the first event of each type, in milliseconds after `began_at`.
async fn first_results(
    shop: &Shop,
    after: u64,
    began_at: OffsetDateTime,
) -> Result<Vec<(String, u64)>, String> {
    let events =
        shop.cluster.operator.read(EVENTS, "*.*.*.*", after + 1).await.map_err(|error| error.to_string())?;
    let mut first: Vec<(String, u64)> = Vec::new();
    for event in events {
        let Some(parts) = Subject::from_broker(&event.subject).parse_event() else { continue };
        if !first.iter().any(|(kind, _)| *kind == parts.kind) {
            let ms = (event.stored_at - began_at).whole_milliseconds();
            first.push((parts.kind, u64::try_from(ms).unwrap_or_default()));
        }
    }
    Ok(first)
}
