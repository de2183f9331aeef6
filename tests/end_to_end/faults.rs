//! Orders while processes die: nothing is lost and nothing happens twice.

use std::time::Duration;

use jetlag::topology::{EVENTS, RETRY};
use jetlag_cli::books::Finding;
use rustix::process::Signal;
use tests::until;

use crate::shop::Opened;

/// The books balance the gateway's ledger, the receiver's counts, the streams and the stock against each other.
#[tokio::test]
async fn every_function_and_the_broker_are_killed_while_real_orders_flow_and_the_books_add_up() {
    let opened = Opened::new().await;
    let shop = &opened.shop;
    let stocked = shop.stock().await.unwrap();
    let before = shop.books(&stocked).await.unwrap();
    let killing = async {
        for name in ["inventory", "payment", "broker", "order", "notification", "audit"] {
            // Not before something is under way.
            until("an order", async || {
                let state = opened.operator.stream_state(EVENTS).await.ok()?;
                (state.last_sequence > stocked.last_sequence).then_some(())
            })
            .await;
            let old = shop.running().pid(name);
            opened.signal(name, Signal::KILL);
            until(&format!("new process for {name}"), async || {
                shop.running().pid(name).filter(|pid| Some(*pid) != old)
            })
            .await;
        }
    };
    let (placed, ()) = tokio::join!(shop.place(), killing);
    let placed = placed.unwrap();
    let rest = shop.rest(&placed).await;
    let report = shop.balance(stocked, &before, placed, rest).await.unwrap();
    let found: Vec<_> =
        report.books.findings.iter().filter(|finding| !is_a_repeated_message(finding)).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(report.after.placed, 400);
    shop.close().await;
}

/// A message that was sent, and whose sender or broker died before that was on record, is sent again under the same id:
/// the far side tells it by that. Nothing else may happen twice.
fn is_a_repeated_message(finding: &Finding) -> bool {
    match finding {
        Finding::ReceivedTwice { .. } => true,
        Finding::GrewOtherwise { what, .. } => what.contains("notifications"),
        _ => false,
    }
}

#[tokio::test]
async fn the_same_orders_again_change_nothing() {
    let opened = Opened::new().await;
    let shop = &opened.shop;
    let first = shop.demonstrate().await.unwrap();
    assert!(first.adds_up(), "{:#?}", first.books.findings);
    let second = shop.demonstrate().await.unwrap();
    assert!(second.adds_up(), "{:#?}", second.books.findings);
    assert_eq!(second.before, first.after);
    assert_eq!(second.after, first.after);
    assert_eq!(second.placed.already_placed, 400);
    shop.close().await;
}

#[tokio::test]
async fn a_drained_function_leaves_nothing_pending_at_the_broker() {
    let opened = Opened::new().await;
    let gateway = opened.shop.running().companion("gateway").unwrap();
    let slow = opened.client.put(format!("{gateway}/control")).json(&serde_json::json!({"latency_ms": 500}));
    assert!(slow.send().await.unwrap().status().is_success());
    for number in 0..200 {
        let order =
            format!(r#"{{"order_id":"D-{number}","customer_id":"C","amount":12.50,"currency":"GBP"}}"#);
        assert_eq!(opened.post("/orders", order).await.0, 202);
    }
    until("charge under way", async || {
        let (_, unanswered) = opened.operator.lag(EVENTS, "payment").await.ok()?;
        (unanswered > 0).then_some(())
    })
    .await;
    let old = opened.shop.running().pid("payment");
    // The next process must not take over what the old one held before it is looked at.
    opened.signal("payment", Signal::TERM);
    until("the end of the drained process", async || {
        let pid = opened.shop.running().pid("payment");
        (pid != old).then_some(())
    })
    .await;
    // The new process needs some time to pull. Whatever the old one left would stay unanswered for 15 s.
    let settled = async {
        loop {
            let (_, events) = opened.operator.lag(EVENTS, "payment").await.unwrap();
            let (_, retries) = opened.operator.lag(RETRY, "payment").await.unwrap();
            if events + retries == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.expect("something was left unanswered");
    until("200 confirmed orders", async || {
        (opened.events("orders.confirmed.*.*").await.len() == 200).then_some(())
    })
    .await;
    opened.shop.close().await;
}
