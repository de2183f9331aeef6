//! The payment gateway is away: orders queue, no attempt is wasted, and all are served when it is back.

use jetlag::topology::{DEAD_LETTERS, EVENTS};

use crate::shop::{Opened, until};

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
    switch(false).await;
    until("confirmed orders", async || {
        (opened.events("orders.confirmed.*.*").await.len() == ORDERS).then_some(())
    })
    .await;
    let ledger = opened.client.get(format!("{gateway}/ledger")).send().await.unwrap();
    let ledger: serde_json::Value = ledger.json().await.unwrap();
    assert_eq!(ledger["charges"].as_array().unwrap().len(), ORDERS, "none charged twice");
    assert_eq!(opened.operator.stream_state(DEAD_LETTERS).await.unwrap().messages, 0);
    opened.shop.close().await;
}
