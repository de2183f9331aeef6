//! A function is away for longer than events are kept: none of its orders is lost, none is charged twice.

use std::collections::BTreeSet;
use std::time::Duration;

use jetlag::topology::{AUDIT, DEAD_LETTERS, RETRY};
use jetlag_cli::streams::Origin;
use rustix::process::Signal;

use crate::shop::{Opened, until};

/// How long events are kept: longer than the broker waits for an answer (15 s), as a day is.
const HORIZON: Duration = Duration::from_secs(30);
const ORDERS: usize = 40;

#[tokio::test]
async fn orders_outlive_a_function_that_is_away_for_longer_than_the_horizon() {
    let opened = Opened::keeping(HORIZON).await;
    // Scaled to zero, or hung: for the broker it is the same.
    opened.signal("payment", Signal::STOP);
    place(&opened, 0..ORDERS / 2).await;
    let reserved = async || opened.events("inventory.reserved.*.*").await.len();
    until("reservations", async || (reserved().await == ORDERS / 2).then_some(())).await;
    until("end of their horizon", async || (reserved().await == 0).then_some(())).await;
    let carried = opened.operator.read(RETRY, "retry.payment.>", 1).await.unwrap();
    assert_eq!(carried.len(), ORDERS / 2, "each is carried on once");
    assert!(carried.iter().all(|message| message.header("Jetlag-Attempt") == Some("1")));
    assert!(carried.iter().all(|message| message.header("traceparent").is_some()));
    place(&opened, ORDERS / 2..ORDERS).await;

    opened.signal("payment", Signal::CONT);
    let gateway = opened.shop.running().companion("gateway").unwrap();
    until("charges", async || (charges(&opened, &gateway).await.len() == ORDERS).then_some(())).await;
    // The stream of events has forgotten the first of them by now; the trail has not.
    until("confirmations", async || (confirmed(&opened).await.len() == ORDERS).then_some(())).await;
    until("end of all retries", async || {
        (opened.operator.stream_state(RETRY).await.ok()?.messages == 0).then_some(())
    })
    .await;
    let charged = charges(&opened, &gateway).await;
    assert_eq!(charged.len(), ORDERS, "none charged twice");
    assert_eq!(charged.into_iter().collect::<BTreeSet<_>>().len(), ORDERS);
    assert_eq!(confirmed(&opened).await.into_iter().collect::<BTreeSet<_>>().len(), ORDERS);
    assert_eq!(opened.operator.stream_state(DEAD_LETTERS).await.unwrap().messages, 0);
    opened.shop.close().await;
}

async fn place(opened: &Opened, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let order = format!(r#"{{"order_id":"R-{number}","customer_id":"C","amount":10,"currency":"GBP"}}"#);
        assert_eq!(opened.post("/orders", order).await.0, 202);
    }
}

/// The orders that the gateway has charged.
async fn charges(opened: &Opened, gateway: &str) -> Vec<String> {
    let ledger = opened.client.get(format!("{gateway}/ledger")).send().await.unwrap();
    let ledger: serde_json::Value = ledger.json().await.unwrap();
    ledger["charges"].as_array().unwrap().iter().map(ToString::to_string).collect()
}

/// The subjects of the confirmations in the trail.
async fn confirmed(opened: &Opened) -> Vec<String> {
    let entries = opened.operator.read(AUDIT, "audit.*", 1).await.unwrap();
    let subjects = entries.iter().map(|entry| Origin::of(entry).subject);
    subjects.filter(|subject| subject.starts_with("orders.confirmed.")).collect()
}
