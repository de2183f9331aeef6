//! The payment gateway is away: orders queue, no attempt is wasted, and all are served when it is back.

use jetlag::topology::{DEAD_LETTERS, EVENTS};
use tests::until;

use crate::shop::Opened;

const ORDERS: usize = 60;

#[tokio::test]
async fn orders_wait_out_an_outage_of_the_gateway_behind_an_open_breaker() {
    let opened = Opened::new().await;
    let gateway = opened.shop.running().companion("gateway").unwrap();
    let switch = async |outage: bool| {
        let control =
            opened.client.put(format!("{gateway}/control")).json(&serde_json::json!({"outage": outage}));
        assert!(control.send().await.unwrap().status().is_success());
    };
    switch(true).await;
    for number in 0..ORDERS {
        let order = format!(r#"{{"order_id":"O-{number}","customer_id":"C","amount":10,"currency":"GBP"}}"#);
        assert_eq!(opened.post("/orders", order).await.0, 202);
    }
    let metrics = format!("{}/metrics", opened.shop.running().url("payment").unwrap());
    until("open breaker", async || {
        let text = opened.client.get(&metrics).send().await.ok()?.text().await.ok()?;
        text.contains("jetlag_breaker_position{function=\"payment\"} 2").then_some(())
    })
    .await;
    let ready = format!("{}/ready", opened.shop.running().url("payment").unwrap());
    assert_eq!(
        opened.client.get(ready).send().await.unwrap().status(),
        200,
        "an open breaker is not unready"
    );
    let (waiting, given_back) = opened.operator.lag(EVENTS, "payment").await.unwrap();
    assert!(waiting + given_back > 0, "orders wait in the stream");
    let findings = opened.status().await.findings;
    let broken =
        findings.iter().find(|finding| finding.kind == "breaker_open").expect("the status tells of it");
    assert_eq!(broken.place, "payment");
    let starved =
        findings.iter().find(|finding| finding.kind == "nobody_pulls" && finding.place == "payment");
    assert_eq!(starved, None, "it is not pulled because of the breaker");
    switch(false).await;
    until("confirmed orders", async || {
        (opened.events("orders.confirmed.*.*").await.len() == ORDERS).then_some(())
    })
    .await;
    let ledger = opened.client.get(format!("{gateway}/ledger")).send().await.unwrap();
    let ledger: serde_json::Value = ledger.json().await.unwrap();
    assert_eq!(ledger["charges"].as_array().unwrap().len(), ORDERS, "none charged twice");
    assert_eq!(opened.operator.stream_state(DEAD_LETTERS).await.unwrap().messages, 0);
    // At rest again, with every function at work and nothing wrong.
    let status = until("status without findings", async || {
        let status = opened.status().await;
        (status.wrong() == 0 && status.functions.iter().all(|function| function.lag() == 0)).then_some(status)
    })
    .await;
    let payment = status.functions.iter().find(|function| function.name == "payment").unwrap();
    assert!(payment.answered() >= ORDERS as u64 && payment.pulls() > 0 && !payment.is_broken());
    assert_eq!(payment.replicas(), Some(1));
    opened.shop.close().await;
}
