//! Functions are away for longer than events are kept: no order is lost, none is charged twice.

use std::collections::BTreeSet;
use std::time::Duration;

use jetlag::topology::{ADVISORIES, AUDIT, DEAD_LETTERS, RETRY};
use jetlag_cli::streams::Origin;
use rustix::process::Signal;
use tests::until;

use crate::shop::Opened;

/// How long events are kept: longer than the broker waits for an answer (15 s), as a day is.
const HORIZON: Duration = Duration::from_secs(30);
/// The same for the breaker's pause: a probe now and again.
const BREAKER: [(&str, &str); 1] = [("JETLAG_BREAKER_OPEN_MS", "3000")];
/// How many orders come at a time.
const ORDERS: usize = 20;

#[tokio::test]
async fn orders_outlive_a_gateway_and_a_function_that_are_away_for_longer_than_the_horizon() {
    let opened = Opened::keeping(HORIZON, &BREAKER).await;
    let gateway = opened.shop.running().companion("gateway").unwrap();
    // These come as far as payment, which lives, asks the gateway now and again, and holds them.
    switch(&opened, &gateway, true).await;
    place(&opened, "unpaid", ORDERS).await;
    let count = async |filter: &str| opened.events(filter).await.len();
    until("reservations", async || (count("inventory.reserved.*.*").await == ORDERS).then_some(())).await;
    // These come as far as inventory. Scaled to zero, or hung: for the broker it is the same.
    opened.signal("inventory", Signal::STOP);
    place(&opened, "unreserved", ORDERS).await;

    until("end of the horizon", async || (count("orders.placed.*.*").await == 0).then_some(())).await;
    let carried = carried(&opened, "inventory").await;
    assert_eq!(carried.len(), ORDERS, "each is carried on once, though nobody answered");
    until("end of the reservations", async || (count("inventory.reserved.*.*").await == 0).then_some(()))
        .await;
    // One whose wait ends between the two looks is in neither.
    until("each that the gateway is to be asked about", async || {
        let waiting: BTreeSet<String> = self::carried(&opened, "payment").await.into_iter().collect();
        (waiting.len() == ORDERS).then_some(())
    })
    .await;
    place(&opened, "late", ORDERS).await;

    opened.signal("inventory", Signal::CONT);
    switch(&opened, &gateway, false).await;
    let all = 3 * ORDERS;
    until("charges", async || (charged(&opened, &gateway).await.len() == all).then_some(())).await;
    // The stream of events has forgotten the first of them by now; the trail has not.
    until("confirmations", async || (confirmed(&opened).await.len() == all).then_some(())).await;
    until("end of all retries", async || {
        (opened.operator.stream_state(RETRY).await.ok()?.messages == 0).then_some(())
    })
    .await;
    let charged = charged(&opened, &gateway).await;
    assert_eq!(charged.len(), all, "none is charged twice");
    assert_eq!(charged.into_iter().collect::<BTreeSet<_>>().len(), all);
    assert_eq!(confirmed(&opened).await.into_iter().collect::<BTreeSet<_>>().len(), all);
    assert_eq!(opened.operator.stream_state(DEAD_LETTERS).await.unwrap().messages, 0);
    let functions = ["order", "inventory", "payment", "notification", "audit"].map(str::to_owned);
    assert_eq!(opened.operator.unanswered(&functions).await.unwrap(), [], "nothing that a check would find");
    for told in opened.operator.read(ADVISORIES, ">", 1).await.unwrap() {
        let told = String::from_utf8_lossy(&told.payload).into_owned();
        assert!(!told.contains(r#""stream":"EVENTS""#), "an event expired in somebody's hands: {told}");
    }
    opened.shop.close().await;
}

async fn switch(opened: &Opened, gateway: &str, outage: bool) {
    let control =
        opened.client.put(format!("{gateway}/control")).json(&serde_json::json!({"outage": outage}));
    assert!(control.send().await.unwrap().status().is_success());
}

async fn place(opened: &Opened, name: &str, count: usize) {
    for number in 0..count {
        let order =
            format!(r#"{{"order_id":"{name}-{number}","customer_id":"C","amount":10,"currency":"GBP"}}"#);
        assert_eq!(opened.post("/orders", order).await.0, 202);
    }
}

/// The subjects of the events that wait for `function` where nothing expires.
async fn carried(opened: &Opened, function: &str) -> Vec<String> {
    let mut subjects = Vec::new();
    for lane in ["retry", "schedule"] {
        for message in opened.operator.read(RETRY, &format!("{lane}.{function}.>"), 1).await.unwrap() {
            assert!(message.header("traceparent").is_some(), "{} has no trace", message.subject);
            if function == "inventory" {
                assert_eq!(message.header("Jetlag-Attempt"), Some("1"), "nobody tried it");
            }
            subjects.push(message.header("Jetlag-Subject").unwrap().to_owned());
        }
    }
    subjects
}

/// The orders that the gateway has charged.
async fn charged(opened: &Opened, gateway: &str) -> Vec<String> {
    let ledger = opened.client.get(format!("{gateway}/ledger")).send().await.unwrap();
    let ledger: serde_json::Value = ledger.json().await.unwrap();
    let charges = ledger["charges"].as_array().unwrap().iter();
    charges.map(|charge| charge["order_id"].as_str().unwrap().to_owned()).collect()
}

/// The subjects of the confirmations in the trail.
async fn confirmed(opened: &Opened) -> Vec<String> {
    let entries = opened.operator.read(AUDIT, "audit.*", 1).await.unwrap();
    let subjects = entries.iter().map(|entry| Origin::of(entry).subject);
    subjects.filter(|subject| subject.starts_with("orders.confirmed.")).collect()
}
